"""Hosts that gateways serve: which VirtualServices serve them, their virtual hosts, and what limits and guards them."""

from collections.abc import Iterator
from typing import NamedTuple, cast

from envoy.config.route.v3.route_components_pb2 import Route, RouteMatch, VirtualHost

from xdsd.compile.gateways import (
    BoundService,
    GatewayServer,
    HostClaim,
    MergedPort,
    RouteTable,
    claims_by_host,
    covers,
    merge_gateways,
    selects,
    spelled,
)
from xdsd.compile.graph import Graph
from xdsd.compile.layers.admin_pages import mesh_admin_port
from xdsd.compile.layers.destinations import Target
from xdsd.compile.layers.guarding import Guards, gateway_guards
from xdsd.compile.layers.hosts import HostPart, do_clash, group, host_part, join, without_clashes
from xdsd.compile.layers.limits import (
    limit_routes,
    limit_unclaimed,
    route_limits,
    target_limits,
    workload_limits,
)
from xdsd.compile.layers.portions import Clients, routes_for
from xdsd.compile.layers.servers import quic_servers
from xdsd.compile.limits.terms import Side
from xdsd.compile.matches import gateway_key, is_catch_all
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import View, sees, settings, virtual_service_spec
from xdsd.compile.routes import default_http_route, merge_routes
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.compile.world import read_object, read_refs
from xdsd.model.intent import Gateway, Object
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import Resource

MISDIRECTED = 421

DAY = 24 * 60 * 60
"""Seconds that clients may remember that a server speaks HTTP/3."""


class EdgeHost(NamedTuple):
    """A host of a gateway's port, and the clusters to which its routes lead."""

    part: HostPart
    targets: tuple[Target, ...]


def edge_ports(graph: Graph, view: View) -> tuple[MergedPort, ...]:
    """The ports that the Gateways selecting this view open, conflicts settled."""
    chosen: list[Object[Gateway]] = []
    for ref in read_refs(graph, "gateways"):
        obj = cast("Object[Gateway] | None", read_object(graph, ref))
        if obj is not None and selects(obj.spec.selector, dict(view.labels)):
            chosen.append(obj)
    ports, problems = merge_gateways(chosen, wildcard=view.wildcard, admin=graph.ask(mesh_admin_port))
    for problem in problems:
        graph.report(problem)
    return ports


def edge_claims(graph: Graph, view: View, table: RouteTable) -> tuple[tuple[str, tuple[HostClaim, ...]], ...]:
    """Which VirtualServices serve which host of a route configuration, older ones first."""
    bound: dict[ObjectRef, BoundService] = {}
    domain = settings(graph).domain
    for gateway in dict.fromkeys(server.gateway_key for server in table.servers):
        for ref in read_refs(graph, "gateway-virtual-services", gateway):
            spec = virtual_service_spec(graph, ref)
            if sees(graph, view.namespace, ref, spec.export_to):
                hosts = tuple(resolve_host(host, ref.namespace, domain) for host in spec.hosts)
                gateways = frozenset(gateway_key(name, ref.namespace) for name in spec.gateways)
                bound[ref] = BoundService(ref, hosts, gateways)
    return tuple(claims_by_host(table, bound.values()).items())


def edge_host(
    graph: Graph,
    view: View,
    number: int,
    host: str,
    claims: tuple[HostClaim, ...],
    server: GatewayServer | None = None,
) -> EdgeHost:
    """The virtual host of one host of a port: the routes of all its VirtualServices, merged by age. Its ``server`` may send
    everybody to HTTPS, or have an endpoint for what no rule leads elsewhere.
    """
    targets: dict[Target, None] = {}
    parts = []
    for claim in claims:
        obj = read_object(graph, claim.ref)
        if obj is not None:
            clients = Clients(claim.gateways, view.namespace, view.labels, number)
            found = routes_for(graph, claim.ref, clients)
            targets.update(dict.fromkeys(found.targets))
            routes = limit_routes(graph, list(found.routes), claim.ref, claim.gateways, Side.GATEWAY)
            parts.append((obj.age, routes))
    built = virtual_host(f"{host}:{number}", [spelled(host)], merge_routes(parts))
    if server is not None and server.redirects:
        built.require_tls = VirtualHost.ALL
    is_left = not any(is_catch_all(route) for route in built.routes)
    if server is not None and server.default is not None and is_left:
        route = default_http_route(server.default.cluster)
        built.routes.extend(limit_unclaimed(graph, route, server.gateway))
    return EdgeHost(host_part(host, built), tuple(targets))


