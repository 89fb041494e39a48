"""One stream's I/O: performs the commands of ``protocol.Stream`` on a gRPC call."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from xdsd.model.node import ClaimRefused, Node, NodeRefused
from xdsd.model.secret import HeldSecrets, SecretStatus
from xdsd.protocol.commands import (
    Accepted,
    Attach,
    Close,
    Code,
    Command,
    Detach,
    Entrust,
    Log,
    Rejected,
    Send,
    Wait,
    Withheld,
)
from xdsd.protocol.events import Attached, Closed, Elapsed, Entrusted, Published, Received, Written
from xdsd.protocol.stream import Stream
from xdsd.protocol.wire import DeltaRequest, Malformed, SotwRequest
from xdsd.server.gate import peer_address
from xdsd.server.house import House
from xdsd.server.quotas import Account, Limit, OverLimit, description
from xdsd.server.secrets import Lease
from xdsd.snapshot import Resource

_LAST_WORD = 1.0
"""Seconds that a client has to take what it was sent, before it is told why its stream ends."""

Parse = Callable[[bytes], DeltaRequest | SotwRequest]


class Session:
    """``context`` is the call, a grpc.aio.ServicerContext of raw bytes.

    ``account`` is its identity's, None where it proved nothing: then it is that of the node that it claims to be.
    """

    __slots__ = (
        "_account",
        "_closing",
        "_context",
        "_house",
        "_lease",
        "_loop",
        "_outbox",
        "_parse",
        "_reader",
        "_timer",
        "_writer",
        "since",
        "stream",
    )

    def __init__(
        self, house: House, context: Any, stream: Stream, parse: Parse, account: Account | None = None
    ) -> None:
        self.stream = stream
        self._account = account
        self._house = house
        self._context = context
        self._parse = parse
        self._loop = asyncio.get_running_loop()
        self._lease: Lease | None = None
        self._outbox: Send | None = None
        self._writer: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing: Close | None = None
        self._reader: asyncio.Task[None] | None = None
        self.since = self._loop.time()

    @property
    def peer(self) -> str:
        return str(self._context.peer())

    async def run(self) -> None:
        """Serves until the client leaves, is refused or the call is cancelled; then everything is freed."""
        self._reader = asyncio.current_task()
        try:
            await self._read()
        except asyncio.CancelledError:
            if self._closing is None or self._reader is None or self._reader.uncancel():
                raise
        finally:
            self._end()
            self._reader = None
        if self._closing is not None:
            await self._written()
            self._house.observer.refused(self._closing.code)
            await self._context.abort(grpc.StatusCode[self._closing.code], self._closing.message)

    def end(self, close: Close) -> None:
        """Ends the stream from our side."""
        if self._closing is None and self._reader is not None:
            self._closing = close
            self._reader.cancel()

    def published(self) -> None:
        self._perform(self.stream.handle(Published(self._loop.time())))

    async def _read(self) -> None:
        while self._closing is None:
            raw = await self._context.read()
            if raw is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
                return
            try:
                request = self._parse(raw)
            except Malformed as error:
                self._closing = Close(Code.INVALID_ARGUMENT, str(error))
                return
            attach = self._perform(self.stream.handle(Received(request, self._loop.time())))
            try:
                if attach is not None and self._account is None:
                    self._account = self._house.open(f"node {attach.key}")
                if self._account is not None:
                    if attach is not None:
                        self._account.shows(description(attach))
                    self._account.asked(self.stream.names, answers=self.stream.only_answers)
            except OverLimit as error:
                self._closing = self._house.exceeded(error, self.peer)
            if attach is not None and self._closing is None:
                await self._attach(attach)

    async def _attach(self, node: Node) -> None:
        try:
            await self._house.attach(node, self.stream.identity, peer_address(self.peer))
        except ClaimRefused as error:
            self._house.log.warning("a proxy claims to be another", peer=self.peer, why=str(error))
            self._closing = Close(Code.PERMISSION_DENIED, str(error))
            return
        except NodeRefused as error:
            self._closing = Close(Code.INVALID_ARGUMENT, str(error))
            return
        except OverLimit as error:
            self._closing = self._house.exceeded(error, self.peer)
            return
        self._perform(self.stream.handle(Attached(self._loop.time())))

    def _perform(self, commands: Sequence[Command]) -> Node | None:
        """Performs all but the part of ``Attach`` that takes time; returns its node."""
        attach = None
        for command in commands:
            if isinstance(command, Send):
                self._outbox = command
                if self._account is not None:
                    self._account.sent()
                if self._writer is None:
                    self._writer = self._loop.create_task(self._write())
            elif isinstance(command, Accepted):
                self._house.accepted(self.stream, command.type_url, command.seconds)
            elif isinstance(command, Attach):
                attach = command.node
                self._house.enter(attach)
            else:
                self._perform_seldom(command)
        return attach

    def _perform_seldom(self, command: Command) -> None:
        match command:
            case Wait(until):
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = None if until is None else self._loop.call_at(until, self._elapsed)
            case Rejected(type_url, names, message):
                self._house.rejected(self.stream, type_url, names, message)
            case Log(event, fields):
                self._house.log.warning(event, **fields)
            case Entrust(identity):
                node = self.stream.node
                gateway = node is not None and node.is_gateway
                self._lease = self._house.secrets.open(identity, self._entrusted, gateway=gateway)
            case Withheld(names):
                self._house.withheld(self.stream, names)
            case Detach(node):
                self._house.detach(node)
            case Close(code):
                self._closing = command
                if code is Code.RESOURCE_EXHAUSTED:
                    self._house.observer.exceeded(Limit.NAMES)
            case _:
                raise AssertionError(f"not performed: {command}")

    def secrets(self) -> tuple[SecretStatus, ...]:
        """What may be known of the secrets that the stream was given."""
        return () if self._lease is None else self._lease.status()

    def held(self) -> HeldSecrets | None:
        """What the stream was delivered of them last."""
        return None if self._lease is None else self._lease.held()

    def _entrusted(self, resources: tuple[Resource, ...]) -> None:
        self._perform(self.stream.handle(Entrusted(resources, self._loop.time())))

    def _elapsed(self) -> None:
        self._timer = None
        self._perform(self.stream.handle(Elapsed(self._loop.time())))

    async def _write(self) -> None:
        try:
            while self._outbox is not None:
                send, self._outbox = self._outbox, None
                data = b"".join(send.parts)
                self._house.observer.pushed(send.type_url, len(data), send.resources)
                await self._context.write(data)
                del data, send
                self._perform(self.stream.handle(Written(self._loop.time())))
        except grpc.aio.BaseError:
            # The call is over; the reader learns it too and cleans up.
            return
        finally:
            self._writer = None

    def _end(self) -> None:
        self._perform(self.stream.handle(Closed()))
        if self._lease is not None:
            self._lease.close()
            self._lease = None
        if self._account is not None:
            self._account.close()
            self._account = None
        if self._timer is not None:
            self._timer.cancel()
        self._outbox = None
        if self._writer is not None and self._closing is None:
            self._writer.cancel()

    async def _written(self) -> None:
        """gRPC takes no status while it still has a message; a client that does not read gets none."""
        if self._writer is not None:
            writer = self._writer
            await asyncio.wait([writer], timeout=_LAST_WORD)
            writer.cancel()
