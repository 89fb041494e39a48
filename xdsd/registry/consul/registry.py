"""Follows a Consul: one query for the names of services, one for each of them."""

import asyncio
import random

from xdsd.registry.base import Sink
from xdsd.registry.consul.answers import Malformed
from xdsd.registry.consul.book import Book
from xdsd.registry.consul.client import Answer, ConsulClient, ConsulError, open_client
from xdsd.registry.consul.holding import Forgotten
from xdsd.registry.consul.judging import Judge, Verdict
from xdsd.registry.consul.life import Life
from xdsd.registry.consul.listing import Listed, Listing
from xdsd.registry.consul.options import ConsulOptions, source_name
from xdsd.registry.consul.remarks import Remarks
from xdsd.registry.consul.services import Reader
from xdsd.registry.consul.sweeping import Sweeper
from xdsd.registry.consul.telling import Telling
from xdsd.registry.consul.timing import Pace, Timing, jittered, pause_after
from xdsd.registry.consul.turnstile import Turnstile
from xdsd.registry.holding import Holding
from xdsd.registry.last_good import LastGood

INSTANCES = "/v1/health/service/"
SPARE = 8
"""Connections that are not for following one service."""

_TRIES = 3


class ConsulRegistry:
    """The services of the Consul at ``url``. ``domain`` is the mesh's; ``copies`` outlive the daemon."""

    def __init__(
        self,
        url: str,
        options: ConsulOptions,
        domain: str,
        *,
        timing: Timing | None = None,
        copies: LastGood | None = None,
    ) -> None:
        self._url = url
        self._options = options
        self._name = source_name(url, options)
        self._domain = domain
        self._timing = timing or Timing()
        self._copies = copies

    @property
    def name(self) -> str:
        return self._name

    async def run(self, sink: Sink) -> None:
        """Reports until cancelled."""
        reader = Reader(self._options, self._domain, self._name)
        async with open_client(self._url, self._options) as client:
            await follow(client, reader, sink, self._timing, self._copies)


