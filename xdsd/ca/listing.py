"""Lists of revoked certificates at work: what proxies are given of them, and what daemons keep for each other.

A daemon whose CA is in files keeps its list in the store, also an empty one: other daemons, and itself once the files were
replaced, need it for as long as certificates of that CA are about.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from structlog.typing import FilteringBoundLogger

from storage.base import Delete, Put, StorageError, Store
from xdsd.ca.authority import Authority
from xdsd.ca.crl import make_crl
from xdsd.ca.issuer import fingerprint
from xdsd.ca.lists import Given, InvalidList, KeptList, decode, encode, given_lists, serials_of
from xdsd.ca.registers import Register
from xdsd.ca.revocations import listed
from xdsd.ca.revoked import Revocations

LISTS = "/xdsd/ca/lists/"
LISTS_HOLD = timedelta(days=3650)
_EVERY = 2.0
"""Seconds between two looks at what has changed or expired."""


class Lists(Register):
    """The lists that daemons keep for each other, by their issuers' fingerprints."""

    def __init__(self, store: Store, logger: FilteringBoundLogger) -> None:
        super().__init__(store, LISTS, logger)
        self._lists: dict[str, KeptList] = {}

    def all(self) -> list[KeptList]:
        return list(self._lists.values())

    async def keep(self, kept: KeptList, now: datetime) -> None:
        """Keeps a list unless it says what is kept already; forgets those whose certificates are gone.

        It is kept for twice as long as is needed, so that it is not written at each look.
        """
        name = fingerprint(kept.issuer)[:32]
        held = self._lists.get(name)
        fresh = held is not None and held.until >= kept.until
        kept = replace(kept, until=kept.until + (kept.until - now))
        if held is None or not fresh or serials_of(held.pem) != serials_of(kept.pem):
            value = encode(kept)
            result = await self._store.txn([], [Put((LISTS + name).encode(), value)])
            self._take(name, value, result.revision)
        for each in [each for each, one in self._lists.items() if one.until < now]:
            result = await self._store.txn([], [Delete((LISTS + each).encode())])
            self._take(each, None, result.revision)

    def _clear(self) -> None:
        self._lists.clear()

    def _put(self, name: str, value: bytes | None) -> None:
        self._lists.pop(name, None)
        if value is not None:
            try:
                self._lists[name] = decode(value)
            except InvalidList as error:
                self._logger.warning("a list of revoked certificates is refused", key=name, why=str(error))


async def _never() -> datetime | None:
    return None


class Listing:
    """``tell`` is called when proxies are to be given other lists; ``whole`` says whether they look up whole chains, and
    ``further`` which authorities of our trust domain they believe beside ours. ``longest`` says when the last certificate
    expires that was issued, as the lifetime may have been another then.
    """

    def __init__(
        self,
        authority: Authority,
        revocations: Revocations,
        lists: Lists,
        logger: FilteringBoundLogger,
        tell: Callable[[], None] = lambda: None,
        whole: Callable[[], bool] = lambda: False,
        further: Callable[[], Sequence[x509.Certificate]] = tuple,
        longest: Callable[[], Awaitable[datetime | None]] = _never,
    ) -> None:
        self._longest = longest
        self._whole = whole
        self._further = further
        self._authority = authority
        self._revocations = revocations
        self._lists = lists
        self._logger = logger
        self.tell = tell
        self._given = Given()

    def given(self) -> bytes:
        """PEM of what proxies are given; nothing while nothing is revoked."""
        before = self._given
        kept, whole = self._lists.all(), self._whole()
        self._given = lists_now(
            self._authority, self._revocations, kept, whole=whole, further=self._further()
        )
        if self._given.why and self._given.why != before.why:
            self._logger.warning(
                "proxies are given no lists of revoked certificates; identities are refused by name",
                why=self._given.why,
            )
        return self._given.pem

    def why_none(self) -> str:
        """Why proxies are given no lists though something is revoked; empty where they are given some."""
        self.given()
        return self._given.why

    async def run(self) -> None:
        """Until cancelled."""
        await self._authority.known()
        await self._lists.known()
        while True:
            changed, kept = self._revocations.next_change, self._lists.next_change
            with suppress(StorageError):  # tried again at the next look
                await self._keep()
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await changed.wait()
            if kept.is_set() or self._is_over():
                self.tell()

    def _is_over(self) -> bool:
        return self._given.until is not None and self._authority.now() >= self._given.until

    async def _keep(self) -> None:
        if not self._authority.is_alone:
            return
        now = self._authority.now()
        found = listed(self._revocations.all(), now)
        latest = now + self._authority.lifetime
        until = max(await self._longest() or latest, latest)
        for ca in self._authority.cas:
            text = make_crl(ca, found, _number(now), now, LISTS_HOLD)
            await self._lists.keep(KeptList(ca.certificate, text, until), now)


def lists_now(
    authority: Authority,
    revocations: Revocations,
    kept: list[KeptList],
    *,
    whole: bool = False,
    further: Sequence[x509.Certificate] = (),
) -> Given:
    """What proxies are to be given, ``whole`` where they look up each certificate of a chain. ``further`` authorities are
    believed beside ours: of those that somebody else has, we know no list.

    Lists hold for long: a proxy that we cannot reach must not stop believing its peers because its list is old.
    """
    now = authority.now()
    revoked = listed(revocations.all(), now)
    ours = {ca.certificate for ca in authority.cas}
    others = [each for each in kept if now < each.until and each.issuer not in ours]
    elsewhere = (*authority.lists, *(each.pem for each in others))
    if not revoked and not any(map(serials_of, elsewhere)):
        return Given()
    own = authority.crls(revoked, _number(now), LISTS_HOLD)
    roots = (*(authority.roots if whole else ()), *further)
    issuers = (*authority.issuers, *(each.issuer for each in others), *roots)
    return given_lists(issuers, (*own, *elsewhere), now)


def _number(now: datetime) -> int:
    return int(now.timestamp() * 1000)
