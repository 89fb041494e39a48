"""Mutual TLS between proxies of the mesh: what both sides show and whom they believe.

Keys, certificates and roots come by SDS over ADS, so that a rotation changes no listener and no cluster. The references
to them are always the same bytes. They are waited for without limit: a listener or cluster that is changed serves as it
did until they are there.
"""

from collections.abc import Iterable
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import SubjectAltNameMatcher, TlsParameters
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from xdsd.compile.tls import TLS_SOCKET

OWN_SECRET = "default"  # noqa: S105 - a name
TRUST_SECRET = "ROOTCA"  # noqa: S105 - a name

MESH_HTTP_ALPN = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
"""What callers announce that know of HTTP inside."""

MESH_TCP_ALPN = ("istio-peer-exchange", "istio")
"""What callers announce otherwise."""

MESH_ALPN = (*MESH_TCP_ALPN, *MESH_HTTP_ALPN)
"""By these a caller's TLS is known for that of the mesh, not of its program."""

SCHEME = "spiffe://"


def mesh_server_tls(trust_domains: Iterable[str], alpn: Iterable[str] = ()) -> TransportSocket:
    """The socket of a filter chain that takes peers of these trust domains; ``alpn`` is what is spoken inside."""
    context: Any = DownstreamTlsContext()
    context.require_client_certificate.value = True
    add_mesh_identity(context.common_tls_context, alpn)
    validation = context.common_tls_context.combined_validation_context.default_validation_context
    for domain in trust_domains:
        add_name(validation, f"{SCHEME}{domain}/", prefix=True)
    return tls_socket(context)


def add_mesh_identity(common: Any, alpn: Iterable[str]) -> None:
    """Shows the proxy's own certificate, and believes whom the mesh's roots vouch for."""
    common.alpn_protocols.extend(alpn)
    common.tls_params.tls_minimum_protocol_version = TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = TlsParameters.TLSv1_3
    set_secret(common.tls_certificate_sds_secret_configs.add(), OWN_SECRET)
    set_secret(common.combined_validation_context.validation_context_sds_secret_config, TRUST_SECRET)
    common.combined_validation_context.default_validation_context.SetInParent()


def set_secret(target: Any, name: str) -> None:
    """A reference to a secret that comes over ADS."""
    target.name = name
    source = target.sds_config
    source.ads.SetInParent()
    source.resource_api_version = ApiVersion.V3
    source.initial_fetch_timeout.SetInParent()


def add_name(validation: Any, identity: str, *, prefix: bool = False) -> None:
    """One more identity that a peer may have."""
    wanted = validation.match_typed_subject_alt_names.add(san_type=SubjectAltNameMatcher.URI)
    if prefix:
        wanted.matcher.prefix = identity
    else:
        wanted.matcher.exact = identity


def tls_socket(context: Any) -> TransportSocket:
    """A TLS socket."""
    socket = TransportSocket(name=TLS_SOCKET)
    socket.typed_config.Pack(context, deterministic=True)
    return socket
