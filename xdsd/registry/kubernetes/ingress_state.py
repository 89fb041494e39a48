"""The Ingresses of a cluster and their classes, kept up to date; what they mean is reported as objects of intent. Pure.

All of them are looked at again when one changes, since what one path means depends on the others of its host.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef, Problem
from xdsd.registry.base import ObjectsChange
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.facts import Json, Name, Remark, Unreadable
from xdsd.registry.kubernetes.ingress import Ingress, IngressClass, ingress, ingress_class
from xdsd.registry.kubernetes.ingress_objects import Ports, class_of, meaning

INGRESSES, CLASSES = "ingresses", "ingressclasses"
_KINDS = {INGRESSES: "Ingress", CLASSES: "IngressClass"}


class IngressState:
    """Takes objects of both collections as they come and are gone. ``ports`` finds the ports of services by their names."""

    def __init__(self, source: str, domain: str, ports: Ports) -> None:
        self._source = source
        self._domain = domain
        self._ports = ports
        self._names: dict[str, set[Name]] = {INGRESSES: set(), CLASSES: set()}
        self._ingresses: dict[Name, Ingress] = {}
        self._classes: dict[Name, IngressClass] = {}
        self._statuses: dict[Name, Mapping[str, Any]] = {}
        self._uids: dict[Name, str] = {}
        self._remarks: dict[Name, tuple[Problem, ...]] = {}
        self._made: dict[ObjectRef, AnyObject] = {}
        self._told: dict[Name, tuple[Problem, ...]] = {}
        self._by_name: frozenset[Name] = frozenset()
        self._dirty = False
        self._problems: dict[str, tuple[Problem, ...]] = {}

    def names(self, plural: str, namespace: str = "") -> frozenset[Name]:
        """Those that are there as far as was told."""
        return frozenset(each for each in self._names[plural] if namespace in ("", each.namespace))

    def put(self, plural: str, obj: Json) -> None:
        """Adds or replaces one. One that cannot be read stays as it was."""
        try:
            name = facts.name_of(obj)
        except Unreadable:
            return
        self._names[plural].add(name)
        if plural == CLASSES:
            found = ingress_class(obj)
            self._set(self._classes, name, found)
            return
        status = obj.get("status")
        self._statuses[name] = status if isinstance(status, dict) else {}
        self._uids[name] = str(obj["metadata"].get("uid") or "")
        read, remarks = ingress(obj)
        self._remarks[name] = tuple(self._problem(name, each) for each in remarks)
        self._set(self._ingresses, name, read)

    def drop(self, plural: str, name: Name) -> None:
        """It is gone, if it was there."""
        self._names[plural].discard(name)
        self._remarks.pop(name, None)
        self._statuses.pop(name, None)
        self._uids.pop(name, None)
        if plural == CLASSES:
            self._set(self._classes, name, None)
        else:
            self._set(self._ingresses, name, None)

    def spoil(self, plural: str, name: Name, remark: Remark) -> None:
        """Something is wrong with one that could not be taken in; it stays as it was."""
        ref = ObjectRef(_KINDS[plural], *name)
        self._problems[f"{ref} itself"] = (Problem(remark.reason, remark.message, ref, file=self._source),)

    def service(self, name: Name) -> None:
        """A service changed, whose ports may be meant by their names."""
        self._dirty |= name in self._by_name

    def served(self) -> Mapping[Name, Mapping[str, Any]]:
        """The Ingresses of our classes, with what their status says."""
        classes = [*self._classes.values()]
        return {
            name: self._statuses.get(name, {})
            for name, each in self._ingresses.items()
            if class_of(each, classes) is not None
        }

    def uid(self, name: Name) -> str:
        """Which of that name an Ingress is; empty if there is none."""
        return self._uids.get(name, "")

    def take(self) -> ObjectsChange | None:
        """What changed in what they mean since it was last asked; None if nothing did."""
        if not self._dirty:
            return None
        self._dirty = False
        classes = [*self._classes.values()]
        found = meaning(self._ingresses.values(), classes, self._domain, self._ports)
        self._by_name = frozenset(_by_name(self._ingresses.values()))
        made = {each.ref: each for each in found.objects}
        put = tuple(each for ref, each in made.items() if self._made.get(ref) != each)
        gone = tuple(ref for ref in self._made if ref not in made)
        self._made = made
        served = self.served()
        told = {
            name: (
                *self._remarks.get(name, ()),
                *(each.at(self._source, 0) for each in found.problems.get(name, ())),
            )
            for name in served
        }
        for name in {**self._told, **told}:
            if self._told.get(name, ()) != told.get(name, ()):
                self._problems[str(ObjectRef("Ingress", *name))] = told.get(name, ())
        self._told = told
        return ObjectsChange(put, gone) if put or gone else None

    def take_problems(self) -> Mapping[str, Sequence[Problem]]:
        """The problems of those that have others than when it was last asked."""
        found, self._problems = self._problems, {}
        return found

    def _problem(self, name: Name, remark: Remark) -> Problem:
        ref = ObjectRef("Ingress", *name)
        return Problem(
            remark.reason, remark.message, ref, remark.path, self._source, severity=remark.severity
        )

    def _set(self, held: dict[Name, Any], name: Name, found: Any) -> None:  # Any: of either collection
        if found is None:
            self._dirty |= held.pop(name, None) is not None
        elif held.get(name) != found or held is self._ingresses:
            held[name] = found
            self._dirty = True


def _by_name(ingresses: Iterable[Ingress]) -> Iterator[Name]:
    """The services whose ports are meant by their names."""
    for each in ingresses:
        backends = [path.backend for rule in each.rules for path in rule.paths]
        for backend in (*backends, each.default):
            if backend is not None and isinstance(backend.port, str):
                yield Name(each.name.namespace, backend.service)
