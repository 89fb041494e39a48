"""Who is let in, who is turned away, and what is left of it in the log and the metrics."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import grpc
import pytest
from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as etcd_services
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from api.access.users import User, hash_password
from api.client import ApiError
from api.credentials import Credentials
from api.etcd_client import EtcdClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.api.access.people import binding, call, code, plain_channel, sidecar, with_token
from tests.api.daemon import Daemon, daemon
from tests.lab.eventually import eventually
from xdsd.settings import TcpAddress

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"  # what a guess is made of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on loopback, where nothing is allowed without credentials."""
    with daemon(tmp_path, TcpAddress("127.0.0.1", 0), anonymous=None) as running:
        yield running


def refusal(server: Daemon, *metadata: tuple[str, str]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call(server, *metadata)
    assert code(caught.value) is grpc.StatusCode.UNAUTHENTICATED
    return str(caught.value.details())


def test_a_token_makes_a_caller_its_user(server: Daemon) -> None:
    """However the scheme is written."""
    alice = with_token(server, "alice", binding("viewer"))
    for header in (f"Bearer {alice.token}", f"bearer {alice.token}", f"BEARER   {alice.token} "):
        assert call(server, ("authorization", header)) == "alice"
    assert server.refused == []


@pytest.mark.parametrize(
    ("metadata", "reason", "sentence"),
    [
        ((), "no credentials", "who calls is not known: give a token"),
        ((("authorization", ""),), "malformed credentials", "is not Bearer and a token"),
        ((("authorization", "Bearer"),), "malformed credentials", "is not Bearer and a token"),
        ((("authorization", "Bearer  "),), "malformed credentials", "is not Bearer and a token"),
        ((("authorization", SECRET),), "malformed credentials", "is not Bearer and a token"),
        ((("authorization", f"Basic {SECRET}"),), "malformed credentials", "is not Bearer and a token"),
        ((("authorization", f"Bearer{SECRET}"),), "malformed credentials", "is not Bearer and a token"),
        ((("authorization", f"Bearer {SECRET}"),), "unknown token", "the token is not known, or was revoked"),
        (
            (("authorization", f"Bearer xdsd_12345678_{SECRET}"),),
            "unknown token",
            "is not known, or was revoked",
        ),
        ((("authorization", "Bearer " + SECRET * 100),), "unknown token", "is not known, or was revoked"),
        ((("authorization", "Bearer a b c"),), "unknown token", "is not known, or was revoked"),
        ((("token", SECRET),), "unknown session", "etcdserver: invalid auth token"),
    ],
)
def test_every_refusal_is_counted_and_logged_without_the_secret(
    server: Daemon, metadata: tuple[tuple[str, str], ...], reason: str, sentence: str
) -> None:
    """The reason, the method and where it came from; nothing of what was presented, nor in what the caller hears."""
    with_token(server, "alice", binding("admin"))
    said = refusal(server, *metadata)
    assert sentence in said
    assert server.refused == [reason]
    (line,) = server.told("refused")
    assert line["event"] == "a caller is refused"
    assert (line["method"], line["origin"], line["why"]) == (
        "/xdsd.admin.v1.Access/WhoAmI",
        "127.0.0.1",
        reason,
    )
    for seen in (server.log.getvalue(), said):
        assert SECRET[:20] not in seen


def test_a_huge_token_is_refused_and_harms_nobody(server: Daemon) -> None:
    """gRPC takes no such metadata; the next caller is served."""
    alice = with_token(server, "alice")
    with pytest.raises(grpc.RpcError):
        call(server, ("authorization", "Bearer " + "a" * (1 << 20)))
    assert call(server, ("authorization", f"Bearer {alice.token}")) == "alice"


def test_an_expired_token_says_so_to_whoever_has_it(server: Daemon) -> None:
    """Whose it was is told with what to do; a wrong token of the same id is just not known."""
    alice = with_token(server, "alice", expires=timedelta(seconds=-1))
    assert refusal(server, ("authorization", f"Bearer {alice.token}")) == (
        "the token has expired; make another with xdsctl user token alice"
    )
    assert "not known" in refusal(server, ("authorization", f"Bearer {alice.token[:-1]}"))
    assert server.refused == ["expired token", "unknown token"]
    assert alice.token[14:] not in server.log.getvalue()


def test_every_service_is_guarded(server: Daemon) -> None:
    """Reflection too; only etcd's Authenticate can be called by who is not known."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with plain_channel(server) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.RpcError, match="who calls is not known"):
            list(stub.ServerReflectionInfo(iter([request]), timeout=60))
        alice = ("authorization", f"Bearer {with_token(server, 'alice').token}")
        (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=60, metadata=[alice])
        names = {each.name for each in answer.list_services_response.service}
        for name in sorted(names - {"grpc.reflection.v1alpha.ServerReflection"}):
            described = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
            (answer,) = stub.ServerReflectionInfo(iter([described]), timeout=60, metadata=[alice])
            pool = [
                FileDescriptorProto.FromString(each)
                for each in answer.file_descriptor_response.file_descriptor_proto
            ]
            (service,) = [each for file in pool for each in file.service if name.endswith(each.name)]
            for method in service.method:
                path = f"/{name}/{method.name}"
                if path == "/etcdserverpb.Auth/Authenticate":
                    continue
                call = channel.stream_stream(path, None, None)(iter([b""]), timeout=60)
                with pytest.raises(grpc.RpcError) as caught:
                    list(call)
                assert code(caught.value) is grpc.StatusCode.UNAUTHENTICATED, path
    assert len(server.refused) > 40
    assert set(server.refused) == {"no credentials"}


def test_a_wrong_token_is_nobody_even_where_everybody_is_let_in(tmp_path: Path) -> None:
    """Credentials that do not hold are no less than a refusal, on loopback and on the Unix socket alike."""
    for address in (TcpAddress("127.0.0.1", 0), None):
        with daemon(tmp_path, address) as server:
            assert call(server) in {"anonymous", "root"}
            refusal(server, ("authorization", "Bearer nonsense"))
            refusal(server, ("authorization", "nonsense"))


def test_a_call_that_is_not_allowed_is_counted_and_logged(server: Daemon) -> None:
    """With who called, what was called, and what would allow it."""
    alice = with_token(server, "alice", binding("viewer"))
    with (
        server.client(alice) as client,
        pytest.raises(ApiError, match="alice may not write objects") as caught,
    ):
        client.apply([sidecar()])
    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert server.refused == ["rights"]
    (line,) = server.told("a call is refused")
    assert (line["who"], line["method"]) == ("alice", "/xdsd.admin.v1.Objects/Apply")


def test_a_user_who_is_deleted_is_refused_on_the_connection_it_has(server: Daemon) -> None:
    """Nothing is remembered between two calls of a connection: neither who called, nor what it may do."""
    alice = with_token(server, "alice", binding("viewer"))
    bob = with_token(server, "bob", binding("viewer"))
    with plain_channel(server) as channel:
        for credentials, name in ((alice, "alice"), (bob, "bob"), (alice, "alice")):
            header = ("authorization", f"Bearer {credentials.token}")
            assert call(server, header, channel=channel) == name
        with pytest.raises(grpc.RpcError):
            call(server, channel=channel)
        server.run(server.directory.remove("alice"))
        with pytest.raises(grpc.RpcError) as caught:
            call(server, ("authorization", f"Bearer {alice.token}"), channel=channel)
        assert code(caught.value) is grpc.StatusCode.UNAUTHENTICATED
        assert call(server, ("authorization", f"Bearer {bob.token}"), channel=channel) == "bob"


@pytest.mark.parametrize(
    "change",
    [
        lambda user: replace(user, disabled=True),
        lambda user: replace(user, tokens=()),
        lambda user: replace(user, bindings=(binding("viewer", "a"),)),
        None,
    ],
    ids=["disabled", "token revoked", "fewer rights", "deleted"],
)
@pytest.mark.parametrize("kind", ["objects", "etcd"])
def test_a_stream_ends_with_the_right_to_it(
    server: Daemon, kind: str, change: Callable[[User], User] | None
) -> None:
    """A watch that waits is ended at once when its user is changed, and says why; it is counted and logged."""
    alice = with_token(server, "alice", binding("admin"))
    with server.client(alice) as client:
        if kind == "objects":
            watch = client.watch()
            assert next(watch).type == pb.WatchResponse.TYPE_BOOKMARK
        else:
            watch = EtcdClient(client).watch(
                rpc.WatchCreateRequest(key=b"/xdsd/objects/", range_end=b"/xdsd/objects0")
            )
            assert next(watch).created  # type: ignore[attr-defined]  # etcd's message here
        if change:
            server.run(server.directory.change("alice", change))
        else:
            server.run(server.directory.remove("alice"))
        with pytest.raises(
            ApiError, match=r"is not known, or was revoked|has changed; call again|is disabled"
        ) as caught:
            next(watch)
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert server.refused == ["lapsed"]


class Later(datetime):
    """An hour has passed."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(hours=1)


def test_a_stream_ends_when_its_token_expires(server: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody changes the user then, so it is asked from time to time."""
    monkeypatch.setattr("api.access.proving.RECHECK", 0.1)
    alice = with_token(server, "alice", binding("viewer"), expires=timedelta(hours=1))
    with server.client(alice) as client:
        watch = client.watch()
        assert next(watch).type == pb.WatchResponse.TYPE_BOOKMARK
        monkeypatch.setattr("api.access.proving.datetime", Later)
        with pytest.raises(ApiError, match="the token has expired"):
            next(watch)


def test_a_stream_goes_on_when_others_change(server: Daemon) -> None:
    """And its watcher goes with it: nothing is left when it ended."""
    alice, root = with_token(server, "alice", binding("viewer")), with_token(server, "root", binding("admin"))
    with server.client(alice) as client, server.client(root) as admin:
        watch = client.watch()
        assert next(watch).type == pb.WatchResponse.TYPE_BOOKMARK
        with_token(server, "bob", binding("viewer"))
        server.run(server.directory.remove("bob"))
        assert admin.apply([sidecar()]).accepted
        assert next(watch).type == pb.WatchResponse.TYPE_ADDED
        watch.close()

    async def watchers() -> list[str]:
        return [each.get_name() for each in asyncio.all_tasks() if each.get_name() == "caller of a stream"]

    async def gone() -> None:
        await eventually(
            lambda: not [each for each in asyncio.all_tasks() if each.get_name() == "caller of a stream"]
        )

    server.run(gone())
    assert server.run(watchers()) == []


def with_password(server: Daemon, name: str, password: str) -> None:
    server.run(server.directory.add(User(name, (binding("admin"),), password=hash_password(password))))


def authenticate(channel: grpc.Channel, name: str, password: str, timeout: float = 60) -> str:
    request = rpc.AuthenticateRequest(name=name, password=password)
    return str(etcd_services.AuthStub(channel).Authenticate(request, timeout=timeout).token)


def test_a_password_gives_a_session_until_it_changes(server: Daemon) -> None:
    """As etcd's clients want it; with another password, or none, or a disabled user, the session is over."""
    with_password(server, "alice", "correct horse")
    with plain_channel(server) as channel:
        session = authenticate(channel, "alice", "correct horse")
        assert call(server, ("token", session), channel=channel) == "alice"
        server.run(
            server.directory.change(
                "alice", lambda user: replace(user, password=hash_password("another one"))
            )
        )
        with pytest.raises(grpc.RpcError, match="invalid auth token"):
            call(server, ("token", session), channel=channel)
        session = authenticate(channel, "alice", "another one")
        server.run(server.directory.change("alice", lambda user: replace(user, disabled=True)))
        with pytest.raises(grpc.RpcError, match="invalid auth token"):
            call(server, ("token", session), channel=channel)
        with pytest.raises(grpc.RpcError, match="invalid user ID or password"):
            authenticate(channel, "alice", "another one")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong horse battery"),
        ("alice", ""),
        ("alice", "x" * 100_000),
        ("nobody", "correct horse"),
        ("", ""),
        ("../alice", "correct horse"),
        ("a" * 100_000, "correct horse"),
    ],
)
def test_a_wrong_password_tells_nothing(server: Daemon, name: str, password: str) -> None:
    """Whether there is such a user is not to be heard, and the password is nowhere to be read."""
    with_password(server, "alice", "correct horse")
    with plain_channel(server) as channel, pytest.raises(grpc.RpcError) as caught:
        authenticate(channel, name, password)
    assert caught.value.details() == "authentication failed, invalid user ID or password"
    assert server.refused == ["wrong password"]
    assert "horse" not in server.log.getvalue()


