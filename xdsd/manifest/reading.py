"""Text of a file to plain values with their lines: YAML and JSON, several documents to a file.

Values are composed from libyaml's events instead of by PyYAML's own composer, because that one recurses without a
limit, expands nothing it could count, lets a later key of a map win without a word, and builds marks that are as
costly as the values. Here the depth and the number of values are counted as they come, aliases with all they stand
for, and a place is no more than a line and the places below it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from xdsd.manifest.limits import Limits
from xdsd.manifest.scalars import resolve
from xdsd.model.intent.base import shown
from xdsd.model.problem import Reason

_TAG = "tag:yaml.org,2002:"
_JSON_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its line (that of its key, in a map), and the places of what is in it."""

    line: int
    inner: "dict[str, Place] | list[Place] | None" = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with the text itself, or with a scalar or key in it."""

    reason: Reason
    message: str
    line: int
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: plain values as JSON has them, where they stand, and how many (``Limits.max_nodes``)."""

    value: Any
    place: Place
    mistakes: tuple[Mistake, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Node:
    value: Any
    place: Place
    size: int


class _Stopped(Exception):  # noqa: N818 - it ends the reading of a file and never leaves this module
    def __init__(self, reason: Reason, message: str, line: int) -> None:
        super().__init__(message)
        self.mistake = Mistake(reason, message, line)


def too_large(size: int, limits: Limits) -> str:
    """Says that a file of ``size`` bytes is not read."""
    return f"the file has {size} bytes, which is above {limits.max_bytes}; split it"


def read_documents(data: bytes, limits: Limits) -> Iterator[Document | Mistake]:
    """The documents of a file in their order; the reading ends with a mistake where the text makes no sense."""
    if len(data) > limits.max_bytes:
        yield Mistake(Reason.TOO_LARGE, too_large(len(data), limits), 0)
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield Mistake(
            Reason.MALFORMED_FILE, f"byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8", line
        )
        return
    if text.lstrip().startswith(("{", "[")):
        text = _JSON_PAIR.sub(_joined, text)
    reader = _Reader(text, limits)
    try:
        yield from reader.documents()
    except _Stopped as stopped:
        yield stopped.mistake
    except yaml.YAMLError as error:
        yield _malformed(error, text)
    finally:
        reader.close()


def _joined(pair: "re.Match[str]") -> str:
    """JSON writes a character beyond the first 65536 as two halves, which libyaml refuses one by one."""
    return pair[1] + chr(0x10000 + ((int(pair[2], 16) - 0xD800) << 10) + (int(pair[3], 16) - 0xDC00))


def _malformed(error: yaml.YAMLError, text: str) -> Mistake:
    last = text.count("\n") + 1
    if isinstance(error, yaml.MarkedYAMLError):
        mark, begun = error.problem_mark or error.context_mark, error.context_mark
        line = min(mark.line + 1, last) if mark else 0
        since = (
            f" begun on line {begun.line + 1}" if error.context and begun and begun.line + 1 < line else ""
        )
        what = ", ".join(part for part in (f"{error.context or ''}{since}", error.problem) if part)
        return Mistake(Reason.MALFORMED_FILE, f"not YAML: {what}", line)
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Mistake(Reason.MALFORMED_FILE, f"not YAML: {error.reason}", line)
    return Mistake(Reason.MALFORMED_FILE, f"not YAML: {error}", 0)


@dataclass(slots=True)
class _Reader:
    """Composes nodes from events. ``_budget`` is what may still be read of the file's values."""

    text: str
    limits: Limits
    _parser: Any = None
    _anchors: dict[str, _Node | None] = field(default_factory=dict)
    _mistakes: list[Mistake] = field(default_factory=list)
    _budget: int = 0
    _path: list[str | int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._budget = self.limits.max_nodes
        self._parser = yaml.CSafeLoader(self.text)

    def close(self) -> None:
        self._parser.dispose()

    def documents(self) -> Iterator[Document]:
        count = 0
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, StreamStartEvent | DocumentEndEvent):
                continue
            if isinstance(event, DocumentStartEvent):
                count += 1
                if count > self.limits.max_documents:
                    message = f"the file has more than {self.limits.max_documents} documents; split it"
                    raise _Stopped(Reason.TOO_LARGE, message, _line(event))
                self._anchors = {}
                self._mistakes = []
                node = self._node(self._next(), 0)
                yield Document(node.value, node.place, tuple(self._mistakes), node.size)

    def _complain(self, reason: Reason, message: str, line: int, *below: str) -> None:
        self._mistakes.append(Mistake(reason, message, line, (*self._path, *below)))

    def _next(self) -> Event:
        event: Event = self._parser.get_event()
        return event

    def _node(self, event: Event, depth: int) -> _Node:
        if depth > self.limits.max_depth:
            raise _Stopped(
                Reason.TOO_LARGE, f"nested deeper than {self.limits.max_depth} levels", _line(event)
            )
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self._spend(1, event)
        anchor = event.anchor if isinstance(event, NodeEvent) else None
        if anchor:
            self._anchors[anchor] = None
        if isinstance(event, MappingStartEvent):
            node = self._mapping(event, depth)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._scalar(event)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _spend(self, size: int, event: Event) -> None:
        self._budget -= size
        if self._budget < 0:
            message = (
                f"the file holds more than {self.limits.max_nodes} values, aliases counted in full; split it"
            )
            raise _Stopped(Reason.TOO_LARGE, message, _line(event))

    def _alias(self, event: AliasEvent) -> _Node:
        name = event.anchor or ""
        node = self._anchors.get(name)
        if node is None:
            why = "stands inside what it names" if name in self._anchors else "names nothing before it"
            raise _Stopped(Reason.MALFORMED_FILE, f"the alias *{name} {why}", _line(event))
        self._spend(node.size, event)
        return _Node(node.value, Place(_line(event), node.place.inner), node.size)

    def _scalar(self, event: Event) -> _Node:
        line = _line(event)
        value: Any = None
        if isinstance(event, ScalarEvent):
            try:
                value = _scalar_value(event)
            except ValueError as error:
                self._complain(Reason.WRONG_TYPE, f"{shown(event.value)} {error}", line)
                value = event.value
        return _Node(value, Place(line), 1)

    def _sequence(self, start: SequenceStartEvent, depth: int) -> _Node:
        self._check_tag(start, "seq")
        values: list[Any] = []
        places: list[Place] = []
        size = 1
        while not isinstance(event := self._next(), SequenceEndEvent):
            self._path.append(len(values))
            node = self._node(event, depth + 1)
            self._path.pop()
            values.append(node.value)
            places.append(node.place)
            size += node.size
        return _Node(values, Place(_line(start), places), size)

    def _mapping(self, start: MappingStartEvent, depth: int) -> _Node:
        self._check_tag(start, "map")
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        merged: list[_Node] = []
        size = 1
        while not isinstance(event := self._next(), MappingEndEvent):
            line = _line(event)
            key = self._key(event, depth)
            self._path.append(key.value if isinstance(key.value, str) else shown(key.value))
            node = self._node(self._next(), depth + 1)
            self._path.pop()
            size += key.size + node.size
            if isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]:
                merged += self._merged(node, line)
            elif self._key_is_good(event, key.value, places):
                values[key.value] = node.value
                places[key.value] = Place(line, node.place.inner)
        for node in merged:
            for name, value in node.value.items():
                if name not in values:
                    values[name] = value
                    places[name] = node.place.inner[name]  # type: ignore[index]
        return _Node(values, Place(_line(start), places), size)

    def _key(self, event: Event, depth: int) -> _Node:
        """A key; ports and the like are written as numbers, and mean their digits."""
        key = self._node(event, depth + 1)
        if isinstance(event, ScalarEvent) and type(key.value) is int and event.value == str(key.value):
            return _Node(event.value, key.place, key.size)
        return key

    def _key_is_good(self, event: Event, key: Any, places: dict[str, Place]) -> bool:
        if not isinstance(key, str):
            written = event.value if isinstance(event, ScalarEvent) else key
            how = "is no key" if isinstance(key, dict | list) else "is no text to YAML; put the key in quotes"
            self._complain(Reason.WRONG_TYPE, f"{shown(written)} {how}", _line(event))
            return False
        if key in places:
            message = f"the key is in the same map twice, first on line {places[key].line}"
            self._complain(Reason.MALFORMED_FILE, message, _line(event), key)
            return False
        return True

    def _merged(self, node: _Node, line: int) -> list[_Node]:
        if isinstance(node.value, dict):
            return [node]
        if isinstance(node.value, list) and all(isinstance(value, dict) for value in node.value):
            places = node.place.inner
            return [_Node(value, places[index], 1) for index, value in enumerate(node.value)]  # type: ignore[index]
        self._complain(Reason.WRONG_TYPE, "<< merges a map or a list of maps, nothing else", line)
        return []

    def _check_tag(self, event: MappingStartEvent | SequenceStartEvent, name: str) -> None:
        if event.tag not in (None, "!", _TAG + name):
            message = f"the tag {shown(event.tag)} is not supported; leave it out"
            self._complain(Reason.WRONG_TYPE, message, _line(event))


def _scalar_value(event: ScalarEvent) -> Any:
    tag = event.tag
    if tag in (None, ""):
        return resolve(event.value) if event.implicit[0] else event.value
    if tag in ("!", _TAG + "str"):
        return event.value
    value = resolve(event.value)
    types = {"int": int, "float": float, "bool": bool, "null": type(None)}
    wanted = types.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
    if wanted is None:
        raise ValueError(f"has the tag {shown(tag)}, which is not supported; leave it out")
    if type(value) is not wanted and not (wanted is float and type(value) is int):
        raise ValueError(f"is not what its tag {shown(tag)} says")
    return value


def _line(event: Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 0
