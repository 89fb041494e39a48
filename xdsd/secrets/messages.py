"""Secrets as Envoy takes them. Pure.

The version of a key and its certificate is the certificate's fingerprint, which everybody may know.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import (
    SPIFFECertValidatorConfig,
)

from xdsd.snapshot import SECRET, Resource

OWN = "default"
TRUST = "ROOTCA"


def shown_in(secret: Resource) -> tuple[bytes, bool]:
    """The certificates of a credential (PEM), and whether they are authorities; nothing of its key."""
    message: Any = Secret.FromString(secret.body)
    if message.HasField("tls_certificate"):
        return bytes(message.tls_certificate.certificate_chain.inline_bytes), False
    return bytes(message.validation_context.trusted_ca.inline_bytes), True


def own_secret(chain: bytes, key: bytes, fingerprint: str, name: str = OWN) -> Resource:
    """A proxy's certificate chain and key, both PEM."""
    message: Any = Secret(name=name)
    message.tls_certificate.certificate_chain.inline_bytes = chain
    message.tls_certificate.private_key.inline_bytes = key
    return Resource.of(SECRET, name, message.SerializeToString(deterministic=True), fingerprint)


def trust_secret(
    roots: bytes, crl: bytes = b"", domains: Iterable[str] = (), foreign: Mapping[str, bytes] | None = None
) -> Resource:
    """Whom to trust: PEM roots, and (PEM too) lists of revoked certificates, in which a peer's own one is looked up.

    With ``foreign`` bundles, by trust domain, each vouches for its own domain alone, and ``roots`` for ``domains``; where a
    bundle is empty, nobody of its domain is believed.
    """
    message: Any = Secret(name=TRUST)
    if foreign:
        found = SPIFFECertValidatorConfig()
        known = ((domain, bundle) for domain, bundle in foreign.items() if bundle)
        for domain, bundle in (*((each, roots + crl) for each in domains), *known):
            found.trust_domains.add(name=domain).trust_bundle.inline_bytes = bundle
        validator = message.validation_context.custom_validator_config
        validator.name = "envoy.tls.cert_validator.spiffe"
        validator.typed_config.Pack(found, deterministic=True)
        return Resource.of(SECRET, TRUST, message.SerializeToString(deterministic=True))
    message.validation_context.trusted_ca.inline_bytes = roots
    if crl:
        message.validation_context.crl.inline_bytes = crl
        message.validation_context.only_verify_leaf_cert_crl = True
    return Resource.of(SECRET, TRUST, message.SerializeToString(deterministic=True))
