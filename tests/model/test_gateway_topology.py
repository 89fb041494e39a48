"""What stands in front of a gateway, as objects and nodes say it."""

import re
from typing import Any

import pytest

from xdsd.model.gateway_topology import UNSAID, GatewayTopology, read_topology, topology_of
from xdsd.model.intent import ForwardClientCertDetails, ProxyProtocolConfiguration, Topology

WHOLE = GatewayTopology(2, ForwardClientCertDetails.APPEND_FORWARD, proxy_protocol=True)


def test_what_a_node_says_is_read_as_it_was_written() -> None:
    """Numbers too, which are fractions in a node's metadata."""
    assert read_topology(WHOLE.written()) == WHOLE
    assert read_topology({"numTrustedProxies": 2.0}) == GatewayTopology(2)
    assert read_topology({"forwardClientCertDetails": "UNDEFINED", "proxyProtocol": None}) == UNSAID
    assert UNSAID.written() == {}


def test_an_object_says_the_same() -> None:
    """UNDEFINED is what is left out."""
    said = Topology(
        num_trusted_proxies=2,
        forward_client_cert_details=ForwardClientCertDetails.APPEND_FORWARD,
        proxy_protocol=ProxyProtocolConfiguration(),
    )
    assert topology_of(said) == WHOLE
    assert topology_of(Topology(forward_client_cert_details=ForwardClientCertDetails.UNDEFINED)) == UNSAID
    assert topology_of(None) == UNSAID


def test_each_value_is_decided_for_itself() -> None:
    """What a gateway leaves out the mesh says."""
    assert GatewayTopology(0).over(WHOLE) == WHOLE._replace(trusted_proxies=0)
    assert WHOLE.over(UNSAID) == UNSAID.over(WHOLE) == WHOLE


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("2", "must be a map"),
        ({"trustedProxies": 2}, "has 'trustedProxies'; there are numTrustedProxies,"),
        ({"numTrustedProxies": -1}, "no number of proxies"),
        ({"numTrustedProxies": 1.5}, "no number of proxies"),
        ({"numTrustedProxies": True}, "no number of proxies"),
        ({"numTrustedProxies": float("nan")}, "no number of proxies"),
        ({"forwardClientCertDetails": "KEEP"}, "SANITIZE, FORWARD_ONLY"),
        ({"proxyProtocol": True}, "write {}"),
    ],
)
def test_what_is_wrong_is_said(said: Any, told: str) -> None:
    """Whoever runs the gateway hears it when its stream is refused."""
    with pytest.raises(ValueError, match=re.escape(told)):
        read_topology(said)
