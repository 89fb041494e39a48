"""Rotations in the store: asked for at any daemon, gone on with by one of them, whichever lives.

Each step is one write of the roots together with how far the rotation is, which holds only if nobody wrote in between: a
daemon that dies leaves the last whole step, and the next one goes on from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from structlog.typing import FilteringBoundLogger

from storage.base import Compare, Delete, KeyValue, Op, Put, StorageError, Store, Target, prefix_end
from xdsd.ca import rotation as rotations
from xdsd.ca.plan import Rotation
from xdsd.ca.roots import InvalidRoots, RootSet, decode, encode
from xdsd.ca.rotation import CannotRotate, Facts, Hold
from xdsd.ca.standing import PREFIX, Standing
from xdsd.ca.standing import decode as decode_standing
from xdsd.ca.stored import ROOTS, StoredRoots

_ATTEMPTS = 20
_EVERY = 1.0
_SWEEP = 600.0
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """``asked`` are those that the step asks, ``held`` whom it waits for; where none goes on, those of the next."""

    roots: RootSet
    asked: tuple[Standing, ...]
    held: tuple[Hold, ...]

    @property
    def rotation(self) -> Rotation | None:
        return self.roots.rotation


async def read_facts(store: Store, members: Callable[[], Awaitable[Sequence[str]]], now: datetime) -> Facts:
    """What the store knows of everybody. Raises StorageError."""
    present = frozenset(await members())
    found = await store.range(PREFIX.encode(), prefix_end(PREFIX.encode()))
    standings = (decode_standing(kv.value) for kv in found.kvs)
    return Facts(present, tuple(each for each in standings if each is not None), now)


def _progress(roots: RootSet, facts: Facts) -> Progress:
    rotation = roots.rotation
    if rotation is None or not rotation.running:
        return Progress(roots, tuple(rotations.counted(facts)), rotations.foreseen(facts))
    return Progress(roots, tuple(rotations.counted(facts, rotation.left)), rotations.holds(roots, facts))


class Rotations:
    """``members`` gives the names of the daemons that run; ``observe`` is told of progress after each look."""

    def __init__(
        self,
        store: Store,
        source: StoredRoots,
        members: Callable[[], Awaitable[Sequence[str]]],
        logger: FilteringBoundLogger,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        every: float = _EVERY,
        observe: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._source = source
        self._members = members
        self._logger = logger
        self._now = now
        self._every = every
        self._observe = observe

    async def progress(self) -> Progress:
        """How far it is. Raises CannotRotate where the store has no roots yet, StorageError."""
        roots, _ = await self._roots()
        facts = await self._facts()
        return _progress(roots, facts)

    async def begin(self, author: str) -> RootSet:
        """Makes a root and begins to rotate to it. Raises CannotRotate."""
        roots, _ = await self._roots()
        rotations.check_idle(roots)
        _, new = await self._source.root()
        return await self._change(
            lambda roots: rotations.begin(roots, new, author, self._now()), author, "begin"
        )

    async def abort(self, author: str) -> RootSet:
        """Goes back. Raises CannotRotate."""
        return await self._change(lambda roots: rotations.abort(roots, self._now()), author, "abort")

    async def leave(self, names: Sequence[str], author: str) -> RootSet:
        """Those of these names are not waited for while they are away. Raises CannotRotate."""
        held = {each.name: each for each in (await self.progress()).held}
        for name in names:
            if name not in held:
                raise CannotRotate(
                    f"nothing waits for {name}; waited for are {', '.join(sorted(held)) or 'none'}"
                )
            if not held[name].away:
                raise CannotRotate(f"{name} is connected; end it first if it is to be left behind")
        return await self._change(
            lambda roots: rotations.amend(roots, lambda each: each.leave(tuple(names))), author, "leave"
        )

    async def roots_given(self, author: str) -> RootSet:
        """An operator says that who connects by tokens has the bundle in files. Raises CannotRotate."""
        return await self._change(
            lambda roots: rotations.amend(roots, Rotation.with_roots_given), author, "roots given"
        )

    async def run(self) -> None:
        """Takes steps when they can be taken, until cancelled; one daemon at a time does."""
        clock = asyncio.get_running_loop().time
        swept = clock()
        while True:
            try:
                await self.step()
                if clock() >= swept + _SWEEP:
                    swept = clock()
                    await self.sweep()
            except (StorageError, CannotRotate) as error:
                self._logger.debug("the rotation of roots goes on later", why=str(error))
            await asyncio.sleep(self._every)

    async def step(self) -> bool:
        """Takes the next step if nobody holds it. Raises CannotRotate, StorageError."""
        roots, kept = await self._roots()
        if roots.rotation is None or not roots.rotation.running:
            self._observe(Progress(roots, (), ()))
            return False
        facts = await self._facts()
        self._observe(_progress(roots, facts))
        following = rotations.advance(roots, facts)
        if following is None or not await self._write(kept, following):
            return False
        self._tell(following, "step", "xdsd")
        return True

    async def sweep(self) -> None:
        """Forgets proxies of daemons that are gone, once what they held has expired. Raises StorageError."""
        facts = await self._facts()
        gone = [
            Delete(each.key.encode())
            for each in facts.standings
            if not each.is_daemon
            and each.daemon not in facts.members
            and (each.until is None or each.until <= facts.now)
        ]
        for start in range(0, len(gone), _AT_ONCE):
            await self._store.txn((), gone[start : start + _AT_ONCE])

    async def _change(self, change: Callable[[RootSet], RootSet], author: str, what: str) -> RootSet:
        for _ in range(_ATTEMPTS):
            roots, kept = await self._roots()
            changed = change(roots)
            if await self._write(kept, changed):
                self._tell(changed, what, author)
                return changed
        raise CannotRotate("others change the roots at the same time; try again")

    async def _write(self, kept: KeyValue, roots: RootSet) -> bool:
        same = Compare(ROOTS, Target.MOD, Op.EQUAL, kept.mod_revision)
        result = await self._store.txn([same], [Put(ROOTS, encode(roots))])
        return result.succeeded

    async def _roots(self) -> tuple[RootSet, KeyValue]:
        kept = await self._store.get(ROOTS)
        if kept is None:
            raise CannotRotate("the store has no roots yet; try again")
        try:
            return decode(kept.value), kept
        except InvalidRoots as error:
            raise CannotRotate(str(error)) from error

    async def _facts(self) -> Facts:
        return await read_facts(self._store, self._members, self._now())

    def _tell(self, roots: RootSet, what: str, who: str) -> None:
        rotation = roots.rotation
        if rotation is not None:
            self._logger.info(
                "audit",
                what=f"ca rotate: {what}",
                who=who,
                step=rotation.step.value,
                back=rotation.back,
                old=rotation.old,
                new=rotation.new,
                left=list(rotation.left),
            )
