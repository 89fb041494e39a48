"""The contract of ``storage.base``, as tests that any store runs.

A subclass says how its store is made, with a fixture ``maker``; everything else is told by the contract alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from storage.base import (
    Compacted,
    Compare,
    Delete,
    Event,
    EventType,
    FutureRevision,
    Get,
    InvalidRequest,
    KeyNotFound,
    KeyValue,
    LeaseNotFound,
    Op,
    Operation,
    Put,
    RangeResult,
    Store,
    Target,
    Txn,
    TxnResult,
    Unavailable,
    Watch,
    WatchBatch,
    prefix_end,
)

DEADLINE = 60.0
ALL = b"\0"
ABSENT = 987_654_321


@dataclass(frozen=True, slots=True)
class StoreMaker:
    """``open`` makes an empty store; ``elapse`` lets so many seconds of its time pass."""

    open: Callable[[], Awaitable[Store]]
    elapse: Callable[[float], Awaitable[None]]


async def take(watch: Watch, count: int) -> list[WatchBatch]:
    """The next ``count`` batches of a watch, within the deadline."""
    batches: list[WatchBatch] = []
    async with asyncio.timeout(DEADLINE):
        async for batch in watch:
            batches.append(batch)
            if len(batches) == count:
                return batches
    raise AssertionError(f"the watch ended after {len(batches)} of {count} batches")


async def take_through(watch: Watch, revision: int) -> list[WatchBatch]:
    """The batches of a watch up to the one of ``revision``, within the deadline."""
    batches: list[WatchBatch] = []
    async with asyncio.timeout(DEADLINE):
        async for batch in watch:
            batches.append(batch)
            if batch.revision >= revision:
                return batches
    raise AssertionError(f"the watch ended before revision {revision}")


def keys(kvs: Sequence[KeyValue]) -> list[bytes]:
    """Their keys, in order."""
    return [kv.key for kv in kvs]


def put_event(key: bytes, value: bytes, *, create: int, mod: int, version: int = 1) -> Event:
    """What a watch without ``previous`` says of a write."""
    return Event(EventType.PUT, KeyValue(key, value, create, mod, version))


class StoreContract:
    """The suite."""

    @pytest.fixture
    async def store(self, maker: StoreMaker) -> AsyncIterator[Store]:
        store = await maker.open()
        yield store
        await store.close()


class RevisionContract(StoreContract):
    """Writes, revisions and reads."""

    async def test_empty_store_has_revision_1(self, store: Store) -> None:
        """An empty store has revision 1, holds nothing, and says so."""
        assert await store.revision() == 1
        assert await store.get(b"a") is None
        assert await store.range(ALL, ALL) == RangeResult(1, (), 0)

    async def test_every_put_raises_the_revision_by_one(self, store: Store) -> None:
        """Every put raises the revision by one and returns it, also of the same value again."""
        assert [await store.put(b"a", b"1"), await store.put(b"b", b"2"), await store.put(b"a", b"1")] == [
            2,
            3,
            4,
        ]
        assert await store.revision() == 4

    async def test_key_remembers_its_revisions(self, store: Store) -> None:
        """A key remembers what created it, what wrote it last, and how often it was written since."""
        await store.put(b"a", b"1")
        await store.put(b"b", b"x")
        await store.put(b"a", b"2")
        assert await store.get(b"a") == KeyValue(b"a", b"2", 2, 4, 2)

    async def test_deleted_key_begins_anew(self, store: Store) -> None:
        """A key that was deleted and is written again is a new key of version 1."""
        await store.put(b"a", b"1")
        assert await store.delete(b"a") == (3, (KeyValue(b"a", b"1", 2, 2, 1),))
        assert await store.get(b"a") is None
        await store.put(b"a", b"2")
        assert await store.get(b"a") == KeyValue(b"a", b"2", 4, 4, 1)

    async def test_deleting_nothing_leaves_the_revision(self, store: Store) -> None:
        """Deleting what is not there changes nothing, not even the revision."""
        await store.put(b"a", b"1")
        assert await store.delete(b"b") == (2, ())
        assert await store.delete(b"b", b"z") == (2, ())
        assert await store.revision() == 2

    async def test_deleting_a_range_is_one_revision(self, store: Store) -> None:
        """A range is removed in one revision, and what was removed is returned in byte order."""
        for key in (b"c", b"a", b"b", b"d"):
            await store.put(key, b"v")
        revision, removed = await store.delete(b"a", b"c")
        assert (revision, keys(removed)) == (6, [b"a", b"b"])
        assert keys((await store.range(ALL, ALL)).kvs) == [b"c", b"d"]

    async def test_empty_value_is_a_value(self, store: Store) -> None:
        """A key may hold the empty value, and every byte is kept."""
        await store.put(b"empty", b"")
        await store.put(b"bytes", bytes(range(256)))
        assert await store.get(b"empty") == KeyValue(b"empty", b"", 2, 2, 1)
        assert (await store.range(b"bytes")).kvs[0].value == bytes(range(256))

    async def test_ranges_are_half_open_in_byte_order(self, store: Store) -> None:
        """A range holds its start, not its end, in the order of bytes."""
        for key in (b"b", b"a\xff", b"a", b"a\0", b"\xff", b"c", b"\0"):
            await store.put(key, b"v")
        assert keys((await store.range(b"a", b"c")).kvs) == [b"a", b"a\0", b"a\xff", b"b"]
        assert keys((await store.range(b"a")).kvs) == [b"a"]
        assert keys((await store.range(ALL, ALL)).kvs) == [b"\0", b"a", b"a\0", b"a\xff", b"b", b"c", b"\xff"]
        assert keys((await store.range(b"b", ALL)).kvs) == [b"b", b"c", b"\xff"]

    async def test_range_that_ends_before_it_starts_is_empty(self, store: Store) -> None:
        """A range whose end is not after its start holds nothing."""
        await store.put(b"b", b"v")
        assert (await store.range(b"b", b"b")).kvs == ()
        assert (await store.range(b"c", b"a")).kvs == ()

    async def test_prefix_end_bounds_a_prefix(self, store: Store) -> None:
        """The range from a prefix to its ``prefix_end`` holds exactly the keys that begin with it."""
        for key in (b"p", b"p/", b"p/1", b"p/\xff\xff", b"p0", b"\xff\xff1", b"\xff\xfe"):
            await store.put(key, b"v")
        assert keys((await store.range(b"p/", prefix_end(b"p/"))).kvs) == [b"p/", b"p/1", b"p/\xff\xff"]
        assert keys((await store.range(b"\xff\xff", prefix_end(b"\xff\xff"))).kvs) == [b"\xff\xff1"]

    async def test_limit_cuts_and_count_counts_all(self, store: Store) -> None:
        """A limit cuts the keys, says that there are more, and leaves the count."""
        for number in range(5):
            await store.put(b"k%d" % number, b"v")
        cut = await store.range(b"k", b"l", limit=2)
        assert (keys(cut.kvs), cut.count, cut.more) == ([b"k0", b"k1"], 5, True)
        whole = await store.range(b"k", b"l", limit=5)
        assert (len(whole.kvs), whole.count, whole.more) == (5, 5, False)
        old = await store.range(b"k", b"l", limit=1, revision=4)
        assert (keys(old.kvs), old.count, old.more) == ([b"k0"], 3, True)

    async def test_keys_only_leaves_values_out(self, store: Store) -> None:
        """``keys_only`` tells everything of a key but its value."""
        await store.put(b"a", b"1")
        await store.put(b"a", b"2")
        assert (await store.range(ALL, ALL, keys_only=True)).kvs == (KeyValue(b"a", b"", 2, 3, 2),)

    async def test_reads_of_the_past(self, store: Store) -> None:
        """A read at a revision sees the keys as they were then, and tells the newest revision."""
        await store.put(b"a", b"1")
        await store.put(b"b", b"1")
        await store.put(b"a", b"2")
        await store.delete(b"a")
        assert await store.get(b"a", revision=3) == KeyValue(b"a", b"1", 2, 2, 1)
        assert await store.get(b"a", revision=4) == KeyValue(b"a", b"2", 2, 4, 2)
        assert await store.get(b"a", revision=5) is None
        past = await store.range(ALL, ALL, revision=2)
        assert (past.revision, keys(past.kvs), past.count) == (5, [b"a"], 1)
        assert (await store.range(ALL, ALL, revision=1)).kvs == ()

    async def test_the_future_is_not_read(self, store: Store) -> None:
        """A read at a revision that has not happened raises FutureRevision."""
        with pytest.raises(FutureRevision):
            await store.get(b"a", revision=2)
        with pytest.raises(FutureRevision):
            await store.range(ALL, ALL, revision=9)

    async def test_empty_keys_are_refused(self, store: Store) -> None:
        """No request takes an empty key, and none of them has an effect."""
        with pytest.raises(InvalidRequest):
            await store.put(b"", b"v")
        with pytest.raises(InvalidRequest):
            await store.get(b"")
        with pytest.raises(InvalidRequest):
            await store.range(b"", ALL)
        with pytest.raises(InvalidRequest):
            await store.delete(b"")
        with pytest.raises(InvalidRequest):
            await store.txn([Compare(b"", Target.MOD, Op.EQUAL, 0)], [Put(b"a", b"1")])
        with pytest.raises(InvalidRequest):
            await store.txn([], [Put(b"a", b"1"), Put(b"", b"1")])
        assert await store.revision() == 1

    async def test_value_over_the_limit_is_refused(self, store: Store) -> None:
        """A value of a megabyte is kept; one of 16 MiB is refused and leaves nothing behind."""
        await store.put(b"large", b"x" * 1_000_000)
        with pytest.raises(InvalidRequest):
            await store.put(b"a", b"x" * 16_777_216)
        large = await store.get(b"large")
        assert large is not None
        assert large.value == b"x" * 1_000_000
        assert await store.get(b"a") is None
        assert await store.revision() == 2

    async def test_many_keys(self, store: Store) -> None:
        """Thousands of keys written at once by many callers are all there, each at its own revision."""
        revisions = await asyncio.gather(*(store.put(b"k%04d" % number, b"v") for number in range(2000)))
        assert sorted(revisions) == list(range(2, 2002))
        everything = await store.range(b"k", b"l")
        assert keys(everything.kvs) == [b"k%04d" % number for number in range(2000)]
        assert [kv.mod_revision for kv in everything.kvs] == list(revisions)

    async def test_closed_store_is_unavailable(self, maker: StoreMaker) -> None:
        """A store may be closed twice; after that its calls raise Unavailable."""
        store = await maker.open()
        await store.put(b"a", b"1")
        await store.close()
        await store.close()
        with pytest.raises(Unavailable):
            await store.get(b"a")
        with pytest.raises(Unavailable):
            await store.put(b"a", b"2")
        with pytest.raises(Unavailable):
            await store.keep_alive(1)


class TransactionContract(StoreContract):
    """Compare, then write all or nothing."""

    async def test_success_branch_is_one_revision(self, store: Store) -> None:
        """All writes of a transaction are one revision, and one batch of a watch, in the order written."""
        await store.put(b"c", b"old")
        watch = store.watch(ALL, ALL)
        result = await store.txn(
            [Compare(b"c", Target.VALUE, Op.EQUAL, b"old")],
            [Put(b"b", b"1"), Delete(b"c"), Put(b"a", b"2")],
            [Put(b"never", b"1")],
        )
        assert (result.succeeded, result.revision) == (True, 3)
        (batch,) = await take(watch, 1)
        assert batch == WatchBatch(
            3,
            (
                put_event(b"b", b"1", create=3, mod=3),
                Event(EventType.DELETE, KeyValue(b"c", b"", 0, 3, 0)),
                put_event(b"a", b"2", create=3, mod=3),
            ),
        )
        assert keys((await store.range(ALL, ALL)).kvs) == [b"a", b"b"]

    async def test_failure_branch(self, store: Store) -> None:
        """If one comparison fails, all of the other branch is done."""
        await store.put(b"a", b"1")
        result = await store.txn(
            [Compare(b"a", Target.VERSION, Op.EQUAL, 1), Compare(b"a", Target.VERSION, Op.EQUAL, 2)],
            [Put(b"a", b"yes")],
            [Put(b"a", b"no"), Get(b"a")],
        )
        assert (result.succeeded, result.revision) == (False, 3)
        now = await store.get(b"a")
        assert now == KeyValue(b"a", b"no", 2, 3, 2)
        assert isinstance(result.responses[1], RangeResult)
        assert result.responses[1].kvs == (now,)

    async def test_responses_tell_what_was_replaced(self, store: Store) -> None:
        """A Put or Delete answers with what was there before, a Get with what it found."""
        await store.put(b"a", b"1")
        await store.put(b"b", b"2")
        result = await store.txn([], [Put(b"a", b"3"), Put(b"new", b"4"), Delete(b"b", b"c"), Delete(b"x")])
        assert result.responses == (
            (KeyValue(b"a", b"1", 2, 2, 1),),
            (),
            (KeyValue(b"b", b"2", 3, 3, 1),),
            (),
        )

    async def test_get_sees_the_writes_before_it(self, store: Store) -> None:
        """Inside a transaction a Get sees what was written before it, not what comes after."""
        result = await store.txn(
            [], [Get(b"a"), Put(b"a", b"1"), Get(b"a"), Put(b"b", b"1"), Get(ALL, ALL, limit=1)]
        )
        before, _, after, _, cut = result.responses
        assert isinstance(before, RangeResult)
        assert isinstance(after, RangeResult)
        assert isinstance(cut, RangeResult)
        assert (before.kvs, after.kvs) == ((), (KeyValue(b"a", b"1", 2, 2, 1),))
        assert (keys(cut.kvs), cut.count, cut.more) == ([b"a"], 2, True)

    async def test_transaction_without_writes_keeps_the_revision(self, store: Store) -> None:
        """A transaction that reads, or deletes nothing, or has no operation, leaves the revision."""
        await store.put(b"a", b"1")
        assert (await store.txn([], [Get(b"a")])).revision == 2
        assert (await store.txn([], [Delete(b"b")])).revision == 2
        assert (await store.txn([Compare(b"a", Target.MOD, Op.EQUAL, 9)], [Put(b"a", b"2")])).revision == 2
        assert await store.revision() == 2

    @pytest.mark.parametrize(
        ("target", "value"),
        [(Target.VERSION, 2), (Target.CREATE, 3), (Target.MOD, 4), (Target.LEASE, 0), (Target.VALUE, b"m")],
    )
    async def test_comparisons(self, store: Store, target: Target, value: int | bytes) -> None:
        """Each target compares with each operator as numbers, and as bytes, do."""
        await store.put(b"x", b"")
        await store.put(b"a", b"first")
        await store.put(b"a", b"m")
        below: int | bytes = value - 1 if isinstance(value, int) else b"l"
        above: int | bytes = value + 1 if isinstance(value, int) else b"ma"
        expected = {
            Op.EQUAL: (False, True, False),
            Op.NOT_EQUAL: (True, False, True),
            Op.GREATER: (True, False, False),
            Op.LESS: (False, False, True),
        }
        for op, answers in expected.items():
            results = [
                await store.txn([Compare(b"a", target, op, other)], []) for other in (below, value, above)
            ]
            assert tuple(result.succeeded for result in results) == answers, op

    async def test_missing_key_compares_as_zero(self, store: Store) -> None:
        """A missing key has 0 of every number, and no value: comparing it fails whatever the operator."""
        for target in (Target.VERSION, Target.CREATE, Target.MOD, Target.LEASE):
            assert (await store.txn([Compare(b"a", target, Op.EQUAL, 0)], [])).succeeded, target
            assert not (await store.txn([Compare(b"a", target, Op.GREATER, 0)], [])).succeeded, target
        for op in Op:
            assert not (await store.txn([Compare(b"a", Target.VALUE, op, b"")], [])).succeeded, op

    async def test_range_comparison_asks_every_key(self, store: Store) -> None:
        """A comparison of a range holds if every key does; an empty range is one missing key."""
        await store.put(b"a1", b"v")
        await store.put(b"a2", b"v")
        await store.put(b"b", b"w")
        assert (await store.txn([Compare(b"a", Target.VALUE, Op.EQUAL, b"v", b"b")], [])).succeeded
        assert not (await store.txn([Compare(b"a", Target.VALUE, Op.EQUAL, b"v", ALL)], [])).succeeded
        assert (await store.txn([Compare(b"x", Target.VERSION, Op.EQUAL, 0, b"z")], [])).succeeded
        assert not (await store.txn([Compare(b"x", Target.VALUE, Op.EQUAL, b"v", b"z")], [])).succeeded

    @pytest.mark.parametrize(
        "operations",
        [
            [Put(b"a", b"1"), Put(b"a", b"2")],
            [Put(b"a", b"1"), Delete(b"a")],
            [Delete(b"a", b"c"), Put(b"b", b"1")],
            [Put(b"z", b"1"), Delete(b"a", ALL)],
        ],
    )
    async def test_no_key_is_written_twice(self, store: Store, operations: list[Put | Delete | Get]) -> None:
        """A transaction that writes a key twice, in the branch that runs or not, is refused as a whole."""
        with pytest.raises(InvalidRequest):
            await store.txn([], operations)
        with pytest.raises(InvalidRequest):
            await store.txn([], [Put(b"other", b"1")], operations)
        assert await store.revision() == 1

    async def test_branches_may_write_the_same_key(self, store: Store) -> None:
        """The same key in both branches is fine, since one of them runs."""
        assert (await store.txn([], [Put(b"a", b"1")], [Put(b"a", b"2")])).succeeded

    async def test_compare_and_swap_loses_nothing(self, store: Store) -> None:
        """Of many callers that read, add one and swap, none overwrites another."""
        await store.put(b"counter", b"0")

        async def add() -> None:
            for _ in range(5):
                swapped = False
                while not swapped:
                    kv = await store.get(b"counter")
                    assert kv is not None
                    compare = Compare(b"counter", Target.MOD, Op.EQUAL, kv.mod_revision)
                    swapped = (
                        await store.txn([compare], [Put(b"counter", b"%d" % (int(kv.value) + 1))])
                    ).succeeded

        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(add() for _ in range(8)))
        final = await store.get(b"counter")
        assert final is not None
        assert (final.value, final.version) == (b"40", 41)

    async def test_refused_transaction_leaves_nothing(self, store: Store) -> None:
        """A transaction that names a lease that is not there writes none of its keys."""
        with pytest.raises(LeaseNotFound):
            await store.txn([], [Put(b"a", b"1"), Put(b"b", b"2", lease=ABSENT)])
        assert await store.range(ALL, ALL) == RangeResult(1, (), 0)


class WatchContract(StoreContract):
    """Replay, then follow, without gap or duplicate."""

    async def test_watch_from_now_on(self, store: Store) -> None:
        """A watch without a start sees all that is written after the call, even before it is read."""
        await store.put(b"a", b"before")
        watch = store.watch(ALL, ALL)
        await store.put(b"a", b"after")
        await store.put(b"b", b"later")
        assert await take(watch, 2) == [
            WatchBatch(3, (put_event(b"a", b"after", create=2, mod=3, version=2),)),
            WatchBatch(4, (put_event(b"b", b"later", create=4, mod=4),)),
        ]

    async def test_watch_replays_then_follows(self, store: Store) -> None:
        """A watch from a revision sees it and everything since, then what comes."""
        for number in range(4):
            await store.put(b"k%d" % number, b"v")
        watch = store.watch(ALL, ALL, start_revision=3)
        assert [batch.revision for batch in await take(watch, 3)] == [3, 4, 5]
        await store.put(b"new", b"v")
        assert [batch.revision for batch in await take(watch, 1)] == [6]

    async def test_watch_from_the_future_waits_for_it(self, store: Store) -> None:
        """A watch from a revision that has not happened sees nothing before it."""
        watch = store.watch(ALL, ALL, start_revision=4)
        for number in range(4):
            await store.put(b"k%d" % number, b"v")
        assert [batch.revision for batch in await take(watch, 2)] == [4, 5]

    async def test_watch_sees_its_keys_alone(self, store: Store) -> None:
        """A watch of one key or a range sees of a revision what is in it, and skips revisions that are not."""
        one, some = store.watch(b"b", start_revision=1), store.watch(b"b", b"d", start_revision=1)
        await store.put(b"a", b"1")
        await store.txn([], [Put(b"a", b"2"), Put(b"b", b"2"), Put(b"c", b"2"), Put(b"d", b"2")])
        await store.put(b"d", b"3")
        await store.put(b"b", b"4")
        assert [batch.revision for batch in await take(one, 2)] == [3, 5]
        seen = await take(some, 2)
        assert [(batch.revision, [event.kv.key for event in batch.events]) for batch in seen] == [
            (3, [b"b", b"c"]),
            (5, [b"b"]),
        ]

    @pytest.mark.parametrize("replayed", [False, True])
    async def test_previous(self, store: Store, *, replayed: bool) -> None:
        """With ``previous`` an event tells what was there, live and replayed alike; without, it does not."""
        told = None if replayed else store.watch(b"a", previous=True)
        await store.put(b"a", b"1")
        await store.put(b"a", b"2")
        await store.delete(b"a")
        await store.put(b"a", b"3")
        first, second = KeyValue(b"a", b"1", 2, 2, 1), KeyValue(b"a", b"2", 2, 3, 2)
        batches = await take(told or store.watch(b"a", start_revision=1, previous=True), 4)
        assert [batch.events for batch in batches] == [
            (Event(EventType.PUT, first),),
            (Event(EventType.PUT, second, first),),
            (Event(EventType.DELETE, KeyValue(b"a", b"", 0, 4, 0), second),),
            (Event(EventType.PUT, KeyValue(b"a", b"3", 5, 5, 1)),),
        ]
        plain = await take(store.watch(b"a", start_revision=1), 4)
        assert all(event.previous is None for batch in plain for event in batch.events)

    async def test_no_gap_and_no_duplicate_under_writers(self, store: Store) -> None:
        """Watches opened anywhere while many write see every revision once, in order, as all others do."""

        async def write(writer: int) -> None:
            for number in range(40):
                await store.txn(
                    [], [Put(b"w%d/%d" % (writer, number % 7), b"v"), Put(b"all", b"%d" % number)]
                )

        async def follow(start: int) -> list[WatchBatch]:
            return await take_through(store.watch(ALL, ALL, start_revision=start), 241)

        async with asyncio.TaskGroup() as tasks:
            follows = [tasks.create_task(follow(1))]
            writers = [tasks.create_task(write(writer)) for writer in range(6)]
            for start in (1, 2, 50, 120, 241):
                await store.revision()
                follows.append(tasks.create_task(follow(start)))
        assert all(writer.done() for writer in writers)
        everything = follows[0].result()
        assert [batch.revision for batch in everything] == list(range(2, 242))
        assert all(len(batch.events) == 2 for batch in everything)
        for start, task in zip((1, 1, 2, 50, 120, 241), follows, strict=True):
            assert task.result() == [batch for batch in everything if batch.revision >= start]

    async def test_watch_that_nobody_reads_misses_nothing(self, store: Store) -> None:
        """A watch that is read only after thousands of writes sees them all."""
        watch = store.watch(b"k", prefix_end(b"k"))
        for first in range(0, 6000, 500):
            await asyncio.gather(
                *(store.put(b"k%d" % (number % 50), b"v") for number in range(first, first + 500))
            )
        assert [batch.revision for batch in await take(watch, 6000)] == list(range(2, 6002))

    async def test_closed_watch_ends(self, store: Store) -> None:
        """Closing a watch, once or twice, ends its iteration, also while it waits."""
        watch = store.watch(ALL, ALL)

        async def drain() -> list[WatchBatch]:
            return [batch async for batch in watch]

        async with asyncio.timeout(DEADLINE):
            task = asyncio.ensure_future(drain())
            await store.put(b"a", b"1")
            await watch.close()
            await watch.close()
            assert len(await task) <= 1
            assert [batch async for batch in watch] == []

    async def test_closing_the_store_ends_watches(self, maker: StoreMaker) -> None:
        """Closing the store ends the watches that wait."""
        store = await maker.open()
        watches = [store.watch(ALL, ALL), store.watch(b"a", start_revision=1)]

        async def drain(watch: Watch) -> list[WatchBatch]:
            return [batch async for batch in watch]

        async with asyncio.timeout(DEADLINE):
            tasks = [asyncio.ensure_future(drain(watch)) for watch in watches]
            await store.put(b"x", b"1")
            await store.close()
            _, seen = await asyncio.gather(*tasks)
        assert seen == []


class NestingContract(StoreContract):
    """What clients of etcd's API may ask of a transaction and of a read."""

    async def test_inner_transaction_is_part_of_the_revision(self, store: Store) -> None:
        """What inner transactions write is of the same revision, in order; each answers for itself."""
        await store.put(b"a", b"1")
        watch = store.watch(ALL, ALL)
        exists = Compare(b"a", Target.VERSION, Op.GREATER, 0)
        inner = Txn((exists,), (Put(b"b", b"2"), Get(b"b")), (Put(b"c", b"3"),))
        result = await store.txn([], [Put(b"a", b"2"), inner, Delete(b"x", b"z")])
        assert (result.succeeded, result.revision) == (True, 3)
        replaced, answer, removed = result.responses
        assert replaced == (KeyValue(b"a", b"1", 2, 2, 1),)
        assert isinstance(answer, TxnResult)
        assert answer.succeeded
        assert answer.responses == ((), RangeResult(3, (KeyValue(b"b", b"2", 3, 3, 1),), 1))
        assert removed == ()
        (batch,) = await take(watch, 1)
        assert [event.kv.key for event in batch.events] == [b"a", b"b"]

    async def test_inner_comparisons_look_at_what_was_before(self, store: Store) -> None:
        """An inner transaction chooses its way by what was there before the outer one wrote anything."""
        missing = Compare(b"a", Target.VERSION, Op.EQUAL, 0)
        inner = Txn((missing,), (Put(b"b", b"was missing"),), (Put(b"b", b"was there"),))
        await store.txn([], [Put(b"a", b"1"), inner])
        found = await store.get(b"b")
        assert found is not None
        assert found.value == b"was missing"

    @pytest.mark.parametrize(
        "operations",
        [
            [Put(b"a", b"1"), Txn((), (Put(b"a", b"2"),))],
            [Txn((), (Put(b"a", b"1"),)), Txn((), (), (Put(b"a", b"2"),))],
            [Delete(b"a", b"c"), Txn((), (Put(b"b", b"1"),))],
        ],
    )
    async def test_no_key_is_written_twice_at_any_depth(
        self, store: Store, operations: list[Operation]
    ) -> None:
        """A key is written once, wherever in the transaction."""
        with pytest.raises(InvalidRequest):
            await store.txn([], operations)
        assert await store.revision() == 1

    async def test_ways_of_an_inner_transaction_may_write_the_same(self, store: Store) -> None:
        """Only one way of an inner transaction is gone, so both may write a key."""
        assert (await store.txn([], [Txn((), (Put(b"a", b"1"),), (Put(b"a", b"2"),))])).revision == 2

    async def test_many_operations_are_one_revision(self, store: Store) -> None:
        """A transaction of thousands of operations is one revision, answered operation by operation."""
        puts = [Put(b"%05d" % number, b"v") for number in range(1000)]
        result = await store.txn([], [*puts, Get(b"00999")])
        assert (result.revision, len(result.responses)) == (2, 1001)
        assert result.responses[-1] == RangeResult(2, (KeyValue(b"00999", b"v", 2, 2, 1),), 1)
        assert (await store.range(ALL, ALL, count_only=True)).count == 1000

    async def test_value_is_kept(self, store: Store) -> None:
        """A put may keep the value that a key has, and change its lease."""
        lease = await store.grant(600)
        await store.put(b"a", b"1")
        await store.txn([], [Put(b"a", b"", lease, ignore_value=True)])
        assert await store.get(b"a") == KeyValue(b"a", b"1", 2, 3, 2, lease)

    async def test_lease_is_kept(self, store: Store) -> None:
        """A put may keep the lease that a key has, and change its value."""
        lease = await store.grant(600)
        await store.put(b"a", b"1", lease=lease)
        await store.txn([], [Put(b"a", b"2", ignore_lease=True)])
        assert await store.get(b"a") == KeyValue(b"a", b"2", 2, 3, 2, lease)

    async def test_nothing_is_kept_of_a_missing_key(self, store: Store) -> None:
        """A put that keeps something needs a key that is there, and does nothing otherwise."""
        for put in (Put(b"a", b"", ignore_value=True), Put(b"a", b"1", ignore_lease=True)):
            with pytest.raises(KeyNotFound):
                await store.txn([], [Put(b"b", b"1"), put])
        assert await store.revision() == 1

    async def test_what_is_kept_is_not_given(self, store: Store) -> None:
        """A put that keeps the value gives none, and one that keeps the lease gives none."""
        lease = await store.grant(600)
        await store.put(b"a", b"1")
        for put in (Put(b"a", b"2", ignore_value=True), Put(b"a", b"2", lease, ignore_lease=True)):
            with pytest.raises(InvalidRequest):
                await store.txn([], [put])

    async def test_counting_returns_no_keys(self, store: Store) -> None:
        """A count is of all keys, now, in the past, or inside a transaction."""
        for key in (b"a", b"b", b"c"):
            await store.put(key, b"1")
        assert await store.range(ALL, ALL, count_only=True) == RangeResult(4, (), 3)
        assert (await store.range(ALL, ALL, count_only=True, revision=3)).count == 2
        result = await store.txn([], [Get(ALL, ALL, count_only=True)])
        assert result.responses == (RangeResult(4, (), 3),)

    async def test_transactions_read_the_past_and_keys_alone(self, store: Store) -> None:
        """A read inside a transaction may be of a revision, and of keys without their values."""
        await store.put(b"a", b"1")
        await store.put(b"a", b"2")
        result = await store.txn([], [Get(b"a", revision=2), Get(b"a", keys_only=True)])
        past, bare = result.responses
        assert isinstance(past, RangeResult)
        assert isinstance(bare, RangeResult)
        assert past.kvs == (KeyValue(b"a", b"1", 2, 2, 1),)
        assert bare.kvs == (KeyValue(b"a", b"", 2, 3, 2),)

    async def test_transactions_read_neither_the_future_nor_the_compacted(self, store: Store) -> None:
        """A transaction that reads what cannot be read does nothing."""
        for value in (b"1", b"2", b"3"):
            await store.put(b"a", value)
        await store.compact(3)
        with pytest.raises(FutureRevision):
            await store.txn([], [Put(b"b", b"1"), Get(b"a", revision=99)])
        with pytest.raises(Compacted):
            await store.txn([], [Put(b"b", b"1"), Get(b"a", revision=2)])
        assert await store.get(b"b") is None

    async def test_progress_follows_what_happened(self, store: Store) -> None:
        """Progress is told after all that happened before it was asked for, also of keys that are not watched."""
        watch = store.watch(b"a", b"b")
        await store.put(b"a", b"1")
        await store.put(b"z", b"1")
        await watch.request_progress()
        first, second = await take(watch, 2)
        assert first.events
        assert second == WatchBatch(3, ())

    async def test_progress_of_a_quiet_watch(self, store: Store) -> None:
        """A watch that waits tells its progress when asked, as often as asked."""
        await store.put(b"z", b"1")
        watch = store.watch(b"a")
        for _ in range(2):
            waiting = asyncio.create_task(take(watch, 1))
            await asyncio.sleep(0)
            await watch.request_progress()
            assert await waiting == [WatchBatch(2, ())]

    async def test_leases_are_listed(self, store: Store) -> None:
        """All leases that live are listed by their ids."""
        assert await store.leases() == ()
        granted = sorted([await store.grant(600) for _ in range(3)])
        assert list(await store.leases()) == granted
        await store.revoke(granted[0])
        assert list(await store.leases()) == granted[1:]

    async def test_status_tells_what_the_store_is(self, store: Store) -> None:
        """A store tells its kind, its version, its newest revision, and how much it holds."""
        await store.put(b"a", b"1")
        status = await store.status()
        assert status.kind in {"memory", "embedded", "etcd"}
        assert status.version
        assert status.revision == 2
        assert 0 <= status.used <= status.size


