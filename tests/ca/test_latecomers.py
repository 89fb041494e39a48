"""What a daemon issues that does not hear of a revocation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from storage.base import Compare, Operation, Store, TxnResult, Unavailable
from storage.memory import MemoryStore
from tests.ca.making import DAY, NOW, REVIEWS, issued, root
from tests.lab.eventually import eventually
from xdsd.ca.authority import Authority
from xdsd.ca.latecomers import Latecomers
from xdsd.ca.ledger import Ledger
from xdsd.ca.revocations import MARGIN, Revocation
from xdsd.ca.revoked import Revocations
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import StoredRoots
from xdsd.model.identity import SpiffeID
from xdsd.model.key_type import KeyType
from xdsd.model.shut_out import Scope, Spared

RATINGS = SpiffeID(REVIEWS.trust_domain, "default", "ratings")
HOUR = timedelta(hours=1)
CA = root()


class Cut:
    """A store as a daemon sees it that is cut off from it for a while: nothing can be read or written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = True

    def __getattr__(self, name: str) -> object:
        if self.away and name in ("txn", "get", "range", "grant"):
            raise Unavailable("away")
        return getattr(self._store, name)


@asynccontextmanager
async def daemon(store: Store) -> AsyncIterator[tuple[Ledger, Revocations]]:
    """The ledger and the revocations of one."""
    log = structlog.get_logger()
    source = StoredRoots(MemoryStore(), Sealer(b"k" * 32), REVIEWS.trust_domain, KeyType.ECDSA_P256, log)
    authority = Authority(source, REVIEWS.trust_domain, DAY, lambda: NOW)
    revocations = Revocations(store, log)
    ledger = Ledger(store, log, asyncio.get_running_loop().time, lambda: NOW)
    ledger.late = Latecomers(revocations, authority, log, lambda: NOW)
    tasks = [asyncio.create_task(job) for job in (ledger.run(), revocations.run())]
    try:
        yield ledger, revocations
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_a_daemon_issued_that_was_cut_off_is_revoked_when_it_is_back(store: Store) -> None:
    """The revocation lasts until that has expired too, names it, and ends connections once more; others are not touched."""
    cut = Cut(store)
    spared = Spared(closed=(Scope("bank"),))
    async with daemon(store) as (_, here), daemon(cut) as (ledger, there):  # type: ignore[arg-type]  # it stands for one
        await here.add(
            Revocation(NOW, NOW + HOUR, identity=REVIEWS, reason="stolen", serials=(1,)),
            ends=REVIEWS,
            spared=spared,
        )
        await here.add(Revocation(NOW - 2 * HOUR, NOW - HOUR, identity=RATINGS))
        first = here.turns[REVIEWS.principal]
        for who, serial in ((REVIEWS, 7), (REVIEWS, 8), (RATINGS, 9)):
            ledger.record(issued(CA, who, serial=serial, lifetime=DAY))
        cut.away = False

        def revoked() -> bool:
            found = here.of(REVIEWS, 0, NOW)
            return found is not None and set(found.serials) == {1, 7, 8}

        await eventually(revoked, "what was issued is revoked")
        found = here.of(REVIEWS, 0, NOW)
        assert found is not None
        assert (found.since, found.until, found.reason) == (NOW, NOW + DAY + MARGIN, "stolen")
        second = here.turns[REVIEWS.principal]
        assert (second.id != first.id, second.spared) == (True, spared)
        assert here.of(RATINGS, 9, NOW) is None
        await eventually(lambda: there.of(REVIEWS, 0, NOW) == found, "it knows itself")


class Failing(MemoryStore):
    """A store that goes away once between what is written and what is asked then."""

    broken, was_broken = False, False

    async def txn(
        self, compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation] = ()
    ) -> TxnResult:
        done = await super().txn(compare, success, failure)
        if not done.succeeded and not self.was_broken:
            self.broken = self.was_broken = True
        return done

    async def get(self, key: bytes, *, revision: int = 0):  # type: ignore[no-untyped-def]
        if self.broken:
            self.broken = False
            raise Unavailable("away")
        return await super().get(key, revision=revision)


async def test_a_store_that_goes_away_then_is_asked_again() -> None:
    """Nothing that was issued late is forgotten for that."""
    store = Failing()
    async with daemon(store) as (ledger, revocations):
        await revocations.add(Revocation(NOW, NOW + HOUR, identity=REVIEWS))
        ledger.record(issued(CA, REVIEWS, serial=7))

        def revoked() -> bool:
            found = revocations.of(REVIEWS, 0, NOW)
            return found is not None and found.serials == (7,)

        await eventually(revoked, "what was issued is revoked")
        assert store.was_broken
    await store.close()
