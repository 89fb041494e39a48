"""Which certificates were issued to whom, kept for as long as they live, so that an identity's can be revoked.

A record is written in the background, a moment after its certificate was issued, many at once: neither a storm of proxies
nor a store that is away keeps anybody waiting. A daemon that is killed in that moment leaves certificates that a CRL cannot
name; the identity itself is shut out all the same. Leases end the records.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from storage.base import LeaseNotFound, Put, StorageError, Store, prefix_end
from xdsd.ca.issuer import Svid
from xdsd.model.identity import SpiffeID

PREFIX = "/xdsd/ca/issued/"
MOST = 20_000
"""Certificates of one identity that are told; those that live longest come first."""
_AT_ONCE = 100
_WAITING = 100_000
_PAUSE = 0.1
_AWAY = 1.0
_WINDOW = 600
"""Seconds within which records share a lease."""


class Ledger:
    """``clock`` counts seconds, ``now`` is the wall clock."""

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

    def record(self, svid: Svid) -> None:
        """A certificate was issued."""
        key = f"{PREFIX}{svid.identity.principal}/{svid.certificate.serial_number:x}"
        self._waiting.append((key, svid.expires))
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

    async def of(self, identity: SpiffeID) -> tuple[int, ...]:
        """The serials of an identity's certificates that have not expired, as any daemon on the store issued them."""
        prefix = f"{PREFIX}{identity.principal}/"
        found = await self._store.range(prefix.encode(), prefix_end(prefix.encode()))
        kept = {kv.key.decode("utf-8", "replace"): _time(kv.value) for kv in found.kvs}
        kept |= {key: expires for key, expires in self._waiting if key.startswith(prefix)}
        now = self._now()
        living = [(expires, key) for key, expires in kept.items() if expires is not None and now < expires]
        return tuple(int(key.removeprefix(prefix), 16) for _, key in sorted(living, reverse=True)[:MOST])

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting[index] for index in range(min(_AT_ONCE, len(self._waiting)))]
            lease = await self._lease_for(max(expires for _, expires in batch))
            writes = [
                Put(key.encode(), expires.isoformat().encode(), lease) for key, expires in dict(batch).items()
            ]
            await self._store.txn([], writes)
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


def _time(value: bytes) -> datetime | None:
    try:
        found = datetime.fromisoformat(value.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return None
    return found if found.tzinfo is not None else None
