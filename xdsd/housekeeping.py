"""What a daemon does when it has nothing to do.

Python's cyclic collector walks everything that lives, and in a control plane nearly everything lives long: walking it would
stop the event loop for as long as the mesh is large. So what is there after the start is frozen (never walked again), the
collector runs by hand on what came since, in idle moments and whenever much has come, and what it leaves is frozen too.
Objects that are let go are freed by their reference counts all the same; only cycles among frozen ones are not, and the
daemon's own structures break theirs.

Threads read what may block, files above all. One that parses holds the interpreter for as long as Python lets it, and the
loop waits that long each time it has asked the kernel for something, so it is let have its turn sooner than by default.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable

PLENTY = 0.001
"""Seconds of work that walking what came since the last collection may take before it is collected and frozen."""

SHORTEST = 1 / 16
"""The part of a glance after which it is looked again while much comes."""

SWITCH = 0.0005
"""Seconds after which a thread that computes gives way to the loop; 0.005 is Python's own."""


def settle_memory() -> None:
    """Collects once, and freezes what is left."""
    gc.collect()
    gc.freeze()


def walk_young() -> float:
    """Collects what came since this was last done, freezing nothing; the seconds that it took, of this thread alone.

    It is the measure of how much came. The collector's own count goes down with every object that is let go, old ones too,
    so it stays low where much is replaced; and to have the objects listed is to hold them, which no thread outlives that is
    making a tuple just then.
    """
    began = time.thread_time()
    gc.collect(0)
    return time.thread_time() - began


async def keep_house(
    idle: Callable[[], bool],
    chores: Callable[[], None],
    *,
    every: float = 10.0,
    glance: float = 0.1,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    walk: Callable[[], float] = walk_young,
) -> None:
    """Does the ``chores`` and collects every so many seconds, once ``idle`` or long overdue; until cancelled.

    Walks what is young each ``glance`` seconds, and sooner while much comes; once so much is left of it that collecting it
    later would take long, it is collected and frozen.
    """
    sys.setswitchinterval(SWITCH)
    gc.disable()
    settle_memory()
    waited, pause, walked = 0.0, glance, 0.0
    while True:
        await sleep(pause)
        waited += pause
        took = walk()
        walked += took
        pause = next_pause(pause, took, glance)
        if (waited >= every and idle()) or waited >= 6 * every:
            chores()
            waited = 0.0
            settle_memory()
        elif took >= PLENTY:
            gc.freeze()  # all that is young was walked just now
        elif walked >= PLENTY:
            settle_memory()
        else:
            continue
        walked = 0.0


def next_pause(pause: float, took: float, glance: float) -> float:
    """Seconds in which about ``PLENTY`` comes if it does as fast as it did, so that walking it ``took`` as long."""
    expected = pause * PLENTY / max(took, PLENTY / 1000)
    return min(glance, max(expected, glance * SHORTEST))
