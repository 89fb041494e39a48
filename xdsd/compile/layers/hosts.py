"""Virtual hosts of sidecars, one a service and port, and the route configurations joined from them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Query, encode
from xdsd.compile.layers.destinations import MeshDestinations
from xdsd.compile.layers.scope import PortTable, imported_virtual_service, port_tables, shard_of, view_hosts
from xdsd.compile.matches import Source
from xdsd.compile.names import HTTP_PROXY_ROUTE, outbound_cluster_name
from xdsd.compile.policy import effective_policy
from xdsd.compile.resolve import (
    EgressHosts,
    Labels,
    View,
    allow_any,
    merged_rule,
    rules_for,
    settings,
    virtual_service_spec,
)
from xdsd.compile.routes import default_http_route, http_routes
from xdsd.compile.virtual_hosts import (
    PortForm,
    allow_any_virtual_host,
    block_all_virtual_host,
    distinct_domains,
    route_configuration,
    service_domains,
    virtual_host,
)
from xdsd.compile.world import MESH, read_routed_hosts, read_service, read_service_keys
from xdsd.model.catalog import ServiceKey
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
    ref = graph.ask(imported_virtual_service, scope.namespace, scope.hosts, key.hostname)
    if ref is None:
        rules = graph.ask(rules_for, scope.namespace, scope.labels, key)
        local = scope.namespace == key.namespace
        return graph.ask(plain_host, key, number, rules, scope.namespace if local else "", scope.form)
    source = Source(frozenset({MESH}), scope.namespace, dict(scope.labels), number)
    destinations = MeshDestinations(graph, scope.namespace, scope.labels)
    routes = http_routes(virtual_service_spec(graph, ref), ref, ref.namespace, source, destinations)
    domains = service_domains(
        key.hostname, number, scope.namespace, settings(graph).domain, service.addresses, ports=scope.form
    )
    return host_part(key.hostname, virtual_host(f"{key.hostname}:{number}", domains, routes))


def plain_host(
    graph: Graph, key: ServiceKey, number: int, rules: tuple[ObjectRef, ...], namespace: str, form: PortForm
) -> HostPart | None:
    """The virtual host of a service that no VirtualService routes; shared by every view of the same rules."""
    service = read_service(graph, key)
    if service is None:
        return None
    policy = effective_policy(graph.ask(merged_rule, rules), number)
    hashing = policy.load_balancer.consistent_hash if policy.load_balancer else None
    route = default_http_route(outbound_cluster_name(number, "", key.hostname), hashing)
    domains = service_domains(
        key.hostname, number, namespace, settings(graph).domain, service.addresses, ports=form
    )
    return host_part(key.hostname, virtual_host(f"{key.hostname}:{number}", domains, [route]))


def unregistered_host(graph: Graph, scope: HostScope, hostname: str, number: int) -> HostPart | None:
    """The virtual host of a name that a VirtualService routes but no service has."""
    ref = graph.ask(imported_virtual_service, scope.namespace, scope.hosts, hostname)
    if ref is None:
        return None
    source = Source(frozenset({MESH}), scope.namespace, dict(scope.labels), number)
    destinations = MeshDestinations(graph, scope.namespace, scope.labels)
    routes = http_routes(virtual_service_spec(graph, ref), ref, ref.namespace, source, destinations)
    domains = service_domains(hostname, number, scope.namespace, settings(graph).domain, ports=scope.form)
    return host_part(hostname, virtual_host(f"{hostname}:{number}", domains, routes))


def last_host(graph: Graph, unknown_allowed: bool) -> HostPart:
    """What answers hosts that nobody declared."""
    del graph
    return host_part("*", allow_any_virtual_host() if unknown_allowed else block_all_virtual_host())


def host_scope(graph: Graph, view: View, form: PortForm) -> HostScope:
    """The scope of the virtual hosts of a view."""
    return HostScope(view.namespace, view.labels, graph.ask(view_hosts, view), form)


class HostGroup(NamedTuple):
    """Virtual hosts joined ahead of the whole, so that one that changes costs its group, not its port."""

    parts: tuple[HostPart, ...]
    keys: frozenset[str]
    fields: bytes
    version: bytes


def group(found: Iterable[HostPart | None]) -> HostGroup:
    """Joins virtual hosts, in order of their hosts."""
    parts = tuple(sorted(part for part in found if part is not None))
    keys = frozenset().union(*(part.keys for part in parts))
    version = content_version(b"".join(part.version for part in parts)).encode()
    return HostGroup(parts, keys, b"".join(part.field for part in parts), version)


def routed_by_shard(graph: Graph, view: View, route_name: str) -> Mapping[int, tuple[ServiceKey, ...]]:
    """The services routed on a port, in the groups of ``scope.sharded_services``."""
    shards: dict[int, list[ServiceKey]] = defaultdict(list)
    for claim in _table(graph, view, route_name).claims.http:
        shards[shard_of(claim.key)].append(claim.key)
    return {shard: tuple(keys) for shard, keys in sorted(shards.items())}


def shard_hosts(graph: Graph, view: View, route_name: str, form: PortForm, shard: int) -> HostGroup:
    """The virtual hosts of one group of services on one port."""
    number = _table(graph, view, route_name).number
    scope = graph.ask(host_scope, view, form)
    keys = graph.ask(routed_by_shard, view, route_name).get(shard, ())
    return group(graph.ask(service_host, scope, key, number) for key in keys)


def unregistered_hosts(graph: Graph, view: View, form: PortForm) -> HostGroup:
    """The virtual hosts of names that VirtualServices route but no service has; they are served on the HTTP port."""
    scope = graph.ask(host_scope, view, form)
    return group(
        graph.ask(unregistered_host, scope, hostname, HTTP_PORT)
        for hostname in read_routed_hosts(graph)
        if not read_service_keys(graph, "services-of-host", hostname)
    )


def host_groups(graph: Graph, view: View, route_name: str) -> tuple[tuple[Query, tuple[Any, ...]], ...]:
    """The queries of all groups of a route configuration, so that they can be made ahead of it."""
    if route_name == HTTP_PROXY_ROUTE:
        tables = graph.ask(port_tables, view)
        forms = [
            (t.route_name, PortForm.BOTH if t.number == HTTP_PORT else PortForm.EXPLICIT) for t in tables
        ]
        last: list[tuple[Query, tuple[Any, ...]]] = [(unregistered_hosts, (view, PortForm.BOTH))]
    else:
        forms = [(route_name, PortForm.BARE)]
        on_http = _table(graph, view, route_name).number == HTTP_PORT
        last = [(unregistered_hosts, (view, PortForm.BARE))] if on_http else []
    shards = [
        (shard_hosts, (view, name, form, shard))
        for name, form in forms
        for shard in graph.ask(routed_by_shard, view, name)
    ]
    return (*shards, *last)


def routes(graph: Graph, view: View, route_name: str) -> Resource:
    """The route configuration of an outbound port, or (``http_proxy``) of every port, by ``host:port``."""
    groups = [graph.ask(query, *arguments) for query, arguments in graph.ask(host_groups, view, route_name)]
    last = graph.ask(last_host, graph.ask(allow_any, view.sidecar))
    return join(route_name, groups, (last,), ignore_port=route_name != HTTP_PROXY_ROUTE)


def join(
    name: str, groups: Sequence[HostGroup], last: Sequence[HostPart] = (), *, ignore_port: bool = True
) -> Resource:
    """A route configuration from finished virtual hosts; its version is made from theirs."""
    if len(frozenset().union(*(each.keys for each in groups))) != sum(
        len(part.keys) for each in groups for part in each.parts
    ):
        groups = [group(_without_clashes([part for each in groups for part in each.parts]))]
    head = route_configuration(name, (), ignore_port=ignore_port)
    tail = group(last)
    body = b"".join((head, *(each.fields for each in groups), tail.fields))
    version = content_version(head, *(each.version for each in groups), tail.version)
    return Resource.of(ROUTE, name, body, version)


def _table(graph: Graph, view: View, route_name: str) -> PortTable:
    return next(table for table in graph.ask(port_tables, view) if table.route_name == route_name)


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
