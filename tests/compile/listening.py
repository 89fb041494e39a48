"""Takes compiled listeners apart, and gives them what ADS would: for tests that look inside or run one."""

from typing import Any

from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy


def chains(listener: Any) -> dict[str, Any]:
    """All filter chains by name, the default one included."""
    found = list(listener.filter_chains)
    if listener.HasField("default_filter_chain"):
        found.append(listener.default_filter_chain)
    return {chain.name: chain for chain in found}


def manager(holder: Any, chain: str = "") -> Any:
    """The HTTP connection manager of a listener's chain (the default one unless named), or of a filter."""
    unpacked = HttpConnectionManager()
    assert _network_filter(holder, chain).typed_config.Unpack(unpacked)
    return unpacked


def proxy(holder: Any, chain: str = "") -> Any:
    """The TCP proxy of a listener's chain (the default one unless named), or of a filter."""
    unpacked = TcpProxy()
    assert _network_filter(holder, chain).typed_config.Unpack(unpacked)
    return unpacked


def with_routes(listener: Any, routes: Any) -> Any:
    """The listener with its routes inline instead of by RDS, as a static configuration needs them."""
    copy = Listener.FromString(listener.SerializeToString())
    for chain in chains(copy).values():
        for each in chain.filters:
            if each.typed_config.Is(HttpConnectionManager.DESCRIPTOR):
                unpacked = manager(each)
                unpacked.route_config.CopyFrom(RouteConfiguration.FromString(routes.SerializeToString()))
                each.typed_config.Pack(unpacked)
    return copy


def _network_filter(holder: Any, chain: str) -> Any:
    if isinstance(holder, Listener):
        holder = chains(holder)[chain] if chain else holder.default_filter_chain
    if isinstance(holder, FilterChain):
        assert len(holder.filters) == 1
        return holder.filters[0]
    return holder
