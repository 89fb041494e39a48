"""Clusters behind listeners of one static Envoy: what a policy does to connections that really are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from tests.compile.listening import with_routes
from tests.lab.ports import free_port
from tests.lab.static import static_bootstrap
from xdsd.compile.clusters import outbound_cluster
from xdsd.compile.endpoints import load_assignment
from xdsd.compile.listeners import outbound_http_listener, outbound_tcp_listener
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.policy import policy_of
from xdsd.compile.routes import default_http_route
from xdsd.compile.tcp_proxies import tcp_options
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.model.catalog import Endpoint, Port, Protocol, Service
from xdsd.model.intent import TrafficPolicy

HOST = "shop.example.com"
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(slots=True)
class Fronts:
    """Listeners on loopback, each before a cluster of its own."""

    listeners: list[Any] = field(default_factory=list)
    clusters: list[Any] = field(default_factory=list)

    def add(
        self,
        policy: Mapping[str, Any],
        endpoints: Sequence[Endpoint],
        *,
        protocol: Protocol = Protocol.HTTP,
        system_ca: str = SYSTEM_CA,
    ) -> int:
        """A cluster with the policy, as published, and its endpoints; the port of the listener before it."""
        parsed = policy_of(TrafficPolicy.model_validate(policy) if policy else None)
        number = free_port()
        port = Port(number, "p", protocol, number)
        service = Service("default", HOST, (port,))
        name = outbound_cluster_name(number, "", HOST)
        cluster: Any = outbound_cluster(name, service, port, parsed, system_ca=system_ca)
        cluster.type = Cluster.STATIC
        cluster.ClearField("eds_cluster_config")
        cluster.load_assignment.CopyFrom(load_assignment(name, port, endpoints))
        self.clusters.append(cluster)
        if protocol.is_http:
            listener = outbound_http_listener("127.0.0.1", number, "routes", bind_to_port=True)
            balancer = parsed.load_balancer
            hashing = balancer.consistent_hash if balancer else None
            table = RouteConfiguration(name="routes")
            table.virtual_hosts.append(virtual_host("all", ["*"], [default_http_route(name, hashing)]))
            self.listeners.append(with_routes(listener, table))
        else:
            target = TcpTarget(name, options=tcp_options(parsed))
            self.listeners.append(
                outbound_tcp_listener("127.0.0.1", number, [target], None, bind_to_port=True)
            )
        return number

    def bootstrap(self) -> dict[str, Any]:
        return static_bootstrap(self.listeners, self.clusters)


async def get(
    port: int, host: str = HOST, path: str = "/", headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Status and text of an answer through a listener."""
    timeout = aiohttp.ClientTimeout(total=120)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers={"host": host, **(headers or {})}) as response,
    ):
        return response.status, await response.text()
