"""How long is kept what a platform forgot that lost its data, over restarts of the daemon too.

What is held is written down within a second of each change, and when the daemon ends: one that is killed may hold what came
back in its last second. It is held until a time of the day, so that daemons that are restarted again and again hold it no
longer.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from xdsd.registry.last_good import LastGood
from xdsd.registry.lines import Unreadable
from xdsd.turns import in_slices

FILE = "held"
"""The name of the copy; there is no such file."""

_EVERY = 1.0
_REST = 20.0
"""How many times as long as writing took is not written again: where very much is held, it is a small part of the work."""


class Dated(Protocol):
    """What is held, as it was written down."""

    @property
    def until(self) -> float:
        """Until when, in seconds since 1970."""


Held = TypeVar("Held", bound=Dated)


class Memory(Protocol[Held]):
    """What one source knows of what its platform forgot."""

    @property
    def losses(self) -> int:
        """Another number whenever something else is lost."""

    def written(self, until: float) -> Iterator[bytes]:
        """What is lost, to be written down, in parts that are quick to make; none if nothing is."""

    def read(self, data: bytes) -> Held:
        """What was written down; called from a thread. Raises Unreadable."""

    async def recall(self, held: Held, until: float) -> None:
        """It was lost in an earlier life of the daemon."""

    def unread(self, why: str) -> None:
        """What was written down cannot be read."""

    def let_go(self) -> None:
        """What was not seen again is held no longer."""


class Holding(Generic[Held]):
    """Of one source; ``hold`` is for how many seconds. Without ``copies`` nothing outlives the daemon."""

    def __init__(
        self,
        memory: Memory[Held],
        hold: float,
        copies: LastGood | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._memory = memory
        self._hold = hold
        self._copies = copies
        self._clock = clock
        self._until = 0.0
        self._release: asyncio.TimerHandle | None = None
        self._begun = asyncio.Event()
        self._saved = 0
        self._writing = threading.Lock()
        self._written = 0

    @property
    def is_on(self) -> bool:
        """Whether something may be held."""
        return self._release is not None

    async def recall(self) -> None:
        """At the start: what was held in an earlier life of the daemon is held on."""
        data = await asyncio.to_thread(self._copies.load, FILE) if self._copies else None
        if not data:
            return
        try:
            held = await asyncio.to_thread(self._memory.read, data)
        except Unreadable as error:
            self._memory.unread(str(error))
            self.begin(self.renew())
            return
        # A clock that was set back makes nothing last longer than it would have from now.
        until = min(held.until, self.renew())
        if until <= self._clock():
            self._forget()
            return
        await self._memory.recall(held, until)
        self._saved = self._memory.losses
        self.begin(until)

    def renew(self) -> float:
        """The platform forgot what it knew: until when that is held. Nothing is let go before it is ``begin``."""
        if self._release is not None:
            self._release.cancel()
            self._release = None
        return self._clock() + self._hold

    def begin(self, until: float) -> None:
        """What was lost is held."""
        self.renew()
        self._until = until
        seconds = max(until - self._clock(), 0.0)
        self._release = asyncio.get_running_loop().call_later(seconds, self._let_go)
        self._begun.set()

    async def keep(self) -> None:
        """Writes down what is held, until cancelled."""
        pause = _EVERY
        clock = asyncio.get_running_loop().time
        try:
            while True:
                await self._begun.wait()
                await asyncio.sleep(pause)
                if self._due():
                    began = clock()
                    await self._write()
                    pause = max(_EVERY, (clock() - began) * _REST)
        finally:
            due = self._due()
            self.renew()
            if due:
                self._save(tuple(self._memory.written(self._until)), self._memory.losses)

    def _due(self) -> bool:
        return self._copies is not None and self.is_on and self._saved != self._memory.losses

    async def _write(self) -> None:
        losses, parts = self._memory.losses, list[bytes]()

        def collect() -> Iterator[None]:
            for part in self._memory.written(self._until):
                parts.append(part)
                yield

        await in_slices(collect())
        if self.is_on:
            await asyncio.to_thread(self._save, parts, losses)
            self._saved = losses

    def _save(self, parts: Sequence[bytes], losses: int) -> None:
        """Writes, unless what was lost later was written meanwhile, by who does not wait for a thread any more."""
        with self._writing:
            if self._copies is None or losses < self._written:
                return
            self._written = losses
            if parts:
                self._copies.save(FILE, b"".join(parts))
            else:
                self._forget()

    def _forget(self) -> None:
        if self._copies is not None:
            self._copies.only(())

    def _let_go(self) -> None:
        self._release = None
        self._begun.clear()
        self._memory.let_go()
        self._forget()
