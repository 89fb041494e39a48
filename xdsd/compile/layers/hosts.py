"""Virtual hosts of sidecars, one a service and port, and the route configurations joined from them."""

from typing import NamedTuple

from envoy.config.route.v3.route_components_pb2 import VirtualHost

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import encode
from xdsd.compile.layers.destinations import MeshDestinations
from xdsd.compile.layers.scope import Claim, imported_virtual_service, port_tables, view_hosts
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
from xdsd.compile.world import MESH, read_routed_hosts, read_service
from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import ROUTE, Resource, content_version


class HostPart(NamedTuple):
    """An encoded virtual host, with what is needed to join it: its host, its domains and its content's version."""

    hostname: str
    domains: tuple[str, ...]
    encoded: bytes
    version: str


def host_part(hostname: str, host: VirtualHost) -> HostPart:
    """Encodes a virtual host."""
    data = encode(host)
    return HostPart(hostname, tuple(host.domains), data, content_version(data))


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


def port_routes(graph: Graph, view: View, route_name: str) -> Resource | None:
    """The route configuration of one outbound port."""
    table = next((table for table in graph.ask(port_tables, view) if table.route_name == route_name), None)
    if table is None:
        return None
    scope = graph.ask(host_scope, view, PortForm.BARE)
    parts = _parts(graph, scope, table.claims.http, table.number)
    if table.number == 80:
        parts += _unregistered(graph, scope, table.number)
    return _join(graph, view, route_name, parts, ignore_port=True)


def proxy_routes(graph: Graph, view: View) -> Resource:
    """The route configuration of the HTTP proxy listener: every host on every port, by ``host:port``."""
    parts: list[HostPart | None] = []
    for table in graph.ask(port_tables, view):
        scope = graph.ask(host_scope, view, PortForm.BOTH if table.number == 80 else PortForm.EXPLICIT)
        parts += _parts(graph, scope, table.claims.http, table.number)
    parts += _unregistered(graph, graph.ask(host_scope, view, PortForm.BOTH), 80)
    return _join(graph, view, HTTP_PROXY_ROUTE, parts, ignore_port=False)


def _parts(graph: Graph, scope: HostScope, found: tuple[Claim, ...], number: int) -> list[HostPart | None]:
    return [graph.ask(service_host, scope, claim.key, number) for claim in found]


def _unregistered(graph: Graph, scope: HostScope, number: int) -> list[HostPart | None]:
    return [
        graph.ask(unregistered_host, scope, hostname, number)
        for hostname in read_routed_hosts(graph)
        if not graph.read(("services-of-host", hostname))
    ]


def _join(
    graph: Graph, view: View, name: str, found: list[HostPart | None], *, ignore_port: bool
) -> Resource:
    parts = sorted(part for part in found if part is not None)
    total = sum(len(part.domains) for part in parts)
    if len({domain.lower() for part in parts for domain in part.domains}) != total:
        parts = _without_clashes(parts)
    parts.append(graph.ask(last_host, graph.ask(allow_any, view.sidecar)))
    body = route_configuration(name, [part.encoded for part in parts], ignore_port=ignore_port)
    version = content_version(name.encode(), *(part.version.encode() for part in parts))
    return Resource.of(ROUTE, name, body, version)


def _without_clashes(parts: list[HostPart]) -> list[HostPart]:
    """The parts with every domain given to one of them only; a part left without any is dropped."""
    kept: list[HostPart] = []
    shares = distinct_domains([(part.hostname, part.domains) for part in parts])
    for part, domains in zip(parts, shares, strict=True):
        if tuple(domains) == part.domains:
            kept.append(part)
        elif domains:
            host = VirtualHost.FromString(part.encoded)
            del host.domains[:]
            host.domains.extend(domains)
            kept.append(host_part(part.hostname, host))
    return kept
