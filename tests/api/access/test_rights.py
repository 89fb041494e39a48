"""What each role lets its users do, and where, over the whole admin API."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from aetcd import rpc

from api.access.caller import Role
from api.access_client import AccessClient
from api.client import ApiError, Client
from api.credentials import Credentials
from api.etcd_client import EtcdClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services
from tests.api.access.people import binding, sidecar, with_token
from tests.api.daemon import Daemon, daemon
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.settings import TcpAddress
from xdsd.snapshot import CLUSTER, SECRET, LayerChange, LayerId, Resource, SnapshotChange

A, B = ObjectRef("Sidecar", "a", "x"), ObjectRef("Sidecar", "b", "x")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with an object and a problem in each of two namespaces, and a problem of none."""
    with daemon(tmp_path, TcpAddress("127.0.0.1", 0), anonymous=None) as running:
        admin = with_token(running, "root", binding("admin"))
        with running.client(admin) as client:
            assert client.apply([sidecar("a"), sidecar("b")]).accepted
        running.mesh.found = [
            Problem(Reason.INVALID_VALUE, "in a", A),
            Problem(Reason.INVALID_VALUE, "in b", B),
            Problem(Reason.UNREADABLE_FILE, "of none"),
        ]
        yield running


def namespaces(objects: list[pb.Object]) -> list[str]:
    return [json.loads(each.json)["metadata"]["namespace"] for each in objects]


