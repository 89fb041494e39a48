"""Rules that another object holds: what they take, what they inherit, and what is out of their reach."""

from typing import Any

import pytest

from tests.compile.worlds import API, Sandbox, proxy, service
from xdsd.compile.delegation import Conflict, merged_matches, merged_rule, qualified
from xdsd.model.catalog import Endpoint
from xdsd.model.intent import HTTPMatchRequest, HTTPRoute, Metadata, Object, VirtualService
from xdsd.snapshot import ROUTE


def matches(*listed: dict[str, Any]) -> tuple[HTTPMatchRequest, ...]:
    return tuple(HTTPMatchRequest.model_validate(each) for each in listed)


def rule(**fields: Any) -> HTTPRoute:
    return HTTPRoute.model_validate({"route": [{"destination": {"host": "own"}}], **fields})


def root(**fields: Any) -> HTTPRoute:
    return HTTPRoute.model_validate({"delegate": {"name": "d"}, **fields})


EXACT, PREFIX, REGEX = {"exact": "/a/b"}, {"prefix": "/a"}, {"regex": "/a.*"}


@pytest.mark.parametrize(
    ("outer", "inner", "merged"),
    [
        ({"uri": PREFIX}, {"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/a/b"}}),
        ({"uri": PREFIX}, {"uri": EXACT}, {"uri": EXACT}),
        ({"uri": PREFIX}, {"uri": PREFIX}, {"uri": PREFIX}),
        ({"uri": PREFIX}, {"headers": {"x": {}}}, {"uri": PREFIX, "headers": {"x": {}}}),
        ({"uri": REGEX}, {"uri": REGEX}, {"uri": REGEX}),
        ({"headers": {"x": {}}}, {"headers": {"x": PREFIX}}, {"headers": {"x": PREFIX}}),
        (
            {"headers": {"x": EXACT}, "port": 80, "name": "out"},
            {"headers": {"y": EXACT}, "queryParams": {"q": EXACT}, "name": "in"},
            {"headers": {"x": EXACT, "y": EXACT}, "queryParams": {"q": EXACT}, "port": 80, "name": "out-in"},
        ),
        ({"withoutHeaders": {"x": EXACT}}, {"withoutHeaders": {"x": {}}}, {"withoutHeaders": {"x": {}}}),
        (
            {"sourceLabels": {"a": "1"}, "sourceNamespace": "n"},
            {"sourceLabels": {"b": "2"}},
            {"sourceLabels": {"a": "1", "b": "2"}, "sourceNamespace": "n"},
        ),
        ({"gateways": ["a", "b"]}, {"gateways": ["b"]}, {"gateways": ["b"]}),
        (
            {"ignoreUriCase": True, "uri": PREFIX},
            {"method": {"exact": "GET"}},
            {"ignoreUriCase": True, "uri": PREFIX, "method": {"exact": "GET"}},
        ),
    ],
)
def test_a_request_must_be_what_both_ask_for(
    outer: dict[str, Any], inner: dict[str, Any], merged: dict[str, Any]
) -> None:
    """Conditions are joined, the narrower of two on the same thing is kept."""
    assert merged_matches(matches(outer), matches(inner)) == matches(merged)


@pytest.mark.parametrize(
    ("outer", "inner", "path"),
    [
        ({"uri": PREFIX}, {"uri": {"prefix": "/"}}, "match[0].uri"),
        ({"uri": PREFIX}, {"uri": {"exact": "/b"}}, "match[0].uri"),
        ({"uri": PREFIX}, {"uri": REGEX}, "match[0].uri"),
        ({"uri": REGEX}, {"uri": EXACT}, "match[0].uri"),
        ({"uri": EXACT}, {"uri": PREFIX}, "match[0].uri"),
        ({"uri": EXACT}, {"uri": {"exact": "/a/c"}}, "match[0].uri"),
        ({"method": {"exact": "GET"}}, {"method": {"exact": "PUT"}}, "match[0].method"),
        ({"headers": {"x": EXACT}}, {"headers": {"x": {}}}, "match[0].headers[x]"),
        ({"queryParams": {"q": EXACT}}, {"queryParams": {"q": {"prefix": "/"}}}, "match[0].queryParams[q]"),
        ({"withoutHeaders": {"x": {}}}, {"withoutHeaders": {"x": EXACT}}, "match[0].withoutHeaders[x]"),
        ({"port": 80}, {"port": 81}, "match[0].port"),
        ({"sourceNamespace": "a"}, {"sourceNamespace": "b"}, "match[0].sourceNamespace"),
        ({"sourceLabels": {"a": "1"}}, {"sourceLabels": {"a": "2"}}, "match[0].sourceLabels[a]"),
        ({"gateways": ["a"]}, {"gateways": ["a", "b"]}, "match[0].gateways"),
        ({"uri": PREFIX}, {"uri": PREFIX, "ignoreUriCase": True}, "match[0].ignoreUriCase"),
    ],
)
def test_what_was_not_handed_over_is_out_of_reach(
    outer: dict[str, Any], inner: dict[str, Any], path: str
) -> None:
    """A rule that asks for more than the root's is a conflict, told by its field."""
    found = merged_matches(matches(outer), matches(inner))
    assert isinstance(found, Conflict)
    assert found.path == path


