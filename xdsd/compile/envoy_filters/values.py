"""JSON as a user wrote it to a message of Envoy's API, or everything that is wrong with it, each at its path.

protobuf's own parser stops at the first mistake and names its place in words of its own; so the JSON is walked beside the
descriptors first, single values are tried one by one, and the whole is parsed once nothing is wrong with any part.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.internal.well_known_types import WKTBASES
from udpa.annotations.status_pb2 import FROZEN, file_status

from xdsd.compile.envoy_filters.rules import map_entry, violations
from xdsd.compile.envoy_filters.types import PREFIX, MessageType, is_typed_struct, message_type, unpacked
from xdsd.manifest.faults import MAX_FAULTS, Fault, similar, unknown_field
from xdsd.manifest.paths import Key, Path
from xdsd.model.intent.base import shown
from xdsd.model.problem import Reason

_DEEPEST = 60
_ANY = "google.protobuf.Any"

ANY = "@any"
"""The step of a path into an Any."""


def read_value(
    value: Mapping[str, Any], kind: MessageType, *, partial: bool, path: Path = ()
) -> Any | list[Fault]:
    """The message, or what is wrong; ``partial`` messages are to be merged into others and may lack fields."""
    faults = _first(_message(value, kind.DESCRIPTOR, path))
    if faults:
        return faults
    try:
        message = json_format.ParseDict(dict(value), kind())
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:
        return [Fault(Reason.INVALID_VALUE, _told(error), path)]
    found = violations(message, partial=partial)
    faults = _first(
        Fault(each.reason, each.message, (*path, *as_written(each.path, value))) for each in found
    )
    return faults or message


def _first(faults: Iterator[Fault]) -> list[Fault]:
    return [fault for fault, _ in zip(faults, range(MAX_FAULTS), strict=False)]


def explicit_zeros(value: Mapping[str, Any], message: Any) -> Iterator[tuple[str, ...]]:
    """The fields that JSON sets to what they hold without a value (``false``, 0, empty text), which the message cannot tell.

    Paths lead through single messages; ``ANY`` stands for the message in an Any.
    """
    by_name = {field.name: field for field in message.DESCRIPTOR.fields}
    by_name |= {field.json_name: field for field in message.DESCRIPTOR.fields}
    for name, each in value.items():
        field = by_name.get(name)
        if field is None or each is None or field.is_repeated:
            continue
        if field.message_type is None:
            if not field.has_presence and getattr(message, field.name) == field.default_value:
                yield (field.name,)
        elif isinstance(each, Mapping):
            inner = getattr(message, field.name)
            steps: tuple[str, ...] = (field.name,)
            if field.message_type.full_name == _ANY:
                inner, steps = unpacked(inner), (field.name, ANY)
            if inner is not None and not inner.DESCRIPTOR.full_name.startswith("google.protobuf."):
                yield from ((*steps, *below) for below in explicit_zeros(each, inner))


def as_written(path: Path, value: Any) -> Path:
    """A path of field names in the spelling (snake or camel case) that the JSON uses."""
    steps: list[str | int] = []
    for step in path:
        if isinstance(value, Mapping) and isinstance(step, str) and not isinstance(step, Key):
            camel = _camel(step)
            spelled = camel if step not in value and camel in value else step
            value = value.get(spelled)
            steps.append(spelled)
        else:
            inside = isinstance(value, list) and isinstance(step, int) and step < len(value)
            value = value[step] if inside else value.get(step) if isinstance(value, Mapping) else None
            steps.append(step)
    return tuple(steps)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _message(value: Any, descriptor: Descriptor, path: Path) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(Reason.WRONG_TYPE, f"{shown(value)} is not a map of fields", path)
        return
    if len(path) > _DEEPEST:
        yield Fault(Reason.TOO_LARGE, "is nested too deeply", path)
        return
    by_name = {field.name: field for field in descriptor.fields}
    by_name |= {field.json_name: field for field in descriptor.fields}
    given: dict[str, str] = {}
    for name, each in value.items():
        field = by_name.get(name)
        if field is None:
            yield unknown_field(name, (known.name for known in descriptor.fields), path)
            continue
        oneof = field.containing_oneof
        slot = f"oneof {oneof.name}" if oneof is not None and each is not None else field.name
        other = given.setdefault(slot, name)
        if other != name:
            what = f"{other} is set too, and of these there can be only one"
            yield Fault(Reason.INVALID_VALUE, what, (*path, name))
        if each is not None:
            yield from _field(each, field, (*path, name))


def _field(value: Any, field: FieldDescriptor, path: Path) -> Iterator[Fault]:
    entry = map_entry(field)
    if entry is not None:
        if not isinstance(value, Mapping):
            yield Fault(Reason.WRONG_TYPE, f"{shown(value)} is not a map", path)
            return
        for key, each in value.items():
            yield from _single(each, entry.fields_by_name["value"], (*path, Key(key)))
    elif field.is_repeated:
        if not isinstance(value, list):
            yield Fault(Reason.WRONG_TYPE, f"{shown(value)} is not a list", path)
            return
        for index, each in enumerate(value):
            yield from _single(each, field, (*path, index))
    else:
        yield from _single(value, field, path)


def _single(value: Any, field: FieldDescriptor, path: Path) -> Iterator[Fault]:
    kind = field.message_type
    if kind is None:
        yield from _leaf(value, field, path)
    elif kind.full_name == _ANY:
        yield from _any(value, path)
    elif kind.full_name in WKTBASES or _is_wrapper(kind):
        yield from _leaf(value, field, path)
    else:
        yield from _message(value, kind, path)


def _is_wrapper(kind: Descriptor) -> bool:
    return bool(kind.full_name.startswith("google.protobuf.") and kind.name.endswith("Value"))


def _leaf(value: Any, field: FieldDescriptor, path: Path) -> Iterator[Fault]:
    """Parses a single value the way the whole will be parsed, to know whether it can be."""
    if value is None:
        yield Fault(Reason.WRONG_TYPE, "null has no place in a list or map", path)
        return
    wrong = _wrong_type(value, field)
    if wrong:
        yield Fault(Reason.WRONG_TYPE, wrong, path)
        return
    try:
        _try(value, field)
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:
        yield Fault(Reason.INVALID_VALUE, _wanted(value, field) or f"{shown(value)}: {_told(error)}", path)


def _try(value: Any, field: FieldDescriptor) -> None:
    whole, kind = field.containing_type, field.message_type
    if whole is None:
        return
    if not whole.GetOptions().map_entry:
        holder = message_type(whole.full_name)
        if holder is not None:
            json_format.ParseDict({field.name: [value] if field.is_repeated else value}, holder())
    elif kind is not None:
        json_format.ParseDict(value, message_factory.GetMessageClass(kind)())


_TEXTS = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES})
_NUMBERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_FLOAT,
        FieldDescriptor.CPPTYPE_DOUBLE,
    }
)


def _wrong_type(value: Any, field: FieldDescriptor) -> str:
    if field.type in _TEXTS and not isinstance(value, str):
        quotes = "; put it in quotes" if isinstance(value, int | float) else ""
        return f"{shown(value)} is not text{quotes}"
    if field.type == FieldDescriptor.TYPE_BOOL and not isinstance(value, bool):
        return f"{shown(value)} is not true or false"
    return ""


def _wanted(value: Any, field: FieldDescriptor) -> str:
    """What the value should be, where that can be said in a few words; else empty."""
    kind = field.message_type.full_name if field.message_type else ""
    if field.enum_type is not None:
        names = [each.name for each in field.enum_type.values]
        hint = similar(str(value), names) or f"; it is one of {', '.join(names)}"
        return f"{shown(value)} is no value of this field{hint}"
    if kind == "google.protobuf.Struct":
        return f"{shown(value)} is not a map"
    if kind == "google.protobuf.Duration":
        return f"{shown(value)} is no duration; write seconds, such as 1.5s"
    if field.cpp_type in _NUMBERS or kind.endswith(("Int32Value", "Int64Value", "DoubleValue", "FloatValue")):
        return f"{shown(value)} is no number that this field can hold"
    return f"{shown(value)} is not true or false" if kind == "google.protobuf.BoolValue" else ""


def _any(value: Any, path: Path) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(Reason.WRONG_TYPE, f"{shown(value)} is not a map of fields", path)
        return
    url = value.get("@type")
    if not isinstance(url, str):
        reason = Reason.MISSING_FIELD if url is None else Reason.WRONG_TYPE
        yield Fault(reason, f"say which message this is: {PREFIX}NAME", (*path, "@type"))
        return
    found = message_type(url)
    if found is None or "/" not in url:
        yield Fault(Reason.INVALID_VALUE, _unknown_type(url), (*path, "@type"))
        return
    if found.DESCRIPTOR.file.GetOptions().Extensions[file_status].package_version_status == FROZEN:
        text = f"{_short(url)} is of an API version that no proxy knows any more; use v3"
        yield Fault(Reason.NOT_SUPPORTED, text, (*path, "@type"))
        return
    rest = {name: each for name, each in value.items() if name != "@type"}
    kind = found.DESCRIPTOR
    if is_typed_struct(url):
        yield from _message(rest, kind, path)
        yield from _typed_struct(rest, path)
    elif kind.full_name in WKTBASES or _is_wrapper(kind):
        return
    else:
        yield from _message(rest, kind, path)


def _typed_struct(value: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    """A message that is wrapped as a Struct; Envoy reads it as the type beside it."""
    spelled = "type_url" if "type_url" in value else "typeUrl"
    url = value.get(spelled)
    if not isinstance(url, str):
        yield Fault(Reason.MISSING_FIELD, "is missing; say which message this is", (*path, "type_url"))
        return
    found = message_type(url)
    if found is None:
        yield Fault(Reason.INVALID_VALUE, _unknown_type(url), (*path, spelled))
    elif isinstance(value.get("value"), Mapping):
        yield from _message(value["value"], found.DESCRIPTOR, (*path, "value"))


def _unknown_type(url: str) -> str:
    if "/" not in url:
        return f"{shown(url)} is no type URL; write {PREFIX}NAME"
    return f"{_short(url)} is no message of Envoy's API that this daemon knows"


def _short(url: str) -> str:
    return url.rpartition("/")[2][:100]


def _told(error: Exception) -> str:
    """protobuf's words, without its prefixes."""
    text = str(error).rstrip(".")
    return text.rpartition(": ")[2] if text.startswith("Failed to parse") else text
