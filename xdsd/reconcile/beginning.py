"""The time before anything is published: what sources report is taken in as they complete, so that it can be seen.

A source that is away would hold up all others for as long as it is. Whoever runs the mesh may bound that, knowing what it
means: what only that source declares leaves proxies that were configured before. What a source has reported of itself by
halves is not taken in; it waits until the source has said all.
"""

import asyncio
from collections.abc import Callable

from xdsd.reconcile.intake import ROUND, Intake
from xdsd.reconcile.sources import Sources
from xdsd.turns import in_slices


async def until_reported(
    sources: Sources,
    intake: Intake,
    wake: asyncio.Event,
    clock: Callable[[], float],
    patience: float | None,
) -> None:
    """Returns once each source has reported all it had, or was waited for ``patience`` seconds; None: as long as it takes.
    ``wake`` is set where there is something new.
    """
    due = None if patience is None else clock() + patience
    while not sources.synced.is_set():
        wake.clear()
        await in_slices(intake.take(ROUND))
        if intake.left or sources.synced.is_set():
            continue
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - clock())):
                await wake.wait()
        except TimeoutError:
            due = None
            sources.give_up()
    wake.set()
