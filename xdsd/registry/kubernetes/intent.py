"""The custom resources of a cluster as objects of intent, kept up to date step by step. Pure.

They are read as strictly as what is applied to the store, by the same rules. Of the envelope only what intent has is
taken: owners, finalizers and what servers write is the cluster's business. An object that cannot be used is a problem that
names the cluster; what it said last holds, and the others are none the worse.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xdsd.manifest import AnyObject, parse_object
from xdsd.model.intent.kinds import Kind
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.base import ObjectsChange
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.facts import Json, Name, Remark, Unreadable

Rule = Callable[[AnyObject], Iterable[Problem]]
_TAKEN = ("name", "namespace", "labels", "annotations", "generation", "creationTimestamp", "uid")
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NOT_HERE: Mapping[str, str] = {
    "Inspection": "whose TLS is read is for who operates the mesh; apply it with xdsctl",
    "Peer": "whom this mesh trusts is for who operates it; apply it with xdsctl",
    "Residency": "where a namespace's services may be is for who operates the mesh; apply it with xdsctl",
    "WorkloadGroup": "machines register themselves with groups of the store alone; apply it with xdsctl",
}
"""Kinds that have no effect in a cluster, each with what is done instead."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it stands in the cluster: in which version of the API it was read, what its status says, and which of
    that name it is.
    """

    kind: Kind
    version: str
    generation: int
    status: Mapping[str, Any]
    uid: str = ""


class IntentState:
    """Takes objects as they come and are gone; ``take`` says what that changed, ``take_problems`` what is wrong with them.

    ``rules`` tell what is wrong with one object beyond what its messages say, as they do where it is applied to the store.
    """

    def __init__(self, source: str, rules: Sequence[Rule] = ()) -> None:
        self._source = source
        self._rules = tuple(rules)
        self._seen: dict[ObjectRef, Seen] = {}
        self._objects: dict[ObjectRef, AnyObject] = {}
        self._put: dict[ObjectRef, AnyObject] = {}
        self._gone: dict[ObjectRef, None] = {}
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._by_ref: dict[ObjectRef, tuple[Problem, ...]] = {}

    @property
    def seen(self) -> Mapping[ObjectRef, Seen]:
        """All that stands in the cluster, used or not."""
        return self._seen

    @property
    def pending(self) -> bool:
        """Whether ``take`` has something to say."""
        return bool(self._put or self._gone)

    def names(self, kind: Kind, namespace: str = "") -> frozenset[Name]:
        """The objects of a kind that are there as far as was told, of one namespace or of all."""
        return frozenset(
            Name(ref.namespace, ref.name)
            for ref in self._seen
            if ref.kind == kind.kind and namespace in ("", ref.namespace)
        )

    def put(self, kind: Kind, version: str, obj: Json) -> None:
        """Adds or replaces an object, read as one of ``version``. One that cannot be used stays as it was."""
        try:
            name = facts.name_of(obj)
        except Unreadable as fault:
            self._note(ObjectRef(kind.kind, "", "?"), [_problem(fault.remark)])
            return
        ref = ObjectRef(kind.kind, *name)
        self._seen[ref] = Seen(
            kind, version, _generation(obj), _status(obj), str(obj["metadata"].get("uid") or "")
        )
        found = parse_object(_reduced(kind, version, obj))
        if isinstance(found, list):
            self._note(ref, found)
            return
        told = [*self._refused_here(found), *(each for rule in self._rules for each in rule(found))]
        self._note(ref, told)
        if any(each.severity is Severity.ERROR for each in told) or self._objects.get(ref) == found:
            return
        self._objects[ref] = self._put[ref] = found
        self._gone.pop(ref, None)

    def drop(self, kind: Kind, name: Name) -> None:
        """The object is gone, if it was there."""
        ref = ObjectRef(kind.kind, *name)
        self._note(ref, ())
        self._seen.pop(ref, None)
        if self._objects.pop(ref, None) is not None:
            self._put.pop(ref, None)
            self._gone[ref] = None

    def spoil(self, kind: Kind, name: Name, remark: Remark) -> None:
        """Something is wrong with an object that could not be taken in; it stays as it was."""
        self._note(ObjectRef(kind.kind, *name), [_problem(remark)])

    def take(self) -> ObjectsChange | None:
        """What changed since it was last asked; None if nothing did."""
        if not self.pending:
            return None
        change = ObjectsChange(tuple(self._put.values()), tuple(self._gone))
        self._put, self._gone = {}, {}
        return change

    def take_problems(self) -> Mapping[str, tuple[Problem, ...]]:
        """The problems of objects that have others than when it was last asked; none where they are mended."""
        found, self._problems = self._problems, {}
        return found

    def _refused_here(self, obj: AnyObject) -> Iterable[Problem]:
        if obj.kind in NOT_HERE:
            yield Problem(Reason.NOT_SUPPORTED, f"has no effect in a cluster: {NOT_HERE[obj.kind]}", obj.ref)

    def _note(self, ref: ObjectRef, problems: Sequence[Problem]) -> None:
        placed = tuple(replace(each, object=ref, file=self._source, line=0) for each in problems)
        if placed != self._by_ref.get(ref, ()):
            self._problems[str(ref)] = placed
            if placed:
                self._by_ref[ref] = placed
            else:
                self._by_ref.pop(ref, None)


def _reduced(kind: Kind, version: str, obj: Json) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key in _TAKEN}
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        metadata["annotations"] = {key: text for key, text in annotations.items() if key != _APPLIED}
    # A spec that was left out is an empty one: what lists a policy in a cluster leaves it out where it says nothing.
    made = {"apiVersion": f"{kind.group}/{version}", "kind": kind.kind, "metadata": metadata}
    rest = {key: value for key, value in obj.items() if key not in {*made, "status"}}
    return {**made, "spec": {}, **rest}


def _problem(remark: Remark) -> Problem:
    return Problem(remark.reason, remark.message, None, remark.path, severity=remark.severity)


def _generation(obj: Json) -> int:
    found = obj["metadata"].get("generation")
    return found if isinstance(found, int) else 0


def _status(obj: Json) -> Mapping[str, Any]:
    found = obj.get("status")
    return found if isinstance(found, dict) else {}
