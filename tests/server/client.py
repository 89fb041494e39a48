"""A gRPC client that says and hears discovery messages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import grpc
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService"
DELTA = f"{ADS}/DeltaAggregatedResources"
SOTW = f"{ADS}/StreamAggregatedResources"
NODE = "sidecar~127.0.0.1~a.default~default.svc.cluster.local"


class Call:
    """One stream. The first request introduces ``node`` unless it is empty."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        method: str,
        node: str = NODE,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.is_delta = "Delta" in method.rsplit("/", maxsplit=1)[-1]
        stream: Any = channel.stream_stream(method, None, None)
        self._call: Any = stream(metadata=tuple(metadata) or None)
        self._node = node

    async def asks(
        self, type_url: str, *names: str, nonce: str = "", error: str | None = None, **more: Any
    ) -> Self:
        """Sends a request; ``more`` are its other fields."""
        if self.is_delta:
            message = DeltaDiscoveryRequest(
                type_url=type_url, resource_names_subscribe=names, response_nonce=nonce, **more
            )
        else:
            message = DiscoveryRequest(type_url=type_url, resource_names=names, response_nonce=nonce, **more)
        if error is not None:
            message.error_detail.message = error
        if self._node:
            message.node.id, self._node = self._node, ""
        # A stream that the server has ended already is told of by what reads from it.
        with suppress(grpc.aio.AioRpcError):
            await self._call.write(message.SerializeToString())
        return self

    async def raw(self, data: bytes) -> None:
        await self._call.write(data)

    async def hears(self, timeout: float = 60.0) -> Any:  # Any: generated messages have no types
        """The next response."""
        async with asyncio.timeout(timeout):
            data = await self._call.read()
        if data is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
            raise AssertionError(f"the stream ended: {await self._call.code()} {await self._call.details()}")
        return (DeltaDiscoveryResponse if self.is_delta else DiscoveryResponse).FromString(data)

    async def acks(self, heard: Any) -> None:
        await self.asks(heard.type_url, nonce=heard.nonce)

    async def ends(self, timeout: float = 60.0) -> tuple[grpc.StatusCode, str]:
        """How the server ended the stream."""
        async with asyncio.timeout(timeout):
            return await self._call.code(), await self._call.details()

    def cancel(self) -> None:
        self._call.cancel()

    async def half_closes(self) -> None:
        await self._call.done_writing()


@asynccontextmanager
async def channel(port: int, **options: Any) -> AsyncIterator[grpc.aio.Channel]:
    """A connection of its own, with gRPC's channel arguments by their last word."""
    arguments = [
        ("grpc.use_local_subchannel_pool", 1),
        *((f"grpc.{name}", value) for name, value in options.items()),
    ]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=arguments) as made:
        yield made
