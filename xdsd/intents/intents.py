"""The objects of a store: read, applied, deleted and watched."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from storage.base import Compare, Delete, InvalidRequest, Op, Put, Store, Target
from xdsd.intents.admission import Observed, World, warnings
from xdsd.intents.encoding import Undecodable
from xdsd.intents.planning import Outcome, Plan, Stored, Verdict, plan, repeated, written
from xdsd.intents.shelf import Contents, Shelf
from xdsd.intents.watching import Follower, IntentChange
from xdsd.manifest import AnyObject
from xdsd.model.hosts import DEFAULT_DOMAIN
from xdsd.model.intent import KINDS, Kind
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

ATTEMPTS = 50
"""How often a transaction is tried again because somebody else wrote first."""

Rule = Callable[[AnyObject], Iterable[Problem]]


class Listing(NamedTuple):
    """Objects in the order of kind, namespace and name, all as of one revision."""

    objects: tuple[AnyObject, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying did: nothing unless ``accepted``. ``outcomes`` are in the order of the objects."""

    accepted: bool
    revision: int
    outcomes: tuple[Outcome, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """What deleting did: nothing unless ``accepted``. ``problems`` warn of what the objects that stay now
    lack.
    """

    accepted: bool
    revision: int
    outcomes: tuple[Outcome, ...] = ()
    missing: tuple[ObjectRef, ...] = ()
    problems: tuple[Problem, ...] = ()


class Intents:
    """Objects in a store.

    ``rules`` tell what is wrong with one object beyond what its messages say; an error among it refuses the
    object. ``observed`` tells what registries report, so that references to it can be checked; without it
    they are not.
    """

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, Kind] = KINDS,
        *,
        rules: Sequence[Rule] = (),
        observed: Callable[[], Observed] | None = None,
        domain: str = DEFAULT_DOMAIN,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._rules = rules
        self._observed = observed
        self._domain = domain
        self._shelf = Shelf(store, kinds)

    async def list(self, kind: str | None = None, namespace: str | None = None) -> Listing:
        """Objects, narrowed by kind and namespace; those that cannot be read are left out. KeyError: no such kind."""
        contents = await self._shelf.below(self._shelf.keys.prefix(kind, namespace))
        objects = [stored.object for stored in contents.stored.values() if stored.object is not None]
        chosen = (obj for obj in objects if namespace in (None, "", obj.metadata.namespace))
        return Listing(tuple(sorted(chosen, key=lambda obj: obj.ref)), contents.revision)

    async def get(self, ref: ObjectRef) -> AnyObject | None:
        """One object. Raises Undecodable if what is stored is none, KeyError for an unknown kind."""
        stored = await self._shelf.one(ref)
        if stored is not None and stored.object is None:
            raise Undecodable(stored.problems)
        return stored.object if stored else None

    async def apply(self, objects: Sequence[AnyObject], *, now: str, dry_run: bool = False) -> Applied:
        """Makes objects so, all or none, as one revision; ``now`` (RFC 3339) is when new ones were created.

        An object whose metadata gives a resource version is applied only if that is still the newest.
        Objects that are so already are not written. With ``dry_run`` everything is done but the write.
        """
        # Looking at thousands of objects takes longer than the event loop may wait, so it is left to a thread.
        refused, remarks = await asyncio.to_thread(self._judged, objects)
        for _ in range(ATTEMPTS):
            contents = await self._shelf.everything()
            plans, problems = await asyncio.to_thread(self._plans, objects, contents, now)
            if errors := (*refused, *problems):
                return Applied(False, contents.revision, problems=_unique(errors))
            found = (*remarks, *await self._warnings(contents, plans))
            outcomes = tuple(each.outcome for each in plans)
            if dry_run or all(each.value is None for each in plans):
                return Applied(True, contents.revision, outcomes, found)
            try:
                revision = await self._write(plans, contents)
            except InvalidRequest as error:
                return Applied(False, contents.revision, problems=(Problem(Reason.TOO_LARGE, str(error)),))
            if revision:
                outcomes = await asyncio.to_thread(self._written, plans, contents, revision)
                return Applied(True, revision, outcomes, found)
        message = f"others changed the same objects {ATTEMPTS} times in a row; try again"
        return Applied(False, contents.revision, problems=(Problem(Reason.CONFLICT, message),))

    async def delete(
        self, refs: Sequence[ObjectRef], *, dry_run: bool = False, ignore_missing: bool = False
    ) -> Deleted:
        """Removes objects, all or none, as one revision; a missing one refuses all unless ignored."""
        wanted = {ref: self._shelf.keys.of(ref) for ref in refs if ref.kind in self._kinds}
        missing: tuple[ObjectRef, ...] = ()
        for _ in range(ATTEMPTS):
            contents = await self._shelf.everything()
            found = {key: contents.stored[key] for key in wanted.values() if key in contents.stored}
            missing = tuple(dict.fromkeys(ref for ref in refs if wanted.get(ref) not in found))
            if missing and not ignore_missing:
                return Deleted(False, contents.revision, missing=missing)
            outcomes = tuple(Outcome(stored.ref, Verdict.DELETED, stored.object) for stored in found.values())
            remarks = await self._left_behind(contents, found)
            if dry_run or not found:
                return Deleted(True, contents.revision, outcomes, missing, remarks)
            compare = [_unchanged(key, stored) for key, stored in found.items()]
            result = await self._store.txn(compare, [Delete(key) for key in found])
            if result.succeeded:
                return Deleted(True, result.revision, outcomes, missing, remarks)
        message = f"others changed the same objects {ATTEMPTS} times in a row; try again"
        return Deleted(
            False, contents.revision, missing=missing, problems=(Problem(Reason.CONFLICT, message),)
        )

    def watch(
        self, from_revision: int = 0, *, unavailable: Callable[[str], None] | None = None, retry: float = 1.0
    ) -> AsyncIterator[IntentChange]:
        """Changes from a revision on, without gap or duplicate; from 0, first all there is as one complete
        change.

        Where history was compacted away, the next change holds what really differs. Ends when the store is
        closed. An outage raises Unavailable, or is told to ``unavailable`` and outlasted, asking every
        ``retry`` seconds: the change after it holds what really differs, and may be empty.
        """
        return Follower(self._store, self._shelf, from_revision, unavailable, retry).changes()

    def _judged(self, objects: Sequence[AnyObject]) -> tuple[Sequence[Problem], Sequence[Problem]]:
        """What refuses objects without a look at the store, and what is only remarked."""
        unknown = [
            Problem(Reason.UNKNOWN_KIND, f"{obj.kind} is none of {', '.join(self._kinds)}", obj.ref, "kind")
            for obj in objects
            if obj.kind not in self._kinds
        ]
        ruled = [problem for obj in objects for rule in self._rules for problem in rule(obj)]
        broken = [problem for problem in ruled if problem.severity is Severity.ERROR]
        remarks = [problem for problem in ruled if problem.severity is Severity.WARNING]
        return (*unknown, *repeated([obj.ref for obj in objects]), *broken), remarks

    def _plans(
        self, objects: Sequence[AnyObject], contents: Contents, now: str
    ) -> tuple[Sequence[Plan], Sequence[Problem]]:
        planned = [
            plan(obj, contents.stored.get(self._shelf.keys.of(obj.ref)), self._kinds[obj.kind], now)
            for obj in objects
            if obj.kind in self._kinds
        ]
        return (
            [each for each in planned if isinstance(each, Plan)],
            [each for each in planned if isinstance(each, Problem)],
        )

    async def _write(self, plans: Sequence[Plan], contents: Contents) -> int:
        """The revision; 0 if one of the objects is no longer as it was."""
        compare, writes = [], []
        for each in plans:
            key = self._shelf.keys.of(each.outcome.ref)
            compare.append(_unchanged(key, contents.stored.get(key)))
            if each.value is not None:
                writes.append(Put(key, each.value))
        result = await self._store.txn(compare, writes)
        return result.revision if result.succeeded else 0

    def _written(self, plans: Sequence[Plan], contents: Contents, revision: int) -> tuple[Outcome, ...]:
        keys = [self._shelf.keys.of(each.outcome.ref) for each in plans]
        return tuple(
            written(each, key, contents.stored.get(key), revision)
            for each, key in zip(plans, keys, strict=True)
        )

    async def _warnings(self, contents: Contents, plans: Sequence[Plan]) -> tuple[Problem, ...]:
        subjects = {each.outcome.ref: each.outcome.object for each in plans if each.outcome.object}
        objects = {stored.ref: stored.object for stored in contents.stored.values() if stored.object}
        return await self._check({**objects, **subjects}, tuple(subjects.values()))

    async def _left_behind(self, contents: Contents, found: Mapping[bytes, Stored]) -> tuple[Problem, ...]:
        """Warnings of the objects that stay, which they had not before."""
        before = {stored.ref: stored.object for stored in contents.stored.values() if stored.object}
        gone = {stored.ref for stored in found.values()}
        after = {ref: obj for ref, obj in before.items() if ref not in gone}
        old = await self._check(before, tuple(after.values()))
        new = await self._check(after, tuple(after.values()))
        known = {(problem.object, problem.path) for problem in old}
        return tuple(problem for problem in new if (problem.object, problem.path) not in known)

    async def _check(
        self, objects: Mapping[ObjectRef, AnyObject], subjects: Sequence[AnyObject]
    ) -> tuple[Problem, ...]:
        observed = self._observed() if self._observed else None
        return await asyncio.to_thread(
            lambda: warnings(World(objects.values(), observed, self._domain), subjects)
        )


def _unchanged(key: bytes, stored: Stored | None) -> Compare:
    return Compare(key, Target.MOD, Op.EQUAL, stored.mod_revision if stored else 0)


def _unique(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(dict.fromkeys(problems))
