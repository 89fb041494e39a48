"""A watch on etcd that outlives its streams.

It remembers the next revision that it owes its reader, so a stream that breaks is opened again, at another member if need
be, without gap or duplicate. Streams need a leader: a member that lost touch with the others ends them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

import grpc
from aetcd import rpc

from storage.base import Compacted, StorageError, Unavailable, WatchBatch
from storage.etcd_endpoints import Endpoints, Member
from storage.etcd_errors import Fate, fate, refusal
from storage.etcd_wire import event
from storage.spans import Span

Message = Any  # aetcd's generated messages carry no type information
Stream = Any  # of grpc.aio, generic in the stubs alone

_PAUSE = 0.1
_ASKS = 2
"""How often progress is asked for until it is believed: etcd before 3.4.25 and 3.5.8 may answer the first time before what
had happened was told (its issue 15220).
"""


class History:
    """What is known of the history that we follow: a store that was restored from a snapshot has another one."""

    def __init__(self) -> None:
        self.revision = 0
        self.cluster = 0
        self.term = 0
        self.epoch = 0

    def note(self, header: Message) -> None:
        """Learns from an answer."""
        if self._another(header):
            self.begin_again(header)
        self.cluster = header.cluster_id
        self.term = max(self.term, header.raft_term)
        self.revision = max(self.revision, header.revision)

    def broken(self, header: Message, owed: int) -> bool:
        """True if what answers has not the history that a watch, which is owed ``owed`` next, has followed."""
        return self._another(header) or header.revision < min(owed - 1, self.revision)

    def begin_again(self, header: Message) -> None:
        """Takes the history of what answers for the one to follow."""
        self.cluster, self.term, self.revision = header.cluster_id, header.raft_term, header.revision
        self.epoch += 1

    def _another(self, header: Message) -> bool:
        return self.cluster not in (0, header.cluster_id) or header.raft_term < self.term


class EtcdWatch:
    """``storage.base.Watch``. Read by one task at a time."""

    def __init__(
        self,
        endpoints: Endpoints,
        history: History,
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
        self._span = span
        self._next = start_revision or (history.revision + 1 if history.revision else 0)
        self._pinned = bool(start_revision)
        self._previous = previous
        self._patience = patience
        self._ready: deque[WatchBatch] = deque()
        self._pieces: list[Message] = []
        self._stream: Stream = None
        self._member: Member | None = None
        self._created = False
        self._asked = 0
        self._unreachable_since: float | None = None
        self._closed = False
        self._lost: StorageError | None = None

    def __aiter__(self) -> AsyncIterator[WatchBatch]:
        return self

    async def __anext__(self) -> WatchBatch:
        while not (self._closed or self._endpoints.closed):
            if self._ready:
                return self._ready.popleft()
            if self._lost is not None:
                raise self._lost
            try:
                await self._read()
            except grpc.aio.AioRpcError as error:
                await self._broken(error)
            except grpc.aio.UsageError:  # the channel was closed under the stream
                await self._drop()
            except asyncio.CancelledError:
                if not (self._closed or self._endpoints.closed):
                    await self._drop()
                    raise
        raise StopAsyncIteration

    async def request_progress(self) -> None:
        self._asked = _ASKS
        if self._created:
            await self._ask_progress()

    async def close(self) -> None:
        self._closed = True
        self._ready.clear()
        await self._drop()

    async def _read(self) -> None:
        if self._stream is None:
            await self._open()
        message = await self._stream.read()
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in the stubs alone
            await self._drop()
            await asyncio.sleep(_PAUSE)
            return
        self._unreachable_since = None
        self._take(message)
        if message.created and not message.canceled and self._asked:
            await self._ask_progress()

    async def _open(self) -> None:
        member = self._endpoints.current
        self._member = member
        metadata = await self._endpoints.credentials(member, self._patience)
        self._stream = member.watch.Watch(metadata=metadata)
        self._pieces = []
        key, range_end = self._span
        create = rpc.WatchCreateRequest(
            key=key,
            range_end=range_end or b"",
            start_revision=self._next,
            prev_kv=self._previous,
            fragment=True,
        )
        await self._stream.write(rpc.WatchRequest(create_request=create))

    def _take(self, message: Message) -> None:
        if message.created and self._history.broken(message.header, self._next):
            self._history.begin_again(message.header)
        if self._epoch != self._history.epoch:
            self._lost = Compacted(message.header.revision)
            return
        self._history.note(message.header)
        if message.canceled:
            self._canceled(message)
        elif message.created:
            self._created = True
            self._next = self._next or message.header.revision + 1
        elif message.events or message.fragment:
            self._pieces.append(message)
            if not message.fragment:
                self._deliver()
        else:
            self._progressed(message.header.revision)

    def _deliver(self) -> None:
        changes = [event(each) for message in self._pieces for each in message.events]
        self._pieces = []
        for revision, group in groupby(changes, key=lambda change: change.kv.mod_revision):
            if revision >= self._next:
                self._ready.append(WatchBatch(revision, tuple(group)))
                self._next = revision + 1

    def _progressed(self, revision: int) -> None:
        if self._asked and (last := self._asked == 1):
            self._ready.append(WatchBatch(revision, ()))
            self._asked -= last
        elif self._asked:
            self._asked -= 1

    def _canceled(self, message: Message) -> None:
        if message.compact_revision and not self._pinned:
            # From now on was asked for: what happened before the call is owed to nobody.
            self._next = message.compact_revision
            self._created = False
            self._stream = None
        elif message.compact_revision:
            self._lost = Compacted(message.compact_revision)
        elif "permission denied" in message.cancel_reason or "auth" in message.cancel_reason:
            self._endpoints.forget_token()
            self._lost = Unavailable(f"etcd ended the watch: {message.cancel_reason}")
        else:
            self._stream = None

    async def _ask_progress(self) -> None:
        try:
            for _ in range(self._asked):
                await self._stream.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the stream is broken; it is asked again when the next one is open

    async def _broken(self, error: grpc.aio.AioRpcError) -> None:
        """After a stream that broke: the next one is tried elsewhere; an outage that lasts is told."""
        await self._drop()
        found = fate(error)
        if found is Fate.STALE_TOKEN:
            self._endpoints.forget_token()
        elif found is Fate.REFUSED:
            raise refusal(error) from error
        elif self._member is not None:
            self._endpoints.leave(self._member)
        now = asyncio.get_running_loop().time()
        if self._unreachable_since is None:
            self._unreachable_since = now
        elif now - self._unreachable_since > self._patience:
            self._unreachable_since = None
            raise Unavailable(f"no etcd answers the watch: {error.details() or error.code().name}") from error
        await asyncio.sleep(_PAUSE)

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        self._created = False
        if stream is not None:
            stream.cancel()
