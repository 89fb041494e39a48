"""Which layers serve a proxy.

There is one cell a proxy; what equal proxies have in common is asked for, so that they hold it together.
"""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec
from xdsd.compile.layers.doing_without import without_lost
from xdsd.compile.layers.edge import edge_layer
from xdsd.compile.layers.guarding import guards_layer, guards_of
from xdsd.compile.layers.near import near_layer, place_of
from xdsd.compile.layers.nodes import node_layers, node_of
from xdsd.compile.layers.observing import with_telemetry
from xdsd.compile.layers.outbound import outbound_layer
from xdsd.compile.layers.patched import patches_outbound_routes, with_patches
from xdsd.compile.layers.replicas import replicas_layers
from xdsd.compile.layers.starts import report_other_start
from xdsd.compile.layers.workload import (
    Explicit,
    Served,
    explicit_of,
    served_by,
    undeclared_of,
    workload_layer,
)
from xdsd.compile.locality import Place
from xdsd.compile.peers import UNREAD, Undeclared
from xdsd.compile.resolve import View, settings, view_of
from xdsd.compile.world import read_proxy
from xdsd.model.mesh import Role


def layers_of(graph: Graph, node_id: str) -> tuple[LayerSpec, ...]:
    """The layers of a connected proxy; none once it is gone."""
    view = view_of(graph, node_id)
    if view is None:
        return ()
    report_other_start(graph, node_id)
    place, alike = place_of(graph, node_id), replicas_layers(graph, node_id)
    node = node_of(graph, node_id)
    if view.role is Role.ROUTER:
        specs = with_telemetry(graph, node_id, view, graph.ask(edge_and_near, view, place, node))
        specs = without_lost(graph, node_id, view, specs)
        return (*with_patches(graph, node_id, specs), *alike)
    if discovers_hosts(graph, node_id):
        view = view._replace(vhds=True)
    served, explicit = served_by(graph, node_id), explicit_of(graph, node_id, view)
    # Without redirection nothing reaches ports that nobody declares.
    undeclared = UNREAD if explicit else undeclared_of(graph, node_id)
    specs = graph.ask(outbound_and_own, view, place, node, served, explicit, undeclared)
    specs = with_telemetry(graph, node_id, view, specs)
    specs = without_lost(graph, node_id, view, specs)
    own = guards_layer(guards_of(graph, node_id))
    return (*with_patches(graph, node_id, specs), own, *alike)


def discovers_hosts(graph: Graph, node_id: str) -> bool:
    """Whether a sidecar discovers virtual hosts one by one. Where EnvoyFilters patch routes it has these whole."""
    proxy = read_proxy(graph, node_id)
    if proxy is None or not proxy.vhds or not settings(graph).vhds:
        return False
    return not patches_outbound_routes(graph, proxy)


def edge_and_near(graph: Graph, view: View, place: Place, node: str | None) -> tuple[LayerSpec, ...]:
    """A gateway has the layer of its view and that of its place, and where nodes matter that of its node."""
    del graph
    shared = edge_layer(view)
    return (shared, near_layer(view, shared, place), *node_layers(view, shared, place, node))


def outbound_and_own(
    graph: Graph,
    view: View,
    place: Place,
    node: str | None,
    served: tuple[Served, ...],
    explicit: Explicit | None,
    undeclared: Undeclared,
) -> tuple[LayerSpec, ...]:
    """A sidecar has the layer of its view, that of its workload, that of its place, and where nodes matter its node's."""
    del graph
    shared = outbound_layer(view)
    near = near_layer(view, shared, place)
    own = workload_layer(served, explicit, undeclared)
    return (shared, own, near, *node_layers(view, shared, place, node))
