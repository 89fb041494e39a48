"""Where proxies ask about global limits."""

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from api.bootstrap import XDS_CLUSTER
from xdsd.compile.limits.limiter import DAEMON, limiter_cluster


def test_the_daemon_is_asked_where_config_comes_from() -> None:
    """Every bootstrap that we write has that cluster."""
    assert DAEMON == XDS_CLUSTER


@pytest.mark.parametrize(
    ("address", "host", "kind"),
    [
        ("127.0.0.1:8081", "127.0.0.1", Cluster.STATIC),
        ("[::1]:8081", "::1", Cluster.STATIC),
        ("localhost:8081", "localhost", Cluster.STRICT_DNS),
    ],
)
def test_a_service_is_reached_as_it_is_written(address: str, host: str, kind: int) -> None:
    """By address or by name, in HTTP/2."""
    cluster = limiter_cluster("c", address)
    (endpoint,) = cluster.load_assignment.endpoints[0].lb_endpoints
    where = endpoint.endpoint.address.socket_address
    assert (where.address, where.port_value, cluster.type) == (host, 8081, kind)
    assert "HttpProtocolOptions" in str(cluster.typed_extension_protocol_options)
