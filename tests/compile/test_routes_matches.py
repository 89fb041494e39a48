"""Who a match is for is decided when compiling; what it asks of a request becomes Envoy's RouteMatch."""

from dataclasses import replace
from typing import Any

import pytest

from tests.compile.routing import SIDECAR, routes_of, to
from xdsd.compile.matches import Source, applies, gateway_key
from xdsd.model.intent import HTTPMatchRequest

GATEWAY = Source(gateways=frozenset({"infra/edge"}), namespace="infra", labels={"app": "edge"}, port=8080)


def match_of(**match: Any) -> Any:
    """The RouteMatch of a rule with this one match."""
    (route,) = routes_of(to(match=[match]))
    return route.match


@pytest.mark.parametrize(
    ("match", "sidecar", "gateway"),
    [
        ({}, True, True),
        ({"port": 9080}, True, False),
        ({"port": 8080}, False, True),
        ({"sourceLabels": {"app": "client"}}, True, False),
        ({"sourceLabels": {"app": "client", "version": "v1"}}, False, False),
        ({"sourceLabels": {"app": "edge"}}, False, True),
        ({"sourceNamespace": "default"}, True, False),
        ({"sourceNamespace": "infra"}, False, True),
        ({"gateways": ["mesh"]}, True, False),
        ({"gateways": ["infra/edge"]}, False, True),
        ({"gateways": ["edge"]}, False, False),
        ({"gateways": ["mesh", "infra/edge"]}, True, True),
        ({"gateways": ["mesh"], "sourceLabels": {"app": "other"}}, False, False),
        ({"gateways": ["mesh", "infra/edge"], "sourceLabels": {"app": "other"}}, False, True),
    ],
)
def test_clients_that_a_match_speaks_of(match: dict[str, Any], *, sidecar: bool, gateway: bool) -> None:
    """Ports, labels, namespaces and gateways all must fit; a gateway named by the match needs no labels."""
    parsed = HTTPMatchRequest.model_validate(match)
    assert applies(parsed, "default", SIDECAR) is sidecar
    assert applies(parsed, "default", GATEWAY) is gateway


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mesh", "mesh"),
        ("edge", "default/edge"),
        ("edge.infra.svc.cluster.local", "infra/edge"),
        ("infra/edge", "infra/edge"),
    ],
)
def test_gateways_are_named_relative_to_the_object(name: str, key: str) -> None:
    """A bare name means the object's own namespace; the older form names another like a host."""
    assert gateway_key(name, "default") == key


def test_paths_match_exactly_by_prefix_or_by_expression() -> None:
    """The three forms of a uri, and none, which is every path."""
    assert match_of(uri={"exact": "/a"}).path == "/a"
    assert match_of(uri={"prefix": "/a"}).prefix == "/a"
    assert match_of(uri={"regex": "/a.*"}).safe_regex.regex == "/a.*"
    assert match_of(headers={"a": {"exact": "b"}}).prefix == "/"
    assert match_of(uri={}).prefix == "/"


def test_case_is_minded_unless_told_otherwise() -> None:
    """``ignoreUriCase`` concerns exact and prefix paths; expressions say it themselves."""
    assert not match_of(uri={"exact": "/a"}).HasField("case_sensitive")
    assert not match_of(uri={"exact": "/a"}, ignoreUriCase=False).HasField("case_sensitive")
    assert match_of(uri={"exact": "/a"}, ignoreUriCase=True).case_sensitive.value is False
    assert match_of(uri={"exact": "/a"}, ignoreUriCase=True).HasField("case_sensitive")
    assert not match_of(uri={"regex": "/a"}, ignoreUriCase=True).HasField("case_sensitive")


def test_headers_match_by_value_or_presence() -> None:
    """The three forms of a value; an empty match and ``.*`` ask for presence. Names are sorted."""
    headers = match_of(
        headers={
            "d": {},
            "c": {"regex": "a|b"},
            "b": {"prefix": "x"},
            "a": {"exact": ""},
            "e": {"regex": ".*"},
        }
    ).headers
    assert [header.name for header in headers] == ["a", "b", "c", "d", "e"]
    assert headers[0].string_match.exact == ""
    assert headers[0].string_match.WhichOneof("match_pattern") == "exact"
    assert headers[1].string_match.prefix == "x"
    assert headers[2].string_match.safe_regex.regex == "a|b"
    assert [header.present_match for header in headers] == [False, False, False, True, True]


def test_without_headers_inverts() -> None:
    """A header that is missing does not match, so the condition holds."""
    value, presence, star = match_of(
        withoutHeaders={"a": {"exact": "x"}, "b": {}, "c": {"regex": "*"}}
    ).headers
    assert (value.invert_match, value.treat_missing_header_as_empty) == (True, True)
    assert value.string_match.exact == "x"
    assert (presence.invert_match, presence.present_match) == (True, True)
    assert presence.treat_missing_header_as_empty is False
    assert (star.invert_match, star.present_match) == (True, True)


def test_method_authority_and_scheme_are_pseudo_headers() -> None:
    """They follow the other headers, in a fixed order."""
    headers = match_of(
        scheme={"exact": "https"},
        method={"regex": "GET|HEAD"},
        authority={"prefix": "api."},
        headers={"z": {}},
    ).headers
    assert [header.name for header in headers] == ["z", ":method", ":authority", ":scheme"]
    assert headers[1].string_match.safe_regex.regex == "GET|HEAD"
    assert headers[2].string_match.prefix == "api."
    assert headers[3].string_match.exact == "https"


def test_query_parameters_match_like_headers() -> None:
    """The three forms of a value, and presence."""
    parameters = match_of(
        queryParams={"d": {}, "c": {"regex": r"\d+"}, "b": {"prefix": "x"}, "a": {"exact": ""}}
    ).query_parameters
    assert [parameter.name for parameter in parameters] == ["a", "b", "c", "d"]
    assert parameters[0].string_match.WhichOneof("match_pattern") == "exact"
    assert parameters[1].string_match.prefix == "x"
    assert parameters[2].string_match.safe_regex.regex == r"\d+"
    assert parameters[3].present_match is True


def test_statistics_of_a_match() -> None:
    """``statPrefix`` names Envoy's statistics of the route."""
    (route,) = routes_of(to(match=[{"statPrefix": "critical"}]))
    assert route.stat_prefix == "critical"


def test_a_condition_keeps_a_route_from_taking_everything() -> None:
    """Only a route without any condition ends the list."""
    conditions: list[dict[str, Any]] = [
        {"headers": {"a": {}}},
        {"withoutHeaders": {"a": {}}},
        {"queryParams": {"a": {}}},
        {"method": {"exact": "GET"}},
        {"uri": {"prefix": "/a"}},
        {"uri": {"regex": "/.*"}},
    ]
    for condition in conditions:
        assert len(routes_of(to("a", match=[condition]), to("b"))) == 2
    assert len(routes_of(to("a", match=[{"port": 9080}]), to("b"))) == 1
    elsewhere = replace(SIDECAR, port=1)
    assert len(routes_of(to("a", match=[{"port": 9080}]), to("b"), source=elsewhere)) == 1
