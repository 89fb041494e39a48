"""The machines that manifests list, and what each look at the files changes. Blocks, and belongs to one thread at a time."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from xdsd.manifest import ParsedObject
from xdsd.model.intent import ServiceEntry, WorkloadEntry
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.registry.base import AnyObject, CatalogChange
from xdsd.registry.entries import Entries
from xdsd.registry.folder import Listing, Manifests, empty_folder, remembered, scan
from xdsd.registry.last_good import LastGood

KINDS = (ServiceEntry.__name__, WorkloadEntry.__name__)

_Problems = Mapping[str, tuple[Problem, ...]]
_Difference = tuple[list[AnyObject], list[ObjectRef]]


@dataclass(frozen=True, slots=True)
class News:
    """What a look found: the change to the catalog, the problems of files where they differ, and why it failed;
    ``remembered``: it failed, and what was found is what was there in an earlier life of the daemon.
    """

    change: CatalogChange
    problems: _Problems
    unavailable: str = ""
    remembered: bool = False


class MachineList:
    """Objects that stand in two files are taken from the first by name; objects of other kinds are problems."""

    def __init__(self, path: Path, source: str, domain: str, copies: LastGood | None = None) -> None:
        self._path = path
        self._copies = copies
        self._entries = Entries(source, domain)
        self._files: Mapping[str, Manifests] = {}
        self._objects: dict[ObjectRef, ParsedObject] = {}
        self._problems: _Problems = {}
        self._looked = False
        self._objected = False
        self._away = False
        self._folder: tuple[int, ...] = ()

    def look(self, touched: Iterable[str] = (), writing: Collection[str] = ()) -> News:
        """Reads what changed; ``touched`` files are read even if they look the same, and those that somebody is ``writing``
        are not for a while.
        """
        # What is back after an outage is whole before it is said to be.
        waiting = None if self._away else frozenset(writing)
        listing = scan(
            self._path, self._files, touched, copies=self._copies, writing=waiting, folder=self._folder
        )
        kept = {} if self._looked or self._copies is None else remembered(self._copies)
        if kept and not listing.files and not listing.unavailable:
            listing = Listing({}, f"{self._path} {empty_folder(len(kept))}")
        self._away, self._folder = bool(listing.unavailable), listing.folder
        self._looked = True
        recalled = bool(listing.unavailable and kept)
        if recalled:
            listing = replace(listing, files=kept)
        if listing.files is self._files:
            return News(CatalogChange(), {}, listing.unavailable)
        before, self._files = self._files, listing.files
        found = {file: list(manifests.problems) for file, manifests in self._files.items()}
        put, drop = self._changed(before) or self._compared(found)
        change = self._entries.apply(put=put, drop=drop)
        for problem in self._entries.problems:
            if problem.object is not None:
                item = self._objects[problem.object]
                found[item.file].append(problem.at(item.file, item.line_of(problem.path)))
        return News(change, self._differing(found), listing.unavailable, recalled)

    def _changed(self, before: Mapping[str, Manifests]) -> _Difference | None:
        """What files that are others now change, if that can be told from them alone: each of their objects is its own."""
        if self._objected or before.keys() != self._files.keys():
            return None
        files = [file for file, manifests in self._files.items() if manifests is not before[file]]
        news: dict[ObjectRef, ParsedObject] = {}
        for file in files:
            for ref, item in self._files[file].objects.items():
                known = self._objects.get(ref)
                if ref in news or _objection(
                    ref, known if known is not None and known.file != file else None
                ):
                    return None
                news[ref] = item
        put = [item.object for ref, item in news.items() if not _same(self._objects.get(ref), item)]
        drop = [ref for file in files for ref in before[file].objects if ref not in news]
        for ref in drop:
            del self._objects[ref]
        self._objects.update(news)
        return put, drop

    def _compared(self, found: dict[str, list[Problem]]) -> _Difference:
        """What differs between all files and what they said before; adds problems to those that are ``found``."""
        objects, self._objected = _effective(self._files, found)
        put = [item.object for ref, item in objects.items() if not _same(self._objects.get(ref), item)]
        drop = [ref for ref in self._objects if ref not in objects]
        self._objects = objects
        return put, drop

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
    files: Mapping[str, Manifests], problems: dict[str, list[Problem]]
) -> tuple[dict[ObjectRef, ParsedObject], bool]:
    """The objects that count, each from the first file that has it, and whether any do not, which are ``problems``."""
    objects: dict[ObjectRef, ParsedObject] = {}
    objected = False
    for file, manifests in files.items():
        for ref, item in manifests.objects.items():
            objection = _objection(ref, objects.get(ref))
            if objection is None:
                objects[ref] = item
            else:
                objected = True
                problems[file].append(objection.at(file, item.line_of()))
    return objects, objected


def _objection(ref: ObjectRef, first: ParsedObject | None) -> Problem | None:
    if ref.kind not in KINDS:
        message = f"machine lists hold {' and '.join(KINDS)} only; apply it with xdsctl instead"
        return Problem(Reason.UNKNOWN_KIND, message, ref)
    if first is not None:
        message = f"stands in {first.file}:{first.line_of()} too, which holds; keep one of them"
        return Problem(Reason.DUPLICATE_OBJECT, message, ref)
    return None
