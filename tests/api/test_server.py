"""The admin API over its wire, asked by the typed client."""

import json
import stat
import threading
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from api.client import ApiError, Client, NotFoundError, UnreachableError
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from storage.base import Unavailable
from tests.api.daemon import Daemon, daemon
from xdsd.health import Check
from xdsd.model.problem import ObjectRef
from xdsd.settings import TcpAddress, UnixAddress

REVIEWS = ObjectRef("VirtualService", "default", "reviews")


def virtual_service(name: str = "reviews", weight: int | str = 100, **labels: str) -> bytes:
    return json.dumps(
        {
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {
                "hosts": [name],
                "http": [{"route": [{"destination": {"host": name}, "weight": weight}]}],
            },
        }
    ).encode()


def names(response: pb.ListResponse) -> list[str]:
    return [json.loads(item.json)["metadata"]["name"] for item in response.objects]


def test_an_object_lives_from_apply_to_delete(server: Daemon) -> None:
    """Created, unchanged, configured, read, listed, deleted, gone; each with its revision."""
    with server.client() as client:
        first = client.apply([virtual_service()])
        assert first.accepted
        assert first.results[0].outcome == pb.OUTCOME_CREATED
        again = client.apply([virtual_service()])
        assert (again.results[0].outcome, again.revision) == (pb.OUTCOME_UNCHANGED, first.revision)
        changed = client.apply([virtual_service(weight=50)])
        assert changed.results[0].outcome == pb.OUTCOME_CONFIGURED
        found = json.loads(client.get(REVIEWS))
        assert found["apiVersion"] == "networking.istio.io/v1"
        assert found["metadata"]["generation"] == 2
        assert found["metadata"]["resourceVersion"] == str(changed.revision)
        assert found["spec"]["http"][0]["route"][0]["weight"] == 50
        assert names(client.list()) == ["reviews"]
        gone = client.delete([REVIEWS])
        assert gone.accepted
        assert gone.results[0].outcome == pb.OUTCOME_DELETED
        with pytest.raises(NotFoundError, match="VirtualService default/reviews does not exist"):
            client.get(REVIEWS)


def test_one_refused_object_refuses_all(server: Daemon) -> None:
    """Nothing of a request is written where one object is wrong; every problem comes back with its path."""
    with server.client() as client:
        refused = client.apply(
            [virtual_service("ratings"), virtual_service(weight=-5), virtual_service("x", "many")]
        )
        assert not refused.accepted
        assert not refused.results
        assert {(problem.object.name, problem.path) for problem in refused.problems} == {
            ("reviews", "spec.http[0].route[0].weight"),
            ("x", "spec.http[0].route[0].weight"),
        }
        assert names(client.list()) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "an object is not JSON"),
        (b"\xff", "an object is not JSON"),
        (b'{"kind": "A", "kind": "B"}', "'kind' stands twice in one place"),
        (b"[" * 100_000, "an object is not JSON"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}', "Pod"),
    ],
)
def test_what_is_no_object_is_a_problem(server: Daemon, text: bytes, sentence: str) -> None:
    """Malformed input is answered in the response, and the daemon serves on."""
    with server.client() as client:
        refused = client.apply([text])
        assert not refused.accepted
        assert sentence in refused.problems[0].message
        assert client.version().version == "1.2.3"


def test_a_dry_run_writes_nothing(server: Daemon) -> None:
    """It says what would be; the next real apply creates."""
    with server.client() as client:
        assert client.apply([virtual_service()], dry_run=True).results[0].outcome == pb.OUTCOME_CREATED
        assert names(client.list()) == []
        client.apply([virtual_service()])
        assert client.delete([REVIEWS], dry_run=True).accepted
        assert names(client.list()) == ["reviews"]


def test_a_diff_shows_both_sides_of_what_differs(server: Daemon) -> None:
    """Unchanged objects are left out; a new one has no live side."""
    with server.client() as client:
        client.apply([virtual_service("a"), virtual_service("b")])
        answer = client.diff([virtual_service("a"), virtual_service("b", weight=50), virtual_service("c")])
        assert answer.accepted
        assert [diff.ref.name for diff in answer.diffs] == ["b", "c"]
        assert json.loads(answer.diffs[0].live.json)["spec"]["http"][0]["route"][0]["weight"] == 100
        assert json.loads(answer.diffs[0].proposed.json)["spec"]["http"][0]["route"][0]["weight"] == 50
        assert not answer.diffs[1].HasField("live")
        assert names(client.list()) == ["a", "b"]


