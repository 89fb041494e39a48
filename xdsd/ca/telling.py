"""Telling somebody of many revoked certificates, several at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from xdsd.ca.issuer import CannotIssue

AT_ONCE = 16
PATIENCE = 16
"""Failures after which the rest is not told."""


async def tell_all(tell: Callable[[int], Awaitable[None]], serials: Sequence[int]) -> None:
    """Tells of all, past some that fail. Raises CannotIssue, with the first failure's words and how many were not told."""
    left, failures = list(reversed(serials)), list[str]()

    async def work() -> None:
        while left and len(failures) < PATIENCE:
            serial = left.pop()
            try:
                await tell(serial)
            except CannotIssue as error:
                failures.append(str(error))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(AT_ONCE, len(serials))):
            tasks.create_task(work())
    if failures:
        untold = len(failures) + len(left)
        raise CannotIssue(
            failures[0] + (f" ({untold} of {len(serials)} certificates)" if len(serials) > 1 else "")
        )
