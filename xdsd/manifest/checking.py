"""A spec as plain values to its message, or everything that is wrong with it.

Three passes: one over the shape finds fields that do not exist or are not compiled, and nulls; pydantic checks each
value and each rule between fields; and where a value is malformed, so that the rules above it could not be checked,
the rules are asked again without it. That last pass keeps only what removing values cannot have caused.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from xdsd.manifest.paths import Key, Path, with_keys
from xdsd.model.intent.base import Finding, Message, shown
from xdsd.model.intent.shape import FieldShape, Leaf, ListOf, MapOf, MessageShape, Shape, shape_of
from xdsd.model.intent.support import GATEWAY_PROTOCOLS, is_refused, refused_values
from xdsd.model.problem import Reason

MAX_FAULTS = 1_000
_REPAIRS = 12


class Fault(NamedTuple):
    """Something wrong at a path; where it stands in a file is for the caller to say."""

    reason: Reason
    message: str
    path: Path


def check_spec(message: type[Message], value: Any) -> Message | list[Fault]:
    """The message, or its faults in the order of the text's fields; ``value`` is what JSON can hold."""
    shape = shape_of(message)
    walk = _Walk()
    cleaned = walk.clean(value, shape, ("spec",))
    spec, errors = _validate(message, cleaned)
    told = (walk.as_written(fault) for fault in _told(errors, shape))
    faults = [*walk.faults, *(fault for fault in told if not walk.explains(fault))]
    if errors and len(faults) < MAX_FAULTS:
        faults += _standing(message, shape, cleaned, errors)
    if spec is None or faults:
        return list(dict.fromkeys(faults))[:MAX_FAULTS]
    return spec


def similar(word: str, words: Iterable[str]) -> str:
    """`` (did you mean X?)`` if one of the words is close, else the empty text."""
    known = {each.lower(): each for each in words}
    close = difflib.get_close_matches(word[:64].lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {known[close[0]]}?" if close else ""


def unknown_field(name: str, known: Iterable[str], path: Path) -> Fault:
    """A field that is not there to be set."""
    names = sorted(known)
    hint = similar(name, names)
    if not hint and len(names) <= 8:
        hint = f"; the fields here are {', '.join(names)}" if names else "; there are no fields here"
    return Fault(Reason.UNKNOWN_FIELD, f"unknown field{hint}", (*path, name))


def wrong_type(value: Any, wanted: str, path: Path) -> Fault:
    """A value of another type than the field has."""
    return Fault(Reason.WRONG_TYPE, _type_message(value, wanted), path)


def _type_message(value: Any, wanted: str) -> str:
    if value is None:
        return f"null is not {wanted}; leave the field out or give it a value"
    if wanted == "text" and isinstance(value, bool | int | float):
        return f"{shown(value)} is not text; put it in quotes"
    if wanted in ("a whole number", "a number") and isinstance(value, str):
        plain = value.strip().lstrip("+-").replace(".", "", 1).isdecimal()
        return f"{shown(value)} is text, not {wanted}{'; take off the quotes' if plain else ''}"
    if wanted == "true or false" and isinstance(value, str):
        plain = value.lower() in ("true", "false")
        return f"{shown(value)} is text, not true or false{'; take off the quotes' if plain else ''}"
    return f"{shown(value)} is not {wanted}"


@dataclass(slots=True)
class _Walk:
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
            case _:
                return value

    def _map(self, value: Mapping[Any, Any], inner: Shape, path: Path) -> dict[str, Any]:
        cleaned = {}
        for key, each in value.items():
            if isinstance(key, str):
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
        if is_refused(message, known.name):
            for leaf in _set_leaves(value, path, known.shape):
                self.faults.append(Fault(Reason.NOT_SUPPORTED, "not supported yet; take it out", leaf))
        elif isinstance(value, str) and value.upper() in (refused := refused_values(message, known.name)):
            supported = f"; write {', '.join(GATEWAY_PROTOCOLS)}" if len(refused) > 2 else ""
            self.faults.append(Fault(Reason.NOT_SUPPORTED, f"{value} is not supported yet{supported}", path))


def _set_leaves(value: Any, path: Path, shape: Shape) -> Iterator[Path]:
    """The places of the leaves that are set in a refused value; the value's own if there are none."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
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


def _validate(message: type[Message], value: Any) -> tuple[Message | None, list[ErrorDetails]]:
    try:
        return message.model_validate(value, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, error.errors(include_url=False)[:MAX_FAULTS]


def _told(errors: list[ErrorDetails], shape: MessageShape, *, standing: bool = False) -> Iterator[Fault]:
    """The faults that pydantic's errors stand for; ``standing`` keeps only the rules that removal cannot break."""
    inside = {error["loc"][:-1] for error in errors}
    for error in errors:
        if error["type"] == "too_short" and error["loc"] in inside:
            continue  # entries that are malformed do not count, which is no mistake of its own
        path: Path = ("spec", *with_keys([step for step in error["loc"] if step != "[key]"], shape))
        findings = _findings(error)
        if findings is not None:
            for finding in findings:
                if finding.stands or not standing:
                    below = with_keys((*path[1:], *finding.path), shape)
                    yield Fault(finding.reason, finding.message, ("spec", *below))
        elif not standing:
            yield _plain_fault(error, path)


def _findings(error: ErrorDetails) -> list[Finding] | None:
    if error["type"] != "findings":
        return None
    return cast("list[Finding]", error["ctx"]["findings"])


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map of fields",
    "model_attributes_type": "a map of fields",
}


