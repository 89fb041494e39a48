"""One thread that writes: jobs that queue while it commits share the next commit, so a sync to disk serves
them all.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from storage.base import StorageError, Unavailable
from storage.ledger import Ledger
from storage.sqlite import SqliteLedger, translated

T = TypeVar("T")

GROUP = 256
SWEEP_ROWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[T]):
    run: Callable[[Ledger], T]
    settle: Callable[[T], None]
    future: asyncio.Future[T]


_Done = tuple[_Job[Any], Any, Exception | None]  # jobs of all answers share one queue


class Writer:
    """Runs write jobs on a ledger that nobody else writes; made and called on the event loop.

    A job that raises a StorageError has recorded nothing. Of the history ``keep`` revisions stay, older
    ones are compacted as new ones come, and ``compacted`` is told on the event loop.
    """

    def __init__(self, ledger: SqliteLedger, *, keep: int, compacted: Callable[[int], None]) -> None:
        self._ledger = ledger
        self._keep = keep
        self._compacted = compacted
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._closing = False
        self._sweeping = True
        self._mark = 0
        self._thread = threading.Thread(target=self._run, name="store writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Ledger], T], settle: Callable[[T], None]) -> asyncio.Future[T]:
        """Queues a job. Its future is done when its effect is durable and ``settle`` was called."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closing:
            future.set_exception(Unavailable("the store is closed"))
        else:
            self._queue.put(_Job(run, settle, future))
        return future

    async def close(self) -> None:
        """Finishes what is queued and ends the thread."""
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        closing = False
        while not closing:
            jobs, closing = self._take()
            if jobs:
                done = self._perform(jobs)
                self._tell(_settle, done)
            self._maintain()
        self._ledger.close()

    def _take(self) -> tuple[list[_Job[Any]], bool]:
        """The jobs that wait, and whether to end; waits for one only if there is nothing to sweep."""
        jobs: list[_Job[Any]] = []
        try:
            while len(jobs) < GROUP:
                job = self._queue.get(block=not jobs and not self._sweeping)
                if job is None:
                    return jobs, True
                jobs.append(job)
        except Empty:
            pass
        return jobs, False

    def _perform(self, jobs: Sequence[_Job[Any]]) -> list[_Done]:
        """Commits jobs together; if that fails, each on its own, so that one's trouble is not the others'."""
        try:
            with translated(self._ledger.path):
                self._ledger.begin()
        except StorageError as error:
            return [(job, None, error) for job in jobs]
        try:
            with translated(self._ledger.path):
                return self._commit(jobs)
        except Exception as error:  # whatever a job raises is its caller's to see
            self._undo()
            if len(jobs) == 1:
                return [(jobs[0], None, error)]
            return [done for job in jobs for done in self._perform([job])]

    def _commit(self, jobs: Sequence[_Job[Any]]) -> list[_Done]:
        done: list[_Done] = []
        for job in jobs:
            try:
                done.append((job, job.run(self._ledger), None))
            except StorageError as refused:
                done.append((job, None, refused))
        self._ledger.commit()
        return done

    def _maintain(self) -> None:
        """Compacts and sweeps one step; trouble with that is told by the next write, which meets the same."""
        ledger = self._ledger
        try:
            if self._keep and ledger.revision - self._keep > ledger.compacted + self._keep // 4:
                ledger.begin()
                behind = max(ledger.revision - self._keep, ledger.compacted)
                ledger.compact(behind)
                ledger.commit()
                self._tell(self._compacted, behind)
            if ledger.compacted != self._mark:
                self._mark = ledger.compacted
                self._sweeping = True
            if self._sweeping:
                ledger.begin()
                self._sweeping = ledger.sweep(SWEEP_ROWS)
                ledger.commit()
        except sqlite3.Error:
            self._sweeping = False
            self._undo()

    def _tell(self, callback: Callable[[T], None], value: T) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, value)
        except RuntimeError:
            self._closing = True  # the event loop has ended: nobody waits for an answer

    def _undo(self) -> None:
        try:
            self._ledger.rollback()
        except sqlite3.Error:
            return  # the driver has ended the transaction itself


def _settle(done: Sequence[_Done]) -> None:
    for job, answer, error in done:
        if error is None:
            job.settle(answer)
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(answer)
        else:
            job.future.set_exception(error)
