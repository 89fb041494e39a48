"""The routes of VirtualServices with very many rules, a portion of the rules a step, so that no step is long.

A portion is made ahead of what is joined from it: what is asked for in the middle of a step is made in that step.
"""

from collections.abc import Iterator
from typing import NamedTuple

from envoy.config.route.v3.route_components_pb2 import Route

from xdsd.compile.delegates import routing
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member
from xdsd.compile.layers.defaults import default_retries
from xdsd.compile.layers.destinations import MeshDestinations, Target
from xdsd.compile.matches import Source, is_catch_all
from xdsd.compile.resolve import ALL_HOSTS, EgressHosts, Labels
from xdsd.compile.routes import rule_routes
from xdsd.compile.world import MANY_RULES, read_object, read_refs
from xdsd.model.problem import ObjectRef

AHEAD = 32
"""Steps in which a layer's portions are made ahead."""


class Clients(NamedTuple):
    """Those for whom routes are made: ``Source`` as a value, and the hosts that they may reach."""

    gateways: frozenset[str]
    namespace: str
    labels: Labels
    port: int
    hosts: tuple[EgressHosts, ...] = ALL_HOSTS

    @property
    def source(self) -> Source:
        return Source(self.gateways, self.namespace, dict(self.labels), self.port)


class Portion(NamedTuple):
    """Routes of some rules, and the clusters to which they lead. They belong to the portion: copy what is to be changed."""

    routes: tuple[Route, ...]
    targets: tuple[Target, ...]


Wanted = tuple[ObjectRef, Clients, int]
"""A portion: of which VirtualService, for whom, and the first of its rules."""


def routes_for(graph: Graph, ref: ObjectRef, clients: Clients) -> Portion:
    """The routes of a VirtualService's rules for clients, in order; nothing after one that takes everything."""
    count = len(routing(graph, ref).rules)
    if count <= MANY_RULES:
        return _made(graph, ref, clients, 0)
    routes: list[Route] = []
    targets: dict[Target, None] = {}
    for at in range(0, count, MANY_RULES):
        found = graph.ask(portion, ref, clients, at)
        routes += map(_copy, found.routes)
        targets.update(dict.fromkeys(found.targets))
        if routes and is_catch_all(routes[-1]):
            break
    return Portion(tuple(routes), tuple(targets))


def portion(graph: Graph, ref: ObjectRef, clients: Clients, at: int) -> Portion:
    """The routes of as many rules as are read at once."""
    return _made(graph, ref, clients, at)


def _made(graph: Graph, ref: ObjectRef, clients: Clients, at: int) -> Portion:
    destinations = MeshDestinations(graph, clients.namespace, clients.labels, clients.hosts)
    rules = routing(graph, ref).rules[at : at + MANY_RULES]
    routes = rule_routes(rules, clients.source, destinations, default_retries(graph))
    destinations.keep_to_ports(routes)
    return Portion(tuple(routes), tuple(destinations.targets))


def large(graph: Graph) -> tuple[ObjectRef, ...]:
    """The VirtualServices that are read in portions, by their own rules or by those of their delegates."""
    found: dict[ObjectRef, None] = {}
    for ref in read_refs(graph, "large-virtual-services"):
        obj = read_object(graph, ref)
        if obj is not None and obj.spec.hosts:
            found[ref] = None
        else:
            found.update(dict.fromkeys(read_refs(graph, "delegating", ref.namespace, ref.name)))
    return tuple(found)


def portions(graph: Graph, ref: ObjectRef, clients: Clients) -> Iterator[Wanted]:
    """All portions of a VirtualService, none if it is read at once."""
    count = len(routing(graph, ref).rules)
    if count > MANY_RULES:
        yield from ((ref, clients, at) for at in range(0, count, MANY_RULES))


def make_ahead(graph: Graph, wanted: tuple[Wanted, ...], step: int) -> tuple[Member, ...]:
    """Makes those portions whose turn is in this step; a part of a layer that has no members."""
    for each in wanted[step::AHEAD]:
        graph.ask(portion, *each)
    return ()


def _copy(route: Route) -> Route:
    made = Route()
    made.CopyFrom(route)
    return made
