"""The layer of gateways that share labels: the ports their Gateways open, the hosts served there, and where those lead.

A gateway gets the clusters to which its routes lead and no others: an edge proxy has no use for the rest of the mesh.
"""

import json
from collections.abc import Iterator
from typing import Any

from xdsd.compile.authorization.heads import Extras, heads
from xdsd.compile.default_endpoints import DefaultEndpoint
from xdsd.compile.gateway_listeners import gateway_listener
from xdsd.compile.gateways import MergedPort, RouteTable
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, resource
from xdsd.compile.layers.checks import check_for
from xdsd.compile.layers.destinations import Target
from xdsd.compile.layers.edge_connections import connection_steps, edge_connections
from xdsd.compile.layers.edge_tables import (
    deciding_server,
    edge_claims,
    edge_guards,
    edge_host,
    edge_limits,
    edge_ports,
    edge_routes,
    port_guards,
)
from xdsd.compile.layers.edge_tcp import edge_tcp_members, tcp_steps
from xdsd.compile.layers.edge_tls import (
    edge_quic_listener,
    edge_secure_listener,
    edge_tables,
    ends_tls,
    open_tables,
    secure_steps,
    secure_targets,
)
from xdsd.compile.layers.guarding import extras_of, guarded, head_members, provider_targets
from xdsd.compile.layers.limits import limited, limiter_members
from xdsd.compile.layers.outbound import Rules, cluster_members, subset_names
from xdsd.compile.layers.portions import AHEAD, Clients, Wanted, large, make_ahead, portions
from xdsd.compile.layers.servers import quic_servers
from xdsd.compile.limits.terms import Side
from xdsd.compile.names import listener_name
from xdsd.compile.resolve import View, rules_for
from xdsd.model.gateway_topology import UNSAID, GatewayTopology
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import CLUSTER, LISTENER, ROUTE, LayerId, Resource

PARTS = 8
"""Parts of a gateway's layer that list route configurations, so that no step is long where there are very many."""


def edge_layer(view: View) -> LayerSpec:
    """The layer that all gateways of a view share."""
    words = [view.namespace, *(f"{key}={value}" for key, value in view.labels)]
    if view.bind or view.ipv6:
        words.append(view.wildcard)
    if view.mutual:
        words.append("mutual")
    if view.topology != UNSAID:
        words.append(f"behind={json.dumps(view.topology.written(), separators=(',', ':'))}")
    if view.account:
        words.append(f"account={view.account}")
    ahead = tuple((edge_ahead, (view, step)) for step in range(AHEAD))
    tables = tuple((table_members, (view, part)) for part in range(PARTS))
    return LayerSpec(LayerId(f"gateway/{'/'.join(words)}"), (*ahead, *tables, (edge_members, (view,))))


