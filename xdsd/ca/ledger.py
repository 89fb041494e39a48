"""Which certificates were issued to whom, kept for as long as they live, so that an identity's can be revoked.

A record is written in the background, a moment after its certificate was issued, many at once: neither a storm of proxies
nor a store that is away keeps anybody waiting. A daemon that is killed in that moment leaves certificates that a CRL cannot
name; the identity itself is shut out all the same. Leases end the records. With the records it is asked whether somebody of
them was revoked meanwhile, which this daemon may not know if it was cut off.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from storage.base import (
    Compare,
    KeyValue,
    LeaseNotFound,
    Op,
    Put,
    StorageError,
    Store,
    Target,
    prefix_end,
)
from xdsd.ca.issuer import Svid
from xdsd.ca.revoked import REVOKED
from xdsd.model.identity import InvalidIdentity, SpiffeID, parse_identity

PREFIX = "/xdsd/ca/issued/"
MOST = 20_000
"""Certificates of one identity that are told; those that live longest come first."""
_AT_ONCE = 100
_PAGE = 1000
_WAITING = 100_000
_PAUSE = 0.1
_AWAY = 1.0
_WINDOW = 600
"""Seconds within which records share a lease."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was issued, until it expires."""

    identity: SpiffeID
    serial: int
    expires: datetime


class Ledger:
    """``clock`` counts seconds, ``now`` is the wall clock. ``late`` is told of certificates that are written where
    identities among theirs are revoked; it may raise StorageError, and is told again.
    """

    def __init__(
        self,
        store: Store,
        logger: FilteringBoundLogger,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._logger = logger
        self._clock = clock
        self._now = now
        self._waiting: deque[tuple[str, datetime]] = deque(maxlen=_WAITING)
        self._wake = asyncio.Event()
        self._lease = 0
        self._lease_ends = 0.0
        self._lease_closes = 0.0
        self._longest: datetime | None = None
        self._looked = False
        self.late: Callable[[Sequence[Issued]], Awaitable[None]] = _nobody

    def record(self, svid: Svid) -> None:
        """A certificate was issued."""
        key = f"{PREFIX}{svid.identity.principal}/{svid.certificate.serial_number:x}"
        self._waiting.append((key, svid.expires))
        self._longest = max(self._longest or svid.expires, svid.expires)
        self._wake.set()

    async def run(self) -> None:
        """Writes what is recorded, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_PAUSE)
            self._wake.clear()
            try:
                await self._write()
            except LeaseNotFound:
                self._lease = 0
                self._wake.set()
            except StorageError as error:
                self._logger.debug("what was issued is written later", why=str(error))
                await asyncio.sleep(_AWAY)
                self._wake.set()

    async def of(self, identity: SpiffeID) -> tuple[Issued, ...]:
        """An identity's certificates that have not expired, as any daemon on the store issued them; that which lives longest
        comes first.
        """
        prefix = f"{PREFIX}{identity.principal}/"
        found = await self._store.range(prefix.encode(), prefix_end(prefix.encode()))
        kept = {kv.key.decode("utf-8", "replace"): _time(kv.value) for kv in found.kvs}
        kept |= {key: expires for key, expires in self._waiting if key.startswith(prefix)}
        now = self._now()
        living = [(expires, key) for key, expires in kept.items() if expires is not None and now < expires]
        return tuple(
            Issued(identity, int(key.removeprefix(prefix), 16), expires)
            for expires, key in sorted(living, reverse=True)[:MOST]
        )

    async def whose(self, serial: int) -> Issued | None:
        """The certificate of this serial; None if none that is about has it."""
        end, waiting = f"/{serial:x}", dict(self._waiting)
        key = next((key for key in waiting if key.endswith(end)), "")
        if not key:
            async for kv in self._all(keys_only=True):
                if kv.key.endswith(end.encode()):
                    key = kv.key.decode("utf-8", "replace")
                    break
        expires = waiting.get(key) or await self._expiry(key)
        found = _issued(key, expires) if expires is not None else None
        return found if found is not None and self._now() < found.expires else None

    async def longest(self) -> datetime | None:
        """When the last certificate expires that is known to be issued; None if there is none. What other daemons issued is
        looked up once.
        """
        if not self._looked:
            async for kv in self._all():
                expires = _time(kv.value)
                if expires is not None:
                    self._longest = max(self._longest or expires, expires)
            self._looked = True
        return self._longest

    async def _all(self, *, keys_only: bool = False) -> AsyncIterator[KeyValue]:
        """All records, so many at once."""
        start, end = PREFIX.encode(), prefix_end(PREFIX.encode())
        while True:
            found = await self._store.range(start, end, limit=_PAGE, keys_only=keys_only)
            for kv in found.kvs:
                yield kv
            if not found.more:
                return
            start = found.kvs[-1].key + b"\0"

    async def _expiry(self, key: str) -> datetime | None:
        kept = await self._store.get(key.encode()) if key else None
        return _time(kept.value) if kept is not None else None

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting[index] for index in range(min(_AT_ONCE, len(self._waiting)))]
            lease = await self._lease_for(max(expires for _, expires in batch))
            writes = [
                Put(key.encode(), expires.isoformat().encode(), lease) for key, expires in dict(batch).items()
            ]
            owners = {key.removeprefix(PREFIX).rpartition("/")[0] for key, _ in batch}
            unrevoked = [
                Compare(f"{REVOKED}identity/{owner}".encode(), Target.VERSION, Op.EQUAL, 0)
                for owner in owners
            ]
            written = await self._store.txn(unrevoked, writes, writes)
            if not written.succeeded:
                found = (_issued(key, expires) for key, expires in batch)
                await self.late([each for each in found if each is not None])
            for _ in batch:
                self._waiting.popleft()

    async def _lease_for(self, expires: datetime) -> int:
        """One that lasts until then."""
        clock = self._clock()
        left = max((expires - self._now()).total_seconds(), 1.0)
        if not self._lease or clock >= self._lease_closes or clock + left > self._lease_ends:
            ttl = int(left) + _WINDOW
            self._lease = await self._store.grant(ttl)
            self._lease_ends, self._lease_closes = clock + ttl, clock + _WINDOW
        return self._lease


async def _nobody(_: Sequence[Issued]) -> None:
    """Nobody is told."""


def _issued(key: str, expires: datetime) -> Issued | None:
    """What a key says; None for one that is no record's."""
    principal, _, serial = key.removeprefix(PREFIX).rpartition("/")
    try:
        return Issued(parse_identity(f"spiffe://{principal}"), int(serial, 16), expires)
    except (InvalidIdentity, ValueError):
        return None


def _time(value: bytes) -> datetime | None:
    try:
        found = datetime.fromisoformat(value.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return None
    return found if found.tzinfo is not None else None
