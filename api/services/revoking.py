"""What a revocation is of, and what its author is to be warned of."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.ca.ledger import Issued, Ledger
from xdsd.ca.revocations import InvalidRevocation, parse_serial
from xdsd.ca.tokens import InvalidToken, JoinToken
from xdsd.model.identity import SpiffeID, parse_identity

_SHOWN = 20


async def known_of(issued: Ledger, serial: int, identity: SpiffeID | None) -> tuple[Issued, ...]:
    """The certificates that a revocation is of, as far as they were issued here."""
    if identity is not None:
        return await issued.of(identity)
    found = await issued.whose(serial)
    return (found,) if found is not None else ()


def too_short(asked: timedelta, since: datetime, least: datetime) -> Iterator[str]:
    """Where a revocation that is ``asked`` for would end before ``least``, when all that it is of has expired."""
    if asked and since + asked < least:
        yield (
            f"until {(since + asked).isoformat()} would be too short: certificates may hold until {least.isoformat()}, so "
            "it is revoked until then at least; xdsctl cert restore takes it back before"
        )


def unknown(known: Collection[Issued], identity: SpiffeID | None, trust_domain: str) -> Iterator[str]:
    """Where no certificate is known of what is revoked: a mistyped name shuts nobody out."""
    if known:
        return
    if identity is None:
        yield (
            "nobody has a certificate of this serial that is known here: look at the digits; it is revoked all the same, "
            "and no connections end"
        )
    elif identity.trust_domain == trust_domain:
        yield (
            "nobody has a certificate of it that is known here: look at the name; it is revoked all the same, and no "
            "connections end but with --everywhere"
        )
    else:
        yield (
            f"certificates of {identity.trust_domain} are issued elsewhere, so it is not known here whether there are any; "
            "it is revoked all the same"
        )


def not_listed(why: str) -> Iterator[str]:
    """Where proxies are given no lists, which alone tell them of a serial."""
    if why:
        yield f"proxies go on taking it, as they are given no lists of revoked certificates: {why}; revoke its identity"


def tokens_left(tokens: Iterable[JoinToken], identity: SpiffeID | None, now: datetime) -> list[JoinToken]:
    """The join tokens of an identity that hold still."""
    return [each for each in tokens if each.identity == identity and now < each.expires and not each.used_by]


def joins_again(tokens: Collection[JoinToken]) -> Iterator[str]:
    """Where there are such tokens."""
    if tokens:
        shown = " ".join([each.id for each in tokens][:_SHOWN])
        more = f", and {len(tokens) - _SHOWN} more (xdsctl token list)" if len(tokens) > _SHOWN else ""
        yield (
            "it joins again by its join tokens once it is no longer revoked, and so does whoever stole one: "
            f"xdsctl token revoke {shown}{more}"
        )


def named(request: pb.RevokeRequest | pb.RestoreRequest) -> tuple[int, SpiffeID | None]:
    """The serial, or the identity. Raises InvalidRevocation, InvalidIdentity."""
    if bool(request.identity) == bool(request.serial):
        raise InvalidRevocation("name one SPIFFE id or one serial")
    if request.identity:
        return 0, parse_identity(request.identity)
    return parse_serial(request.serial), None


def span(seconds: int, longest: timedelta, what: str) -> timedelta:
    """So many seconds. Raises InvalidToken."""
    if not 0 <= seconds <= longest.total_seconds():
        raise InvalidToken(f"{what} lasts for at most {longest.days} days")
    return timedelta(seconds=seconds)
