"""Ports of gateways whose connections are carried unread: what VirtualServices say of them, and where they lead."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from xdsd.compile.authorization.heads import Extras, heads
from xdsd.compile.gateways import (
    GatewayServer,
    MergedPort,
    gateway_tcp_listener,
    hosts_for_namespace,
    intersect_hosts,
)
from xdsd.compile.graph import Graph
from xdsd.compile.l4_matches import canonical_names
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.destinations import MeshDestinations, Target
from xdsd.compile.layers.guarding import Guards, extras_of, guarded, head_members
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.matches import Source, gateway_key
from xdsd.compile.names import listener_name, resolve_host
from xdsd.compile.resolve import View, sees, settings, virtual_service_spec
from xdsd.compile.tcp_routes import TcpRule, rule_targets, tcp_rules, tls_rules
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.compile.world import AnyObject, read_object, read_refs
from xdsd.model.intent import VirtualService
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.snapshot import LISTENER, Resource


class EdgeConnections(NamedTuple):
    """Where connections to a port belong, and the clusters to which that leads."""

    targets: tuple[TcpTarget, ...]
    clusters: tuple[Target, ...]


def edge_tcp_members(graph: Graph, view: View, port: MergedPort, guards: Guards) -> list[Member]:
    """The listener of a port, and what guards it; nothing while no rule is for it."""
    found = graph.ask(edge_connections, view, port)
    if not found.targets:
        return []
    extras = graph.ask(extras_of, guards.policies)
    arguments = (port.bind, port.port, found.targets, extras)
    told = head_members(guards, heads(extras, place=port.listener_name, http=False))
    return [Member(LISTENER, port.listener_name, edge_tcp_listener, arguments), *told]


def edge_connections(graph: Graph, view: View, port: MergedPort) -> EdgeConnections:
    """What all VirtualServices of a port's gateways say of its connections, the oldest first."""
    rules = [rule for obj in _bound(graph, view, port) for rule in _rules(graph, view, port, obj)]
    destinations = MeshDestinations(graph, view.namespace, view.labels)
    targets = tuple(rule_targets(rules, None, port.port, destinations))
    if not targets:
        for server in port.servers:
            message = f"opens no port: no VirtualService of its gateway has a {port.section} rule for port {port.port}"
            path = f"spec.servers[{server.index}]"
            graph.report(
                Problem(Reason.BROKEN_REFERENCE, message, server.gateway, path, severity=Severity.WARNING)
            )
    return EdgeConnections(targets, tuple(destinations.targets))


def edge_tcp_listener(
    graph: Graph, bind: str, number: int, targets: tuple[TcpTarget, ...], extras: Extras
) -> Resource:
    """The listener of a port."""
    found = guarded(listener_settings(graph), extras, listener_name(bind, number))
    listener = gateway_tcp_listener(bind, number, targets, settings=found)
    return resource(LISTENER, listener.name, listener)


def _bound(graph: Graph, view: View, port: MergedPort) -> list[AnyObject]:
    """The VirtualServices of the port's gateways that the view sees, older ones first."""
    found: dict[ObjectRef, AnyObject] = {}
    for gateway in dict.fromkeys(server.gateway_key for server in port.servers):
        for ref in read_refs(graph, "gateway-virtual-services", gateway):
            obj = read_object(graph, ref)
            if obj is not None and sees(graph, view.namespace, ref, obj.spec.export_to):
                found[ref] = obj
    return sorted(found.values(), key=lambda obj: obj.age)


def _rules(graph: Graph, view: View, port: MergedPort, obj: AnyObject) -> Iterator[TcpRule]:
    spec = virtual_service_spec(graph, obj.ref)
    servers = [server for server in port.servers if _shows(graph, server, obj.ref, spec)]
    if not servers:
        return
    gateways = frozenset(server.gateway_key for server in servers)
    source = Source(gateways, view.namespace, dict(view.labels), port.port)
    if port.section == "tcp":
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
