"""Secrets as Envoy takes them."""

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import (
    SPIFFECertValidatorConfig,
)

from xdsd.secrets.messages import own_secret, trust_secret


def test_a_proxys_own_secret_has_chain_and_key_and_a_version_that_tells_neither() -> None:
    """The version is the certificate's fingerprint, which everybody may know."""
    made = own_secret(b"CHAIN", b"KEY", "ab12")
    message = Secret.FromString(made.body)
    assert (made.name, made.version, message.name) == ("default", "ab12", "default")
    assert message.tls_certificate.certificate_chain.inline_bytes == b"CHAIN"
    assert message.tls_certificate.private_key.inline_bytes == b"KEY"
    assert "KEY" not in repr(made)


def test_roots_of_one_domain_are_trusted_as_they_are() -> None:
    """With lists of revoked certificates where there are some; only the peer's own certificate is looked up there."""
    message = Secret.FromString(trust_secret({"a": b"ROOTS"}).body)
    assert message.validation_context.trusted_ca.inline_bytes == b"ROOTS"
    assert not message.validation_context.HasField("crl")
    message = Secret.FromString(trust_secret({"a": b"ROOTS"}, b"CRL").body)
    assert message.validation_context.crl.inline_bytes == b"CRL"
    assert message.validation_context.only_verify_leaf_cert_crl


def test_roots_of_several_domains_vouch_for_their_own_alone() -> None:
    """A root of one domain cannot make identities of another."""
    message = Secret.FromString(trust_secret({"b": b"B", "a": b"A"}).body)
    assert not message.validation_context.HasField("trusted_ca")
    config = SPIFFECertValidatorConfig()
    assert message.validation_context.custom_validator_config.typed_config.Unpack(config)
    assert [(each.name, each.trust_bundle.inline_bytes) for each in config.trust_domains] == [
        ("a", b"A"),
        ("b", b"B"),
    ]


def test_equal_trust_has_an_equal_version() -> None:
    """On every replica, and after every restart."""
    assert trust_secret({"a": b"A"}) == trust_secret({"a": b"A"})
    assert trust_secret({"a": b"A"}) != trust_secret({"a": b"A"}, b"CRL")
