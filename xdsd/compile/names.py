"""The names of Envoy resources, as tools made for Istio read them.

Dashboards, access logs and ``istioctl``-like tools take cluster names apart at the bars, so the spelling is
an interface.
"""

from dataclasses import dataclass
from enum import StrEnum

from xdsd.model.hosts import DEFAULT_DOMAIN, resolve_host, short_name

__all__ = [
    "BLACK_HOLE_CLUSTER",
    "DEFAULT_DOMAIN",
    "FORWARD_CLUSTER",
    "HTTP_PROXY_ROUTE",
    "INBOUND_PASSTHROUGH_CLUSTER",
    "PASSTHROUGH_CLUSTER",
    "VIRTUAL_INBOUND_LISTENER",
    "VIRTUAL_INBOUND_PORT",
    "VIRTUAL_OUTBOUND_LISTENER",
    "VIRTUAL_OUTBOUND_PORT",
    "ClusterName",
    "Direction",
    "discovered_route_name",
    "gateway_route_name",
    "inbound_cluster_name",
    "listener_name",
    "outbound_cluster_name",
    "outbound_route_name",
    "parse_cluster_name",
    "resolve_host",
    "short_name",
    "stat_name",
    "virtual_host_name",
]

PASSTHROUGH_CLUSTER = "PassthroughCluster"
BLACK_HOLE_CLUSTER = "BlackHoleCluster"
FORWARD_CLUSTER = "ForwardCluster"
INBOUND_PASSTHROUGH_CLUSTER = "InboundPassthroughCluster"

VIRTUAL_OUTBOUND_LISTENER = "virtualOutbound"
VIRTUAL_OUTBOUND_PORT = 15001
VIRTUAL_INBOUND_LISTENER = "virtualInbound"
VIRTUAL_INBOUND_PORT = 15006

HTTP_PROXY_ROUTE = "http_proxy"


class Direction(StrEnum):
    """The first word of a cluster's name."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


@dataclass(frozen=True, slots=True)
class ClusterName:
    """A cluster's name taken apart; ``subset`` and ``hostname`` are empty where the name leaves them out."""

    direction: Direction
    port: int
    subset: str = ""
    hostname: str = ""

    def __str__(self) -> str:
        return f"{self.direction}|{self.port}|{self.subset}|{self.hostname}"


def outbound_cluster_name(port: int, subset: str, hostname: str) -> str:
    """``outbound|9080|v1|reviews.default.svc.cluster.local``."""
    return f"outbound|{port}|{subset}|{hostname}"


def inbound_cluster_name(port: int) -> str:
    """``inbound|9080||``: the workload's own program, behind this port."""
    return f"inbound|{port}||"


def parse_cluster_name(name: str) -> ClusterName | None:
    """The parts of an inbound or outbound name; None for any other, such as ``BlackHoleCluster``."""
    direction, *rest = name.split("|")
    if len(rest) != 3 or direction not in {Direction.OUTBOUND, Direction.INBOUND}:
        return None
    port, subset, hostname = rest
    if not (port.isascii() and port.isdecimal()):
        return None
    return ClusterName(Direction(direction), int(port), subset, hostname)


def outbound_route_name(port: int) -> str:
    """The route table of a sidecar's outbound port: ``9080``."""
    return str(port)


def discovered_route_name(name: str) -> str:
    """The route table ``name`` of proxies that discover its virtual hosts: ``9080.vhds``."""
    return f"{name}.vhds"


def virtual_host_name(table: str, host: str) -> str:
    """A virtual host that is discovered: ``9080.vhds/reviews.default.svc.cluster.local:9080``."""
    return f"{table}/{host}"


def gateway_route_name(port: int) -> str:
    """The route table of a gateway's port: ``http.8080``."""
    return f"http.{port}"


def listener_name(bind: str, port: int) -> str:
    """``0.0.0.0_9080``."""
    return f"{bind}_{port}"


def quic_name(bind: str, port: int) -> str:
    """``udp_0.0.0.0_443``."""
    return f"udp_{listener_name(bind, port)}"


def stat_name(cluster_name: str) -> str:
    """The name of a cluster's statistics.

    Hosts have dots and so have statistics; the semicolon tells a tag regex (``^cluster\\.((.+?);\\.)``)
    where one ends.
    """
    return f"{cluster_name};"
