"""Work that one daemon does for all that share the store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from storage.base import Store
from storage.election import hold

PREFIX = "/xdsd/singletons/"
TTL = 15
"""Seconds after which another daemon takes over from one that fell silent."""

Job = Callable[[], Awaitable[None]]


class Singletons:
    """This daemon's candidacy for each job; ``held`` names those that it does now."""

    def __init__(self, store: Store, identity: str, jobs: Mapping[str, Job], *, ttl: int = TTL) -> None:
        self._store = store
        self._identity = identity.encode()
        self._jobs = jobs
        self._ttl = ttl
        self._held: set[str] = set()

    @property
    def held(self) -> tuple[str, ...]:
        return tuple(sorted(self._held))

    async def run(self) -> None:
        """Stands for every job until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._jobs:
                tasks.create_task(self._stand(name), name=f"singleton {name}")

    async def _stand(self, name: str) -> None:
        async def work() -> None:
            self._held.add(name)
            try:
                await self._jobs[name]()
            finally:
                self._held.discard(name)

        await hold(self._store, f"{PREFIX}{name}".encode(), self._identity, self._ttl, work)
