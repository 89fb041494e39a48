"""Listeners of gateways: of requests in plaintext, of servers that end TLS beside those that pass it through, of connections
that are carried unread.
"""

from collections.abc import Iterable
from dataclasses import replace

from envoy.config.core.v3.base_pb2 import TrafficDirection, TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch
from envoy.config.listener.v3.listener_pb2 import Listener

from xdsd.compile.addresses import datagram_address, listen_address
from xdsd.compile.gateways import GatewayServer, RouteTable
from xdsd.compile.http_connection_managers import Side, http_connection_manager
from xdsd.compile.listener_filters import proxy_protocol, tls_inspector
from xdsd.compile.listener_settings import DEFAULTS, ListenerSettings
from xdsd.compile.names import listener_name, quic_name
from xdsd.compile.object_metadata import note_turn
from xdsd.compile.tcp_chains import log_connections, tcp_chain
from xdsd.compile.tcp_targets import TcpTarget


def _as_told(listener: Listener, settings: ListenerSettings) -> Listener:
    """A listener as operators want those of gateways."""
    if settings.proxy_protocol:
        listener.listener_filters.insert(0, proxy_protocol())
    if settings.buffer_limit:
        listener.per_connection_buffer_limit_bytes.value = settings.buffer_limit
    return listener


def gateway_listener(
    bind: str, port: int, route_name: str, *, settings: ListenerSettings = DEFAULTS
) -> Listener:
    """The listener of a plain HTTP port (HTTP/1 and HTTP/2, so gRPC), routed by the RDS route
    ``route_name``.
    """
    name = listener_name(bind, port)
    manager = http_connection_manager(Side.GATEWAY, name, route_name, settings)
    listener = Listener(
        name=name,
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.OUTBOUND,
        default_filter_chain=FilterChain(name=name, filters=[manager]),
    )
    return _as_told(listener, settings)


def gateway_tls_listener(bind: str, port: int, *, settings: ListenerSettings = DEFAULTS) -> Listener:
    """The listener of a port where servers end TLS, without its chains."""
    listener = Listener(
        name=listener_name(bind, port),
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.OUTBOUND,
        listener_filters=[tls_inspector(())],
    )
    return _as_told(listener, settings)


def secure_http_chain(
    table: RouteTable, socket: TransportSocket, settings: ListenerSettings = DEFAULTS
) -> FilterChain:
    """The chain of a server that ends TLS and reads the requests inside."""
    (server,) = table.servers
    manager = http_connection_manager(
        Side.GATEWAY, listener_name(table.bind, table.port), table.name, settings
    )
    match = FilterChainMatch(transport_protocol="tls", server_names=server.names)
    chain = FilterChain(
        name=server.chain_name, filters=[manager], filter_chain_match=match, transport_socket=socket
    )
    note_turn(chain.metadata, settings.turn)
    return chain


def quic_listener(
    bind: str, port: int, chains: Iterable[FilterChain], *, settings: ListenerSettings = DEFAULTS
) -> Listener:
    """The listener of HTTP/3 beside that of a port where servers end TLS."""
    listener = Listener(
        name=quic_name(bind, port),
        address=datagram_address(bind, port),
        traffic_direction=TrafficDirection.OUTBOUND,
        filter_chains=chains,
    )
    listener.udp_listener_config.quic_options.SetInParent()
    # Datagrams of one connection come one after the other: several are read at once.
    listener.udp_listener_config.downstream_socket_config.prefer_gro.value = True
    if settings.buffer_limit:
        listener.per_connection_buffer_limit_bytes.value = settings.buffer_limit
    return listener


def quic_chain(
    table: RouteTable, socket: TransportSocket, settings: ListenerSettings = DEFAULTS
) -> FilterChain:
    """The chain of a server's requests over HTTP/3."""
    (server,) = table.servers
    name = quic_name(table.bind, table.port)
    manager = http_connection_manager(Side.GATEWAY, name, table.name, settings, quic=True)
    match = FilterChainMatch(transport_protocol="quic", server_names=server.names)
    return FilterChain(
        name=server.chain_name, filters=[manager], filter_chain_match=match, transport_socket=socket
    )


def secure_tcp_chain(
    server: GatewayServer, target: TcpTarget, socket: TransportSocket, settings: ListenerSettings = DEFAULTS
) -> FilterChain:
    """The chain of a server that ends TLS and carries on what is inside."""
    chain = tcp_chain(replace(target, sni=server.names, only_tls=True), settings)
    chain.filter_chain_match.transport_protocol = "tls"
    chain.name = f"{server.chain_name}:{chain.name}"
    chain.transport_socket.CopyFrom(socket)
    note_turn(chain.metadata, " ".join(filter(None, (target.options.turn, settings.turn))))
    return chain


def closed_chain(server: GatewayServer) -> FilterChain:
    """The chain of a server that cannot be opened: connections to it end at once, rather than belong to a server of wider
    hosts, which may ask callers for less.
    """
    match = FilterChainMatch(transport_protocol="tls", server_names=server.names)
    return FilterChain(name=f"{server.chain_name}:closed", filter_chain_match=match)


def gateway_tcp_listener(
    bind: str, port: int, *, inspect: bool, settings: ListenerSettings = DEFAULTS
) -> Listener:
    """The listener of a TCP port, or of one whose TLS is passed through, without its chains; connections that belong to none
    are closed. It logs them all itself; ``inspect``: they are looked into for server names.
    """
    listener = Listener(
        name=listener_name(bind, port),
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.OUTBOUND,
        listener_filters=[tls_inspector(())] if inspect else [],
    )
    log_connections(listener, settings)
    return _as_told(listener, settings)
