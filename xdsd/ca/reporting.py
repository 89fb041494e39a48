"""Tells the store how far this daemon's proxies are with the roots, so that whoever rotates them knows of all.

What is told stays when a proxy leaves or the daemon dies: what they hold, they hold on. It goes when that has expired.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from storage.base import Delete, Put, StorageError, Store, prefix_end
from xdsd.ca.standing import ITSELF, Answer, Standing, decode, encode, prefix_of

AT_ONCE = 100
"""Standings written in one transaction; below what etcd takes by default."""
_SLICE = 100


class Roots(Protocol):
    """As much of ``xdsd.ca.authority.Authority`` as is needed here."""

    @property
    def turn(self) -> int: ...

    def now(self) -> datetime: ...

    def root_of(self, issuer: str) -> str: ...


class Reporter:
    """``streams`` gives what the streams tell at a turn; ``join`` makes one standing a proxy of them."""

    def __init__(
        self,
        store: Store,
        daemon: str,
        roots: Roots,
        streams: Callable[[str, int], Iterable[Standing]],
        join: Callable[[Iterable[Standing]], Mapping[str, Standing]],
        logger: FilteringBoundLogger,
        *,
        every: float = 1.0,
    ) -> None:
        self._store = store
        self._daemon = daemon
        self._roots = roots
        self._streams = streams
        self._join = join
        self._logger = logger
        self._every = every
        self._told: dict[str, Standing] | None = None

    async def run(self) -> None:
        """Tells what changes until cancelled, over outages of the store; leaves at the end."""
        try:
            while True:
                try:
                    await self.tell()
                except StorageError as error:
                    self._logger.debug("who trusts which root is told later", why=str(error))
                    self._told = None
                await asyncio.sleep(self._every)
        finally:
            await self._leave()

    async def tell(self) -> None:
        """Tells what has changed. Raises StorageError."""
        if self._told is None:
            self._told = await self._kept()
        wanted = await self._wanted(self._told)
        told = self._told
        changed = [each for name, each in wanted.items() if told.get(name) != each]
        gone = [each for name, each in told.items() if name not in wanted]
        for start in range(0, len(changed), AT_ONCE):
            puts = [Put(each.key.encode(), encode(each)) for each in changed[start : start + AT_ONCE]]
            await self._store.txn((), puts)
            await asyncio.sleep(0)
        for start in range(0, len(gone), AT_ONCE):
            await self._store.txn((), [Delete(each.key.encode()) for each in gone[start : start + AT_ONCE]])
        self._told = wanted

    async def _kept(self) -> dict[str, Standing]:
        """What was told before, by this daemon or by the one of its name that was here before it."""
        prefix = prefix_of(self._daemon).encode()
        found = await self._store.range(prefix, prefix_end(prefix))
        standings = (decode(kv.value) for kv in found.kvs)
        return {each.proxy: each for each in standings if each is not None and each.daemon == self._daemon}

    async def _wanted(self, told: Mapping[str, Standing]) -> dict[str, Standing]:
        turn, now = self._roots.turn, self._roots.now()
        heard: list[Standing] = []
        for number, each in enumerate(self._streams(self._daemon, turn), 1):
            heard.append(replace(each, file=self._roots.root_of(each.file) if each.file else ""))
            if not number % _SLICE:
                await asyncio.sleep(0)
        wanted = {ITSELF: Standing(self._daemon, ITSELF, self._daemon, turn)}
        for proxy, standing in self._join(heard).items():
            wanted[proxy] = _with_past(standing, told.get(proxy))
        for proxy, standing in told.items():
            if proxy not in wanted and standing.until is not None and now < standing.until:
                wanted[proxy] = replace(standing, here=False)
        return wanted

    async def _leave(self) -> None:
        """A daemon that stops in order is no longer asked; its proxies are until they come to another."""
        try:
            async with asyncio.timeout(1):
                await self._store.delete(f"{prefix_of(self._daemon)}{ITSELF}".encode())
        except (StorageError, TimeoutError):
            return


def _with_past(standing: Standing, before: Standing | None) -> Standing:
    """What a proxy had before it came (again) it may have still, until it acknowledges something else."""
    settled = standing.answer is Answer.ACKNOWLEDGED and standing.given
    if before is None or before.until is None or settled:
        return standing
    until = before.until if standing.until is None else max(standing.until, before.until)
    if not standing.given and before.given:  # its stream has not come to its secrets yet
        return replace(standing, given=True, answer=Answer.WAITING, until=until)
    return replace(standing, until=until)