class CompactionContract(StoreContract):
    """History that was let go."""

    async def fill(self, store: Store) -> None:
        """Revisions 2 to 7: a, b, a, delete b, a, c."""
        await store.put(b"a", b"1")
        await store.put(b"b", b"1")
        await store.put(b"a", b"2")
        await store.delete(b"b")
        await store.put(b"a", b"3")
        await store.put(b"c", b"1")

    async def test_reads_before_are_compacted(self, store: Store) -> None:
        """After a compaction, reads before its revision raise Compacted and say from where on one can read."""
        await self.fill(store)
        await store.compact(4)
        for revision in (1, 3):
            with pytest.raises(Compacted) as caught:
                await store.range(ALL, ALL, revision=revision)
            assert caught.value.compact_revision == 4
            with pytest.raises(Compacted):
                await store.get(b"a", revision=revision)

    async def test_reads_at_and_after_stay(self, store: Store) -> None:
        """At the compacted revision and after it everything reads as it did."""
        await self.fill(store)
        before = [await store.range(ALL, ALL, revision=revision) for revision in (4, 5, 6, 7)]
        await store.compact(4)
        assert [await store.range(ALL, ALL, revision=revision) for revision in (4, 5, 6, 7)] == before
        assert await store.get(b"a") == KeyValue(b"a", b"3", 2, 6, 3)
        assert await store.get(b"b", revision=4) == KeyValue(b"b", b"1", 3, 3, 1)

    async def test_compaction_keeps_keys_and_revision(self, store: Store) -> None:
        """Compacting everything keeps the keys, their versions and the revision."""
        await self.fill(store)
        await store.delete(b"c")
        await store.compact(8)
        assert await store.revision() == 8
        assert (await store.range(ALL, ALL)).kvs == (KeyValue(b"a", b"3", 2, 6, 3),)
        assert await store.put(b"a", b"4") == 9
        assert await store.get(b"a") == KeyValue(b"a", b"4", 2, 9, 4)

    async def test_compacting_again_is_refused(self, store: Store) -> None:
        """A revision that was compacted cannot be again, nor one that has not happened."""
        await self.fill(store)
        await store.compact(4)
        with pytest.raises(Compacted):
            await store.compact(4)
        with pytest.raises(Compacted):
            await store.compact(3)
        with pytest.raises(FutureRevision):
            await store.compact(8)
        await store.compact(7)

    async def test_compactions_in_steps(self, store: Store) -> None:
        """Compactions that follow each other, with writes between, leave the newest state readable."""
        for round_ in range(1, 6):
            for number in range(10):
                await store.put(b"k%d" % number, b"%d" % round_)
            await store.delete(b"k%d" % round_)
            await store.compact(await store.revision() - 3)
        expected = {b"k%d" % number: b"5" for number in range(10) if number != 5}
        assert {kv.key: kv.value for kv in (await store.range(ALL, ALL)).kvs} == expected

    async def test_watch_from_a_compacted_revision(self, store: Store) -> None:
        """A watch from before the compaction raises Compacted and says from where on one can watch."""
        await self.fill(store)
        await store.compact(5)
        watch = store.watch(ALL, ALL, start_revision=4)
        with pytest.raises(Compacted) as caught:
            await take(watch, 1)
        assert caught.value.compact_revision == 5

    async def test_watch_from_the_compaction_on(self, store: Store) -> None:
        """A watch from the compacted revision itself sees it and all that follows."""
        await self.fill(store)
        await store.compact(6)
        assert [batch.revision for batch in await take(store.watch(ALL, ALL, start_revision=6), 2)] == [6, 7]

    async def test_deletion_at_the_compaction(self, store: Store) -> None:
        """A watch from the compacted revision sees it if it is a deletion, too (older etcd loses it)."""
        await self.fill(store)
        await store.compact(5)
        batches = await take(store.watch(ALL, ALL, start_revision=5), 3)
        assert [batch.revision for batch in batches] == [5, 6, 7]
        assert batches[0].events == (Event(EventType.DELETE, KeyValue(b"b", b"", 0, 5, 0)),)

    async def test_waiting_watch_outlives_compaction(self, store: Store) -> None:
        """A watch that has seen everything is not disturbed by a compaction."""
        watch = store.watch(ALL, ALL, start_revision=1)
        await self.fill(store)
        await take(watch, 6)
        await store.compact(7)
        await store.put(b"d", b"1")
        assert [batch.revision for batch in await take(watch, 1)] == [8]

    async def test_compaction_under_a_lagging_watch(self, store: Store) -> None:
        """A watch that lags behind a compaction goes on without a gap, or raises Compacted; it never skips."""
        lagging = store.watch(ALL, ALL, start_revision=1)
        await self.fill(store)
        assert [batch.revision for batch in await take(lagging, 1)] == [2]
        await store.compact(6)
        seen, resync = [2], 0
        try:
            while seen[-1] < 7:
                seen += [batch.revision for batch in await take(lagging, 1)]
        except Compacted as caught:
            resync = caught.compact_revision
        assert seen == list(range(2, seen[-1] + 1))
        assert resync == (6 if seen[-1] < 7 else 0)

    async def test_resync_after_compaction_under_writers(self, store: Store) -> None:
        """A follower that reads again whenever it was compacted away ends with exactly what is there."""
        mirror: dict[bytes, bytes] = {}

        async def follow() -> None:
            while mirror.get(b"end") != b"1":
                state = await store.range(ALL, ALL)
                mirror.clear()
                mirror.update({kv.key: kv.value for kv in state.kvs})
                watch = store.watch(ALL, ALL, start_revision=state.revision + 1)
                try:
                    while mirror.get(b"end") != b"1":
                        for event in (await take(watch, 1))[0].events:
                            if event.type is EventType.PUT:
                                mirror[event.kv.key] = event.kv.value
                            else:
                                del mirror[event.kv.key]
                except Compacted:
                    continue

        async def write() -> None:
            for number in range(150):
                await store.put(b"k%d" % (number % 9), b"%d" % number)
                if number % 4 == 3:
                    await store.delete(b"k%d" % (number % 9))
                if number % 10 == 9:
                    await store.compact(await store.revision())
            await store.put(b"end", b"1")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow())
            tasks.create_task(write())
        assert mirror == {kv.key: kv.value for kv in (await store.range(ALL, ALL)).kvs}


