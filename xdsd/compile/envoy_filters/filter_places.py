"""Where an added filter goes that names no other one.

HTTP filters have a place each (``xdsd.compile.http_filters`` tells the order): statistics first, then authentication,
authorization, everything else, and the router last. A class of filters goes right behind the place that it is named after,
in front of whatever comes later; STATS goes in front of the statistics. Without a class it goes in front of the router.
A last filter that ends its chain (the router, a TCP proxy) must stay last, so the end of a list is in front of it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from xdsd.model.intent.envoy_filter import FilterClass

_STATS, _AUTHN, _AUTHZ, _REST, _LAST = 10, 20, 30, 40, 90

_PLACES: Mapping[str, int] = MappingProxyType(
    {
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig": _STATS,
        "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb": _STATS,
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication": _AUTHN,
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": _AUTHZ,
        "envoy.extensions.filters.http.rbac.v3.RBAC": _AUTHZ,
        "envoy.extensions.filters.http.cors.v3.Cors": _REST,
        "envoy.extensions.filters.http.fault.v3.HTTPFault": _REST,
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit": _REST,
        "envoy.extensions.filters.http.ratelimit.v3.RateLimit": _REST,
        "envoy.extensions.filters.http.router.v3.Router": _LAST,
    }
)
_BEHIND: Mapping[FilterClass, int] = MappingProxyType(
    {
        FilterClass.STATS: _STATS - 1,
        FilterClass.AUTHN: _AUTHN,
        FilterClass.AUTHZ: _AUTHZ,
        FilterClass.UNSPECIFIED: _LAST - 1,
    }
)
_TERMINAL = frozenset(
    {
        "envoy.extensions.filters.network.direct_response.v3.Config",
        "envoy.extensions.filters.network.echo.v3.Echo",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "envoy.extensions.filters.network.thrift_proxy.v3.ThriftProxy",
    }
)

Added = Sequence[tuple[Any, FilterClass]]
"""Filters that patches have added to a list so far, by their messages, and their classes."""


def http_place(added: Added, filter_class: FilterClass) -> Callable[[Any], int]:
    """The place in a list of HTTP filters behind all that belong in front of a class, those added before included."""

    def place(filters: Any) -> int:
        behind = _BEHIND[filter_class]
        for index, each in enumerate(filters):
            if _rank(each, added) > behind:
                return index
        return len(filters)

    return place


def _rank(each: Any, added: Added) -> int:
    for known, filter_class in added:
        if known == each:
            return _BEHIND[filter_class]
    return _PLACES.get(type_of(each), 0)


def network_end(added: Any) -> Callable[[Any], int]:
    """The end of a filter chain for a filter: in front of one that ends the chain, unless it ends the chain itself."""

    def place(filters: Any) -> int:
        last_stays = (
            len(filters) > 0 and type_of(filters[-1]) in _TERMINAL and type_of(added) not in _TERMINAL
        )
        return len(filters) - 1 if last_stays else len(filters)

    return place


def type_of(each: Any) -> str:
    """The name of the message that configures a filter."""
    discovered = each.config_discovery.type_urls if each.HasField("config_discovery") else ()
    return str((discovered[0] if discovered else each.typed_config.type_url).rpartition("/")[2])
