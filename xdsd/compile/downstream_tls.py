"""TLS of connections to a server, from files of the proxy's machine, which Envoy reads when it takes the listener."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from xdsd.compile.tls import TLS_SOCKET, san_type
from xdsd.model.intent import ServerTLSMode, ServerTLSSettings, TLSProtocol

HTTP_ALPN = ("h2", "http/1.1")

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
    context: Any = DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(alpn)
    _set_parameters(common.tls_params, settings)
    for chain, key in _files(settings):
        own = common.tls_certificates.add()
        own.certificate_chain.filename = chain
        own.private_key.filename = key
    context.require_client_certificate.value = settings.mode is ServerTLSMode.MUTUAL
    if settings.mode in {ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL}:
        _set_validation(common.validation_context, settings)
    socket = TransportSocket(name=TLS_SOCKET)
    socket.typed_config.Pack(context, deterministic=True)
    return socket


def _files(settings: ServerTLSSettings) -> list[tuple[str, str]]:
    """Certificate chains with their keys, of different types."""
    pairs = [(each.server_certificate, each.private_key) for each in settings.tls_certificates]
    pairs = pairs or [(settings.server_certificate, settings.private_key)]
    return [(chain, key) for chain, key in pairs if chain and key]


def _set_parameters(parameters: Any, settings: ServerTLSSettings) -> None:
    """Without a word on versions, 1.2 is the lowest."""
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
