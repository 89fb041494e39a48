"""Certificates that an identity got though it was revoked, from a daemon that the store could not tell of that.

Such a daemon writes what it issued when the store is there again. The revocation then lasts until these certificates have
expired too, lists name them, and connections end once more.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from structlog.typing import FilteringBoundLogger

from xdsd.ca.authority import Authority
from xdsd.ca.issuer import CannotIssue
from xdsd.ca.ledger import Issued
from xdsd.ca.revocations import Revocation, last_use
from xdsd.ca.revoked import Revocations
from xdsd.model.identity import SpiffeID


class Latecomers:
    """``now`` is the wall clock."""

    def __init__(
        self,
        revocations: Revocations,
        authority: Authority,
        logger: FilteringBoundLogger,
        now: Callable[[], datetime],
    ) -> None:
        self._revocations = revocations
        self._authority = authority
        self._logger = logger
        self._now = now

    async def __call__(self, issued: Sequence[Issued]) -> None:
        """These were written, to some of whom there are revocations. Raises StorageError."""
        by_identity = sorted(issued, key=lambda each: each.identity)
        for identity, found in groupby(by_identity, lambda each: each.identity):
            held = await self._revocations.kept(f"identity/{identity.principal}")
            if held is not None and self._now() < held.until:
                await self._shut_out(held, identity, tuple(found))

    async def _shut_out(self, held: Revocation, identity: SpiffeID, issued: Sequence[Issued]) -> None:
        late = [each for each in issued if each.serial not in held.serials]
        if not late:
            return
        made = Revocation(
            held.since,
            max(held.until, last_use((each.expires for each in late), held.since, timedelta(0))),
            identity=identity,
            reason=held.reason,
            author=held.author,
            serials=tuple(each.serial for each in late),
        )
        spared = await self._revocations.spared(identity)
        await self._revocations.add(made, ends=identity, spared=spared)
        self._logger.warning(
            "certificates of a revoked identity were issued before this daemon heard of it; they are revoked too",
            identity=str(identity),
            certificates=len(late),
        )
        try:
            await self._authority.revoke(made.serials)
        except CannotIssue as error:
            self._logger.warning("they are not revoked where they are signed", why=str(error))
