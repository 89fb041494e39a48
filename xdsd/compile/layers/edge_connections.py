"""Connections to gateways that are carried unread: what VirtualServices say of them, and where they lead.

A VirtualService may have thousands of rules for them, so a portion of the rules is read a step.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from xdsd.compile.gateways import GatewayServer, MergedPort, hosts_for_namespace, intersect_hosts
from xdsd.compile.graph import Graph
from xdsd.compile.l4_matches import Region, canonical_names
from xdsd.compile.layers.destinations import MeshDestinations, Target
from xdsd.compile.layers.passing import passing
from xdsd.compile.matches import Source, gateway_key
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import View, sees, settings, virtual_service_spec
from xdsd.compile.tcp_routes import TcpRule, region_targets, rule_regions, tcp_rules, tls_rules
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.compile.world import AnyObject, read_object, read_refs
from xdsd.model.intent import VirtualService
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

PORTION = 200
"""Rules, or filter chains, that are made in one step."""


class EdgeConnections(NamedTuple):
    """Where connections to a port belong, and the clusters to which that leads."""

    targets: tuple[TcpTarget, ...]
    clusters: tuple[Target, ...]


def edge_connections(graph: Graph, view: View, port: MergedPort) -> EdgeConnections:
    """What all VirtualServices of a port's gateways say of the connections that are carried unread, the oldest first."""
    return _connections(graph, view, unread(port))


def server_connections(graph: Graph, view: View, port: MergedPort, server: GatewayServer) -> EdgeConnections:
    """What they say of connections to a server that ends TLS."""
    return _connections(graph, view, replace(port, servers=(server,)))


def unread(port: MergedPort) -> MergedPort:
    """A port with those servers alone that end no TLS."""
    kept = tuple(each for each in port.servers if not each.terminates)
    return port if len(kept) == len(port.servers) else replace(port, servers=kept)


def routed(port: MergedPort) -> MergedPort:
    """A port with those servers alone whose connections go where rules say."""
    kept = tuple(each for each in port.servers if not each.automatic)
    return port if len(kept) == len(port.servers) else replace(port, servers=kept)


def connection_steps(graph: Graph, view: View, port: MergedPort) -> Iterator[tuple[Any, ...]]:
    """What is to be asked for, one after the other, so that no step is long: queries with their arguments."""
    port = routed(unread(port))
    count = len(graph.ask(port_rules, view, port)) if port.servers else 0
    if count > PORTION:
        yield port_regions, view, port
        yield from ((port_targets, view, port, at) for at in range(0, count, PORTION))


def _connections(graph: Graph, view: View, port: MergedPort) -> EdgeConnections:
    automatic = tuple(
        TcpTarget(name, sni=(name,))
        for server in port.servers
        if server.automatic
        for name, _ in graph.ask(passing, view, server)
    )
    port = routed(port)
    if not port.servers:
        return EdgeConnections(automatic, ())
    count = len(graph.ask(port_rules, view, port))
    found = [graph.ask(port_targets, view, port, at) for at in range(0, count, PORTION)]
    targets = tuple(target for each in found for target in each.targets)
    unclaimed = tuple(_unclaimed(port))
    if not targets and not unclaimed:
        _tell_of_no_rules(graph, port)
    clusters = dict.fromkeys(cluster for each in found for cluster in each.clusters)
    return EdgeConnections((*automatic, *targets, *unclaimed), tuple(clusters))


def _unclaimed(port: MergedPort) -> Iterator[TcpTarget]:
    """What no rule takes of the connections to servers that have an endpoint for it."""
    for server in port.servers:
        if server.default is not None:
            named = _section(port, server) == "tls"
            yield TcpTarget(server.default.cluster, sni=server.names if named else (), only_tls=named)


def port_rules(graph: Graph, view: View, port: MergedPort) -> tuple[TcpRule, ...]:
    """The rules for connections to a port, those of the oldest object first."""
    return tuple(rule for obj in _bound(graph, view, port) for rule in _rules(graph, view, port, obj))


def port_regions(graph: Graph, view: View, port: MergedPort) -> tuple[Region, ...]:
    """Which connections belong to which rule, in the order of these."""
    return rule_regions(graph.ask(port_rules, view, port))


def port_targets(graph: Graph, view: View, port: MergedPort, at: int) -> EdgeConnections:
    """Where the connections of a portion of the rules lead."""
    regions = graph.ask(port_regions, view, port)
    first, end = (bisect_left(regions, each, key=lambda region: region.rule) for each in (at, at + PORTION))
    destinations = MeshDestinations(graph, view.namespace, view.labels)
    rules = graph.ask(port_rules, view, port)
    targets = tuple(region_targets(regions[first:end], rules, port.port, destinations))
    return EdgeConnections(targets, tuple(destinations.targets))


def _tell_of_no_rules(graph: Graph, port: MergedPort) -> None:
    for server in port.servers:
        section = _section(port, server)
        message = f"opens no port: no VirtualService of its gateway has a {section} rule for port {port.port}"
        path = f"spec.servers[{server.index}]"
        graph.report(
            Problem(Reason.BROKEN_REFERENCE, message, server.gateway, path, severity=Severity.WARNING)
        )


def _bound(graph: Graph, view: View, port: MergedPort) -> list[AnyObject]:
    """The VirtualServices of the port's gateways that the view sees, older ones first."""
    found: dict[ObjectRef, AnyObject] = {}
    for gateway in dict.fromkeys(server.gateway_key for server in port.servers):
        for ref in read_refs(graph, "gateway-virtual-services", gateway):
            obj = read_object(graph, ref)
            if obj is not None and sees(graph, view.namespace, ref, obj.spec.export_to):
                found[ref] = obj
    return sorted(found.values(), key=lambda obj: obj.age)


def _section(port: MergedPort, server: GatewayServer) -> str:
    """The rules that are for a server's connections: where it ended TLS they are opaque."""
    return server.section if server.terminates else port.section


def _rules(graph: Graph, view: View, port: MergedPort, obj: AnyObject) -> Iterator[TcpRule]:
    spec = virtual_service_spec(graph, obj.ref)
    servers = [server for server in port.servers if _shows(graph, server, obj.ref, spec)]
    if not servers:
        return
    gateways = frozenset(server.gateway_key for server in servers)
    source = Source(gateways, view.namespace, dict(view.labels), port.port)
    if _section(port, servers[0]) == "tcp":
        yield from tcp_rules(spec, obj.ref, source)
        return
    served = [host for server in servers for host in hosts_for_namespace(server, obj.ref.namespace)]
    for rule in tls_rules(spec, obj.ref, source):
        names = intersect_hosts(rule.conditions.sni or ("*",), served)
        if names:
            yield replace(rule, conditions=rule.conditions._replace(sni=canonical_names(names)))


def _shows(graph: Graph, server: GatewayServer, ref: ObjectRef, spec: VirtualService) -> bool:
    """True if a VirtualService names a server's gateway, and their hosts overlap."""
    if server.gateway_key not in {gateway_key(name, ref.namespace) for name in spec.gateways}:
        return False
    domain = settings(graph).domain
    own = [resolve_host(host, ref.namespace, domain).lower() for host in spec.hosts]
    return bool(intersect_hosts(hosts_for_namespace(server, ref.namespace), own))
