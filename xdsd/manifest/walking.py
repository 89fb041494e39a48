"""One pass over a spec along the shape of its message, before any value is checked.

It finds what the message classes cannot say themselves (fields that do not exist, with what was meant; fields and
values that are not compiled yet; nulls), and leaves out what the published API reads as absent.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from xdsd.manifest.faults import MAX_FAULTS, Fault, unknown_field, wrong_type
from xdsd.manifest.paths import Key, Path, with_keys
from xdsd.model.intent.base import Message, shown
from xdsd.model.intent.shape import FieldShape, Leaf, ListOf, MapOf, MessageShape, Shape
from xdsd.model.intent.support import is_refused, refusal_reason, refused_values
from xdsd.model.problem import Reason

_CONTROL = re.compile(r"[\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(slots=True)
class Walk:
    """Copies values along their shape, and finds what the message classes cannot say themselves."""

    faults: list[Fault] = field(default_factory=list)
    _written: dict[Path, Path] = field(default_factory=dict)

    def as_written(self, fault: Fault) -> Fault:
        """The fault at the spelling that was used."""
        return fault._replace(path=self._written.get(fault.path, fault.path))

    def explains(self, fault: Fault) -> bool:
        """True if a missing field is missing because it is misspelled or null, which is said already."""
        if fault.reason is not Reason.MISSING_FIELD:
            return False
        return any(
            told.path == fault.path
            or (
                told.reason is Reason.UNKNOWN_FIELD
                and told.path[:-1] in (fault.path, fault.path[:-1])
                and "did you mean" in told.message
            )
            for told in self.faults
        )

    def clean(self, value: Any, shape: Shape, path: Path) -> Any:
        match shape:
            case MessageShape() if isinstance(value, Mapping):
                return self._message(value, shape, path)
            case ListOf(item) if isinstance(value, list | tuple):
                return [self.clean(each, item, (*path, index)) for index, each in enumerate(value)]
            case MapOf(inner) if isinstance(value, Mapping):
                return self._map(value, inner, path)
            case Leaf() if isinstance(value, str):
                self._check_text(value, path)
        return value

    def _check_text(self, text: str, path: Path) -> None:
        """What no file in YAML can hold is taken from nobody."""
        found = _CONTROL.search(text)
        if found is not None:
            message = f"{shown(text)} holds the control character U+{ord(found[0]):04X}; leave it out"
            self.faults.append(Fault(Reason.INVALID_VALUE, message, path))

    def _map(self, value: Mapping[Any, Any], inner: Shape, path: Path) -> dict[str, Any]:
        cleaned = {}
        for key, each in value.items():
            if isinstance(key, str):
                self._check_text(key, path)
                cleaned[key] = self.clean(each, inner, (*path, Key(key)))
            else:
                self._no_text(key, path)
        return cleaned

    def _no_text(self, key: Any, path: Path) -> None:
        self.faults.append(Fault(Reason.WRONG_TYPE, f"{shown(key)} is no text; put the key in quotes", path))

    def _message(self, value: Mapping[Any, Any], shape: MessageShape, path: Path) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for name, each in value.items():
            if not isinstance(name, str):
                self._no_text(name, path)
                continue
            first = shape.message.spellings.get(name, name)
            known = shape.fields.get(first)
            here = (*path, name)
            if len(self.faults) >= MAX_FAULTS:
                continue
            if known is None:
                others = (other for other in shape.fields if not is_refused(shape.message, other))
                self.faults.append(unknown_field(name, others, path))
            elif first != name and first in value:
                message = f"{first} is set too, and it is another spelling of the same field"
                self.faults.append(Fault(Reason.INVALID_VALUE, message, here))
            else:
                if first != name:
                    self._written[(*path, first)] = here
                self._refuse(each, shape.message, known, here)
                if self._is_given(each, known, here):
                    cleaned[first] = self.clean(each, known.shape, here)
        return cleaned

    def _is_given(self, value: Any, known: FieldShape, path: Path) -> bool:
        if value is None:
            if not known.nullable:
                self.faults.append(wrong_type(None, _wanted(known.shape), path))
            return False
        if isinstance(value, bool) or value not in ("", 0):
            return True
        leaf = known.shape
        dropped = isinstance(leaf, Leaf) and leaf.is_text and not (known.required or known.keep_empty)
        return not (dropped if value == "" else known.drop_zero)

    def _refuse(self, value: Any, message: type[Message], known: FieldShape, path: Path) -> None:
        why = refusal_reason(message, known.name)
        if is_refused(message, known.name):
            sentence = f"not supported yet: {why}" if why else "not supported yet; take it out"
            for leaf in _set_leaves(value, path, known.shape):
                self.faults.append(Fault(Reason.NOT_SUPPORTED, sentence, leaf))
        elif isinstance(value, str) and value.upper() in refused_values(message, known.name):
            sentence = f"{value} is not supported yet{f': {why}' if why else ''}"
            self.faults.append(Fault(Reason.NOT_SUPPORTED, sentence, path))


def _set_leaves(value: Any, path: Path, shape: Shape) -> Iterator[Path]:
    """The places of the leaves that are set in a refused value; the value's own if there are none."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(shape, Leaf) and shape.notation == "object":
        pass  # refused as one, whatever is in it
    elif isinstance(value, Mapping):
        inner = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    empty = True
    for step, each in inner:
        empty = False
        yield from _set_leaves(each, (*path, *with_keys((step,), shape)), _below(shape, step))
    if empty:
        yield path


def _below(shape: Shape, step: str | int) -> Shape:
    match shape:
        case ListOf(item):
            return item
        case MapOf(value):
            return value
        case MessageShape(_, fields) if step in fields:
            return fields[str(step)].shape
        case _:
            return Leaf("")


def _wanted(shape: Shape) -> str:
    match shape:
        case MessageShape():
            return "a map of fields"
        case MapOf():
            return "a map"
        case ListOf():
            return "a list"
        case Leaf(notation):
            words = {"b": "true or false", "i": "a whole number", "n": "a number"}
            return words.get(notation[:1], "text")
