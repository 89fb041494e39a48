"""Watching tells every change once, and only real ones."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from storage.base import Compacted, RangeResult, Store, Unavailable, Watch
from storage.memory import MemoryStore
from tests.intents.objects import DEADLINE, NOW, apply, entry, refs, route, rule, take
from xdsd.intents import IntentChange, Intents
from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef

FOLDER = "/xdsd/objects/serviceentries.networking.istio.io/default/"


async def test_first_change_is_all_there_is(intents: Intents) -> None:
    """A watch begins with everything, as one complete change, and goes on with what follows."""
    await apply(intents, entry("a"), entry("b"))
    changes = intents.watch()
    (first,) = await take(changes, 1)
    assert (first.revision, refs(first.upserts), first.complete) == (
        2,
        [entry("a").ref, entry("b").ref],
        True,
    )
    await apply(intents, entry("c"), entry("a", port=80))
    await intents.delete([entry("b").ref], now=NOW)
    changed, removed = await take(changes, 2)
    assert (changed.revision, changed.complete) == (3, False)
    assert {obj.metadata.name: obj.metadata.generation for obj in changed.upserts} == {"c": 1, "a": 2}
    assert removed == IntentChange(4, removed=(entry("b").ref,))


async def test_empty_store_is_complete_too(intents: Intents) -> None:
    """A watch of nothing begins with an empty complete change."""
    assert await take(intents.watch(), 1) == [IntentChange(1, complete=True)]


async def test_watch_after_a_listing(intents: Intents) -> None:
    """A watch from the revision after a listing tells what changed since, and nothing else."""
    await apply(intents, entry("a"))
    listing = await intents.list()
    await apply(intents, entry("b"))
    await intents.delete([entry("a").ref], now=NOW)
    first, second = await take(intents.watch(listing.revision + 1), 2)
    assert (refs(first.upserts), first.complete) == ([entry("b").ref], False)
    assert second.removed == (entry("a").ref,)


async def test_watched_objects_are_those_that_are_read(intents: Intents) -> None:
    """An object in a change is equal to the one that ``get`` returns, resource version and uid included."""
    changes = intents.watch()
    await take(changes, 1)
    await apply(intents, entry("a"))
    (change,) = await take(changes, 1)
    assert change.upserts == (await intents.get(entry("a").ref),)


async def test_other_keys_are_not_told(store: Store, intents: Intents) -> None:
    """What is stored beside the objects is not told."""
    changes = intents.watch()
    await take(changes, 1)
    await store.put(b"/xdsd/tokens/1", b"x")
    await apply(intents, entry("a"))
    (change,) = await take(changes, 1)
    assert change.revision == 3


async def test_unreadable_value_hurts_nobody_else(store: Store, intents: Intents) -> None:
    """A value that cannot be read is a problem under its key; what the object said last holds until it is deleted."""
    await apply(intents, entry("a"), entry("b"))
    changes = intents.watch()
    await take(changes, 1)
    await store.put(f"{FOLDER}a".encode(), b"nonsense")
    await apply(intents, entry("c"))
    await store.delete(f"{FOLDER}a".encode())
    broken, added, removed = await take(changes, 3)
    assert (broken.upserts, broken.removed, set(broken.problems)) == ((), (), {f"{FOLDER}a"})
    assert [problem.object for problem in broken.problems[f"{FOLDER}a"]] == [entry("a").ref]
    assert (refs(added.upserts), added.problems) == ([entry("c").ref], {})
    assert (removed.removed, removed.problems) == ((entry("a").ref,), {f"{FOLDER}a": ()})


async def test_repaired_value_clears_its_problem(store: Store, intents: Intents) -> None:
    """Once a value can be read again, the object is told and its problem is cleared."""
    await store.put(f"{FOLDER}a".encode(), b"nonsense")
    changes = intents.watch()
    (first,) = await take(changes, 1)
    assert (first.upserts, set(first.problems), first.complete) == ((), {f"{FOLDER}a"}, True)
    await apply(intents, entry("a"))
    (repaired,) = await take(changes, 1)
    assert (refs(repaired.upserts), repaired.problems) == ([entry("a").ref], {f"{FOLDER}a": ()})


@pytest.mark.parametrize(
    "key", ["/xdsd/objects/stray", "/xdsd/objects/pods.core/default/a", FOLDER, FOLDER + "a/b"]
)
async def test_stray_key_is_a_problem(store: Store, intents: Intents, key: str) -> None:
    """A key that no object has is a problem until it is deleted, and hurts nobody."""
    await store.put(key.encode(), b"x")
    await apply(intents, entry("a"))
    changes = intents.watch()
    (first,) = await take(changes, 1)
    assert (refs(first.upserts), set(first.problems)) == ([entry("a").ref], {key})
    await store.delete(key.encode())
    assert (await take(changes, 1))[0].problems == {key: ()}


async def test_compaction_is_bridged_by_real_differences(store: Store, intents: Intents) -> None:
    """Where history was compacted under a watch, the next change holds what differs: no more, no less."""
    await apply(intents, entry("same"), entry("changed"), entry("gone"))
    changes = intents.watch()
    await take(changes, 1)
    follower = Intents(store).watch(3)
    for port in range(1000, 1010):
        await apply(intents, entry("changed", port=port), entry("fleeting", port=port))
    await intents.delete([entry("gone").ref, entry("fleeting").ref], now=NOW)
    await apply(intents, entry("new"))
    newest = (await intents.list()).revision
    known = await _known(follower, newest, compact=lambda: store.compact(newest))
    assert known == {obj.ref: obj for obj in (await intents.list()).objects if obj.metadata.name != "same"}


async def _known(changes: Any, newest: int, compact: Any) -> dict[ObjectRef, AnyObject]:
    """What a follower knows at the newest revision, with a compaction between its first change and the rest."""
    known: dict[ObjectRef, AnyObject] = {}
    revision = 0
    while revision < newest:
        (change,) = await take(changes, 1)
        if not revision:
            await compact()
        revision = change.revision
        known.update({obj.ref: obj for obj in change.upserts})
        for ref in change.removed:
            known.pop(ref, None)
    return known


async def test_watch_from_compacted_history_starts_over(store: Store, intents: Intents) -> None:
    """A watch from a revision that is no longer kept begins with everything, said to be complete."""
    await apply(intents, entry("a"))
    await apply(intents, entry("b"))
    await intents.delete([entry("a").ref], now=NOW)
    await store.compact(4)
    (first,) = await take(intents.watch(3), 1)
    assert (first.revision, refs(first.upserts), first.complete) == (4, [entry("b").ref], True)


async def test_closing_the_store_ends_the_watch(store: Store, intents: Intents) -> None:
    """A watch ends when the store is closed."""

    async def drain() -> Sequence[IntentChange]:
        return [change async for change in intents.watch()]

    task = asyncio.ensure_future(drain())
    async with asyncio.timeout(DEADLINE):
        while not (await intents.list()).objects:
            await apply(intents, entry("a"))
        await store.close()
        changes = await task
    assert changes[0].complete


class Flaky(MemoryStore):
    """A store that can be out of reach, for reads and for watches that are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.watches: list[Watch] = []

    async def range(self, *args: Any, **kwargs: Any) -> RangeResult:
        if self.down:
            raise Unavailable("out of reach")
        return await super().range(*args, **kwargs)

    def watch(self, *args: Any, **kwargs: Any) -> Any:
        return _FlakyWatch(self, super().watch(*args, **kwargs))


