"""What every message of intent is made of: its configuration, its scalar types, how it says what is wrong.

A message is frozen, refuses unknown fields, and is spelled in snake case here and as published (camel case)
outside. Absent messages and scalars are None, repeated fields are tuples, maps are dicts, durations are
``timedelta``. Scalars are strict: text is never read as a number nor a number as text. Rules that concern
one value live in the value's type; rules between fields are ``findings`` of the message, which may name a
path below it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from xdsd.model.problem import Reason


def published_name(attribute: str) -> str:
    """``consecutive_5xx_errors`` is published as ``consecutive5xxErrors`` and ``from_`` as ``from``."""
    first, *rest = attribute.strip("_").split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule between fields that does not hold; ``path`` is relative to the message (route, 1, weight).

    ``stands`` is False for what is missing: it may be the echo of a field that is itself malformed.
    """

    path: tuple[str | int, ...]
    message: str
    reason: Reason = Reason.INVALID_VALUE
    stands: bool = True


def wrong(message: str, *path: str | int, reason: Reason = Reason.INVALID_VALUE) -> Finding:
    """Something that is there should not be."""
    return Finding(path, message, reason)


def missing(message: str, *path: str | int) -> Finding:
    """Something that should be there is not."""
    return Finding(path, message, Reason.MISSING_FIELD, stands=False)


class Message(BaseModel):
    """The base of all messages.

    ``at_most_one`` lists groups of published names of which one at most may be set. ``spellings`` maps a
    second published spelling of a field to its first.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=published_name,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    at_most_one: ClassVar[tuple[tuple[str, ...], ...]] = ()
    spellings: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def findings(self) -> Iterator[Finding]:
        """The rules between this message's fields that do not hold."""
        return iter(())

    def is_set(self, attribute: str) -> bool:
        """True if the field was given and is not an empty list or map."""
        value = getattr(self, attribute)
        return value is not None and value not in ((), {})

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        found = [*self._exclusive_fields(), *self.findings()]
        if found:
            raise PydanticCustomError(
                "findings", "{summary}", {"summary": found[0].message, "findings": found}
            )
        return self

    def _exclusive_fields(self) -> Iterator[Finding]:
        for group in self.at_most_one:
            given = [name for name in group if self.is_set(_attribute_names(type(self))[name])]
            for name in given[1:]:
                yield wrong(f"{given[0]} is set too; at most one of {', '.join(group)} may be set", name)


@cache
def _attribute_names(message: type[Message]) -> dict[str, str]:
    return {cast("str", info.alias): name for name, info in message.model_fields.items()}


@dataclass(frozen=True, slots=True)
class Notation:
    """How a scalar type is written in lists of fields: ``string``, ``integer(int32)``, ``number(double)``."""

    text: str


def shown(value: object) -> str:
    """A value as a message quotes it: JSON's words for scalars, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}...")
    if isinstance(value, int | float):
        return str(value) if abs(value) < 1e40 or not math.isfinite(value) else "a huge number"
    return (
        "a map" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else "a value"
    )


def invalid(message: str, reason: Reason = Reason.INVALID_VALUE) -> PydanticCustomError:
    """The error that a value's own check raises."""
    return PydanticCustomError(cast("Any", reason.value), "{why}", {"why": message})


def absent(
    text: str, *, nullable: bool = False, keep_empty: bool = False, drop_zero: bool = False, **limits: Any
) -> Any:
    """A field that may be left out; ``text`` says what it does.

    ``nullable`` fields may be given as null, which leaves them out. So does empty text, as the published API has
    it, except where ``keep_empty``: there the field's presence alone means something. ``drop_zero`` says the same of 0.
    """
    extra = {"nullable": nullable, "keepEmpty": keep_empty, "dropZero": drop_zero}
    return Field(default=None, description=text, json_schema_extra=cast("Any", extra), **limits)


def many(text: str, **limits: Any) -> Any:
    """A repeated field."""
    return Field(default=(), description=text, **limits)


def table(text: str, **limits: Any) -> Any:
    """A field that maps names to values."""
    return Field(default_factory=dict, description=text, **limits)


def needed(text: str, **limits: Any) -> Any:
    """A field that must be given."""
    return Field(description=text, **limits)


Str = Annotated[str, Strict(), Notation("string")]
Bool = Annotated[bool, Strict(), Notation("boolean")]
Int32 = Annotated[int, Strict(), Field(ge=-(2**31), le=2**31 - 1), Notation("integer(int32)")]
UInt32 = Annotated[int, Strict(), Field(ge=0, le=2**32 - 1), Notation("integer")]
UInt64 = Annotated[int, Strict(), Field(ge=0, le=2**64 - 1), Notation("integer")]
Count = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1), Notation("integer(int32)")]
Percent32 = Annotated[int, Strict(), Field(ge=0, le=100), Notation("integer(int32)")]
UPercent = Annotated[int, Strict(), Field(ge=0, le=100), Notation("integer")]
Double = Annotated[float, Strict(), Field(allow_inf_nan=False), Notation("number(double)")]
PortOrZero = Annotated[int, Strict(), Field(ge=0, le=65535), Notation("integer")]
PortNumber = Annotated[int, Strict(), Field(ge=1, le=65535), Notation("integer")]


def _map(value: Any) -> Any:
    if not isinstance(value, dict):
        raise invalid(f"{shown(value)} is not a map of fields", Reason.WRONG_TYPE)
    return value


Whole = Annotated[dict[str, Any], BeforeValidator(_map), Notation("object")]
"""A message that is refused as a whole, whatever is in it."""
