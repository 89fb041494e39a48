"""Mutual TLS between proxies of the mesh: what both sides show and whom they believe.

Keys, certificates and roots come by SDS over ADS, so that a rotation changes no listener and no cluster. The references
to them are always the same bytes. They are waited for without limit: a listener or cluster that is changed serves as it
did until they are there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2 import Config as SetFilterState
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import SubjectAltNameMatcher, TlsParameters
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext

from xdsd.compile.tls import TLS_SOCKET, san_type, set_secret
from xdsd.model.catalog import Protocol
from xdsd.model.intent.destination_rule import MAX_SNI

OWN_SECRET = "default"  # noqa: S105 - a name
TRUST_SECRET = "ROOTCA"  # noqa: S105 - a name

MESH_HTTP_ALPN = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
"""What callers announce that know of HTTP inside."""

MESH_TCP_ALPN = ("istio-peer-exchange", "istio")
"""What callers announce otherwise."""

MESH_ALPN = (*MESH_TCP_ALPN, *MESH_HTTP_ALPN)
"""By these a caller's TLS is known for that of the mesh, not of its program."""

SCHEME = "spiffe://"

NOBODY = "spiffe://nobody.invalid/"
"""Whom nobody is, as the domain can never be (RFC 2606)."""

ANNOUNCED = "envoy.network.application_protocols"
"""Where Envoy looks for what a connection announces instead of what its cluster says."""

ASKED = "envoy.network.upstream_server_name"
"""Where Envoy looks for the server name that a connection asks for instead of its cluster's."""


def mesh_server_tls(trust_domains: Iterable[str], alpn: Iterable[str] = ()) -> TransportSocket:
    """The socket of a filter chain that takes peers of these trust domains; ``alpn`` is what is spoken inside."""
    return tls_socket(mesh_server_context(trust_domains, alpn))


def mesh_server_context(
    trust_domains: Iterable[str], alpn: Iterable[str] = (), names: Iterable[str] = ()
) -> Any:
    """As ``mesh_server_tls``; with ``names`` peers must have one of them."""
    context: Any = DownstreamTlsContext()
    context.require_client_certificate.value = True
    add_mesh_identity(context.common_tls_context, alpn)
    validation = context.common_tls_context.combined_validation_context.default_validation_context
    _add_names(validation, names)
    for domain in () if validation.match_typed_subject_alt_names else trust_domains:
        add_name(validation, f"{SCHEME}{domain}/", prefix=True)
    return context


@dataclass(frozen=True, slots=True)
class Peers:
    """Who the endpoints of a service are: each has one of these ``identities``.

    ``scopes`` are how identities begin that count while none is known. ``turn`` becomes another when connections to them
    are to end.
    """

    identities: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    turn: str = ""


def mesh_client_tls(sni: str, peers: Peers, alpn: Iterable[str]) -> TransportSocket:
    """The socket of connections to proxies of the mesh, which must be whom the service consists of."""
    context: Any = UpstreamTlsContext(sni=sni if len(sni.encode()) <= MAX_SNI else "")
    add_mesh_identity(context.common_tls_context, alpn)
    validation = context.common_tls_context.combined_validation_context.default_validation_context
    _add_names(validation, peers.identities)
    for scope in () if peers.identities else peers.scopes:
        add_name(validation, scope, prefix=True)
    return tls_socket(context)


def mesh_sni(cluster_name: str) -> str:
    """``outbound_.9080_.v1_.reviews.default.svc.cluster.local``: what a cluster asks for, unless told otherwise."""
    return cluster_name.replace("|", "_.")


def mesh_alpn(protocol: Protocol, *, http2: bool) -> tuple[str, ...]:
    """What a caller announces; ``http2`` tells whether HTTP/2 alone is spoken."""
    if http2:
        return ("istio-h2", "istio", "h2")
    return ("istio-http/1.1", "istio") if protocol.carries_http else ("istio",)


def opaque_filter() -> Filter:
    """The filter that lets a connection's mutual TLS announce that there is no HTTP inside, whatever its cluster says."""
    config: Any = SetFilterState()
    value = config.on_new_connection.add(object_key=ANNOUNCED)
    value.format_string.text_format_source.inline_string = MESH_TCP_ALPN[-1]
    return _state_filter(config)


def name_filter() -> Filter:
    """The filter that lets a connection's mutual TLS ask for the server that the TLS inside names, if that names one."""
    config: Any = SetFilterState()
    value = config.on_new_connection.add(object_key=ASKED, skip_if_empty=True)
    value.format_string.text_format_source.inline_string = "%REQUESTED_SERVER_NAME%"
    value.format_string.omit_empty_values = True
    return _state_filter(config)


def _state_filter(config: Any) -> Filter:
    made = Filter(name="envoy.filters.network.set_filter_state")
    made.typed_config.Pack(config, deterministic=True)
    return made


def add_mesh_identity(common: Any, alpn: Iterable[str]) -> None:
    """Shows the proxy's own certificate, and believes whom the mesh's roots vouch for."""
    common.alpn_protocols.extend(alpn)
    common.tls_params.tls_minimum_protocol_version = TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = TlsParameters.TLSv1_3
    set_secret(common.tls_certificate_sds_secret_configs.add(), OWN_SECRET)
    set_secret(common.combined_validation_context.validation_context_sds_secret_config, TRUST_SECRET)
    common.combined_validation_context.default_validation_context.SetInParent()


def _add_names(validation: Any, names: Iterable[str]) -> None:
    """Names of which a peer must have one.

    Where several trust domains are told apart, Envoy looks at URIs alone, and lets anybody in where it is given none.
    """
    known = tuple(names)
    for name in known:
        add_name(validation, name)
    if known and not any("://" in name for name in known):
        add_name(validation, NOBODY)


def add_name(validation: Any, identity: str, *, prefix: bool = False) -> None:
    """One more identity that a peer may have."""
    kind = SubjectAltNameMatcher.URI if prefix else san_type(identity)
    wanted = validation.match_typed_subject_alt_names.add(san_type=kind)
    if prefix:
        wanted.matcher.prefix = identity
    else:
        wanted.matcher.exact = identity


def tls_socket(context: Any) -> TransportSocket:
    """A TLS socket."""
    socket = TransportSocket(name=TLS_SOCKET)
    socket.typed_config.Pack(context, deterministic=True)
    return socket
