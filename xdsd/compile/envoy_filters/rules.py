"""What Envoy refuses of a message whose types are right: the rules that its API states beside its fields.

They are those of protoc-gen-validate, which Envoy checks before anything else, and the mark of fields that are no longer
allowed. Covered are required fields and oneofs, sizes, ranges, patterns, header names and values, IPs, enumerated and
excluded values, uniqueness, and the types that an Any may hold, inside of Anys too. Not covered are ``uri``, ``hostname``,
``email`` and ``uuid`` of texts, and whatever an extension only finds out as it is made: that is for the proxy to say.

A message that is to be merged is *partial*: what it leaves out comes from what it is merged into. Entries of lists and maps
are whole all the same, since they are added as they are.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, NamedTuple

import re2
from envoy.annotations.deprecation_pb2 import disallowed_by_default
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from validate import validate_pb2

from xdsd.compile.envoy_filters.types import unpacked
from xdsd.manifest.paths import Key, Path
from xdsd.model.intent.base import shown
from xdsd.model.problem import Reason

_DEEPEST = 60
_WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double", "String", "Bytes")
)
_HEADER_NAME = re.compile(r":?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0A-\x1F\x7F]*")
_LOOSE_HEADER = re.compile(r"[^\x00\x0A\x0D]*")


class Violation(NamedTuple):
    """A rule that does not hold, at a path of field names, list positions and map keys."""

    path: Path
    message: str
    reason: Reason = Reason.INVALID_VALUE


class _Field(NamedTuple):
    """A field that something is to be checked of."""

    descriptor: FieldDescriptor
    rules: Any | None  # a FieldRules message
    disallowed: bool


class _Rules(NamedTuple):
    """What is to be checked of a message type: its fields, and its oneofs of which one member must be set."""

    fields: tuple[_Field, ...]
    oneofs: tuple[tuple[str, tuple[str, ...]], ...]


def violations(message: Any, *, partial: bool = False, path: Path = ()) -> Iterator[Violation]:
    """All rules that do not hold in a message and whatever is in it."""
    if len(path) > _DEEPEST:
        yield Violation(path, "is nested too deeply")
        return
    rules = _rules_of(message.DESCRIPTOR)
    for oneof, members in rules.oneofs:
        if not partial and message.WhichOneof(oneof) is None:
            text = f"is incomplete; give one of {', '.join(members)}"
            yield Violation(path, text, Reason.MISSING_FIELD)
    for field in rules.fields:
        yield from _field(message, field, path, partial)


@cache
def _rules_of(descriptor: Descriptor) -> _Rules:
    options = descriptor.GetOptions()
    if options.Extensions[validate_pb2.disabled] or options.Extensions[validate_pb2.ignored]:
        return _Rules((), ())
    fields = []
    for field in descriptor.fields:
        given = field.GetOptions()
        rules = given.Extensions[validate_pb2.rules] if given.HasExtension(validate_pb2.rules) else None
        disallowed = bool(given.Extensions[disallowed_by_default])
        if rules is not None or disallowed or field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            fields.append(_Field(field, rules, disallowed))
    oneofs = tuple(
        (oneof.name, tuple(member.name for member in oneof.fields))
        for oneof in descriptor.oneofs
        if oneof.GetOptions().Extensions[validate_pb2.required]
    )
    return _Rules(tuple(fields), oneofs)


def _field(message: Any, field: _Field, path: Path, partial: bool) -> Iterator[Violation]:
    descriptor, rules, disallowed = field
    here = (*path, descriptor.name)
    if descriptor.is_repeated:
        value = getattr(message, descriptor.name)
        if disallowed and len(value):
            yield _no_longer(here)
        if not len(value) and (partial or rules is None):
            return
        entry = map_entry(descriptor)
        if entry is not None:
            yield from _map(entry, rules, value, here)
        else:
            yield from _list(descriptor, rules, value, here)
        return
    present = message.HasField(descriptor.name) if descriptor.has_presence else None
    value = getattr(message, descriptor.name)
    if disallowed and (present or (present is None and value != descriptor.default_value)):
        yield _no_longer(here)
    if present is False:
        # A member of a oneof is required only if it is the one that was chosen, and then it is there.
        chosen = descriptor.containing_oneof is None
        if chosen and not partial and rules is not None and _is_required(rules):
            yield Violation(here, "is missing", Reason.MISSING_FIELD)
        return
    if present is None and partial and value == descriptor.default_value:
        return
    yield from _value(descriptor, rules, value, here, partial)


def _no_longer(path: Path) -> Violation:
    return Violation(path, "is deprecated, and Envoy refuses it", Reason.NOT_SUPPORTED)


def _is_required(rules: Any) -> bool:
    kind = rules.WhichOneof("type")
    nested = kind in ("any", "duration", "timestamp") and getattr(rules, kind).required
    return bool(rules.message.required or nested)


def map_entry(descriptor: FieldDescriptor) -> Descriptor | None:
    """The type of a map's entries; None for a field that is no map."""
    kind = descriptor.message_type
    return kind if kind is not None and kind.GetOptions().map_entry else None