def edge_routes(graph: Graph, view: View, table: RouteTable) -> Resource:
    """The route configuration of a port, or of one of its servers."""
    away = graph.ask(hosts_elsewhere, view, table)
    hosts = [
        graph.ask(edge_host, view, table.port, host, claims, deciding_server(table, host)).part
        for host, claims in served_hosts(graph, view, table)
        if not _is_among(away, host)
    ]
    if away:
        hosts.append(host_part("", _misdirected(away)))
    found = group(hosts)
    headers = {"alt-svc": f'h3=":{table.port}"; ma={DAY}'} if _speaks_quic(graph, view, table) else {}
    return join(table.name, [without_clashes([found]) if do_clash([found.keys]) else found], headers=headers)


def _speaks_quic(graph: Graph, view: View, table: RouteTable) -> bool:
    port = _port_of(graph, view, table)
    return port is not None and table.servers[0] in graph.ask(quic_servers, view, port)


def _port_of(graph: Graph, view: View, table: RouteTable) -> MergedPort | None:
    ports = graph.ask(edge_ports, view)
    return next((each for each in ports if (each.bind, each.port) == (table.bind, table.port)), None)


def hosts_elsewhere(graph: Graph, view: View, table: RouteTable) -> frozenset[str]:
    """The hosts that a server of wildcards covers and for which another server of the port ends TLS: who comes to the one
    and asks for the other has not shown what the other asks for. Browsers do so where one certificate covers both.
    """
    server = table.servers[0]
    if not server.terminates or all(not name.startswith("*") for name in server.names or ("*",)):
        return frozenset()
    port = _port_of(graph, view, table)
    own = frozenset(server.names or ("*",))
    return frozenset(
        name
        for other in (port.servers if port else ())
        if other.terminates and other is not server
        for name in other.names
        if name not in own and _is_among(own, name) and not _is_closer(own, name)
    )


def _is_closer(own: frozenset[str], name: str) -> bool:
    """True if one of these hosts is below a wildcard."""
    return name.startswith("*") and all(covers(name, each) for each in own)


def _is_among(hosts: frozenset[str], host: str) -> bool:
    """True if a host is one of these, or below one."""
    if not hosts:
        return False
    rest = host.removeprefix("*.")
    if host in hosts or "*" in hosts:
        return True
    while "." in rest:
        rest = rest.partition(".")[2]
        if f"*.{rest}" in hosts:
            return True
    return False


def _misdirected(hosts: frozenset[str]) -> VirtualHost:
    """Has clients come again by a connection of its own."""
    answer = Route(name="misdirected", match=RouteMatch(prefix="/"))
    answer.direct_response.status = MISDIRECTED
    return virtual_host("misdirected", [spelled(host) for host in sorted(hosts)], [answer])


def served_hosts(graph: Graph, view: View, table: RouteTable) -> Iterator[tuple[str, tuple[HostClaim, ...]]]:
    """The hosts with those who serve them; those that lead to HTTPS or to an endpoint need nobody."""
    claims = graph.ask(edge_claims, view, table)
    yield from claims
    known = {host for host, _ in claims}
    for server in table.servers:
        if server.redirects or server.default is not None:
            hosts = dict.fromkeys(server.names or ("*",))
            yield from ((host, ()) for host in hosts if host not in known)
            known.update(hosts)


def deciding_server(table: RouteTable, host: str) -> GatewayServer | None:
    """The server that is for a host, of several the one of the narrowest host, if it says more of it than rules do."""
    fitting = [
        (len(pattern), -place)
        for place, server in enumerate(table.servers)
        for pattern in server.names or ("*",)
        if covers(pattern, host)
    ]
    found = table.servers[-max(fitting)[1]] if fitting else None
    return found if found is not None and (found.redirects or found.default is not None) else None


def edge_limits(graph: Graph, view: View, table: RouteTable) -> tuple[ObjectRef, ...]:
    """The RateLimits of a route configuration: those of the gateway itself, of its Gateways, and of the VirtualServices
    served there.
    """
    found = dict.fromkeys(graph.ask(workload_limits, view.namespace, view.labels))
    gateways = (server.gateway for server in table.servers)
    claims = (claim for _, each in graph.ask(edge_claims, view, table) for claim in each)
    for gateway in dict.fromkeys(gateways):
        found.update(dict.fromkeys(target_limits(graph, gateway)))
    for ref in dict.fromkeys(claim.ref for claim in claims):
        found.update(dict.fromkeys(route_limits(graph, ref)))
    return tuple(found)


def edge_guards(graph: Graph, view: View, table: RouteTable) -> Guards:
    """What guards a route configuration: the gateway's own policies, and those of its Gateways."""
    return gateway_guards(graph, view, dict.fromkeys(server.gateway for server in table.servers))


def port_guards(graph: Graph, view: View, port: MergedPort) -> Guards:
    """What guards connections to a port that are carried unread."""
    return gateway_guards(graph, view, dict.fromkeys(server.gateway for server in port.servers))