def test_lists_are_narrowed_by_kind_namespace_and_labels(server: Daemon) -> None:
    """Each filter alone and with others."""
    with server.client() as client:
        client.apply([virtual_service("a", tier="front"), virtual_service("b", tier="back")])
        assert names(client.list("VirtualService", "default", "tier=back")) == ["b"]
        assert names(client.list("Gateway")) == []
        assert names(client.list(namespace="other")) == []
        assert names(client.list(selector="tier in (front,back)")) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "selector", "sentence"),
    [("Pod", "", 'there is no kind "Pod"; there are'), ("", "a>1", "is not a label selector")],
)
def test_a_wrong_question_is_refused(server: Daemon, kind: str, selector: str, sentence: str) -> None:
    """An unknown kind and a broken selector are the caller's mistakes."""
    with server.client() as client:
        with pytest.raises(ApiError, match=sentence) as caught:
            client.list(kind, selector=selector)
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_missing_object_refuses_a_deletion(server: Daemon) -> None:
    """Nothing is removed then; told to ignore it, the others are."""
    missing = ObjectRef("VirtualService", "default", "none")
    with server.client() as client:
        client.apply([virtual_service()])
        refused = client.delete([REVIEWS, missing])
        assert not refused.accepted
        assert [ref.name for ref in refused.missing] == ["none"]
        assert names(client.list()) == ["reviews"]
        assert client.delete([REVIEWS, missing], ignore_missing=True).accepted
        assert names(client.list()) == []


def test_a_watch_tells_what_is_there_and_what_changes(server: Daemon) -> None:
    """Added, a bookmark, then each change; an object that loses its label leaves the view."""
    with server.client() as client:
        client.apply([virtual_service("a", tier="front"), virtual_service("b")])
        watch = client.watch("VirtualService", selector="tier=front")
        seen = [next(watch), next(watch)]
        client.apply([virtual_service("b", tier="front")])
        seen.append(next(watch))
        client.apply([virtual_service("b", weight=10, tier="front")])
        seen.append(next(watch))
        client.apply([virtual_service("b")])
        seen.append(next(watch))
        client.delete([ObjectRef("VirtualService", "default", "a")])
        seen.append(next(watch))
        watch.close()
    told = [
        (
            pb.WatchResponse.Type.Name(each.type),
            json.loads(each.object.json)["metadata"]["name"] if each.object.json else "",
        )
        for each in seen
    ]
    assert told == [
        ("TYPE_ADDED", "a"),
        ("TYPE_BOOKMARK", ""),
        ("TYPE_ADDED", "b"),
        ("TYPE_MODIFIED", "b"),
        ("TYPE_DELETED", "b"),
        ("TYPE_DELETED", "a"),
    ]


def test_a_watch_ends_with_the_daemon(tmp_path: Path) -> None:
    """A client that watches is told that the daemon went away, and the daemon does not wait for it."""
    ended: list[ApiError] = []
    with daemon(tmp_path) as server:
        client = server.client()
        watch = client.watch()
        assert next(watch).type == pb.WatchResponse.TYPE_BOOKMARK

        def follow() -> None:
            try:
                next(watch)
            except ApiError as error:
                ended.append(error)

        follower = threading.Thread(target=follow)
        follower.start()
    follower.join(60)
    client.close()
    assert not follower.is_alive()
    assert [str(error) for error in ended] == [
        f"the daemon at {server.endpoint} ended the watch, as it stops"
    ]


