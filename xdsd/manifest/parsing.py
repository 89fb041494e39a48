"""Files and decoded JSON to objects: one validation behind two doors, one with lines and one without."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from xdsd.manifest.envelope import AnyObject, read_object
from xdsd.manifest.faults import Fault, wrong_type
from xdsd.manifest.limits import Limits
from xdsd.manifest.paths import line_at, parse_path, with_keys, write_path
from xdsd.manifest.reading import Document, Mistake, Place, read_documents
from xdsd.model.intent.kinds import KINDS
from xdsd.model.intent.shape import shape_of
from xdsd.model.problem import ObjectRef, Problem, Reason

_LISTS = frozenset({"List", *(f"{kind}List" for kind in KINDS)})


@dataclass(frozen=True, slots=True)
class ParsedObject:
    """An object and where its fields stand in the file that it is from, ``below`` so many lines."""

    object: AnyObject
    file: str
    place: Place = field(repr=False, compare=False)
    below: int = field(default=0, repr=False, compare=False)

    def line_of(self, path: str = "") -> int:
        """The line of ``spec.http[0].route[1].weight``, or of the nearest thing around it that was written."""
        return self.below + line_at(self.place, parse_path(path))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds: the objects without problems, and the problems of all others, in the file's order; and of how many
    values it is (``Limits.max_nodes``).
    """

    objects: tuple[ParsedObject, ...]
    problems: tuple[Problem, ...]
    size: int = 0


def parse_manifest(
    data: bytes, file: str, *, default_namespace: str = "default", limits: Limits | None = None
) -> Manifest:
    """Reads a file of YAML or JSON: several documents, lists of objects, or both. Never raises for what it holds.

    ``file`` is the name that problems carry. Empty documents are passed over, as kubectl does.
    """
    limits = limits or Limits()
    reading, size = _Reading(file, default_namespace, limits.max_problems), 0
    for document in read_documents(data, limits):
        if isinstance(document, Mistake):
            reading.report(Problem(document.reason, document.message, file=file, line=document.line))
        else:
            reading.document(document)
            size += document.size
        if reading.is_full:
            message = f"there are more than {limits.max_problems} problems; the rest of the file was not read"
            reading.problems[limits.max_problems :] = [Problem(Reason.TOO_LARGE, message, file=file)]
            break
    problems = sorted(reading.problems, key=lambda problem: problem.line or sys.maxsize)
    return Manifest(tuple(reading.objects.values()), tuple(problems), size)


def parse_object(value: Any, *, default_namespace: str = "default") -> AnyObject | list[Problem]:
    """One object of decoded JSON, or its problems, which carry no file. Never raises for what it is given."""
    ref, found = read_object(value, default_namespace)
    if isinstance(found, list):
        return [Problem(fault.reason, fault.message, ref, write_path(fault.path)) for fault in found]
    return found


@dataclass(slots=True)
class _Reading:
    """What has been read of one file."""

    file: str
    default_namespace: str
    most: int
    objects: dict[ObjectRef, ParsedObject] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _first: dict[ObjectRef, int] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return len(self.problems) > self.most

    def report(self, problem: Problem) -> None:
        self.problems.append(problem)

    def document(self, document: Document) -> None:
        mistakes = [*document.mistakes]
        for value, place, path in _objects(document.value, document.place):
            inside = [mistake for mistake in mistakes if mistake.path[: len(path)] == path]
            mistakes = [mistake for mistake in mistakes if mistake not in inside]
            if isinstance(value, Fault):
                problem = Problem(value.reason, value.message, None, write_path(value.path))
                self.report(problem.at(self.file, line_at(place, value.path)))
            elif value is not None:
                self._object(value, place, inside, len(path))
            if self.is_full:
                return
        for mistake in mistakes:
            path_text = write_path(mistake.path)
            self.report(Problem(mistake.reason, mistake.message, None, path_text, self.file, mistake.line))

    def _object(self, value: Any, place: Place, mistakes: list[Mistake], above: int) -> None:
        ref, found = read_object(value, self.default_namespace)
        kind = KINDS.get(ref.kind) if ref else None
        for mistake in mistakes:
            path = mistake.path[above:]
            if kind and path[:1] == ("spec",):
                path = ("spec", *with_keys(path[1:], shape_of(kind.spec)))
            self.report(
                Problem(mistake.reason, mistake.message, ref, write_path(path), self.file, mistake.line)
            )
        told = {(mistake.line, mistake.path[above:]) for mistake in mistakes}
        if isinstance(found, list):
            for fault in found:
                line = line_at(place, fault.path)
                if (line, tuple(fault.path)) not in told:
                    problem = Problem(fault.reason, fault.message, ref, write_path(fault.path))
                    self.report(problem.at(self.file, line))
        self._keep(ref, None if isinstance(found, list) or mistakes else found, place)

    def _keep(self, ref: ObjectRef | None, made: AnyObject | None, place: Place) -> None:
        if ref is None:
            return
        if ref in self._first:
            message = f"is in this file twice, first on line {self._first[ref]}; keep one of them"
            self.report(Problem(Reason.DUPLICATE_OBJECT, message, ref).at(self.file, place.line))
            return
        self._first[ref] = place.line
        if made is not None:
            self.objects[ref] = ParsedObject(made, self.file, place)


def _is_list(value: Mapping[Any, Any]) -> bool:
    kind = value.get("kind")
    return isinstance(kind, str) and kind in _LISTS and "spec" not in value


def _objects(value: Any, place: Place) -> Iterator[tuple[Any, Place, tuple[str | int, ...]]]:
    """The objects of a document, those of a list one by one: value, place, and the path that leads there."""
    if not isinstance(value, Mapping) or not _is_list(value):
        yield value, place, ()
        return
    items = value.get("items")
    if items is None:
        items = []
    if not isinstance(items, list):
        yield wrong_type(items, "a list", ("items",)), place, ("items",)
        return
    places = place.inner["items"].inner if isinstance(place.inner, dict) and "items" in place.inner else []
    for index, item in enumerate(items):
        where = places[index] if isinstance(places, list) else place
        yield (item if item is not None else {}), where, ("items", index)
    for name in value:
        if name not in ("apiVersion", "kind", "metadata", "items"):
            message = "unknown field; a list has items"
            yield Fault(Reason.UNKNOWN_FIELD, message, (str(name)[:63],)), place, (str(name),)
