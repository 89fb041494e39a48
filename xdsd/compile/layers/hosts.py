"""Virtual hosts of sidecars, one a service and port, and the route configurations joined from them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from xdsd.compile.delegates import routing
from xdsd.compile.dynamic_forward import keep_to_port
from xdsd.compile.everywhere import RETRIES
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Query, encode
from xdsd.compile.layers.defaults import default_retries
from xdsd.compile.layers.limits import limit_routes
from xdsd.compile.layers.portions import Clients, routes_for
from xdsd.compile.layers.scope import PortTable, egress_for, port_tables, shard_of
from xdsd.compile.layers.unknown import unknown_host_cluster
from xdsd.compile.matches import MESH
from xdsd.compile.names import (
    BLACK_HOLE_CLUSTER,
    FORWARD_CLUSTER,
    HTTP_PROXY_ROUTE,
    outbound_cluster_name,
    resolve_host,
)
from xdsd.compile.policy import effective_policy
from xdsd.compile.resolve import (
    EgressHosts,
    Labels,
    View,
    merged_rule,
    rules_for,
    service_for,
    settings,
    virtual_service_for,
    virtual_service_spec,
)
from xdsd.compile.routes import concerns, default_http_route, safe_route
from xdsd.compile.virtual_hosts import (
    PortForm,
    allow_any_virtual_host,
    block_all_virtual_host,
    distinct_domains,
    route_configuration,
    service_domains,
    virtual_host,
)
from xdsd.compile.world import read_routed_hosts, read_service
from xdsd.model.catalog import Protocol, Resolution, Service, ServiceKey
from xdsd.model.global_names import is_global
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import ROUTE, Resource, content_version, field_bytes

HTTP_PORT = 80
"""The port that a host means which names none."""


class HostPart(NamedTuple):
    """An encoded virtual host, as a field of a route configuration, with what is needed to join it.

    ``keys`` are its domains in lower case, as Envoy compares them; ``version`` is its content's.
    """

    hostname: str
    keys: tuple[str, ...]
    field: bytes
    version: bytes


def host_part(hostname: str, host: VirtualHost) -> HostPart:
    """Encodes a virtual host."""
    field = field_bytes(2, encode(host))
    keys = tuple(domain.lower() for domain in host.domains)
    return HostPart(hostname, keys, field, content_version(field).encode())


class HostScope(NamedTuple):
    """Those for whom virtual hosts are equal, whatever else sets their views apart."""

    namespace: str
    labels: Labels
    hosts: tuple[EgressHosts, ...]
    form: PortForm


def service_host(graph: Graph, scope: HostScope, key: ServiceKey, number: int) -> HostPart | None:
    """The virtual host of one port of a service: the routes of its VirtualService, else all to the service."""
    service = read_service(graph, key)
    port = service.port(number) if service else None
    if service is None or port is None:
        return None
    routes = _routes_of(graph, scope, key.hostname, number)
    if routes is None:
        rules = graph.ask(rules_for, scope.namespace, scope.labels, key)
        local = scope.namespace == key.namespace
        return graph.ask(plain_host, key, number, rules, scope.namespace if local else "", scope.form)
    domains = _domains(graph, service, number, scope.namespace, scope.form)
    return host_part(key.hostname, virtual_host(f"{key.hostname}:{number}", domains, routes))


def _domains(graph: Graph, service: Service, number: int, namespace: str, form: PortForm) -> list[str]:
    """The hosts that mean one port of a service to clients of a namespace."""
    domain = settings(graph).domain
    return service_domains(service.hostname, number, namespace, domain, service.addresses, ports=form)


def _routes_of(graph: Graph, scope: HostScope, hostname: str, number: int) -> list[Route] | None:
    """The routes of the host's VirtualService for these clients; None if none of its rules is for them.

    There may be no routes at all where rules for them hand requests to delegates that are not there: then 404 is the answer.
    """
    ref = graph.ask(virtual_service_for, scope.namespace, scope.hosts, hostname)
    if ref is None:
        return None
    clients = Clients(frozenset({MESH}), scope.namespace, scope.labels, number, scope.hosts)
    routes = list(routes_for(graph, ref, clients).routes)
    if not routes and not any(
        concerns(rule, ref.namespace, clients.source) for rule in routing(graph, ref).void
    ):
        return None
    return limit_routes(graph, routes, ref)


def plain_host(
    graph: Graph, key: ServiceKey, number: int, rules: tuple[ObjectRef, ...], namespace: str, form: PortForm
) -> HostPart | None:
    """The virtual host of a service that no VirtualService routes; shared by every view of the same rules."""
    service = read_service(graph, key)
    port = service.port(number) if service else None
    if service is None or port is None:
        return None
    policy = effective_policy(graph.ask(merged_rule, rules), number)
    hashing = policy.load_balancer.consistent_hash if policy.load_balancer else None
    web = port.protocol is Protocol.GRPC_WEB
    retries = default_retries(graph, key.hostname)
    route = default_http_route(
        outbound_cluster_name(number, "", key.hostname),
        hashing,
        retries,
        everywhere=is_global(key.hostname),
        grpc_web=web,
    )
    if service.resolution is Resolution.DYNAMIC_DNS:
        keep_to_port([route], port)
    routes = [safe_route(route), route] if retries == RETRIES else [route]
    domains = _domains(graph, service, number, namespace, form)
    return host_part(key.hostname, virtual_host(f"{key.hostname}:{number}", domains, routes))


def unregistered_host(graph: Graph, scope: HostScope, hostname: str, number: int) -> HostPart | None:
    """The virtual host of a name that a VirtualService routes but no service has.

    It is served on the ports of the services that the VirtualService routes too; without any, on the HTTP port.
    """
    if graph.ask(service_for, scope.namespace, scope.hosts, hostname) is not None:
        return None
    ref = graph.ask(virtual_service_for, scope.namespace, scope.hosts, hostname)
    if ref is None or number not in graph.ask(routed_ports, scope.namespace, scope.hosts, ref):
        return None
    routes = _routes_of(graph, scope, hostname, number)
    if routes is None:
        return None
    domains = service_domains(hostname, number, scope.namespace, settings(graph).domain, ports=scope.form)
    return host_part(hostname, virtual_host(f"{hostname}:{number}", domains, routes))


def routed_ports(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], ref: ObjectRef
) -> frozenset[int]:
    """The ports on which a VirtualService routes hosts that no service has."""
    domain = settings(graph).domain
    found: set[int] = set()
    for host in virtual_service_spec(graph, ref).hosts:
        key = graph.ask(service_for, namespace, hosts, resolve_host(host, ref.namespace, domain))
        service = read_service(graph, key) if key else None
        if service is not None:
            found.update(port.number for port in service.ports if port.protocol.carries_http)
    return frozenset(found or {HTTP_PORT})


def last_host(graph: Graph, unknown: str) -> HostPart:
    """What answers hosts that nobody declared, whose cluster is ``unknown``."""
    del graph
    if unknown == BLACK_HOLE_CLUSTER:
        return host_part("*", block_all_virtual_host())
    return host_part("*", allow_any_virtual_host(unknown, looked_up=unknown == FORWARD_CLUSTER))


def host_scope(view: View, hosts: tuple[EgressHosts, ...], form: PortForm) -> HostScope:
    """The scope of the virtual hosts that a view has behind an egress listener."""
    return HostScope(view.namespace, view.labels, hosts, form)


def port_form(number: int, *, every_port: bool) -> PortForm:
    """How the hosts of a port are spelled, on a listener of that port or on one that serves every port."""
    if not every_port:
        return PortForm.BARE
    return PortForm.BOTH if number == HTTP_PORT else PortForm.EXPLICIT


class Keys(NamedTuple):
    """The domains of a group, and how many its virtual hosts have together: more, if two have one in common."""

    domains: frozenset[str]
    total: int


class HostGroup(NamedTuple):
    """Virtual hosts joined ahead of the whole, so that one that changes costs its group, not its port."""

    parts: tuple[HostPart, ...]
    keys: Keys
    fields: bytes
    version: bytes


def group(found: Iterable[HostPart | None]) -> HostGroup:
    """Joins virtual hosts, in order of their hosts."""
    parts = tuple(sorted(part for part in found if part is not None))
    keys = Keys(frozenset().union(*(part.keys for part in parts)), sum(len(part.keys) for part in parts))
    version = content_version(b"".join(part.version for part in parts)).encode()
    return HostGroup(parts, keys, b"".join(part.field for part in parts), version)


class Routed(NamedTuple):
    """A port of a service that is routed behind an egress listener with these hosts."""

    hosts: tuple[EgressHosts, ...]
    key: ServiceKey
    number: int


def routed_by_shard(graph: Graph, view: View, route_name: str) -> Mapping[int, tuple[Routed, ...]]:
    """What a route configuration routes, in the groups of ``scope.sharded_services``."""
    shards: dict[int, list[Routed]] = defaultdict(list)
    for table in _tables(graph, view, route_name):
        for claim in table.claims.http:
            routed = Routed(table.egress.hosts, claim.key, claim.port.number)
            shards[shard_of(claim.key)].append(routed)
    return {shard: tuple(found) for shard, found in sorted(shards.items())}


def shard_hosts(graph: Graph, view: View, route_name: str, shard: int) -> HostGroup:
    """The virtual hosts of one group of services."""
    return group(
        graph.ask(service_host, *routed) for routed in graph.ask(shard_routed, view, route_name, shard)
    )


def shard_routed(
    graph: Graph, view: View, route_name: str, shard: int
) -> tuple[tuple[HostScope, ServiceKey, int], ...]:
    """What a route configuration routes of one group of services, each as ``service_host`` wants it."""
    every_port = serves_every_port(graph, view, route_name)
    return tuple(
        (
            host_scope(view, routed.hosts, port_form(routed.number, every_port=every_port)),
            routed.key,
            routed.number,
        )
        for routed in graph.ask(routed_by_shard, view, route_name).get(shard, ())
    )


def shard_keys(graph: Graph, view: View, route_name: str, shard: int) -> Keys:
    """The domains of one group of services, apart from what is done with their requests, which changes more often."""
    domains: list[str] = []
    for scope, key, number in graph.ask(shard_routed, view, route_name, shard):
        service = read_service(graph, key)
        if service is not None:
            found = _domains(graph, service, number, scope.namespace, scope.form)
            domains += (domain.lower() for domain in found)
    return Keys(frozenset(domains), len(domains))


def unregistered_hosts(graph: Graph, view: View, route_name: str) -> HostGroup:
    """The virtual hosts of names that VirtualServices route but no service has."""
    return group(
        graph.ask(unregistered_host, *wanted) for wanted in graph.ask(unregistered_scopes, view, route_name)
    )


def unregistered_scopes(graph: Graph, view: View, route_name: str) -> tuple[tuple[HostScope, str, int], ...]:
    """Where names that VirtualServices route may be hosts, each as ``unregistered_host`` wants it."""
    every_port = serves_every_port(graph, view, route_name)
    tables = _tables(graph, view, route_name)
    found = {(table.egress.hosts, claim.port.number) for table in tables for claim in table.claims.http}
    if route_name == HTTP_PROXY_ROUTE:
        egress = egress_for(graph, view, HTTP_PORT)
        found |= {(egress.hosts, HTTP_PORT)} if egress else set()
    elif every_port:
        found |= {(table.egress.hosts, HTTP_PORT) for table in tables}
    return tuple(
        (host_scope(view, hosts, port_form(number, every_port=every_port)), hostname, number)
        for hosts, number in sorted(found)
        for hostname in read_routed_hosts(graph)
    )


def host_groups(graph: Graph, view: View, route_name: str) -> tuple[tuple[Query, tuple[Any, ...]], ...]:
    """The queries of all groups of a route configuration, so that they can be made ahead of it."""
    shards = graph.ask(routed_by_shard, view, route_name)
    return (
        *((shard_hosts, (view, route_name, shard)) for shard in shards),
        (unregistered_hosts, (view, route_name)),
    )


def routes(graph: Graph, view: View, route_name: str) -> Resource:
    """The route configuration of an outbound port, or (``http_proxy``, a Unix socket) of every port, by ``host:port``."""
    groups = [graph.ask(query, *arguments) for query, arguments in graph.ask(host_groups, view, route_name)]
    if graph.ask(clash, view, route_name):
        groups = [without_clashes(groups)]
    last = graph.ask(last_host, graph.ask(unknown_host_cluster, view, route_name))
    return join(route_name, groups, (last,), ignore_port=not serves_every_port(graph, view, route_name))


def unregistered_keys(graph: Graph, view: View, route_name: str) -> Keys:
    """The domains of names that VirtualServices route but no service has."""
    return graph.ask(unregistered_hosts, view, route_name).keys


def clash(graph: Graph, view: View, route_name: str) -> bool:
    """True if two virtual hosts of a route configuration want the same domain."""
    shards = graph.ask(routed_by_shard, view, route_name)
    keys = [graph.ask(shard_keys, view, route_name, shard) for shard in shards]
    return do_clash([*keys, graph.ask(unregistered_keys, view, route_name)])


def do_clash(keys: Sequence[Keys]) -> bool:
    """True if some domain is there twice, in one group or in two."""
    return len(frozenset().union(*(each.domains for each in keys))) != sum(each.total for each in keys)


def without_clashes(groups: Iterable[HostGroup]) -> HostGroup:
    """The groups as one, in which every domain is given to one virtual host only."""
    return group(_without_clashes([part for each in groups for part in each.parts]))


def join(
    name: str,
    groups: Sequence[HostGroup],
    last: Sequence[HostPart] = (),
    *,
    ignore_port: bool = True,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Resource:
    """A route configuration from finished virtual hosts; its version is made from theirs. All answers get ``headers``."""
    head = route_configuration(name, (), ignore_port=ignore_port, headers=headers)
    tail = group(last)
    body = b"".join((head, *(each.fields for each in groups), tail.fields))
    version = content_version(head, *(each.version for each in groups), tail.version)
    return Resource.of(ROUTE, name, body, version)


def _tables(graph: Graph, view: View, route_name: str) -> list[PortTable]:
    """The tables that a route configuration serves: one, or for an HTTP proxy all that have a port."""
    tables = graph.ask(port_tables, view)
    if route_name == HTTP_PROXY_ROUTE:
        return [table for table in tables if not table.egress.on_socket]
    return [table for table in tables if table.route_name == route_name]


def serves_every_port(graph: Graph, view: View, route_name: str) -> bool:
    """True if a route configuration tells ports apart by what hosts say of them."""
    if route_name == HTTP_PROXY_ROUTE:
        return True
    return any(table.egress.on_socket for table in _tables(graph, view, route_name))


def _without_clashes(parts: Sequence[HostPart]) -> list[HostPart]:
    """The parts with every domain given to one of them only; a part left without any is dropped."""
    kept: list[HostPart] = []
    shares = distinct_domains([(part.hostname, part.keys) for part in parts])
    for part, domains in zip(parts, shares, strict=True):
        if tuple(domains) == part.keys:
            kept.append(part)
        elif domains:
            host = RouteConfiguration.FromString(part.field).virtual_hosts[0]
            del host.domains[:]
            host.domains.extend(domains)
            kept.append(host_part(part.hostname, host))
    return kept
