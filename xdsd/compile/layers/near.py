"""What depends on where a proxy is: endpoints in the order in which proxies at one place prefer them.

It has a layer of its own beside that of the view, so that proxies share all the rest across places, and each
assignment with all proxies to which the same of their place matters.
"""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member
from xdsd.compile.layers.checks import check_for
from xdsd.compile.layers.edge import edge_targets
from xdsd.compile.layers.edge_tables import edge_ports
from xdsd.compile.layers.networks import networks
from xdsd.compile.layers.outbound import (
    Rules,
    depends_on_node,
    depends_on_place,
    near_members,
    ranks_places,
    subset_names,
)
from xdsd.compile.layers.own import own_endpoints, own_services
from xdsd.compile.layers.passing import passing_members
from xdsd.compile.layers.scope import SHARDS, services_of_shard
from xdsd.compile.locality import CLUSTER_ID, NETWORK, NOWHERE, TOPOLOGY, Place, split
from xdsd.compile.resolve import View, client_towards, rules_for
from xdsd.compile.world import read_labels, read_proxy, read_service
from xdsd.model.catalog import ServiceKey
from xdsd.model.global_names import is_global
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
    network = proxy_label(proxy, NETWORK) if graph.ask(networks) is not None else ""
    compared_labels = tuple((key, value) for key, value in compared if value)
    return Place(proxy.locality or _locality_in_catalog(graph, proxy), compared_labels, network)


def _locality_in_catalog(graph: Graph, proxy: Proxy) -> str:
    """Where the endpoints are that a proxy stands before."""
    found = (each.locality for key in own_services(graph, proxy) for each in own_endpoints(graph, proxy, key))
    return next(filter(None, found), "")


def proxy_label(proxy: Proxy, key: str) -> str:
    """A label of a proxy; what it says of where it runs counts as labels too."""
    if key in TOPOLOGY:
        derived = split(proxy.locality)[TOPOLOGY.index(key)]
    else:
        derived = {NETWORK: proxy.network, CLUSTER_ID: proxy.cluster}.get(key, "")
    return derived or proxy.labels.get(key, "")


def near_layer(view: View, shared: LayerSpec, place: Place) -> LayerSpec:
    """The layer of a view's proxies at one place, beside the layer that the view shares."""
    layer_id = LayerId(f"{NEAR}{shared.id}/{'/'.join(words_of(place))}")
    if view.role is Role.ROUTER:
        return LayerSpec(layer_id, ((near_edge_members, (view, place)),))
    return LayerSpec(layer_id, tuple((near_outbound_members, (view, place, part)) for part in range(PARTS)))


def words_of(place: Place) -> list[str]:
    """A place as names of layers say it."""
    words = [place.locality, *(f"{key}={value}" for key, value in place.labels)]
    return [*words, f"network={place.network}"] if place.network else words


def near_outbound_members(graph: Graph, view: View, place: Place, part: int) -> tuple[Member, ...]:
    """One part of a sidecar's layer."""
    return tuple(
        member
        for shard in range(part, SHARDS, PARTS)
        for key, port, subset, rules, check in graph.ask(near_clusters, view, shard)
        for member in near_members(
            graph, key, port, subset, rules, check, place, client_towards(graph, view, key, port)
        )
    )


def near_edge_members(graph: Graph, view: View, place: Place) -> tuple[Member, ...]:
    """The whole of a gateway's layer."""
    own = tuple(
        member
        for key, port, subset, rules, check in graph.ask(near_edge_clusters, view)
        for member in near_members(graph, key, port, subset, rules, check, place, view.client)
    )
    return (*own, *passing_members(graph, view, graph.ask(edge_ports, view), place.network))


def near_clusters(graph: Graph, view: View, shard: int) -> tuple[Near, ...]:
    """The clusters of one shard that depend on places."""
    found: list[Near] = []
    everywhere = ranks_places(graph, (), 0, "") or graph.ask(networks) is not None
    for key in graph.ask(services_of_shard, view, shard):
        service = read_service(graph, key)
        rules = graph.ask(rules_for, view.namespace, view.labels, key)
        if service is None or not (
            rules or everywhere or service.regional or service.spread or is_global(key.hostname)
        ):
            continue
        subsets = ("", *graph.ask(subset_names, rules))
        found += (
            (key, port.number, subset, rules, check_for(graph, view.namespace, view.labels, key, port.number))
            for port in service.ports
            for subset in subsets
            if depends_on_place(graph, key, rules, port.number, subset)
            and not depends_on_node(graph, key, rules, port.number, subset)
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
        if depends_on_place(graph, target.key, rules, target.port, target.subset)
        and not depends_on_node(graph, target.key, rules, target.port, target.subset)
    )
