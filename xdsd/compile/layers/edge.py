"""The layer of gateways that share labels: the ports their Gateways open, the hosts served there, and where those lead.

A gateway gets the clusters to which its routes lead and no others: an edge proxy has no use for the rest of the mesh.
"""

from typing import NamedTuple, cast

from xdsd.compile.authorization.heads import Extras, heads
from xdsd.compile.gateways import (
    BoundService,
    HostClaim,
    MergedPort,
    claims_by_host,
    gateway_listener,
    merge_gateways,
    selects,
    spelled,
)
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, resource
from xdsd.compile.layers.checks import check_for
from xdsd.compile.layers.destinations import Target
from xdsd.compile.layers.edge_tcp import edge_connections, edge_tcp_members
from xdsd.compile.layers.guarding import (
    Guards,
    extras_of,
    gateway_guards,
    guarded,
    head_members,
    provider_targets,
)
from xdsd.compile.layers.hosts import HostPart, do_clash, group, host_part, join, without_clashes
from xdsd.compile.layers.limits import (
    limit_routes,
    limited,
    limiter_members,
    route_limits,
    target_limits,
    workload_limits,
)
from xdsd.compile.layers.outbound import Rules, cluster_members, subset_names
from xdsd.compile.layers.portions import AHEAD, Clients, Wanted, large, make_ahead, portions, routes_for
from xdsd.compile.limits.terms import Side
from xdsd.compile.matches import gateway_key
from xdsd.compile.names import listener_name, resolve_host
from xdsd.compile.resolve import View, rules_for, sees, settings, virtual_service_spec
from xdsd.compile.routes import merge_routes
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.compile.world import read_object, read_refs
from xdsd.model.intent import Gateway, Object
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import LISTENER, ROUTE, LayerId, Resource


class EdgeHost(NamedTuple):
    """A host of a gateway's port, and the clusters to which its routes lead."""

    part: HostPart
    targets: tuple[Target, ...]


def edge_layer(view: View) -> LayerSpec:
    """The layer that all gateways of a view share."""
    words = [view.namespace, *(f"{key}={value}" for key, value in view.labels)]
    if view.bind or view.ipv6:
        words.append(view.wildcard)
    if view.mutual:
        words.append("mutual")
    ahead = tuple((edge_ahead, (view, step)) for step in range(AHEAD))
    return LayerSpec(LayerId(f"gateway/{'/'.join(words)}"), (*ahead, (edge_members, (view,))))


def edge_ports(graph: Graph, view: View) -> tuple[MergedPort, ...]:
    """The ports that the Gateways selecting this view open, conflicts settled."""
    chosen: list[Object[Gateway]] = []
    for ref in read_refs(graph, "gateways"):
        obj = cast("Object[Gateway] | None", read_object(graph, ref))
        if obj is not None and selects(obj.spec.selector, dict(view.labels)):
            chosen.append(obj)
    ports, problems = merge_gateways(chosen, wildcard=view.wildcard)
    for problem in problems:
        graph.report(problem)
    return ports


def edge_claims(
    graph: Graph, view: View, number: int, bind: str
) -> tuple[tuple[str, tuple[HostClaim, ...]], ...]:
    """Which VirtualServices serve which host of a port, older ones first."""
    port = _port(graph, view, number, bind)
    if port is None:
        return ()
    bound: dict[ObjectRef, BoundService] = {}
    domain = settings(graph).domain
    for gateway in dict.fromkeys(server.gateway_key for server in port.servers):
        for ref in read_refs(graph, "gateway-virtual-services", gateway):
            spec = virtual_service_spec(graph, ref)
            if sees(graph, view.namespace, ref, spec.export_to):
                hosts = tuple(resolve_host(host, ref.namespace, domain) for host in spec.hosts)
                gateways = frozenset(gateway_key(name, ref.namespace) for name in spec.gateways)
                bound[ref] = BoundService(ref, hosts, gateways)
    return tuple(claims_by_host(port, bound.values()).items())


def _port(graph: Graph, view: View, number: int, bind: str) -> MergedPort | None:
    found = (port for port in graph.ask(edge_ports, view) if (port.port, port.bind) == (number, bind))
    return next(found, None)


def edge_host(graph: Graph, view: View, number: int, host: str, claims: tuple[HostClaim, ...]) -> EdgeHost:
    """The virtual host of one host of a port: the routes of all its VirtualServices, merged by age."""
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
    return EdgeHost(host_part(host, built), tuple(targets))


def edge_ahead(graph: Graph, view: View, step: int) -> tuple[Member, ...]:
    """One step of what is made ahead: the portions of VirtualServices with very many rules."""
    return make_ahead(graph, graph.ask(edge_portions, view), step)


def edge_portions(graph: Graph, view: View) -> tuple[Wanted, ...]:
    """The portions that virtual hosts of a view are joined from."""
    many = graph.ask(large)
    found: dict[Wanted, None] = {}
    for port in graph.ask(edge_ports, view) if many else ():
        if port.section != "http":
            continue
        for _, claims in graph.ask(edge_claims, view, port.port, port.bind):
            for claim in claims:
                if claim.ref in many:
                    clients = Clients(claim.gateways, view.namespace, view.labels, port.port)
                    found.update(dict.fromkeys(portions(graph, claim.ref, clients)))
    return tuple(found)


