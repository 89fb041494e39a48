"""Following one collection for ever: a list, then a watch from its revision, and again from the last one that was seen.

A watch that ends is taken up where it was. After a revision that the server has forgotten (410), and after an outage, comes
another list, of which only what differs counts. What cannot be done now is tried again, after pauses that grow up to
``LONGEST`` seconds.

Before something is believed to be gone, and before a watch is taken up, it is asked whether the server has become another
one; revisions that go back tell that it was set back in time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Generic, Protocol, TypeVar

from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.api import Api, Away, Event, Page, Refused, Unreachable
from xdsd.registry.kubernetes.collection import Absent
from xdsd.registry.kubernetes.facts import Json, Name, Unreadable
from xdsd.registry.kubernetes.revisions import Revisions
from xdsd.turns import Pace, in_slices

SHORTEST, LONGEST = 0.1, 10.0
WATCH_SECONDS = 300
_PATIENCE = 60.0
BRIEF = 1.0


_AGAIN = 30


class Listed(Protocol):
    """A collection: where it stands, and how many of it are asked for at once."""

    @property
    def chunk(self) -> int: ...

    async def path(self, api: Api) -> str:
        """Raises Absent, Unreachable, Refused."""


Which = TypeVar("Which", bound=Listed)
Which_contra = TypeVar("Which_contra", bound=Listed, contravariant=True)


class Follower(Protocol[Which_contra]):
    """Who is told what a watcher sees."""

    async def ready(self) -> None:
        """Returns once something may be said."""

    def found(self, collection: Which_contra, path: str) -> None:
        """Where a collection stands."""

    def put(self, collection: Which_contra, obj: Json) -> None:
        """An object is there, or is otherwise than before."""

    def drop(self, collection: Which_contra, name: Name) -> None:
        """An object is gone."""

    def too_large(self, collection: Which_contra, name: Name) -> None:
        """An object has more bytes than are read."""

    def known(self, collection: Which_contra) -> frozenset[Name]:
        """The objects of the collection that are there as far as was told."""

    def settled(self, collection: Which_contra) -> None:
        """A list is complete, or a batch of events is."""

    def works(self, collection: Which_contra) -> None:
        """It is being followed."""

    def fails(
        self, collection: Which_contra, why: str, *, forbidden: bool = False, away: bool = False
    ) -> None:
        """It cannot be followed now; ``away``: nor can anything else of this server."""


class IsOther(Protocol):
    """Raises Unreachable."""

    async def __call__(self, *, went_back: bool) -> bool: ...


class Watcher(Generic[Which]):
    """Tells ``follower`` of one collection until cancelled. A watch that ends after ``brief`` seconds has failed.

    ``is_other`` says whether what answers now has not the memory of what answered before; if so, it has told all watchers
    to begin ``anew``.
    """

    def __init__(
        self,
        api: Api,
        collection: Which,
        follower: Follower[Which],
        is_other: IsOther,
        brief: float = BRIEF,
    ) -> None:
        self._api = api
        self._collection = collection
        self._follower = follower
        self._is_other = is_other
        self._brief = brief
        self._path = ""
        self._revision = ""
        self._chunk = collection.chunk
        self._failures = 0
        self._wake = asyncio.Event()
        self._current: asyncio.Timeout | None = None
        self._revisions = Revisions()
        self._beginnings = 0

    async def run(self) -> None:
        """Follows the collection."""
        while True:
            self._wake.clear()
            try:
                await self._once()
            except Absent as error:
                pause = self._absent(str(error))
            except Unreachable as error:
                pause = self._failed(str(error), away=isinstance(error, Away))
            except Refused as error:
                pause = await self._refused(error)
            else:
                pause = 0.0
            await self._rest(pause)

    def again(self) -> None:
        """Tries at once, on another connection: the one that is there may be dead without knowing."""
        self._wake.set()
        self._revision = ""
        if self._current is not None:
            self._current.reschedule(asyncio.get_running_loop().time())

    def anew(self) -> None:
        """What was read so far is of another server, and is read again; whatever is on its way counts no more."""
        self._beginnings += 1
        self._revisions = Revisions()
        self.again()

    async def _once(self) -> None:
        if self._revision:
            await self._look_back()
        else:
            await self._list()
        if not self._revision:
            return
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(None) as self._current:
                async with self._api.watch(self._path, self._revision, _about(WATCH_SECONDS)) as events:
                    self._follower.works(self._collection)
                    await self._follow(events)
        except TimeoutError:
            return
        except Unreachable:
            # A connection may end for reasons of its own; only if there is no other is it an outage.
            if clock() - began < self._brief:
                raise
        finally:
            self._current = None
        if clock() - began < self._brief:
            # A server that ends watches at once is not asked in a loop.
            self._failures += 1
            await self._rest(self._pause())
        else:
            self._failures = 0

    async def _look_back(self) -> None:
        """Before a watch is taken up: a server that does not know the revision yet would wait for it, and tell nothing."""
        async for page in self._api.pages(self._path, 1):
            if await self._is_other(went_back=self._revisions.is_older(page.revision)):
                self._revision = ""
            return

    async def _list(self) -> None:
        """Leaves no revision where the server became another one meanwhile."""
        follower, collection, beginning = self._follower, self._collection, self._beginnings
        await follower.ready()
        self._path = await collection.path(self._api)
        follower.found(collection, self._path)
        seen: set[Name] = set()
        revision, before, now = "", self._revisions, Revisions()
        pace = Pace()
        async for page in self._api.pages(self._path, self._chunk):
            revision = page.revision
            # Before anything of it is taken in, since that would be what is kept.
            if beginning != self._beginnings or (
                _went_back(page, before) and await self._is_other(went_back=True)
            ):
                return
            for obj in page.items:
                await pace.step()
                if beginning != self._beginnings:
                    return
                follower.put(collection, obj)
                name = _name(obj)
                if name is not None:
                    seen.add(name)
                    now.see_object(name, obj)
            for obj in page.giants:
                name = _name(obj) or Name("", "?")
                seen.add(name)
                follower.too_large(collection, name)
        if await self._is_other(went_back=False) or beginning != self._beginnings:
            return
        await in_slices(self._drop_others(seen))
        if beginning != self._beginnings:
            return
        now.see(revision)
        self._revision, self._revisions = revision, now
        follower.settled(collection)

    def _drop_others(self, seen: set[Name]) -> Iterator[None]:
        """What was known and is not listed is gone. Nothing is left in ``seen``, which would be freed in one go."""
        beginning = self._beginnings
        for name in self._follower.known(self._collection):
            if beginning != self._beginnings:
                return
            if name in seen:
                seen.remove(name)
            else:
                self._follower.drop(self._collection, name)
            yield

    async def _follow(self, events: AsyncIterator[list[Event]]) -> None:
        beginning = self._beginnings
        pace = Pace()
        async for batch in events:
            if beginning != self._beginnings:
                return
            self._failures = 0
            for event in batch:
                self._take(event)
            self._follower.settled(self._collection)
            # Batches that are there already follow each other without a turn of the loop.
            await pace.step()

    def _take(self, event: Event) -> None:
        follower, collection = self._follower, self._collection
        name = _name(event.object)
        metadata = event.object.get("metadata")
        match event.type:
            case "ADDED" | "MODIFIED":
                follower.put(collection, event.object)
            case "DELETED" if name is not None:
                follower.drop(collection, name)
            case "TOO_LARGE":
                follower.too_large(collection, name or Name("", "?"))
        revision = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if revision:
            self._revision = str(revision)
            self._revisions.see(self._revision)
        if name is not None and event.type == "DELETED":
            self._revisions.drop(name)
        elif name is not None:
            self._revisions.see_object(name, event.object)

    def _absent(self, why: str) -> float:
        """There is nothing to follow. What was there before is not believed to be gone: who removes a kind removes its
        objects first, and a server that starts may not know its kinds yet.
        """
        if self._follower.known(self._collection):
            self._failed(f"{why} any more")
        else:
            self._revision = ""
            self._follower.settled(self._collection)
            self._follower.works(self._collection)
        return float(_about(_AGAIN))

    def _failed(self, why: str, *, forbidden: bool = False, away: bool = False) -> float:
        self._failures += 1
        # Only a list tells when all that was missed is known; a watch says what comes, not that it came.
        self._revision = ""
        self._follower.fails(self._collection, why, forbidden=forbidden, away=away)
        return self._pause()

    async def _refused(self, error: Refused) -> float:
        """What an error of the server's means; how long to wait."""
        what = f"{self._collection}: {error.message} ({error.status})"
        asked, first = min(error.wait or 0.0, _PATIENCE), not self._failures
        if error.status == 401:
            return await self._unknown(what, first=first)
        if error.status == 403:
            # A server that has just started may not know its own rules yet.
            return self._failed(what, forbidden=not first)
        if error.status in {410, 429} and first:
            self._failures += 1
            pause = max(self._pause(), asked) if error.status == 429 else 0.0
        else:
            pause = max(self._failed(what), asked)
        if error.status == 413:
            self._chunk = max(1, self._chunk // 10)
        if error.status == 410:
            self._revision = ""
        return pause

    async def _unknown(self, what: str, *, first: bool) -> float:
        """A token that is over is replaced at once, and that is no outage."""
        try:
            await self._api.renew()
        except Unreachable as cause:
            return self._failed(str(cause), away=True)
        if first:
            self._failures += 1
            return 0.0
        return self._failed(f"{what}: the server does not take what proves who we are")

    def _pause(self) -> float:
        longest = min(LONGEST, SHORTEST * 2.0 ** min(self._failures, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311 - so that daemons do not ask all at once

    async def _rest(self, seconds: float) -> None:
        if not seconds:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass


def _name(obj: Json) -> Name | None:
    try:
        return facts.name_of(obj)
    except Unreadable:
        return None


def _went_back(page: Page, before: Revisions) -> bool:
    if before.is_older(page.revision):
        return True
    named = ((_name(obj), obj) for obj in page.items)
    return any(name is not None and before.is_older_object(name, obj) for name, obj in named)


def _about(seconds: int) -> int:
    """Watches of several collections do not end together."""
    return random.randint(seconds * 3 // 4, seconds)  # noqa: S311 - it is no secret
