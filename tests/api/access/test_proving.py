"""Finding out who calls, apart from any wire."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from api.access.caller import Method, Role
from api.access.directory import PREFIX, Directory
from api.access.door import Peer
from api.access.proving import Prover, Unproven, UsersUnknown
from api.access.sessions import SESSION
from api.access.users import User, encode, hash_password, new_token
from storage.base import Unavailable
from storage.memory import MemoryStore
from tests.api.access.people import NOW, binding
from xdsd.settings import LogFormat, LogLevel
from xdsd.telemetry import make_logger
from xdsd.throttle import Throttle


@dataclass
class Call:
    """What gRPC knows of a call; Any, as its context is generic."""

    name: str = "ipv4:192.0.2.1:4711"
    metadata: tuple[tuple[str, str], ...] = ()
    auth: Mapping[str, list[bytes]] = field(default_factory=dict)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self.metadata

    def peer(self) -> str:
        return self.name

    def auth_context(self) -> Mapping[str, list[bytes]]:
        return self.auth


class Clock:
    """Seconds as a test says, of which sleepers wait none."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class World:
    prover: Prover
    store: MemoryStore
    clock: Clock
    tokens: dict[str, str]

    async def caller(self, call: Call) -> str:
        found: Any = call  # a context, as far as is asked
        return (await self.prover.caller(found)).name


@asynccontextmanager
async def world(*, anonymous: Role | None = None, follow: bool = True) -> AsyncIterator[World]:
    """alice has a token and a password, bob a uid, carol a certificate."""
    store, clock = MemoryStore(), Clock()
    text, token = new_token(NOW, None, "")
    for user in (
        User("alice", (binding("viewer"),), (token,), hash_password("correct horse")),
        User("bob", uids=(1234,)),
        User("carol", certificates=("spiffe://mesh/carol",)),
        User("dave", certificates=("carol",)),
    ):
        await store.put(f"{PREFIX}{user.name}".encode(), encode(user))
    directory = Directory(store, make_logger(LogFormat.JSON, LogLevel.INFO, io.StringIO()))
    task = asyncio.create_task(directory.run() if follow else asyncio.sleep(3600))
    peers = {"unix-abstract:bob": Peer(1, 1234, 0), "unix-abstract:root": Peer(1, 0, 0)}
    peers["unix-abstract:mallory"] = Peer(1, 4321, 0)
    try:
        if follow:
            await directory.synced()
        prover = Prover(directory, Throttle(clock, clock.sleep), clock, anonymous=anonymous, peer=peers.get)
        yield World(prover, store, clock, {"alice": text})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def tls(*names: str, common_name: str = "") -> dict[str, list[bytes]]:
    found = {"transport_security_type": [b"ssl"]}
    if names:
        found["x509_subject_alternative_name"] = [name.encode() for name in names]
    if common_name:
        found["x509_common_name"] = [common_name.encode()]
    return found


async def test_a_caller_is_known_by_what_it_proves() -> None:
    """A token before the socket's peer and the certificate; of a certificate its other names before the common one."""
    async with world() as found:
        bearer = (("authorization", f"Bearer {found.tokens['alice']}"),)
        for call, name in (
            (Call(metadata=bearer), "alice"),
            (Call("unix-abstract:bob", bearer), "alice"),
            (Call(metadata=bearer, auth=tls("spiffe://mesh/carol")), "alice"),
            (Call("unix-abstract:bob"), "bob"),
            (Call("unix-abstract:root"), "root"),
            (Call(auth=tls("spiffe://mesh/carol", common_name="dave")), "carol"),
            (Call(auth=tls("spiffe://mesh/none", common_name="carol")), "dave"),
        ):
            assert await found.caller(call) == name


async def test_who_proves_nothing_is_nobody() -> None:
    """Anonymous callers are let in over plaintext alone, and only where that is set."""
    async with world() as found:
        for call in (
            Call(),
            Call(auth=tls()),
            Call("unix:"),
            Call("unix-abstract:mallory"),
            Call(auth=tls("x")),
        ):
            with pytest.raises(Unproven):
                await found.caller(call)
    async with world(anonymous=Role.VIEWER) as found:
        assert await found.caller(Call("ipv4:127.0.0.1:1")) == "anonymous"
        for call in (Call(auth=tls()), Call(metadata=(("authorization", "x"),)), Call(auth=tls("x"))):
            with pytest.raises(Unproven):
                await found.caller(call)


async def test_who_is_disabled_is_told_so() -> None:
    """To whoever proves to be that user, and to nobody else: a token that only begins as its is an unknown one."""
    async with world() as found:
        for name in ("alice", "bob", "carol"):
            await found.prover.directory.change(name, lambda user: replace(user, disabled=True))
        token = found.tokens["alice"]
        for call, name in (
            (Call(metadata=(("authorization", f"Bearer {token}"),)), "alice"),
            (Call("unix-abstract:bob"), "bob"),
            (Call(auth=tls("spiffe://mesh/carol")), "carol"),
        ):
            with pytest.raises(Unproven, match=f"the user {name} is disabled; an admin can let it in again"):
                await found.caller(call)
        other = token[:-1] + ("A" if token[-1] != "A" else "E")
        with pytest.raises(Unproven, match="the token is not known"):
            await found.caller(Call(metadata=(("authorization", f"Bearer {other}"),)))


