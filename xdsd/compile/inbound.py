"""Inbound listeners of a sidecar: where other proxies' calls reach the program beside it.

With redirection there is one, ``virtualInbound``, with a filter chain a port; the chains are named
after their ports, so that a port that comes or goes leaves connections on the others alone. Explicit
mode binds a listener a port instead.

Routes are inline here, unlike everywhere else: each port has a single one, which never changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envoy.config.core.v3.base_pb2 import TrafficDirection, TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, FilterChainMatch
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from xdsd.compile.addresses import listen_address
from xdsd.compile.downstream_tls import HTTP_ALPN, server_tls
from xdsd.compile.http_connection_managers import Side, duration, http_connection_manager
from xdsd.compile.inbound_doors import Door, doors
from xdsd.compile.listener_filters import http_inspector, listener_filter, tls_inspector
from xdsd.compile.listener_settings import DEFAULTS, ListenerSettings
from xdsd.compile.names import (
    BLACK_HOLE_CLUSTER,
    INBOUND_PASSTHROUGH_CLUSTER,
    VIRTUAL_INBOUND_LISTENER,
    VIRTUAL_INBOUND_PORT,
    listener_name,
)
from xdsd.compile.object_metadata import note_turn
from xdsd.compile.peers import UNREAD, Admits, Undeclared
from xdsd.compile.routes import inbound_http_route
from xdsd.compile.tcp_proxies import DEFAULT_OPTIONS, TcpOptions, tcp_proxy
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.model.catalog import GRPC, Protocol
from xdsd.model.intent import InboundHTTPRetry, ServerTLSSettings


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port that the program serves. ``port`` is what callers connect to, ``host`` the service it is
    part of.

    ``bind`` is the address to listen on in explicit mode; with redirection it only gives the chain its
    name. ``options`` matter to ports that are not HTTP. With ``tls`` connections are decrypted, and ``protocol`` is what
    is spoken inside. ``admits`` says whom the port takes.
    """

    port: int
    protocol: Protocol
    cluster: str
    host: str = ""
    bind: str = "0.0.0.0"
    options: TcpOptions = DEFAULT_OPTIONS
    tls: ServerTLSSettings | None = None
    admits: Admits = Admits.PLAINTEXT

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
    undeclared: Undeclared = UNREAD,
    trust: Sequence[str] = (),
) -> Listener:
    """The listener that redirected connections to this workload reach; port numbers are distinct.

    Ports that no service declares pass through to the program as ``undeclared`` says. ``trust`` are the trust domains
    of peers.
    """
    listener = _inbound(VIRTUAL_INBOUND_LISTENER, bind, port, settings)
    listener.listener_filters.append(listener_filter("envoy.filters.listener.original_dst", OriginalDst()))
    # As on the way out: a connection to the port itself would be passed to itself for ever.
    blackhole = FilterChainMatch(destination_port=UInt32Value(value=port))
    listener.filter_chains.append(
        _chain("virtualInbound-blackhole", [tcp_proxy(BLACK_HOLE_CLUSTER, settings)], blackhole)
    )
    ports = sorted(ports, key=lambda p: p.port)
    known = {served.port for served in ports}
    others = tuple((number, taken) for number, taken in undeclared.ports if number not in known)
    inspected = _inspect(listener, ports, undeclared.admits, others)
    for served in ports:
        listener.filter_chains.extend(_chains(served, settings, trust, served.port))
    for number, taken in (*others, (0, undeclared.admits)):
        chains = _undeclared(number, taken, settings, trust)
        # The default chain takes what other chains do not, so there is none where they turn somebody away.
        if number or inspected or taken is Admits.NOTHING:
            listener.filter_chains.extend(chains)
        else:
            listener.default_filter_chain.CopyFrom(chains[0])
    return listener


def inbound_listener(
    port: InboundPort, *, settings: ListenerSettings = DEFAULTS, trust: Sequence[str] = ()
) -> Listener:
    """The listener of one port in explicit mode; it binds ``port.bind`` itself."""
    listener = _inbound(port.name, port.bind, port.port, settings)
    inspected = _inspect(listener, [port], Admits.PLAINTEXT, ())
    *chains, last = _chains(port, settings, trust)
    listener.filter_chains.extend(chains)
    if inspected:
        listener.filter_chains.append(last)
    else:
        listener.default_filter_chain.CopyFrom(last)
    return listener


