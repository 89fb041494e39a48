"""TCP proxies: the network filter that carries a connection to one cluster, unread."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.type.v3.hash_policy_pb2 import HashPolicy
from google.protobuf.any_pb2 import Any

from xdsd.compile.access_logs import access_logs
from xdsd.compile.http_connection_managers import duration
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.policy import Policy
from xdsd.model.intent import TunnelSettings

TCP_PROXY = "envoy.filters.network.tcp_proxy"
ATTEMPTS = 10
BACKOFF, LONGEST_BACKOFF = timedelta(milliseconds=25), timedelta(milliseconds=500)
"""Between attempts: Envoy may choose the same endpoint again until outlier detection has ejected it, and its threads hear
of that a moment later.
"""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Where the HTTP server at the other end is to connect to (``host:port``), and whether it is asked by POST."""

    target: str
    by_post: bool = False


@dataclass(frozen=True, slots=True)
class TcpOptions:
    """What a connection pool and a load balancer ask of the connections to a cluster; None leaves Envoy's
    default.

    ``idle_timeout`` 0 means none at all (Envoy's default is an hour); ``hash_source_ip`` keeps a
    client on one endpoint. ``tunnel`` wraps connections in HTTP. With ``sni_port`` the server that TLS names is
    looked up, and is called at that port. ``opaque`` connections go through clusters whose mutual TLS would announce HTTP.
    With ``pass_name`` mutual TLS around a connection asks for the server that the TLS inside names. They end when ``turn``
    becomes another. With ``insistent`` whoever cannot be connected to costs no connection while there are others.
    """

    idle_timeout: timedelta | None = None
    max_connection_duration: timedelta | None = None
    hash_source_ip: bool = False
    tunnel: Tunnel | None = None
    sni_port: int = 0
    opaque: bool = False
    pass_name: bool = False
    turn: str = ""
    insistent: bool = False


DEFAULT_OPTIONS = TcpOptions()


class WeightedCluster(NamedTuple):
    """A cluster with its share of connections, relative to the sum of all."""

    cluster: str
    weight: int


def tcp_options(policy: Policy) -> TcpOptions:
    """The part of a cluster's policy that its connections carry out, not the cluster: see ``TcpOptions``."""
    tcp = policy.connection_pool.tcp if policy.connection_pool else None
    hashing = policy.load_balancer.consistent_hash if policy.load_balancer else None
    return TcpOptions(
        idle_timeout=tcp.idle_timeout if tcp else None,
        max_connection_duration=tcp.max_connection_duration if tcp else None,
        hash_source_ip=bool(hashing and hashing.use_source_ip),
        tunnel=_tunnel(policy.tunnel) if policy.tunnel else None,
    )


def _tunnel(settings: TunnelSettings) -> Tunnel:
    host = f"[{settings.target_host}]" if ":" in settings.target_host else settings.target_host
    return Tunnel(f"{host}:{settings.target_port}", settings.protocol == "POST")


def tcp_proxy(
    cluster: str,
    settings: ListenerSettings,
    options: TcpOptions = DEFAULT_OPTIONS,
    weighted: Sequence[WeightedCluster] = (),
) -> Filter:
    """The network filter that carries connections to ``cluster``, by whose name its statistics go; with ``weighted``, to
    one of these.
    """
    proxy = TcpProxy(stat_prefix=cluster, access_log=access_logs(settings.access_log))
    for share in weighted:
        proxy.weighted_clusters.clusters.add(name=share.cluster, weight=share.weight)
    if not weighted:
        proxy.cluster = cluster
    if options.idle_timeout is not None:
        proxy.idle_timeout.CopyFrom(duration(options.idle_timeout))
    if options.max_connection_duration is not None:
        proxy.max_downstream_connection_duration.CopyFrom(duration(options.max_connection_duration))
    if options.insistent:
        proxy.max_connect_attempts.value = ATTEMPTS
        proxy.backoff_options.base_interval.CopyFrom(duration(BACKOFF))
        proxy.backoff_options.max_interval.CopyFrom(duration(LONGEST_BACKOFF))
    if options.hash_source_ip:
        proxy.hash_policy.append(HashPolicy(source_ip=HashPolicy.SourceIp()))
    if options.tunnel is not None:
        proxy.tunneling_config.hostname = options.tunnel.target.replace("%", "%%")
        proxy.tunneling_config.use_post = options.tunnel.by_post
    config = Any()
    config.Pack(proxy)
    return Filter(name=TCP_PROXY, typed_config=config)
