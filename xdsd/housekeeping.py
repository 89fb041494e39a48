"""What a daemon does when it has nothing to do.

Python's cyclic collector walks everything that lives, and in a control plane nearly everything lives long: walking it would
stop the event loop for as long as the mesh is large. So what is there after the start is frozen (never walked again), the
collector runs by hand on what came since, in idle moments and whenever much has come, and what it leaves is frozen too.
Objects that are let go are freed by their reference counts all the same; only cycles among frozen ones are not, and the
daemon's own structures break theirs.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable

PLENTY = 50_000
"""Objects that came since the last collection; walking them takes about 10 ms."""


def settle_memory() -> None:
    """Collects once, and freezes what is left."""
    gc.collect()
    gc.freeze()


async def keep_house(
    idle: Callable[[], bool],
    chores: Callable[[], None],
    *,
    every: float = 10.0,
    glance: float = 0.1,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Does the ``chores`` and collects every so many seconds, once ``idle`` or long overdue; until cancelled.

    Looks each ``glance`` seconds whether so much has come meanwhile that collecting it later would take long.
    """
    gc.disable()
    settle_memory()
    waited = 0.0
    while True:
        await sleep(glance)
        waited += glance
        if (waited >= every and idle()) or waited >= 6 * every:
            chores()
            settle_memory()
            waited = 0.0
        elif gc.get_count()[0] >= PLENTY:
            settle_memory()
