"""Which endpoints a proxy stands before: those at its address, where they are on its network.

Networks may have equal addresses. Where either does not say on which it is, the address decides.
"""

from collections.abc import Iterator

from xdsd.compile.graph import Graph
from xdsd.compile.layers.networks import networks
from xdsd.compile.networks import Networks
from xdsd.compile.world import read_departed, read_endpoints, read_service_keys
from xdsd.model.catalog import Departed, Endpoint, ServiceKey
from xdsd.model.mesh import Proxy

_NONE = Networks(())


def own_services(graph: Graph, proxy: Proxy) -> Iterator[ServiceKey]:
    """The services of its namespace that a proxy's workload is part of, by host."""
    for key in read_service_keys(graph, "services-at", proxy.address):
        if key.namespace == proxy.namespace and (not proxy.network or any(own_endpoints(graph, proxy, key))):
            yield key


def own_endpoints(graph: Graph, proxy: Proxy, key: ServiceKey) -> Iterator[Endpoint]:
    """The endpoints of a service that are a proxy's workload."""
    known = _known_to(graph, proxy)
    for endpoint in read_endpoints(graph, key):
        if endpoint.address == proxy.address and not known.is_elsewhere(endpoint, proxy.network):
            yield endpoint


def own_departed(graph: Graph, proxy: Proxy) -> Iterator[Departed]:
    """What of services of its namespace a proxy's workload was not long ago."""
    for departed in read_departed(graph, proxy.address):
        elsewhere = _known_to(graph, proxy).is_elsewhere(departed.endpoint, proxy.network)
        if departed.service.namespace == proxy.namespace and not elsewhere:
            yield departed


def _known_to(graph: Graph, proxy: Proxy) -> Networks:
    """The networks that tell a proxy's endpoints from others of its address."""
    return (graph.ask(networks) or _NONE) if proxy.network else _NONE
