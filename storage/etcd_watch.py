"""A watch on etcd that outlives its streams.

It remembers the next revision that it owes its reader, so a stream that breaks is opened again, at another member if need
be, without gap or duplicate. Streams need a leader: a member that lost touch with the others ends them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import groupby
from typing import Any

import grpc
from aetcd import rpc

from storage.base import Compacted, StorageError, Unavailable, WatchBatch
from storage.etcd_endpoints import Endpoints, Member, Metadata
from storage.etcd_errors import Fate, fate, is_about_us, reason, refusal, refused
from storage.etcd_wire import event
from storage.spans import Span

Message = Any  # aetcd's generated messages carry no type information
Stream = Any  # of grpc.aio, generic in the stubs alone

_PAUSE = 0.1
_SYNCING = 0.25
"""Seconds between two questions for progress. etcd before 3.4.25 and 3.5.8 may answer the first before it told what had
happened (its issue 15220), and since then does not answer before; it catches up ten times a second.
"""


class History:
    """What is known of the history that we follow: a store that was restored from a snapshot has another one.

    ``epoch`` counts the histories. Only answers to linearizable requests tell: a member that lags has an older revision and
    an older term than the cluster. Such an answer is of what was known when it was asked for, or later; what was learned
    since may be newer, as answers overtake each other.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.epoch = 0
        self._cluster = 0
        self._term = 0

    @property
    def known(self) -> tuple[int, int, int]:
        """What an answer that is asked for now cannot be behind: the epoch, revision and term."""
        return self.epoch, self.revision, self._term

    def note(self, header: Message, asked: tuple[int, int, int]) -> None:
        """Learns from the answer to a linearizable request; ``asked`` is what was ``known`` when it was asked."""
        epoch, revision, term = asked
        if epoch != self.epoch:
            return  # it may be of the history before
        other = self._cluster not in (0, header.cluster_id)
        if other or header.raft_term < term or header.revision < revision:
            self.epoch += 1
            self._term = self.revision = 0
        self._cluster = header.cluster_id
        self._term = max(self._term, header.raft_term)
        self.revision = max(self.revision, header.revision)


