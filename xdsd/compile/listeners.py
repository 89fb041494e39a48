"""Outbound listeners of a sidecar: where a program's calls enter the mesh.

With redirection, the kernel sends every outbound connection to ``virtualOutbound``, which hands it to
the listener of its original destination: the address and port if there is one, else the port on any
address, else itself, where the mesh's policy for unknown destinations stands. Those listeners bind no
port (``bind_to_port`` false).

Without redirection (explicit mode), the same listeners bind real ports that the program is configured
to call, and ``http_proxy_listener`` serves programs that know ``http_proxy``.

A listener changes only for what a listener must say: which addresses and server names lead where.
Routes, clusters, endpoints and secrets arrive on their own. Filter chains carry stable names, so that
Envoy replaces just the chains that changed and drains no other connection.

Only where a port's protocol is not declared, the first bytes of a connection tell whether it speaks HTTP.

Turned down: guessing the protocol of a declared port. It makes every connection wait for its client's
first bytes, and protocols where the server speaks first never start.
"""

from collections.abc import Iterable
from datetime import timedelta

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import (
    FilterChain,
    FilterChainMatch,
)
from envoy.config.listener.v3.listener_pb2 import Listener
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from xdsd.compile.addresses import cidr_range, listen_address
from xdsd.compile.http_connection_managers import Side, duration, http_connection_manager
from xdsd.compile.listener_filters import PLAINTEXT_HTTP, http_inspector
from xdsd.compile.listener_settings import DEFAULTS, ListenerSettings
from xdsd.compile.names import (
    BLACK_HOLE_CLUSTER,
    HTTP_PROXY_ROUTE,
    VIRTUAL_OUTBOUND_LISTENER,
    VIRTUAL_OUTBOUND_PORT,
    listener_name,
)
from xdsd.compile.reading import Read, add_reading_chains
from xdsd.compile.tcp_chains import add_tcp_chains, log_connections
from xdsd.compile.tcp_proxies import tcp_proxy
from xdsd.compile.tcp_targets import TcpTarget

FALLTHROUGH_CHAIN = "PassthroughFilterChain"


def virtual_outbound(
    unknown: str,
    *,
    bind: str = "0.0.0.0",
    port: int = VIRTUAL_OUTBOUND_PORT,
    settings: ListenerSettings = DEFAULTS,
) -> Listener:
    """The listener that redirected connections reach first; ``unknown`` is the cluster of those that nobody declared,
    ``bind`` is ``::`` for IPv6.
    """
    listener = _outbound(VIRTUAL_OUTBOUND_LISTENER, bind, port, settings)
    listener.use_original_dst.value = True
    # A connection to the port itself was redirected by nobody; passed through, it would come back here
    # for ever.
    listener.filter_chains.append(
        FilterChain(
            name="virtualOutbound-blackhole",
            filter_chain_match=FilterChainMatch(destination_port=UInt32Value(value=port)),
            filters=[tcp_proxy(BLACK_HOLE_CLUSTER, settings)],
        )
    )
    listener.default_filter_chain.CopyFrom(
        FilterChain(
            name="virtualOutbound-catchall-tcp",
            filters=[tcp_proxy(unknown, settings)],
        )
    )
    return listener


def outbound_http_listener(
    address: str,
    port: int,
    route_name: str,
    *,
    bind_to_port: bool,
    fallthrough: str | None = None,
    settings: ListenerSettings = DEFAULTS,
) -> Listener:
    """A listener whose requests are routed by the RDS route ``route_name``; it speaks HTTP/1 and HTTP/2
    (so gRPC).

    With ``fallthrough`` (a cluster), connections that do not speak HTTP go there instead of failing,
    as on a port of every address that strangers may use for something else. The client's first bytes
    decide, with no time limit, so there a protocol in which the server speaks first does not start.
    """
    name = listener_name(address, port)
    listener = _outbound(name, address, port, settings, bind_to_port=bind_to_port)
    manager = http_connection_manager(Side.OUTBOUND, name, route_name, settings)
    if fallthrough is None:
        listener.default_filter_chain.CopyFrom(FilterChain(name=name, filters=[manager]))
        return listener
    listener.listener_filters.append(http_inspector())
    match = FilterChainMatch(transport_protocol="raw_buffer", application_protocols=PLAINTEXT_HTTP)
    listener.filter_chains.append(FilterChain(name=name, filter_chain_match=match, filters=[manager]))
    listener.default_filter_chain.CopyFrom(_fallthrough(fallthrough, settings))
    return listener


