"""TLS of connections to a server, by value."""

from typing import Any

from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from xdsd.compile.downstream_tls import HTTP_ALPN, server_tls
from xdsd.compile.tls import san_type
from xdsd.model.intent import ServerTLSSettings

SIMPLE: dict[str, Any] = {"mode": "SIMPLE", "serverCertificate": "/c.pem", "privateKey": "/k.pem"}
MUTUAL: dict[str, Any] = {**SIMPLE, "mode": "MUTUAL", "caCertificates": "/ca.pem"}


def context(alpn: tuple[str, ...] = (), /, **fields: Any) -> Any:
    """What these settings become."""
    socket = server_tls(ServerTLSSettings.model_validate(fields), alpn)
    assert socket.name == "envoy.transport_sockets.tls"
    message = DownstreamTlsContext()
    assert socket.typed_config.Unpack(message)
    return message


def test_a_server_shows_its_certificate_and_asks_for_none() -> None:
    """TLS 1.2 and 1.3, and what is spoken inside is announced."""
    made = context(HTTP_ALPN, **SIMPLE)
    common = made.common_tls_context
    (own,) = common.tls_certificates
    assert (own.certificate_chain.filename, own.private_key.filename) == ("/c.pem", "/k.pem")
    assert list(common.alpn_protocols) == ["h2", "http/1.1"]
    assert common.tls_params.tls_minimum_protocol_version == TlsParameters.TLSv1_2
    assert common.tls_params.tls_maximum_protocol_version == TlsParameters.TLSv1_3
    assert not made.require_client_certificate.value
    assert not common.HasField("validation_context")


def test_clients_are_asked_for_certificates() -> None:
    """MUTUAL needs one; OPTIONAL_MUTUAL verifies one that is shown."""
    made = context(**MUTUAL, caCrl="/crl.pem")
    validation = made.common_tls_context.validation_context
    assert made.require_client_certificate.value
    assert (validation.trusted_ca.filename, validation.crl.filename) == ("/ca.pem", "/crl.pem")
    optional = context(**{**MUTUAL, "mode": "OPTIONAL_MUTUAL"})
    assert not optional.require_client_certificate.value
    assert optional.common_tls_context.validation_context.trusted_ca.filename == "/ca.pem"


def test_what_is_said_of_clients_and_of_tls_is_kept() -> None:
    """Names, keys, hashes, versions, suites and curves; and that a client is not verified, where that is wanted."""
    made = context(
        **MUTUAL,
        subjectAltNames=["spiffe://a/b", "a.example", "10.0.0.1", "me@example.org"],
        verifyCertificateSpki=["c3BraQ=="],
        verifyCertificateHash=["aa"],
        minProtocolVersion="TLSV1_1",
        maxProtocolVersion="TLSV1_2",
        cipherSuites=["ECDHE-RSA-AES128-GCM-SHA256"],
        ecdhCurves=["P-256"],
        insecureSkipVerify=True,
    )
    common = made.common_tls_context
    validation = common.validation_context
    kinds = [(each.matcher.exact, each.san_type) for each in validation.match_typed_subject_alt_names]
    assert kinds == [
        ("spiffe://a/b", SubjectAltNameMatcher.URI),
        ("a.example", SubjectAltNameMatcher.DNS),
        ("10.0.0.1", SubjectAltNameMatcher.IP_ADDRESS),
        ("me@example.org", SubjectAltNameMatcher.EMAIL),
    ]
    assert san_type("::1") == SubjectAltNameMatcher.IP_ADDRESS
    assert list(validation.verify_certificate_spki) == ["c3BraQ=="]
    assert list(validation.verify_certificate_hash) == ["aa"]
    assert validation.trust_chain_verification == CertificateValidationContext.ACCEPT_UNTRUSTED
    assert common.tls_params.tls_minimum_protocol_version == TlsParameters.TLSv1_1
    assert common.tls_params.tls_maximum_protocol_version == TlsParameters.TLSv1_2
    assert list(common.tls_params.cipher_suites) == ["ECDHE-RSA-AES128-GCM-SHA256"]
    assert list(common.tls_params.ecdh_curves) == ["P-256"]


def test_several_certificates_are_shown() -> None:
    """Of different types, in the order in which they are named."""
    pairs = [{"serverCertificate": f"/{kind}.pem", "privateKey": f"/{kind}.key"} for kind in ("ec", "rsa")]
    made = context(mode="SIMPLE", tlsCertificates=pairs)
    shown = [each.certificate_chain.filename for each in made.common_tls_context.tls_certificates]
    assert shown == ["/ec.pem", "/rsa.pem"]
