"""A file or a folder of manifests, and what it last said that was right.

A file is read again when it is another one than before (its identity, size or time) or when it was named as changed, and
counts as changed when its bytes are. Reading blocks, so it happens in a thread; everything handed over is a value.

While a file has mistakes nothing of it is removed: objects that are fine are taken, all others stay as they last were.
What was meant to go is gone once the file is right again, and a slip of the pen takes no machine out of service.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from xdsd.manifest import Limits, ParsedObject, parse_manifest, too_large
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.last_good import LastGood

SUFFIXES = (".yaml", ".yml", ".json")
_TEMPORARY = (".", "#", "~")


@dataclass(frozen=True, slots=True)
class Manifests:
    """One file: which one it was when it was read, its objects, and what is wrong with it now."""

    signature: tuple[int, ...] = ()
    digest: bytes = b""
    objects: Mapping[ObjectRef, ParsedObject] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """All files by path, in order, or why they cannot be listed (and then what was known stands)."""

    files: Mapping[str, Manifests]
    unavailable: str = ""


def scan(
    path: Path,
    known: Mapping[str, Manifests],
    touched: Iterable[str] = (),
    limits: Limits | None = None,
    copies: LastGood | None = None,
) -> Listing:
    """Reads what is new or changed under ``path``; ``touched`` files are read even if they look the same.

    The listing holds ``known`` itself if nothing differs. ``copies`` stand in for files that are broken when they are
    first read.
    """
    limits = limits or Limits()
    suspects = frozenset(touched)
    try:
        names = manifest_files(path)
    except OSError as error:
        return Listing(known, f"{path} cannot be read: {error.strerror}")
    files = {name: _file(name, known.get(name), name in suspects, limits, copies) for name in names}
    if copies is not None and list(files) != list(known):
        copies.only(names)
    if names == [str(path)] and not files[names[0]].signature:
        return Listing(known, f"{path} {files[names[0]].problems[0].message}")
    same = list(files) == list(known) and all(files[name] is known[name] for name in names)
    return Listing(known if same else files)


def manifest_files(path: Path) -> list[str]:
    """The paths of the manifests in a folder, in order, or of the file itself. Hidden and temporary files are none."""
    if not stat.S_ISDIR(path.stat().st_mode):
        return [str(path)]
    with os.scandir(path) as entries:
        return sorted(entry.path for entry in entries if _is_manifest(entry))


def _is_manifest(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(SUFFIXES) and not entry.name.startswith(_TEMPORARY) and not entry.is_dir()


def _file(
    name: str, known: Manifests | None, suspect: bool, limits: Limits, copies: LastGood | None
) -> Manifests:
    if known is None:
        found = _read_anew(name, Manifests(), suspect, limits, copies)
        if copies is None or not _is_broken(found):
            return found
        known = _remembered(name, limits, copies)
    return _read_anew(name, known, suspect, limits, copies)


def _is_broken(found: Manifests) -> bool:
    return any(problem.severity is Severity.ERROR for problem in found.problems)


def _remembered(name: str, limits: Limits, copies: LastGood) -> Manifests:
    """What a file said when it was last right, in an earlier life of the daemon."""
    data = copies.load(name)
    objects = parse_manifest(data, name, limits=limits).objects if data is not None else ()
    return Manifests(objects={item.object.ref: item for item in objects})


def _read_anew(
    name: str, known: Manifests, suspect: bool, limits: Limits, copies: LastGood | None
) -> Manifests:
    try:
        signature = _signature(name)
        if known.signature == signature and not suspect:
            return known
        size = signature[2]
        if size > limits.max_bytes:
            return _broken(known, Problem(Reason.TOO_LARGE, too_large(size, limits), file=name), signature)
        data = _read(name, limits.max_bytes)
    except OSError as error:
        return _broken(known, Problem(Reason.UNREADABLE_FILE, f"cannot be read: {error.strerror}", file=name))
    digest = blake2b(data, digest_size=16).digest()
    if digest == known.digest:
        return known if signature == known.signature else replace(known, signature=signature)
    manifest = parse_manifest(data, name, limits=limits)
    objects = {item.object.ref: item for item in manifest.objects}
    found = Manifests(signature, digest, objects, manifest.problems)
    if _is_broken(found):
        return replace(found, objects={**known.objects, **objects})
    if copies is not None:
        copies.save(name, data)
    return found


def _broken(known: Manifests, problem: Problem, signature: tuple[int, ...] = ()) -> Manifests:
    """What is left of a file that is not read: what it said last, and why it says no more."""
    broken = Manifests(signature, objects=known.objects, problems=(problem,))
    return known if known == broken else broken


def _signature(name: str) -> tuple[int, ...]:
    found = Path(name).stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "not a regular file")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(name: str, most: int) -> bytes:
    """The content, or one byte more than ``most`` of it."""
    with Path(name).open("rb") as file:
        return file.read(most + 1)
