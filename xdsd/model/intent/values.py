"""Values with a syntax of their own: durations, hosts, addresses, names, regular expressions, bytes."""

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, Strict

from xdsd.model.intent.base import Notation, Str, invalid
from xdsd.model.problem import Reason

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d{1,20})?(?:\.(\d{0,20}))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_LONGEST = 2**63 - 1


def parse_duration(text: str) -> timedelta:
    """``1h30m``, ``1.5s``, ``100ms``: the published syntax. ValueError says what is wrong with others."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return timedelta()
    total, position = 0, 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None or not (part[1] or part[2]):
            raise ValueError("not a duration; write a number and a unit, such as 5s, 1.5s, 100ms or 1h30m")
        unit = _UNITS[part[3]]
        total += int(part[1] or 0) * unit
        if part[2]:
            total += int(part[2]) * unit // 10 ** len(part[2])
        position = part.end()
    if not rest:
        raise ValueError("empty; write a number and a unit, such as 5s, 1.5s, 100ms or 1h30m")
    if total > _LONGEST:
        raise ValueError("longer than 2562047h, the longest duration there is")
    if total % 1_000:
        raise ValueError("finer than a microsecond")
    return sign * timedelta(microseconds=total // 1_000)


def format_duration(value: timedelta) -> str:
    """Seconds with as many digits as needed: ``7s``, ``1.5s``, ``5400s``."""
    micros = value // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, rest = divmod(micros, 1_000_000)
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".") + "s"


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        hint = f"; write {value}s" if isinstance(value, int | float) and not isinstance(value, bool) else ""
        raise invalid(
            f"{_shown(value)} is not text, and a duration is text with a unit{hint}", Reason.WRONG_TYPE
        )
    try:
        return parse_duration(value)
    except ValueError as error:
        raise invalid(f"{_shown(value)} is {error}") from None


def _at_least_a_millisecond(value: Any) -> Any:
    parsed = _duration(value)
    if parsed < timedelta(milliseconds=1):
        raise invalid(f"{format_duration(parsed)} is below 1ms", Reason.OUT_OF_RANGE)
    return parsed


def _not_negative(value: Any) -> Any:
    parsed = _duration(value)
    if parsed < timedelta():
        raise invalid(f"{format_duration(parsed)} is below 0s", Reason.OUT_OF_RANGE)
    return parsed


def _shown(value: Any) -> str:
    text = (
        repr(value)
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    return text if len(text) <= 60 else f"{text[:57]}..."


_AS_TEXT = PlainSerializer(format_duration, return_type=str)
Duration = Annotated[timedelta, BeforeValidator(_at_least_a_millisecond), _AS_TEXT, Notation("string")]
DurationOrZero = Annotated[timedelta, BeforeValidator(_not_negative), _AS_TEXT, Notation("string")]


def _bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise invalid(f"{_shown(value)} is not text, and bytes are written as base64 text", Reason.WRONG_TYPE)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{_shown(value)} is not base64") from None


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


Base64 = Annotated[
    bytes, BeforeValidator(_bytes), PlainSerializer(_base64, return_type=str), Notation("string(byte)")
]

# Names of the published syntaxes that the models are written in.
Host = Str
ServiceHost = Str
DestinationHost = Str
ServerHost = Str
EgressHost = Str
Authority = Str
Regex = Str
HeaderName = Str
Method = Str
RetryOn = Str
GrpcStatus = Str
NamespaceName = Str
ObjectName = Str
ExportTo = Str
GatewayName = Str
SubsetName = Str
PortName = Str
EndpointPortName = Str
PortProtocol = Str
LabelKey = Str
LabelValue = Str
SelectorValue = Str
LocalityName = Str
Address = Str
BindAddress = Str
Subnet = Str
HttpStatus = Annotated[int, Strict(), Field(ge=200, le=599), Notation("integer(int32)")]
StatusCode = Annotated[int, Strict(), Field(ge=100, le=599), Notation("integer")]
