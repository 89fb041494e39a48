"""Which certificates were issued to whom."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog

from storage.base import Compare, Operation, Put, Store, TxnResult, Unavailable
from storage.memory import MemoryStore
from tests.ca.making import DAY, NOW, REVIEWS, issued, root
from tests.lab.eventually import eventually
from xdsd.ca.ledger import PREFIX, Issued, Ledger
from xdsd.model.identity import SpiffeID

HOUR = timedelta(hours=1)
RATINGS = SpiffeID(REVIEWS.trust_domain, "default", "ratings")
CA = root()


@asynccontextmanager
async def kept(store: Store, now: datetime = NOW) -> AsyncIterator[Ledger]:
    """A ledger that writes."""
    ledger = Ledger(store, structlog.get_logger(), asyncio.get_running_loop().time, lambda: now)
    task = asyncio.create_task(ledger.run())
    try:
        yield ledger
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def serials(ledger: Ledger, identity: SpiffeID = REVIEWS) -> tuple[int, ...]:
    """Of an identity's certificates."""
    return tuple(each.serial for each in await ledger.of(identity))


async def count(store: Store) -> int:
    """How many records there are."""
    return (await store.range(PREFIX.encode(), PREFIX.encode() + b"\xff", count_only=True)).count


async def test_every_daemon_knows_what_any_issued(any_store: Store) -> None:
    """What one daemon issued another tells, of the identity that is asked for alone."""
    async with kept(any_store) as one, kept(any_store) as other:
        for number in range(250):
            one.record(issued(CA, serial=number + 1))
        one.record(issued(CA, RATINGS, serial=999))
        assert set(await serials(one)) == set(range(1, 251))

        async def told() -> bool:
            ratings = await serials(other, RATINGS)
            return set(await serials(other)) == set(range(1, 251)) and ratings == (999,)

        await eventually(told, "the other knows")
        assert len(await any_store.leases()) == 1


async def test_what_has_expired_is_not_told(store: Store) -> None:
    """A certificate that is over needs no revocation; the one that lives longest comes first."""
    async with kept(store) as ledger:
        for serial, hours in ((1, 1), (2, 20), (3, 5)):
            ledger.record(issued(CA, serial=serial, lifetime=timedelta(hours=hours)))

        async def written() -> bool:
            return await count(store) == 3

        await eventually(written, "written")
    async with kept(store, NOW + timedelta(hours=2)) as later:
        assert await later.of(REVIEWS) == (
            Issued(REVIEWS, 2, NOW + 20 * HOUR),
            Issued(REVIEWS, 3, NOW + 5 * HOUR),
        )


class Away(MemoryStore):
    """A store that takes no writes for a while."""

    away = True

    async def txn(
        self, compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation] = ()
    ) -> TxnResult:
        if self.away:
            raise Unavailable("away")
        return await super().txn(compare, success, failure)


async def test_a_store_that_is_away_keeps_nobody_waiting() -> None:
    """Records wait for it and are known here meanwhile; none is lost."""
    store = Away()
    async with kept(store) as ledger:
        for serial in (1, 2):
            ledger.record(issued(CA, serial=serial))
        assert set(await serials(ledger)) == {1, 2}
        store.away = False

        async def written() -> bool:
            return await count(store) == 2

        await eventually(written, "written")
    await store.close()


async def test_a_lease_that_is_gone_is_replaced(store: Store) -> None:
    """Where somebody revoked the lease, the next record has another."""
    async with kept(store) as ledger:
        ledger.record(issued(CA, serial=1))

        async def written() -> bool:
            return await count(store) == 1

        await eventually(written, "written")
        for lease in await store.leases():
            await store.revoke(lease)
        ledger.record(issued(CA, serial=2, lifetime=DAY))
        await eventually(written, "written again")
        assert await serials(ledger) == (2,)


async def test_what_cannot_be_read_is_left_out(store: Store) -> None:
    """A record that is none harms no other, and is nobody's."""
    await store.put(f"{PREFIX}{REVIEWS.principal}/7".encode(), b"?")
    async with kept(store) as ledger:
        assert await ledger.of(REVIEWS) == ()
        assert await ledger.whose(7) is None


async def test_a_serial_tells_whose_it_is(any_store: Store) -> None:
    """And until when it holds, whether or not it is written; one that nobody issued, or that has expired, is nobody's."""
    async with kept(any_store) as one, kept(any_store) as other:
        one.record(issued(CA, RATINGS, serial=0x1F3A, lifetime=HOUR))
        found = Issued(RATINGS, 0x1F3A, NOW + HOUR)
        assert await one.whose(0x1F3A) == found

        async def told() -> bool:
            return await other.whose(0x1F3A) == found

        await eventually(told, "the other knows")
        assert await other.whose(0xF3A) is None
    async with kept(any_store, NOW + HOUR) as later:
        assert await later.whose(0x1F3A) is None


async def test_a_serial_is_found_among_many(store: Store) -> None:
    """Records are looked through so many at once, to the last."""
    for number in range(25):
        writes = [
            Put(
                f"{PREFIX}{RATINGS.principal}/{number * 100 + each + 1:x}".encode(),
                (NOW + DAY).isoformat().encode(),
            )
            for each in range(100)
        ]
        await store.txn([], writes)
    async with kept(store) as ledger:
        found = await asyncio.gather(*(ledger.whose(serial) for serial in (1, 1250, 2500)))
        assert [each.serial for each in found if each is not None] == [1, 1250, 2500]
        assert await ledger.whose(2501) is None


async def test_it_is_known_how_long_any_certificate_lives(store: Store) -> None:
    """Of those that other daemons issued before, and of each that is issued since."""
    async with kept(store) as ledger:
        assert await ledger.longest() is None
    expires = (NOW + 3 * DAY).isoformat().encode()
    await store.put(f"{PREFIX}{RATINGS.principal}/7".encode(), expires)
    await store.put(f"{PREFIX}{RATINGS.principal}/8".encode(), b"?")
    async with kept(store) as ledger:
        ledger.record(issued(CA, serial=1, lifetime=HOUR))
        assert await ledger.longest() == NOW + 3 * DAY
        ledger.record(issued(CA, serial=2, lifetime=5 * DAY))
        assert await ledger.longest() == NOW + 5 * DAY
