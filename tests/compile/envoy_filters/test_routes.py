"""Patches of route configurations, virtual hosts and routes."""

from typing import Any

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf import json_format

from tests.compile.envoy_filters.patching import GATEWAY, INBOUND, names, patch, patched, untouched
from xdsd.compile.envoy_filters.matching import Facts, route_port
from xdsd.model.intent import PatchContext

ANSWER = {"name": "new", "match": {"prefix": "/new"}, "direct_response": {"status": 418}}


def routes(name: str = "9080") -> Any:
    """Two virtual hosts, the first with a route of each action."""
    return json_format.ParseDict(
        {
            "name": name,
            "virtual_hosts": [
                {
                    "name": "a.example.com:9080",
                    "domains": ["a.example.com", "a"],
                    "routes": [
                        {
                            "name": "first",
                            "match": {"prefix": "/1"},
                            "route": {"cluster": "c", "timeout": "5s"},
                        },
                        {"name": "away", "match": {"prefix": "/2"}, "redirect": {"host_redirect": "b"}},
                        {"name": "said", "match": {"prefix": "/3"}, "direct_response": {"status": 200}},
                    ],
                },
                {
                    "name": "b.example.com:9080",
                    "domains": ["b.example.com"],
                    "routes": [{"name": "default", "match": {"prefix": "/"}, "route": {"cluster": "d"}}],
                },
            ],
        },
        RouteConfiguration(),
    )


def at(vhost: dict[str, Any] | None = None, **match: Any) -> dict[str, Any]:
    return {"routeConfiguration": {**match, **({"vhost": vhost} if vhost else {})}}


A = {"name": "a.example.com:9080"}


def route_at(**route: Any) -> dict[str, Any]:
    return at({**A, "route": route})


def test_route_configurations_are_merged() -> None:
    """Its own fields are set, its name and hosts stay, and lists grow or are replaced."""
    value = {"name": "x", "internal_only_headers": ["h"]}
    once = patched(routes(), patch("ROUTE_CONFIGURATION", "MERGE", value))
    assert (once.name, list(once.internal_only_headers), len(once.virtual_hosts)) == ("9080", ["h"], 2)
    twice = patched(once, patch("ROUTE_CONFIGURATION", "MERGE", value))
    assert list(twice.internal_only_headers) == ["h", "h"]
    replaced = patched(twice, patch("ROUTE_CONFIGURATION", "MERGE_AND_REPLACE_LIST", value))
    assert list(replaced.internal_only_headers) == ["h"]


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"name": "9080"}, True),
        ({"name": "9081"}, False),
        ({"portNumber": 9080}, True),
        ({"portNumber": 80}, False),
    ],
)
def test_sidecars_routes_are_told_by_name_and_port(match: dict[str, Any], *, fits: bool) -> None:
    """A sidecar's route configuration is named after its port."""
    change = patch("ROUTE_CONFIGURATION", "MERGE", {"internal_only_headers": ["h"]}, at(**match))
    assert untouched(routes(), change) is not fits


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"name": "http.8080"}, True),
        ({"portNumber": 8080}, True),
        ({"portNumber": 80}, False),
        ({"gateway": "default/edge"}, True),
        ({"gateway": "default/other"}, False),
        ({"portName": "http"}, True),
        ({"portName": "https"}, False),
        ({"gateway": "default/two", "portName": "http"}, False),
    ],
)
def test_gateways_routes_are_told_by_their_servers(match: dict[str, Any], *, fits: bool) -> None:
    """By the Gateway and the name of the port too, and both must be of one server."""
    servers = frozenset({("default/edge", "http"), ("default/two", "http-2")})
    change = patch("ROUTE_CONFIGURATION", "MERGE", {"internal_only_headers": ["h"]}, at(**match))
    assert untouched(routes("http.8080"), change, facts=Facts(GATEWAY, servers=servers)) is not fits


@pytest.mark.parametrize(
    ("name", "context", "port"),
    [
        ("9080", PatchContext.SIDECAR_OUTBOUND, 9080),
        ("127.0.0.1:9080", PatchContext.SIDECAR_OUTBOUND, 9080),
        ("http_proxy", PatchContext.SIDECAR_OUTBOUND, 0),
        ("inbound|9080||", INBOUND, 9080),
        ("http.8080", GATEWAY, 8080),
        ("http.8080.10.0.0.1", GATEWAY, 8080),
        ("x", GATEWAY, 0),
    ],
)
def test_ports_of_route_configurations(name: str, context: PatchContext, port: int) -> None:
    """The port is in the name, in a form of each side's own."""
    assert route_port(name, context) == port


