"""What patches may want to know of a resource beside its content: services behind it, names of ports, Gateways.

These are values of their own, so that resources of several views that are equal in them are patched once. Only what some
patch asks for is looked up.
"""

from collections.abc import Iterable
from typing import Any, cast

from xdsd.compile.envoy_filters.matching import Facts
from xdsd.compile.envoy_filters.patches import ReadyPatch
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member
from xdsd.compile.layers.edge_tables import edge_ports
from xdsd.compile.layers.scope import claims
from xdsd.compile.layers.workload import Served
from xdsd.compile.resolve import View
from xdsd.compile.world import read_object, read_service, read_service_keys
from xdsd.model.intent import Gateway, Object, PatchContext
from xdsd.snapshot import CLUSTER, LISTENER, ROUTE


def facts_of(
    graph: Graph,
    member: Member,
    part: tuple[Any, ...],
    context: PatchContext,
    patches: Iterable[ReadyPatch],
) -> Facts:
    """The facts of a member of a layer's part, as far as these patches ask; ``part`` are the part's arguments."""
    inbound = context is PatchContext.SIDECAR_INBOUND
    if member.type_url == CLUSTER and inbound:
        hosts = (each.host for each in member.arguments if isinstance(each, Served) and each.host)
        return Facts(context, hosts=tuple(hosts))
    if member.type_url == LISTENER and any(_names_port(each) for each in patches):
        if inbound:
            return Facts(context, port_names=graph.ask(served_names, part[0]))
        names = gateway_names if context is PatchContext.GATEWAY else outbound_names
        return Facts(context, port_names=graph.ask(names, part[0]))
    if member.type_url == ROUTE and context is PatchContext.GATEWAY and any(map(_names_server, patches)):
        return Facts(context, servers=graph.ask(servers_of, part[0], member.name))
    return Facts(context)


def _names_port(patch: ReadyPatch) -> bool:
    match = patch.match.listener if patch.match else None
    return match is not None and bool(match.port_name)


def _names_server(patch: ReadyPatch) -> bool:
    match = patch.match.route_configuration if patch.match else None
    return match is not None and bool(match.gateway or match.port_name)


def outbound_names(graph: Graph, view: View) -> frozenset[tuple[str, int]]:
    """The names of the ports that a view's services have, in lower case, with their numbers."""
    found = graph.ask(claims, view)
    return frozenset(
        (claim.port.name.lower(), number) for number, entries in found.items() for claim in entries
    )


def gateway_names(graph: Graph, view: View) -> frozenset[tuple[str, int]]:
    """The names of the ports that a gateway's servers have, in lower case, with their numbers."""
    return frozenset(
        (_server_name(graph, server.gateway, server.index).lower(), port.port)
        for port in graph.ask(edge_ports, view)
        for server in port.servers
    )


def servers_of(graph: Graph, view: View, routes: str) -> frozenset[tuple[str, str]]:
    """The servers that a gateway's route configuration is for: Gateways as namespace/name, and names of ports."""
    return frozenset(
        (server.gateway_key, _server_name(graph, server.gateway, server.index))
        for port in graph.ask(edge_ports, view)
        for table in port.tables
        if table.name == routes
        for server in table.servers
    )


def _server_name(graph: Graph, gateway: Any, index: int) -> str:
    obj = cast("Object[Gateway] | None", read_object(graph, gateway))
    return obj.spec.servers[index].port.name if obj is not None and index < len(obj.spec.servers) else ""


def served_names(graph: Graph, served: tuple[Served, ...]) -> frozenset[tuple[str, int]]:
    """The names of the ports that a workload serves, in lower case, with the numbers at which callers reach it."""
    found: set[tuple[str, int]] = set()
    for each in served:
        for key in read_service_keys(graph, "services-of-host", each.host):
            service = read_service(graph, key)
            for port in service.ports if service else ():
                if each.port in (port.number, port.target or port.number):
                    found.add((port.name.lower(), each.port))
    return frozenset(found)
