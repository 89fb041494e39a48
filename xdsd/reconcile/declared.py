"""Whose word holds where several sources declare one object: same kind, namespace and name. Pure.

The store's does: who writes there means this mesh, is known by name in its history, and may be held back by rights. Who may
write to a cluster is not to take over what the mesh's operators set. (By age, which was turned down, an object that was
forgotten in a cluster would outlive what is applied to the mesh.) Among other sources the older object holds, so that a
cluster that joins changes nothing that is there; of two of one age, that of the source whose name comes first. The others
are problems, and take effect once what stands before them is gone.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.reconcile.sources import STORE
from xdsd.registry.base import AnyObject


class Holding(NamedTuple):
    """An object and who declares it."""

    source: str
    object: AnyObject


class Turn(NamedTuple):
    """What a step means for one object: whose word held and whose holds now; None: nobody declares it."""

    ref: ObjectRef
    before: Holding | None
    after: Holding | None


class Declared:
    """All objects by what declares them."""

    def __init__(self) -> None:
        self._holding: dict[ObjectRef, Holding] = {}
        self._others: dict[ObjectRef, dict[str, AnyObject]] = {}
        self._foreign: dict[ObjectRef, Holding] = {}

    def put(self, source: str, obj: AnyObject) -> Turn | None:
        """A source declares an object, or declares it otherwise; None where that changes nothing."""
        ref, before = obj.ref, self._holding.get(obj.ref)
        others = self._others.get(ref)
        if before is None or (before.source == source and not others):
            return self._hold(ref, before, Holding(source, obj))
        return self._elect(ref, before, {**(others or {}), before.source: before.object, source: obj})

    def drop(self, source: str, ref: ObjectRef) -> Turn | None:
        """A source does not declare an object any more; None where that changes nothing."""
        before = self._holding.get(ref)
        if before is None:
            return None
        held = {**self._others.get(ref, {}), before.source: before.object}
        held.pop(source, None)
        return self._elect(ref, before, held)

    def _elect(self, ref: ObjectRef, before: Holding, held: dict[str, AnyObject]) -> Turn | None:
        """Of all that declare it the first holds."""
        after = min((Holding(*each) for each in held.items()), key=_rank, default=None)
        if after is not None:
            del held[after.source]
        if held:
            self._others[ref] = held
        else:
            self._others.pop(ref, None)
        if after is not None and after.source == before.source and after.object is before.object:
            return None
        return self._hold(ref, before, after)

    def source_of(self, ref: ObjectRef) -> str | None:
        """Whose word holds for an object; None where nobody declares it."""
        found = self._holding.get(ref)
        return found.source if found else None

    def foreign(self) -> Iterator[Holding]:
        """The objects that another source than the store declares, and that hold."""
        return iter(self._foreign.values())

    def foreigner(self, ref: ObjectRef) -> Holding | None:
        """The same for one object."""
        return self._foreign.get(ref)

    def problems(self) -> Iterator[Problem]:
        """The objects that have no effect, each a problem of its source."""
        for ref, others in sorted(self._others.items()):
            holder = self._holding[ref]
            if holder.source == STORE:
                why = "the store has one of this kind, namespace and name too, which holds"
                what = "delete it there with xdsctl, or this one here"
            else:
                why = f"{holder.source} has one of this kind, namespace and name too, which holds since it is older"
                what = "delete or rename one of them"
            for source in sorted(others):
                yield Problem(Reason.CONFLICT, f"has no effect: {why}; {what}", ref, file=source)

    def _hold(self, ref: ObjectRef, before: Holding | None, after: Holding | None) -> Turn:
        if after is None:
            del self._holding[ref]
        else:
            self._holding[ref] = after
        if after is None or after.source == STORE:
            self._foreign.pop(ref, None)
        else:
            self._foreign[ref] = after
        return Turn(ref, before, after)


def _rank(holding: Holding) -> tuple[bool, str, str]:
    return holding.source != STORE, holding.object.metadata.creation_timestamp, holding.source


class Foreigners(Protocol):
    """Who knows which objects others than the store declare; the reconciler."""

    def foreigner(self, ref: ObjectRef) -> Holding | None: ...


def declared_elsewhere(foreigners: Foreigners, obj: AnyObject) -> list[Problem]:
    """Why an object is not written to the store: another source declares it, and the store does not yet."""
    found = foreigners.foreigner(obj.ref)
    return [] if found is None else [Problem(Reason.CONFLICT, not_here(found.source), obj.ref)]


def not_here(source: str) -> str:
    """What to do instead of writing to an object of another source."""
    return f"{source} declares it: change or delete it there, with kubectl, or give one for the store another name"