def inbound_routes(port: InboundPort, retries: InboundHTTPRetry | None = None) -> RouteConfiguration:
    """The inline routes of an HTTP port: everything to the program.

    No time limit of its own, since the caller's route has one. Only what never reached the program is
    sent again; streams of gRPC are not.
    """
    route = inbound_http_route(
        port.cluster,
        retriable=port.protocol not in GRPC,
        grpc_web=port.protocol is Protocol.GRPC_WEB,
        retries=retries,
    )
    if port.host:
        route.decorator.operation = f"{port.host}:{port.port}/*"
    host = virtual_host(f"inbound|http|{port.port}", ["*"], [route], attempt_count=False)
    return RouteConfiguration(
        name=port.cluster, virtual_hosts=[host], validate_clusters=BoolValue(value=False)
    )


def _chains(
    port: InboundPort, settings: ListenerSettings, trust: Sequence[str], destination_port: int = 0
) -> list[FilterChain]:
    """The filter chains of a port, that of the widest match last."""
    if port.admits is Admits.NOTHING:
        return [_chain(port.name, [tcp_proxy(BLACK_HOLE_CLUSTER, settings)], Door().match(destination_port))]
    return [
        _open(
            door,
            port.name,
            [_http_filter(port, settings)] if door.http else _carried(port.cluster, settings, port.options),
            destination_port,
            settings.turn,
        )
        for door in doors(port.protocol, port.admits, trust, port.tls_socket)
    ]


def _undeclared(
    number: int, taken: Admits, settings: ListenerSettings, trust: Sequence[str]
) -> list[FilterChain]:
    """The filter chains of a port that no service declares, or with the number 0 of all of them."""
    if taken is Admits.NOTHING:
        closed = [tcp_proxy(BLACK_HOLE_CLUSTER, settings)]
        return [_chain(VIRTUAL_INBOUND_LISTENER, closed, Door().match(number))] if number else []
    onward = _carried(INBOUND_PASSTHROUGH_CLUSTER, settings)
    return [
        _open(door, VIRTUAL_INBOUND_LISTENER, onward, number, settings.turn)
        for door in doors(Protocol.TCP, taken, trust)
    ]


def _carried(cluster: str, settings: ListenerSettings, options: TcpOptions = DEFAULT_OPTIONS) -> list[Filter]:
    """The filters of connections that are not HTTP."""
    return [*settings.guarding.network, tcp_proxy(cluster, settings, options)]


def _http_filter(port: InboundPort, settings: ListenerSettings) -> Filter:
    return http_connection_manager(
        Side.INBOUND, port.name, inbound_routes(port, settings.inbound_retries), settings
    )


def _inspect(
    listener: Listener,
    ports: Sequence[InboundPort],
    undeclared: Admits,
    others: Sequence[tuple[int, Admits]],
) -> bool:
    """Looks at the first bytes of connections where that tells chains apart; servers at other ports may speak first.

    True if TLS is looked for.
    """
    taken = sorted((*((port.port, port.admits) for port in ports), *others))
    mutual = [number for number, each in taken if each.is_mutual]
    if undeclared.is_mutual:
        rest = [number for number, each in taken if not each.is_mutual]
        listener.listener_filters.append(tls_inspector((), but=rest))
    elif mutual:
        listener.listener_filters.append(tls_inspector(mutual))
    auto = [each.port for each in ports if each.protocol.is_auto and each.admits is not Admits.NOTHING]
    if auto:
        listener.listener_filters.append(http_inspector(auto))
    return undeclared.is_mutual or bool(mutual)


def _inbound(name: str, bind: str, port: int, settings: ListenerSettings) -> Listener:
    listener = Listener(
        name=name,
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.INBOUND,
        continue_on_listener_filters_timeout=True,
    )
    if settings.detection_timeout is not None:
        listener.listener_filters_timeout.CopyFrom(duration(settings.detection_timeout))
    if settings.buffer_limit:
        listener.per_connection_buffer_limit_bytes.value = settings.buffer_limit
    return listener


def _open(door: Door, name: str, filters: Sequence[Filter], destination_port: int, turn: str) -> FilterChain:
    """The chain of a door; that of peers is another at each turn."""
    chain = _chain(name, filters, door.match(destination_port), door.socket)
    if door.peers:
        note_turn(chain.metadata, turn)
    return chain


def _chain(
    name: str, filters: Sequence[Filter], match: FilterChainMatch, socket: TransportSocket | None = None
) -> FilterChain:
    chain = FilterChain(name=name, filters=filters, transport_socket=socket)
    if match.ByteSize():
        chain.filter_chain_match.CopyFrom(match)
    return chain