def _list(descriptor: FieldDescriptor, rules: Any, value: Any, path: Path) -> Iterator[Violation]:
    given = rules.repeated if rules is not None and rules.HasField("repeated") else None
    if given is not None and not (given.ignore_empty and not len(value)):
        yield from _size(given, len(value), "min_items", "max_items", "entries", path)
        if given.unique and len(value) != len({_hashable(each) for each in value}):
            yield Violation(path, "has an entry twice")
    items = given.items if given is not None and given.HasField("items") else None
    for index, each in enumerate(value):
        yield from _value(descriptor, items, each, (*path, index), partial=False)


def _map(entry: Descriptor, rules: Any, value: Any, path: Path) -> Iterator[Violation]:
    given = rules.map if rules is not None and rules.HasField("map") else None
    if given is not None and not (given.ignore_empty and not len(value)):
        yield from _size(given, len(value), "min_pairs", "max_pairs", "entries", path)
    keys = given.keys if given is not None and given.HasField("keys") else None
    values = given.values if given is not None and given.HasField("values") else None
    for key in sorted(value):
        here = (*path, Key(key))
        if keys is not None:
            yield from _value(entry.fields_by_name["key"], keys, key, here, partial=False)
        yield from _value(entry.fields_by_name["value"], values, value[key], here, partial=False)


def _hashable(value: Any) -> Any:
    return value.SerializeToString(deterministic=True) if hasattr(value, "SerializeToString") else value


def _size(
    rules: Any, size: int, least: str, most: str, what: str, path: Path, *, exact: str = ""
) -> Iterator[Violation]:
    if rules.HasField(least) and size < getattr(rules, least):
        wanted = getattr(rules, least)
        if size == 0:
            yield Violation(path, "is empty", Reason.MISSING_FIELD)
        else:
            yield Violation(path, f"has {size} {what}, which is below {wanted}", Reason.OUT_OF_RANGE)
    if rules.HasField(most) and size > getattr(rules, most):
        text = f"has {size} {what}, which is above {getattr(rules, most)}"
        yield Violation(path, text, Reason.OUT_OF_RANGE)
    if exact and rules.HasField(exact) and size != getattr(rules, exact):
        yield Violation(path, f"has {size} {what}, not {getattr(rules, exact)}", Reason.OUT_OF_RANGE)


def _value(
    descriptor: FieldDescriptor, rules: Any, value: Any, path: Path, partial: bool
) -> Iterator[Violation]:
    """One value: a scalar, a message, an entry of a list or map."""
    kind = descriptor.message_type
    if kind is None:
        yield from _scalar(descriptor, rules, value, path)
        return
    name = kind.full_name
    if name in _WRAPPERS:
        yield from _scalar(value.DESCRIPTOR.fields_by_name["value"], rules, value.value, path)
    elif name == "google.protobuf.Any":
        yield from _any(rules, value, path, partial)
    elif name == "google.protobuf.Duration":
        if rules is not None and rules.HasField("duration"):
            yield from _duration(rules.duration, value, path)
    elif not name.startswith("google.protobuf.") and not (rules is not None and rules.message.skip):
        yield from violations(value, partial=partial, path=path)


def _any(rules: Any, value: Any, path: Path, partial: bool) -> Iterator[Violation]:
    given = rules.any if rules is not None and rules.HasField("any") else None
    url = value.type_url
    allowed = list(getattr(given, "in")) if given is not None else []
    refused = list(given.not_in) if given is not None else []
    if (allowed and url not in allowed) or url in refused:
        yield Violation((*path, "@type"), f"{shown(url)} has no place here")
    inner = unpacked(value) if url else None
    if inner is not None and not type(inner).DESCRIPTOR.full_name.startswith("google.protobuf."):
        yield from violations(inner, partial=partial, path=path)


def _scalar(descriptor: FieldDescriptor, rules: Any, value: Any, path: Path) -> Iterator[Violation]:
    kind = rules.WhichOneof("type") if rules is not None else None
    if kind is None:
        return
    given = getattr(rules, kind)
    if getattr(given, "ignore_empty", False) and not value:
        return
    names = given.DESCRIPTOR.fields_by_name
    if "const" in names and given.HasField("const") and value != given.const:
        yield Violation(path, f"{shown(value)} is not {shown(given.const)}")
    if "in" in names:
        yield from _listed(given, value, path)
    if kind == "string":
        yield from _text(given, value, path)
    elif kind == "bytes":
        yield from _size(given, len(value), "min_len", "max_len", "bytes", path, exact="len")
    elif kind == "enum":
        known = descriptor.enum_type
        if known is not None and given.defined_only and value not in known.values_by_number:
            yield Violation(path, f"{value} is no value of this field")
    elif kind != "bool":
        yield from _range(given, value, value, path)