@pytest.mark.alone
def test_guesses_that_come_at_once_take_turns(server: Daemon) -> None:
    """Of forty guesses in parallel a handful is looked at in five seconds, many are refused, and who knows is not slowed."""
    with_password(server, "alice", "correct horse")
    bob = with_token(server, "bob", binding("viewer"))
    start = time.monotonic()
    heard: list[str] = []
    done = threading.Event()

    def guess(number: int) -> None:
        with plain_channel(server) as channel:
            try:
                authenticate(channel, "alice", f"guess number {number}", timeout=5)
            except grpc.RpcError as error:
                heard.append(f"{code(error).name} {error.details()}")

    with ThreadPoolExecutor(40) as pool:
        guesses = [pool.submit(guess, number) for number in range(40)]
        with plain_channel(server) as channel:
            while not done.is_set():
                before = time.monotonic()
                assert call(server, ("authorization", f"Bearer {bob.token}"), channel=channel) == "bob"
                assert time.monotonic() - before < 5
                if all(each.done() for each in guesses):
                    done.set()
    assert time.monotonic() - start < 60
    assert 1 <= server.refused.count("wrong password") <= 8
    assert server.refused.count("too many attempts") >= 25
    assert any("too many failed attempts; try again in" in each for each in heard)
    assert "guess number" not in server.log.getvalue()


def test_refusals_do_not_reach_the_metrics_with_secrets(server: Daemon) -> None:
    """Reasons are few words of ours: nothing a caller sends makes a new one."""
    for header in (f"Bearer {SECRET}", SECRET, f"Basic {SECRET}"):
        refusal(server, ("authorization", header))
    assert set(server.refused) == {"unknown token", "malformed credentials"}


def test_the_credentials_of_a_client_are_not_printed() -> None:
    """A traceback that shows them shows no secret."""
    assert SECRET not in repr(Credentials(token=SECRET))
