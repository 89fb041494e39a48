"""What stands in the brackets of Envoy's commands, and how much of a value is kept: ``%REQ(X-NAME?:PATH):20%``.

A proxy refuses the whole listener or route configuration for an argument that a command does not know, as it does for
commands. Envoy 1.40 was asked about each.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_CUT = frozenset({"PATH", "QUERY_PARAMS"})
"""Commands that may be cut short of those that need no argument."""

_WHOLE = frozenset({"CLUSTER_METADATA", "COMMON_DURATION", "PER_REQUEST_STATE", "UPSTREAM_METADATA"})
"""Commands that cannot be cut short of those that need one."""

_LONGEST_LENGTH = 18


class _Form(NamedTuple):
    pattern: re.Pattern[str]
    shown: str


_NAME = r":?[A-Za-z0-9!#$%&'*+.^_`|~-]*"
_HEADERS = _Form(re.compile(rf"{_NAME}(\?{_NAME})?"), "HEADER or HEADER?OTHER")
_STATE = _Form(
    re.compile(r"[^:]+(:(PLAIN|TYPED|FIELD:.+))?", re.DOTALL), "KEY, KEY:PLAIN, KEY:TYPED or KEY:FIELD:NAME"
)
_FORMS: Mapping[str, _Form] = MappingProxyType(
    {
        **dict.fromkeys(
            ("REQ", "RESP", "TRAILER", "REQUEST_HEADER", "RESPONSE_HEADER", "RESPONSE_TRAILER"), _HEADERS
        ),
        "FILTER_STATE": _STATE,
        "UPSTREAM_FILTER_STATE": _STATE,
        "COMMON_DURATION": _Form(
            re.compile(r"[^:]*:[^:]*(:(ms|us|ns))?"), "START:END or START:END:UNIT, of ms, us and ns"
        ),
        "GRPC_STATUS": _Form(
            re.compile("(CAMEL_STRING|SNAKE_STRING|NUMBER)?"), "CAMEL_STRING, SNAKE_STRING or NUMBER"
        ),
        "METADATA": _Form(
            re.compile(
                "(DYNAMIC|CLUSTER|ROUTE|UPSTREAM_HOST|LISTENER|LISTENER_FILTER_CHAIN|VIRTUAL_HOST)(:.*)?",
                re.DOTALL,
            ),
            "ROUTE:KEY, or another of DYNAMIC, CLUSTER, UPSTREAM_HOST, LISTENER, LISTENER_FILTER_CHAIN and VIRTUAL_HOST",
        ),
        "PATH": _Form(
            re.compile("(WQ|NQ)?(:(ORIG|PATH|ORIG_OR_PATH)?(:.*)?)?", re.DOTALL),
            "WQ or NQ, and after a colon ORIG, PATH or ORIG_OR_PATH",
        ),
        "QUERY_PARAMS": _Form(re.compile("(ORIG|DECODED)?"), "ORIG or DECODED"),
        "REQUESTED_SERVER_NAME": _Form(
            re.compile("(SNI_ONLY|SNI_FIRST|HOST_FIRST)?(:(ORIG|HOST|ORIG_OR_HOST)?)?"),
            "SNI_ONLY, SNI_FIRST or HOST_FIRST, and after a colon ORIG, HOST or ORIG_OR_HOST",
        ),
    }
)


def argument_fault(name: str, argument: str) -> str | None:
    """Says what is wrong with a command's argument (without its brackets), to follow the text that holds it, or None."""
    form = _FORMS.get(name)
    if "\n" in argument or "\r" in argument:
        return f"gives {name} more than a line"
    if form is not None and not form.pattern.fullmatch(argument):
        return f"gives {name} {argument[:40]!r}; it takes {form.shown}"
    return None


def length_fault(name: str, digits: str, *, needs_argument: bool) -> str | None:
    """Says why a command cannot be cut to so many bytes, to follow the text that holds it, or None."""
    if name not in _CUT and (name in _WHOLE or not needs_argument):
        return f"cuts {name} to a length, and it is always whole"
    if len(digits) > _LONGEST_LENGTH:
        return f"cuts {name} to more than there can be"
    return None