def outbound_detecting_listener(
    address: str,
    port: int,
    route_name: str,
    targets: Iterable[TcpTarget],
    fallthrough: str | None,
    *,
    bind_to_port: bool,
    settings: ListenerSettings = DEFAULTS,
) -> Listener:
    """A listener of a port whose protocol is not declared: HTTP is routed by the RDS route ``route_name``, the rest carried
    unread to one of ``targets``, or to ``fallthrough``.

    As with ``outbound_http_listener`` the client's first bytes decide, with no time limit.
    """
    name = listener_name(address, port)
    listener = _outbound(name, address, port, settings, bind_to_port=bind_to_port)
    listener.listener_filters.append(http_inspector())
    manager = http_connection_manager(Side.OUTBOUND, name, route_name, settings)
    targets = tuple(targets)
    # Addresses come first when Envoy chooses a chain, so HTTP is looked for in every range that a target mentions.
    mentioned = {address for target in targets for address in target.addresses}
    for ranges in ((), tuple(sorted(mentioned))) if mentioned else ((),):
        match = FilterChainMatch(transport_protocol="raw_buffer", application_protocols=PLAINTEXT_HTTP)
        match.prefix_ranges.extend(map(cidr_range, ranges))
        listener.filter_chains.append(FilterChain(name=name, filter_chain_match=match, filters=[manager]))
    add_tcp_chains(listener, targets, settings)
    if fallthrough is not None and not listener.HasField("default_filter_chain"):
        listener.default_filter_chain.CopyFrom(_fallthrough(fallthrough, settings))
    return listener


def outbound_tcp_listener(
    address: str,
    port: int,
    targets: Iterable[TcpTarget],
    fallthrough: str | None,
    *,
    bind_to_port: bool,
    settings: ListenerSettings = DEFAULTS,
    read: tuple[Read, ...] = (),
) -> Listener:
    """A listener that carries connections unread to one of ``targets``, told apart by address and server
    name; those to the services ``read`` it reads.

    Connections of no target go to the cluster ``fallthrough``; None closes them. Of targets that match
    the same, the first wins (see ``distinct``). Where one asks for server names, clients must speak
    first. Without any target and fallthrough the listener would serve nobody: ValueError.
    """
    name = listener_name(address, port)
    listener = _outbound(name, address, port, settings, bind_to_port=bind_to_port)
    # Requests are logged one by one, and a listener's log would have their connections as well.
    unlogged = settings if read else log_connections(listener, settings)
    targets = tuple(targets)
    add_tcp_chains(listener, targets, unlogged)
    if read:
        ranges = {address for target in targets for address in target.addresses}
        add_reading_chains(listener, read, tuple(sorted(ranges)), settings)
    if fallthrough is not None and not listener.HasField("default_filter_chain"):
        listener.default_filter_chain.CopyFrom(_fallthrough(fallthrough, unlogged))
    if not listener.filter_chains and not listener.HasField("default_filter_chain"):
        raise ValueError(f"listener {name} has neither targets nor a fallthrough")
    return listener


def http_proxy_listener(
    address: str, port: int, route_name: str = HTTP_PROXY_ROUTE, *, settings: ListenerSettings = DEFAULTS
) -> Listener:
    """A forward proxy for programs that are started with ``http_proxy=http://address:port``.

    They send absolute URIs, whose host and port the route ``route_name`` matches. CONNECT is refused:
    what a tunnel carries is unreadable here, and no published rule says where it may go. A TLS service
    has its own listener instead.
    """
    return outbound_http_listener(address, port, route_name, bind_to_port=True, settings=settings)


def _outbound(
    name: str, bind: str, port: int, settings: ListenerSettings, *, bind_to_port: bool = True
) -> Listener:
    listener = Listener(
        name=name,
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.OUTBOUND,
        # No time limit unless the mesh wants one: a client may open a connection long before it speaks, and
        # cutting the wait short would send its requests down the wrong chain.
        listener_filters_timeout=duration(settings.detection_timeout or timedelta()),
        continue_on_listener_filters_timeout=True,
    )
    if not bind_to_port:
        listener.bind_to_port.CopyFrom(BoolValue(value=False))
    if settings.buffer_limit:
        listener.per_connection_buffer_limit_bytes.value = settings.buffer_limit
    return listener


def _fallthrough(cluster: str, settings: ListenerSettings) -> FilterChain:
    return FilterChain(name=FALLTHROUGH_CHAIN, filters=[tcp_proxy(cluster, settings)])
