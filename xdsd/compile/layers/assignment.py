"""Which layers serve a proxy."""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec
from xdsd.compile.layers.edge import edge_layer
from xdsd.compile.layers.outbound import outbound_layer
from xdsd.compile.layers.workload import layers_served
from xdsd.compile.resolve import view_of
from xdsd.model.mesh import Role


def layers_of(graph: Graph, node_id: str) -> tuple[LayerSpec, ...]:
    """The layers of a connected proxy; none once it is gone."""
    view = graph.ask(view_of, node_id)
    if view is None:
        return ()
    if view.role is Role.ROUTER:
        return (edge_layer(view),)
    own = graph.ask(layers_served, node_id)
    return (outbound_layer(view), own) if own else (outbound_layer(view),)
