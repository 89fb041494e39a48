"""Where a sidecar sends what nobody declared."""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.destinations import MeshDestinations
from xdsd.compile.names import (
    BLACK_HOLE_CLUSTER,
    FORWARD_CLUSTER,
    HTTP_PROXY_ROUTE,
    PASSTHROUGH_CLUSTER,
)
from xdsd.compile.resolve import View, allow_any, sidecar_spec
from xdsd.model.intent import Destination


def egress_proxy(graph: Graph, view: View) -> Destination | None:
    """The service through which a view reaches what nobody declared, if it has one."""
    policy = sidecar_spec(graph, view.sidecar).outbound_traffic_policy if view.sidecar else None
    return policy.egress_proxy if policy else None


def unknown_cluster(graph: Graph, view: View) -> str:
    """The cluster of what nobody declared: on to where it was going, through an egress proxy, or nowhere."""
    if not graph.ask(allow_any, view.sidecar):
        return BLACK_HOLE_CLUSTER
    proxy = graph.ask(egress_proxy, view)
    if proxy is None or view.sidecar is None:
        return PASSTHROUGH_CLUSTER
    return MeshDestinations(graph, view.namespace, view.labels).cluster(proxy, view.sidecar.namespace, 0)


def unknown_host_cluster(graph: Graph, view: View, route_name: str) -> str:
    """The cluster of requests whose hosts nobody declared. Those to an HTTP proxy were going nowhere but to the proxy, so
    their hosts are looked up.
    """
    unknown: str = graph.ask(unknown_cluster, view)
    looked_up = route_name == HTTP_PROXY_ROUTE and unknown == PASSTHROUGH_CLUSTER
    return FORWARD_CLUSTER if looked_up else unknown
