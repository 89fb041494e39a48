"""Clusters whose endpoints are the hosts that requests name: resolution DYNAMIC_DNS, and what an HTTP proxy forwards.

Envoy looks a host up when it is asked for, in a cache that all such clusters share. For requests the cluster does so itself,
and takes port 80, or 443 over TLS, where their host names none. For connections a filter in front of the TCP proxy does,
since they would not wait for it there; it takes the server's name from TLS.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2 import ClusterConfig
from envoy.extensions.common.dynamic_forward_proxy.v3.dns_cache_pb2 import DnsCacheConfig
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.sni_dynamic_forward_proxy_pb2 import (
    FilterConfig,
)

from xdsd.model.catalog import Port

DYNAMIC_CLUSTER = "envoy.clusters.dynamic_forward_proxy"
SNI_FILTER = "envoy.filters.network.sni_dynamic_forward_proxy"
CACHE = "dynamic_forward_proxy"
REFRESH = timedelta(seconds=60)
RETRY = timedelta(seconds=1)
RETRY_MAX = timedelta(seconds=10)
HTTP_PORT = 80
HTTPS_PORT = 443
HOPS_HEADER = "x-xdsd-forwarded"
HOPS_MAX = 4
"""How often a request is forwarded to hosts that it names before it is held to go in circles."""


def resolve_dynamically(cluster: Any) -> None:
    """Makes a cluster go where requests say. Whether TLS is verified is its transport's matter, not the cluster's."""
    config = ClusterConfig(dns_cache_config=_cache(), allow_insecure_cluster_options=True)
    cluster.cluster_type.name = DYNAMIC_CLUSTER
    cluster.cluster_type.typed_config.Pack(config, deterministic=True)
    cluster.lb_policy = Cluster.CLUSTER_PROVIDED


def is_dynamic(cluster: Any) -> bool:
    """True for a cluster that ``resolve_dynamically`` has made so."""
    return bool(cluster.cluster_type.name == DYNAMIC_CLUSTER)


def sni_filter(port: int) -> Filter:
    """The filter that looks a connection's server up before it is carried there, to ``port``."""
    made = Filter(name=SNI_FILTER)
    made.typed_config.Pack(FilterConfig(dns_cache_config=_cache(), port_value=port), deterministic=True)
    return made


def keep_to_port(routes: Sequence[Route], port: Port) -> None:
    """Takes only requests whose host names the service's port, or means it: any other would be reached instead."""
    if port.number == HTTP_PORT and port.target == HTTPS_PORT:
        suffix = ""
    elif port.number == HTTP_PORT:
        suffix = f"(:{HTTP_PORT})?"
    else:
        suffix = f":{port.number}"
    for route in routes:
        wanted = route.match.headers.add(name=":authority")
        wanted.string_match.safe_regex.regex = f"[^:]+{suffix}"


def break_circles(route: Route) -> Route:
    """Has a route count in a header how often requests were forwarded, and returns the route that answers 508 instead to
    those that come again and again: a host may mean the proxy itself. It belongs before the other.
    """
    # One header that grows by a digit: Envoy matches the values of several one by one.
    counted = route.request_headers_to_add.add(append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
    counted.header.key, counted.header.value = HOPS_HEADER, f"%REQ({HOPS_HEADER})%1"
    stop = Route(name=f"{route.name}-circle", match=route.match)
    stop.match.headers.add(name=HOPS_HEADER).string_match.safe_regex.regex = ".*" + "1" * HOPS_MAX
    stop.direct_response.status = 508
    return stop


def _cache() -> DnsCacheConfig:
    """The one cache: Envoy refuses two of one name that are not the same."""
    cache: Any = DnsCacheConfig(name=CACHE, dns_lookup_family=Cluster.V4_PREFERRED)
    cache.dns_refresh_rate.FromTimedelta(REFRESH)
    cache.dns_failure_refresh_rate.base_interval.FromTimedelta(RETRY)
    cache.dns_failure_refresh_rate.max_interval.FromTimedelta(RETRY_MAX)
    made: DnsCacheConfig = cache
    return made