def test_a_store_out_of_order_is_not_a_daemon_gone(server: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller hears that it is the store, and not that nobody answers."""

    async def fail(*_arguments: object, **_options: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(server.store, "range", fail)
    monkeypatch.setattr(server.store, "get", fail)
    monkeypatch.setattr(server.store, "txn", fail)
    with server.client() as client:
        with pytest.raises(ApiError, match=r"the store: the disk is full") as caught:
            client.list()
        assert not isinstance(caught.value, UnreachableError)


def test_a_fault_of_ours_is_logged_and_told_in_a_sentence(
    server: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets no traceback; the log has it, with the call."""

    def fail() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(server.health, "checks", fail)
    with (
        server.client() as client,
        pytest.raises(ApiError, match=r"ZeroDivisionError in the daemon; its log has"),
    ):
        client.status()
    line = json.loads(server.log.getvalue())
    assert (line["event"], line["method"]) == ("a call failed", "/xdsd.admin.v1.Daemon/Status")


def test_status_tells_readiness(server: Daemon) -> None:
    """Ready only if every part is."""
    server.health.parts = [Check("store", ok=True), Check("xds", ok=False, detail="not listening yet")]
    with server.client() as client:
        status = client.status()
    assert not status.ready
    assert status.checks[1].detail == "not listening yet"
    assert status.started.ToJsonString() == "2026-01-02T03:04:05Z"


def test_the_port_tells_what_it_serves(server: Daemon) -> None:
    """Reflection, for grpcurl and its like."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(server.endpoint) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=60)
    found = {service.name for service in answer.list_services_response.service}
    assert found >= {"xdsd.admin.v1.Objects", "xdsd.admin.v1.Proxies", "xdsd.admin.v1.Daemon"}


def test_the_way_past_the_door_is_the_owners_alone(server: Daemon) -> None:
    """Everybody may knock, and the kernel says who it is; gRPC's own socket stands where nobody else may go."""
    assert isinstance(server.address, UnixAddress)
    assert stat.S_IMODE(server.address.path.stat().st_mode) == 0o666
    (inside,) = (path for path in server.address.path.parent.iterdir() if path.is_dir())
    assert stat.S_IMODE(inside.stat().st_mode) == 0o700


def test_a_dead_daemons_socket_is_taken_over(tmp_path: Path) -> None:
    """What a killed daemon leaves does not keep the next from starting; one that lives does."""
    with daemon(tmp_path):
        with pytest.raises(OSError, match="another program listens there already"), daemon(tmp_path):
            pass
        (tmp_path / "admin.sock").rename(tmp_path / "old.sock")
    (tmp_path / "old.sock").rename(tmp_path / "admin.sock")
    with daemon(tmp_path) as server, server.client() as client:
        assert client.version().version == "1.2.3"


def test_a_socket_needs_a_folder(tmp_path: Path) -> None:
    """A missing one is named."""
    with (
        pytest.raises(OSError, match=f"there is no folder {tmp_path}/none; make it first"),
        daemon(tmp_path / "none"),
    ):
        pass


def test_tcp_is_served_on_loopback(tmp_path: Path) -> None:
    """A free port is chosen and told."""
    with daemon(tmp_path, TcpAddress("127.0.0.1", 0)) as server, server.client() as client:
        assert isinstance(server.address, TcpAddress)
        assert server.address.port > 0
        assert client.version().version == "1.2.3"
        with pytest.raises(OSError, match="it is in use"), daemon(tmp_path, server.address):
            pass


def test_tcp_beyond_loopback_is_refused_from_both_sides(tmp_path: Path) -> None:
    """Neither server nor client speaks plaintext over a network."""
    address = TcpAddress("192.0.2.1", 1)
    with (
        pytest.raises(
            ValueError, match=r"192\.0\.2\.1:1 can be reached from other machines; set admin-tls-cert"
        ),
        daemon(tmp_path, address),
    ):
        pass
    with pytest.raises(
        ApiError, match="is not on this machine, so it is spoken to over TLS alone; give the file"
    ):
        Client(address)


def test_a_missing_daemon_is_told_with_what_to_do(tmp_path: Path) -> None:
    """The endpoint that was tried, and how to start a daemon."""
    with Client(UnixAddress(tmp_path / "none.sock")) as client, pytest.raises(UnreachableError) as caught:
        client.version()
    assert str(caught.value) == (
        f"no daemon answers at unix:{tmp_path}/none.sock: there is no such socket\n"
        "Start one with `xdsd serve`, or say where it listens with --endpoint or XDSCTL_ENDPOINT."
    )


def test_too_large_a_request_is_refused_alone(server: Daemon) -> None:
    """Above the limit gRPC refuses the message; the next call is served."""
    with server.client() as client:
        with pytest.raises(ApiError, match="send less at once, or raise max-message-size"):
            client.apply([b" " * (65 << 20)])
        assert client.version().version == "1.2.3"
