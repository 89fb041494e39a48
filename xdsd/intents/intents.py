"""The objects of a store: read, applied, deleted, watched, and what they were."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from storage.base import (
    Delete,
    Put,
    Store,
    TooLarge,
    Txn,
)
from xdsd.intents.admission import Observed
from xdsd.intents.encoding import Undecodable
from xdsd.intents.history import (
    DAEMON,
    Author,
    History,
    HistoryPage,
    Wanted,
    told,
)
from xdsd.intents.judging import Judge, Rule
from xdsd.intents.ledger import ATTEMPTS, ONE_BY_ONE, Audit, Ledger, contended, record_of, removal
from xdsd.intents.neighbours import Neighbours
from xdsd.intents.past import Differences, Past
from xdsd.intents.planning import Outcome, Plan, Stored, written
from xdsd.intents.shelf import Contents, Shelf, aside, weight
from xdsd.intents.transacting import Transacted
from xdsd.intents.transactions import Transactions
from xdsd.intents.watching import Follower, IntentChange
from xdsd.manifest import AnyObject
from xdsd.model.hosts import DEFAULT_DOMAIN
from xdsd.model.intent import KINDS, Kind
from xdsd.model.problem import ObjectRef, Problem, Reason

BLAMED = 20
"""Conflicts that are looked up in the history."""


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
    object. ``observed`` tells what registries report, so that references to it can be checked (the same
    value while nothing changed); without it they are not. ``audit`` is told the records of each write, of many in a thread.
    """

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, Kind] = KINDS,
        *,
        rules: Sequence[Rule] = (),
        observed: Callable[[], Observed] | None = None,
        domain: str = DEFAULT_DOMAIN,
        audit: Audit = lambda _: None,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._shelf = Shelf(store, kinds)
        self._history = History(store, self._shelf.keys)
        self._judge = Judge(kinds, rules, self._shelf.keys)
        self._ledger = Ledger(store, self._history, audit)
        self._past = Past(store, self._shelf, self._history)
        self._neighbours = Neighbours(self._all, observed, domain)
        self._transactions = Transactions(
            store, self._shelf, self._history, self._judge, self._ledger, self._neighbours
        )
        self._followed = False

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

    async def apply(
        self,
        objects: Sequence[AnyObject],
        *,
        now: str,
        dry_run: bool = False,
        author: Author = DAEMON,
        rolled_back_to: int = 0,
    ) -> Applied:
        """Makes objects so, all or none, as one revision; ``now`` (RFC 3339) is when new ones were created.

        An object whose metadata gives a resource version is applied only if that is still the newest.
        Objects that are so already are not written. With ``dry_run`` everything is done but the write. The records of
        a rollback tell its revision.
        """
        try:
            return await self._apply(objects, now, dry_run, author, rolled_back_to)
        except TooLarge as error:
            problem = Problem(
                Reason.TOO_LARGE, f"{error}; apply in parts, each a transaction of its own: --chunk"
            )
            return Applied(False, await self._store.revision(), problems=(problem,))

    async def _apply(
        self, objects: Sequence[AnyObject], now: str, dry_run: bool, author: Author, rolled_back_to: int
    ) -> Applied:
        many = weight(objects)
        refused, remarks = await aside(many, lambda: self._judge.judged(objects))
        keys = [self._shelf.keys.of(obj.ref) for obj in objects if obj.kind in self._kinds]
        guess = self._followed and not dry_run and len(keys) <= ONE_BY_ONE
        for _ in range(ATTEMPTS):
            # What was followed is most likely what is there: if it is not, the transaction finds out, and this is done anew.
            guessed, guess = guess, False
            contents = self._shelf.known(keys) if guessed else await self._shelf.some(keys)
            plans, problems = await aside(many, partial(self._judge.planned, objects, contents, now))
            if guessed and (problems or any(each.value is None for each in plans)):
                continue
            blamed = [await self._blamed(each, contents) for each in problems[:BLAMED]]
            if errors := (*refused, *blamed, *problems[BLAMED:]):
                return Applied(False, contents.revision, problems=_unique(errors))
            subjects = [each.outcome.object for each in plans if each.outcome.object]
            found = (*remarks, *await self._neighbours.with_(subjects))
            outcomes = tuple(each.outcome for each in plans)
            if dry_run or all(each.value is None for each in plans):
                return Applied(True, contents.revision, outcomes, found)
            made = [record_of(each.outcome, now, author) for each in plans if each.value is not None]
            records = [replace(each, rolled_back_to=rolled_back_to) for each in made]
            puts = [
                Put(key, each.value) for key, each in zip(keys, plans, strict=True) if each.value is not None
            ]
            expected = {
                key: (each.value, each.outcome.object)
                for key, each in zip(keys, plans, strict=True)
                if each.value is not None and each.outcome.object is not None
            }
            with self._shelf.expecting(expected):
                revision = await self._ledger.commit(contents, keys, puts, records)
            if revision:
                outcomes = await aside(many, partial(self._written, plans, contents, revision))
                return Applied(True, revision, outcomes, found)
        return Applied(False, contents.revision, problems=(contended(),))

    async def delete(
        self,
        refs: Sequence[ObjectRef],
        *,
        now: str,
        dry_run: bool = False,
        ignore_missing: bool = False,
        author: Author = DAEMON,
    ) -> Deleted:
        """Removes objects, all or none, as one revision; a missing one refuses all unless ignored."""
        try:
            return await self._delete(refs, now, dry_run, ignore_missing, author)
        except TooLarge as error:
            problem = Problem(Reason.TOO_LARGE, f"{error}; delete fewer at once")
            return Deleted(False, await self._store.revision(), problems=(problem,))

    async def _delete(
        self, refs: Sequence[ObjectRef], now: str, dry_run: bool, ignore_missing: bool, author: Author
    ) -> Deleted:
        wanted = {ref: self._shelf.keys.of(ref) for ref in refs if ref.kind in self._kinds}
        missing: tuple[ObjectRef, ...] = ()
        for _ in range(ATTEMPTS):
            contents = await self._shelf.some(list(wanted.values()))
            found = contents.stored
            missing = tuple(dict.fromkeys(ref for ref in refs if wanted.get(ref) not in found))
            if missing and not ignore_missing:
                return Deleted(False, contents.revision, missing=missing)
            outcomes = tuple(removal(stored) for stored in found.values())
            remarks = await self._neighbours.without([stored.ref for stored in found.values()])
            if dry_run or not found:
                return Deleted(True, contents.revision, outcomes, missing, remarks)
            records = [record_of(outcome, now, author) for outcome in outcomes]
            deletes = [Delete(key) for key in found]
            revision = await self._ledger.commit(contents, list(found), deletes, records)
            if revision:
                return Deleted(True, revision, outcomes, missing, remarks)
        return Deleted(False, contents.revision, missing=missing, problems=(contended(),))

    async def transact(self, txn: Txn, *, now: str, author: Author = DAEMON) -> Transacted:
        """Runs a transaction of raw keys. Objects that it would write are admitted, canonical and recorded.

        Raises Inadmissible, and all that ``Store.txn`` raises; nothing was done then.
        """
        return await self._transactions.run(txn, now, author)

    async def watch(
        self, from_revision: int = 0, *, unavailable: Callable[[str], None] | None = None, retry: float = 1.0
    ) -> AsyncGenerator[IntentChange, None]:
        """Changes from a revision on, without gap or duplicate; from 0, first all there is as one complete
        change.

        Where history was compacted away, the next change holds what really differs. Ends when the store is
        closed. An outage raises Unavailable, or is told to ``unavailable`` and outlasted, asking every
        ``retry`` seconds: the change after it holds what really differs, and may be empty.
        """
        follower = Follower(self._store, self._shelf, from_revision, unavailable, retry)
        async with aclosing(follower.changes()) as changes:
            async for change in changes:
                yield change

    async def follow(
        self, *, unavailable: Callable[[str], None], retry: float = 1.0
    ) -> AsyncGenerator[IntentChange, None]:
        """``watch`` for the one who watches for as long as the store is open: writes then cost what they touch."""
        try:
            async with aclosing(self.watch(unavailable=unavailable, retry=retry)) as changes:
                async for change in changes:
                    await self._neighbours.follow(change)
                    self._followed = True
                    yield change
        finally:
            self._followed = False
            await self._neighbours.stop()

    async def history(self, wanted: Wanted, limit: int = 0) -> HistoryPage:
        """Records of writes, the newest first; ``limit`` 0: all. Raises KeyError for an unknown kind."""
        return await self._history.list(wanted, limit)

    async def forget_history(self, before: datetime) -> int:
        """Drops records that are older; how many."""
        return await self._history.forget(before)

    async def rollback(
        self, ref: ObjectRef, revision: int, *, now: str, dry_run: bool = False, author: Author = DAEMON
    ) -> Applied:
        """Makes an object what it was at a revision, as an ordinary write."""
        found = await self._past.at(ref, revision)
        if isinstance(found, Problem):
            return Applied(False, await self._store.revision(), problems=(found,))
        bare = replace(found, metadata=replace(found.metadata, resource_version="", uid=""))
        return await self.apply([bare], now=now, dry_run=dry_run, author=author, rolled_back_to=revision)

    async def between(self, from_revision: int, to_revision: int, wanted: Wanted) -> Differences:
        """What objects were at two revisions, where that differs; ``to_revision`` 0: now.

        Raises Compacted where the records do not reach so far back, FutureRevision.
        """
        return await self._past.between(from_revision, to_revision, wanted)

    async def contents(self, keys: Sequence[bytes]) -> Contents:
        """What stands under these keys, as of one revision."""
        return await self._shelf.some(keys)

    async def _blamed(self, problem: Problem, contents: Contents) -> Problem:
        """The problem; of an object that somebody else wrote first it says who that was, as far as the history tells."""
        ref = problem.object
        if ref is None or problem.reason is not Reason.CONFLICT:
            return problem
        stored = contents.stored.get(self._shelf.keys.of(ref))
        page = await self._history.list(Wanted(ref.kind, ref.namespace, ref.name), 1)
        for last in page.records:
            if stored is None or stored.mod_revision == last.revision:
                return replace(problem, message=f"{problem.message}; {told(last)}")
        return problem

    async def _all(self) -> Iterable[AnyObject]:
        contents = await self._shelf.everything()
        return [stored.object for stored in contents.stored.values() if stored.object]

    def _written(self, plans: Sequence[Plan], contents: Contents, revision: int) -> tuple[Outcome, ...]:
        keys = [self._shelf.keys.of(each.outcome.ref) for each in plans]
        outcomes = []
        for each, key in zip(plans, keys, strict=True):
            before = contents.stored.get(key)
            outcome = written(each, key, before, revision)
            if each.value is not None:
                created = before.create_revision if before else revision
                fingerprint = hash(each.value)
                self._shelf.put(key, Stored(outcome.ref, revision, created, outcome.object, (), fingerprint))
            outcomes.append(outcome)
        return tuple(outcomes)


def _unique(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(dict.fromkeys(problems))