async def follow(
    client: ConsulClient, reader: Reader, sink: Sink, timing: Timing, copies: LastGood | None = None
) -> None:
    """Reports what a client is told, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        await _Following(client, reader, sink, timing, tasks, copies).follow()


class _Following:
    """One run."""

    def __init__(
        self,
        client: ConsulClient,
        reader: Reader,
        sink: Sink,
        timing: Timing,
        tasks: asyncio.TaskGroup,
        copies: LastGood | None,
    ) -> None:
        self._client = client
        self._reader = reader
        self._told = Telling(sink, timing.again)
        self._timing = timing
        self._tasks = tasks
        self._chance = random.Random()  # noqa: S311 - it spreads load, and keeps no secret
        self._book = Book(reader)
        self._remarks = Remarks(reader)
        self._listing = Listing(client, reader.options, timing, self._chance)
        self._life = Life(client)
        self._judge = Judge(reader, self._book, self._listing, self._life, self._told)
        self._available = asyncio.Event()
        self._reading = asyncio.Semaphore(min(timing.parallel, reader.options.connections))
        self._turnstile = Turnstile()
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._sweeper = Sweeper(client, self._book, self._look, timing, self._chance)
        self._sweeping: asyncio.Task[None] | None = None
        self._pending: set[str] = set()
        self._failures: dict[str, int] = {}
        self._unlisted: set[str] = set()
        self._unnamed: set[str] = set()
        self._anew = True
        self._forgotten = Forgotten(self._book, self._told, self._remarks, tasks)
        self._holding = Holding(self._forgotten, reader.options.hold, copies)

    async def follow(self) -> None:
        """Follows the names of services, and with them everything."""
        failures = 0
        await self._holding.recall()
        watching = [self._tasks.create_task(each) for each in (self._watch_token(), self._holding.keep())]
        try:
            while True:
                try:
                    listed = await self._listing.ask()
                    lost = await self._is_lost(listed)
                except (ConsulError, Malformed) as error:
                    failures += 1
                    self._available.clear()
                    self._anew = True
                    self._told.is_away(str(error))
                    await asyncio.sleep(pause_after(failures, self._timing, self._chance))
                    continue
                failures = 0
                self._take_names(listed, lost=lost)
                await self._listing.take(listed)
        finally:
            for task in watching:
                task.cancel()

    async def _watch_token(self) -> None:
        """Another token may see other things, while Consul answers queries by the one that they were asked with."""
        while True:
            await asyncio.sleep(self._timing.token)
            if self._client.has_another_token():
                self._anew = True
                self._listing.anew()

    async def _is_lost(self, listed: Listed) -> bool:
        """Whether Consul forgot what it knew. Raises ConsulError."""
        known = self._listing
        if known.index and listed.answer.index < known.index:
            return True
        if known.names <= listed.names and not self._anew and not self._life.is_due(self._timing.names):
            return False
        if not await self._life.is_same():
            return True
        if not known.index or not self._anew:
            return False
        return not self._life.is_known and not listed.names and bool(self._book.names())

    def _take_names(self, listed: Listed, *, lost: bool) -> None:
        anew, self._anew = lost or self._anew, False
        if lost:
            self._lose()
        moved = listed.answer.index != self._listing.index
        self._listing.believe(listed)
        if anew:
            # What waited meanwhile may wait for an answer that never comes; what changed meanwhile is read anew.
            self._stop()
            self._pending = set(listed.names)
        self._told.say("(answers)", self._remarks.on(listed.answer, self._timing.oldest))
        self._unlist(listed.names, lost=lost)
        self._assign(listed.names | self._unlisted, anew=anew)
        self._available.set()
        if moved:
            self._sweeper.all_due()
        self._settle()

    def _stop(self) -> None:
        for task in self._followed.values():
            task.cancel()
        self._followed.clear()

    def _unlist(self, names: frozenset[str], *, lost: bool) -> None:
        """What is not listed any more is asked for once more before it leaves, and so is what is listed again."""
        known = self._book.names() | self._followed.keys() | self._sweeper.names | self._unnamed
        for name in known - names - self._unlisted:
            if lost or name in self._unnamed or not self._judge.has_seen(name):
                self._forget(name)
            else:
                self._unlisted.add(name)
                self._ask_anew(name)
        for name in self._unlisted & names:
            self._unlisted.discard(name)
            self._ask_anew(name)

    def _ask_anew(self, name: str) -> None:
        task = self._followed.pop(name, None)
        if task is not None:
            task.cancel()
        elif name in self._sweeper.names:
            self._sweeper.due(name)

    def _assign(self, names: frozenset[str], *, anew: bool) -> None:
        """Follows as many services as there are connections; the others are swept."""
        room = self._reader.options.connections - SPARE - len(self._followed)
        swept = set(self._sweeper.names)
        for name in sorted(names - self._followed.keys()):
            if self._reader.host(name) is None:
                self._pending.discard(name)
                self._unnamed.add(name)
                self._told.say(name, (self._reader.unnamed(name),))
            elif room > 0:
                room -= 1
                swept.discard(name)
                self._pending.add(name)
                self._followed[name] = self._tasks.create_task(self._follow(name))
            elif name not in swept or anew:
                swept.add(name)
                self._pending.add(name)
                self._sweeper.due(name)
        self._sweeper.names = swept & names
        for name in self._sweeper.names & self._judge.hidden.keys():
            self._sweeper.due(name)
        if swept and self._sweeping is None:
            self._sweeping = self._tasks.create_task(self._sweeper.run(self._available))
        self._told.say("(sweeping)", (self._remarks.swept(len(swept), len(names)),) if swept else ())

    async def _follow(self, name: str) -> None:
        """Reads a service again and again, whenever it changed."""
        index = 0
        pace = Pace(self._timing, asyncio.get_running_loop().time)
        while True:
            answered = await self._look(name, index)
            index = answered or 0
            await asyncio.sleep(pace.delay() if answered is not None else self._pause(name))

    async def _look(self, name: str, index: int = 0) -> int | None:
        """Reads a service once it is newer than ``index``; where to wait next, None if it cannot be read."""
        await self._available.wait()
        try:
            answer = await self._ask(name, index)
            await self._turnstile.enter(len(answer.body))
            verdict = await self._judge.judge(name, answer, afresh=name in self._failures)
        except (ConsulError, Malformed) as error:
            self._failures[name] = self._failures.get(name, 0) + 1
            if self._failures[name] >= _TRIES and self._available.is_set():
                self._told.say(name, (self._remarks.unread(name, str(error)),))
                self._is_known(name)
            return None
        self._failures.pop(name, None)
        match verdict:
            case Verdict.DOUBTED:
                if name in self._sweeper.names:
                    self._sweeper.due(name)
                return 0
            case Verdict.LEFT:
                self._forget(name)
            case Verdict.KNOWN:
                self._is_known(name)
        return answer.index

    def _pause(self, name: str) -> float:
        return pause_after(self._failures.get(name, 1), self._timing, self._chance)

    async def _ask(self, name: str, index: int) -> Answer:
        path = INSTANCES + name
        if index:
            # What our token may see changes without a word, and is seen when the wait is over.
            wait = self._timing.names if name in self._judge.hidden else self._timing.service
            return await self._client.ask(path, index, jittered(wait, self._chance))
        async with self._reading:
            return await self._client.ask(path)

    def _is_known(self, name: str) -> None:
        self._pending.discard(name)
        self._settle()

    def _forget(self, name: str) -> None:
        task = self._followed.pop(name, None)
        if task is not None:
            task.cancel()
        self._judge.forget(name)
        self._sweeper.names.discard(name)
        self._failures.pop(name, None)
        self._unlisted.discard(name)
        self._unnamed.discard(name)
        self._is_known(name)

    def _settle(self) -> None:
        """Says that all is known, once it is."""
        if self._pending or not self._available.is_set():
            return
        if self._holding.is_on:
            self._forgotten.tell()
        self._told.is_there()

    def _lose(self) -> None:
        self._judge.lose()
        self._unlisted.clear()
        self._book.lose()
        self._holding.begin(self._holding.renew())
