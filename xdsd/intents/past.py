"""What objects were at a revision, from their records, and where these do not reach from the store's own history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from storage.base import Compacted, FutureRevision, Store
from xdsd.intents.history import History, Record, Wanted, changed_between, state_at
from xdsd.intents.shelf import Shelf, aside
from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef, Problem, Reason

NAMED = 5
"""Revisions that a refusal names."""

Differences = Mapping[ObjectRef, tuple[AnyObject | None, AnyObject | None]]
"""Objects before and after; None where there was none."""


class Past:
    """The past of a store's objects."""

    def __init__(self, store: Store, shelf: Shelf, history: History) -> None:
        self._store = store
        self._shelf = shelf
        self._history = history

    async def at(self, ref: ObjectRef, revision: int) -> AnyObject | Problem:
        """An object as it was, or why there is none."""
        newest, kept = await self._store.revision(), await self._history.kept_since()
        records = (await self._history.list(Wanted(ref.kind, ref.namespace, ref.name))).records
        if not 0 < revision <= newest:
            message = f"revision {revision} has not happened; the newest is {newest}{_known(records)}"
            return Problem(Reason.OUT_OF_RANGE, message, ref)
        try:
            told = any(each.revision <= revision for each in records) or revision + 1 >= kept
            found = state_at(records, revision) if records and told else await self._kept(ref, revision)
        except Compacted:
            message = f"what it was at revision {revision} is no longer kept{_known(records)}"
            return Problem(Reason.OUT_OF_RANGE, message, ref)
        except LookupError:
            message = f"what it was at revision {revision} cannot be read{_known(records)}"
            return Problem(Reason.OUT_OF_RANGE, message, ref)
        if found is not None:
            return found
        exists = await self._store.get(self._shelf.keys.of(ref)) is not None
        if not records and not exists:
            return Problem(Reason.BROKEN_REFERENCE, "does not exist, and no record tells that it did", ref)
        advice = "to have it so, delete it" if exists else "nor does it now"
        message = f"did not exist at revision {revision}; {advice}{_known(records)}"
        return Problem(Reason.BROKEN_REFERENCE, message, ref)

    async def between(self, from_revision: int, to_revision: int, wanted: Wanted) -> Differences:
        """What objects were at two revisions, where that differs; ``to_revision`` 0: now. An earlier one may come second.

        Raises Compacted where the records do not reach so far back, FutureRevision.
        """
        newest, kept = await self._store.revision(), await self._history.kept_since()
        last = to_revision or newest
        if max(from_revision, last) > newest:
            late = max(from_revision, last)
            raise FutureRevision(f"revision {late} has not happened yet; the newest is {newest}")
        first, then = sorted((from_revision, last))
        if first + 1 < kept:
            raise Compacted(kept - 1)
        records = await self._history.ends(replace(wanted, since=first + 1, before=then + 1))
        found = await aside(len(records), lambda: changed_between(records))
        if from_revision > last:
            return {ref: (after, before) for ref, (before, after) in found.items()}
        return found

    async def _kept(self, ref: ObjectRef, revision: int) -> AnyObject | None:
        """What the store itself still knows. Raises Compacted, and LookupError for what is no object."""
        key = self._shelf.keys.of(ref)
        kv = await self._store.get(key)
        if kv is None or kv.mod_revision > revision:
            kv = await self._store.get(key, revision=revision)
        if kv is None:
            return None
        stored = (await self._shelf.read([kv], revision)).stored.get(key)
        if stored is None or stored.object is None:
            raise LookupError(key)
        return stored.object


def _known(records: Sequence[Record]) -> str:
    """The revisions in which an object was written, the newest few."""
    if not records:
        return ""
    shown = ", ".join(str(each.revision) for each in records[:NAMED])
    more = ", and older ones" if len(records) > NAMED else ""
    return f"; it was written at revision {shown}{more}"
