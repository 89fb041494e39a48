"""Which lists of revoked certificates proxies are given. Pure.

Envoy believes no peer whose issuer it has no current list of, as soon as it has any list. So lists are given all together or
not at all: for every issuer of certificates that may be about there must be one that is signed by it and has not expired.
Where one is missing, revoked identities are shut out by name still, and nobody else is shut out by mistake.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from xdsd.ca.issuer import pem
from xdsd.ca.reading import Unreadable, read_certificates

MARGIN = timedelta(minutes=2)
"""How long before its end a list is given no more: proxies' clocks differ from ours."""


class InvalidList(ValueError):  # noqa: N818 - it is named after what is the matter
    """What is kept is no list; the message says why."""


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list as a daemon keeps it for the others: of ``issuer``, whose certificates are about until ``until``."""

    issuer: x509.Certificate
    pem: bytes
    until: datetime


@dataclass(frozen=True, slots=True)
class Given:
    """The lists (PEM), or nothing and ``why``; ``until`` is when that has to be thought over."""

    pem: bytes = b""
    why: str = ""
    until: datetime | None = None


def given_lists(issuers: Iterable[x509.Certificate], lists: Iterable[bytes], now: datetime) -> Given:
    """What proxies are given of ``lists`` (PEM), where certificates of all these ``issuers`` may be about."""
    read = [(crl, each) for each in lists if (crl := _read(each)) is not None]
    chosen: dict[bytes, datetime] = {}
    for issuer in dict.fromkeys(issuers):
        name = issuer.subject.rfc4514_string()
        if not signs_lists(issuer):
            return Given(why=f"{name} may not sign lists: its key usage lacks cRLSign")
        own = [(crl.next_update_utc, text) for crl, text in read if _is_by(crl, issuer)]
        current = [(end, text) for end, text in own if end is not None and now < end - MARGIN]
        if not current:
            state = "has expired" if own else "is not known"
            return Given(why=f"the list of {name} {state}")
        end, text = max(current)
        chosen[text] = end
    ends = min(chosen.values(), default=None)
    return Given(b"".join(chosen), until=None if ends is None else ends - MARGIN)


def signs_lists(issuer: x509.Certificate) -> bool:
    """Whether proxies believe lists that it signed."""
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def serials_of(data: bytes) -> frozenset[int]:
    """What a list names."""
    found = _read(data)
    return frozenset(each.serial_number for each in found) if found is not None else frozenset()


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    issuer: str
    pem: str
    until: AwareDatetime


def encode(kept: KeptList) -> bytes:
    """As it is kept."""
    made = _Kept(issuer=pem(kept.issuer).decode(), pem=kept.pem.decode(), until=kept.until)
    return made.model_dump_json().encode()


def decode(value: bytes) -> KeptList:
    """As it was kept. Raises InvalidList."""
    try:
        kept = _Kept.model_validate_json(value)
        issuers: Sequence[x509.Certificate] = read_certificates(kept.issuer.encode(), "the issuer")
    except (ValidationError, Unreadable) as error:
        raise InvalidList("what is kept of a list cannot be read") from error
    if len(issuers) != 1:
        raise InvalidList("a list is of one issuer")
    return KeptList(issuers[0], kept.pem.encode(), kept.until)


def _read(data: bytes) -> x509.CertificateRevocationList | None:
    """None for what is no list."""
    try:
        found = x509.load_pem_x509_crl(data)
        found.extensions  # noqa: B018 - raises where they cannot be read
        len(found)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return None
    return found


def _is_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    if crl.issuer != issuer.subject:
        return False
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # of other keys it raises
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False
