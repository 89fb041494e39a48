"""The end of the stream that is called: it tells a peer what it is offered."""

import asyncio
from collections import Counter
from typing import Any, Protocol

import grpc
from structlog.typing import FilteringBoundLogger

from api.peering.wire import Unreadable, begin_message, read_hello, update_message
from api.proto.xdsd.peer.v1 import peering_pb2 as pb
from xdsd.peering.offer import Delivery, Offer
from xdsd.peering.values import Hello

SERVICE = pb.DESCRIPTOR.services_by_name["PeeringService"].full_name

PATIENCE = 30.0
"""Seconds that a caller has to say hello, and to acknowledge an update."""


MOST = 64
"""Streams that a peer may have: one for each of its daemons, and those that nobody ended."""


class Unwelcome(Exception):  # noqa: N818 - it is named after what is the matter
    """A caller that is offered nothing; the message says why."""


class Offered:
    """An offer on which streams wait: ``next_change`` is set when something of it changed, ``over`` when it is no more."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.next_change = asyncio.Event()
        self.over = False

    def changed(self) -> None:
        """Wakes the streams."""
        self.next_change.set()
        self.next_change = asyncio.Event()

    def end(self) -> None:
        """Ends the streams."""
        self.over = True
        self.changed()


class Host(Protocol):
    """Who decides what callers are offered."""

    @property
    def mesh(self) -> str: ...

    @property
    def trust_domain(self) -> str: ...

    def welcome(self, hello: Hello, chain: bytes) -> Offered:
        """What a caller is offered that showed these certificates (PEM, its own first). Raises Unwelcome."""


class PeeringService:
    """xdsd.peer.v1.PeeringService."""

    def __init__(self, host: Host, logger: FilteringBoundLogger) -> None:
        self._host = host
        self._logger = logger
        self._streams: Counter[str] = Counter()

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """To be served."""
        method = grpc.stream_stream_rpc_method_handler(
            self.Subscribe, pb.SubscribeRequest.FromString, pb.SubscribeResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Subscribe": method})

    async def Subscribe(self, requests: Any, context: Any) -> None:  # noqa: N802, ARG002 - gRPC's shape; it is read below
        """``context`` is a grpc.aio.ServicerContext."""
        try:
            hello = read_hello(await self._read(context))
            offered = self._welcome(hello, context)
        except Unreadable as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except Unwelcome as error:
            self._logger.warning("a peer is refused", origin=str(context.peer()), why=str(error))
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        self._logger.info("a peer subscribes", peer=hello.mesh, origin=str(context.peer()))
        self._streams[hello.mesh] += 1
        try:
            await self._tell(context, offered, hello)
        except (Unreadable, ValueError) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        finally:
            self._streams[hello.mesh] -= 1
            self._logger.info("a peer's subscription ended", peer=hello.mesh)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "what is offered is another now; begin anew")

    def _welcome(self, hello: Hello, context: Any) -> Offered:
        offered = self._host.welcome(hello, _shown(context))
        if self._streams[hello.mesh] >= MOST:
            raise Unwelcome(f"there are {MOST} streams of the peer {hello.mesh} already")
        return offered

    async def _tell(self, context: Any, offered: Offered, hello: Hello) -> None:
        """Returns once the offer is over, or the caller has missed something of it."""
        delivery = Delivery(offered.offer, hello)
        await context.write(begin_message(delivery.begin(self._host.mesh, self._host.trust_domain)))
        while not (offered.over or delivery.is_behind):
            changed = offered.next_change
            update = delivery.next()
            if update is None:
                await changed.wait()
                continue
            await context.write(update_message(update))
            answer = await self._read(context)
            if answer.WhichOneof("request") != "acknowledged":
                raise Unreadable("after hello there are acknowledgements alone")
            delivery.acknowledged(answer.acknowledged)

    async def _read(self, context: Any) -> pb.SubscribeRequest:
        try:
            async with asyncio.timeout(PATIENCE):
                message: Any = await context.read()
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"nothing came for {PATIENCE:g} s")
        if not isinstance(message, pb.SubscribeRequest):  # gRPC's word for the end
            await context.abort(grpc.StatusCode.CANCELLED, "the caller ended the stream")
        return message  # type: ignore[no-any-return]  # generated messages are Any by nature


def _shown(context: Any) -> bytes:
    """The certificates of the caller, as the transport has verified them; its own first."""
    found = context.auth_context()
    chain = b"".join(found.get("x509_pem_cert_chain", ()))
    return chain or b"".join(found.get("x509_pem_cert", ()))
