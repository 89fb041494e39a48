"""Credentials as proxies take them. Pure. The version of a key is of its certificate, which everybody may know."""

from hashlib import sha256
from typing import Any

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from xdsd.credentials.reading import Credential
from xdsd.model.credential import authorities_name, own_name
from xdsd.snapshot import SECRET, Resource


def secrets_of(credential: Credential) -> tuple[Resource, ...]:
    """Certificate with key under ``kubernetes://NAME``, authorities under ``kubernetes://NAME-cacert``."""
    found = []
    if credential.material.chain:
        found.append(_own(own_name(credential.name.name), credential))
    if credential.material.authorities:
        found.append(_authorities(authorities_name(credential.name.name), credential))
    return tuple(found)


def _own(name: str, credential: Credential) -> Resource:
    material = credential.material
    message: Any = Secret(name=name)
    message.tls_certificate.certificate_chain.inline_bytes = material.chain
    message.tls_certificate.private_key.inline_bytes = material.key
    if material.staple:
        message.tls_certificate.ocsp_staple.inline_bytes = material.staple
    version = sha256(material.chain + b"\0" + material.staple).hexdigest()
    return Resource.of(SECRET, name, message.SerializeToString(deterministic=True), version)


def _authorities(name: str, credential: Credential) -> Resource:
    material = credential.material
    message: Any = Secret(name=name)
    validation = message.validation_context
    validation.trusted_ca.inline_bytes = material.authorities
    if material.revoked:
        validation.crl.inline_bytes = material.revoked
        validation.only_verify_leaf_cert_crl = True
    return Resource.of(SECRET, name, message.SerializeToString(deterministic=True))
