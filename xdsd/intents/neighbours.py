"""The world that objects live in, kept up to date by whoever follows the store, for the warnings that a write comes with."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from xdsd.intents.admission import Observed, World, machines_lost, warnings
from xdsd.intents.shelf import aside, weight
from xdsd.intents.watching import IntentChange
from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef, Problem


class Neighbours:
    """All objects beside each other. Until somebody follows the store, each question reads them all anew."""

    def __init__(
        self,
        everything: Callable[[], Awaitable[Iterable[AnyObject]]],
        observed: Callable[[], Observed] | None,
        domain: str,
    ) -> None:
        self._everything = everything
        self._observed = observed
        self._domain = domain
        self._world = World(domain=domain)
        self._followed = False
        self._lock = asyncio.Lock()

    async def follow(self, change: IntentChange) -> None:
        """Takes in what happened."""
        async with self._lock:
            if change.complete:
                self._world = World(domain=self._domain)
            await aside(weight(change.upserts), lambda: self._take(change))
            self._followed = True

    async def stop(self) -> None:
        """Nobody follows the store any more."""
        async with self._lock:
            self._followed = False
            self._world = World(domain=self._domain)

    async def with_(self, objects: Sequence[AnyObject]) -> tuple[Problem, ...]:
        """What is odd about objects, if they were there."""
        async with self._lock:
            world = await self._now()

            def look() -> tuple[Problem, ...]:
                before = [(obj.ref, world.get(obj.ref)) for obj in objects]
                for obj in objects:
                    world.put(obj)
                found = warnings(world, objects)
                _undo(world, before)
                return found

            return await aside(weight(objects), look)

    async def without(self, refs: Sequence[ObjectRef]) -> tuple[Problem, ...]:
        """What is odd about the objects that stay, and was not before these went; and what goes with them."""
        async with self._lock:
            world = await self._now()

            def look() -> tuple[Problem, ...]:
                gone = [(ref, obj) for ref in refs if (obj := world.get(ref)) is not None]
                leaving = {ref for ref, _ in gone}
                following = [each for ref, _ in gone for each in machines_lost(world, ref, leaving)]
                left = {each.ref: each for _, obj in gone for each in world.referring(obj)}
                subjects = [obj for ref, obj in sorted(left.items()) if ref not in leaving]
                known = {(problem.object, problem.path) for problem in warnings(world, subjects)}
                for ref, _ in gone:
                    world.remove(ref)
                found = warnings(world, subjects)
                _undo(world, gone)
                new = (each for each in found if (each.object, each.path) not in known)
                return (*following, *new)

            return await aside(len(refs), look)

    async def _now(self) -> World:
        world = self._world
        if not self._followed:
            objects = await self._everything()
            world = await asyncio.to_thread(lambda: World(objects, domain=self._domain))
        observed = self._observed() if self._observed else None
        if not world.observes(observed):
            await asyncio.to_thread(world.observe, observed)
        return world

    def _take(self, change: IntentChange) -> None:
        for ref in change.removed:
            self._world.remove(ref)
        for obj in change.upserts:
            self._world.put(obj)


def _undo(world: World, before: Iterable[tuple[ObjectRef, AnyObject | None]]) -> None:
    for ref, obj in before:
        if obj is None:
            world.remove(ref)
        else:
            world.put(obj)
