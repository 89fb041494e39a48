"""CertificateData of a MeshConfig: further authorities, of the mesh's own trust domain or of others."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from xdsd.model.identity import InvalidIdentity, check_trust_domain
from xdsd.model.intent.base import Finding, Message, Str, absent, invalid, many, missing
from xdsd.model.pem import InvalidPem, certificates_of, is_authority, others_beside

_LONGEST = 1 << 18


def _trust_domain(text: str) -> str:
    try:
        check_trust_domain(text)
    except InvalidIdentity as error:
        raise invalid(str(error)) from error
    return text


TrustDomain = Annotated[Str, AfterValidator(_trust_domain)]


def _certificates(text: str) -> str:
    if len(text) > _LONGEST:
        raise invalid(f"is longer than {_LONGEST} characters")
    if others := others_beside(text):
        raise invalid(others)
    try:
        found = certificates_of(text.encode(errors="replace"))
    except InvalidPem as error:
        raise invalid(f"{error}; write certificates of authorities") from error
    for place, each in enumerate(found, 1):
        if not is_authority(each):
            raise invalid(f"holds a certificate that is no authority's ({place} of {len(found)})")
    return text


def _https(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.fragment:
        raise invalid("is no address of a SPIFFE bundle; write https://HOST[:PORT]/PATH")
    return text


Authorities = Annotated[Str, AfterValidator(_certificates)]
"""Certificates of authorities in PEM."""


class CertificateData(Message):
    """Authorities, and whose they are."""

    at_most_one = (("pem", "spiffeBundleUrl"),)

    pem: Authorities | None = absent("Their certificates.")
    spiffe_bundle_url: Annotated[Str, AfterValidator(_https)] | None = absent(
        "Where they are published as a SPIFFE bundle, fetched by the daemon."
    )
    cert_signers: tuple[Str, ...] = many("Signers of Kubernetes that use them.")
    trust_domains: tuple[TrustDomain, ...] = many(
        "Trust domains that they vouch for; the mesh's own and its aliases if left out."
    )

    def findings(self) -> Iterator[Finding]:
        if self.pem is None and self.spiffe_bundle_url is None:
            yield missing("is missing; write it, or spiffeBundleUrl", "pem")
