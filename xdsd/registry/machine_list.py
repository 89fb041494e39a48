"""The machines that manifests list, and what each look at the files changes. Blocks, and belongs to one thread at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xdsd.manifest import ParsedObject
from xdsd.model.intent import ServiceEntry, WorkloadEntry
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.registry.base import CatalogChange
from xdsd.registry.entries import Entries
from xdsd.registry.folder import Manifests, scan
from xdsd.registry.last_good import LastGood

KINDS = (ServiceEntry.__name__, WorkloadEntry.__name__)

_Problems = Mapping[str, tuple[Problem, ...]]


@dataclass(frozen=True, slots=True)
class News:
    """What a look found: the change to the catalog, the problems of files where they differ, and why it failed."""

    change: CatalogChange
    problems: _Problems
    unavailable: str = ""


class MachineList:
    """Objects that stand in two files are taken from the first by name; objects of other kinds are problems."""

    def __init__(self, path: Path, source: str, domain: str, copies: LastGood | None = None) -> None:
        self._path = path
        self._copies = copies
        self._entries = Entries(source, domain)
        self._files: Mapping[str, Manifests] = {}
        self._objects: dict[ObjectRef, ParsedObject] = {}
        self._problems: _Problems = {}

    def look(self, touched: Iterable[str] = ()) -> News:
        """Reads what changed; ``touched`` files are read even if they look the same."""
        listing = scan(self._path, self._files, touched, copies=self._copies)
        if listing.files is self._files:
            return News(CatalogChange(), {}, listing.unavailable)
        self._files = listing.files
        objects, found = _effective(self._files)
        put = [item.object for ref, item in objects.items() if not _same(self._objects.get(ref), item)]
        change = self._entries.apply(put=put, drop=[ref for ref in self._objects if ref not in objects])
        self._objects = objects
        for problem in self._entries.problems:
            if problem.object is not None:
                item = objects[problem.object]
                found[item.file].append(problem.at(item.file, item.line_of(problem.path)))
        return News(change, self._differing(found), listing.unavailable)

    def _differing(self, found: Mapping[str, list[Problem]]) -> _Problems:
        """Takes in the problems of all files and returns those of files that had others before."""
        before, self._problems = (
            self._problems,
            {file: tuple(listed) for file, listed in found.items() if listed},
        )
        files = sorted({*before, *self._problems})
        return {
            file: self._problems.get(file, ())
            for file in files
            if self._problems.get(file) != before.get(file)
        }


def _same(known: ParsedObject | None, item: ParsedObject) -> bool:
    return known is item or (known is not None and known.object == item.object)


def _effective(
    files: Mapping[str, Manifests],
) -> tuple[dict[ObjectRef, ParsedObject], dict[str, list[Problem]]]:
    """The objects that count, each from the first file that has it, and the problems of each file."""
    objects: dict[ObjectRef, ParsedObject] = {}
    problems = {file: list(manifests.problems) for file, manifests in files.items()}
    for file, manifests in files.items():
        for ref, item in manifests.objects.items():
            objection = _objection(ref, objects.get(ref))
            if objection is None:
                objects[ref] = item
            else:
                problems[file].append(objection.at(file, item.line_of()))
    return objects, problems


def _objection(ref: ObjectRef, first: ParsedObject | None) -> Problem | None:
    if ref.kind not in KINDS:
        message = f"machine lists hold {' and '.join(KINDS)} only; apply it with xdsctl instead"
        return Problem(Reason.UNKNOWN_KIND, message, ref)
    if first is not None:
        message = f"stands in {first.file}:{first.line_of()} too, which holds; keep one of them"
        return Problem(Reason.DUPLICATE_OBJECT, message, ref)
    return None
