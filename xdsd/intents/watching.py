"""Changes of stored objects as they happen, and, where history was compacted away, as they turn out to have
happened.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from storage.base import Compacted, Denied, EventType, Store, Unavailable, WatchBatch, prefix_end
from xdsd.intents.planning import Stored
from xdsd.intents.shelf import Contents, Shelf
from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef, Problem

_Version = tuple[int, int]  # the revision of a write, and what it wrote
_STRAY: _Version = (0, 0)


@dataclass(frozen=True, slots=True)
class IntentChange:
    """One step of what is declared, as of ``revision``.

    ``problems`` are those of stored values that cannot be read, by key; none clears them. An object whose
    value became unreadable is neither upserted nor removed: what it said last holds. ``complete`` says that
    this is all there is: objects and problems that it does not name are gone.
    """

    revision: int
    upserts: tuple[AnyObject, ...] = ()
    removed: tuple[ObjectRef, ...] = ()
    problems: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    complete: bool = False

    def __bool__(self) -> bool:
        return bool(self.upserts or self.removed or self.problems or self.complete)


class Follower:
    """Turns a store's events into changes, remembering which version of what was told.

    An outage of the store, or one that does not let us in any more, ends the changes with its error, unless
    ``unavailable`` wants to be told: then they go on when it is over, with a change that holds what really
    differs, and that is empty if nothing does.
    """

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        from_revision: int,
        unavailable: Callable[[str], None] | None = None,
        retry: float = 1.0,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._next = from_revision
        self._unavailable = unavailable
        self._retry = retry
        self._begun = False
        self._told: dict[bytes, _Version] = {}
        self._troubled: set[bytes] = set()

    async def changes(self) -> AsyncGenerator[IntentChange, None]:
        """Changes until the store is closed; ``retry`` seconds lie between two attempts to reach it."""
        following = True
        while following:
            try:
                async with aclosing(self._attempt()) as attempt:
                    async for change in attempt:
                        yield change
                following = False
            except (Unavailable, Denied) as error:
                if self._unavailable is None:
                    raise
                self._unavailable(str(error))
                await asyncio.sleep(self._retry)

    async def _attempt(self) -> AsyncGenerator[IntentChange, None]:
        """What the store says until it is closed, or cannot be reached."""
        if self._begun:
            yield await self._resync(complete=False)
        elif not (self._next > 0 and await self._recall(self._next - 1)):
            change = await self._resync(complete=True)
            self._begun = True
            yield change
        self._begun = True
        following = True
        while following:
            try:
                async with aclosing(self._watched()) as watched:
                    async for change in watched:
                        yield change
                following = False
            except Compacted:
                expected = self._next
                change = await self._resync(complete=False)
                if (
                    change or self._next < expected
                ):  # a store that was restored: whoever follows goes back too
                    yield change

    async def _watched(self) -> AsyncGenerator[IntentChange, None]:
        prefix = self._shelf.keys.prefix()
        watch = self._store.watch(prefix, prefix_end(prefix), start_revision=self._next)
        try:
            async for batch in watch:
                change = await self._step(batch)
                self._next = batch.revision + 1
                if change:
                    yield change
        finally:
            await watch.close()

    async def _recall(self, revision: int) -> bool:
        """Learns what whoever has read everything at a revision knows; False if that is no longer kept."""
        try:
            past = await self._shelf.below(self._shelf.keys.prefix(), revision)
        except Compacted:
            return False
        self._told = {key: _version(stored) for key, stored in past.stored.items()}
        self._told |= dict.fromkeys(past.strays, _STRAY)
        self._troubled = {key for key, stored in past.stored.items() if stored.problems} | set(past.strays)
        return True

    async def _resync(self, *, complete: bool) -> IntentChange:
        """What differs between what was told and what is there now."""
        contents = await self._shelf.everything()
        step = _Step()
        for key in [key for key in self._told if key not in contents.stored and key not in contents.strays]:
            self._forget(key, step)
        self._tell(contents, step)
        self._next = contents.revision + 1
        return step.change(contents.revision, complete=complete)

    async def _step(self, batch: WatchBatch) -> IntentChange:
        step = _Step()
        for event in batch.events:
            if event.type is EventType.DELETE:
                self._shelf.drop(event.kv.key)
                self._forget(event.kv.key, step)
        puts = [event.kv for event in batch.events if event.type is EventType.PUT]
        contents = await self._shelf.read(puts, batch.revision)
        for key, stored in contents.stored.items():
            self._shelf.put(key, stored)
        self._tell(contents, step)
        return step.change(batch.revision)

    def _tell(self, contents: Contents, step: "_Step") -> None:
        for key, stored in contents.stored.items():
            if self._told.get(key) != (version := _version(stored)):
                self._told[key] = version
                self._trouble(key, stored.problems, step)
                if stored.object is not None:
                    step.upserts.append(stored.object)
        for key, problems in contents.strays.items():
            if key not in self._told:
                self._told[key] = _STRAY
                self._trouble(key, problems, step)

    def _forget(self, key: bytes, step: "_Step") -> None:
        self._told.pop(key, None)
        self._trouble(key, (), step)
        ref = self._shelf.keys.ref(key)
        if ref is not None:
            step.removed.append(ref)

    def _trouble(self, key: bytes, problems: tuple[Problem, ...], step: "_Step") -> None:
        if problems or key in self._troubled:
            step.problems[key.decode("utf-8", "replace")] = problems
        (self._troubled.add if problems else self._troubled.discard)(key)


def _version(stored: Stored) -> _Version:
    return stored.mod_revision, stored.fingerprint


@dataclass(slots=True)
class _Step:
    """A change while it is put together."""

    upserts: list[AnyObject] = field(default_factory=list)
    removed: list[ObjectRef] = field(default_factory=list)
    problems: dict[str, tuple[Problem, ...]] = field(default_factory=dict)

    def change(self, revision: int, *, complete: bool = False) -> IntentChange:
        return IntentChange(revision, tuple(self.upserts), tuple(self.removed), self.problems, complete)
