"""A file or a folder of manifests, and what it last said that was right.

A file is read again when it is another one than before (its identity, size or time) or when it was named as changed, and
counts as changed when its bytes are; only documents that are new in it are parsed. One that changes while it is read is
read again at the next look: half a file may well be right, and lack what is in the other half. Reading blocks, so it
happens in a thread; everything handed over is a value.

While a file has mistakes nothing of it is removed: objects that are fine are taken, all others stay as they last were.
What was meant to go is gone once the file is right again, and a slip of the pen takes no machine out of service.
"""

import errno
import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from xdsd.manifest import Limits, ParsedObject, Parts, parse_manifest, reparse_manifest, too_large
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.last_good import LastGood

SUFFIXES = (".yaml", ".yml", ".json")
_WRITING_NS, _OPEN_NS = 100_000_000, 10_000_000_000
_TEMPORARY = (".", "#", "~")
_EMPTIED = (
    "is empty, and what it said last holds: was its disk full? Where nothing is meant, write a comment into it, or remove"
    " it"
)


@dataclass(frozen=True, slots=True)
class Manifests:
    """One file: which one it was when it was read, its objects, and what is wrong with it now. ``emptied`` is which one it
    was when it was found empty and not believed yet, and ``parts`` are what it need not be parsed for again.
    """

    signature: tuple[int, ...] = ()
    digest: bytes = b""
    objects: Mapping[ObjectRef, ParsedObject] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    emptied: tuple[int, ...] = ()
    parts: Parts = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """All files by path, in order, or why they cannot be listed (and then what was known stands). ``folder`` is which one
    holds them.
    """

    files: Mapping[str, Manifests]
    unavailable: str = ""
    folder: tuple[int, ...] = ()


def scan(
    path: Path,
    known: Mapping[str, Manifests],
    touched: Iterable[str] = (),
    limits: Limits | None = None,
    copies: LastGood | None = None,
    *,
    writing: Collection[str] | None = None,
    folder: tuple[int, ...] = (),
) -> Listing:
    """Reads what is new or changed under ``path``; ``touched`` files are read even if they look the same, and where all of
    them are known and there, no others are looked at.

    Unless it is ``touched``, a file that was written this very moment is left for another look, and for longer if it is
    among those that somebody is ``writing``, as half of it may be missing (None: no file is). The listing holds ``known``
    itself if nothing differs. ``copies`` stand in for files that are broken when they are first read. ``folder`` is which
    one held the known files: if another one is there now, and empty, that is a volume which is not mounted; and if it has
    some of them alone, others may be on their way into it, as from a backup.
    """
    limits = limits or Limits()
    suspects = frozenset(touched)
    if suspects and all(name in known and _is_there(name) for name in suspects) and _is_same(path, folder):
        return replace(_again(known, suspects, limits, copies), folder=folder)
    try:
        names, here, young = manifest_files(path), _identity(path), _is_young(path)
    except OSError as error:
        # What is there later may be another folder, though it has the number of the one before.
        return Listing(known, f"{path} cannot be read: {error.strerror}")
    if known and not names and here != folder:
        return Listing(known, f"{path} {empty_folder(len(known))}", folder)
    lacking = [name for name in known.keys() - names if known[name].objects]
    if lacking and here != folder and young:
        return Listing(known, f"{path} {_filling(len(lacking))}", folder)
    files: dict[str, Manifests] = {}
    for name in names:
        wait = 0 if writing is None else _OPEN_NS if name in writing else _WRITING_NS
        files[name] = _file(name, known.get(name), limits, copies, suspect=name in suspects, wait=wait)
    if copies is not None and list(files) != list(known):
        copies.only(names)
    if names == [str(path)] and not files[names[0]].signature:
        return Listing(known, f"{path} {files[names[0]].problems[0].message}", folder)
    same = list(files) == list(known) and all(files[name] is known[name] for name in names)
    return Listing(known if same else files, folder=here)


def empty_folder(count: int) -> str:
    """Why an empty folder is not believed."""
    return (
        f"is empty, and is not the folder that had {count} files: is it not mounted? Where nothing is meant, put a file "
        "without objects there, such as none.yaml"
    )


def _filling(count: int) -> str:
    return f"is another folder than before, and lacks {count} of its files; that is believed once none came for ten seconds"


def _is_young(path: Path) -> bool:
    """Whether something came into a folder, or left it, a moment ago; whole copies have the time of the original."""
    return 0 <= time.time_ns() - path.stat().st_mtime_ns < _OPEN_NS


def _is_same(path: Path, folder: tuple[int, ...]) -> bool:
    try:
        return _identity(path) == folder
    except OSError:
        return False


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _again(
    known: Mapping[str, Manifests], names: Iterable[str], limits: Limits, copies: LastGood | None
) -> Listing:
    """The listing after a look at a few files alone."""
    found = {name: _file(name, known[name], limits, copies, suspect=True) for name in names}
    if all(found[name] is known[name] for name in found):
        return Listing(known)
    return Listing({**known, **found})


