"""A file that is read again and again, of which only the documents that are new are parsed.

A script that keeps a long list replaces all of it to change a line. Documents of YAML know nothing of each other, so a file
can be cut where one ends and each part be kept by what it holds. What that cannot be said of is read whole: a file with
directives, with line ends that a cut would not see, or with any mistake, since its message may be about more than one part.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from types import MappingProxyType

from xdsd.manifest.limits import Limits
from xdsd.manifest.parsing import Manifest, ParsedObject, parse_manifest

_BETWEEN = re.compile(rb"---[ \t]*(?:\n|\Z)")
_DIRECTIVE = b"%"
_OTHER_LINES = (b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")
_MARK = b"\xef\xbb\xbf"
_HALVES = (b"\\ud", b"\\uD")
_WHOLE = (b"\n" + _DIRECTIVE, *_OTHER_LINES, _MARK, *_HALVES)
"""A directive is for the document after the next ``---``, lines may end in other ways than those that are counted here, the
mark of an encoding may stand at the beginning alone, and halves of characters mean something in files that begin as JSON.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a file holds, and of how many values it is."""

    objects: tuple[ParsedObject, ...]
    size: int


Parts = Mapping[bytes, Part]
"""The parts of a file by digests of what they hold."""

NO_PARTS: Parts = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reread:
    """What a file holds, and its parts for the next time; none if it was read whole."""

    manifest: Manifest
    parts: Parts = field(default_factory=dict, repr=False)


def reparse_manifest(
    data: bytes,
    file: str,
    known: Parts = NO_PARTS,
    *,
    default_namespace: str = "default",
    limits: Limits | None = None,
) -> Reread:
    """What ``parse_manifest`` says of the file; ``known`` are the parts that it had when it was last read, under the same
    name and by the same rules.
    """
    limits = limits or Limits()
    found = _by_parts(data, file, known, default_namespace, limits) if _is_divisible(data, limits) else None
    if found is None:
        return Reread(parse_manifest(data, file, default_namespace=default_namespace, limits=limits))
    return found


def _is_divisible(data: bytes, limits: Limits) -> bool:
    documents = data.count(b"---") + data.count(b"...")
    if len(data) > limits.max_bytes or documents >= limits.max_documents:
        return False
    return not data.startswith(_DIRECTIVE) and not any(each in data for each in _WHOLE)


def _by_parts(data: bytes, file: str, known: Parts, default_namespace: str, limits: Limits) -> Reread | None:
    """None where something is wrong, with a part or between parts."""
    parts: dict[bytes, Part] = {}
    objects: list[ParsedObject] = []
    size = 0
    for below, text in _cut(data):
        digest = blake2b(text, digest_size=16).digest()
        part = parts.get(digest) or known.get(digest)
        if part is None:
            manifest = parse_manifest(text, file, default_namespace=default_namespace, limits=limits)
            if manifest.problems:
                return None
            part = Part(manifest.objects, manifest.size)
        parts[digest] = part
        size += part.size
        objects += (each if each.below == below else replace(each, below=below) for each in part.objects)
    if size > limits.max_nodes or len({each.object.ref for each in objects}) < len(objects):
        return None
    return Reread(Manifest(tuple(objects), (), size), parts)


def _cut(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The parts of a file, each with the number of lines above it."""
    start = below = 0
    for at in _marks(data):
        between = _BETWEEN.match(data, at)
        if between is not None:
            yield below, data[start:at]
            below += data.count(b"\n", start, between.end())
            start = between.end()
    yield below, data[start:]


def _marks(data: bytes) -> Iterator[int]:
    """Where lines begin by which one document may end."""
    lines = b"\n" + data
    at = lines.find(b"\n---")
    while at >= 0:
        yield at
        at = lines.find(b"\n---", at + 1)
