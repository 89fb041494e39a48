"""What a connection to a service is wrapped in: TLS as ``tls`` says, and the header of the PROXY protocol.

Files are those of the proxy's machine, read by Envoy when it takes the cluster; credentials come from the daemon.
Unless told otherwise a server must show a certificate that an authority of the system vouches for, and (over HTTP,
where no server name is set) one for the host that the request asks for.
"""

from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsParameters
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext

from xdsd.compile.tls import TLS_SOCKET, san_type, set_secret
from xdsd.model.credential import authorities_name, credential_name, own_name
from xdsd.model.intent import ClientTLSMode, ClientTLSSettings, ProxyProtocol
from xdsd.model.intent.destination_rule import ANY_NAME

RAW_SOCKET = "envoy.transport_sockets.raw_buffer"
PROXY_PROTOCOL_SOCKET = "envoy.transport_sockets.upstream_proxy_protocol"
HTTP2_ALPN = "h2"

TLS_MODE = "tlsMode"
MUTUAL_MODE = "istio"
MUTUAL_MATCH = "tlsMode-istio"
PLAIN_MATCH = "tlsMode-disabled"


def originates_tls(settings: ClientTLSSettings | None) -> bool:
    """True if connections are to be encrypted."""
    return settings is not None and settings.mode in {ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL}


def uses_mesh(settings: ClientTLSSettings | None) -> bool:
    """True if connections are mutual TLS of the mesh because that is asked for."""
    return settings is not None and settings.mode is ClientTLSMode.ISTIO_MUTUAL


def passes_name_on(settings: ClientTLSSettings | None) -> bool:
    """True if mutual TLS of the mesh asks for the host of each request, or the server that the TLS of a connection names."""
    return settings is not None and uses_mesh(settings) and settings.sni == ANY_NAME


def is_automatic(settings: ClientTLSSettings | None) -> bool:
    """True if nobody says how connections are secured."""
    return settings is None or settings.mode is None


def begun_anew(settings: ClientTLSSettings | None) -> ClientTLSSettings:
    """How proxies that read TLS to a service begin it again: as a rule says, else so that the server has to show a
    certificate for the host.
    """
    said = settings or ClientTLSSettings()
    return said if said.mode is not None else said.model_copy(update={"mode": ClientTLSMode.SIMPLE})


def with_names(settings: ClientTLSSettings | None, names: tuple[str, ...]) -> ClientTLSSettings | None:
    """The settings with the names that a service's certificates are for, where they do not say any themselves."""
    if settings is None or not originates_tls(settings) or not names:
        return settings
    if settings.subject_alt_names or settings.insecure_skip_verify:
        return settings
    return settings.model_copy(update={"subject_alt_names": names})


def follows_host(settings: ClientTLSSettings | None) -> bool:
    """True if the server name asked for is the host of each request."""
    return passes_name_on(settings) or (
        settings is not None and originates_tls(settings) and not settings.sni
    )


def verifies_host(settings: ClientTLSSettings | None) -> bool:
    """True if the server's certificate must be for the host of the request."""
    if settings is None or uses_mesh(settings) or not follows_host(settings):
        return False
    return not settings.insecure_skip_verify and not settings.subject_alt_names


def apply_transport(
    cluster: Any,
    tls: ClientTLSSettings | None,
    proxy_protocol: ProxyProtocol | None,
    *,
    http2: bool,
    system_ca: str,
    checked_host: str = "",
    mesh: TransportSocket | None = None,
) -> None:
    """Sets the transport socket of a cluster; none where connections are plain.

    ``mesh`` is that of proxies of the mesh: for all endpoints where that is asked for, and where nothing is said for those
    that are known to take it.

    ``http2`` tells whether HTTP/2 alone is spoken, which TLS then announces. ``system_ca`` is the file of the
    authorities that vouch where ``tls`` names none. ``checked_host`` is the server name that health checks ask for: they
    have no request to take it from, and requests go before it.
    """
    socket = mesh if uses_mesh(tls) else None
    if tls is not None and originates_tls(tls):
        socket = _socket(TLS_SOCKET, _tls_context(tls, http2=http2, system_ca=system_ca, host=checked_host))
    if proxy_protocol is not None:
        socket = _socket(PROXY_PROTOCOL_SOCKET, _with_header(proxy_protocol, socket))
    if socket is not None:
        cluster.transport_socket.CopyFrom(socket)
    if mesh is not None and is_automatic(tls):
        _add_matches(cluster, mesh, proxy_protocol)


