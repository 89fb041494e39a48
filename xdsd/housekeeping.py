"""What a daemon does when it has nothing to do.

Python's cyclic collector walks everything that lives, and in a control plane nearly everything lives long: walking it would
stop the event loop for as long as the mesh is large. So what is there after the start is frozen (never walked again), the
collector runs by hand on what came since, and what it leaves is frozen too. Objects that are let go are freed by their
reference counts all the same; only cycles among frozen ones are not, and the daemon's own structures break theirs.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable


def settle_memory() -> None:
    """Collects once, and freezes what is left."""
    gc.collect()
    gc.freeze()


async def keep_house(
    idle: Callable[[], bool],
    chores: Callable[[], None],
    *,
    every: float = 10.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Every so many seconds, when ``idle``, does the ``chores`` and collects what came since; until cancelled."""
    gc.disable()
    settle_memory()
    waited = 0
    while True:
        await sleep(every)
        waited += 1
        if idle() or waited >= 6:
            chores()
            settle_memory()
            waited = 0
