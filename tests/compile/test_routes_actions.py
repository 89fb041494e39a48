"""What happens to the requests that a route takes: rewrites, redirects, fixed answers, headers, hosts."""

from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import RedirectAction

from tests.compile.routing import routes_of, to


def route_of(rule: dict[str, Any]) -> Any:
    """The only route of a rule."""
    (route,) = routes_of(rule)
    return route


def redirect_of(**redirect: Any) -> Any:
    """The redirect action of a rule that redirects so."""
    return route_of({"redirect": redirect}).redirect


def test_timeouts_are_off_unless_set() -> None:
    """Envoy's own default of 15 seconds never applies."""
    assert route_of(to()).route.HasField("timeout")
    assert route_of(to()).route.timeout.ToTimedelta().total_seconds() == 0
    assert route_of(to(timeout="1.5s")).route.timeout.ToTimedelta().total_seconds() == 1.5


def test_rewrites_of_the_path_and_the_host() -> None:
    """A uri replaces the matched path or prefix, an expression what it matches, an authority the host."""
    action = route_of(to(rewrite={"uri": "/b", "authority": "b.example.com"})).route
    assert action.prefix_rewrite == "/b"
    assert action.host_rewrite_literal == "b.example.com"
    action = route_of(to(rewrite={"uriRegexRewrite": {"match": "/(.*)/x", "rewrite": r"/x/\1"}})).route
    assert action.regex_rewrite.pattern.regex == "/(.*)/x"
    assert action.regex_rewrite.substitution == r"/x/\1"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (None, RedirectAction.MOVED_PERMANENTLY),
        (301, RedirectAction.MOVED_PERMANENTLY),
        (302, RedirectAction.FOUND),
        (303, RedirectAction.SEE_OTHER),
        (307, RedirectAction.TEMPORARY_REDIRECT),
        (308, RedirectAction.PERMANENT_REDIRECT),
    ],
)
def test_redirect_codes(code: int | None, expected: int) -> None:
    """The five codes that Envoy sends; 301 unless told otherwise."""
    redirect = {"uri": "/b"} | ({"redirectCode": code} if code else {})
    assert redirect_of(**redirect).response_code == expected


def test_redirects_change_only_what_they_name() -> None:
    """Path, prefix, host and scheme are each kept unless given."""
    action = redirect_of(uri="/b", authority="b.example.com", scheme="https")
    assert (action.path_redirect, action.host_redirect, action.scheme_redirect) == (
        "/b",
        "b.example.com",
        "https",
    )
    action = redirect_of(prefixRewrite="/c")
    assert action.prefix_rewrite == "/c"
    assert action.host_redirect == ""
    assert action.WhichOneof("scheme_rewrite_specifier") is None
    assert redirect_of(scheme="https").WhichOneof("path_rewrite_specifier") is None


@pytest.mark.parametrize(
    ("redirect", "port"),
    [
        ({"port": 8443}, 8443),
        ({"port": 80}, 0),
        ({"port": 443}, 443),
        ({"port": 443, "scheme": "https"}, 0),
        ({"port": 80, "scheme": "https"}, 80),
        ({"derivePort": "FROM_REQUEST_PORT"}, 9080),
        ({"derivePort": "FROM_PROTOCOL_DEFAULT", "scheme": "https"}, 0),
    ],
)
def test_redirect_ports(redirect: dict[str, Any], port: int) -> None:
    """A port is written out unless it is the scheme's own; the request's port is the listener's."""
    assert redirect_of(**redirect).port_redirect == port


def test_fixed_answers() -> None:
    """A status with a text, with bytes, or alone."""
    text = route_of({"directResponse": {"status": 503, "body": {"string": "later"}}}).direct_response
    assert (text.status, text.body.inline_string) == (503, "later")
    data = route_of({"directResponse": {"status": 200, "body": {"bytes": "AAE="}}}).direct_response
    assert data.body.inline_bytes == b"\x00\x01"
    for answer in ({"status": 204}, {"status": 204, "body": {"string": ""}}):
        assert not route_of({"directResponse": answer}).direct_response.HasField("body")


def header_texts(options: Any) -> list[tuple[str, str, int]]:
    """Header options in short."""
    return [(option.header.key, option.header.value, option.append_action) for option in options]


def test_header_operations_of_a_route() -> None:
    """Set comes before add, each by name; the host is a rewrite, and pseudo headers of responses stay."""
    route = route_of(
        to(
            headers={
                "request": {"set": {"b": "1", "a": "2", "Host": "h"}, "add": {"c": "3"}, "remove": ["d"]},
                "response": {"set": {"e": ""}, "add": {"f": "5"}, "remove": ["g"]},
            }
        )
    )
    overwrite = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    append = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    assert header_texts(route.request_headers_to_add) == [
        ("a", "2", overwrite),
        ("b", "1", overwrite),
        ("c", "3", append),
    ]
    assert header_texts(route.response_headers_to_add) == [("e", "", overwrite), ("f", "5", append)]
    assert route.response_headers_to_add[0].keep_empty_value is True
    assert list(route.request_headers_to_remove) == ["d"]
    assert list(route.response_headers_to_remove) == ["g"]
    assert route.route.host_rewrite_literal == "h"


def test_header_operations_of_a_lone_destination_follow_those_of_the_route() -> None:
    """They join the route's; its host counts unless the route has one."""
    own = {"request": {"set": {"x": "own", ":authority": "own.example.com"}}}
    route = route_of(
        {
            "route": [{"destination": {"host": "a"}, "headers": own}],
            "headers": {"request": {"set": {"x": "route"}}},
        }
    )
    assert [option.header.value for option in route.request_headers_to_add] == ["route", "own"]
    assert route.route.host_rewrite_literal == "own.example.com"
    route = route_of(
        {"route": [{"destination": {"host": "a"}, "headers": own}], "rewrite": {"authority": "b.example.com"}}
    )
    assert route.route.host_rewrite_literal == "b.example.com"


def test_header_operations_of_a_weighted_destination_are_its_own() -> None:
    """Each cluster of a split carries its operations; the route's host wins over a destination's."""
    split = [
        {
            "destination": {"host": "a"},
            "weight": 1,
            "headers": {
                "request": {"set": {"Host": "a.example.com"}, "remove": ["q"]},
                "response": {"add": {"v": "a"}, "remove": ["r"]},
            },
        },
        {"destination": {"host": "b"}, "weight": 1},
    ]
    first, second = route_of({"route": split}).route.weighted_clusters.clusters
    assert first.host_rewrite_literal == "a.example.com"
    assert second.host_rewrite_literal == ""
    assert list(first.request_headers_to_remove) == ["q"]
    assert list(first.response_headers_to_remove) == ["r"]
    assert [option.header.value for option in first.response_headers_to_add] == ["a"]
    action = route_of({"route": split, "rewrite": {"authority": "all.example.com"}}).route
    assert action.host_rewrite_literal == "all.example.com"
    assert action.weighted_clusters.clusters[0].host_rewrite_literal == ""


def test_destinations_name_port_and_subset() -> None:
    """The cluster is the one that the mesh knows for host, subset and port."""
    rule = {"route": [{"destination": {"host": "a", "subset": "v2", "port": {"number": 81}}}]}
    assert route_of(rule).route.cluster == "outbound|81|v2|a.default"
