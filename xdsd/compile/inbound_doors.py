"""By which filter chains connections come to a port, given whom the port takes.

A *door* is one of them: how its connections are told from the port's others, what decrypts them, and whether requests are
read inside. The doors of mutual TLS are the same whether plaintext is taken beside it or not, so that this changes without
draining connections that are encrypted.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import FilterChainMatch
from google.protobuf.wrappers_pb2 import UInt32Value

from xdsd.compile.downstream_tls import HTTP_ALPN
from xdsd.compile.listener_filters import PLAINTEXT_HTTP
from xdsd.compile.mesh_tls import MESH_ALPN, MESH_HTTP_ALPN, MESH_TCP_ALPN, mesh_server_tls
from xdsd.compile.peers import Admits
from xdsd.model.catalog import Protocol

_TLS = "tls"
_RAW = "raw_buffer"


class Door(NamedTuple):
    """One way in. ``transport`` is empty where nothing looks at the first bytes; ``peers`` come by it, or others."""

    transport: str = ""
    alpn: tuple[str, ...] = ()
    http: bool = False
    socket: TransportSocket | None = None
    peers: bool = False

    def match(self, destination_port: int = 0) -> FilterChainMatch:
        """What tells its connections from others."""
        found = FilterChainMatch(transport_protocol=self.transport, application_protocols=self.alpn)
        if destination_port:
            found.destination_port.CopyFrom(UInt32Value(value=destination_port))
        return found


def doors(
    protocol: Protocol, admits: Admits, trust: Sequence[str], own: TransportSocket | None = None
) -> tuple[Door, ...]:
    """The ways into a port that takes some connections; ``trust`` are the trust domains of its peers.

    ``own`` is the socket of TLS that has nothing to do with the mesh. Where there is one, other callers use it.
    """
    if not admits.is_mutual:
        return (*_detecting(protocol, ""), Door(http=protocol.is_http, socket=own))
    return (*_mutual(protocol, admits, trust, own), *_others(protocol, admits, own))


def _mutual(
    protocol: Protocol, admits: Admits, trust: Sequence[str], own: TransportSocket | None
) -> Iterator[Door]:
    http, tcp = mesh_server_tls(trust, HTTP_ALPN), mesh_server_tls(trust)
    if protocol.is_http:
        yield Door(_TLS, MESH_ALPN if own is not None else (), http=True, socket=http, peers=True)
        return
    if protocol.is_auto:
        yield Door(_TLS, MESH_HTTP_ALPN, http=True, socket=http, peers=True)
        yield Door(_TLS, MESH_TCP_ALPN, socket=tcp, peers=True)
    else:
        yield Door(_TLS, MESH_ALPN, socket=tcp, peers=True)
    if admits is Admits.MUTUAL:
        yield Door(_TLS, socket=tcp, peers=True)


def _others(protocol: Protocol, admits: Admits, own: TransportSocket | None) -> Iterator[Door]:
    """The ways in of callers that are no peers."""
    if admits is Admits.MUTUAL:
        return
    if own is not None:
        yield Door(_TLS, http=protocol.is_http, socket=own)
        return
    if not protocol.is_http:
        yield Door(_TLS)
    yield from _detecting(protocol, _RAW)
    yield Door(_RAW, http=protocol.is_http)


def _detecting(protocol: Protocol, transport: str) -> Iterator[Door]:
    """The way of HTTP on a port whose protocol is not declared."""
    if protocol.is_auto:
        yield Door(transport or _RAW, PLAINTEXT_HTTP, http=True)
