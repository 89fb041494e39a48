"""The messages as data: which fields they have, how those are published, and what their leaves are.

Whatever walks an object of intent without knowing its kind (reading, writing, listing fields) walks its shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from xdsd.model.intent.base import Message, Notation


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar; ``notation`` is how lists of fields write its type, ``is_text`` tells plain text from durations."""

    notation: str
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class ListOf:
    """A repeated field."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from text."""

    value: "Shape"


@dataclass(frozen=True, slots=True)
class FieldShape:
    """A field of a message: its attribute here, its published name, and what may stand in it."""

    attribute: str
    name: str
    shape: "Shape"
    required: bool
    nullable: bool
    keep_empty: bool
    drop_zero: bool
    description: str


@dataclass(frozen=True, slots=True)
class MessageShape:
    """A message; ``fields`` is by published name, in the order of declaration."""

    message: type[Message]
    fields: Mapping[str, FieldShape]


Shape = Leaf | ListOf | MapOf | MessageShape


@cache
def shape_of(message: type[Message]) -> MessageShape:
    """The shape of a message class."""
    fields = [_field(attribute, info) for attribute, info in message.model_fields.items()]
    return MessageShape(message, {field.name: field for field in fields})


def _field(attribute: str, info: FieldInfo) -> FieldShape:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    annotation = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return FieldShape(
        attribute,
        info.alias or attribute,
        _shape(annotation),
        info.is_required(),
        extra.get("nullable") is True,
        extra.get("keepEmpty") is True,
        extra.get("dropZero") is True,
        info.description or "",
    )


def _shape(annotation: Any) -> Shape:
    """Annotations are of many types by nature; what is not one of ours is a fault of the model itself."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        notation = next((mark for mark in annotation.__metadata__ if isinstance(mark, Notation)), None)
        return Leaf(notation.text, arguments[0] is str) if notation else _shape(arguments[0])
    if origin in (Union, UnionType):
        return _shape(next(argument for argument in arguments if argument is not type(None)))
    if origin is tuple:
        return ListOf(_shape(arguments[0]))
    if origin is dict:
        return MapOf(_shape(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Leaf("string " + "|".join(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Message):
        return shape_of(annotation)
    raise TypeError(f"{annotation} has no shape")
