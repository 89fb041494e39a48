"""Which layers serve a proxy.

There is one cell a proxy; what equal proxies have in common is asked for, so that they hold it together.
"""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec
from xdsd.compile.layers.edge import edge_layer
from xdsd.compile.layers.outbound import outbound_layer
from xdsd.compile.layers.patched import with_patches
from xdsd.compile.layers.workload import Explicit, Served, explicit_of, served_by, workload_layer
from xdsd.compile.resolve import View, view_of
from xdsd.model.mesh import Role


def layers_of(graph: Graph, node_id: str) -> tuple[LayerSpec, ...]:
    """The layers of a connected proxy; none once it is gone."""
    view = view_of(graph, node_id)
    if view is None:
        return ()
    if view.role is Role.ROUTER:
        return with_patches(graph, node_id, graph.ask(edge_alone, view))
    served, explicit = served_by(graph, node_id), explicit_of(graph, node_id, view)
    return with_patches(graph, node_id, graph.ask(outbound_and_own, view, served, explicit))


def edge_alone(graph: Graph, view: View) -> tuple[LayerSpec, ...]:
    """A gateway has one layer."""
    del graph
    return (edge_layer(view),)


def outbound_and_own(
    graph: Graph, view: View, served: tuple[Served, ...], explicit: Explicit | None
) -> tuple[LayerSpec, ...]:
    """A sidecar has the layer of its view and that of its workload."""
    del graph
    return (outbound_layer(view), workload_layer(served, explicit))
