"""Watches: replay from the history, then follow what is published, without gap or duplicate between the
two.

The hub keeps the newest batches in memory, shared by all watches. A watch is only a position: it takes the
next batch from there, and from the history where it is too far behind, so a watch that nobody reads costs
nothing.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from storage.base import Compacted, Event, Unavailable, WatchBatch
from storage.ledger import Page
from storage.spans import Span

Replay = Callable[[Span, int, int, bool], Awaitable[Page]]

RECENT_BATCHES = 4096
RECENT_BYTES = 16_777_216
STRETCH = 64


class WatchHub:
    """Hands batches to watches. ``replay(span, start, stop, previous)`` reads those it no longer holds."""

    def __init__(self, revision: int, compacted: int, replay: Replay) -> None:
        self.revision = revision
        self.compacted = compacted
        self.replay = replay
        self.closed = False
        self._recent: deque[WatchBatch] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()

    @property
    def oldest(self) -> int:
        """The first revision from which all batches are in memory."""
        return self.revision + 1 - len(self._recent)

    def publish(self, batch: WatchBatch) -> None:
        """Takes the batch of the next revision."""
        self.revision = batch.revision
        self._recent.append(batch)
        self._bytes += _weight(batch)
        while len(self._recent) > RECENT_BATCHES or (self._bytes > RECENT_BYTES and len(self._recent) > 1):
            self._bytes -= _weight(self._recent.popleft())
        self._wake()

    def batch(self, revision: int) -> WatchBatch:
        """The batch of a revision between ``oldest`` and ``revision``."""
        return self._recent[revision - self.oldest]

    def watch(self, span: Span, start_revision: int, *, previous: bool) -> "HubWatch":
        return HubWatch(self, span, start_revision or self.revision + 1, previous=previous)

    async def changed(self) -> None:
        """Returns after the next publication, or when a watch or the hub was closed."""
        await self._changed.wait()

    def close(self) -> None:
        """Ends all watches."""
        self.closed = True
        self._wake()

    def wake(self) -> None:
        """Lets every watch look again."""
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class HubWatch:
    """One watch; ``storage.base.Watch``. Read by one task at a time."""

    def __init__(self, hub: WatchHub, span: Span, start_revision: int, *, previous: bool) -> None:
        self._hub = hub
        self._span = span
        self._next = start_revision
        self._previous = previous
        self._replayed: deque[WatchBatch] = deque()
        self._closed = False
        self._taken = 0
        self._asked = False
        self._lost = Compacted(hub.compacted) if start_revision < hub.compacted else None

    def __aiter__(self) -> AsyncIterator[WatchBatch]:
        return self

    async def __anext__(self) -> WatchBatch:
        self._taken += 1
        if self._taken % STRETCH == 0:
            await asyncio.sleep(0)  # a watch that catches up lets others run
        while not (self._closed or self._hub.closed):
            if self._lost is not None:
                raise self._lost
            if self._replayed:
                return self._replayed.popleft()
            if self._next > self._hub.revision and self._asked:
                self._asked = False
                return WatchBatch(self._hub.revision, ())
            if self._next > self._hub.revision:
                await self._hub.changed()
            elif self._next >= self._hub.oldest:
                if (batch := self._advance()) is not None:
                    return batch
            else:
                await self._replay()
        raise StopAsyncIteration

    async def request_progress(self) -> None:
        self._asked = True
        self._hub.wake()

    async def close(self) -> None:
        self._closed = True
        self._replayed.clear()
        self._hub.wake()

    def _advance(self) -> WatchBatch | None:
        while self._next <= self._hub.revision:
            batch = self._hub.batch(self._next)
            self._next += 1
            events = tuple(event for event in batch.events if event.kv.key in self._span)
            if events and self._previous and batch.revision > self._hub.compacted:
                return WatchBatch(batch.revision, events)
            if events:
                return WatchBatch(batch.revision, tuple(map(_plain, events)))
        return None

    async def _replay(self) -> None:
        try:
            page = await self._hub.replay(self._span, self._next, self._hub.oldest - 1, self._previous)
        except Compacted as lost:
            self._lost = lost
            return
        except Unavailable:
            if self._hub.closed:
                return
            raise
        self._replayed.extend(page.batches)
        self._next = page.through + 1


def _plain(event: Event) -> Event:
    return Event(event.type, event.kv)


def _weight(batch: WatchBatch) -> int:
    return sum(
        len(event.kv.key) + len(event.kv.value) + (len(event.previous.value) if event.previous else 0)
        for event in batch.events
    )