def test_virtual_hosts_are_changed_one_by_one() -> None:
    """Added, merged, replaced, removed; found by name or by domain."""
    new = {"name": "new", "domains": ["new"], "routes": [ANSWER]}
    for operation in ("ADD", "INSERT_BEFORE", "INSERT_FIRST", "INSERT_AFTER"):
        added = patched(routes(), patch("VIRTUAL_HOST", operation, new))
        assert names(added.virtual_hosts)[-1] == "new", operation
    merged = patched(
        routes(), patch("VIRTUAL_HOST", "MERGE", {"domains": ["c"]}, at({"domainName": "b.example.com"}))
    )
    assert list(merged.virtual_hosts[1].domains) == ["b.example.com", "c"]
    assert list(merged.virtual_hosts[0].domains) == ["a.example.com", "a"]
    over = patched(routes(), patch("VIRTUAL_HOST", "MERGE_AND_REPLACE_LIST", {"domains": ["c"]}, at(A)))
    assert list(over.virtual_hosts[0].domains) == ["c"]
    replaced = patched(routes(), patch("VIRTUAL_HOST", "REPLACE", new, at(A)))
    assert names(replaced.virtual_hosts) == ["new", "b.example.com:9080"]
    removed = patched(routes(), patch("VIRTUAL_HOST", "REMOVE", match=at(A)))
    assert names(removed.virtual_hosts) == ["b.example.com:9080"]
    assert untouched(routes(), patch("VIRTUAL_HOST", "REMOVE", match=at({"domainName": "c"})))


def test_routes_are_merged_and_removed() -> None:
    """Found by name and by what they do."""
    slow = patched(
        routes(), patch("HTTP_ROUTE", "MERGE", {"route": {"timeout": "9s"}}, route_at(name="first"))
    )
    assert slow.virtual_hosts[0].routes[0].route.timeout.seconds == 9
    assert slow.virtual_hosts[0].routes[0].route.cluster == "c"
    for action, left in {
        "ROUTE": ["away", "said"],
        "REDIRECT": ["first", "said"],
        "DIRECT_RESPONSE": ["first", "away"],
        "ANY": [],
    }.items():
        gone = patched(routes(), patch("HTTP_ROUTE", "REMOVE", match=route_at(action=action)))
        assert names(gone.virtual_hosts[0].routes) == left, action
    assert untouched(routes(), patch("HTTP_ROUTE", "REMOVE", match=route_at(name="none")))


def test_routes_are_inserted() -> None:
    """At the beginning or the end, or beside the route that is named."""
    first, away, said = names(routes().virtual_hosts[0].routes)
    expected: dict[tuple[str, str | None], list[str]] = {
        ("ADD", None): [first, away, said, "new"],
        ("INSERT_FIRST", None): ["new", first, away, said],
        ("INSERT_BEFORE", None): ["new", first, away, said],
        ("INSERT_AFTER", None): [first, away, said, "new"],
        ("INSERT_BEFORE", away): [first, "new", away, said],
        ("INSERT_AFTER", away): [first, away, "new", said],
        ("INSERT_FIRST", away): ["new", first, away, said],
    }
    for (operation, name), result in expected.items():
        match = route_at(name=name) if name else at(A)
        found = patched(routes(), patch("HTTP_ROUTE", operation, ANSWER, match))
        assert names(found.virtual_hosts[0].routes) == result, (operation, name)
        assert names(found.virtual_hosts[1].routes) == ["default"]
    for operation in ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"):
        assert untouched(routes(), patch("HTTP_ROUTE", operation, ANSWER, route_at(name="none"))), operation


def test_what_is_inserted_is_not_merged_into() -> None:
    """Routes of patches stay as they were written."""
    insert = patch("HTTP_ROUTE", "INSERT_FIRST", ANSWER, at(A))
    remove = patch("HTTP_ROUTE", "REMOVE", match=route_at(action="DIRECT_RESPONSE"), place=1)
    found = patched(routes(), insert, remove)
    assert names(found.virtual_hosts[0].routes) == ["new", "first", "away"]
