"""One watch of a stream: what it is told, and that it is told of progress."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from aetcd import rpc

from api.services.etcd.headers import Headers
from storage.base import Event, EventType, Watch, WatchBatch
from storage.etcd_wire import event_message

Message = Any  # aetcd's generated messages carry no type information

FRAGMENT = 1_572_864
"""Bytes of events above which an answer is cut, for a client that said it puts the pieces together."""

_FILTERS = {
    rpc.WatchCreateRequest.NOPUT: EventType.PUT,
    rpc.WatchCreateRequest.NODELETE: EventType.DELETE,
}


class Followed:
    """A watch that somebody asked for."""

    def __init__(
        self,
        number: int,
        asked: Message,
        watch: Watch,
        headers: Headers,
        send: Callable[[Message], Awaitable[None]],
        interval: float,
    ) -> None:
        self.number = number
        self._unwanted = {_FILTERS[each] for each in asked.filters if each in _FILTERS}
        self._notify = asked.progress_notify
        self._fragments = asked.fragment
        self._watch = watch
        self._headers = headers
        self._send = send
        self._interval = interval
        self._waiting: list[asyncio.Future[int]] = []
        self._quiet = False

    async def run(self) -> None:
        """Sends what happens, until the store is closed. Raises Compacted and what else the store raises."""
        ticking = asyncio.create_task(self._tick()) if self._notify else None
        try:
            async for batch in self._watch:
                await self._tell(batch)
        finally:
            if ticking is not None:
                ticking.cancel()
            self._reached(0)
            await self._watch.close()

    async def reach(self) -> asyncio.Future[int]:
        """The revision up to which all was sent, once all that has happened by now was; 0 if the watch ends before."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await self._watch.request_progress()
        return future

    async def _tick(self) -> None:
        while True:
            self._quiet = True
            await asyncio.sleep(self._interval)
            if self._quiet:
                await self._watch.request_progress()

    async def _tell(self, batch: WatchBatch) -> None:
        if not batch.events:
            if self._quiet and self._notify and not self._waiting:
                header = await self._headers.of(batch.revision)
                await self._send(rpc.WatchResponse(header=header, watch_id=self.number))
            self._reached(batch.revision)
            return
        self._quiet = False
        events = [event_message(each) for each in batch.events if self._wants(each)]
        header = await self._headers.of(batch.revision)
        pieces = list(_pieces(events)) if self._fragments else [events]
        for place, piece in enumerate(pieces, 1):
            if piece:
                fragment = place < len(pieces)
                await self._send(
                    rpc.WatchResponse(header=header, watch_id=self.number, events=piece, fragment=fragment)
                )

    def _wants(self, event: Event) -> bool:
        return event.type not in self._unwanted

    def _reached(self, revision: int) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(revision)


def _pieces(events: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Events in order, in pieces below ``FRAGMENT`` where one event alone is not larger."""
    start, size = 0, 0
    for place, event in enumerate(events):
        more = event.ByteSize()
        if size + more > FRAGMENT and place > start:
            yield events[start:place]
            start, size = place, 0
        size += more
    yield events[start:]