def refused(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert sentence in str(caught.value)


def history(client: Client, namespace: str = "") -> list[str]:
    answer = client.call(
        services.HistoryStub(client.channel).List,
        pb.ListHistoryRequest(namespace=namespace),
        pb.ListHistoryResponse,
    )
    return [record.ref.namespace for record in answer.records]


def test_an_editor_of_a_namespace_writes_there_alone(server: Daemon) -> None:
    """Objects of several namespaces are refused as a whole where one of them is not allowed."""
    with server.client(with_token(server, "alice", binding("editor", "a"))) as client:
        assert client.apply([sidecar("a", "y")]).accepted
        assert client.delete([ObjectRef("Sidecar", "a", "y")]).accepted
        sentence = "alice may not write objects in namespace b"
        refused(lambda: client.apply([sidecar("b", "y")]), sentence)
        refused(lambda: client.apply([sidecar("a", "y"), sidecar("b", "y")]), sentence)
        refused(lambda: client.apply([sidecar("b", "y")], dry_run=True), sentence)
        refused(lambda: client.delete([A, B]), sentence)
        refused(
            lambda: client.get(B), "alice may not read objects, their history and problems in namespace b"
        )
        refused(lambda: client.diff([sidecar("b", "y")]), "alice may not read")
        assert namespaces(list(client.list().objects)) == ["a"]
        rollback = pb.RollbackRequest(
            ref=pb.ObjectRef(kind="Sidecar", namespace="b", name="x"), revision=1, dry_run=True
        )
        stub = services.HistoryStub(client.channel)
        refused(lambda: client.call(stub.Rollback, rollback, pb.ApplyResponse), sentence)


def test_a_viewer_sees_its_namespaces_alone(server: Daemon) -> None:
    """Lists, watches, history and problems hold what it may read; asked for another namespace they are refused."""
    with server.client(with_token(server, "bob", binding("viewer", "a"))) as client:
        assert namespaces(list(client.list().objects)) == ["a"]
        assert namespaces(list(client.list(namespace="a").objects)) == ["a"]
        refused(lambda: client.list(namespace="b"), "in namespace b")
        watch = client.watch()
        seen = [next(watch), next(watch)]
        assert [each.type for each in seen] == [
            pb.WatchResponse.TYPE_ADDED,
            pb.WatchResponse.TYPE_BOOKMARK,
        ]
        watch.close()
        refused(lambda: next(client.watch(namespace="b")), "in namespace b")
        assert history(client) == ["a"]
        refused(lambda: history(client, "b"), "in namespace b")
        assert [problem.message for problem in client.problems()] == ["in a"]
        refused(lambda: client.problems("b"), "in namespace b")
        assert {problem.object.namespace for problem in client.analyze()} == {"a"}
        between = pb.DiffRevisionsRequest(from_revision=1)
        stub = services.HistoryStub(client.channel)
        found = client.call(stub.Diff, between, pb.DiffResponse).diffs
        assert [each.ref.namespace for each in found] == ["a"]
        refused(lambda: client.apply([sidecar("a")]), "bob may not write objects in namespace a")


def test_a_viewer_of_all_sees_everything_but_secrets(server: Daemon) -> None:
    """The daemon, its proxies and all problems; not the store as it is, nor who the users are."""
    with server.client(with_token(server, "carol", binding("viewer"))) as client:
        assert namespaces(list(client.list().objects)) == ["a", "b"]
        assert [problem.message for problem in client.problems()] == ["in a", "in b", "of none"]
        assert client.proxies() == []
        assert client.status().name == "one"
        refused(lambda: client.apply([sidecar("a")]), "carol may not write objects")
        refused(lambda: AccessClient(client).users(), "carol may not say who may do what")
        users = rpc.RangeRequest(key=b"/xdsd/access/", range_end=b"/xdsd/access0")
        refused(lambda: EtcdClient(client).range(users), "carol may not read private configuration")
        refused(lambda: list(EtcdClient(client).snapshot()), "carol may not")


def test_who_may_nothing_may_nothing(server: Daemon) -> None:
    """A user without roles learns who it is, and the daemon's version."""
    with server.client(with_token(server, "dave")) as client:
        assert AccessClient(client).whoami().name == "dave"
        assert client.version().version == "1.2.3"
        for call in (
            client.list,
            client.problems,
            client.analyze,
            client.proxies,
            client.registries,
            client.status,
            lambda: history(client),
            lambda: next(client.watch()),
            lambda: client.get(A),
            lambda: client.dump_config("x"),
            lambda: EtcdClient(client).leases(),
            lambda: EtcdClient(client).members(),
        ):
            refused(call, "dave may not")
        assert set(server.refused) == {"rights"}


def test_looking_at_proxies_is_of_no_namespace(server: Daemon) -> None:
    """What a proxy runs is put together from all of them; so is the list."""
    with server.client(with_token(server, "bob", binding("editor", "a"))) as client:
        refused(client.proxies, "bob may not look at proxies, registries and the daemon")
        refused(lambda: client.dump_config("x"), "bob may not look at proxies")
        assert client.status().ready


def test_secrets_of_a_proxy_are_an_admins(server: Daemon) -> None:
    """Asked for by their type they are refused, among all types they are left out."""
    layer = LayerId("secrets")
    resources = (Resource.of(SECRET, "default", b"\x0a\x07default"), Resource.of(CLUSTER, "a", b"\x0a\x01a"))
    server.mesh.snapshot.apply(
        SnapshotChange(1, (LayerChange(layer, resources),), assigned={"node": (layer,)})
    )
    with server.client(with_token(server, "carol", binding("editor"))) as client:
        refused(
            lambda: client.dump_config("node", SECRET), "carol may not read private configuration of proxies"
        )
        assert [each.name for each in client.dump_config("node").resources] == ["a"]
        assert [each.name for each in client.dump_config("node", CLUSTER).resources] == ["a"]
    with server.client(with_token(server, "boss", binding("admin"))) as client:
        assert [each.name for each in client.dump_config("node").resources] == ["a", "default"]
        assert [each.name for each in client.dump_config("node", SECRET).resources] == ["default"]


def test_only_an_admin_of_all_says_who_may_do_what(server: Daemon) -> None:
    """An admin of one namespace cannot give itself the others, in whatever way."""
    with server.client(with_token(server, "eve", binding("admin", "a"), binding("editor"))) as client:
        access, sentence = AccessClient(client), "eve may not say who may do what"
        for call in (
            access.users,
            lambda: access.add(pb.AddUserRequest(name="x")),
            lambda: access.delete("root"),
            lambda: access.update(pb.UpdateUserRequest(name="root", set_disabled=True, disabled=True)),
            lambda: access.issue_token("root"),
            lambda: access.revoke_token("root"),
            lambda: access.grant("eve", "admin", []),
            lambda: access.withdraw("root", "admin", []),
        ):
            refused(call, sentence)
        key = b"/xdsd/access/users/eve"
        refused(lambda: EtcdClient(client).put(rpc.PutRequest(key=key, value=b"{}")), "eve may not write")
        refused(lambda: EtcdClient(client).range(rpc.RangeRequest(key=key)), "eve may not read private")
        swap = rpc.TxnRequest(success=[rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=b"{}"))])
        refused(lambda: EtcdClient(client).txn(swap), "eve may not write")
        watch = EtcdClient(client).watch(rpc.WatchCreateRequest(key=b"/xdsd/", range_end=b"/xdsd0"))
        answer = next(watch)
        while not answer.canceled:
            answer = next(watch)
        assert "eve may not read private configuration" in answer.cancel_reason
        watch.close()
        # A watch that is refused ends no call, and is counted and logged all the same.
        assert server.told("a call is refused")[-1]["method"] == "/etcdserverpb.Watch/Watch"
        assert server.refused.count("rights") == len(server.told("a call is refused"))
        refused(lambda: list(EtcdClient(client).snapshot()), "eve may not")


