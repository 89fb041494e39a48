"""The server: its port, its sessions, and the news that goes round among them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from xdsd.ca.standing import Standing
from xdsd.model.identity import StreamIdentity
from xdsd.model.secret import SecretStatus
from xdsd.protocol.commands import Close, Code
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.observer import Observer, Unobserved
from xdsd.protocol.sender import Dialect
from xdsd.protocol.stream import Stream
from xdsd.protocol.watch import TypeStatus
from xdsd.protocol.wire import RequestCache
from xdsd.server import standings
from xdsd.server.gate import Gate, Guard
from xdsd.server.house import Attendant, House, Logger
from xdsd.server.mesh import Mesh
from xdsd.server.quotas import Account, Limit, OverLimit, Quotas
from xdsd.server.secrets import SecretSource
from xdsd.server.services import Method, Serve, handlers, methods
from xdsd.server.session import Session
from xdsd.server.settings import ServerSettings
from xdsd.server.status import ProxyStatus
from xdsd.snapshot import SnapshotChange

RECHECK = 5.0
"""Seconds between two looks at whether the proofs of streams have expired."""


class XdsServer:
    """Made within a running event loop. The owner of ``mesh`` calls ``published`` after each change of its snapshot."""

    def __init__(
        self,
        mesh: Mesh,
        log: Logger,
        observer: Observer | None = None,
        settings: ServerSettings = ServerSettings(),  # noqa: B008 - immutable
        gate: Gate | None = None,
        secrets: SecretSource | None = None,
        attendant: Attendant | None = None,
    ) -> None:
        self._gate = gate
        self.exchange = Exchange(mesh.snapshot)
        self._settings = settings
        self._observer = observer or Unobserved()
        self._loop = asyncio.get_running_loop()
        quotas = Quotas(settings.allowance, self._loop.time)
        self._house = House(mesh, self._observer, log, settings.streams_a_node, quotas, secrets, attendant)
        self._cache = RequestCache(settings.limits.name_bytes)
        self._sessions: dict[Stream, Session] = {}
        self._news: dict[Stream, None] = {}
        self._going_round = False
        self._joins = 0
        services = {method.service for method in methods()}
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack it
        self._server = self._made(grpc.aio.server(options=settings.channel_options()), self._serve_anybody)
        self._themselves = {*services, health.SERVICE_NAME}
        self._secure: grpc.aio.Server | None = None
        if gate is not None:
            guard = Guard(gate, self._themselves)
            secure = grpc.aio.server(options=settings.channel_options(), interceptors=(guard,))
            self._secure = self._made(secure, self._serve_proven)
        reflection.enable_server_reflection(
            (*sorted(services), health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    def listen(self, address: str) -> int:
        """Binds ``host:port`` or ``unix:path`` in plaintext before ``start``, for whoever can reach it: nothing that is
        served there is a secret. Returns the port; raises RuntimeError if it is taken.
        """
        return self._server.add_insecure_port(address)

    def listen_tls(self, address: str, credentials: grpc.ServerCredentials) -> int:
        """The same over TLS, for those who prove an identity to the gate."""
        if self._secure is None:
            raise AssertionError("there is no gate")
        return self._secure.add_secure_port(address, credentials)

    def also_serve(self, handler: Any) -> None:
        """Another service of all ports: a generic handler of gRPC's, of calls without streams; before ``start``. Over TLS
        those alone reach it who prove an identity.
        """
        for server in self._servers():
            server.add_generic_rpc_handlers((handler,))

    def also_serve_tls(self, service: str, handler: Any) -> None:
        """Another service of the TLS ports alone, which asks the gate itself."""
        if self._secure is None:
            raise AssertionError("there is no gate")
        self._themselves.add(service)
        self._secure.add_generic_rpc_handlers((handler,))

    async def start(self) -> None:
        for server in self._servers():
            await server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> None:
        """Drains: no new connections, a GOAWAY on the old ones, and after ``grace`` seconds the streams end."""
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(grace) for server in self._servers()))

    async def watch_proofs(self, *changes: Callable[[], asyncio.Event]) -> None:
        """Ends streams whose proof no longer holds, until cancelled: at once when one of these changes, and some seconds
        after a token or a certificate has expired.
        """
        while True:
            waiting = [asyncio.ensure_future(change().wait()) for change in changes]
            try:
                await self.recheck()
                await asyncio.wait(waiting, timeout=RECHECK, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()

    async def recheck(self) -> None:
        """Ends streams whose proof no longer holds; lets others have the loop now and then."""
        for number, session in enumerate(list(self._sessions.values()), 1):
            identity = session.stream.identity
            if self._gate is not None and identity is not None and (why := self._gate.lapsed(identity)):
                session.end(Close(Code.UNAUTHENTICATED, why))
            if number % self._settings.slice == 0:
                await asyncio.sleep(0)

    def published(self, change: SnapshotChange, seen: float | None = None) -> None:
        """The snapshot has taken ``change`` in, whose first cause was ``seen`` at this time of the loop's clock."""
        now = self._loop.time()
        concerned = self.exchange.publish(change, now if seen is None else seen)
        self._news.update(dict.fromkeys(concerned))
        if self._news and not self._going_round:
            self._going_round = True
            self._go_round()

    def status(self) -> tuple[ProxyStatus, ...]:
        """Every stream that has said whose it is."""
        now = self._loop.time()
        return tuple(
            _status(session, now) for session in self._sessions.values() if session.stream.node is not None
        )

    def secrets(self, key: str) -> tuple[SecretStatus, ...]:
        """What may be known of the secrets that the streams of a node (``Node.key``) were given."""
        return tuple(
            each
            for session in self._sessions.values()
            if session.stream.node is not None and session.stream.node.key == key
            for each in session.secrets()
        )

    def standings(self, daemon: str, turn: int) -> Iterator[Standing]:
        """How far the proxies of this daemon are with the roots at a turn of theirs, one a stream."""
        for session in list(self._sessions.values()):
            found = standings.standing(session, daemon, turn)
            if found is not None:
                yield found

    def rejected(self, type_url: str) -> int:
        """How many resources of a type some connected proxy rejects now."""
        return len(
            {
                name
                for stream in self._sessions
                for watch in stream.watches
                if watch.type_url == type_url and watch.rejected
                for name in watch.rejected
            }
        )

    def forget(self) -> None:
        """Housekeeping, for idle moments: lets the snapshot forget removals that every stream has been told."""
        self.exchange.forget()

    def _go_round(self) -> None:
        """Tells some streams the news, then lets others have the loop."""
        for _ in range(min(self._settings.slice, len(self._news))):
            stream = next(iter(self._news))
            del self._news[stream]
            session = self._sessions.get(stream)
            if session is not None:
                session.published()
        if self.exchange.joins != self._joins:
            self._observer.joined(self.exchange.joins - self._joins)
            self._joins = self.exchange.joins
        if self._news:
            self._loop.call_soon(self._go_round)
        else:
            self._going_round = False

    def _made(self, server: grpc.aio.Server, serve: Serve) -> grpc.aio.Server:
        server.add_generic_rpc_handlers(tuple(handlers(serve)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    def _servers(self) -> Sequence[grpc.aio.Server]:
        return [server for server in (self._server, self._secure) if server is not None]

    async def _serve_anybody(self, method: Method, context: Any) -> None:
        await self._serve(method, context, None)

    async def _serve_proven(self, method: Method, context: Any) -> None:
        if self._gate is None:
            raise AssertionError("there is no gate")
        await self._serve(method, context, await self._gate.admit(context, lasting=True))

    async def _serve(self, method: Method, context: Any, identity: StreamIdentity | None) -> None:
        account = await self._admit(context, identity)
        stream = Stream(
            self.exchange,
            method.dialect,
            method.type_url,
            self._settings.timing,
            self._settings.limits,
            identity,
        )
        parse = self._cache.delta if method.dialect is Dialect.DELTA else self._cache.sotw
        session = self._sessions[stream] = Session(self._house, context, stream, parse, account)
        self._observer.opened()
        try:
            await session.run()
        finally:
            del self._sessions[stream]

    async def _admit(self, context: Any, identity: StreamIdentity | None) -> Account | None:
        """The account of a stream that proved whose it is; ends the call where there are too many."""
        full = f"{self._settings.streams} streams are open already"
        over = OverLimit(Limit.STREAMS, full) if len(self._sessions) >= self._settings.streams else None
        if over is None:
            try:
                return self._house.open(str(identity.identity)) if identity is not None else None
            except OverLimit as error:
                over = error
        close = self._house.exceeded(over, str(context.peer()))
        self._observer.refused(close.code)
        await context.abort(grpc.StatusCode[close.code], close.message)
        raise AssertionError("an aborted call goes no further")


def _status(session: Session, now: float) -> ProxyStatus:
    stream = session.stream
    if stream.node is None:
        raise AssertionError("a stream without a node has no status")
    return ProxyStatus(
        stream.node,
        stream.dialect,
        not stream.type_url,
        session.peer,
        now - session.since,
        tuple(_ago(each, now) for each in stream.status()),
        stream.identity,
    )


def _ago(status: TypeStatus, now: float) -> TypeStatus:
    ago = partial(_since, now)
    return replace(status, sent_at=ago(status.sent_at), acked_at=ago(status.acked_at))


def _since(now: float, then: float | None) -> float | None:
    return None if then is None else now - then
