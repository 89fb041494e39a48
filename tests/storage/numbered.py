"""Numbered writes to a store without pause, and a watch beside them that must tell each of them once.

How long a write takes is counted in short sleeps, not by the clock: on a machine that stands still they do too, so what is
judged is the store's patience and not the machine.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from storage.base import Compacted, Store, Unavailable, prefix_end
from tests.lab.eventually import eventually

PREFIX = b"/numbered/"
T = TypeVar("T")
_TICK = 0.05


@dataclass(slots=True)
class Numbered:
    """What was acknowledged, by number; what was watched, in order; how long the slowest write took, by ``now``."""

    store: Store
    watching: Store
    acknowledged: dict[int, int] = field(default_factory=dict)
    refused: int = 0
    watched: list[tuple[int, int]] = field(default_factory=list)
    interrupted: int = 0
    slowest: float = 0.0
    ending: bool = False
    now: float = 0.0

    async def tick(self) -> None:
        """Counts seconds until cancelled, and never faster than they pass."""
        while True:
            await asyncio.sleep(_TICK)
            self.now += _TICK

    async def write(self) -> None:
        """Writes one number after the other until it is to end."""
        number = 0
        while not self.ending:
            number += 1
            began = self.now
            try:
                self.acknowledged[number] = await self.store.put(PREFIX + b"%08d" % number, b"%d" % number)
            except Unavailable:
                self.refused += 1
            finally:
                self.slowest = max(self.slowest, self.now - began)
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
            stored = (await asked(lambda: self.store.range(PREFIX, prefix_end(PREFIX)))).kvs
            there = sorted((kv.mod_revision, int(kv.value)) for kv in stored)
            assert self.watched == there
            assert {(revision, number) for number, revision in self.acknowledged.items()} <= set(there)
            assert len(there) <= len(self.acknowledged) + self.refused

        await eventually(told, "the watch has told what is there")


async def asked(question: Callable[[], Awaitable[T]]) -> T:
    """What a store answers; an AssertionError where no member answers just now, as while three vote."""
    try:
        return await question()
    except Unavailable as error:
        raise AssertionError(str(error)) from error


@asynccontextmanager
async def numbered(store: Store, watching: Store) -> AsyncIterator[Numbered]:
    """Writes through ``store`` and watches through ``watching`` during the block, then checks."""
    found = Numbered(store, watching)
    start = await eventually(lambda: asked(store.revision), "the store answers") + 1
    writing = asyncio.create_task(found.write())
    watch = asyncio.create_task(found.watch(start))
    ticking = asyncio.create_task(found.tick())
    try:
        await eventually(lambda: len(found.watched) > 3, "writes are watched")
        yield found
        found.ending = True
        await writing
        assert not watch.done(), watch.exception()
        await found.check()
    finally:
        for task in (writing, watch, ticking):
            await _ended(task)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Compacted):
        await task
