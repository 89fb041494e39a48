"""Values of HTTP, labels and ports with a syntax of their own."""

import base64
import binascii
import re
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, Strict, WithJsonSchema

from xdsd.model.intent.base import Notation, Str, invalid, shown
from xdsd.model.intent.commands import command_fault
from xdsd.model.problem import Reason

MAX_REGEX = 1024
MAX_REGEX_PROGRAM = 32_768
"""As the bootstraps that we write allow; Envoy refuses a whole route configuration for a larger one."""
PSEUDO_HEADERS = frozenset({":method", ":scheme", ":authority", ":path", ":status"})
CLAIMS = "@request.auth.claims"
PROTOCOLS = ("GRPC", "GRPC-WEB", "HTTP", "HTTP2", "HTTPS", "MONGO", "MYSQL", "REDIS", "TCP", "TLS")
UNCOMMON_PROTOCOLS = ("HTTP_PROXY", "UDP")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*")
GRPC_STATUSES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
RETRY_CONDITIONS = frozenset(
    [
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ]
)

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BRACKETS = re.compile(r"(?:\[[^\[\]]+\])+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LABEL_KEY = re.compile(
    r"(?:([a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*)/)?"
    r"([A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def regex_fault(pattern: str) -> str | None:
    """Says why Envoy would refuse the expression, to follow its text, or None.

    Envoy compiles expressions byte by byte (Latin-1), and its bootstrap allows a program of ``MAX_REGEX_PROGRAM``.
    """
    if not pattern:
        return "is empty"
    if len(pattern.encode("utf-8", "replace")) > MAX_REGEX:
        return f"is longer than {MAX_REGEX} bytes"
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        compiled = re2.compile(pattern.encode("utf-8"), options)
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return f"is no RE2 expression: {said}"
    except UnicodeEncodeError:
        return "is no text: it holds half a character"
    size = compiled.programsize
    if size > MAX_REGEX_PROGRAM:
        return f"becomes a program of {size} steps, more than the {MAX_REGEX_PROGRAM} that proxies take; repeat less"
    return None


def _regex(pattern: str) -> str:
    fault = regex_fault(pattern)
    if fault:
        raise invalid(f"{shown(pattern)} {fault}")
    return pattern


def _regex_or_star(pattern: str) -> str:
    return pattern if pattern == "*" else _regex(pattern)


def is_header(name: str) -> bool:
    """True for a name that HTTP admits as a header."""
    return _TOKEN.fullmatch(name) is not None


def _header(name: str) -> str:
    if not is_header(name):
        raise invalid(f"{shown(name)} is no header name")
    return name


def _match_header(name: str) -> str:
    if name.lower().startswith(CLAIMS):
        raise invalid(
            f"{shown(name)}: claims of tokens are for matches of requests alone", Reason.NOT_SUPPORTED
        )
    if name not in PSEUDO_HEADERS and not is_header(name):
        raise invalid(f"{shown(name)} is no header name")
    return name


def _route_header(name: str) -> str:
    if not name.lower().startswith(CLAIMS):
        return _match_header(name)
    if claim_path(name) is None:
        raise invalid(f"{shown(name)} names no claim; write {CLAIMS}.NAME or {CLAIMS}[NAME][NAME]")
    return name


def claim_path(name: str) -> tuple[str, ...] | None:
    """The claim that ``@request.auth.claims.a.b`` or ``@request.auth.claims[a][b]`` means; None for any other name."""
    head, rest = name[: len(CLAIMS)], name[len(CLAIMS) :]
    if head.lower() != CLAIMS:
        return None
    if _BRACKETS.fullmatch(rest):
        return tuple(rest[1:-1].split("]["))
    parts = tuple(rest[1:].split("."))
    return parts if rest.startswith(".") and all(parts) and "[" not in rest else None


def _operation_header(name: str) -> str:
    if name.startswith(":") and name.lower() != ":authority":
        raise invalid(f"{shown(name)} cannot be changed; it is part of the request itself")
    if name.lower() != ":authority" and not is_header(name):
        raise invalid(f"{shown(name)} is no header name")
    return name


def _plain_value(text: str) -> str:
    if _CONTROL.search(text):
        raise invalid(f"{shown(text)} holds a control character")
    return text


def _header_value(text: str) -> str:
    _plain_value(text)
    fault = command_fault(text)
    if fault:
        raise invalid(f"{shown(text)} {fault}")
    return text


def _method(text: str) -> str:
    if text not in METHODS:
        hint = (
            f"; write {text.upper()}" if text.upper() in METHODS else f"; it is one of {', '.join(METHODS)}"
        )
        raise invalid(f"{shown(text)} is no method{hint}")
    return text


def _retry_on(text: str) -> str:
    for condition in text.split(","):
        status = condition.isdecimal() and len(condition) == 3 and 100 <= int(condition) <= 599
        if condition not in RETRY_CONDITIONS and not status:
            hint = "; write the list without spaces" if condition.strip() in RETRY_CONDITIONS else ""
            raise invalid(f"{shown(condition)} is no retry condition nor HTTP status{hint}")
    return text


def _grpc_status(text: str) -> str:
    if text not in GRPC_STATUSES:
        raise invalid(f"{shown(text)} is no gRPC status; it is one of {', '.join(GRPC_STATUSES)}")
    return text


def _protocol(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    upper = text.upper()
    if upper not in PROTOCOLS and upper not in UNCOMMON_PROTOCOLS:
        raise invalid(f"{shown(text)} is no protocol; it is one of {', '.join(PROTOCOLS)}")
    return upper


def label_key_fault(text: str) -> str | None:
    """Says why the text is no key of a label or annotation, or None."""
    found = _LABEL_KEY.fullmatch(text) if len(text) <= 317 else None
    if found and len(found[2]) <= 63 and len(found[1] or "") <= 253:
        return None
    return f"{shown(text)} is no label key: write [PREFIX/]NAME of letters, digits, - _ and ."


def label_value_fault(text: str) -> str | None:
    """Says why the text is no value of a label, or None."""
    if len(text) <= 63 and _LABEL_VALUE.fullmatch(text):
        return None
    hint = "; a selector knows no wildcard" if "*" in text else ""
    return f"{shown(text)} is no label value: write letters, digits, - _ and ., 63 at most{hint}"


def _label_key(text: str) -> str:
    fault = label_key_fault(text)
    if fault:
        raise invalid(fault)
    return text


def _label_value(text: str) -> str:
    fault = label_value_fault(text)
    if fault:
        raise invalid(fault)
    return text


def _locality(text: str) -> str:
    parts = text.split("/")
    if len(parts) > 3 or not all(parts) or not text.isprintable():
        raise invalid(f"{shown(text)} is no locality; write region, region/zone or region/zone/subzone")
    return text


def _locality_pattern(text: str) -> str:
    if "*" in text.removesuffix("/*") and text != "*":
        raise invalid(f"{shown(text)}: a wildcard may only be the end of a locality, and stands alone: eu/*")
    return _locality(text)


def _bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise invalid(f"{shown(value)} is not text, and bytes are written as base64 text", Reason.WRONG_TYPE)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{shown(value)} is not base64") from None


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


Base64 = Annotated[
    bytes,
    BeforeValidator(_bytes),
    PlainSerializer(_base64, return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
    Notation("string(byte)"),
]
Regex = Annotated[Str, AfterValidator(_regex)]
RegexOrStar = Annotated[Str, AfterValidator(_regex_or_star)]
HeaderName = Annotated[Str, AfterValidator(_header)]
MatchHeaderName = Annotated[Str, AfterValidator(_match_header)]
RouteHeaderName = Annotated[Str, AfterValidator(_route_header)]
OperationHeaderName = Annotated[Str, AfterValidator(_operation_header)]
HeaderValue = Annotated[Str, AfterValidator(_header_value)]
Authority = Annotated[Str, AfterValidator(_plain_value)]
PathText = Annotated[Str, AfterValidator(_plain_value)]
Method = Annotated[Str, AfterValidator(_method)]
RetryOn = Annotated[Str, AfterValidator(_retry_on)]
GrpcStatus = Annotated[Str, AfterValidator(_grpc_status)]
PortProtocol = Annotated[Str, BeforeValidator(_protocol)]
LabelKey = Annotated[Str, AfterValidator(_label_key)]
LabelValue = Annotated[Str, Field(max_length=63), AfterValidator(_label_value)]
Labels = dict[LabelKey, LabelValue]
Locality = Annotated[Str, AfterValidator(_locality)]
LocalityPattern = Annotated[Str, AfterValidator(_locality_pattern)]
HttpStatus = Annotated[int, Strict(), Field(ge=200, le=599), Notation("integer(int32)")]
AnswerStatus = Annotated[int, Strict(), Field(ge=200, le=599), Notation("integer")]
StatusCode = Annotated[int, Strict(), Field(ge=100, le=599), Notation("integer")]