def _listed(rules: Any, value: Any, path: Path) -> Iterator[Violation]:
    allowed, refused = list(getattr(rules, "in")), list(rules.not_in)
    if allowed and value not in allowed:
        yield Violation(path, f"{_shown(value)} is none of {', '.join(map(str, allowed))}")
    if value in refused:
        yield Violation(path, f"{_shown(value)} is not allowed here")


def _shown(value: Any) -> str:
    return shown(value.decode("latin-1") if isinstance(value, bytes) else value)


def _range(rules: Any, value: Any, told: Any, path: Path) -> Iterator[Violation]:
    """Lower above upper limit means what is outside of both, as protoc-gen-validate has it."""
    low = (
        [value > rules.gt] if rules.HasField("gt") else [value >= rules.gte] if rules.HasField("gte") else []
    )
    high = (
        [value < rules.lt] if rules.HasField("lt") else [value <= rules.lte] if rules.HasField("lte") else []
    )
    outside = bool(low and high) and _limit(rules, "gt", "gte") > _limit(rules, "lt", "lte")
    if any(low + high) if outside else all(low + high):
        return
    limits = ", ".join(
        f"{word} {getattr(rules, name)}"
        for name, word in (("gt", "above"), ("gte", "at least"), ("lt", "below"), ("lte", "at most"))
        if rules.HasField(name)
    )
    yield Violation(path, f"{told} is out of range: {limits}", Reason.OUT_OF_RANGE)


def _limit(rules: Any, first: str, second: str) -> Any:
    return getattr(rules, first if rules.HasField(first) else second)


class _Seconds:
    """Duration rules read as numbers."""

    def __init__(self, rules: Any) -> None:
        self._rules = rules

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        return bool(self._rules.HasField(name))

    def __getattr__(self, name: str) -> float:
        return _seconds(getattr(self._rules, name))


def _seconds(value: Any) -> float:
    return float(value.seconds + value.nanos / 1e9)


def _duration(rules: Any, value: Any, path: Path) -> Iterator[Violation]:
    yield from _range(_Seconds(rules), _seconds(value), f"{_seconds(value):g}s", path)


_TEXT_RULES: Mapping[str, tuple[Callable[[str, str], bool], str]] = MappingProxyType(
    {
        "prefix": (lambda value, wanted: value.startswith(wanted), "does not begin with"),
        "suffix": (lambda value, wanted: value.endswith(wanted), "does not end with"),
        "contains": (lambda value, wanted: wanted in value, "does not have"),
        "not_contains": (lambda value, wanted: wanted not in value, "may not have"),
    }
)


def _text(rules: Any, value: str, path: Path) -> Iterator[Violation]:
    yield from _size(rules, len(value), "min_len", "max_len", "characters", path, exact="len")
    size = len(value.encode("utf-8", "surrogatepass"))
    yield from _size(rules, size, "min_bytes", "max_bytes", "bytes", path, exact="len_bytes")
    if rules.HasField("pattern") and re2.search(rules.pattern, value) is None:
        yield Violation(path, f"{shown(value)} does not match {rules.pattern}")
    for name, (holds, words) in _TEXT_RULES.items():
        if rules.HasField(name) and not holds(value, getattr(rules, name)):
            yield Violation(path, f"{shown(value)} {words} {shown(getattr(rules, name))}")
    known = rules.WhichOneof("well_known")
    if known == "well_known_regex":
        yield from _header(rules, value, path)
    elif known in ("ip", "ipv4", "ipv6") and not _is_ip(value, known):
        yield Violation(path, f"{shown(value)} is no IP address")


def _header(rules: Any, value: str, path: Path) -> Iterator[Violation]:
    is_name = rules.well_known_regex == validate_pb2.HTTP_HEADER_NAME
    strict = not rules.HasField("strict") or rules.strict
    wanted = (_HEADER_NAME if is_name else _HEADER_VALUE) if strict else _LOOSE_HEADER
    if value and not wanted.fullmatch(value):
        yield Violation(path, f"{shown(value)} is no header {'name' if is_name else 'value'}")


def _is_ip(value: str, kind: str) -> bool:
    try:
        found = ip_address(value)
    except ValueError:
        return False
    return kind == "ip" or f"ipv{found.version}" == kind
