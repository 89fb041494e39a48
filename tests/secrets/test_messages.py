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


def test_roots_are_trusted_but_for_what_is_on_a_list() -> None:
    """Only the peer's own certificate is looked up in lists of revoked ones, as authorities above have none."""
    message = Secret.FromString(trust_secret(b"ROOTS").body)
    assert message.validation_context.trusted_ca.inline_bytes == b"ROOTS"
    assert not message.validation_context.HasField("crl")
    message = Secret.FromString(trust_secret(b"ROOTS", b"CRL").body)
    assert message.validation_context.crl.inline_bytes == b"CRL"
    assert message.validation_context.only_verify_leaf_cert_crl


def test_nobody_vouches_for_a_domain_whose_bundle_is_not_known() -> None:
    """Authorities are bound to their domains as soon as another is to be let in, with lists in the bundle of our own."""
    made = Secret.FromString(trust_secret(b"ROOTS", b"CRL", ["a", "b"], {"their": b""}).body)
    found = SPIFFECertValidatorConfig()
    assert made.validation_context.custom_validator_config.typed_config.Unpack(found)
    assert not made.validation_context.HasField("trusted_ca")
    told = {each.name: each.trust_bundle.inline_bytes for each in found.trust_domains}
    assert told == {"a": b"ROOTSCRL", "b": b"ROOTSCRL"}


def test_equal_trust_has_an_equal_version() -> None:
    """On every replica, and after every restart."""
    assert trust_secret(b"A") == trust_secret(b"A")
    assert trust_secret(b"A") != trust_secret(b"A", b"CRL")