@pytest.fixture
def access(server: Daemon) -> Iterator[AccessClient]:
    with server.client(with_token(server, "boss", binding("admin"))) as client:
        yield AccessClient(client)


def bound(user: pb.User) -> list[tuple[str, list[str]]]:
    return [(each.role, list(each.namespaces)) for each in user.bindings]


def test_roles_grow_and_shrink_by_namespaces(access: AccessClient) -> None:
    """Granted in more of them, or in all; withdrawn from some, or whole; nothing is withdrawn that is not there."""
    access.add(pb.AddUserRequest(name="alice"))
    assert bound(access.grant("alice", "editor", ["a"])) == [("editor", ["a"])]
    assert bound(access.grant("alice", "editor", ["c", "b"])) == [("editor", ["a", "b", "c"])]
    assert bound(access.grant("alice", "viewer", [])) == [("editor", ["a", "b", "c"]), ("viewer", [])]
    assert bound(access.withdraw("alice", "editor", ["b"])) == [("viewer", []), ("editor", ["a", "c"])]
    for role, where, sentence in (
        ("admin", [], "alice is no admin"),
        ("editor", ["a", "z"], "alice is no editor in z"),
        ("viewer", ["a"], "alice is viewer in all namespaces; withdraw it whole"),
        ("owner", [], "'owner' is no role; there are viewer, editor, admin"),
    ):
        with pytest.raises(ApiError, match=sentence):
            access.withdraw("alice", role, where)
    assert bound(access.grant("alice", "editor", [])) == [("viewer", []), ("editor", [])]
    assert bound(access.grant("alice", "editor", ["a"])) == [("viewer", []), ("editor", [])]
    assert bound(access.withdraw("alice", "editor", [])) == [("viewer", [])]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda access: access.add(pb.AddUserRequest(name="a/b")), "is no name of a user"),
        (lambda access: access.add(pb.AddUserRequest(name="boss")), "there is a user boss already"),
        (
            lambda access: access.add(pb.AddUserRequest(name="x", password="short")),
            "has 8 to 1024 characters",
        ),
        (
            lambda access: access.add(pb.AddUserRequest(name="x", password="y" * 1025)),
            "has 8 to 1024 characters",
        ),
        (lambda access: access.grant("boss", "editor", ["A b"]), "is no name of a namespace"),
        (lambda access: access.grant("nobody", "editor", []), "there is no user nobody"),
        (lambda access: access.delete("nobody"), "there is no user nobody"),
        (lambda access: access.issue_token("nobody"), "there is no user nobody"),
        (lambda access: access.issue_token("boss", -1), "at most ten years"),
        (lambda access: access.issue_token("boss", 1 << 62), "at most ten years"),
        (lambda access: access.issue_token("boss", 60, "x" * 300), "at most 253 characters"),
        (lambda access: access.revoke_token("boss", "12345678"), "the user boss has no token 12345678"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    access: AccessClient, call: Callable[[AccessClient], object], sentence: str
) -> None:
    """In a sentence, and nothing is changed."""
    before = list(access.users())
    with pytest.raises(ApiError, match=sentence):
        call(access)
    assert list(access.users()) == before


