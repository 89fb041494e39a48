"""Slowing down those who guess: each failure of an origin, or for a name, doubles the wait of its next attempt.

An attempt counts as failed before it is looked at, and is forgiven when it was right; so those that come all at once take
turns like any others.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

FIRST, LONGEST = 0.1, 10.0
"""Seconds of the first wait, and of the longest."""
FORGIVEN = 600.0
"""Seconds after which failures are forgotten."""
PATIENCE = 30.0
"""Seconds that an attempt waits at most."""
MOST = 10_000
"""Origins and names that are remembered; the oldest are forgotten first."""


class TooManyAttempts(Exception):  # noqa: N818 - it is named after what is the matter
    """Others wait already, for longer than one call should."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many failed attempts; try again in {seconds:.0f} seconds")


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class Throttle:
    """Failures by key. ``clock`` counts seconds."""

    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()

    def trusts(self, name: str, origin: str) -> bool:
        """Whether the key ``name`` was proved from there before: what others guess elsewhere must not keep its owner out."""
        return (name, origin) in self._proved

    async def attempt(self, keys: Sequence[str]) -> None:
        """Counts a failure for each key, then waits until every key's turn has come; the first waits for nothing.

        Raises:
            TooManyAttempts: so many wait already that this one would take longer than ``PATIENCE``.
        """
        now = self._clock()
        start = max(now, *(self._due(key, now) for key in keys))
        if start - now > PATIENCE:
            raise TooManyAttempts(start - now)
        for key in keys:
            known = self._failures.pop(key, None)
            count = known.count + 1 if known and now - known.last < FORGIVEN else 1
            self._failures[key] = _Failures(count, start)
        while len(self._failures) > MOST:
            self._failures.popitem(last=False)
        if start > now:
            await self._sleep(start - now)

    def held(self, name: str, origin: str, keys: Iterable[str]) -> None:
        """The attempt was right: forgets all failures of the key ``name``, and of the others this attempt alone.

        Whoever knows one password is not forgiven what they tried with others from the same origin.
        """
        self._failures.pop(name, None)
        self._proved[name, origin] = None
        self._proved.move_to_end((name, origin))
        while len(self._proved) > MOST:
            self._proved.popitem(last=False)
        for key in keys:
            known = self._failures.get(key)
            if known is None:
                continue
            known.count -= 1
            if not known.count:
                del self._failures[key]

    def _due(self, key: str, now: float) -> float:
        known = self._failures.get(key)
        if known is None or now - known.last >= FORGIVEN:
            return now
        return known.last + min(FIRST * 2.0 ** min(known.count - 1, 20), LONGEST)
