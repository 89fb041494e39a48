"""What depends on where a proxy is: endpoints in the order in which proxies at one place prefer them.

It has a layer of its own beside that of the view, so that proxies share all the rest across places, and each
assignment with all proxies to which the same of their place matters.
"""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member
from xdsd.compile.layers.checks import check_for
from xdsd.compile.layers.edge import edge_targets
from xdsd.compile.layers.outbound import Rules, depends_on_place, near_members, subset_names
from xdsd.compile.layers.scope import SHARDS, services_of_shard
from xdsd.compile.locality import CLUSTER_ID, NETWORK, NOWHERE, TOPOLOGY, Place, split
from xdsd.compile.resolve import View, rules_for
from xdsd.compile.world import read_labels, read_proxy, read_service
from xdsd.model.catalog import ServiceKey
from xdsd.model.mesh import Proxy, Role
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import LayerId

NEAR = "near/"
"""How the names of these layers begin."""

PARTS = 32
"""Parts of such a layer, each of several shards: there is little in them, and there are many layers."""

Near = tuple[ServiceKey, int, str, Rules, ObjectRef | None]
"""A cluster that depends on places: its service, port and subset, the rules that it follows, and its health check."""


def place_of(graph: Graph, node_id: str) -> Place:
    """Where a connected proxy is, as far as some rule may ask."""
    proxy = read_proxy(graph, node_id)
    if proxy is None:
        return NOWHERE
    compared = ((key, proxy_label(proxy, key)) for key in sorted(read_labels(graph, "near-labels")))
    return Place(proxy.locality, tuple((key, value) for key, value in compared if value))


def proxy_label(proxy: Proxy, key: str) -> str:
    """A label of a proxy; what it says of where it runs counts as labels too."""
    if key in TOPOLOGY:
        derived = split(proxy.locality)[TOPOLOGY.index(key)]
    else:
        derived = {NETWORK: proxy.network, CLUSTER_ID: proxy.cluster}.get(key, "")
    return derived or proxy.labels.get(key, "")


def near_layer(view: View, shared: LayerSpec, place: Place) -> LayerSpec:
    """The layer of a view's proxies at one place, beside the layer that the view shares."""
    words = [place.locality, *(f"{key}={value}" for key, value in place.labels)]
    layer_id = LayerId(f"{NEAR}{shared.id}/{'/'.join(words)}")
    if view.role is Role.ROUTER:
        return LayerSpec(layer_id, ((near_edge_members, (view, place)),))
    return LayerSpec(layer_id, tuple((near_outbound_members, (view, place, part)) for part in range(PARTS)))


def near_outbound_members(graph: Graph, view: View, place: Place, part: int) -> tuple[Member, ...]:
    """One part of a sidecar's layer."""
    return tuple(
        member
        for shard in range(part, SHARDS, PARTS)
        for key, port, subset, rules, check in graph.ask(near_clusters, view, shard)
        for member in near_members(graph, key, port, subset, rules, check, place, view.client)
    )


def near_edge_members(graph: Graph, view: View, place: Place) -> tuple[Member, ...]:
    """The whole of a gateway's layer."""
    return tuple(
        member
        for key, port, subset, rules, check in graph.ask(near_edge_clusters, view)
        for member in near_members(graph, key, port, subset, rules, check, place, view.client)
    )


def near_clusters(graph: Graph, view: View, shard: int) -> tuple[Near, ...]:
    """The clusters of one shard that depend on places."""
    found: list[Near] = []
    everywhere = depends_on_place(graph, (), 0, "")
    for key in graph.ask(services_of_shard, view, shard):
        service = read_service(graph, key)
        rules = graph.ask(rules_for, view.namespace, view.labels, key)
        if service is None or not (rules or everywhere):
            continue
        subsets = ("", *graph.ask(subset_names, rules))
        found += (
            (key, port.number, subset, rules, check_for(graph, view.namespace, view.labels, key, port.number))
            for port in service.ports
            for subset in subsets
            if depends_on_place(graph, rules, port.number, subset)
        )
    return tuple(found)


def near_edge_clusters(graph: Graph, view: View) -> tuple[Near, ...]:
    """The clusters of a gateway that depend on places."""
    return tuple(
        (
            target.key,
            target.port,
            target.subset,
            rules,
            check_for(graph, view.namespace, view.labels, target.key, target.port),
        )
        for target, rules in graph.ask(edge_targets, view)
        if depends_on_place(graph, rules, target.port, target.subset)
    )