def edge_routes(graph: Graph, view: View, number: int, bind: str, name: str) -> Resource:
    """The route configuration of a port."""
    hosts = [
        graph.ask(edge_host, view, number, host, claims).part
        for host, claims in graph.ask(edge_claims, view, number, bind)
    ]
    found = group(hosts)
    return join(name, [without_clashes([found]) if do_clash([found.keys]) else found])


def edge_limits(graph: Graph, view: View, number: int, bind: str) -> tuple[ObjectRef, ...]:
    """The RateLimits of a port: those of the gateway itself, of its Gateways, and of the VirtualServices served there."""
    port = _port(graph, view, number, bind)
    found = dict.fromkeys(graph.ask(workload_limits, view.namespace, view.labels))
    gateways = (server.gateway for server in port.servers) if port else ()
    claims = (claim for _, each in graph.ask(edge_claims, view, number, bind) for claim in each)
    for gateway in dict.fromkeys(gateways):
        found.update(dict.fromkeys(target_limits(graph, gateway)))
    for ref in dict.fromkeys(claim.ref for claim in claims):
        found.update(dict.fromkeys(route_limits(graph, ref)))
    return tuple(found)


def all_edge_limits(graph: Graph, view: View) -> tuple[ObjectRef, ...]:
    """The RateLimits of all ports."""
    ports = graph.ask(edge_ports, view)
    found = (ref for port in ports for ref in graph.ask(edge_limits, view, port.port, port.bind))
    return tuple(dict.fromkeys(found))


def edge_guards(graph: Graph, view: View, number: int, bind: str) -> Guards:
    """What guards a port: the gateway's own policies, and those of its Gateways."""
    port = _port(graph, view, number, bind)
    gateways = dict.fromkeys(server.gateway for server in port.servers) if port else ()
    return gateway_guards(graph, view, gateways)


def edge_listener(
    graph: Graph, bind: str, number: int, route: str, limits: tuple[ObjectRef, ...], extras: Extras
) -> Resource:
    """The listener of a port."""
    found = guarded(limited(graph, limits, Side.GATEWAY), extras, listener_name(bind, number))
    listener = gateway_listener(bind, number, route, settings=found)
    return resource(LISTENER, listener.name, listener)


def edge_members(graph: Graph, view: View) -> tuple[Member, ...]:
    """Listeners and routes of every port, and the clusters and endpoints that the routes name."""
    members: dict[tuple[str, str], Member] = {}
    for port in graph.ask(edge_ports, view):
        if port.section != "http":
            guards = graph.ask(edge_guards, view, port.port, port.bind)
            tcp = edge_tcp_members(graph, view, port, guards)
            members |= {(each.type_url, each.name): each for each in tcp}
            continue
        limits = graph.ask(edge_limits, view, port.port, port.bind)
        guards = graph.ask(edge_guards, view, port.port, port.bind)
        extras = graph.ask(extras_of, guards.policies)
        arguments = (port.bind, port.port, port.route_name, limits, extras)
        found = [
            Member(LISTENER, port.listener_name, edge_listener, arguments),
            Member(ROUTE, port.route_name, edge_routes, (view, port.port, port.bind, port.route_name)),
            *head_members(guards, heads(extras, place=port.listener_name)),
        ]
        for member in found:
            members[member.type_url, member.name] = member
    for target, rules in graph.ask(edge_targets, view):
        check = check_for(graph, view.namespace, view.labels, target.key, target.port)
        for member in cluster_members(
            graph, target.key, target.port, target.subset, rules, check, view.client
        ):
            members[member.type_url, member.name] = member
    for member in limiter_members(graph, graph.ask(all_edge_limits, view), Side.GATEWAY):
        members[member.type_url, member.name] = member
    return tuple(members.values())


def edge_targets(graph: Graph, view: View) -> tuple[tuple[Target, Rules], ...]:
    """The clusters to which the rules of a view's gateways lead, and the DestinationRules that they follow.

    A subset that none of these defines has no cluster: Envoy answers 503 rather than send requests to any version.
    """
    found: dict[Target, None] = {}
    for port in graph.ask(edge_ports, view):
        if port.section != "http":
            found.update(dict.fromkeys(graph.ask(edge_connections, view, port).clusters))
            continue
        for host, claims in graph.ask(edge_claims, view, port.port, port.bind):
            found.update(dict.fromkeys(graph.ask(edge_host, view, port.port, host, claims).targets))
        extras = graph.ask(extras_of, graph.ask(edge_guards, view, port.port, port.bind).policies)
        found.update(dict.fromkeys(provider_targets(graph, extras)))
    ruled = ((each, graph.ask(rules_for, view.namespace, view.labels, each.key)) for each in found)
    return tuple(
        (target, rules)
        for target, rules in ruled
        if not target.subset or target.subset in graph.ask(subset_names, rules)
    )
