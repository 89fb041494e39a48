"""Secrets as Envoy takes them. Pure.

The version of a key and its certificate is the certificate's fingerprint, which everybody may know.
"""

from typing import Any

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from xdsd.snapshot import SECRET, Resource

OWN = "default"
TRUST = "ROOTCA"


def own_secret(chain: bytes, key: bytes, fingerprint: str) -> Resource:
    """A proxy's certificate chain and key, both PEM."""
    message: Any = Secret(name=OWN)
    message.tls_certificate.certificate_chain.inline_bytes = chain
    message.tls_certificate.private_key.inline_bytes = key
    return Resource.of(SECRET, OWN, message.SerializeToString(deterministic=True), fingerprint)


def trust_secret(roots: bytes, crl: bytes = b"") -> Resource:
    """Whom to trust: PEM roots, and (PEM too) lists of revoked certificates, in which a peer's own one is looked up."""
    message: Any = Secret(name=TRUST)
    message.validation_context.trusted_ca.inline_bytes = roots
    if crl:
        message.validation_context.crl.inline_bytes = crl
        message.validation_context.only_verify_leaf_cert_crl = True
    return Resource.of(SECRET, TRUST, message.SerializeToString(deterministic=True))