class LeaseContract(StoreContract):
    """Keys that go when nobody keeps them."""

    async def test_expiry_removes_the_keys_at_once(self, store: Store, maker: StoreMaker) -> None:
        """When a lease runs out its keys, and no others, are removed in one revision."""
        lease = await store.grant(3)
        watch = store.watch(ALL, ALL, start_revision=4)
        await store.put(b"a", b"1", lease=lease)
        await store.put(b"b", b"1", lease=lease)
        await store.put(b"c", b"1")
        await maker.elapse(4.0)
        await take(watch, 1)
        (batch,) = await take(watch, 1)
        assert batch.revision == 5
        assert {(event.type, event.kv.key) for event in batch.events} == {
            (EventType.DELETE, b"a"),
            (EventType.DELETE, b"b"),
        }
        assert keys((await store.range(ALL, ALL)).kvs) == [b"c"]
        with pytest.raises(LeaseNotFound):
            await store.keep_alive(lease)

    async def test_kept_lease_lives(self, store: Store, maker: StoreMaker) -> None:
        """A lease that is kept alive in time keeps its keys; keeping it says its length."""
        kept, left = await store.grant(4), await store.grant(4)
        watch = store.watch(b"left")
        await store.put(b"kept", b"1", lease=kept)
        await store.put(b"left", b"1", lease=left)
        for _ in range(10):
            await maker.elapse(0.5)
            assert await store.keep_alive(kept) == 4
        assert [batch.events[0].type for batch in await take(watch, 2)] == [EventType.PUT, EventType.DELETE]
        assert await store.get(b"kept") is not None
        assert await store.keep_alive(kept) == 4

    async def test_key_names_its_lease(self, store: Store) -> None:
        """A key tells the lease that it is attached to, and a comparison can ask for it."""
        lease = await store.grant(600)
        await store.put(b"a", b"1", lease=lease)
        assert await store.get(b"a") == KeyValue(b"a", b"1", 2, 2, 1, lease)
        assert (await store.txn([Compare(b"a", Target.LEASE, Op.EQUAL, lease)], [])).succeeded

    async def test_granting_is_no_write(self, store: Store) -> None:
        """Granting a lease, or revoking one without keys, leaves the revision."""
        lease = await store.grant(600)
        await store.revoke(lease)
        assert await store.revision() == 1

    async def test_revoking_removes_the_keys_at_once(self, store: Store) -> None:
        """Revoking ends the lease and removes its keys in one revision."""
        lease = await store.grant(600)
        await store.txn([], [Put(b"a", b"1", lease), Put(b"b", b"1", lease), Put(b"c", b"1")])
        watch = store.watch(ALL, ALL)
        await store.revoke(lease)
        (batch,) = await take(watch, 1)
        assert (batch.revision, sorted(event.kv.key for event in batch.events)) == (3, [b"a", b"b"])
        assert keys((await store.range(ALL, ALL)).kvs) == [b"c"]

    async def test_time_to_live(self, store: Store, maker: StoreMaker) -> None:
        """A lease tells the seconds left and the keys attached."""
        lease = await store.grant(600)
        await store.put(b"b", b"1", lease=lease)
        await store.put(b"a", b"1", lease=lease)
        found = await store.time_to_live(lease)
        left, attached = found.left, found.keys
        assert 590 <= left <= 600
        assert sorted(attached) == [b"a", b"b"]
        await maker.elapse(2.0)
        later = (await store.time_to_live(lease)).left
        assert later < left

    async def test_writing_a_key_again_moves_it(self, store: Store) -> None:
        """Writing a key attaches it to the lease of that write, or to none; deleting it detaches it."""
        old, new = await store.grant(600), await store.grant(600)
        for key in (b"moved", b"freed", b"deleted"):
            await store.put(key, b"1", lease=old)
        await store.put(b"moved", b"2", lease=new)
        await store.put(b"freed", b"2")
        await store.delete(b"deleted")
        assert (await store.time_to_live(old)).keys == ()
        assert (await store.time_to_live(new)).keys == (b"moved",)
        await store.revoke(old)
        assert keys((await store.range(ALL, ALL)).kvs) == [b"freed", b"moved"]

    async def test_absent_lease(self, store: Store) -> None:
        """A lease that never was, or was revoked, is not found by any call."""
        gone = await store.grant(600)
        await store.revoke(gone)
        for lease in (ABSENT, gone):
            with pytest.raises(LeaseNotFound):
                await store.put(b"a", b"1", lease=lease)
            with pytest.raises(LeaseNotFound):
                await store.keep_alive(lease)
            with pytest.raises(LeaseNotFound):
                await store.revoke(lease)
            with pytest.raises(LeaseNotFound):
                await store.time_to_live(lease)
        assert await store.revision() == 1

    async def test_lease_of_a_wanted_id(self, store: Store) -> None:
        """An id may be asked for while nobody has it; otherwise ids are chosen apart."""
        assert await store.grant(600, lease=77) == 77
        with pytest.raises(InvalidRequest):
            await store.grant(600, lease=77)
        assert len({await store.grant(600) for _ in range(5)} | {77}) == 6

    async def test_leases_need_time(self, store: Store) -> None:
        """A lease of no time is refused."""
        with pytest.raises(InvalidRequest):
            await store.grant(0)


class WholeStoreContract(
    RevisionContract,
    TransactionContract,
    NestingContract,
    WatchContract,
    CompactionContract,
    LeaseContract,
):
    """All of the contract."""
