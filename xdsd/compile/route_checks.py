"""What is wrong with a VirtualService's http section beyond what its messages say of themselves.

These rules need nothing but the object: they are for where objects are admitted. Errors are what Envoy would
refuse, and with it everything else in the same route configuration; warnings are what has no effect and
surely was meant to have one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import re2

from xdsd.compile.header_values import text_error, value_error
from xdsd.compile.l4_matches import MOST_REGIONS
from xdsd.compile.matches import is_presence
from xdsd.compile.tcp_routes import crowded_sections
from xdsd.model.intent import (
    HeaderOperations,
    Headers,
    HTTPMatchRequest,
    HTTPRoute,
    RegexRewrite,
    StringMatch,
    VirtualService,
)
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

_PARTS_OF_A_REQUEST = frozenset({"uri", "scheme", "method", "authority"})
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_NAME_MAX = 1024


@dataclass(frozen=True, slots=True)
class Remark:
    """A problem whose ``path`` starts at the rule, or at the match (``headers[x-user]``)."""

    path: str
    message: str
    reason: Reason = Reason.INVALID_VALUE
    severity: Severity = Severity.ERROR


def route_problems(spec: VirtualService, owner: ObjectRef) -> list[Problem]:
    """Everything that is wrong with the http section, in the order of the rules, and with how large the others are."""
    problems: list[Problem] = []
    for index, rule in enumerate(spec.http):
        place = f"spec.http[{index}]"
        for remark in (*_all_match_remarks(rule), *action_remarks(rule)):
            path = f"{place}.{remark.path}"
            problems.append(Problem(remark.reason, remark.message, owner, path, severity=remark.severity))
    for section in crowded_sections(spec):
        message = (
            f"its rules overlap in more than {MOST_REGIONS} ways, which is more than proxies take; split it"
        )
        problems.append(Problem(Reason.TOO_LARGE, message, owner, f"spec.{section}"))
    return problems


def has_errors(remarks: Iterable[Remark]) -> bool:
    """True if any remark is more than a warning."""
    return any(remark.severity is Severity.ERROR for remark in remarks)


def match_remarks(match: HTTPMatchRequest) -> Iterator[Remark]:
    """What is wrong with one match; paths start at it."""
    for field, patterns in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for name in sorted(_PARTS_OF_A_REQUEST.intersection(patterns)):
            message = f"is a header called {name}, not the request's {name}; for that there is match.{name}"
            yield Remark(f"{field}[{name}]", message, severity=Severity.WARNING)
    for name, pattern in match.without_headers.items():
        if not is_presence(pattern) and _takes_nothing_too(pattern):
            message = "a missing header counts as an empty one, and this takes the empty value"
            yield Remark(f"withoutHeaders[{name}]", message, Reason.CONFLICT, Severity.WARNING)
    for name in match.query_params:
        if not 0 < len(name.encode()) <= _NAME_MAX:
            message = f"the name of a parameter has 1 to {_NAME_MAX} bytes"
            yield Remark(f"queryParams[{name[:20]}]", message, Reason.OUT_OF_RANGE)
    if match.ignore_uri_case and match.uri is not None and match.uri.regex is not None:
        message = "has no effect on a regular expression; begin it with (?i) instead"
        yield Remark("ignoreUriCase", message, Reason.CONFLICT, Severity.WARNING)


def action_remarks(rule: HTTPRoute) -> Iterator[Remark]:
    """What is wrong with a rule besides its matches."""
    yield from _header_remarks(rule.headers, "headers")
    for index, item in enumerate(rule.route):
        yield from _header_remarks(item.headers, f"route[{index}].headers")
    if rule.rewrite is not None and rule.rewrite.uri_regex_rewrite is not None:
        yield from _substitution_remarks(rule.rewrite.uri_regex_rewrite)
    yield from _fault_remarks(rule)


def _all_match_remarks(rule: HTTPRoute) -> Iterator[Remark]:
    for index, match in enumerate(rule.match):
        for remark in match_remarks(match):
            yield replace(remark, path=f"match[{index}].{remark.path}")


def _takes_nothing_too(pattern: StringMatch) -> bool:
    """True if a pattern takes the empty value."""
    return pattern.exact == "" or (pattern.regex is not None and re2.fullmatch(pattern.regex, "") is not None)


def _header_remarks(headers: Headers | None, path: str) -> Iterator[Remark]:
    if headers is not None and headers.request is not None:
        yield from _value_remarks(headers.request, f"{path}.request")
    if headers is not None and headers.response is not None:
        yield from _value_remarks(headers.response, f"{path}.response")


def _value_remarks(operations: HeaderOperations, path: str) -> Iterator[Remark]:
    for field, values in (("set", operations.set), ("add", operations.add)):
        for name, value in values.items():
            if name.lower() in ("host", ":authority"):
                error = "is sent as it stands; a host has no %" if "%" in value else text_error(value)
            else:
                error = value_error(value)
            if error:
                yield Remark(f"{path}.{field}[{name}]", f"{value[:60]!r} {error}")


def _substitution_remarks(rewrite: RegexRewrite) -> Iterator[Remark]:
    path, text = "rewrite.uriRegexRewrite.rewrite", rewrite.rewrite or ""
    groups = re2.compile(rewrite.match or "").groups
    for after in dict.fromkeys(_ESCAPE.findall(text)):
        if after in set("0123456789"):
            if int(after) > groups:
                yield Remark(path, f"\\{after} stands for a group, and the expression has {groups}")
        elif after != "\\":
            yield Remark(path, "a backslash needs a digit after it; two of them stand for one")
    if error := text_error(text):
        yield Remark(path, f"{text[:60]!r} {error}")


def _fault_remarks(rule: HTTPRoute) -> Iterator[Remark]:
    delay = rule.fault.delay if rule.fault else None
    if delay is not None and delay.percentage is None and delay.percent is None:
        message = "no request is delayed without a percentage; 100 delays all"
        yield Remark("fault.delay.percentage", message, Reason.MISSING_FIELD, Severity.WARNING)
    abort = rule.fault.abort if rule.fault else None
    if abort is not None and abort.percentage is None:
        message = "no request is aborted without a percentage; 100 aborts all"
        yield Remark("fault.abort.percentage", message, Reason.MISSING_FIELD, Severity.WARNING)
