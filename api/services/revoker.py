"""Revoking somebody, from what was asked to what is kept and told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from api.access.caller import Right, current
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services.ending import Ending, Endings, Judge, ending
from api.services.joined import Joined
from api.services.revoking import (
    joins_again,
    known_of,
    named,
    not_listed,
    span,
    tokens_left,
    too_short,
    unknown,
)
from xdsd.ca.ledger import MOST, Issued
from xdsd.ca.revocations import InvalidRevocation, Revocation, last_use
from xdsd.ca.tokens import JoinToken
from xdsd.model.identity import SpiffeID
from xdsd.model.shut_out import Spared

LONGEST_REVOCATION = timedelta(days=3660)
MOST_OF_A_NAMESPACE = 1_000
"""Identities of a namespace that its own admins may have revoked at a time: all proxies are told of each."""


class Revoker:
    """``endings`` counts how often connections ended for admins of a namespace."""

    def __init__(self, joined: Joined, judge: Judge, endings: Endings) -> None:
        self._joined = joined
        self._judge = judge
        self._endings = endings

    async def revoke(self, request: pb.RevokeRequest, now: datetime) -> tuple[Revocation, Sequence[str]]:
        """What is kept, and what the author is warned of. Raises InvalidRevocation, InvalidIdentity, InvalidToken, and
        CannotIssue where who signs elsewhere cannot be told.
        """
        joined, (serial, identity), since = self._joined, named(request), now.replace(microsecond=0)
        self._check(request, identity, since)
        asked = span(request.ttl_seconds, LONGEST_REVOCATION, "a revocation")
        known = await known_of(joined.issued, serial, identity)
        left = tokens_left(joined.tokens.all(), identity, since)
        found = await self._ending(request, identity, known, left, since)
        least = last_use((each.expires for each in known), since, joined.authority.lifetime)
        until, serials = max(least, since + asked), tuple(each.serial for each in known)
        named_too = serials if identity is not None else ()
        made = Revocation(since, until, serial, identity, request.reason, current().name, named_too)
        kept = await joined.revocations.add(made, ends=found.ends, spared=found.spared)
        if identity is not None:
            kept = await self._complete(kept, None if request.keep_connections else identity, found.spared)
        await joined.authority.revoke((serial,) if serial else kept.serials)
        warnings = (
            *too_short(asked, since, least),
            *unknown(known, identity, joined.authority.trust_domain),
            *(not_listed(joined.unlisted()) if identity is None else ()),
            *joins_again(left),
            *([found.warning] if found.warning else ()),
        )
        return kept, warnings

    def _check(self, request: pb.RevokeRequest, identity: SpiffeID | None, now: datetime) -> None:
        if identity == self._joined.server:
            raise InvalidRevocation(f"{identity} is the daemon's own; without it nobody is served")
        if request.everywhere and request.keep_connections:
            raise InvalidRevocation("connections end everywhere, or are kept: say one of both")
        if identity is None or current().may(Right.ACCESS):
            return
        group = (identity.trust_domain, identity.namespace)
        living = (each.identity for each in self._joined.revocations.all() if now < each.until)
        held = {each for each in living if each and (each.trust_domain, each.namespace) == group}
        if identity not in held and len(held) >= MOST_OF_A_NAMESPACE:
            raise InvalidRevocation(
                f"{len(held)} identities of namespace {identity.namespace} are revoked already; restore some, or let an "
                "admin of all namespaces revoke more"
            )

    async def _ending(
        self,
        request: pb.RevokeRequest,
        identity: SpiffeID | None,
        known: Sequence[Issued],
        left: Sequence[JoinToken],
        now: datetime,
    ) -> Ending:
        """Whose connections end: of nobody who cannot have any."""
        ends = identity or next((each.identity for each in known), None)
        ours = identity is not None and identity.trust_domain == self._joined.authority.trust_domain
        if ends is None or request.keep_connections or (ours and not (known or left or request.everywhere)):
            return Ending()
        namespace = ends.namespace

        def may() -> bool:
            return current().may(Right.ACCESS) or self._endings.take(namespace, now)

        return await ending(ends, self._judge, everywhere=request.everywhere, may=may)

    async def _complete(self, kept: Revocation, ends: SpiffeID | None, spared: Spared) -> Revocation:
        """With what was issued to the identity while it was revoked."""
        found = await self._joined.issued.of(kept.identity) if kept.identity is not None else ()
        late = [each for each in found if each.serial not in kept.serials]
        if not late or len(kept.serials) >= MOST:
            return kept
        until = last_use((each.expires for each in late), kept.since, timedelta(0))
        made = replace(kept, until=max(kept.until, until), serials=tuple(each.serial for each in late))
        return await self._joined.revocations.add(made, ends=ends, spared=spared)
