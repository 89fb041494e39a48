"""What is revoked, as values and as it is kept. Pure.

A revoked *certificate* proves nothing any more. A revoked *identity* is shut out: nobody proves it, by whatever means, and
no certificate of it is issued. Neither ends before every certificate that was about has expired.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from xdsd.ca.crl import Revoked
from xdsd.model.identity import InvalidIdentity, SpiffeID, parse_identity
from xdsd.model.shut_out import ShutOut, Turn

MARGIN = timedelta(minutes=1)
"""How much longer than certificates a revocation lasts: clocks differ."""
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When a revocation ends of which it is not known when."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREADABLE = "what is kept of it cannot be read here, so it holds until it is restored"
_LONGEST = 253


class InvalidRevocation(ValueError):  # noqa: N818 - it is named after what is the matter
    """What was asked to be revoked cannot be; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """Of a certificate by its ``serial``, or of an ``identity``: one of both. ``serials`` are the identity's certificates,
    which those who know no identities, but read lists, are told.
    """

    since: datetime
    until: datetime
    serial: int = 0
    identity: SpiffeID | None = None
    reason: str = ""
    author: str = ""
    serials: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if (self.identity is None) == (not self.serial):
            raise InvalidRevocation("a revocation is of one serial or of one identity")
        if self.serial and not 0 < self.serial < 1 << 160:
            raise InvalidRevocation("a serial is a positive number of at most 160 bits")
        if self.until <= self.since:
            raise InvalidRevocation("a revocation ends after it begins")
        if len(self.reason) > _LONGEST:
            raise InvalidRevocation(f"a reason has at most {_LONGEST} characters")

    @property
    def name(self) -> str:
        """What it is of."""
        return str(self.identity) if self.identity is not None else f"{self.serial:x}"

    @property
    def key(self) -> str:
        """Where it is kept, below the others."""
        return (
            f"identity/{self.identity.principal}" if self.identity is not None else f"serial/{self.serial:x}"
        )


def parse_serial(text: str) -> int:
    """A serial in hexadecimal digits, as openssl prints it, with colons or without. Raises InvalidRevocation."""
    digits = text.replace(":", "").removeprefix("0x")
    try:
        serial = int(digits, 16) if len(digits) <= 40 and digits.isalnum() else 0
    except ValueError:
        serial = 0
    if not 0 < serial < 1 << 160:
        raise InvalidRevocation(
            f"{text[:64]} is no serial: write its hexadecimal digits, as `openssl x509 -noout -serial -in FILE` prints them"
        )
    return serial


def last_use(expiries: Iterable[datetime], now: datetime, lifetime: timedelta) -> datetime:
    """When nothing holds any more of what is revoked ``now``: neither certificates that are known, which end at
    ``expiries``, nor one that was issued just now, which has this ``lifetime``.
    """
    return max((now + lifetime, *expiries)) + MARGIN


def listed(revocations: Iterable[Revocation], now: datetime) -> tuple[Revoked, ...]:
    """The certificates that a CRL has to name."""
    found: dict[int, datetime] = {}
    for each in revocations:
        if now < each.until:
            for serial in (each.serial,) if each.serial else each.serials:
                found.setdefault(serial, each.since)
    return tuple(Revoked(serial, since) for serial, since in found.items())


def joined(held: Revocation | None, made: Revocation) -> Revocation:
    """What holds where something is revoked that was ``held`` to be already: the longer of both, with the certificates of
    either. What cannot be read here stays as it is.
    """
    if held is None or held.until == FOREVER:
        return held or made
    longer = held if held.until >= made.until else made
    serials = tuple(dict.fromkeys((*held.serials, *made.serials)))
    return replace(longer, since=held.since, serials=serials)


def unreadable(key: str) -> Revocation | None:
    """What a ``key`` alone says of something that cannot be read, such as a newer daemon's: it holds until it can be, or is
    taken back. None where it names nobody.
    """
    kind, _, name = key.partition("/")
    try:
        if kind == "identity":
            return Revocation(
                _EPOCH, FOREVER, identity=parse_identity(f"spiffe://{name}"), reason=_UNREADABLE
            )
        if kind == "serial":
            return Revocation(_EPOCH, FOREVER, serial=parse_serial(name), reason=_UNREADABLE)
    except (InvalidIdentity, InvalidRevocation):
        pass
    return None


def turns_told(revocations: Iterable[Revocation], turns: Mapping[str, Turn], now: datetime) -> ShutOut:
    """Who is shut out now; ``turns`` are those that are kept, by principal (empty: of everybody)."""
    identities = (each.identity for each in revocations if each.identity is not None and now < each.until)
    told = {f"spiffe://{principal}" if principal else "": turn for principal, turn in turns.items()}
    return ShutOut(frozenset(map(str, identities)), told)


def next_end(revocations: Iterable[Revocation], now: datetime) -> datetime | None:
    """When the next of them is over; None if that never comes."""
    return min((each.until for each in revocations if now < each.until), default=None)


class _Kept(BaseModel):
    """What newer daemons add does not make what is known here count for less."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    serial: str
    identity: str
    since: AwareDatetime
    until: AwareDatetime
    reason: str
    author: str
    serials: tuple[str, ...] = ()


def encode(revocation: Revocation) -> bytes:
    """As it is kept."""
    kept = _Kept(
        serial=f"{revocation.serial:x}" if revocation.serial else "",
        identity=str(revocation.identity or ""),
        since=revocation.since,
        until=revocation.until,
        reason=revocation.reason,
        author=revocation.author,
        serials=tuple(f"{serial:x}" for serial in revocation.serials),
    )
    return kept.model_dump_json().encode()


def decode(value: bytes) -> Revocation:
    """As it was kept. Raises InvalidRevocation."""
    try:
        kept = _Kept.model_validate_json(value)
        return Revocation(
            kept.since,
            kept.until,
            parse_serial(kept.serial) if kept.serial else 0,
            parse_identity(kept.identity) if kept.identity else None,
            kept.reason,
            kept.author,
            tuple(map(parse_serial, kept.serials)),
        )
    except (ValidationError, InvalidIdentity) as error:
        raise InvalidRevocation(f"what is kept of a revocation cannot be read: {error}") from None
