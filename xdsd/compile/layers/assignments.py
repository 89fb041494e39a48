"""The endpoints of EDS clusters: in one go, or in pieces where a service has very many."""

from collections.abc import Mapping
from typing import NamedTuple

from xdsd.compile.dividing import divided
from xdsd.compile.endpoints import load_assignment, selected
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.checks import asked_port
from xdsd.compile.layers.defaults import cluster_nearness, platform_word
from xdsd.compile.layers.networks import across, speaks_mutual
from xdsd.compile.layers.peers import mutual_endpoints
from xdsd.compile.locality import Place
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.networks import is_gateway
from xdsd.compile.pieces import Piece, pieces_of, put_together
from xdsd.compile.resolve import merged_rule
from xdsd.compile.world import read_endpoints, read_pieces, read_service
from xdsd.model.catalog import Endpoint, Resolution, ServiceKey, Spread
from xdsd.model.global_names import is_global
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import ENDPOINT, Resource

Rules = tuple[ObjectRef, ...]

_DNS = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN, Resolution.DYNAMIC_DNS})


class Wanted(NamedTuple):
    """Whose endpoints, for proxies at which place: the arguments of ``assignment``."""

    key: ServiceKey
    number: int
    subset: str
    rules: Rules
    check: ObjectRef | None
    place: Place


def assignment_members(
    graph: Graph, name: str, arguments: tuple[ServiceKey, int, str, Rules, ObjectRef | None, Place]
) -> list[Member]:
    """An assignment, and ahead of it the pieces that it is put together from, if it is."""
    wanted = Wanted(*arguments)
    pieces = [
        Member("", f"{name}#{index}", piece, (wanted, index)) for index in range(_pieces(graph, wanted))
    ]
    return [*pieces, Member(ENDPOINT, name, assignment, arguments)]


def subset_labels(graph: Graph, rules: Rules, subset: str) -> dict[str, str]:
    """The labels that endpoints of a subset have; empty for the whole service."""
    rule = graph.ask(merged_rule, rules)
    return next((dict(item.labels) for item in rule.subsets if item.name == subset), {}) if rule else {}


def assignment(
    graph: Graph,
    key: ServiceKey,
    number: int,
    subset: str,
    rules: Rules,
    check: ObjectRef | None,
    place: Place,
) -> Resource | None:
    """The endpoints of an EDS cluster, as proxies at a place prefer them; those that DNS finds are not discovered.

    A service without resolution has EDS clusters where its proxies do not know where clients wanted to go. They have
    no endpoints, but must hear so: Envoy waits for them.
    """
    service = read_service(graph, key)
    port = service.port(number) if service else None
    if service is None or port is None or service.resolution in _DNS:
        return None
    name = outbound_cluster_name(number, subset, key.hostname)
    nearness = cluster_nearness(graph, rules, number, subset, key)
    wanted = Wanted(key, number, subset, rules, check, place)
    if count := _pieces(graph, wanted):
        made = [each for index in range(count) for each in graph.ask(piece, wanted, index)]
        body = put_together(name, made, nearness, place)
        if body is not None:
            return Resource.of(ENDPOINT, name, body)
    labels = graph.ask(subset_labels, rules, subset)
    endpoints = (
        graph.ask(endpoints_on, key, place.node)
        if _keeps_to_node(graph, wanted)
        else read_endpoints(graph, key)
    )
    if not (is_global(key.hostname) and place.mutual and speaks_mutual(graph, key, rules, number, subset)):
        endpoints = tuple(each for each in endpoints if not is_gateway(each))
    asked = graph.ask(asked_port, check) if check else 0
    mutual = mutual_endpoints(graph, key, port)
    if place.network:
        chosen = (each for each in endpoints if selected(each, labels))
        endpoints, mutual = across(graph, key, port, subset, rules, chosen, mutual, place)
    behind = place.network or is_global(key.hostname)
    through = {each.address for each in endpoints if is_gateway(each)} if behind else ()
    message = load_assignment(name, port, endpoints, labels, nearness, place, asked, mutual, through)
    return resource(ENDPOINT, name, message)


def piece(graph: Graph, wanted: Wanted, index: int) -> tuple[Piece, ...]:
    """One of the pieces of an assignment."""
    service = read_service(graph, wanted.key)
    port = service.port(wanted.number) if service else None
    if port is None:
        return ()
    return pieces_of(
        port,
        (each for each in graph.ask(share, wanted.key, index) if not is_gateway(each)),
        graph.ask(subset_labels, wanted.rules, wanted.subset),
        cluster_nearness(graph, wanted.rules, wanted.number, wanted.subset, wanted.key),
        wanted.place,
        graph.ask(asked_port, wanted.check) if wanted.check else 0,
        mutual_endpoints(graph, wanted.key, port),
    )


def share(graph: Graph, key: ServiceKey, index: int) -> tuple[Endpoint, ...]:
    """The endpoints that one piece is made of."""
    found = graph.ask(shares, key)
    return found[index] if index < len(found) else ()


def shares(graph: Graph, key: ServiceKey) -> tuple[tuple[Endpoint, ...], ...]:
    """The endpoints of a service, divided."""
    return divided(read_endpoints(graph, key), read_pieces(graph, key))


def _pieces(graph: Graph, wanted: Wanted) -> int:
    """How many pieces there are; none where endpoints are not called as they are, or are few, or a few of them."""
    service = read_service(graph, wanted.key)
    if (
        service is None
        or service.resolution in _DNS
        or wanted.place.network
        or is_global(wanted.key.hostname)
        or _keeps_to_node(graph, wanted)
    ):
        return 0
    return read_pieces(graph, wanted.key)


def _keeps_to_node(graph: Graph, wanted: Wanted) -> bool:
    """Whether only the endpoints on the proxies' node are called; where that is not known, all are."""
    return bool(wanted.place.node) and graph.ask(platform_word, wanted.key)[1] is Spread.OWN_NODE


def endpoints_on(graph: Graph, key: ServiceKey, node: str) -> tuple[Endpoint, ...]:
    """The endpoints of a service on a node: what changes on other nodes does not concern it."""
    return graph.ask(endpoints_by_node, key).get(node, ())


def nodes_of(graph: Graph, key: ServiceKey) -> frozenset[str]:
    """The nodes on which a service has endpoints."""
    return frozenset(graph.ask(endpoints_by_node, key))


def endpoints_by_node(graph: Graph, key: ServiceKey) -> Mapping[str, tuple[Endpoint, ...]]:
    """The endpoints of a service whose nodes are known."""
    found: dict[str, list[Endpoint]] = {}
    for each in read_endpoints(graph, key):
        if each.node:
            found.setdefault(each.node, []).append(each)
    return {node: tuple(some) for node, some in found.items()}
