"""Numbered writes to a store without pause, and a watch beside them that must tell each of them once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from storage.base import Compacted, Store, Unavailable, prefix_end
from tests.lab.eventually import eventually

PREFIX = b"/numbered/"


@dataclass(slots=True)
class Numbered:
    """What was acknowledged, by number; what was watched, in order; how long the slowest write took."""

    store: Store
    watching: Store
    acknowledged: dict[int, int] = field(default_factory=dict)
    refused: int = 0
    watched: list[tuple[int, int]] = field(default_factory=list)
    interrupted: int = 0
    slowest: float = 0.0
    ending: bool = False

    async def write(self) -> None:
        """Writes one number after the other until it is to end."""
        clock = asyncio.get_running_loop().time
        number = 0
        while not self.ending:
            number += 1
            began = clock()
            try:
                self.acknowledged[number] = await self.store.put(PREFIX + b"%08d" % number, b"%d" % number)
            except Unavailable:
                self.refused += 1
            finally:
                self.slowest = max(self.slowest, clock() - began)
            await asyncio.sleep(0.002)

    async def watch(self, start: int) -> None:
        """Watches from a revision on until cancelled; goes on where an outage interrupted it."""
        while True:
            watch = self.watching.watch(PREFIX, prefix_end(PREFIX), start_revision=start)
            try:
                async for batch in watch:
                    self.watched += [(batch.revision, int(event.kv.value)) for event in batch.events]
                    start = batch.revision + 1
            except Unavailable:
                self.interrupted += 1
            finally:
                await watch.close()

    async def goes_on(self, timeout: float = 60.0) -> None:
        """Returns once writes that begin now are acknowledged, and watched; three etcds on a busy machine vote for long."""
        newest = max(self.acknowledged, default=0)

        def more() -> bool:
            return max(self.acknowledged, default=0) > newest + 3 and self.watched[-1][1] > newest + 3

        await eventually(more, "writes are acknowledged and watched again", timeout=timeout)

    async def check(self) -> None:
        """Nothing acknowledged is lost; the watch has told all that is there, once, in order, and nothing else.

        What was refused may still be done by a member that hung, so what is there is asked for again.
        """

        async def told() -> None:
            stored = (await self.store.range(PREFIX, prefix_end(PREFIX))).kvs
            there = sorted((kv.mod_revision, int(kv.value)) for kv in stored)
            assert self.watched == there
            assert {(revision, number) for number, revision in self.acknowledged.items()} <= set(there)
            assert len(there) <= len(self.acknowledged) + self.refused

        await eventually(told, "the watch has told what is there")


@asynccontextmanager
async def numbered(store: Store, watching: Store) -> AsyncIterator[Numbered]:
    """Writes through ``store`` and watches through ``watching`` during the block, then checks."""
    found = Numbered(store, watching)
    start = await store.revision() + 1
    writing = asyncio.create_task(found.write())
    watch = asyncio.create_task(found.watch(start))
    try:
        await eventually(lambda: len(found.watched) > 3, "writes are watched")
        yield found
        found.ending = True
        await writing
        assert not watch.done(), watch.exception()
        await found.check()
    finally:
        await _ended(writing)
        await _ended(watch)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Compacted):
        await task
