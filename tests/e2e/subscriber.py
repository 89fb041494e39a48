"""A proxy without its Envoy: a client of incremental ADS that takes all it is sent, and one that takes nothing."""

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from xdsd.snapshot import CLUSTER, ENDPOINT

DELTA_ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


def node_id(name: str) -> str:
    """As a sidecar of the default namespace has it."""
    return f"sidecar~127.0.0.1~{name}.default~default.svc.cluster.local"


def _as_it_is(message: bytes) -> bytes:
    return message


class Stream:
    """One ADS stream on a connection of its own, of raw requests and responses."""

    def __init__(self, address: str, name: str, method: str = DELTA_ADS) -> None:
        self.node_id = node_id(name)
        self._channel = grpc.aio.insecure_channel(
            address, options=(("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
        )
        self.call: Any = self._channel.stream_stream(method, _as_it_is, _as_it_is)()  # type: ignore[call-arg]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call.cancel()
        await self._channel.close(None)

    async def asks(self, type_url: str, names: Iterable[str] = ()) -> None:
        """Subscribes to names; without any to all that there is."""
        await self.sends(DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names))

    async def sends(self, request: Any) -> None:
        """A request, with the node that every first one needs; bytes go as they are."""
        if isinstance(request, bytes):
            await self.call.write(request)
            return
        request.node.id = self.node_id
        await self.call.write(request.SerializeToString())

    async def ending(self) -> tuple[grpc.StatusCode, str]:
        """How the server ended it, whatever it sent before."""
        async with asyncio.timeout(60):
            return await self.call.code(), str(await self.call.details())


class Subscriber(Stream):
    """Takes and acknowledges everything: all clusters, and their endpoints, as an Envoy does.

    ``heard`` counts responses by type, ``resources`` are versions by name and type, ``bodies`` the latest message.
    """

    def __init__(self, address: str, name: str) -> None:
        super().__init__(address, name)
        self.resources: dict[str, dict[str, str]] = {CLUSTER: {}, ENDPOINT: {}}
        self.heard: dict[str, int] = {CLUSTER: 0, ENDPOINT: 0}
        self.bodies: dict[str, bytes] = {}
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.asks(CLUSTER)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        if self._reader is not None:
            await asyncio.wait([self._reader])

    @property
    def connected(self) -> bool:
        return not self.call.done()

    async def _read(self) -> None:
        try:
            while (raw := await self.call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                await self._take(DeltaDiscoveryResponse.FromString(raw))
        except (grpc.aio.AioRpcError, asyncio.CancelledError, asyncio.InvalidStateError):
            return  # the stream is over, which ``connected`` tells

    async def _take(self, response: Any) -> None:
        has = self.resources[response.type_url]
        wanted = []
        for each in response.resources:
            if response.type_url == CLUSTER and each.name not in has:
                cluster = Cluster.FromString(each.resource.value)
                wanted += [each.name] if cluster.type == Cluster.EDS else []
            has[each.name] = each.version
            self.bodies[each.name] = each.resource.value
        for name in response.removed_resources:
            has.pop(name, None)
        self.heard[response.type_url] += 1
        await self.sends(DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce))
        if wanted:
            await self.asks(ENDPOINT, wanted)
