"""What of a sidecar's routes is made ahead: the portions of VirtualServices with very many rules."""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member
from xdsd.compile.layers.hosts import routed_ports
from xdsd.compile.layers.portions import Clients, Wanted, large, make_ahead, portions
from xdsd.compile.layers.scope import egress_for
from xdsd.compile.matches import MESH
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import (
    EgressHosts,
    View,
    service_for,
    settings,
    virtual_service_for,
    virtual_service_spec,
)
from xdsd.compile.world import read_service
from xdsd.model.problem import ObjectRef


def outbound_ahead(graph: Graph, view: View, step: int) -> tuple[Member, ...]:
    """One step of it."""
    return make_ahead(graph, graph.ask(outbound_portions, view), step)


def outbound_portions(graph: Graph, view: View) -> tuple[Wanted, ...]:
    """The portions that virtual hosts of a view are joined from, most often all of them."""
    found: dict[Wanted, None] = {}
    domain = settings(graph).domain
    for ref in graph.ask(large):
        for written in virtual_service_spec(graph, ref).hosts:
            host = resolve_host(written, ref.namespace, domain)
            for number, hosts in _places(graph, view, ref, host):
                clients = Clients(frozenset({MESH}), view.namespace, view.labels, number, hosts)
                found.update(dict.fromkeys(portions(graph, ref, clients)))
    return tuple(found)


def _places(graph: Graph, view: View, ref: ObjectRef, host: str) -> list[tuple[int, tuple[EgressHosts, ...]]]:
    """The ports of a host where the rules of a VirtualService count, and what may be reached there."""
    places: list[tuple[int, tuple[EgressHosts, ...]]] = []
    egresses = {hosts for number in (0, 80) if (hosts := _hosts(graph, view, number)) is not None}
    for hosts in sorted(egresses):
        key = graph.ask(service_for, view.namespace, hosts, host)
        service = read_service(graph, key) if key else None
        if service is not None:
            numbers = [port.number for port in service.ports if port.protocol.carries_http]
        else:
            numbers = sorted(graph.ask(routed_ports, view.namespace, hosts, ref))
        for number in numbers:
            own = _hosts(graph, view, number)
            if own is not None and graph.ask(virtual_service_for, view.namespace, own, host) == ref:
                places.append((number, own))
    return places


def _hosts(graph: Graph, view: View, number: int) -> tuple[EgressHosts, ...] | None:
    egress = egress_for(graph, view, number)
    return egress.hosts if egress else None
