"""Who a workload is: a SPIFFE id of the form that Istio gives to workloads (the SPIFFE-ID standard, section 2)."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_TRUST_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9._]{0,253}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ACCOUNT = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,251}[A-Za-z0-9])?")
_SCHEME = "spiffe://"
_LONGEST = 2048
_SHOWN = 200


class InvalidIdentity(ValueError):  # noqa: N818 - it is named after what is the matter
    """Text that is no identity; the message says what would be right."""


@dataclass(frozen=True, slots=True, order=True)
class SpiffeID:
    """A workload's identity. What cannot stand in one raises InvalidIdentity, so every value here is well-formed."""

    trust_domain: str
    namespace: str
    service_account: str

    def __post_init__(self) -> None:
        check_trust_domain(self.trust_domain)
        if not _NAMESPACE.fullmatch(self.namespace):
            raise InvalidIdentity(
                f"{shown(self.namespace)} is no name of a namespace: "
                "write at most 63 small letters, digits and dashes"
            )
        if not _ACCOUNT.fullmatch(self.service_account):
            raise InvalidIdentity(
                f"{shown(self.service_account)} is no name of a service account: "
                "write at most 253 letters, digits, dots, dashes and underlines"
            )

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @property
    def principal(self) -> str:
        """As policies write it: without the scheme."""
        return str(self).removeprefix(_SCHEME)


class Proof(StrEnum):
    """By what a stream proved whose it is."""

    TOKEN = "token"  # noqa: S105 - a word, no secret
    CERTIFICATE = "certificate"
    ACCOUNT = "service account token"


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """Whose a stream is, as it proved; holds nothing that proves it again.

    ``credential`` names what proved it: a token's id, or a certificate's serial in hexadecimal digits. After ``expires``
    it proves nothing more (None: it does not end by itself). ``issuer`` is the name (RFC 4514) of who signed a certificate.
    """

    identity: SpiffeID
    proof: Proof
    credential: str
    expires: datetime | None = None
    issuer: str = ""

    def __str__(self) -> str:
        return f"{self.identity} by {self.proof} {self.credential}"


def parse_identity(text: str) -> SpiffeID:
    """The identity that ``spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`` names. Raises InvalidIdentity.

    Strict: no query, fragment, port, user, percent-encoding, empty part or trailing slash.
    """
    parts = text.removeprefix(_SCHEME).split("/") if len(text) <= _LONGEST else []
    if not text.startswith(_SCHEME) or len(parts) != 5 or (parts[1], parts[3]) != ("ns", "sa"):
        raise InvalidIdentity(
            f"{shown(text)} is no identity: write spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT"
        )
    return SpiffeID(parts[0], parts[2], parts[4])


def check_trust_domain(text: str) -> None:
    """Raises InvalidIdentity for what cannot be a trust domain's name."""
    if not _TRUST_DOMAIN.fullmatch(text):
        raise InvalidIdentity(
            f"{shown(text)} is no name of a trust domain: "
            "write at most 255 small letters, digits, dots, dashes and underlines"
        )


def shown(text: str) -> str:
    """What somebody wrote, cut down to what fits into a message."""
    quoted = repr(text[:_SHOWN])
    return quoted if len(text) <= _SHOWN else f"{quoted}…"