def _plain_fault(error: ErrorDetails, path: Path) -> Fault:
    kind, value, limits = error["type"], error["input"], error.get("ctx", {})
    if kind in set(Reason):
        return Fault(Reason(kind), error["msg"], path)
    if kind in _WANTED:
        return wrong_type(value, _WANTED[kind], path)
    if kind == "missing":
        return Fault(Reason.MISSING_FIELD, "is missing", path)
    if kind == "enum":
        if not isinstance(value, str):
            return wrong_type(value, "text", path)
        expected = str(limits["expected"]).replace("'", "").replace(" or ", ", ")
        hint = similar(value, expected.split(", ")) or f"; it is one of {expected}"
        return Fault(Reason.INVALID_VALUE, f"{shown(value)} is no value of this field{hint}", path)
    return _limit_fault(kind, value, limits, path) or Fault(Reason.INVALID_VALUE, error["msg"], path)


def _plain(limit: float) -> str:
    return str(int(limit)) if float(limit).is_integer() else str(limit)


def _limit_fault(kind: str, value: Any, limits: Mapping[str, Any], path: Path) -> Fault | None:
    said: dict[str, Callable[[], str]] = {
        "greater_than_equal": lambda: f"{shown(value)} is below {_plain(limits['ge'])}",
        "greater_than": lambda: f"{shown(value)} is not above {_plain(limits['gt'])}",
        "less_than_equal": lambda: f"{shown(value)} is above {_plain(limits['le'])}",
        "less_than": lambda: f"{shown(value)} is not below {_plain(limits['lt'])}",
        "finite_number": lambda: f"{shown(value)} is not a number that requests can be counted with",
        "int_parsing_size": lambda: f"{shown(value)} is too large",
        "string_too_long": lambda: f"is longer than {limits['max_length']} characters",
        "string_too_short": lambda: "is empty",
        "too_long": lambda: f"has {limits['actual_length']} entries, which is above {limits['max_length']}",
        "too_short": lambda: "is empty; give at least one",
        "string_unicode": lambda: "is no text: it holds half a character",
    }
    if kind not in said:
        return None
    reason = Reason.INVALID_VALUE if kind in ("finite_number", "string_unicode") else Reason.OUT_OF_RANGE
    return Fault(reason, said[kind](), path)


def _standing(
    message: type[Message], shape: MessageShape, value: Any, errors: list[ErrorDetails]
) -> Iterator[Fault]:
    """Asks the rules above malformed values again, with those values taken out step by step."""
    for _ in range(_REPAIRS):
        value = _without(value, [tuple(error["loc"]) for error in errors])
        if value is None:
            return
        _, errors = _validate(message, value)
        yield from _told(errors, shape, standing=True)
        if not errors:
            return


def _without(value: Any, places: list[tuple[str | int, ...]]) -> Any:
    """A copy without the values at these places; a place that is missing takes what should hold it along."""
    if not isinstance(value, dict) or () in places:
        return None
    copy = _copied(value)
    for place in places:
        _remove(copy, [step for step in place if step != "[key]"])
    return copy


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _remove(root: dict[str, Any], place: list[str | int]) -> None:
    """Takes one value out of a map; a list goes as a whole, so that what is left keeps its positions."""
    trail: list[tuple[dict[str, Any], str]] = []
    at: Any = root
    for step in place:
        if isinstance(at, dict) and isinstance(step, str):
            if step not in at:
                break
            trail.append((at, step))
            at = at[step]
        elif isinstance(at, list) and isinstance(step, int) and step < len(at):
            at = at[step]
        else:
            break
    if trail:
        holder, name = trail[-1]
        holder.pop(name, None)
