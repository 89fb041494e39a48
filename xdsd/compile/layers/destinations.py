"""What a destination named in a route means: the cluster that carries it and how it is hashed."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from envoy.config.route.v3.route_components_pb2 import Route

from xdsd.compile.dynamic_forward import keep_to_port
from xdsd.compile.graph import Graph
from xdsd.compile.layers.defaults import cluster_policy
from xdsd.compile.layers.peers import turn_of
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.policy import DEFAULT_POLICY, Policy, effective_policy
from xdsd.compile.resolve import ALL_HOSTS, EgressHosts, Labels, destination_service, merged_rule, rules_for
from xdsd.compile.tcp_proxies import TcpOptions, tcp_options
from xdsd.compile.upstream_tls import is_automatic, passes_name_on, uses_mesh
from xdsd.compile.world import read_service
from xdsd.model.catalog import Location, Port, Protocol, Resolution, Service, ServiceKey
from xdsd.model.global_names import is_global
from xdsd.model.intent import ConsistentHashLB, Destination


class Target(NamedTuple):
    """A cluster that a route leads to."""

    key: ServiceKey
    port: int
    subset: str


def service_options(policy: Policy, service: Service | None, number: int) -> TcpOptions:
    """What connections to a port of a service need: as its policy asks, and as its endpoints are found."""
    options = tcp_options(policy)
    port = service.port(number) if service else None
    if service is None or port is None:
        return options
    options = replace(options, insistent=is_global(service.hostname))
    if service.resolution is Resolution.DYNAMIC_DNS:
        return replace(options, sni_port=port.target)
    mutual = is_automatic(policy.tls) and service.location is Location.MESH_INTERNAL
    opaque = port.protocol.is_auto and (mutual or uses_mesh(policy.tls))
    return replace(options, opaque=opaque, pass_name=passes_name_on(policy.tls))


class MeshDestinations:
    """Destinations as the clients of a namespace see them (``xdsd.compile.routes.Destinations``); remembers the targets."""

    def __init__(
        self, graph: Graph, namespace: str, labels: Labels, hosts: tuple[EgressHosts, ...] = ALL_HOSTS
    ) -> None:
        self._graph = graph
        self._namespace = namespace
        self._labels = labels
        self._hosts = hosts
        self.targets: dict[Target, None] = {}

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        """The cluster's name, the same whether or not the service is there yet: without it Envoy answers 503."""
        host, service, port = self._resolve(destination, namespace, listener_port)
        subset = destination.subset or ""
        if service is not None:
            self.targets[Target(service.key, port, subset)] = None
        return outbound_cluster_name(port, subset, host)

    def keep_to_ports(self, routes: Iterable[Route]) -> None:
        """Lets routes to hosts that are looked up as requests name them take requests to the services' ports alone.

        Where a route says which host is asked for, it is its author who says so, and no caller.
        """
        ports: dict[str, Port] = {}
        for target in self.targets:
            service = read_service(self._graph, target.key)
            port = service.port(target.port) if service else None
            if service is not None and port is not None and service.resolution is Resolution.DYNAMIC_DNS:
                ports[outbound_cluster_name(target.port, target.subset, target.key.hostname)] = port
        for route in routes if ports else ():
            led_to = (route.route.cluster, *(each.name for each in route.route.weighted_clusters.clusters))
            found = [ports[name] for name in led_to if name in ports]
            if found and not route.route.HasField("host_rewrite_literal"):
                keep_to_port([route], found[0])

    def hash_policy(
        self, destination: Destination, namespace: str, listener_port: int
    ) -> ConsistentHashLB | None:
        balancer = self._policy(destination, namespace, listener_port).load_balancer
        return balancer.consistent_hash if balancer else None

    def protocol(self, destination: Destination, namespace: str, listener_port: int) -> Protocol | None:
        _, service, number = self._resolve(destination, namespace, listener_port)
        port = service.port(number) if service else None
        return port.protocol if port else None

    def tcp_options(self, destination: Destination, namespace: str, listener_port: int) -> TcpOptions:
        """What the destination's policy asks of connections."""
        _, service, port = self._resolve(destination, namespace, listener_port)
        if service is None:
            return tcp_options(DEFAULT_POLICY)
        rules = self._graph.ask(rules_for, self._namespace, self._labels, service.key)
        policy = cluster_policy(self._graph, rules, port, destination.subset or "")
        return replace(service_options(policy, service, port), turn=self._graph.ask(turn_of, service.key))

    def _policy(self, destination: Destination, namespace: str, listener_port: int) -> Policy:
        """What its own rules say; how hashes find endpoints is nothing that the mesh decides."""
        _, service, port = self._resolve(destination, namespace, listener_port)
        if service is None:
            return DEFAULT_POLICY
        rules = self._graph.ask(rules_for, self._namespace, self._labels, service.key)
        return effective_policy(self._graph.ask(merged_rule, rules), port, destination.subset or "")

    def _resolve(
        self, destination: Destination, namespace: str, listener_port: int
    ) -> tuple[str, Service | None, int]:
        host, service = self._graph.ask(
            destination_service, self._namespace, self._hosts, namespace, destination.host
        )
        if destination.port is not None and destination.port.number:
            return host, service, destination.port.number
        if service is not None and len(service.ports) == 1:
            return host, service, service.ports[0].number
        return host, service, listener_port