class EtcdWatch:
    """``storage.base.Watch``. Read by one task at a time."""

    def __init__(
        self,
        endpoints: Endpoints,
        history: History,
        newest: Callable[[], Awaitable[int]],
        span: tuple[bytes, bytes | None],
        start_revision: int,
        *,
        previous: bool,
        patience: float,
    ) -> None:
        Span.of(*span)
        self._endpoints = endpoints
        self._history = history
        self._epoch = history.epoch
        self._newest = newest
        self._span = span
        self._next = start_revision or (history.revision + 1 if history.revision else 0)
        self._pinned = bool(start_revision)
        self._previous = previous
        self._patience = patience
        self._ready: deque[WatchBatch] = deque()
        self._pieces: list[Message] = []
        self._stream: Stream = None
        self._member: Member | None = None
        self._metadata: Metadata = ()
        self._proved = False
        self._created = False
        self._asked = False
        self._doubted = False
        self._asking: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[Message] | None = None
        self._wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unreachable_since: float | None = None
        self._closed = False
        self._lost: StorageError | None = None

    def __aiter__(self) -> AsyncIterator[WatchBatch]:
        return self

    async def __anext__(self) -> WatchBatch:
        while not self._ended():
            if self._ready:
                return self._ready.popleft()
            if self._lost is not None:
                raise self._lost
            try:
                await self._read()
            except grpc.aio.AioRpcError as error:
                await self._broken(error)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._ended() or (task is not None and task.cancelling()):
                    raise
            except Unavailable as error:
                await self._drop()
                await self._wait(str(error))
            except TimeoutError:
                if self._member is not None:
                    self._endpoints.leave(self._member)
                await self._wait("it does not answer")
            except grpc.aio.UsageError:  # the channel was closed under the stream
                await self._drop()
        raise StopAsyncIteration

    def _ended(self) -> bool:
        return self._closed or self._endpoints.closed

    async def request_progress(self) -> None:
        self._asked, self._doubted = True, False
        self._ask_progress()

    async def close(self) -> None:
        self._closed = True
        self._ready.clear()
        await self._drop()

    async def _read(self) -> None:
        message = await self._received()
        if message is None:
            return
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in the stubs alone
            await self._drop()
            await asyncio.sleep(_PAUSE)
            return
        if message.created:
            await self._check_history()
        if message.canceled:
            await self._canceled(message)
            return
        self._unreachable_since = None
        self._proved = False
        self._take(message)
        if message.created:
            self._ask_progress()

    async def _received(self) -> Message:
        """The next message; None where there is something else to look at first.

        What is read is kept over a reader that is cancelled while it waits.
        """
        if self._reading is None:
            stream = self._stream or await self._open()
            self._reading = asyncio.create_task(stream.read(), name="etcd watch")
        await asyncio.wait({self._reading, self._wake}, return_when=asyncio.FIRST_COMPLETED)
        if self._wake.done():
            self._wake = asyncio.get_running_loop().create_future()
        if self._reading is None or not self._reading.done():
            return None
        reading, self._reading = self._reading, None
        return None if reading.cancelled() else reading.result()

    async def _open(self) -> Stream:
        member = await self._endpoints.pick()
        self._member = member
        self._metadata = await self._endpoints.credentials(member, self._patience)
        stream = self._stream = member.watch.Watch(metadata=self._metadata)
        self._pieces = []
        key, range_end = self._span
        create = rpc.WatchCreateRequest(
            key=key,
            range_end=range_end or b"",
            start_revision=self._next,
            prev_kv=self._previous,
            fragment=True,
        )
        await stream.write(rpc.WatchRequest(create_request=create))
        return stream

    async def _check_history(self) -> None:
        """Finds out whether what answers has the history that this watch has followed so far."""
        await self._newest()
        if self._epoch != self._history.epoch:
            self._lost = Compacted(self._history.revision)

    def _take(self, message: Message) -> None:
        if message.created:
            self._created = self._pinned = True
            self._next = self._next or message.header.revision + 1
        elif message.events or message.fragment:
            self._pieces.append(message)
            if not message.fragment:
                self._deliver()
        elif self._asked:
            self._progressed(message.header.revision)

    def _deliver(self) -> None:
        changes = [event(each) for message in self._pieces for each in message.events]
        self._pieces = []
        for revision, group in groupby(changes, key=lambda change: change.kv.mod_revision):
            if revision >= self._next:
                self._ready.append(WatchBatch(revision, tuple(group)))
                self._next = revision + 1

    def _progressed(self, revision: int) -> None:
        if revision < self._next or self._doubted:
            self._ready.append(WatchBatch(revision, ()))
            self._asked = self._doubted = False
        else:
            self._doubted = True

    async def _canceled(self, message: Message) -> None:
        """etcd ended the watch, and says why; the stream goes with it."""
        said, used = message.cancel_reason, self._metadata
        await self._drop()
        if message.compact_revision and not self._pinned:
            # From now on was asked for: what happened before the call is owed to nobody.
            self._next = message.compact_revision
        elif message.compact_revision:
            self._lost = Compacted(message.compact_revision)
        elif not self._proved and is_about_us(said):
            # Releases differ in what they say of a token that ended, so that is what is thought first.
            self._proved = True
            self._endpoints.forget_token(used)
        else:
            self._lost = refused(said) if is_about_us(said) else self._lost
            await self._wait(f"etcd ended it: {said}")

    def _ask_progress(self) -> None:
        if self._asked and self._created and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._keep_asking(self._stream), name="etcd watch progress")

    async def _keep_asking(self, stream: Stream) -> None:
        """Asks until it is answered. Newer etcds answer only once they have told all, and forget who asked before; a
        watch that is owed nothing yet they do not answer at all.
        """
        with suppress(
            grpc.aio.AioRpcError, asyncio.InvalidStateError, StorageError
        ):  # the next stream asks again
            while self._asked and self._stream is stream:
                newest = await self._newest()
                if self._asked and newest < self._next:
                    self._progressed(newest)
                    self._rouse()
                    return
                await stream.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))
                await asyncio.sleep(_SYNCING)

    def _rouse(self) -> None:
        if not self._wake.done():
            self._wake.set_result(None)

    async def _broken(self, error: grpc.aio.AioRpcError) -> None:
        """After a stream that broke: the next one is tried elsewhere; an outage that lasts is told."""
        await self._drop()
        found = fate(error)
        if found is Fate.STALE_TOKEN:
            self._endpoints.forget_token(self._metadata)
        elif found is Fate.REFUSED:
            raise refusal(error) from error
        elif self._member is not None:
            self._endpoints.leave(self._member)
        await self._wait(reason(error))

    async def _wait(self, why: str) -> None:
        """A moment before the next attempt. Raises Unavailable where none has succeeded for long."""
        now = asyncio.get_running_loop().time()
        if self._unreachable_since is None:
            self._unreachable_since = now
        elif now - self._unreachable_since > self._patience:
            self._unreachable_since = None
            raise Unavailable(f"no etcd answers the watch: {why}")
        await asyncio.sleep(_PAUSE)

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        self._created = False
        for task in (self._asking, self._reading):
            if task is not None:
                _discard(task)
        self._asking = self._reading = None
        self._rouse()
        if stream is not None:
            stream.cancel()


def _discard(task: asyncio.Task[Any]) -> None:
    """Ends a task whose outcome nobody wants, its error included."""
    task.cancel()
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