def _add_matches(cluster: Any, mesh: TransportSocket, proxy_protocol: ProxyProtocol | None) -> None:
    """Endpoints that take mutual TLS of the mesh get it, others what the cluster has without."""
    plain = cluster.transport_socket if proxy_protocol is not None else _socket(RAW_SOCKET, RawBuffer())
    if proxy_protocol is not None:
        mesh = _socket(PROXY_PROTOCOL_SOCKET, _with_header(proxy_protocol, mesh))
    able = cluster.transport_socket_matches.add(name=MUTUAL_MATCH)
    able.match.update({TLS_MODE: MUTUAL_MODE})
    able.transport_socket.CopyFrom(mesh)
    others = cluster.transport_socket_matches.add(name=PLAIN_MATCH)
    others.match.SetInParent()
    others.transport_socket.CopyFrom(plain)


def _tls_context(tls: ClientTLSSettings, *, http2: bool, system_ca: str, host: str) -> Any:
    context: Any = UpstreamTlsContext(sni=tls.sni or host)
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = TlsParameters.TLSv1_3
    if http2:
        common.alpn_protocols.append(HTTP2_ALPN)
    credential = credential_name(tls.credential_name or "")
    if credential:
        _use_credential(common, tls, credential)
        return context
    if tls.client_certificate and tls.private_key:
        own = common.tls_certificates.add()
        own.certificate_chain.filename = tls.client_certificate
        own.private_key.filename = tls.private_key
    common.validation_context.SetInParent()
    if not tls.insecure_skip_verify:
        _set_validation(common.validation_context, tls, system_ca)
    return context


def _use_credential(common: Any, tls: ClientTLSSettings, name: str) -> None:
    """Certificate, key and authorities come by SDS over ADS, so that a rotation changes no cluster."""
    if tls.mode is ClientTLSMode.MUTUAL:
        set_secret(common.tls_certificate_sds_secret_configs.add(), own_name(name))
    if tls.insecure_skip_verify:
        common.validation_context.SetInParent()
        return
    combined = common.combined_validation_context
    set_secret(combined.validation_context_sds_secret_config, authorities_name(name))
    combined.default_validation_context.SetInParent()
    _set_names(combined.default_validation_context, tls)


def _set_validation(validation: Any, tls: ClientTLSSettings, system_ca: str) -> None:
    validation.trusted_ca.filename = tls.ca_certificates or system_ca
    if tls.ca_crl:
        validation.crl.filename = tls.ca_crl
    _set_names(validation, tls)


def _set_names(validation: Any, tls: ClientTLSSettings) -> None:
    for name in tls.subject_alt_names:
        wanted = validation.match_typed_subject_alt_names.add(san_type=san_type(name))
        wanted.matcher.exact = name


def _with_header(settings: ProxyProtocol, inner: Any) -> Any:
    """A socket that sends the header first; a version that is not given is the first."""
    version = ProxyProtocolConfig.V2 if settings.version == "V2" else ProxyProtocolConfig.V1
    return ProxyProtocolUpstreamTransport(
        config=ProxyProtocolConfig(version=version),
        transport_socket=inner if inner is not None else _socket(RAW_SOCKET, RawBuffer()),
    )


def _socket(name: str, config: Any) -> Any:
    socket: Any = TransportSocket(name=name)
    socket.typed_config.Pack(config, deterministic=True)
    return socket
