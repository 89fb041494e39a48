"""Writing objects and the records of it in one transaction, if they are as they were looked at."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from storage.base import Compare, Op, Operation, Store, Target, prefix_end
from xdsd.intents.history import Author, History, Record
from xdsd.intents.keys import HISTORY, ROOT
from xdsd.intents.planning import Outcome, Stored, Verdict
from xdsd.intents.shelf import Contents, aside, weight
from xdsd.model.problem import Problem, Reason

ATTEMPTS = 50
"""How often a transaction is tried again because somebody else wrote first."""

ONE_BY_ONE = 60
"""Objects that a transaction compares one by one; of more it asks that no object at all has changed."""

Audit = Callable[[Sequence[Record]], None]


class Ledger:
    """``audit`` is told the records of each write."""

    def __init__(self, store: Store, history: History, audit: Audit) -> None:
        self._store = store
        self._history = history
        self._audit = audit

    async def commit(
        self,
        contents: Contents,
        keys: Sequence[bytes],
        operations: Sequence[Operation],
        records: Sequence[Record],
    ) -> int:
        """The revision; 0 if something is no longer as it was. Raises TooLarge."""
        history = await aside(_weight(records), lambda: [self._history.put(record) for record in records])
        result = await self._store.txn(unchanged(contents, keys), [*operations, *history])
        if not result.succeeded:
            return 0
        await self.tell(records, result.revision)
        return result.revision

    async def tell(self, records: Sequence[Record], revision: int) -> None:
        """Tells the audit of records that were written, of many in a thread."""
        written = [replace(record, revision=revision) for record in records]
        await aside(_weight(written), lambda: self._audit(written))


def _weight(records: Iterable[Record]) -> int:
    return weight(obj for record in records for obj in (record.before, record.after) if obj is not None)


def unchanged(contents: Contents, keys: Sequence[bytes]) -> Sequence[Compare]:
    """Holds while objects are as they were read."""
    if len(keys) > ONE_BY_ONE:
        return all_unchanged(contents)
    return [
        Compare(key, Target.MOD, Op.EQUAL, stored.mod_revision if stored else 0)
        for key, stored in ((key, contents.stored.get(key)) for key in dict.fromkeys(keys))
    ]


def all_unchanged(contents: Contents) -> Sequence[Compare]:
    """Holds while no object was written or removed since: each leaves a record."""
    return [
        Compare(prefix, Target.MOD, Op.LESS, contents.revision + 1, prefix_end(prefix))
        for prefix in (ROOT.encode(), HISTORY.encode())
    ]


def record_of(outcome: Outcome, now: str, author: Author) -> Record:
    """What is remembered of an outcome."""
    after = None if outcome.verdict is Verdict.DELETED else outcome.object
    before = outcome.object if outcome.verdict is Verdict.DELETED else outcome.before
    return Record(outcome.ref, outcome.verdict, now, author, before, after)


def removal(stored: Stored) -> Outcome:
    """What became of an object that is removed."""
    return Outcome(stored.ref, Verdict.DELETED, stored.object)


def contended() -> Problem:
    """Why a write was given up that somebody else was always faster than."""
    message = f"others changed the same objects {ATTEMPTS} times in a row; try again"
    return Problem(Reason.CONFLICT, message)
