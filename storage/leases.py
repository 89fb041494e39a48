"""The time of leases: who is due when, and one task that ends those whose time has run out."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from storage.base import LeaseNotFound, StorageError


@dataclass(slots=True)
class _Lease:
    ttl: int
    deadline: float


class LeaseTimes:
    """Deadlines by lease id, on a clock that counts seconds.

    ``expire`` is awaited for each lease that ran out, and again after ``tick`` seconds if the store failed
    to do it. The clock is looked at every ``tick`` seconds at least, so that it may run ahead of the event
    loop's.
    """

    def __init__(
        self, clock: Callable[[], float], expire: Callable[[int], Awaitable[None]], *, tick: float = 0.5
    ) -> None:
        self._clock = clock
        self._expire = expire
        self._tick = tick
        self._leases: dict[int, _Lease] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self, lease: int, ttl: int) -> None:
        """Begins the time of a lease."""
        self._leases[lease] = _Lease(ttl, self._clock() + ttl)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="lease expiry")

    def renew(self, lease: int) -> int:
        """Begins the time again; its length. Raises LeaseNotFound."""
        entry = self._alive(lease)
        entry.deadline = self._clock() + entry.ttl
        return entry.ttl

    def left(self, lease: int) -> int:
        """Whole seconds left. Raises LeaseNotFound."""
        return int(self._alive(lease).deadline - self._clock())

    def granted(self, lease: int) -> int:
        """Seconds that a lease was granted for. Raises LeaseNotFound."""
        return self._alive(lease).ttl

    def ids(self) -> tuple[int, ...]:
        """The leases that live, in the order of their ids."""
        now = self._clock()
        return tuple(sorted(lease for lease, entry in self._leases.items() if entry.deadline > now))

    def end(self, lease: int) -> None:
        """Forgets a lease."""
        self._leases.pop(lease, None)

    async def close(self) -> None:
        """Stops the task; no lease ends any more."""
        self._leases.clear()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _alive(self, lease: int) -> _Lease:
        entry = self._leases.get(lease)
        if entry is None or entry.deadline <= self._clock():
            raise LeaseNotFound(f"lease {lease} never was, was revoked, or has expired")
        return entry

    async def _run(self) -> None:
        while self._leases:
            now = self._clock()
            for lease in [lease for lease, entry in self._leases.items() if entry.deadline <= now]:
                await self._end(lease)
            if self._leases:
                wait = min(entry.deadline for entry in self._leases.values()) - self._clock()
                await asyncio.sleep(wait if 0 < wait < self._tick else self._tick)

    async def _end(self, lease: int) -> None:
        try:
            await self._expire(lease)
        except LeaseNotFound:
            self.end(lease)
        except StorageError:
            return  # still listed, so it is tried again
