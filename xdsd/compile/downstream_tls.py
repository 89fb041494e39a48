"""TLS of connections to a server, from files of the proxy's machine, which Envoy reads when it takes the listener, or from
credentials, which come by SDS over ADS: then a rotation changes no listener.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.quic.v3.quic_transport_pb2 import QuicDownstreamTransport
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from xdsd.compile.tls import TLS_SOCKET, san_type, set_secret
from xdsd.model.credential import authorities_name, credential_name, own_name
from xdsd.model.intent import ServerTLSMode, ServerTLSSettings, TLSProtocol

HTTP_ALPN = ("h2", "http/1.1")
QUIC_ALPN = ("h3",)
QUIC_SOCKET = "envoy.transport_sockets.quic"

_VERSIONS: Mapping[TLSProtocol, Any] = MappingProxyType(
    {
        TLSProtocol.TLSV1_0: TlsParameters.TLSv1_0,
        TLSProtocol.TLSV1_1: TlsParameters.TLSv1_1,
        TLSProtocol.TLSV1_2: TlsParameters.TLSv1_2,
        TLSProtocol.TLSV1_3: TlsParameters.TLSv1_3,
    }
)


def server_tls(settings: ServerTLSSettings, alpn: tuple[str, ...] = ()) -> TransportSocket:
    """The transport socket of a filter chain that decrypts; ``alpn`` is what is spoken inside, the preferred first."""
    socket = TransportSocket(name=TLS_SOCKET)
    socket.typed_config.Pack(_context(settings, alpn), deterministic=True)
    return socket


def quic_tls(settings: ServerTLSSettings) -> TransportSocket:
    """That of HTTP/3, whose TLS is of version 1.3 always."""
    config = QuicDownstreamTransport(downstream_tls_context=_context(settings, QUIC_ALPN))
    config.downstream_tls_context.common_tls_context.ClearField("tls_params")
    socket = TransportSocket(name=QUIC_SOCKET)
    socket.typed_config.Pack(config, deterministic=True)
    return socket


def takes_quic(settings: ServerTLSSettings) -> bool:
    """True if a server's TLS can be that of HTTP/3: it asks callers for nothing, and version 1.3 is not ruled out."""
    highest = settings.max_protocol_version
    return settings.mode is ServerTLSMode.SIMPLE and highest in (
        None,
        TLSProtocol.TLS_AUTO,
        TLSProtocol.TLSV1_3,
    )


def _context(settings: ServerTLSSettings, alpn: tuple[str, ...]) -> DownstreamTlsContext:
    context: Any = DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(alpn)
    set_parameters(common.tls_params, settings)
    for name in credentials_of(settings):
        set_secret(common.tls_certificate_sds_secret_configs.add(), own_name(name))
    for chain, key in _files(settings):
        own = common.tls_certificates.add()
        own.certificate_chain.filename = chain
        own.private_key.filename = key
    context.require_client_certificate.value = settings.mode is ServerTLSMode.MUTUAL
    authorities = authorities_of(settings)
    if authorities:
        combined = common.combined_validation_context
        set_secret(combined.validation_context_sds_secret_config, authorities_name(authorities))
        combined.default_validation_context.SetInParent()
        _set_validation(combined.default_validation_context, settings)
    elif verifies(settings):
        _set_validation(common.validation_context, settings)
    made: DownstreamTlsContext = context
    return made


def verifies(settings: ServerTLSSettings) -> bool:
    """True if clients are asked for certificates that others vouch for."""
    return settings.mode in {ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL}


def credentials_of(settings: ServerTLSSettings) -> tuple[str, ...]:
    """The credentials that hold the server's certificates; empty where files do."""
    if settings.mode is ServerTLSMode.ISTIO_MUTUAL:
        return ()
    names = settings.credential_names or ((settings.credential_name,) if settings.credential_name else ())
    return tuple(credential_name(name) for name in names)


def authorities_of(settings: ServerTLSSettings) -> str:
    """The credential with the authorities that vouch for clients; empty where a file has them, or nobody is verified."""
    if not verifies(settings):
        return ""
    if settings.ca_cert_credential_name:
        return credential_name(settings.ca_cert_credential_name)
    if settings.ca_certificates or settings.insecure_skip_verify:
        return ""
    return next(iter(credentials_of(settings)), "")


def _files(settings: ServerTLSSettings) -> list[tuple[str, str]]:
    """Certificate chains with their keys, of different types."""
    if credentials_of(settings):
        return []
    pairs = [(each.server_certificate, each.private_key) for each in settings.tls_certificates]
    pairs = pairs or [(settings.server_certificate, settings.private_key)]
    return [(chain, key) for chain, key in pairs if chain and key]


def set_parameters(parameters: Any, settings: ServerTLSSettings) -> None:
    """Versions, ciphers and curves. Without a word on versions, 1.2 is the lowest."""
    lowest = settings.min_protocol_version or TLSProtocol.TLSV1_2
    parameters.tls_minimum_protocol_version = _VERSIONS.get(lowest, TlsParameters.TLSv1_2)
    highest = settings.max_protocol_version
    parameters.tls_maximum_protocol_version = (
        _VERSIONS.get(highest, TlsParameters.TLSv1_3) if highest else TlsParameters.TLSv1_3
    )
    parameters.cipher_suites.extend(settings.cipher_suites)
    parameters.ecdh_curves.extend(settings.ecdh_curves)


def _set_validation(validation: Any, settings: ServerTLSSettings) -> None:
    """Who may call: with a certificate that an authority vouches for, and of these names, keys or hashes if any are told."""
    if settings.ca_certificates:
        validation.trusted_ca.filename = settings.ca_certificates
    if settings.ca_crl:
        validation.crl.filename = settings.ca_crl
    if settings.insecure_skip_verify:
        validation.trust_chain_verification = CertificateValidationContext.ACCEPT_UNTRUSTED
    validation.verify_certificate_spki.extend(settings.verify_certificate_spki)
    validation.verify_certificate_hash.extend(settings.verify_certificate_hash)
    for name in settings.subject_alt_names:
        wanted: SubjectAltNameMatcher = validation.match_typed_subject_alt_names.add(san_type=san_type(name))
        wanted.matcher.exact = name
