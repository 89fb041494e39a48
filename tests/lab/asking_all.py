"""A proxy without its Envoy that proves who it is, asks for all that it can think of, and tells what it was given."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import Node
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.any_pb2 import Any as AnyMessage

from tests.server.client import DELTA, SOTW, Call
from tests.server.secure import connected
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, VIRTUAL_HOST

TYPES = (CLUSTER, ENDPOINT, LISTENER, ROUTE, VIRTUAL_HOST, EXTENSION, SECRET)
_MESSAGES: Mapping[str, Any] = {
    CLUSTER: Cluster,
    ENDPOINT: ClusterLoadAssignment,
    LISTENER: Listener,
    ROUTE: RouteConfiguration,
    EXTENSION: TypedExtensionConfig,
    SECRET: Secret,
}

Names = Mapping[str, Iterable[str]]
"""Names of resources by type."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a proxy says of itself; what it proves is apart from that."""

    namespace: str
    name: str = "app"
    role: str = "sidecar"
    address: str = "127.0.0.1"
    domain: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def node(self) -> Any:
        """As an Envoy of 1.40 says it."""
        domain = self.domain or f"{self.namespace}.svc.cluster.local"
        node = Node(
            id=f"{self.role}~{self.address}~{self.name}.{self.namespace}~{domain}", user_agent_name="envoy"
        )
        node.user_agent_build_version.version.major_number = 1
        node.user_agent_build_version.version.minor_number = 40
        node.metadata.update({"LABELS": dict(self.labels), **self.metadata})
        return node


@dataclass(slots=True)
class Given:
    """What a stream was given: contents by type and name; ``refused`` are the names that it was told there is nothing of."""

    found: dict[str, dict[str, bytes]] = field(default_factory=lambda: {each: {} for each in TYPES})
    refused: dict[str, set[str]] = field(default_factory=lambda: {each: set() for each in TYPES})

    def text(self) -> bytes:
        """All of it."""
        return b"\n".join(
            name.encode() + b"\n" + data for each in self.found.values() for name, data in each.items()
        )

    def names(self) -> dict[str, set[str]]:
        return {type_url: set(each) for type_url, each in self.found.items()}

    def leads_to(self) -> dict[str, set[str]]:
        """What clusters and listeners refer to: endpoints, route configurations, and filters that are told apart."""
        routes: set[str] = set()
        filters: set[str] = set()
        for data in self.found[LISTENER].values():
            _follow(Listener.FromString(data), routes, filters)
        return {ENDPOINT: set(self.found[CLUSTER]), ROUTE: routes, EXTENSION: filters}

    def answered(self, type_url: str) -> set[str]:
        return self.refused[type_url] | self.found[type_url].keys()


@asynccontextmanager
async def proving(port: int, root: bytes, token: str) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to the port for tokens."""
    trusted = grpc.ssl_channel_credentials(root)
    async with connected(port, trusted) as channel:
        yield channel


async def asks_incrementally(channel: grpc.aio.Channel, token: str, claims: Claims, names: Names) -> Given:
    """All clusters, listeners and virtual hosts, and of every type all of these names."""
    call = Call(channel, DELTA, "", metadata=(("authorization", f"Bearer {token}"),))
    given = Given()
    try:
        await call.asks(CLUSTER, "*", node=claims.node())
        await call.asks(LISTENER, "*")
        await call.asks(VIRTUAL_HOST)
        wanted = {each: set(names.get(each, ())) | {"no-such-thing"} for each in TYPES}
        for type_url, found in wanted.items():
            await call.asks(type_url, *sorted(found))
        async with asyncio.timeout(120):
            while any(not wanted[each] <= given.answered(each) for each in TYPES):
                await _take_one(call, given)
            # Whatever comes now without being asked for comes before the answer to a last question.
            for type_url in TYPES:
                await call.asks(type_url, "the-last-thing")
            while any("the-last-thing" not in given.answered(each) for each in TYPES):
                await _take_one(call, given)
    finally:
        call.cancel()
    return given


async def asks_by_state(
    channel: grpc.aio.Channel, token: str, claims: Claims, type_url: str, names: Iterable[str], known: str
) -> Given:
    """All of these names of one type on a stream of the state of the world; ``known`` is one that it may have."""
    call = Call(channel, SOTW, "", metadata=(("authorization", f"Bearer {token}"),))
    given = Given()
    try:
        await call.asks(type_url, *sorted({*names, known}), node=claims.node())
        while known not in given.found[type_url]:
            heard = await call.hears(60)
            await call.acks(heard)
            for each in heard.resources:
                given.found[type_url][_name(each)] = each.value
    finally:
        call.cancel()
    return given


def _follow(message: Any, routes: set[str], filters: set[str]) -> None:
    """Walks through a message and what is packed in it."""
    if isinstance(message, AnyMessage):
        if not message.Is(HttpConnectionManager.DESCRIPTOR):
            return
        message = HttpConnectionManager.FromString(message.value)
    for fields, value in message.ListFields():
        if fields.name == "route_config_name":
            routes.add(value)
        elif fields.name == "config_discovery":
            filters.add(message.name)
        elif fields.message_type is None or fields.message_type.GetOptions().map_entry:
            continue
        for each in value if isinstance(value, Iterable) else [value]:
            if hasattr(each, "ListFields"):
                _follow(each, routes, filters)


async def _take_one(call: Call, given: Given) -> None:
    heard = await call.hears(60)
    for each in heard.resources:
        given.found[heard.type_url][each.name] = each.resource.value
        given.refused[heard.type_url].discard(each.name)
    given.refused[heard.type_url].update(heard.removed_resources)
    await call.acks(heard)


def _name(resource: Any) -> str:
    """Of a resource as the state of the world has it: what stands in its message."""
    message: Any = _MESSAGES[resource.type_url].FromString(resource.value)
    return str(message.cluster_name if resource.type_url == ENDPOINT else message.name)
