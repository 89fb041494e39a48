"""What requests are compared with in policies: values that may end in a wildcard, ports, ranges, path templates, keys."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from xdsd.model.intent.base import Str, invalid, shown
from xdsd.model.intent.hosts import Subnet, is_label
from xdsd.model.intent.values import is_header
from xdsd.model.problem import Reason

MAX_VALUE = 2048
ANY_SEGMENT = "{*}"
ANY_PATH = "{**}"
HEADERS = "request.headers"
CLAIMS = "request.auth.claims"
ENVOY = "experimental.envoy.filters."
IP_KEYS = frozenset({"source.ip", "remote.ip", "destination.ip"})
PORT_KEY = "destination.port"
TOKEN_KEYS = frozenset({"request.auth.principal", "request.auth.audiences", "request.auth.presenter"})
PLAIN_KEYS = frozenset({"source.namespace", "source.principal", "connection.sni"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~%!$&'()+,;:@=]+")
_BRACKETS = re.compile(r"(?:\[[^\[\]]+\])+")
_GONE = {
    "destination.namespace": "the policy's own namespace says that",
    "destination.name": "write a selector",
    "destination.user": "write a selector",
    "destination.labels": "write a selector",
}


def is_template(path: str) -> bool:
    """True for a path that holds {*} or {**}."""
    return ANY_SEGMENT in path or ANY_PATH in path


def map_key(key: str) -> tuple[str, tuple[str, ...]]:
    """``request.auth.claims[a][b]`` is ("request.auth.claims", ("a", "b")); without brackets the second is empty."""
    name, bracket, rest = key.partition("[")
    if not bracket:
        return key, ()
    inner = bracket + rest
    if _BRACKETS.fullmatch(inner):
        return name, tuple(inner[1:-1].split("]["))
    return name, (inner[1:].removesuffix("]"),)


def _printable(text: str) -> str:
    if not text:
        raise invalid("is empty; leave it out, or write * for any value")
    if _CONTROL.search(text):
        raise invalid(f"{shown(text)} holds a control character")
    return text


def _pattern(text: str) -> str:
    _printable(text)
    if "*" in text[1:-1] or (len(text) > 1 and text[0] == "*" == text[-1]):
        raise invalid(f"{shown(text)}: a wildcard may stand at one end only: abc*, *abc or *")
    return text


def _token_principal(text: str) -> str:
    _pattern(text)
    issuer = text.rpartition("/")[0]
    if text.endswith("*") and issuer.endswith("/"):
        raise invalid(
            f"{shown(text)}: the wildcard stands in the issuer; write ISSUER/* for all of its subjects"
        )
    if "/" not in text and "*" not in text:
        raise invalid(f"{shown(text)} is no identity of a token; write ISSUER/SUBJECT")
    return text


def _path(text: str) -> str:
    _printable(text)
    fault = path_fault(text)
    if fault:
        raise invalid(f"{shown(text)} {fault}")
    return text if is_template(text) else _pattern(text)


def path_fault(text: str) -> str | None:
    """Says why no request has such a path, to follow its text, or None."""
    if not text.startswith(("/", "*")):
        return "is no path: begin it with / or *"
    if "?" in text or "#" in text:
        return "holds a query or fragment, and paths are compared without them"
    return template_fault(text) if is_template(text) else None


def template_fault(text: str) -> str | None:
    """Says why a path with {*} or {**} is no template, or None."""
    if not text.startswith("/"):
        return "is no template: begin it with /"
    ended = False
    segments = text[1:].split("/")
    for index, segment in enumerate(segments):
        if segment in (ANY_SEGMENT, ANY_PATH):
            if ended:
                return "is no template: nothing that varies may follow {**}"
            ended = segment == ANY_PATH
        elif not segment and index < len(segments) - 1:
            return "is no template: it holds //"
        elif segment and not _LITERAL.fullmatch(segment):
            return "is no template: {*} and {**} stand alone between slashes, beside plain text"
    return None


def _method(text: str) -> str:
    _pattern(text)
    name = text.strip("*")
    if name and not is_header(name):
        raise invalid(f"{shown(text)} is no method")
    if name != name.upper() and name.upper() in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        raise invalid(f"{shown(text)} is no method; write {text.upper()}")
    return text


def _port(text: str) -> str:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise invalid(f"{shown(text)} is no port between 1 and 65535")
    return text


def _principal(text: str) -> str:
    _pattern(text)
    if text.startswith("spiffe://"):
        raise invalid(f"{shown(text)}: write it without spiffe://, as DOMAIN/ns/NAMESPACE/sa/ACCOUNT")
    return text


def _account(text: str) -> str:
    namespace, slash, account = text.rpartition("/")
    if "*" in text:
        raise invalid(f"{shown(text)}: service accounts know no wildcard; write principals instead")
    if not account or (slash and not is_label(namespace)) or "/" in namespace or _CONTROL.search(text):
        raise invalid(f"{shown(text)} is no service account; write ACCOUNT or NAMESPACE/ACCOUNT")
    return text


def key_fault(key: str) -> str | None:
    """Says why ``key`` is no condition, to follow its text, or None."""
    name, parts = map_key(key)
    if name in _GONE:
        return f"is no condition of this version; {_GONE[name]}"
    if name in (HEADERS, CLAIMS) or key.startswith(ENVOY):
        return _map_key_fault(key, name, parts)
    if key not in IP_KEYS | TOKEN_KEYS | PLAIN_KEYS | {PORT_KEY}:
        known = sorted(IP_KEYS | TOKEN_KEYS | PLAIN_KEYS | {PORT_KEY, f"{HEADERS}[NAME]", f"{CLAIMS}[NAME]"})
        return f"is no condition; there are {', '.join(known)} and {ENVOY}NAME[KEY]"
    return None


def _map_key_fault(key: str, name: str, parts: tuple[str, ...]) -> str | None:
    if not parts or not key.endswith("]") or not all(parts):
        return f"names nothing; write {name}[NAME]"
    if name == HEADERS and (len(parts) > 1 or not is_header(parts[0])):
        return "is no header: write request.headers[NAME]"
    if name not in (HEADERS, CLAIMS) and len(parts) > 1:
        return "names more than one key of the filter's metadata"
    return None


def _key(key: str) -> str:
    _printable(key)
    fault = key_fault(key)
    if fault:
        raise invalid(f"{shown(key)} {fault}", Reason.INVALID_VALUE)
    return key


Pattern = Annotated[Str, Field(max_length=MAX_VALUE), AfterValidator(_pattern)]
PathPattern = Annotated[Str, Field(max_length=MAX_VALUE), AfterValidator(_path)]
MethodPattern = Annotated[Str, Field(max_length=MAX_VALUE), AfterValidator(_method)]
PortText = Annotated[Str, AfterValidator(_port)]
TokenPrincipal = Annotated[Str, Field(max_length=MAX_VALUE), AfterValidator(_token_principal)]
PrincipalPattern = Annotated[Str, Field(max_length=MAX_VALUE), AfterValidator(_principal)]
Account = Annotated[Str, Field(max_length=320), AfterValidator(_account)]
AddressRange = Subnet
ConditionKey = Annotated[Str, Field(max_length=MAX_VALUE), AfterValidator(_key)]
ConditionValue = Annotated[Str, Field(max_length=MAX_VALUE), AfterValidator(_printable)]