async def test_what_tls_was_asked_for_is_told() -> None:
    """A client may have given a certificate that the daemon never asked for, or one without a name."""
    async with world() as found:
        with pytest.raises(
            Unproven, match="Client certificates are not taken, as this daemon's admin-client-ca"
        ):
            await found.caller(Call(auth=tls()))
        with pytest.raises(Unproven, match="the client certificate has no name"):
            await found.caller(Call(auth={**tls(), "x509_pem_cert": [b"-----BEGIN"]}))


async def test_who_may_knock_is_asked_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, the daemon's own user, and users by their uid, once these are known."""
    monkeypatch.setattr("api.access.proving.STARTING", 0.05)
    async with world() as found:
        admitted = [
            uid for uid in (0, os.geteuid(), 1234, 4321) if await found.prover.admits(Peer(1, uid, 0))
        ]
        assert admitted == [0, os.geteuid(), 1234]
    async with world(follow=False) as found:
        assert await found.prover.admits(Peer(1, 0, 0))
        assert not await found.prover.admits(Peer(1, 1234, 0))


async def test_before_the_users_are_known_only_who_needs_none_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever runs the daemon can look at it while its store is away; a token is not refused, but asked again."""
    monkeypatch.setattr("api.access.proving.STARTING", 0.05)
    async with world(follow=False, anonymous=Role.VIEWER) as found:
        assert await found.caller(Call("unix-abstract:root")) == "root"
        assert await found.caller(Call()) == "anonymous"
        bearer = (("authorization", f"Bearer {found.tokens['alice']}"),)
        for call in (
            Call(metadata=bearer),
            Call("unix-abstract:root", bearer),
            Call("unix-abstract:bob"),
            Call(metadata=(("token", "x"),)),
            Call(auth=tls("spiffe://mesh/carol")),
        ):
            with pytest.raises(UsersUnknown, match="try again"):
                await found.caller(call)
        with pytest.raises(UsersUnknown):
            await found.prover.authenticate("alice", "correct horse", "x")
    assert found.clock.now == 0, "nobody was slowed for it"


async def test_a_call_waits_for_the_users_while_the_daemon_starts() -> None:
    """A client that is quicker than the store is not turned away."""
    async with world(follow=False) as found:
        bearer = (("authorization", f"Bearer {found.tokens['alice']}"),)
        call = asyncio.create_task(found.caller(Call(metadata=bearer)))
        following = asyncio.create_task(found.prover.directory.run())
        assert await asyncio.wait_for(call, 60) == "alice"
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_session_ends_when_nobody_uses_it() -> None:
    """Every call begins its time again, as in etcd."""
    async with world() as found:
        session = await found.prover.authenticate("alice", "correct horse", "x")
        call = Call(metadata=(("token", session),))
        for _ in range(3):
            found.clock.now += SESSION - 1
            assert await found.caller(call) == "alice"
        found.clock.now += SESSION
        with pytest.raises(Unproven, match="etcdserver: invalid auth token"):
            await found.caller(call)


async def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest makes room."""
    monkeypatch.setattr("api.access.sessions.MOST", 3)
    async with world() as found:
        made = [await found.prover.authenticate("alice", "correct horse", "x") for _ in range(4)]
        with pytest.raises(Unproven):
            await found.caller(Call(metadata=(("token", made[0]),)))
        assert await found.caller(Call(metadata=(("token", made[-1]),))) == "alice"


@pytest.mark.parametrize(
    ("peers", "slowed"),
    [
        (["ipv4:192.0.2.1:1", "ipv4:192.0.2.1:2"], True),
        (["ipv4:192.0.2.1:1", "ipv4:192.0.2.2:1"], False),
        (["ipv6:%5B2001:db8::1%5D:1", "ipv6:%5B2001:db8::2%5D:1"], True),
        (["ipv6:[2001:db8::1]:1", "ipv6:[2001:db8::2]:1"], True),
        (["ipv6:[2001:db8::1]:1", "ipv6:[2001:db8:0:1::1]:1"], False),
        (["ipv6:[::ffff:192.0.2.1]:1", "ipv6:[::ffff:192.0.2.2]:1"], False),
        (["ipv6:[::ffff:192.0.2.1]:1", "ipv4:192.0.2.1:1"], True),
        (["ipv6:[fe80::1%25eth0]:1", "ipv6:[fe80::2%25eth0]:1"], True),
    ],
)
async def test_an_origin_is_an_address_or_a_network(peers: list[str], slowed: bool) -> None:
    """Whoever has one IPv6 address has 2^64 of them, and a connection more is no other origin."""
    async with world() as found:
        for peer in peers:
            with pytest.raises(Unproven):
                await found.caller(Call(peer, (("authorization", "Bearer x"),)))
        assert (found.clock.now > 0) is slowed


async def test_the_method_is_told() -> None:
    """For records and for whoami."""
    async with world() as found:
        session = await found.prover.authenticate("alice", "correct horse", "x")
        calls: list[tuple[Any, Method]] = [
            (Call(metadata=(("authorization", f"Bearer {found.tokens['alice']}"),)), Method.TOKEN),
            (Call(metadata=(("token", session),)), Method.PASSWORD),
            (Call("unix-abstract:bob"), Method.UNIX),
            (Call(auth=tls("spiffe://mesh/carol")), Method.CERTIFICATE),
        ]
        for call, method in calls:
            assert (await found.prover.caller(call)).method is method


async def test_a_store_that_went_away_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was known is known."""
    async with world() as found:

        async def failing(*_arguments: object, **_options: object) -> None:
            raise Unavailable("cut off")

        for name in ("range", "get", "txn"):
            monkeypatch.setattr(found.store, name, failing)
        assert await found.caller(Call("unix-abstract:bob")) == "bob"
