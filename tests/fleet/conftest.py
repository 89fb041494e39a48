"""A store in memory that can be away, and helpers to run what works until it is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from io import StringIO
from typing import TypeVar

import pytest
from structlog.typing import FilteringBoundLogger

from storage.base import Unavailable
from storage.engine import Access
from storage.ledger import Ledger
from storage.memory import MemoryStore
from xdsd.settings import LogFormat, LogLevel
from xdsd.telemetry import make_logger

T = TypeVar("T")


class Away(MemoryStore):
    """A store that cannot be reached while ``away``. Its leases live by ``now``, which a test sets, or by ``clock``."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.now = 0.0
        super().__init__(clock=clock or (lambda: self.now))
        self._access = _Gate(self._access, self)
        self.away = False
        self.refused = 0

    async def keep_alive(self, lease: int) -> int:
        self.pass_gate()
        return await super().keep_alive(lease)

    def pass_gate(self) -> None:
        """Raises Unavailable while away."""
        if self.away:
            self.refused += 1
            raise Unavailable("the store is away")


class _Gate:
    """``storage.engine.Access`` that asks before each job."""

    def __init__(self, access: Access, store: Away) -> None:
        self._access = access
        self._store = store

    async def read(self, job: Callable[[Ledger], T]) -> T:
        self._store.pass_gate()
        return await self._access.read(job)

    async def write(self, job: Callable[[Ledger], T], settle: Callable[[T], None]) -> T:
        self._store.pass_gate()
        return await self._access.write(job, settle)

    async def close(self) -> None:
        await self._access.close()


@pytest.fixture
async def store() -> AsyncIterator[Away]:
    store = Away()
    yield store
    await store.close()


@pytest.fixture
def log() -> StringIO:
    return StringIO()


@pytest.fixture
def logger(log: StringIO) -> FilteringBoundLogger:
    return make_logger(LogFormat.JSON, LogLevel.DEBUG, log)


@asynccontextmanager
async def running(work: Callable[[], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    """Runs work in the background, and cancels it at the end."""

    async def run() -> None:
        await work()

    task = asyncio.create_task(run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