def test_a_dry_run_of_access_changes_nothing(access: AccessClient) -> None:
    """It answers as the write would."""
    before = list(access.users())
    assert access.add(pb.AddUserRequest(name="alice", dry_run=True)).name == "alice"
    assert bound(access.grant("boss", "viewer", [], dry_run=True)) == [("admin", []), ("viewer", [])]
    assert bound(access.withdraw("boss", "admin", [], dry_run=True)) == []
    assert not access.revoke_token("boss", dry_run=True).tokens
    assert access.update(
        pb.UpdateUserRequest(name="boss", set_disabled=True, disabled=True, dry_run=True)
    ).disabled
    access.delete("boss", dry_run=True)
    assert list(access.users()) == before
    with pytest.raises(ApiError, match="there is no user alice"):
        access.delete("alice", dry_run=True)


def test_a_token_works_at_once_and_not_after_it_is_revoked(server: Daemon, access: AccessClient) -> None:
    """One of two is taken back by its id; expired ones are forgotten when another is made."""
    access.add(pb.AddUserRequest(name="alice"))
    one, two = access.issue_token("alice", 60, "first"), access.issue_token("alice")
    assert one.info.HasField("expires")
    assert not two.info.HasField("expires")
    for issued in (one, two):
        with server.client(Credentials(token=issued.token)) as client:
            assert AccessClient(client).whoami().name == "alice"
    assert [each.id for each in access.revoke_token("alice", one.info.id).tokens] == [two.info.id]
    with server.client(Credentials(token=one.token)) as client, pytest.raises(ApiError, match="was revoked"):
        AccessClient(client).whoami()
    with server.client(Credentials(token=two.token)) as client:
        assert AccessClient(client).whoami().name == "alice"
    assert one.token[14:] not in server.log.getvalue()


def test_who_changed_a_user_is_logged(server: Daemon, access: AccessClient) -> None:
    """With what it was and what it is, from where, and without anything by which one is taken for it."""
    access.add(pb.AddUserRequest(name="alice", uids=[7], password="correct horse"))
    access.grant("alice", "editor", ["b", "a"])
    issued = access.issue_token("alice", 60, "of a script")
    access.update(pb.UpdateUserRequest(name="alice", set_password=True, password="another one"))
    access.delete("alice", dry_run=True)
    access.delete("alice")
    told = [line for line in server.told("a user is") if line["user"] == "alice"]
    assert [line["event"] for line in told] == [
        "a user is added",
        "a user is changed",
        "a user is changed",
        "a user is changed",
        "a user is deleted",
    ]
    assert {(line["who"], line["origin"]) for line in told} == {("boss", "127.0.0.1")}
    assert (told[1]["before"]["roles"], told[1]["after"]["roles"]) == ([], ["editor(a,b)"])
    assert told[2]["after"]["tokens"] == [issued.info.id]
    assert told[3]["password"] == "new"
    log = server.log.getvalue()
    for secret in (issued.token, issued.token[14:], "correct horse", "another one", "scrypt"):
        assert secret not in log


def test_what_nobody_may_is_told_to_somebody_without_a_name(tmp_path: Path) -> None:
    """No role can be granted to callers without credentials, so they are told to bring some."""
    with daemon(tmp_path, TcpAddress("127.0.0.1", 0), anonymous=Role.VIEWER) as server:  # noqa: SIM117
        with server.client() as client:
            assert list(client.list().objects) == []
            refused(
                lambda: client.apply([sidecar("a")]),
                "anonymous may not write objects in namespace a; give a token (--token-file) or a client certificate",
            )
