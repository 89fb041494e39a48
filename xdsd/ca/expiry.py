"""When the CA's certificates expire, and what is said before that. Pure: ``now`` comes in as a value.

A root, or a CA that signs below it, has to be followed by another in good time, by people: proxies are to trust the new one
before it signs. So whoever looks is told when a fifth of its life is left, or three months.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from xdsd.ca.issuer import fingerprint
from xdsd.ca.roots import ID_LENGTH
from xdsd.model.problem import Problem, Reason, Severity

EARLIEST = timedelta(days=90)
SHARE = 5
"""One part in so many of its life."""


class Place(StrEnum):
    """Where a certificate of the CA stands: at the top of all chains, or below."""

    ROOT = "root"
    ISSUING = "issuing"


@dataclass(frozen=True, slots=True)
class Expiry:
    """One certificate of the CA: ``id`` tells them apart."""

    place: Place
    id: str
    subject: str
    begins: datetime
    expires: datetime

    def near(self, now: datetime) -> bool:
        """Whether it is time to think of the next one."""
        return now >= self.expires - min(EARLIEST, (self.expires - self.begins) / SHARE)

    def gone(self, now: datetime) -> bool:
        return now >= self.expires


def expiries(roots: Sequence[x509.Certificate], issuers: Iterable[x509.Certificate]) -> tuple[Expiry, ...]:
    """Of all roots that are trusted, and of those who sign below them."""
    found = dict.fromkeys(roots, Place.ROOT)
    for each in issuers:
        found.setdefault(each, Place.ISSUING)
    return tuple(
        Expiry(
            place,
            fingerprint(each)[:ID_LENGTH],
            each.subject.rfc4514_string(),
            each.not_valid_before_utc,
            each.not_valid_after_utc,
        )
        for each, place in found.items()
    )


def sentence(found: Expiry, now: datetime) -> str:
    """When a certificate expires, for people."""
    what = f"the CA's {found.place} certificate {found.id} ({found.subject})"
    when = found.expires.isoformat()
    return f"{what} expired at {when}" if found.gone(now) else f"{what} expires at {when}"


def problems(found: Iterable[Expiry], now: datetime, *, ours: bool) -> tuple[Problem, ...]:
    """What is to be done soon, or should have been; ``ours`` are roots that the daemon makes."""
    return tuple(
        Problem(
            Reason.EXPIRES,
            f"{sentence(each, now)}: {_advice(each, ours=ours)}",
            severity=Severity.ERROR if each.gone(now) else Severity.WARNING,
        )
        for each in found
        if each.near(now)
    )


def _advice(found: Expiry, *, ours: bool) -> str:
    if found.place is Place.ISSUING:
        return "replace the files of ca-cert and ca-key with another intermediate's of the same root"
    if ours:
        return "let another root follow it with xdsctl ca rotate --apply, if it is the one that signs"
    return "have its owner make another, and let it follow as the page on root rotation says"
