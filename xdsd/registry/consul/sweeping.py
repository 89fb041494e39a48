"""Keeps services current that have no query of their own, where an agent allows too few connections.

Checks are followed by a query for those that do not pass: whatever comes into or leaves its answer, or differs in it, tells
which services to read. Of registrations and nodes only that something changed is known, so all services are read in turn.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from xdsd.registry.consul.answers import Malformed, read_troubled
from xdsd.registry.consul.book import Book
from xdsd.registry.consul.client import Answer, ConsulClient, ConsulError, next_index
from xdsd.registry.consul.timing import Pace, Timing, jittered, pause_after

CHECKS = "/v1/health/state/any"
NODES = "/v1/catalog/nodes"
NOT_PASSING = 'Status != "passing"'
NO_NODE = 'Node == ""'
READERS = 4


class Sweeper:
    """Services in ``names`` are read by ``look`` when they may have changed; it answers None where that failed."""

    def __init__(
        self,
        client: ConsulClient,
        book: Book,
        look: Callable[[str], Awaitable[int | None]],
        timing: Timing,
        chance: random.Random,
    ) -> None:
        self.names: set[str] = set()
        self._client = client
        self._book = book
        self._look = look
        self._timing = timing
        self._chance = chance
        self._due: dict[str, None] = {}
        self._urgent: dict[str, None] = {}
        self._called = asyncio.Event()
        self._troubled: Mapping[tuple[str, str], tuple[str, str]] | None = None

    def due(self, name: str) -> None:
        """A service is to be read."""
        self._due[name] = None
        self._called.set()

    def all_due(self) -> None:
        """Something was registered or left, nobody knows where."""
        for name in sorted(self.names):
            self.due(name)

    async def run(self, available: asyncio.Event) -> None:
        """Reads until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(READERS):
                tasks.create_task(self._read())
            tasks.create_task(self._watch(CHECKS, NOT_PASSING, self._checked, available))
            tasks.create_task(self._watch(NODES, NO_NODE, lambda _: self.all_due(), available))

    async def _read(self) -> None:
        while True:
            name = self._next()
            if name is None:
                self._called.clear()
                await self._called.wait()
            elif name in self.names and await self._look(name) is None:
                await asyncio.sleep(pause_after(1, self._timing, self._chance))
                self.due(name)

    def _next(self) -> str | None:
        for queue in (self._urgent, self._due):
            if queue:
                name = next(iter(queue))
                del queue[name]
                return name
        return None

    async def _watch(
        self, path: str, only: str, took: Callable[[Answer], None], available: asyncio.Event
    ) -> None:
        index, failures = 0, 0
        pace = Pace(self._timing, asyncio.get_running_loop().time)
        while True:
            await available.wait()
            await asyncio.sleep(pace.delay())
            try:
                wait = jittered(self._timing.service, self._chance)
                answer = await self._client.ask(path, index, wait, filter=only)
                if answer.index != index:
                    took(answer)
            except (ConsulError, Malformed):
                # What is wrong with Consul is told where services are read; here it only delays.
                failures += 1
                index = 0
                await asyncio.sleep(pause_after(failures, self._timing, self._chance))
                continue
            failures = 0
            index = next_index(index, answer.index)

    def _checked(self, answer: Answer) -> None:
        before, self._troubled = self._troubled, read_troubled(answer.body)
        if before is None:
            return
        for check in before.items() ^ self._troubled.items():
            (node, _), (_, service) = check
            for name in {service.lower()} if service else self._book.on_node(node):
                if name in self.names:
                    self._urgent[name] = None
        self._called.set()
