"""Where proxies ask about global limits."""

from ipaddress import ip_address
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from xdsd.compile.upstream import HTTP_OPTIONS

DAEMON = "xds-grpc"
"""The cluster of every bootstrap by which a proxy gets its config: the daemon counts at the same port."""

OUTBOUND = "rate-limit|outbound"
INBOUND = "rate-limit|inbound"
"""The clusters of a service that is set; two, since what a workload takes in and where it calls are served apart."""


def limiter_cluster(name: str, address: str) -> Any:
    """The way to a service at ``HOST:PORT``, which speaks gRPC in plaintext. Its type is a generated message's."""
    host, _, port = address.rpartition(":")
    cluster = Cluster(name=name, type=Cluster.STATIC if _is_ip(host.strip("[]")) else Cluster.STRICT_DNS)
    cluster.connect_timeout.seconds = 1
    cluster.load_assignment.cluster_name = name
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = host.strip("[]")
    endpoint.address.socket_address.port_value = int(port)
    options = HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Pack(options, deterministic=True)
    return cluster


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
