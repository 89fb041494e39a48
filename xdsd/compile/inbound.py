"""Inbound listeners of a sidecar: where other proxies' calls reach the program beside it.

With redirection there is one, ``virtualInbound``, with a filter chain a port; the chains are named
after their ports, so that a port that comes or goes leaves connections on the others alone. Explicit
mode binds a listener a port instead.

Routes are inline here, unlike everywhere else: each port has a single one, which never changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envoy.config.core.v3.base_pb2 import TrafficDirection, TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.type.v3.range_pb2 import Int32Range
from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from xdsd.compile.addresses import listen_address
from xdsd.compile.downstream_tls import HTTP_ALPN, server_tls
from xdsd.compile.http_connection_managers import Side, http_connection_manager
from xdsd.compile.listener_settings import DEFAULTS, ListenerSettings
from xdsd.compile.listeners import HTTP_INSPECTOR, PLAINTEXT_HTTP
from xdsd.compile.names import (
    BLACK_HOLE_CLUSTER,
    INBOUND_PASSTHROUGH_CLUSTER,
    VIRTUAL_INBOUND_LISTENER,
    VIRTUAL_INBOUND_PORT,
    listener_name,
)
from xdsd.compile.routes import inbound_http_route
from xdsd.compile.tcp_proxies import DEFAULT_OPTIONS, TcpOptions, tcp_proxy
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.model.catalog import Protocol
from xdsd.model.intent import ServerTLSSettings


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port that the program serves. ``port`` is what callers connect to, ``host`` the service it is
    part of.

    ``bind`` is the address to listen on in explicit mode; with redirection it only gives the chain its
    name. ``options`` matter to ports that are not HTTP. With ``tls`` connections are decrypted, and ``protocol`` is what
    is spoken inside.
    """

    port: int
    protocol: Protocol
    cluster: str
    host: str = ""
    bind: str = "0.0.0.0"
    options: TcpOptions = DEFAULT_OPTIONS
    tls: ServerTLSSettings | None = None

    @property
    def name(self) -> str:
        """``0.0.0.0_9080``: the name of its listener or filter chain."""
        return listener_name(self.bind, self.port)

    @property
    def tls_socket(self) -> TransportSocket | None:
        """What decrypts its connections."""
        if self.tls is None:
            return None
        return server_tls(self.tls, HTTP_ALPN if self.protocol.is_http else ())


def virtual_inbound(
    ports: Iterable[InboundPort],
    *,
    bind: str = "0.0.0.0",
    port: int = VIRTUAL_INBOUND_PORT,
    settings: ListenerSettings = DEFAULTS,
) -> Listener:
    """The listener that redirected connections to this workload reach; port numbers are distinct.

    Ports that no service declares pass through to the program unread.
    """
    listener = _inbound(VIRTUAL_INBOUND_LISTENER, bind, port, settings)
    original_dst = Any()
    original_dst.Pack(OriginalDst())
    listener.listener_filters.append(
        ListenerFilter(name="envoy.filters.listener.original_dst", typed_config=original_dst)
    )
    # As on the way out: a connection to the port itself would be passed to itself for ever.
    listener.filter_chains.append(
        _chain("virtualInbound-blackhole", tcp_proxy(BLACK_HOLE_CLUSTER, settings), destination_port=port)
    )
    ports = sorted(ports, key=lambda p: p.port)
    _detect(listener, [served.port for served in ports if served.protocol.is_auto])
    for served in ports:
        if served.protocol.is_auto:
            listener.filter_chains.append(_http_chain(served, settings, destination_port=served.port))
        chain = _chain(
            served.name,
            _network_filter(served, settings),
            destination_port=served.port,
            socket=served.tls_socket,
        )
        listener.filter_chains.append(chain)
    listener.default_filter_chain.CopyFrom(
        _chain(VIRTUAL_INBOUND_LISTENER, tcp_proxy(INBOUND_PASSTHROUGH_CLUSTER, settings))
    )
    return listener


def inbound_listener(port: InboundPort, *, settings: ListenerSettings = DEFAULTS) -> Listener:
    """The listener of one port in explicit mode; it binds ``port.bind`` itself."""
    listener = _inbound(port.name, port.bind, port.port, settings)
    if port.protocol.is_auto:
        _detect(listener, [port.port])
        listener.filter_chains.append(_http_chain(port, settings))
    listener.default_filter_chain.CopyFrom(
        _chain(port.name, _network_filter(port, settings), socket=port.tls_socket)
    )
    return listener


def inbound_routes(port: InboundPort) -> RouteConfiguration:
    """The inline routes of an HTTP port: everything to the program.

    No time limit of its own, since the caller's route has one. Only what never reached the program is
    sent again; streams of gRPC are not.
    """
    route = inbound_http_route(port.cluster, retriable=port.protocol is not Protocol.GRPC)
    if port.host:
        route.decorator.operation = f"{port.host}:{port.port}/*"
    host = virtual_host(f"inbound|http|{port.port}", ["*"], [route], attempt_count=False)
    return RouteConfiguration(
        name=port.cluster, virtual_hosts=[host], validate_clusters=BoolValue(value=False)
    )


def _network_filter(port: InboundPort, settings: ListenerSettings) -> Filter:
    if port.protocol.is_http:
        return _http_filter(port, settings)
    return tcp_proxy(port.cluster, settings, port.options)


def _http_filter(port: InboundPort, settings: ListenerSettings) -> Filter:
    return http_connection_manager(Side.INBOUND, port.name, inbound_routes(port), settings)


def _http_chain(port: InboundPort, settings: ListenerSettings, *, destination_port: int = 0) -> FilterChain:
    """The chain of HTTP on a port whose protocol is not declared; what is not HTTP has the port's other chain."""
    chain = _chain(port.name, _http_filter(port, settings), destination_port=destination_port)
    chain.filter_chain_match.transport_protocol = "raw_buffer"
    chain.filter_chain_match.application_protocols.extend(PLAINTEXT_HTTP)
    return chain


def _detect(listener: Listener, ports: Sequence[int]) -> None:
    """Looks for HTTP in the first bytes of connections to these ports; servers at others may speak first."""
    if not ports:
        return
    inspector = Any()
    inspector.Pack(HttpInspector())
    detecting = ListenerFilter(name=HTTP_INSPECTOR, typed_config=inspector)
    ranges = [
        ListenerFilterChainMatchPredicate(destination_port_range=Int32Range(start=port, end=port + 1))
        for port in ports
    ]
    asked = detecting.filter_disabled.not_match
    if len(ranges) == 1:
        asked.CopyFrom(ranges[0])
    else:
        asked.or_match.rules.extend(ranges)
    listener.listener_filters.append(detecting)


def _inbound(name: str, bind: str, port: int, settings: ListenerSettings) -> Listener:
    listener = Listener(
        name=name,
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.INBOUND,
        continue_on_listener_filters_timeout=True,
    )
    if settings.buffer_limit:
        listener.per_connection_buffer_limit_bytes.value = settings.buffer_limit
    return listener


def _chain(
    name: str, network_filter: Filter, *, destination_port: int = 0, socket: TransportSocket | None = None
) -> FilterChain:
    chain = FilterChain(name=name, filters=[network_filter], transport_socket=socket)
    if destination_port:
        chain.filter_chain_match.CopyFrom(
            FilterChainMatch(destination_port=UInt32Value(value=destination_port))
        )
    return chain