def manifest_files(path: Path) -> list[str]:
    """The paths of the manifests in a folder, in order, or of the file itself. Hidden and temporary files are none."""
    if not stat.S_ISDIR(path.stat().st_mode):
        return [str(path)]
    with os.scandir(path) as entries:
        return sorted(entry.path for entry in entries if _is_manifest(entry))


def remembered(copies: LastGood, limits: Limits | None = None) -> Mapping[str, Manifests]:
    """What all files said when they were last right, in an earlier life of the daemon."""
    limits = limits or Limits()
    return {name: _remembered(name, limits, copies) for name in copies.names()}


def is_manifest_name(name: str) -> bool:
    """Whether a file of this name, in a folder, is one of its manifests."""
    return name.endswith(SUFFIXES) and not name.startswith(_TEMPORARY)


def _is_manifest(entry: os.DirEntry[str]) -> bool:
    if not is_manifest_name(entry.name):
        return False
    try:
        return not entry.is_dir()
    except OSError:  # a link that leads nowhere is that file's problem
        return True


def _file(
    name: str,
    known: Manifests | None,
    limits: Limits,
    copies: LastGood | None,
    *,
    suspect: bool,
    wait: int = 0,
) -> Manifests:
    if known is None:
        found = _read_anew(name, Manifests(), limits, copies, suspect=suspect)
        if copies is None or not (_is_broken(found) or _is_empty(found.signature)):
            return found
        known = _remembered(name, limits, copies)
        wait = 0
    return _read_anew(name, known, limits, copies, suspect=suspect, wait=wait)


def _is_empty(signature: tuple[int, ...]) -> bool:
    return bool(signature) and not signature[2]


def _is_broken(found: Manifests) -> bool:
    return any(problem.severity is Severity.ERROR for problem in found.problems)


def _remembered(name: str, limits: Limits, copies: LastGood) -> Manifests:
    """What a file said when it was last right, in an earlier life of the daemon."""
    data = copies.load(name)
    objects = parse_manifest(data, name, limits=limits).objects if data is not None else ()
    return Manifests(objects={item.object.ref: item for item in objects})


def _read_anew(
    name: str, known: Manifests, limits: Limits, copies: LastGood | None, *, suspect: bool, wait: int = 0
) -> Manifests:
    try:
        signature = _signature(name)
        left = None if suspect else _left(known, signature, wait)
        if left is not None:
            return left
        unusable = _unusable(name, known, signature[2], limits)
        if unusable is not None:
            return _broken(known, unusable, signature)
        data = _read(name, limits.max_bytes)
        if _signature(name) != signature:
            raise BlockingIOError(
                errno.EAGAIN, "it is being written; until it is whole, what it said last holds"
            )
    except OSError as error:
        return _broken(known, Problem(Reason.UNREADABLE_FILE, f"cannot be read: {error.strerror}", file=name))
    digest = blake2b(data, digest_size=16).digest()
    if digest == known.digest:
        return known if signature == known.signature else replace(known, signature=signature)
    read = reparse_manifest(data, name, known.parts, limits=limits)
    manifest = read.manifest
    objects = {item.object.ref: item for item in manifest.objects}
    found = Manifests(signature, digest, objects, manifest.problems, parts=read.parts)
    if _is_broken(found):
        return replace(found, objects={**known.objects, **objects}, parts=known.parts)
    if copies is not None and data:
        copies.save(name, data)
    return found


def _unusable(name: str, known: Manifests, size: int, limits: Limits) -> Problem | None:
    """What is wrong with a file of so many bytes, whatever they are."""
    if size > limits.max_bytes:
        return Problem(Reason.TOO_LARGE, too_large(size, limits), file=name)
    if not size and known.objects:
        return Problem(Reason.MALFORMED_FILE, _EMPTIED, file=name)
    return None


def _left(known: Manifests, signature: tuple[int, ...], wait: int) -> Manifests | None:
    """What is known of a file that is not to be read now: it is as it was, or may be half written; else None."""
    if known.signature == signature:
        return known
    if (known.signature or known.objects) and _is_fresh(signature, wait):
        return known
    # While a file is emptied to be written, its time may still be that of what it held before.
    if not signature[2] and known.objects and known.emptied != signature:
        return replace(known, emptied=signature)
    return None


def _broken(known: Manifests, problem: Problem, signature: tuple[int, ...] = ()) -> Manifests:
    """What is left of a file that is not read: what it said last, and why it says no more."""
    broken = Manifests(signature, objects=known.objects, problems=(problem,), parts=known.parts)
    return known if known == broken else broken


def _is_fresh(signature: tuple[int, ...], wait: int) -> bool:
    """Whether a file was written within so many nanoseconds; it is named when it is closed, or older at another look. An
    empty one is taken for one that is open: that is how writing begins.
    """
    _, _, size, written, _ = signature
    return 0 <= time.time_ns() - written < (wait if size else _OPEN_NS)


def _is_there(name: str) -> bool:
    try:
        return bool(_signature(name))
    except OSError:
        return False


def _signature(name: str) -> tuple[int, ...]:
    found = Path(name).stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "not a regular file")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(name: str, most: int) -> bytes:
    """The content, or one byte more than ``most`` of it."""
    with Path(name).open("rb") as file:
        return file.read(most + 1)
