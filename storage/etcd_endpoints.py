"""The members of an etcd cluster as we reach them: one channel each, and which of them is asked next.

A call goes to the member that answered last, and moves on when that fails. What may have been done is never asked for again
unless it only reads: a write whose fate is unknown ends in ``Unavailable``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from aetcd import rpc

from storage.base import Denied, Unavailable
from storage.etcd_credentials import EtcdTls, EtcdTlsFiles, password_of
from storage.etcd_errors import Fate, fate, reason, refusal

Message = Any  # aetcd's generated messages carry no type information
Metadata = tuple[tuple[str, str], ...]

_CHANNEL = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Whatever its name says: the time in which a connection has to be made, handshakes included.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # etcd closes connections that ping more often than every 5 seconds, or without calls.
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 3000),
    # Pings of all kinds have a time of their own, a minute, and the one for keepalive waits behind them.
    ("grpc.http2.ping_timeout_ms", 3000),
    ("grpc.http2.max_pings_without_data", 0),
)
_NEEDS_LEADER: Metadata = (("hasleader", "true"),)
_BREATH = 0.1


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """Where etcd is and who we are to it.

    ``deadline`` and ``patience`` are seconds: how long a call may take, and how long a watch that cannot reach etcd waits
    before it says so. ``probe`` is a key that we may read. Files (``EtcdTlsFiles``, a password that is a path) are read
    again when they are needed again, so they may be replaced.
    """

    endpoints: tuple[tuple[str, int], ...]
    tls: EtcdTls | EtcdTlsFiles | None = None
    user: str = ""
    password: str | Path = field(default="", repr=False)
    deadline: float = 5.0
    patience: float = 5.0
    probe: bytes = b"\0"


@dataclass(frozen=True, slots=True)
class Member:
    """A member's address, its channel and the stubs on it."""

    address: str
    channel: grpc.aio.Channel
    kv: Message
    watch: Message
    lease: Message
    maintenance: Message
    cluster: Message
    auth: Message


class Endpoints:
    """All members."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings
        tls = settings.tls.read() if isinstance(settings.tls, EtcdTlsFiles) else settings.tls
        self._members = [_member(host, port, tls) for host, port in settings.endpoints]
        self._used = [tls] * len(self._members)
        self._doubted: set[int] = set()
        self._retired: list[Member] = []
        self._current = 0
        self._token: Metadata = ()
        self._proving = asyncio.Lock()
        self.closed = False

    async def pick(self) -> Member:
        """The member that answered last; one that failed is reached with the files as they are now."""
        index = self._current
        if index in self._doubted:
            self._doubted.discard(index)
            await self._refresh(index)
        return self._members[index]

    def leave(self, member: Member) -> None:
        """After a failure: asks the next one from now on, if ``member`` is the one that is asked."""
        if self._members[self._current] is member:
            self._doubted.add(self._current)
            self._current = (self._current + 1) % len(self._members)

    async def call(
        self, ask: Callable[[Member, Metadata, float], Awaitable[Message]], *, reads: bool, once: bool = False
    ) -> Message:
        """What a member answers. ``ask`` is given the seconds that it has; ``once`` is to ask no member again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.deadline
        proved = False
        why: dict[str, str] = {}
        while True:
            if self.closed:
                raise Unavailable("the store is closed")
            member = await self.pick()
            metadata: Metadata = ()
            try:
                metadata = await self.credentials(member, self._share(until - loop.time()))
                left = until - loop.time()
                return await ask(member, metadata, self._share(left) if reads else left)
            except grpc.aio.AioRpcError as error:
                why[member.address] = reason(error)
                found = fate(error)
                if found is Fate.REFUSED:
                    raise refusal(error) from error
                if found is Fate.STALE_TOKEN:
                    if proved:
                        raise Denied("etcd does not take the token that it has just given us") from error
                    proved = True
                    self.forget_token(metadata)
                    continue
                self.leave(member)
                if found is Fate.UNKNOWN and metadata and not reads:
                    raise Unavailable(f"{_told(why)}; what was written may have been done, or not") from error
            except TimeoutError:
                why[member.address] = "it does not answer"
                self.leave(member)
            except grpc.aio.UsageError:  # the channel was closed meanwhile
                raise Unavailable("the store is closed") from None
            if loop.time() + _BREATH > until or (once and len(why) == len(self._members)):
                raise Unavailable(_told(why))
            await asyncio.sleep(_BREATH)

    def _share(self, left: float) -> float:
        """The seconds that one member has, so that another can be asked after it."""
        return left if len(self._members) == 1 else max(left / 2, 0.2)

    async def credentials(self, member: Member, seconds: float) -> Metadata:
        """What goes with each call: that we need a leader, and who we are. Raises AioRpcError, TimeoutError, Denied."""
        if not self._settings.user:
            return _NEEDS_LEADER
        # The wait for one who proves it already counts too: else many would wait for a silent member in turn.
        async with asyncio.timeout(seconds), self._proving:
            if not self._token:
                try:
                    answer = await member.auth.Authenticate(await self._proof(), timeout=seconds)
                except grpc.aio.AioRpcError as error:
                    if "authentication is not enabled" not in (error.details() or ""):
                        raise
                    return _NEEDS_LEADER
                self._token = (("token", answer.token),)
        return (*_NEEDS_LEADER, *self._token)

    async def _proof(self) -> Message:
        password = await asyncio.to_thread(password_of, self._settings.password)
        return rpc.AuthenticateRequest(name=self._settings.user, password=password)

    def forget_token(self, used: Metadata = ()) -> None:
        """Proves anew who we are with the next call, unless that was done since ``used``."""
        if not used or used[-1:] == self._token:
            self._token = ()

    async def close(self) -> None:
        """Ends all channels; safe to call twice."""
        self.closed = True
        await asyncio.gather(*(member.channel.close(None) for member in (*self._members, *self._retired)))

    async def _refresh(self, index: int) -> None:
        """A new channel to a member, if the files have changed since the old one was made."""
        if not isinstance(self._settings.tls, EtcdTlsFiles):
            return
        try:
            tls = await asyncio.to_thread(self._settings.tls.read)
        except Denied:
            return  # they are being replaced: what was read last holds
        if tls != self._used[index]:
            self._retired.append(self._members[index])
            self._members[index] = _member(*self._settings.endpoints[index], tls)
            self._used[index] = tls


def _member(host: str, port: int, tls: EtcdTls | None) -> Member:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if tls is None:
        channel = grpc.aio.insecure_channel(address, options=_CHANNEL)
    else:
        credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.cert)
        channel = grpc.aio.secure_channel(address, credentials, options=_CHANNEL)
    return Member(
        address,
        channel,
        kv=rpc.KVStub(channel),
        watch=rpc.WatchStub(channel),
        lease=rpc.LeaseStub(channel),
        maintenance=rpc.MaintenanceStub(channel),
        cluster=rpc.ClusterStub(channel),
        auth=rpc.AuthStub(channel),
    )


def _told(why: dict[str, str]) -> str:
    """Which members were asked and what became of it, in a sentence."""
    return "no etcd answers: " + "; ".join(f"{address}: {words}" for address, words in sorted(why.items()))