class _FlakyWatch:
    def __init__(self, store: Flaky, watch: Any) -> None:
        self._store = store
        self._watch = watch

    def __aiter__(self) -> "_FlakyWatch":
        return self

    async def __anext__(self) -> Any:
        batch = await anext(self._watch)
        if self._store.down:
            raise Unavailable("out of reach")
        return batch

    async def close(self) -> None:
        await self._watch.close()


async def test_outage_is_told_and_outlasted() -> None:
    """An outage is told; after it comes one change with what really differs, and then all that follows."""
    store = Flaky()
    intents, told = Intents(store), asyncio.Event()
    await apply(intents, entry("same"), entry("gone"))
    changes = intents.watch(unavailable=lambda _: told.set(), retry=0.001)
    await take(changes, 1)
    store.down = True
    after = asyncio.ensure_future(take(changes, 1))
    await store.delete(f"{FOLDER}gone".encode())
    async with asyncio.timeout(DEADLINE):
        await told.wait()
    store.down = False
    (first,) = await after
    assert (first.removed, first.upserts) == ((entry("gone").ref,), ())
    await apply(intents, entry("new"))
    assert refs((await take(changes, 1))[0].upserts) == [entry("new").ref]
    await store.close()


async def test_outage_ends_a_watch_that_is_not_to_outlast_it() -> None:
    """Without anybody to tell, an outage raises Unavailable."""
    store = Flaky()
    store.down = True
    with pytest.raises(Unavailable):
        await take(Intents(store).watch(), 1)
    await store.close()


async def test_followers_agree_under_writers(store: Store) -> None:
    """Followers that start at any time, under writers and compactions, end with the same objects that are listed."""
    intents = Intents(store)

    async def write(writer: int) -> None:
        own = Intents(store)
        for number in range(12):
            name = f"s{(writer + number) % 4}"
            await apply(own, entry(name, port=1000 + writer * 100 + number), rule(name, f"v{number}"))
            if number % 3 == 2:
                await own.delete([entry(name).ref], now=NOW, ignore_missing=True)
            if number % 5 == 4:
                with suppress(Compacted):  # another writer was faster
                    await store.compact(await store.revision())
        await apply(own, route(f"end{writer}"))

    async def follow() -> dict[ObjectRef, AnyObject]:
        known: dict[ObjectRef, AnyObject] = {}
        async for change in intents.watch():
            if change.complete:
                known.clear()
            known.update({obj.ref: obj for obj in change.upserts})
            for ref in change.removed:
                known.pop(ref, None)
            if sum(ref.name.startswith("end") for ref in known) == 3:
                return known
        raise AssertionError("the store was closed")

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        follows = [tasks.create_task(follow()) for _ in range(3)]
        for writer in range(3):
            tasks.create_task(write(writer))
    listed = {obj.ref: obj for obj in (await intents.list()).objects}
    assert [follow.result() for follow in follows] == [listed] * 3
