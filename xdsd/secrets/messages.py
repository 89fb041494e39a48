"""Secrets as Envoy takes them. Pure.

The version of a key and its certificate is the certificate's fingerprint, which everybody may know.
"""

from collections.abc import Mapping
from typing import Any

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import (
    SPIFFECertValidatorConfig,
)

from xdsd.snapshot import SECRET, Resource

OWN = "default"
TRUST = "ROOTCA"

SPIFFE_VALIDATOR = "envoy.tls.cert_validator.spiffe"


def own_secret(chain: bytes, key: bytes, fingerprint: str) -> Resource:
    """A proxy's certificate chain and key, both PEM."""
    message: Any = Secret(name=OWN)
    message.tls_certificate.certificate_chain.inline_bytes = chain
    message.tls_certificate.private_key.inline_bytes = key
    return Resource.of(SECRET, OWN, message.SerializeToString(deterministic=True), fingerprint)


def trust_secret(bundles: Mapping[str, bytes], crl: bytes = b"") -> Resource:
    """Whom to trust: PEM roots by trust domain, and lists of revoked certificates, PEM too.

    Roots of several domains vouch for their own domain alone; Envoy's validator for that knows no lists of revoked ones.
    """
    message: Any = Secret(name=TRUST)
    validation = message.validation_context
    if len(bundles) == 1:
        (validation.trusted_ca.inline_bytes,) = bundles.values()
        if crl:
            validation.crl.inline_bytes = crl
            validation.only_verify_leaf_cert_crl = True
    else:
        config: Any = SPIFFECertValidatorConfig()
        for domain, roots in sorted(bundles.items()):
            config.trust_domains.add(name=domain).trust_bundle.inline_bytes = roots
        validation.custom_validator_config.name = SPIFFE_VALIDATOR
        validation.custom_validator_config.typed_config.Pack(config, deterministic=True)
    return Resource.of(SECRET, TRUST, message.SerializeToString(deterministic=True))
