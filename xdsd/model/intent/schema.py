"""The kinds described for editors and for people: JSON Schema, and one line a leaf."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from xdsd.model.intent.base import Message
from xdsd.model.intent.kinds import KINDS, Kind
from xdsd.model.intent.shape import FieldShape, Leaf, ListOf, MapOf, MessageShape, Shape, shape_of
from xdsd.model.intent.support import is_refused, refusal_reason, refused_values

Json = dict[str, Any]


class FieldLine(NamedTuple):
    """A leaf of a kind: ``spec.http[].match[].headers{}.exact``, its type, and whether it is compiled.

    ``note`` says why it is not, or which of its values are not; it may be empty.
    """

    kind: str
    path: str
    type: str
    supported: bool
    note: str = ""


def field_lines(kind: str | None = None) -> Iterator[FieldLine]:
    """The leaves of one kind or of all, in the order of their declaration; KeyError for a kind that is unknown."""
    for each in (KINDS[kind],) if kind else KINDS.values():
        for path, leaf, supported, note in _leaves(shape_of(each.spec), "spec", supported=True):
            yield FieldLine(each.kind, path, leaf.notation, supported, note)


def _leaves(
    shape: Shape, path: str, *, supported: bool, note: str = ""
) -> Iterator[tuple[str, Leaf, bool, str]]:
    match shape:
        case Leaf():
            yield path, shape, supported, note
        case ListOf(item):
            yield from _leaves(item, f"{path}[]", supported=supported, note=note)
        case MapOf(value):
            yield from _leaves(value, f"{path}{{}}", supported=supported, note=note)
        case MessageShape(message, fields):
            if not fields:
                yield path, Leaf("object"), supported, note
            for field in fields.values():
                here = supported and not is_refused(message, field.name)
                said = note or _note(message, field.name)
                yield from _leaves(field.shape, f"{path}.{field.name}", supported=here, note=said)
            for second, first in message.spellings.items():
                yield from _leaves(fields[first].shape, f"{path}.{second}", supported=supported, note=note)


def _note(message: type[Message], field: str) -> str:
    """What there is to say of a field that is refused, or of values of it that are."""
    why = refusal_reason(message, field)
    if is_refused(message, field):
        return why
    values = ", ".join(sorted(refused_values(message, field)))
    return f"not {values}{f': {why}' if why else ''}" if values else ""


def json_schema(kind: str) -> Json:
    """Draft 2020-12 schema of a whole object. Leaves that are refused carry ``"x-xdsd-supported": false``.

    KeyError for a kind that is unknown.
    """
    known = KINDS[kind]
    drawn = known.spec.model_json_schema(by_alias=True, mode="validation")
    definitions = drawn.pop("$defs", {})
    spec = _message(shape_of(known.spec), _Sources(definitions, drawn), supported=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": known.kind,
        "description": spec.get("description", ""),
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"enum": list(known.api_versions), "description": "Group and version of the API."},
            "kind": {"const": known.kind, "description": "The kind of the object."},
            "metadata": _metadata(known),
            "spec": spec,
            "status": {"type": "object", "description": "Written by servers; accepted and dropped."},
        },
    }


class _Sources(NamedTuple):
    """What pydantic drew: the definitions of all messages, and the schema of the one at hand."""

    definitions: Mapping[str, Json]
    drawn: Json

    def of(self, drawn: Json) -> "_Sources":
        """The same for a part, its reference followed and the admission of null taken off."""
        inner = next((each for each in drawn.get("anyOf", []) if each != {"type": "null"}), None)
        merged = {**{key: value for key, value in drawn.items() if key != "anyOf"}, **(inner or {})}
        if "allOf" in merged:
            merged.update(merged.pop("allOf")[0])
        if "$ref" in merged:
            merged = {**self.definitions[merged.pop("$ref").rpartition("/")[2]], **merged}
        return _Sources(self.definitions, merged)


_NOT_SHOWN = frozenset(
    {"default", "title", "nullable", "keepEmpty", "dropZero", "properties", "items", "$defs"}
)


def _message(shape: MessageShape, sources: _Sources, *, supported: bool) -> Json:
    drawn = sources.drawn
    properties = {}
    for field in shape.fields.values():
        here = supported and not is_refused(shape.message, field.name)
        properties[field.name] = _property(
            shape.message, field, sources.of(drawn["properties"][field.name]), here
        )
    for second, first in shape.message.spellings.items():
        properties[second] = {**properties[first], "description": f"Another spelling of {first}."}
    schema: Json = {
        "type": "object",
        "description": drawn.get("description", ""),
        "additionalProperties": False,
        "properties": properties,
    }
    required = [field.name for field in shape.fields.values() if field.required]
    exclusive = [list(pair) for group in shape.message.at_most_one for pair in _pairs(group)]
    if required:
        schema["required"] = required
    if exclusive:
        schema["allOf"] = [{"not": {"required": pair}} for pair in exclusive]
    return schema


def _pairs(group: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((first, second) for index, first in enumerate(group) for second in group[index + 1 :])


def _property(message: type[Message], field: FieldShape, sources: _Sources, supported: bool) -> Json:
    schema = _value(field.shape, sources, supported)
    if field.description:
        schema["description"] = field.description
    if field.nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if not supported:
        schema["x-xdsd-supported"] = False
    refused = refused_values(message, field.name)
    if supported and refused:
        schema["not"] = {"enum": sorted(map(str, refused))}
    return schema


def _value(shape: Shape, sources: _Sources, supported: bool) -> Json:
    drawn = sources.drawn
    kept = {key: value for key, value in drawn.items() if key not in _NOT_SHOWN}
    match shape:
        case MessageShape():
            return _message(shape, sources, supported=supported)
        case ListOf(item):
            return {**kept, "type": "array", "items": _value(item, sources.of(drawn["items"]), supported)}
        case MapOf(value):
            inner = _value(value, sources.of(drawn["additionalProperties"]), supported)
            return {**kept, "type": "object", "additionalProperties": inner}
        case Leaf():
            return kept if supported else {**kept, "x-xdsd-supported": False}


def _metadata(kind: Kind) -> Json:
    text = {"type": "string"}
    texts = {"type": "object", "additionalProperties": text}
    return {
        "type": "object",
        "description": "Who the object is.",
        "required": ["name"],
        "additionalProperties": False,
        "properties": {
            "name": {
                **text,
                "maxLength": 253,
                "description": f"Name, unique among objects of kind {kind.kind}.",
            },
            "namespace": {**text, "maxLength": 63, "description": "Namespace; default if left out."},
            "labels": {**texts, "description": "Labels of the object."},
            "annotations": {**texts, "description": "Notes of tools and people."},
            "resourceVersion": {**text, "description": "Set by the store; refuses a write over a newer one."},
            "generation": {"type": "integer", "description": "Set by the store; counts changes of the spec."},
            "creationTimestamp": {"type": ["string", "null"], "description": "Set by the store."},
            "uid": {**text, "description": "Set by the store."},
            "selfLink": {**text, "description": "Written by servers; accepted and dropped."},
            "managedFields": {"type": "array", "description": "Written by servers; accepted and dropped."},
        },
    }
