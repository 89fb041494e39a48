"""What PeerAuthentications say of ports in vain, as far as a connected workload shows it."""

from collections.abc import Collection, Iterator

from xdsd.compile.graph import Graph
from xdsd.compile.layers.peer_policies import PeerPolicy, peer_spec
from xdsd.compile.world import read_endpoints, read_service, read_service_keys
from xdsd.model.mesh import Proxy
from xdsd.model.problem import Problem
from xdsd.model.vain_ports import ServedAt, vain_ports


def ports_in_vain(
    graph: Graph, proxy: Proxy, policy: PeerPolicy, served: Collection[int]
) -> Iterator[Problem]:
    """Says of a policy's port that is one of a service at the workload, and none of its own, which is meant. Of other ports
    nothing is said: another workload may be served there.
    """
    named = {
        number: said.ref for number, said in policy.ports if said.ref is not None and number not in served
    }
    for key in read_service_keys(graph, "services-at", proxy.address) if named else ():
        service = read_service(graph, key)
        own = [each for each in read_endpoints(graph, key) if each.address == proxy.address]
        for port in service.ports if service and key.namespace == proxy.namespace else ():
            ref = named.get(port.number)
            if ref is not None and own:
                at = ServedAt(key.hostname, port.number, own[0].port_for(port))
                yield from vain_ports(peer_spec(graph, ref), ref, [at], only=port.number)
