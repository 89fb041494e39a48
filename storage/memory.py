"""A store in memory: the reference for tests. Nothing outlives ``close``."""

import platform
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from storage.base import Event, KeyValue, StoreStatus, Unavailable, WatchBatch
from storage.engine import Engine
from storage.ledger import Ledger, Page
from storage.limits import Limits
from storage.spans import Span

T = TypeVar("T")


class MemoryLedger:
    """Every key's versions, oldest first (a deletion has version 0), and what happened in every revision."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 0
        self._keys: list[bytes] = []
        self._versions: dict[bytes, list[KeyValue]] = {}
        self._batches: list[WatchBatch] = []
        self._leases: dict[int, int] = {}

    def find(self, key: bytes, revision: int = 0) -> KeyValue | None:
        newest = None
        for kv in self._versions.get(key, ()):
            if revision and kv.mod_revision > revision:
                break
            newest = kv
        return newest if newest is not None and newest.version else None

    def select(
        self, span: Span, *, revision: int = 0, limit: int = 0, keys_only: bool = False
    ) -> tuple[Sequence[KeyValue], int]:
        found = [kv for key in self._within(span) if (kv := self.find(key, revision)) is not None]
        chosen = found[:limit] if limit > 0 else found
        return [_without_value(kv) for kv in chosen] if keys_only else chosen, len(found)

    def count(self, span: Span, *, revision: int = 0) -> int:
        return sum(self.find(key, revision) is not None for key in self._within(span))

    @property
    def size(self) -> int:
        """Bytes of all keys and values that are kept."""
        return sum(len(kv.key) + len(kv.value) for versions in self._versions.values() for kv in versions)

    def record(self, revision: int, events: Sequence[Event]) -> None:
        self.revision = revision
        for event in events:
            key = event.kv.key
            if key not in self._versions:
                insort(self._keys, key)
                self._versions[key] = []
            self._versions[key].append(event.kv)
        if self._batches and self._batches[-1].revision == revision:
            events = self._batches.pop().events + tuple(events)
        self._batches.append(WatchBatch(revision, tuple(events)))

    def page(self, span: Span, start: int, stop: int, *, previous: bool) -> Page:
        first = bisect_left(self._batches, start, key=attrgetter("revision"))
        batches = []
        for batch in self._batches[first:]:
            if batch.revision > stop:
                break
            events = tuple(
                self._seen(event, previous=previous) for event in batch.events if event.kv.key in span
            )
            if events:
                batches.append(WatchBatch(batch.revision, events))
        return Page(tuple(batches), stop)

    def compact(self, revision: int) -> None:
        self.compacted = revision
        for key, versions in list(self._versions.items()):
            kept = _still_needed(versions, revision)
            if kept:
                self._versions[key] = kept
            else:
                del self._versions[key]
                del self._keys[bisect_left(self._keys, key)]
        self._batches = [batch for batch in self._batches if batch.revision >= revision]

    def leases(self) -> Mapping[int, int]:
        return self._leases

    def has_lease(self, lease: int) -> bool:
        return lease in self._leases

    def add_lease(self, lease: int, ttl: int) -> None:
        self._leases[lease] = ttl

    def drop_lease(self, lease: int) -> None:
        del self._leases[lease]

    def leased(self, lease: int) -> Sequence[KeyValue]:
        return [kv for key in self._keys if (kv := self.find(key)) is not None and kv.lease == lease]

    def _within(self, span: Span) -> Iterable[bytes]:
        stop = len(self._keys) if span.stop is None else bisect_left(self._keys, span.stop)
        return self._keys[bisect_left(self._keys, span.start) : stop]

    def _seen(self, event: Event, *, previous: bool) -> Event:
        if previous and event.kv.mod_revision - 1 >= self.compacted:
            return event
        return Event(event.type, event.kv)


class _Immediate:
    """Runs jobs at once, on the event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._closed = False

    async def read(self, job: Callable[[Ledger], T]) -> T:
        self._check_open()
        return job(self._ledger)

    async def write(self, job: Callable[[Ledger], T], settle: Callable[[T], None]) -> T:
        self._check_open()
        done = job(self._ledger)
        settle(done)
        return done

    async def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")


class MemoryStore(Engine):
    """The store in memory. ``clock`` counts the seconds of leases; it is looked at every ``lease_tick`` at
    least.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        lease_tick: float = 0.5,
    ) -> None:
        self._ledger = MemoryLedger()
        super().__init__(_Immediate(self._ledger), limits=limits, clock=clock, lease_tick=lease_tick)

    async def status(self) -> StoreStatus:
        ledger, size = self._ledger, self._ledger.size
        return StoreStatus("memory", platform.python_version(), ledger.revision, ledger.compacted, size, size)


def _still_needed(versions: list[KeyValue], revision: int) -> list[KeyValue]:
    """What a read at ``revision`` or later needs: an older deletion is not needed to know that nothing is
    there.
    """
    start = max((i for i, kv in enumerate(versions) if kv.mod_revision <= revision), default=0)
    if versions[start].version == 0 and versions[start].mod_revision < revision:
        start += 1
    return versions[start:]


def _without_value(kv: KeyValue) -> KeyValue:
    return KeyValue(kv.key, b"", kv.create_revision, kv.mod_revision, kv.version, kv.lease)
