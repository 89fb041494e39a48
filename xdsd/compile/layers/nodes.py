"""What depends on which node a proxy is on: the endpoints of services whose callers are to keep to their own, or prefer it.

Few services are, so these have a layer of their own: proxies share all the rest across nodes. Only what is discovered one by
one, the endpoints, differs. Where no service asks, nobody has such a layer.

A proxy is on the node of the workload at its address, which its platform says. Without one it is where it says itself
(metadata ``NODE_NAME``, and ``CLUSTER_ID`` where clusters have names): that only narrows what it is told.
"""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member
from xdsd.compile.layers.checks import check_for
from xdsd.compile.layers.edge import edge_targets
from xdsd.compile.layers.near import NEAR, Near, words_of
from xdsd.compile.layers.outbound import depends_on_node, near_members, subset_names
from xdsd.compile.layers.scope import services_of_shard, shard_of
from xdsd.compile.locality import Place
from xdsd.compile.resolve import View, client_towards, rules_for
from xdsd.compile.world import read_nodes_at, read_proxy, read_service, read_service_keys
from xdsd.model.catalog import node_name
from xdsd.model.mesh import Proxy, Role
from xdsd.snapshot import LayerId

METADATA = "NODE_NAME"


def node_of(graph: Graph, node_id: str) -> str | None:
    """The node that a connected proxy is on, empty if that is not known; None where no service asks."""
    proxy = read_proxy(graph, node_id)
    if proxy is None or not graph.ask(matters):
        return None
    nodes = {
        each.node
        for each in read_nodes_at(graph, proxy.address)
        if not proxy.network or each.network in {"", proxy.network}
    }
    return nodes.pop() if len(nodes) == 1 else _claimed(proxy)


def matters(graph: Graph) -> bool:
    """Whether there is a service to which it matters on which node a caller is."""
    return bool(read_service_keys(graph, "services-by-node"))


def _claimed(proxy: Proxy) -> str:
    return node_name(proxy.cluster, proxy.metadata.get(METADATA, ""))


def node_layers(view: View, shared: LayerSpec, place: Place, node: str | None) -> tuple[LayerSpec, ...]:
    """The layer of a view's proxies on one node, beside the layer that the view shares."""
    if node is None:
        return ()
    layer_id = LayerId(f"{NEAR}node/{shared.id}/{'/'.join((*words_of(place), f'node={node}'))}")
    return (LayerSpec(layer_id, ((node_members, (view, place._replace(node=node))),)),)


def node_members(graph: Graph, view: View, place: Place) -> tuple[Member, ...]:
    """The endpoints that such a layer is for."""
    at_edge = view.role is Role.ROUTER
    return tuple(
        member
        for key, port, subset, rules, check in graph.ask(node_clusters, view)
        for member in near_members(
            graph,
            key,
            port,
            subset,
            rules,
            check,
            place,
            view.client if at_edge else client_towards(graph, view, key, port),
        )
    )


def node_clusters(graph: Graph, view: View) -> tuple[Near, ...]:
    """The clusters of a view that depend on nodes."""
    candidates = _edge_clusters(graph, view) if view.role is Role.ROUTER else _outbound_clusters(graph, view)
    return tuple(each for each in candidates if depends_on_node(graph, each[0], each[3], each[1], each[2]))


def _outbound_clusters(graph: Graph, view: View) -> list[Near]:
    found: list[Near] = []
    for key in read_service_keys(graph, "services-by-node"):
        service = read_service(graph, key)
        if service is None or key not in graph.ask(services_of_shard, view, shard_of(key)):
            continue
        rules = graph.ask(rules_for, view.namespace, view.labels, key)
        for port in service.ports:
            check = check_for(graph, view.namespace, view.labels, key, port.number)
            found += (
                (key, port.number, subset, rules, check) for subset in ("", *graph.ask(subset_names, rules))
            )
    return found


def _edge_clusters(graph: Graph, view: View) -> list[Near]:
    by_node = frozenset(read_service_keys(graph, "services-by-node"))
    return [
        (
            target.key,
            target.port,
            target.subset,
            rules,
            check_for(graph, view.namespace, view.labels, target.key, target.port),
        )
        for target, rules in graph.ask(edge_targets, view)
        if target.key in by_node
    ]
