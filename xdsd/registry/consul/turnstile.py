"""How much of what Consul answers is worked on in one turn of the event loop."""

import asyncio
from collections import deque

MOST = 96 << 10
"""Bytes of answers in one turn; reading them takes some milliseconds."""


class Turnstile:
    """Lets through who comes, in order, so that no turn is of more than ``most`` bytes, or of one answer."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._left = most
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._turning = False

    async def enter(self, size: int) -> None:
        """Returns in a turn that has time for an answer of so many bytes."""
        if self._left > 0 and not self._waiting:
            self._spend(size)
            return
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append((admitted, size))
        await admitted

    def _spend(self, size: int) -> None:
        self._left -= size
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Another turn has begun."""
        self._turning = False
        self._left = self._most
        while self._waiting and self._left > 0:
            admitted, size = self._waiting.popleft()
            if not admitted.done():
                admitted.set_result(None)
                self._spend(size)
