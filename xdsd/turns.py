"""An event loop whose turns stay short when thousands of connections have something to say at once.

asyncio's own loop calls everybody whose connection is readable before it looks at what else is due: when a platform
answers 5,000 queries at the same time, timers and streams wait until all 5,000 were read. Here a turn is for some of them,
and whatever is due, or was woken by them, has its turn before the next.

Who has much to do does it in steps, and looks after each how long the turn has taken, not how long it took itself: several
who all have much to do would else make a turn as long as all of theirs together.
"""

import asyncio
import selectors
import time
from collections import deque
from collections.abc import Iterable

TURN = 0.003
"""Seconds of a turn after which what is left of long work is left to the next."""

READY = 16
"""Connections that are read or written in one turn."""

Events = list[tuple[selectors.SelectorKey, int]]


class ShortTurns(selectors.DefaultSelector):
    """Tells of at most so many connections at once, and of the others before it looks again.

    A turn has ``began`` when it told.
    """

    def __init__(self, most: int = READY) -> None:
        super().__init__()
        self.began = time.monotonic()
        self._most = most
        self._rest: deque[tuple[selectors.SelectorKey, int]] = deque()

    def select(self, timeout: float | None = None) -> Events:
        """As everywhere; what was unregistered or registered anew since it was seen is left out."""
        found = self._found(timeout)
        self.began = time.monotonic()
        return found

    def _found(self, timeout: float | None) -> Events:
        if not self._rest:
            ready = super().select(timeout)
            if len(ready) <= self._most:
                return ready
            self._rest.extend(ready)
        known = self.get_map()
        some = [self._rest.popleft() for _ in range(min(self._most, len(self._rest)))]
        return [each for each in some if each[0].fd in known and known[each[0].fd] is each[0]]


class Loop(asyncio.SelectorEventLoop):
    """With short ``turns``."""

    def __init__(self, turns: ShortTurns | None = None) -> None:
        self.turns = turns or ShortTurns()
        super().__init__(self.turns)


def new_loop() -> Loop:
    """For ``asyncio.Runner``."""
    return Loop()


class Pace:
    """Of one long work, on the loop that runs."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._turns = loop.turns if isinstance(loop, Loop) else None
        self._began = loop.time()

    async def step(self) -> None:
        """After each step: once the turn has taken long, the next step is of the next turn.

        On a loop of another kind the steps since this was last so count alone.
        """
        began = self._began if self._turns is None else self._turns.began
        if self._clock() - began >= TURN:
            await asyncio.sleep(0)
            self._began = self._clock()


async def in_slices(work: Iterable[None]) -> None:
    """Does all of ``work``, letting the event loop turn."""
    pace = Pace()
    for _ in work:
        await pace.step()
