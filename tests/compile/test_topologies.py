"""What gateways say of what stands in front of them."""

from dataclasses import replace
from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from tests.compile.worlds import Sandbox, gateway, router, service, virtual_service
from xdsd.compile.proxies import proxy_of
from xdsd.model.gateway_topology import UNSAID, GatewayTopology
from xdsd.model.mesh import Proxy
from xdsd.model.node import Node, NodeRefused
from xdsd.snapshot import LISTENER


def told(said: Any, role: str = "router") -> Proxy:
    return proxy_of(Node(f"{role}~10.0.0.1~a.edge~cluster.local", metadata={"PROXY_CONFIG": said}))


def hops(sandbox: Sandbox, proxy: Proxy) -> int:
    """How many proxies before it a gateway believes at its one port."""
    listener = sandbox.message(proxy.node_id, LISTENER, "0.0.0.0_8080")
    manager = HttpConnectionManager()
    listener.default_filter_chain.filters[0].typed_config.Unpack(manager)
    return int(manager.xff_num_trusted_hops)


def test_a_node_says_it_in_its_metadata() -> None:
    """Beside what it was started with; of a sidecar it means nothing."""
    assert told({"gatewayTopology": {"numTrustedProxies": 2.0}}).topology == GatewayTopology(2)
    assert told({"concurrency": 2.0}).topology == told("?").topology == UNSAID
    assert told({"gatewayTopology": {"numTrustedProxies": 2.0}}, "sidecar").topology == UNSAID


def test_a_node_that_says_nonsense_is_refused() -> None:
    """In words that name the value."""
    with pytest.raises(
        NodeRefused, match=r"PROXY_CONFIG.gatewayTopology is \{'hops': 2\}: it has 'hops'; there are"
    ):
        told({"gatewayTopology": {"hops": 2}})


def test_gateways_with_other_proxies_before_them_have_listeners_of_their_own() -> None:
    """Those that say the same share a layer."""
    sandbox = Sandbox()
    sandbox.put_service(service("a"))
    sandbox.put_object(gateway("edge", 8080))
    sandbox.put_object(virtual_service("shop", "shop.example.com", to="a", gateways=("edge",)))
    plain = router()
    first, twin, second = (
        replace(
            plain, node_id=plain.node_id.replace("edge", name), name=name, topology=GatewayTopology(count)
        )
        for name, count in (("one", 1), ("twin", 1), ("two", 2))
    )
    for each in (plain, first, twin, second):
        sandbox.attach(each)
    sandbox.settle()
    assert [hops(sandbox, each) for each in (plain, first, twin, second)] == [0, 1, 1, 2]
    assigned = sandbox.snapshot.assigned
    assert assigned[first.node_id] == assigned[twin.node_id] != assigned[second.node_id]
