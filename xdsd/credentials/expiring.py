"""Certificates of credentials that end soon, told while there is time to replace them. Pure: ``now`` comes in as a value.

What ended is served on: whoever looks closer refuses it, and whoever does not is none the worse.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from xdsd.credentials.reading import SOON, Credential
from xdsd.model.credential import CredentialName
from xdsd.model.pem import certificates_of
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity


@dataclass(frozen=True, slots=True)
class _End:
    """When a certificate ends, and what it is called."""

    subject: str
    at: datetime


class Ends:
    """Remembers when certificates end, so that each is read once."""

    def __init__(self) -> None:
        self._known: dict[CredentialName, tuple[Credential, tuple[_End, ...]]] = {}

    def problems(
        self, credentials: Iterable[Credential], now: datetime
    ) -> Iterator[tuple[Credential, Problem]]:
        """A warning for each certificate that ends soon, and an error for each that ended."""
        before, self._known = self._known, {}
        for each in credentials:
            held = before.get(each.name)
            found = held[1] if held is not None and held[0] is each else tuple(_ends(each))
            self._known[each.name] = (each, found)
            yield from ((each, _problem(each.name, end, now)) for end in found if end.at - now < SOON)


def _ends(credential: Credential) -> Iterator[_End]:
    for data in (credential.material.chain, credential.material.authorities):
        for each in certificates_of(data) if data else ():
            yield _End(each.subject.rfc4514_string(), each.not_valid_after_utc)


def _problem(name: CredentialName, end: _End, now: datetime) -> Problem:
    gone = end.at <= now
    message = f"the certificate {end.subject} {'expired' if gone else 'expires'} at {end.at.isoformat()}; replace it"
    severity = Severity.ERROR if gone else Severity.WARNING
    return Problem(Reason.EXPIRES, message, ObjectRef("Secret", *name), severity=severity)
