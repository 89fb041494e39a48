"""The end of the stream that calls: it hears what a peer offers, and calls again when the stream is gone."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from api.peering.serving import SERVICE
from api.peering.wire import MAX_MESSAGE, Unreadable, hello_message, read_begin, read_update
from api.proto.xdsd.peer.v1 import peering_pb2 as pb
from xdsd.peering.intake import Refused
from xdsd.peering.values import Begin, Hello, Update

PATIENCE = 10.0
"""Seconds that a peer has to begin."""
ALIVE = 5.0
"""Seconds between two questions whether the link is there, and for the answer."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
STEADY = 1.0
"""Seconds after which a stream that ends is no failure to call a peer."""

CHANNEL = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.keepalive_time_ms", int(ALIVE * 1000)),
    ("grpc.keepalive_timeout_ms", int(ALIVE * 1000)),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)
SERVED = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 << 10),
    ("grpc.keepalive_time_ms", int(ALIVE * 1000)),
    ("grpc.keepalive_timeout_ms", int(ALIVE * 1000)),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)
"""The options of a server of such streams."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown to a peer, and whom it is believed to be: PEM. ``daemon`` is the DNS name that its certificate has."""

    key: bytes = field(repr=False)
    chain: bytes
    roots: bytes
    daemon: str


@dataclass(slots=True)
class Heard:
    """What came from a peer since the start: how many messages, their bytes, and when the last did (Unix time, 0: none)."""

    messages: int = 0
    bytes: int = 0
    last: float = 0.0


class Hearer(Protocol):
    """Who hears what a peer says."""

    def hello(self) -> Hello:
        """How to subscribe."""

    def shown(self) -> Shown | str:
        """What to show, or why there is nothing to show yet."""

    def begins(self, begin: Begin) -> None:
        """Raises Refused."""

    def takes(self, update: Update) -> None:
        """Raises Refused."""

    def lost(self, why: str) -> None:
        """There is no stream."""


class Dialler:
    """Calls one peer at its addresses in turn. ``renew`` ends the stream, so that it begins with what holds now."""

    def __init__(
        self,
        addresses: Callable[[], tuple[str, ...]],
        hearer: Hearer,
        logger: FilteringBoundLogger,
        random: Random,
    ) -> None:
        self._addresses = addresses
        self._hearer = hearer
        self._logger = logger
        self._random = random
        self._renewed = asyncio.Event()
        self._heard = False
        self.heard = Heard()

    def renew(self) -> None:
        """Begins anew, without a pause."""
        self._renewed.set()

    async def run(self) -> None:
        """Calls until cancelled."""
        pause, turn = FIRST_PAUSE, 0
        clock = asyncio.get_running_loop().time
        while True:
            addresses, self._heard = self._addresses(), False
            self._renewed.clear()
            if not addresses:
                await self._renewed.wait()
                continue
            began = clock()
            await self._call(addresses[turn % len(addresses)])
            steady = self._heard and (self._renewed.is_set() or clock() - began >= STEADY)
            turn += 0 if steady else 1
            pause = FIRST_PAUSE if steady else min(pause * 2, LONGEST_PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause * self._random.uniform(0.5, 1.0)):
                    await self._renewed.wait()

    async def _call(self, address: str) -> None:
        """One stream, from its beginning to its end."""
        shown = self._hearer.shown()
        if isinstance(shown, str):
            self._hearer.lost(shown)
            return
        try:
            async with channel_to(address, shown) as channel:
                await self._until_renewed(channel)
        except grpc.aio.AioRpcError as error:
            self._gone(address, in_words(error.details() or error.code().name.lower()))
        except (Refused, Unreadable, _Ended) as error:
            self._gone(address, str(error))
        except TimeoutError:
            self._gone(address, f"it did not begin within {PATIENCE:g} s; is that a daemon's peer-address?")
        else:
            self._hearer.lost("the stream begins anew")

    async def _until_renewed(self, channel: grpc.aio.Channel) -> None:
        """Hears until the stream ends, which raises, or is to begin anew."""
        watch = asyncio.create_task(self._renewed.wait(), name="renewed")
        stream = asyncio.create_task(self._hear(channel), name="peering stream")
        try:
            await asyncio.wait((watch, stream), return_when=asyncio.FIRST_COMPLETED)
            if stream.done():
                stream.result()
        finally:
            for task in (watch, stream):
                task.cancel()
            await asyncio.gather(watch, stream, return_exceptions=True)

    async def _hear(self, channel: grpc.aio.Channel) -> None:
        subscribe: Any = channel.stream_stream(
            f"/{SERVICE}/Subscribe",
            request_serializer=pb.SubscribeRequest.SerializeToString,
            response_deserializer=self._counted,
        )
        call = subscribe()
        try:
            async with asyncio.timeout(PATIENCE):
                await call.write(hello_message(self._hearer.hello()))
                self._hearer.begins(read_begin(await _read(call)))
            self._heard = True
            while True:
                update = read_update(await _read(call))
                self._hearer.takes(update)
                await call.write(pb.SubscribeRequest(acknowledged=update.generation))
        except asyncio.InvalidStateError as error:  # written to after it ended
            raise _Ended("the stream ended") from error
        finally:
            call.cancel()

    def _counted(self, data: bytes) -> pb.SubscribeResponse | None:
        """None for what is no message: gRPC would log what is raised here, and wait on."""
        self.heard.messages += 1
        self.heard.bytes += len(data)
        self.heard.last = time.time()
        try:
            return pb.SubscribeResponse.FromString(data)
        except DecodeError:
            return None

    def _gone(self, address: str, why: str) -> None:
        self._logger.warning("a peer cannot be heard", address=address, why=why)
        self._hearer.lost(f"{address}: {why}")


class _Ended(Exception):  # noqa: N818 - it is named after what is the matter
    """The peer ended the stream."""


async def _read(call: Any) -> pb.SubscribeResponse:
    message = await call.read()
    if message is None:
        raise Unreadable("what it says is no message")
    if not isinstance(message, pb.SubscribeResponse):  # gRPC's word for the end
        code = await call.code()
        details = await call.details()
        raise _Ended(details or f"the stream ended ({code.name.lower()})")
    return message


def in_words(details: str) -> str:
    """What gRPC says of a connection that it cannot have, as far as it is for operators."""
    _, refused, rest = details.partition("CERTIFICATE_VERIFY_FAILED: ")
    if refused:
        why = rest.partition(":")[0].strip()
        return f"its certificate is not believed ({why}); is it of the authorities in spec.caCertificates?"
    if "Hostname Verification Check failed" in details:
        return "its certificate is not one of a daemon of spec.trustDomain, which has the DNS name xdsd.TRUST-DOMAIN"
    _, connecting, last = details.rpartition("last error: ")
    return (
        f"{last}; is its daemon up, with this peer-address, and the way there open?" if connecting else last
    )


def channel_to(address: str, shown: Shown) -> grpc.aio.Channel:
    """A channel on which only the daemon of this name answers. gRPC for Python (1.85) compares DNS names alone; roots are
    those of the peer's trust domain, which give that name to its daemons only.
    """
    credentials = grpc.ssl_channel_credentials(shown.roots, shown.key, shown.chain)
    named = ("grpc.ssl_target_name_override", shown.daemon)
    return grpc.aio.secure_channel(
        address, credentials, options=[*CHANNEL, named, ("grpc.default_authority", "xdsd")]
    )
