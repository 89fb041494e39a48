"""Numbers that grow until their window is over."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MOST = 250_000
"""How many counters are kept in memory, about 100 MB; beyond them those that were used least lately are forgotten."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something to add to the counter ``key``, which is of no use in ``left`` seconds any more."""

    key: str
    amount: int
    left: float


class CountersUnavailableError(Exception):
    """The numbers cannot be reached now; says why."""


class Counters(Protocol):
    """Where numbers are kept."""

    async def add(self, hits: Sequence[Hit]) -> list[int]:
        """Adds each and returns the sums, this addition included. Raises CountersUnavailableError."""

    async def close(self) -> None:
        """Lets go of what is held."""


class MemoryCounters:
    """Counters of one daemon. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def add(self, hits: Sequence[Hit]) -> list[int]:
        now = self._clock()
        return [self._add(hit, now) for hit in hits]

    async def close(self) -> None:
        self._counts.clear()

    def __len__(self) -> int:
        return len(self._counts)

    def _add(self, hit: Hit, now: float) -> int:
        self._forget(now)
        before, ends = self._counts.get(hit.key, (0, now + hit.left))
        total = hit.amount if ends <= now else before + hit.amount
        self._counts[hit.key] = (total, now + hit.left)
        self._counts.move_to_end(hit.key)
        return total

    def _forget(self, now: float) -> None:
        """Drops what is over among those used least lately, a few at a time, and what there is no room for."""
        for _ in range(2):
            if not self._counts:
                return
            key, (_, ends) = next(iter(self._counts.items()))
            if ends > now and len(self._counts) < self._most:
                return
            del self._counts[key]