def edge_ahead(graph: Graph, view: View, step: int) -> tuple[Member, ...]:
    """One step of what is made ahead: the portions of VirtualServices with very many rules, and of ports with very many
    servers.
    """
    wanted = graph.ask(edge_steps, view)
    share = -(-len(wanted) // AHEAD)
    for query, *arguments in wanted[step * share : (step + 1) * share]:
        graph.ask(query, *arguments)
    return make_ahead(graph, graph.ask(edge_portions, view), step)


def edge_steps(graph: Graph, view: View) -> tuple[tuple[Any, ...], ...]:
    """What is to be asked for before the rest, in order: queries with their arguments."""
    found: list[tuple[Any, ...]] = []
    for port in graph.ask(edge_ports, view):
        if port.section == "http":
            continue
        found += connection_steps(graph, view, port)
        if ends_tls(port):
            found += secure_steps(view, port)
        else:
            found += tcp_steps(graph, view, port)
    return tuple(found)


def edge_portions(graph: Graph, view: View) -> tuple[Wanted, ...]:
    """The portions that virtual hosts of a view are joined from."""
    many = graph.ask(large)
    found: dict[Wanted, None] = {}
    for table in graph.ask(edge_tables, view) if many else ():
        for _, claims in graph.ask(edge_claims, view, table):
            for claim in claims:
                if claim.ref in many:
                    clients = Clients(claim.gateways, view.namespace, view.labels, table.port)
                    found.update(dict.fromkeys(portions(graph, claim.ref, clients)))
    return tuple(found)


def all_edge_limits(graph: Graph, view: View) -> tuple[ObjectRef, ...]:
    """The RateLimits of all ports."""
    tables = graph.ask(edge_tables, view)
    found = (ref for table in tables for ref in graph.ask(edge_limits, view, table))
    return tuple(dict.fromkeys(found))


def edge_listener(
    graph: Graph,
    bind: str,
    number: int,
    route: str,
    limits: tuple[ObjectRef, ...],
    extras: Extras,
    topology: GatewayTopology,
) -> Resource:
    """The listener of a port."""
    found = guarded(limited(graph, limits, Side.GATEWAY, topology), extras, listener_name(bind, number))
    listener = gateway_listener(bind, number, route, settings=found)
    return resource(LISTENER, listener.name, listener)


def _listener_member(graph: Graph, view: View, port: MergedPort) -> Member:
    """The listener of a port where requests are read."""
    if port.section == "tls":
        return Member(LISTENER, port.listener_name, edge_secure_listener, (view, port))
    (table,) = port.tables
    limits = graph.ask(edge_limits, view, table)
    extras = graph.ask(extras_of, graph.ask(edge_guards, view, table).policies)
    arguments = (port.bind, port.port, table.name, limits, extras, view.topology)
    return Member(LISTENER, port.listener_name, edge_listener, arguments)


def _table_members(graph: Graph, view: View, table: RouteTable) -> Iterator[Member]:
    """A route configuration, and what its filters are told."""
    guards = graph.ask(edge_guards, view, table)
    yield Member(ROUTE, table.name, edge_routes, (view, table))
    yield from head_members(guards, heads(graph.ask(extras_of, guards.policies), place=table.place))


def table_members(graph: Graph, view: View, part: int) -> tuple[Member, ...]:
    """One part of the route configurations of all ports."""
    tables = graph.ask(edge_tables, view)[part::PARTS]
    return tuple(member for table in tables for member in _table_members(graph, view, table))


def edge_members(graph: Graph, view: View) -> tuple[Member, ...]:
    """The listeners of every port, and the clusters and endpoints that the routes name."""
    members: dict[tuple[str, str], Member] = {}
    for port in graph.ask(edge_ports, view):
        if port.section != "http" and not ends_tls(port):
            tcp = edge_tcp_members(graph, view, port, graph.ask(port_guards, view, port))
            members |= {(each.type_url, each.name): each for each in tcp}
            continue
        found = [_listener_member(graph, view, port)]
        if port.section == "tls":
            guards = graph.ask(port_guards, view, port)
            own = heads(graph.ask(extras_of, guards.policies), place=port.listener_name, http=False)
            found += head_members(guards, own)
            if graph.ask(quic_servers, view, port):
                found.append(Member(LISTENER, port.quic_name, edge_quic_listener, (view, port)))
        for member in found:
            members[member.type_url, member.name] = member
    for default in unclaimed(graph, view):
        members[CLUSTER, default.cluster] = Member(CLUSTER, default.cluster, default_cluster, (default,))
    for target, rules in graph.ask(edge_targets, view):
        check = check_for(graph, view.namespace, view.labels, target.key, target.port)
        for member in cluster_members(
            graph, target.key, target.port, target.subset, rules, check, view.client
        ):
            members[member.type_url, member.name] = member
    for member in limiter_members(graph, graph.ask(all_edge_limits, view), Side.GATEWAY):
        members[member.type_url, member.name] = member
    return tuple(members.values())


def unclaimed(graph: Graph, view: View) -> tuple[DefaultEndpoint, ...]:
    """The endpoints of servers for what no rule leads elsewhere."""
    servers = (server for port in graph.ask(edge_ports, view) for server in port.servers)
    return tuple(dict.fromkeys(server.default for server in servers if server.default is not None))


def default_cluster(_: Graph, endpoint: DefaultEndpoint) -> Resource:
    """The way to one of them."""
    return resource(CLUSTER, endpoint.cluster, endpoint.made())


def edge_targets(graph: Graph, view: View) -> tuple[tuple[Target, Rules], ...]:
    """The clusters to which the rules of a view's gateways lead, and the DestinationRules that they follow.

    A subset that none of these defines has no cluster: Envoy answers 503 rather than send requests to any version.
    """
    found: dict[Target, None] = {}
    for port in graph.ask(edge_ports, view):
        if port.section != "http":
            found.update(dict.fromkeys(graph.ask(edge_connections, view, port).clusters))
            found.update(dict.fromkeys(secure_targets(graph, view, port)))
        for table in graph.ask(open_tables, view, port):
            for host, claims in graph.ask(edge_claims, view, table):
                server = deciding_server(table, host)
                found.update(
                    dict.fromkeys(graph.ask(edge_host, view, table.port, host, claims, server).targets)
                )
            extras = graph.ask(extras_of, graph.ask(edge_guards, view, table).policies)
            found.update(dict.fromkeys(provider_targets(graph, extras)))
    ruled = ((each, graph.ask(rules_for, view.namespace, view.labels, each.key)) for each in found)
    return tuple(
        (target, rules)
        for target, rules in ruled
        if not target.subset or target.subset in graph.ask(subset_names, rules)
    )
