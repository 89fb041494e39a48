"""Fields that are durations."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from xdsd.model.durations import format_duration, parse_duration
from xdsd.model.intent.base import Notation, invalid, shown
from xdsd.model.problem import Reason


def _read(value: Any, least: timedelta) -> timedelta:
    if isinstance(value, timedelta):
        parsed = value
    elif isinstance(value, str):
        try:
            parsed = parse_duration(value)
        except ValueError as error:
            raise invalid(f"{shown(value)} is {error}") from None
    else:
        hint = f", such as {value}s" if isinstance(value, int) and not isinstance(value, bool) else ""
        raise invalid(f"{shown(value)} has no unit; a duration is text{hint}", Reason.WRONG_TYPE)
    if parsed < least:
        raise invalid(f"{format_duration(parsed)} is below {format_duration(least)}", Reason.OUT_OF_RANGE)
    return parsed


def _some(value: Any) -> timedelta:
    return _read(value, timedelta(milliseconds=1))


def _any(value: Any) -> timedelta:
    return _read(value, timedelta())


_AS_TEXT = PlainSerializer(format_duration, return_type=str)
_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^\+?(0|([0-9]*(\.[0-9]*)?(ns|us|ms|s|m|h))+)$"})
Duration = Annotated[timedelta, BeforeValidator(_some), _AS_TEXT, _SCHEMA, Notation("string")]
DurationOrZero = Annotated[timedelta, BeforeValidator(_any), _AS_TEXT, _SCHEMA, Notation("string")]
