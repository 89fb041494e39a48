"""Filter chains in which a sidecar reads what its program says over TLS to one service, and to nobody else.

The sidecar stands for the service by a certificate of the mesh's CA, which comes by SDS. It is waited for only so long: a
listener that did not take its place would leave the port to whatever takes strange connections, and so unread.
"""

from datetime import timedelta
from typing import Any, NamedTuple

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsParameters
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from xdsd.compile.addresses import cidr_range
from xdsd.compile.downstream_tls import HTTP_ALPN
from xdsd.compile.http_connection_managers import Side, http_connection_manager
from xdsd.compile.listener_filters import TLS_INSPECTOR, tls_inspector
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.matches import route_match
from xdsd.compile.names import BLACK_HOLE_CLUSTER
from xdsd.compile.tcp_proxies import tcp_proxy
from xdsd.compile.tls import TLS_SOCKET, set_secret
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.model.inspected import SECRET

WAIT = timedelta(seconds=5)
"""How long a listener waits for its first certificate; until that is there, connections are closed."""

MISDIRECTED = 421


class Read(NamedTuple):
    """A service whose connections are read: its ``host`` is the server that TLS names, ``routes`` where requests go; none:
    they are closed, for proxies that have no identity and so no certificate.
    """

    host: str
    routes: str


def add_reading_chains(
    listener: Listener, found: tuple[Read, ...], ranges: tuple[str, ...], settings: ListenerSettings
) -> None:
    """Adds the chains of these services. Where others have chains for ``ranges`` of addresses, Envoy looks there first."""
    if not any(each.name == TLS_INSPECTOR for each in listener.listener_filters):
        listener.listener_filters.append(tls_inspector(()))
    for read in found:
        for at, within in enumerate(((), ranges) if ranges else ((),)):
            chain = _chain(read, settings)
            chain.name += "|ranges" if at else ""
            chain.filter_chain_match.prefix_ranges.extend(map(cidr_range, within))
            listener.filter_chains.append(chain)


def _chain(read: Read, settings: ListenerSettings) -> FilterChain:
    chain = FilterChain(name=f"inspection|{read.host}")
    chain.filter_chain_match.server_names.append(read.host)
    if not read.routes:
        chain.filters.append(tcp_proxy(BLACK_HOLE_CLUSTER, settings))
        return chain
    chain.filters.append(http_connection_manager(Side.OUTBOUND, read.routes, read.routes, settings))
    chain.transport_socket.CopyFrom(_shown())
    return chain


def _shown() -> TransportSocket:
    context: Any = DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(HTTP_ALPN)
    common.tls_params.tls_minimum_protocol_version = TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = TlsParameters.TLSv1_3
    shown = common.tls_certificate_sds_secret_configs.add()
    set_secret(shown, SECRET)
    shown.sds_config.initial_fetch_timeout.FromTimedelta(WAIT)
    socket = TransportSocket(name=TLS_SOCKET)
    socket.typed_config.Pack(context, deterministic=True)
    return socket


def misdirected_host() -> VirtualHost:
    """Answers requests for another host than the one that TLS named, which the connection is not for."""
    route = Route(name="misdirected", match=route_match(None))
    route.direct_response.status = MISDIRECTED
    return virtual_host("misdirected", ["*"], [route])
