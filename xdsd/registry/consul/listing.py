"""Asks a Consul which services there are: by a blocking query, or at once where somebody doubts what was said last."""

import asyncio
import random
from dataclasses import dataclass

from xdsd.registry.consul.answers import read_names
from xdsd.registry.consul.client import Answer, Away, ConsulClient, Late
from xdsd.registry.consul.options import Consistency, ConsulOptions
from xdsd.registry.consul.services import ITSELF
from xdsd.registry.consul.timing import Pace, Timing, jittered

NAMES = "/v1/catalog/services"
_AGAIN_SECONDS = 15.0
"""How long an answer is waited for after one that was to come did not."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The names of services as an answer has them; ``round`` numbers the questions."""

    answer: Answer
    names: frozenset[str]
    round: int


class Listing:
    """``ask`` is called again and again, and what it says is ``taken``; others wait with ``confirmed`` meanwhile."""

    def __init__(
        self, client: ConsulClient, options: ConsulOptions, timing: Timing, chance: random.Random
    ) -> None:
        self.names: frozenset[str] = frozenset()
        self.index = 0
        self._client = client
        self._options = options
        self._timing = timing
        self._chance = chance
        self._pace = Pace(timing, asyncio.get_running_loop().time)
        self._next = 0
        self._late = False
        self._begun = 0
        self._taken = 0
        self._wanted = 0
        self._waiting: asyncio.Timeout | None = None
        self._moved = asyncio.Condition()

    async def ask(self) -> Listed:
        """What Consul says next. Raises ConsulError, Malformed: then the next question does not wait."""
        while True:
            await asyncio.sleep(self._pace.delay())
            index = self._next if self._wanted <= self._begun else 0
            self._begun += 1
            self._next = 0
            try:
                async with asyncio.timeout(None) as waiting:
                    self._waiting = waiting if index else None
                    answer, names = await self._once(index)
            except TimeoutError:
                continue
            except Late:
                if not index:
                    raise
                self._late = True
                continue
            finally:
                self._waiting = None
            if index and answer.index < index:
                continue  # asked again, and surely, before it is believed
            self._next, self._late = answer.index, False
            return Listed(answer, names, self._begun)

    async def take(self, listed: Listed) -> None:
        """It was taken in: whoever waited for it goes on."""
        self._taken = listed.round
        async with self._moved:
            self._moved.notify_all()

    def believe(self, listed: Listed) -> None:
        """From now on these are the names."""
        self.names, self.index = listed.names, listed.answer.index

    def anew(self) -> int:
        """Asks at once; the round of it."""
        wanted = self._begun + 1
        self._wanted = max(self._wanted, wanted)
        if self._waiting is not None:
            self._waiting.reschedule(0.0)
            self._waiting = None
        return wanted

    async def confirmed(self) -> None:
        """Waits until names were taken that were asked for after this was called."""
        wanted = self.anew()
        async with self._moved:
            await self._moved.wait_for(lambda: self._taken >= wanted)

    async def _once(self, index: int) -> tuple[Answer, frozenset[str]]:
        """What would take everything away is not believed without a reason."""
        # A server that comes back may answer before it has read what it knew, unless it is asked to be sure.
        sure = index == 0 and self.index > 0 and self._options.consistency is not Consistency.STALE
        wait = jittered(self._timing.names, self._chance)
        within = _AGAIN_SECONDS if self._late else None
        answer = await self._client.ask(NAMES, index, wait, sure=sure, within=within)
        names = read_names(answer.body)
        if not names and not self._options.namespace:
            raise Away(
                "Consul's catalog is empty, even of Consul itself: its token may read nothing, or it just starts"
            )
        if not answer.believable and answer.index < self.index:
            raise Away("the server that answers has no leader, and knows less than was known")
        return answer, names - {ITSELF}