def test_alternatives_are_joined_each_with_each() -> None:
    """Those that conflict with one alternative of the root belong to the others; one that fits nowhere drops the rule."""
    outer = matches({"uri": PREFIX}, {"uri": {"prefix": "/b"}})
    assert merged_matches(outer, matches({"method": {"exact": "GET"}})) == matches(
        {"uri": PREFIX, "method": {"exact": "GET"}}, {"uri": {"prefix": "/b"}, "method": {"exact": "GET"}}
    )
    assert merged_matches(outer, matches({"uri": EXACT})) == matches({"uri": EXACT})
    found = merged_matches(outer, matches({"uri": EXACT}, {"uri": {"prefix": "/c"}}))
    assert isinstance(found, Conflict)
    assert found.path == "match[1].uri"
    assert merged_matches(outer, ()) == outer
    assert merged_matches((), outer) == outer


def test_a_rule_has_from_the_root_what_it_leaves_out() -> None:
    """Timeouts, retries, headers and the rest; copies are taken or left as a whole, and names are joined."""
    outer = root(
        name="root",
        timeout="5s",
        retries={"attempts": 1},
        mirror={"host": "shadow"},
        mirrorPercentage={"value": 1},
        headers={"request": {"set": {"x": "root"}}},
    )
    plain = merged_rule(outer, rule(name="own", timeout="9s"))
    assert isinstance(plain, HTTPRoute)
    assert (plain.name, plain.timeout) == ("root-own", rule(timeout="9s").timeout)
    assert (plain.retries, plain.mirror, plain.headers) == (outer.retries, outer.mirror, outer.headers)
    assert plain.delegate is None
    copying = merged_rule(outer, rule(mirrors=[{"destination": {"host": "other"}}]))
    assert isinstance(copying, HTTPRoute)
    assert (copying.mirror, copying.mirror_percentage) == (None, None)


def test_names_mean_what_they_mean_where_they_stand() -> None:
    """Short hosts and gateways of both objects are made whole before they meet."""
    whole = qualified(
        rule(match=[{"gateways": ["edge", "mesh", "x/y"]}], mirror={"host": "shadow"}),
        "team",
        "cluster.local",
    )
    assert whole.match[0].gateways == ("team/edge", "mesh", "x/y")
    assert whole.route[0].destination.host == "own.team.svc.cluster.local"
    assert whole.mirror is not None
    assert whole.mirror.host == "shadow.team.svc.cluster.local"


def declared(name: str, **spec: Any) -> Object[Any]:
    return Object(API, "VirtualService", Metadata("default", name), VirtualService.model_validate(spec))


def to(host: str) -> dict[str, Any]:
    return {"route": [{"destination": {"host": host}}]}


def test_a_delegate_that_changes_costs_what_delegates_to_it() -> None:
    """One route configuration is made anew; it answers 404 while the delegate is away, and nobody else hears of it."""
    mesh = Sandbox()
    for name in ("a", "b"):
        mesh.put_service(service(name), Endpoint("10.0.0.1"))
    mesh.put_service(service("other", port=9090), Endpoint("10.0.0.1"))
    mesh.put_object(declared("root", hosts=["a"], http=[{"delegate": {"name": "held"}}]))
    mesh.put_object(declared("other", hosts=["other"], http=[to("other")]))
    node = mesh.attach(proxy())
    mesh.settle()

    def clusters() -> list[str]:
        table = mesh.message(node, ROUTE, "9080")
        (host,) = (each for each in table.virtual_hosts if each.name.startswith("a."))
        return [each.route.cluster for each in host.routes]

    assert clusters() == []
    for host in ("b", "a"):
        mesh.put_object(declared("held", http=[to(host)]))
        mesh.compiler.encoded.clear()
        changed = mesh.settle()
        assert clusters() == [f"outbound|9080||{host}.default.svc.cluster.local"]
        (layer,) = changed.layers
        assert [(each.type_url, each.name) for each in layer.upserts] == [(ROUTE, "9080")]
        assert dict(mesh.compiler.encoded) == {ROUTE: 1}
    assert list(mesh.compiler.problems()) == []
    mesh.drop_object("VirtualService", "held")
    mesh.settle()
    assert clusters() == []
    assert [problem.path for problem in mesh.compiler.problems()] == ["spec.http[0].delegate"]
