"""Mistakes that only show when a VirtualService is looked at as a whole, or with Envoy's eyes."""

from typing import Any

import pytest

from tests.compile.routing import OWNER, routes_of, to
from xdsd.compile.header_values import value_error
from xdsd.compile.route_checks import route_problems
from xdsd.model.intent import VirtualService
from xdsd.model.problem import Severity


def problems_of(*rules: dict[str, Any]) -> list[tuple[str, str, Severity]]:
    """Path, reason and severity of everything that is wrong with these rules."""
    spec = VirtualService.model_validate({"hosts": ["reviews"], "http": list(rules)})
    return [(problem.path, problem.reason, problem.severity) for problem in route_problems(spec, OWNER)]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        "50%%",
        "%REQ(X-USER)%",
        "%REQ(:path?x-path):10%",
        "a %DOWNSTREAM_REMOTE_ADDRESS% b %START_TIME(%s.%3f)%",
        "%START_TIME%%%",
        "%DYNAMIC_METADATA(envoy.lb:key:deep)%",
        "tab\there",
        "caf\u00e9",
    ],
)
def test_usable_header_values(value: str) -> None:
    """Plain text, doubled percent signs and known commands."""
    assert value_error(value) == ""


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("100%", "lone %"),
        ("%%%", "lone %"),
        ("%REQ(X)", "lone %"),
        ("%req(x)%", "lone %"),
        ("%NOBODY%", "unknown command %NOBODY%"),
        ("%ENVIRONMENT(HOME)%", "unknown command %ENVIRONMENT%"),
        ("%REQ%", "without an argument"),
        ("%REQ()%", "unusable argument"),
        ("%REQ(a b)%", "unusable argument"),
        ("%PROTOCOL(x)%", "takes none"),
        ("%START_TIME(%Y):4%", "with a length"),
        ("a\nb", "control character at character 2"),
        ("a" * 16385, "longer than 16384 bytes"),
    ],
)
def test_unusable_header_values(value: str, error: str) -> None:
    """Malformed and unknown commands, control characters, and what tells of the proxy's machine."""
    assert error in value_error(value)


def test_header_values_are_checked_wherever_they_stand() -> None:
    """Route and destination, request and response, set and add."""
    headers = {
        "request": {"set": {"a": "%ENVIRONMENT(HOME)%"}},
        "response": {"add": {"b": "%ENVIRONMENT(HOME)%", "c": "fine"}},
    }
    own = {"request": {"set": {"Host": "%REQ(x)%"}}}
    rule = {"headers": headers, "route": [{"destination": {"host": "a"}, "headers": own}]}
    assert problems_of(rule) == [
        ("spec.http[0].headers.request.set[a]", "InvalidValue", Severity.ERROR),
        ("spec.http[0].headers.response.add[b]", "InvalidValue", Severity.ERROR),
        ("spec.http[0].route[0].headers.request.set[Host]", "InvalidValue", Severity.ERROR),
    ]


@pytest.mark.parametrize(
    ("match", "rewrite", "count"),
    [
        ("/(a)/(b)", r"/\2/\1\0", 0),
        ("/(?:a)/(?P<x>b)/[(]", r"/\1", 0),
        ("/a", r"/\1", 1),
        (r"/\(a", r"/\1", 1),
        ("/a", r"/\\1", 0),
        ("/a", r"/\x", 1),
        ("/a", "/b\\", 1),
        ("/a", "/b\n", 1),
    ],
)
def test_replacements_name_groups_that_exist(match: str, rewrite: str, count: int) -> None:
    """A digit stands for a group of the expression, two backslashes for one."""
    rule = to(rewrite={"uriRegexRewrite": {"match": match, "rewrite": rewrite}})
    assert (
        problems_of(rule)
        == [("spec.http[0].rewrite.uriRegexRewrite.rewrite", "InvalidValue", Severity.ERROR)] * count
    )


def test_parameters_have_names() -> None:
    """A query parameter without a name, or with an endless one, cannot be matched."""
    rule = to(match=[{"queryParams": {"": {"exact": "a"}}}, {"queryParams": {"b" * 1025: {}}}])
    assert [path for path, _, _ in problems_of(rule)] == [
        "spec.http[0].match[0].queryParams[]",
        f"spec.http[0].match[1].queryParams[{'b' * 20}]",
    ]


@pytest.mark.parametrize(
    ("pattern", "warned"),
    [
        ({"exact": ""}, True),
        ({"regex": "a*"}, True),
        ({"regex": ".*"}, False),
        ({"regex": "a+"}, False),
        ({}, False),
    ],
)
def test_without_headers_that_take_the_empty_value(pattern: dict[str, str], *, warned: bool) -> None:
    """Envoy compares a missing header as an empty one; who excludes the empty value excludes it too."""
    found = problems_of(to(match=[{"withoutHeaders": {"x": pattern}}]))
    assert found == [("spec.http[0].match[0].withoutHeaders[x]", "Conflict", Severity.WARNING)] * warned


def test_what_has_no_effect_is_remarked_upon() -> None:
    """Warnings: the object is taken, and its author told."""
    rules = [
        to(match=[{"headers": {"method": {"exact": "GET"}}}]),
        to(match=[{"uri": {"regex": "/a"}, "ignoreUriCase": True}]),
        to(fault={"delay": {"fixedDelay": "1s"}, "abort": {"httpStatus": 500}}),
    ]
    assert problems_of(*rules) == [
        ("spec.http[0].match[0].headers[method]", "InvalidValue", Severity.WARNING),
        ("spec.http[1].match[0].ignoreUriCase", "Conflict", Severity.WARNING),
        ("spec.http[2].fault.delay.percentage", "MissingField", Severity.WARNING),
        ("spec.http[2].fault.abort.percentage", "MissingField", Severity.WARNING),
    ]


def test_envoy_never_sees_an_error() -> None:
    """A match with an error takes nothing; a rule with an error answers 500 for what it matches."""
    routes = routes_of(
        to("a", match=[{"queryParams": {"": {"exact": "a"}}}, {"uri": {"exact": "/a"}}]),
        to("b", match=[{"uri": {"exact": "/b"}}], headers={"request": {"set": {"x": "%ENVIRONMENT(HOME)%"}}}),
        to("c"),
    )
    assert [route.match.path for route in routes] == ["/a", "/b", ""]
    assert [route.direct_response.status for route in routes] == [0, 500, 0]
    assert not routes[1].request_headers_to_add
