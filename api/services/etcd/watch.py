"""etcdserverpb.Watch: many watches on one stream, each followed by a task of its own."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

import grpc
from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.access.caller import Caller, Refused, current, report
from api.services.etcd.errors import COMPACTED, NO_KEY
from api.services.etcd.following import Followed
from api.services.etcd.headers import Headers
from api.services.etcd.policy import KeyPolicy
from storage.base import Compacted, StorageError, Store, Unavailable
from storage.spans import Span

Message = Any  # aetcd's generated messages carry no type information
Context = grpc.aio.ServicerContext[object, object]

EVERY = -1
"""The id of an answer that is of no watch, or of all of them."""
WAITING = 64
"""Answers that wait to be sent at most; a watch whose client does not read waits too."""


class WatchService(services.WatchServicer):  # type: ignore[misc]  # generated without types
    """Watches. ``interval``: seconds after which a quiet watch that asked for it is told of progress."""

    def __init__(self, store: Store, policy: KeyPolicy, headers: Headers, interval: float = 600.0) -> None:
        self._store = store
        self._policy = policy
        self._headers = headers
        self._interval = interval

    async def Watch(  # noqa: N802
        self, requests: AsyncIterator[Message], _context: Context
    ) -> AsyncIterator[Message]:
        stream = _Stream(self._store, self._policy, self._headers, self._interval, current())
        async with aclosing(stream.responses(requests)) as responses:
            async for response in responses:
                yield response


class _Stream:
    """The watches of one stream."""

    def __init__(
        self, store: Store, policy: KeyPolicy, headers: Headers, interval: float, caller: Caller
    ) -> None:
        self._store = store
        self._policy = policy
        self._headers = headers
        self._interval = interval
        self._caller = caller
        self._out: asyncio.Queue[Message | StorageError | None] = asyncio.Queue(WAITING)
        self._watches: dict[int, Followed] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()
        self._next = 0

    async def responses(self, requests: AsyncIterator[Message]) -> Any:  # Any: a generator, for aclosing
        """Answers until the client has said its last word, or is gone. Raises Unavailable."""
        self._aside(self._read(requests))
        try:
            while (response := await self._out.get()) is not None:
                if isinstance(response, StorageError):
                    raise response
                yield response
        finally:
            tasks = [*self._others, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _read(self, requests: AsyncIterator[Message]) -> None:
        try:
            async for request in requests:
                match request.WhichOneof("request_union"):
                    case "create_request":
                        await self._create(request.create_request)
                    case "cancel_request":
                        await self._cancel(request.cancel_request.watch_id)
                    case "progress_request":
                        revision = await self._store.revision()
                        waiting = [await followed.reach() for followed in self._watches.values()]
                        self._aside(self._progress(waiting, revision))
            await self._out.put(None)
        except StorageError as error:
            await self._out.put(error)

    async def _create(self, asked: Message) -> None:
        header = await self._headers.now()
        if refusal := self._refusal(asked):
            # Clients take a watch that is created and cancelled at once for one that was refused.
            response = rpc.WatchResponse(
                header=header, watch_id=EVERY, created=True, canceled=True, cancel_reason=refusal
            )
            await self._out.put(response)
            return
        number = asked.watch_id or self._free()
        watch = self._store.watch(
            asked.key,
            asked.range_end or None,
            start_revision=asked.start_revision or header.revision + 1,
            previous=asked.prev_kv,
        )
        await self._out.put(rpc.WatchResponse(header=header, watch_id=number, created=True))
        followed = Followed(number, asked, watch, self._headers, self._out.put, self._interval)
        self._watches[number] = followed
        self._tasks[number] = asyncio.create_task(self._follow(followed))

    def _refusal(self, asked: Message) -> str:
        if asked.watch_id and asked.watch_id in self._watches:
            return "etcdserver: duplicate watch ID provided on the WatchStream"
        if not asked.key:
            return NO_KEY
        if asked.watch_id < 0 or asked.start_revision < 0:
            return "etcdserver: the id or the start revision of a watch is below 0"
        try:
            self._policy.check_read(self._caller, Span.of(asked.key, asked.range_end or None))
        except Refused as refused:
            report(refused)
            return f"etcdserver: permission denied: {refused}"
        return ""

    def _free(self) -> int:
        while self._next in self._watches:
            self._next += 1
        self._next += 1
        return self._next - 1

    async def _cancel(self, number: int) -> None:
        task = self._tasks.pop(number, None)
        if task is None:
            return
        del self._watches[number]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        header = await self._headers.now()
        await self._out.put(rpc.WatchResponse(header=header, watch_id=number, canceled=True))

    async def _progress(self, waiting: Sequence[asyncio.Future[int]], revision: int) -> None:
        """One answer for all watches, once each was told all that had happened when it was asked for."""
        for each in waiting:
            revision = min(revision, await each) if await each else revision
        await self._out.put(rpc.WatchResponse(header=await self._headers.of(revision), watch_id=EVERY))

    async def _follow(self, followed: Followed) -> None:
        try:
            await followed.run()
            await self._out.put(Unavailable("the store is closed"))
        except Compacted as lost:
            del self._watches[followed.number], self._tasks[followed.number]
            response = rpc.WatchResponse(
                header=await self._headers.now(),
                watch_id=followed.number,
                canceled=True,
                compact_revision=lost.compact_revision,
                cancel_reason=COMPACTED,
            )
            await self._out.put(response)
        except StorageError as error:
            await self._out.put(error)
