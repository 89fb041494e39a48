"""The objects of a store: read, applied, deleted, watched, and what they were."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from storage.base import (
    Compare,
    Delete,
    Get,
    Op,
    Operation,
    Put,
    RangeResult,
    Store,
    Target,
    TooLarge,
    Txn,
    TxnResult,
    prefix_end,
)
from xdsd.intents.admission import Observed
from xdsd.intents.encoding import Undecodable
from xdsd.intents.history import (
    DAEMON,
    Author,
    History,
    HistoryPage,
    Record,
    Wanted,
    told,
)
from xdsd.intents.keys import HISTORY, ROOT
from xdsd.intents.neighbours import Neighbours
from xdsd.intents.past import Differences, Past
from xdsd.intents.planning import Outcome, Plan, Stored, Verdict, plan, repeated, written
from xdsd.intents.shelf import FEW, Contents, Shelf, aside
from xdsd.intents.transacting import (
    Inadmissible,
    Node,
    Touched,
    Transacted,
    answered,
    prepared,
    recorded,
    touched,
)
from xdsd.intents.watching import Follower, IntentChange
from xdsd.manifest import AnyObject
from xdsd.model.hosts import DEFAULT_DOMAIN
from xdsd.model.intent import KINDS, Kind
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

ATTEMPTS = 50
"""How often a transaction is tried again because somebody else wrote first."""

ONE_BY_ONE = 60
"""Objects that a transaction compares one by one; of more it asks that no object at all has changed."""

BLAMED = 20
"""Conflicts that are looked up in the history."""

Rule = Callable[[AnyObject], Iterable[Problem]]
Audit = Callable[[Sequence[Record]], None]


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
        self._rules = rules
        self._audit = audit
        self._shelf = Shelf(store, kinds)
        self._history = History(store, self._shelf.keys)
        self._past = Past(store, self._shelf, self._history)
        self._neighbours = Neighbours(self._all, observed, domain)
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
        refused, remarks = await aside(len(objects), lambda: self.judged(objects))
        keys = [self._shelf.keys.of(obj.ref) for obj in objects if obj.kind in self._kinds]
        guess = self._followed and not dry_run and len(keys) <= ONE_BY_ONE
        for _ in range(ATTEMPTS):
            # What was followed is most likely what is there: if it is not, the transaction finds out, and this is done anew.
            guessed, guess = guess, False
            contents = self._shelf.known(keys) if guessed else await self._shelf.some(keys)
            plans, problems = await aside(len(objects), partial(self.planned, objects, contents, now))
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
            made = [_record(each.outcome, now, author) for each in plans if each.value is not None]
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
                revision = await self._commit(contents, keys, puts, records)
            if revision:
                outcomes = await aside(len(objects), partial(self._written, plans, contents, revision))
                return Applied(True, revision, outcomes, found)
        return Applied(False, contents.revision, problems=(_contended(),))

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
            outcomes = tuple(_removal(stored) for stored in found.values())
            remarks = await self._neighbours.without([stored.ref for stored in found.values()])
            if dry_run or not found:
                return Deleted(True, contents.revision, outcomes, missing, remarks)
            records = [_record(outcome, now, author) for outcome in outcomes]
            deletes = [Delete(key) for key in found]
            revision = await self._commit(contents, list(found), deletes, records)
            if revision:
                return Deleted(True, revision, outcomes, missing, remarks)
        return Deleted(False, contents.revision, missing=missing, problems=(_contended(),))

    async def transact(self, txn: Txn, *, now: str, author: Author = DAEMON) -> Transacted:
        """Runs a transaction of raw keys. Objects that it would write are admitted, canonical and recorded.

        Raises Inadmissible, and all that ``Store.txn`` raises; nothing was done then.
        """
        wanted = touched(txn, self._shelf.keys)
        if not wanted:
            return Transacted(await self._store.txn(txn.compare, txn.success, txn.failure))
        refused, remarks = await asyncio.to_thread(self._each_judged, tuple(wanted.puts.values()))
        for _ in range(ATTEMPTS):
            found, contents = await self._touched(wanted)
            node, odd = await self._prepared(txn, wanted, found, contents, refused, now, author)
            keys = [put.key for put in wanted.puts]
            guards = unchanged(contents, keys) if not wanted.spans else _all_unchanged(contents)
            result = await self._store.txn(guards, (node.txn,))
            inner = result.responses[0] if result.succeeded else None
            if isinstance(inner, TxnResult):
                inner = replace(inner, revision=result.revision)
                await self._tell(list(recorded(node, inner)), result.revision)
                return Transacted(answered(node, inner), (*remarks, *odd))
        raise Inadmissible([_contended()])

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

    def _each_judged(self, objects: Sequence[AnyObject]) -> tuple[Sequence[Problem], Sequence[Problem]]:
        """``judged``, of objects of which some may stand on the other way of a transaction."""
        found = [self.judged([obj]) for obj in objects]
        return [each for errors, _ in found for each in errors], [each for _, odd in found for each in odd]

    async def _touched(self, wanted: Touched) -> tuple[Mapping[Delete, Sequence[Stored]], Contents]:
        """What stands in the spans that would be deleted, and under the keys that would be put, as of one revision."""
        gets = [Get(span.key, span.range_end) for span in wanted.spans]
        keys = list(dict.fromkeys(put.key for put in wanted.puts))
        answer = await self._store.txn((), [*gets, *map(Get, keys)])
        responses = [each for each in answer.responses if isinstance(each, RangeResult)]
        contents = await self._shelf.read(
            [kv for each in responses for kv in each.kvs if kv.key.startswith(ROOT.encode())], answer.revision
        )
        found = {
            span: [stored for kv in each.kvs if (stored := contents.stored.get(kv.key))]
            for span, each in zip(wanted.spans, responses, strict=False)
        }
        return found, contents

    async def _prepared(
        self,
        txn: Txn,
        wanted: Touched,
        found: Mapping[Delete, Sequence[Stored]],
        contents: Contents,
        refused: Sequence[Problem],
        now: str,
        author: Author,
    ) -> tuple[Node, Sequence[Problem]]:
        """The transaction to run, and what is odd about what it would make. Raises Inadmissible."""
        planned: dict[Put, Plan] = {}
        errors = list(refused)
        for put, obj in wanted.puts.items():
            plans, problems = self.planned([obj], contents, now)
            errors += problems
            if plans:
                planned[put] = plans[0]
        if errors:
            raise Inadmissible(_unique(errors))
        puts = {put: (each, _record(each.outcome, now, author)) for put, each in planned.items()}
        removals = {
            span: [_record(_removal(each), now, author) for each in stored] for span, stored in found.items()
        }
        records = [
            *(record for _, record in puts.values()),
            *(each for some in removals.values() for each in some),
        ]
        written = {id(record): self._history.put(record) for record in records}
        subjects = [each.outcome.object for each in planned.values() if each.outcome.object]
        gone = [each.ref for stored in found.values() for each in stored]
        odd = [
            *(await self._neighbours.with_(subjects) if subjects else ()),
            *(await self._neighbours.without(gone) if gone else ()),
        ]
        return prepared(txn, puts, removals, written), odd

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

    async def _commit(
        self,
        contents: Contents,
        keys: Sequence[bytes],
        operations: Sequence[Operation],
        records: Sequence[Record],
    ) -> int:
        """The revision; 0 if something is no longer as it was. Raises TooLarge."""
        history = [self._history.put(record) for record in records]
        result = await self._store.txn(unchanged(contents, keys), [*operations, *history])
        if not result.succeeded:
            return 0
        await self._tell(records, result.revision)
        return result.revision

    async def _tell(self, records: Sequence[Record], revision: int) -> None:
        written = [replace(record, revision=revision) for record in records]
        if len(written) > FEW:
            await asyncio.to_thread(self._audit, written)
        else:
            self._audit(written)

    def judged(self, objects: Sequence[AnyObject]) -> tuple[Sequence[Problem], Sequence[Problem]]:
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

    def planned(
        self, objects: Sequence[AnyObject], contents: Contents, now: str
    ) -> tuple[Sequence[Plan], Sequence[Problem]]:
        """What applying objects would do, and what is wrong with it."""
        planned = [
            plan(obj, contents.stored.get(self._shelf.keys.of(obj.ref)), self._kinds[obj.kind], now)
            for obj in objects
            if obj.kind in self._kinds
        ]
        return (
            [each for each in planned if isinstance(each, Plan)],
            [each for each in planned if isinstance(each, Problem)],
        )

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


def unchanged(contents: Contents, keys: Sequence[bytes]) -> Sequence[Compare]:
    """Holds while objects are as they were read."""
    if len(keys) > ONE_BY_ONE:
        return _all_unchanged(contents)
    return [
        Compare(key, Target.MOD, Op.EQUAL, stored.mod_revision if stored else 0)
        for key, stored in ((key, contents.stored.get(key)) for key in dict.fromkeys(keys))
    ]


def _all_unchanged(contents: Contents) -> Sequence[Compare]:
    """Holds while no object was written or removed since: each leaves a record."""
    return [
        Compare(prefix, Target.MOD, Op.LESS, contents.revision + 1, prefix_end(prefix))
        for prefix in (ROOT.encode(), HISTORY.encode())
    ]


def _record(outcome: Outcome, now: str, author: Author) -> Record:
    after = None if outcome.verdict is Verdict.DELETED else outcome.object
    before = outcome.object if outcome.verdict is Verdict.DELETED else outcome.before
    return Record(outcome.ref, outcome.verdict, now, author, before, after)


def _removal(stored: Stored) -> Outcome:
    return Outcome(stored.ref, Verdict.DELETED, stored.object)


def _contended() -> Problem:
    message = f"others changed the same objects {ATTEMPTS} times in a row; try again"
    return Problem(Reason.CONFLICT, message)


def _unique(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(dict.fromkeys(problems))
