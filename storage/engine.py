"""A store made of a ledger: requests are checked, run as jobs on it, and what they recorded is published.

Where and when a job runs is the adapter's affair (``Access``): at once in memory, on threads for the
embedded store.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from storage.base import (
    Compacted,
    Compare,
    Delete,
    Event,
    FutureRevision,
    Get,
    InvalidRequest,
    KeyValue,
    Lease,
    LeaseExists,
    Operation,
    Put,
    RangeResult,
    TxnResult,
    Unavailable,
    WatchBatch,
)
from storage.leases import LeaseTimes
from storage.ledger import Ledger, Page, readable
from storage.limits import Limits, check_request, operations
from storage.spans import Span
from storage.transactions import Outcome, end_lease, execute
from storage.watching import HubWatch, WatchHub

T = TypeVar("T")


class Access(Protocol):
    """Runs jobs on a ledger, each on its own, none interleaved with another write."""

    async def read(self, job: Callable[[Ledger], T]) -> T:
        """Runs a job that only reads; it sees every write that was acknowledged before."""

    async def write(self, job: Callable[[Ledger], T], settle: Callable[[T], None]) -> T:
        """Runs a job that writes. Once it is durable calls ``settle`` on the event loop, in commit order."""

    async def close(self) -> None:
        """Finishes what was begun and refuses the rest with Unavailable; safe to call twice."""


class Engine:
    """Everything of ``storage.base.Store`` that does not depend on where the ledger is kept."""

    def __init__(
        self,
        access: Access,
        *,
        revision: int = 1,
        compacted: int = 0,
        leases: Mapping[int, int] | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        lease_tick: float = 0.5,
    ) -> None:
        self._access = access
        self._limits = limits or Limits()
        self._hub = WatchHub(revision, compacted, self._page)
        self._leases = LeaseTimes(clock, self.revoke, tick=lease_tick)
        for lease, ttl in (leases or {}).items():
            self._leases.start(lease, ttl)

    async def revision(self) -> int:
        return await self._access.read(lambda ledger: ledger.revision)

    async def get(self, key: bytes, *, revision: int = 0) -> KeyValue | None:
        Span.of(key, None)
        return await self._access.read(lambda ledger: ledger.find(key, readable(ledger, revision)))

    async def range(
        self,
        key: bytes,
        range_end: bytes | None = None,
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        count_only: bool = False,
    ) -> RangeResult:
        span = Span.of(key, range_end)

        def job(ledger: Ledger) -> RangeResult:
            at = readable(ledger, revision)
            if count_only:
                return RangeResult(ledger.revision, (), ledger.count(span, revision=at))
            kvs, count = ledger.select(span, revision=at, limit=limit, keys_only=keys_only)
            return RangeResult(ledger.revision, tuple(kvs), count, len(kvs) < count)

        return await self._access.read(job)

    async def put(self, key: bytes, value: bytes, *, lease: int = 0) -> int:
        return (await self.txn((), (Put(key, value, lease),))).revision

    async def delete(self, key: bytes, range_end: bytes | None = None) -> tuple[int, tuple[KeyValue, ...]]:
        outcome = await self._execute((), (Delete(key, range_end),), ())
        return outcome.result.revision, tuple(event.previous for event in outcome.events if event.previous)

    async def txn(
        self,
        compare: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        return (await self._execute(tuple(compare), tuple(success), tuple(failure))).result

    def watch(
        self, key: bytes, range_end: bytes | None = None, *, start_revision: int = 0, previous: bool = False
    ) -> HubWatch:
        return self._hub.watch(Span.of(key, range_end), start_revision, previous=previous)

    async def grant(self, ttl: int, lease: int = 0) -> int:
        if ttl < 1 or lease < 0:
            raise InvalidRequest(
                f"a lease needs a ttl of at least 1 second and an id above 0, not {ttl} and {lease}"
            )
        wanted = lease or secrets.randbits(62) + 1

        def job(ledger: Ledger) -> int:
            if ledger.has_lease(wanted):
                raise LeaseExists(f"lease {wanted} exists already")
            ledger.add_lease(wanted, ttl)
            return wanted

        return await self._access.write(job, lambda granted: self._leases.start(granted, ttl))

    async def keep_alive(self, lease: int) -> int:
        if self._hub.closed:
            raise Unavailable("the store is closed")
        return self._leases.renew(lease)

    async def revoke(self, lease: int) -> None:
        def settle(events: tuple[Event, ...]) -> None:
            self._leases.end(lease)
            self._publish(events)

        await self._access.write(lambda ledger: end_lease(ledger, lease), settle)

    async def time_to_live(self, lease: int) -> Lease:
        self._leases.left(lease)
        kvs = await self._access.read(lambda ledger: ledger.leased(lease))
        left = self._leases.left(lease)
        return Lease(lease, self._leases.granted(lease), left, tuple(kv.key for kv in kvs))

    async def leases(self) -> tuple[int, ...]:
        return self._leases.ids()

    async def compact(self, revision: int) -> None:
        def job(ledger: Ledger) -> int:
            if revision <= ledger.compacted:
                raise Compacted(ledger.compacted)
            if revision > ledger.revision:
                raise FutureRevision(
                    f"revision {revision} has not happened yet; the newest is {ledger.revision}"
                )
            ledger.compact(revision)
            return revision

        await self._access.write(job, self._compacted)

    async def close(self) -> None:
        self._hub.close()
        await self._leases.close()
        await self._access.close()

    async def _execute(
        self,
        compare: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation],
    ) -> Outcome:
        check_request(compare, (success, failure), self._limits)
        if all(isinstance(each, Get) for each in operations((*success, *failure))):
            return await self._access.read(lambda ledger: execute(ledger, compare, success, failure))
        return await self._access.write(
            lambda ledger: execute(ledger, compare, success, failure),
            lambda outcome: self._publish(outcome.events),
        )

    async def _page(self, span: Span, start: int, stop: int, previous: bool) -> Page:
        def job(ledger: Ledger) -> Page:
            readable(ledger, start)
            return ledger.page(span, start, stop, previous=previous)

        return await self._access.read(job)

    def _publish(self, events: tuple[Event, ...]) -> None:
        if events:
            self._hub.publish(WatchBatch(events[0].kv.mod_revision, events))

    def _compacted(self, revision: int) -> None:
        self._hub.compacted = revision
