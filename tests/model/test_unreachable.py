"""Rules that nothing reaches: told where it is certain, and nowhere else."""

from itertools import product
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.compile.test_routes_oracle import Request, takes
from xdsd.compile.matches import Source, applies
from xdsd.model.intent import VirtualService
from xdsd.model.problem import ObjectRef, Reason, Severity
from xdsd.model.unreachable import unreachable_rules

REF = ObjectRef("VirtualService", "default", "v")
Match = dict[str, Any]


def virtual_service(**sections: Any) -> VirtualService:
    return VirtualService.model_validate({"hosts": ["*.example.com"], **sections})


def http(*rules: list[Match]) -> VirtualService:
    """Each rule by its matches."""
    answer = {"directResponse": {"status": 200}}
    return virtual_service(http=[{**answer, "match": matches} for matches in rules])


def told(spec: VirtualService) -> list[str]:
    """Paths with messages."""
    problems = list(unreachable_rules(spec, REF))
    assert all(each.object == REF and each.severity is Severity.WARNING for each in problems)
    assert all(each.reason is Reason.UNREACHABLE_RULE for each in problems)
    return [f"{each.path}: {each.message}" for each in problems]


@pytest.mark.parametrize(
    "match",
    [
        [],
        [{}],
        [{"uri": {"prefix": "/"}}],
        [{"uri": {}}],
        [{"uri": {"regex": ".*"}, "name": "all"}],
        [{"uri": {"exact": "/a"}}, {"uri": {"prefix": ""}, "statPrefix": "s"}],
        [{"uri": {"prefix": "/"}, "ignoreUriCase": True}],
    ],
)
def test_behind_a_rule_that_takes_everything(match: list[Match]) -> None:
    """All that follow are unreachable, whatever they match."""
    spec = http([{"port": 80}], match, [{"uri": {"exact": "/b"}}], [])
    assert told(spec) == [
        "spec.http[2]: is never reached: spec.http[1] takes every request",
        "spec.http[3]: is never reached: spec.http[1] takes every request",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"uri": {"exact": "/a"}}, {"uri": {"exact": "/a"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a/b"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"exact": "/a/b"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"exact": "/a"}, "method": {"exact": "GET"}}),
        ({"uri": {"regex": "/[ab]+"}}, {"uri": {"regex": "/[ab]+"}, "port": 80}),
        ({"uri": {"prefix": "/A"}, "ignoreUriCase": True}, {"uri": {"exact": "/ab"}}),
        ({"uri": {"exact": "/A"}, "ignoreUriCase": True}, {"uri": {"exact": "/a"}, "ignoreUriCase": True}),
        ({"uri": {"exact": "/A"}, "ignoreUriCase": True}, {"uri": {"exact": "/a"}}),
        ({"uri": {"prefix": "/1"}}, {"uri": {"prefix": "/1A"}, "ignoreUriCase": True}),
        ({"headers": {"x": {"exact": "a"}}}, {"headers": {"x": {"exact": "a"}, "y": {}}}),
        ({"headers": {"x": {}}}, {"headers": {"x": {"regex": "a+"}}, "uri": {"prefix": "/a"}}),
        ({"headers": {"x": {"regex": ".*"}}}, {"headers": {"x": {"prefix": "a"}}}),
        ({"queryParams": {"q": {}}}, {"queryParams": {"q": {"exact": "1"}}}),
        ({"withoutHeaders": {"x": {}}}, {"withoutHeaders": {"x": {}, "y": {"exact": "a"}}}),
        ({"authority": {"exact": "a"}}, {"authority": {"exact": "a"}, "scheme": {"exact": "http"}}),
        ({"method": {"regex": ".*"}}, {"method": {"exact": "GET"}}),
        ({"port": 80}, {"port": 80, "sourceNamespace": "n"}),
        ({"sourceLabels": {"app": "a"}}, {"sourceLabels": {"app": "a", "v": "1"}}),
        ({"sourceNamespace": "n"}, {"sourceNamespace": "n"}),
        ({"gateways": ["mesh", "gw"]}, {"gateways": ["gw"]}),
        ({"gateways": ["gw"], "sourceLabels": {"a": "b"}}, {"gateways": ["gw"], "sourceLabels": {"a": "b"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/ab"}, "gateways": ["gw"]}),
    ],
)
def test_a_match_that_an_earlier_one_covers(first: Match, second: Match) -> None:
    """The same or less is asked before; names the rule that takes it."""
    assert told(http([first], [second])) == [
        "spec.http[1]: is never reached: spec.http[0] takes every request that it matches"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"uri": {"exact": "/a"}}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/A"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"exact": "/A"}, "ignoreUriCase": True}),
        ({"uri": {"regex": "/.*"}}, {"uri": {"exact": "/a"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"regex": "/a.*"}}),
        (
            {"uri": {"prefix": "/"}, "method": {"exact": "OPTIONS"}},
            {"uri": {"exact": "*"}, "method": {"exact": "OPTIONS"}},
        ),
        ({"uri": {"prefix": "/a"}, "method": {"exact": "GET"}}, {"uri": {"prefix": "/a"}}),
        ({"headers": {"x": {"exact": "a"}}}, {"headers": {"x": {}}}),
        ({"headers": {"x": {"exact": "a"}}}, {"headers": {"y": {"exact": "a"}}}),
        ({"headers": {"x": {}}}, {"queryParams": {"x": {}}}),
        ({"headers": {"x": {}}}, {"withoutHeaders": {"x": {}}}),
        ({"withoutHeaders": {"x": {"exact": "a"}}}, {"withoutHeaders": {"x": {}}}),
        ({"withoutHeaders": {"x": {}}}, {"withoutHeaders": {"x": {"exact": "a"}}}),
        ({"method": {}}, {"uri": {"prefix": "/"}}),
        ({"port": 80}, {}),
        ({"port": 80}, {"port": 81}),
        ({"sourceLabels": {"app": "a"}}, {}),
        ({"sourceLabels": {"app": "a"}}, {"sourceLabels": {"app": "b"}}),
        ({"sourceNamespace": "n"}, {"sourceNamespace": "m"}),
        ({"gateways": ["gw"]}, {}),
        ({"gateways": ["gw"]}, {"gateways": ["mesh", "gw"]}),
        ({"sourceLabels": {"app": "a"}}, {"sourceLabels": {"app": "a"}, "gateways": ["gw"]}),
        ({"sourceNamespace": "n"}, {"sourceNamespace": "n", "gateways": ["gw"]}),
    ],
)
def test_a_match_that_leaves_something(first: Match, second: Match) -> None:
    """What is wider, other, or asked of another client is reached; so is what nobody can be sure of."""
    assert told(http([first], [second])) == []


def test_several_rules_may_cover_one_together() -> None:
    """Each match by some rule; a rule of which one match is left is reached."""
    a, b, c = ({"uri": {"prefix": f"/{name}"}} for name in "abc")
    assert told(http([a], [b], [{"uri": {"exact": "/b"}}, {"uri": {"exact": "/a"}}])) == [
        "spec.http[2]: is never reached: spec.http[1], spec.http[0] takes every request that it matches"
    ]
    assert told(http([a], [b], [a, b, c])) == []
    assert told(http([a, b], [c], [b])) == [
        "spec.http[2]: is never reached: spec.http[0] takes every request that it matches"
    ]


def test_a_rule_that_delegates_takes_nothing_surely() -> None:
    """What it answers is for another object to say."""
    delegating = {"delegate": {"name": "other"}}
    answer = {"directResponse": {"status": 200}}
    assert told(virtual_service(http=[delegating, answer, answer])) == [
        "spec.http[2]: is never reached: spec.http[1] takes every request"
    ]


def to(*matches: Match, host: str = "a") -> dict[str, Any]:
    return {"match": list(matches), "route": [{"destination": {"host": host}}]}


@pytest.mark.parametrize(
    ("first", "second", "unreachable"),
    [
        ([], [{"port": 80}], True),
        ([{}], [], True),
        ([{"port": 80}], [{"port": 80, "sourceLabels": {"a": "b"}}], True),
        (
            [{"destinationSubnets": ["10.0.0.0/8"]}],
            [{"destinationSubnets": ["10.0.0.0/8"], "port": 80}],
            True,
        ),
        ([{"destinationSubnets": ["10.0.0.0/8"]}], [{"destinationSubnets": ["10.1.0.0/16"]}], True),
        ([{"destinationSubnets": ["10.1.0.0/16"]}], [{"destinationSubnets": ["10.0.0.0/8"]}], False),
        (
            [{"destinationSubnets": ["10.0.0.0/8", "fd00::/8"]}],
            [{"destinationSubnets": ["10.1.2.3", "fd00::1"]}],
            True,
        ),
        (
            [{"destinationSubnets": ["10.0.0.0/8"]}],
            [{"destinationSubnets": ["10.1.0.0/16", "11.0.0.1"]}],
            False,
        ),
        ([{"port": 80}], [{"destinationSubnets": ["10.0.0.0/8"], "port": 80}], True),
        ([{"port": 80}], [{"sourceSubnet": "10.0.0.0/8", "port": 80}], True),
        ([{"sourceSubnet": "10.0.0.0/8"}], [{"sourceSubnet": "10.1.2.3"}], True),
        ([{"sourceSubnet": "10.1.2.3"}], [{"port": 80}], False),
        ([{"sourceSubnet": "10.0.0.0/8"}], [{"sourceSubnet": "10.0.0.0/8", "port": 80}], True),
        ([{"port": 80}], [{"port": 81}], False),
        ([{"gateways": ["gw"]}], [], False),
    ],
)
def test_connections(first: list[Match], second: list[Match], *, unreachable: bool) -> None:
    """Rules of TCP: behind what takes all, and behind what asks no more of the same addresses or wider ones."""
    found = told(virtual_service(tcp=[to(*first), to(*second)]))
    assert [each.partition(":")[0] for each in found] == ["spec.tcp[1]"] * unreachable


@pytest.mark.parametrize(
    ("first", "second", "unreachable"),
    [
        ({"sniHosts": ["a.example.com"]}, {"sniHosts": ["a.example.com"]}, True),
        ({"sniHosts": ["a.example.com", "*.example.com"]}, {"sniHosts": ["A.example.com"], "port": 80}, True),
        ({"sniHosts": ["a.example.com"]}, {"sniHosts": ["a.example.com", "*.example.com"]}, False),
        ({"sniHosts": ["*.example.com"]}, {"sniHosts": ["a.example.com"]}, True),
        ({"sniHosts": ["*.example.com"]}, {"sniHosts": ["*.a.example.com", "b.a.example.com"]}, True),
        ({"sniHosts": ["*.a.example.com"]}, {"sniHosts": ["a.example.com"]}, False),
        ({"sniHosts": ["a.example.com"], "port": 80}, {"sniHosts": ["a.example.com"]}, False),
        (
            {"sniHosts": ["a.example.com"]},
            {"sniHosts": ["a.example.com"], "destinationSubnets": ["10.0.0.0/8"]},
            True,
        ),
        (
            {"sniHosts": ["a.example.com"], "destinationSubnets": ["10.0.0.0/8"]},
            {"sniHosts": ["a.example.com"]},
            False,
        ),
    ],
)
def test_server_names(first: Match, second: Match, *, unreachable: bool) -> None:
    """Rules of TLS: behind one for the same names, or for wildcards that they are below."""
    found = told(virtual_service(tls=[to(first), to(second)]))
    assert [each.partition(":")[0] for each in found] == ["spec.tls[1]"] * unreachable


def test_many_rules_cost_little() -> None:
    """Thousands of paths are found without comparing all; where all must be compared, some are not told."""
    paths = [[{"uri": {"exact": f"/p{number}"}}] for number in range(3000)]
    assert len(told(http(*paths, *paths[:7]))) == 7
    headers: list[list[Match]] = [[{"headers": {f"h{number}": {}}}] for number in range(1000)]
    assert told(http(*headers, headers[0])) == []


PATHS = ["/", "/a", "/A", "/ab", "/a/b", "*"]
VALUES = ["a", "ab", "A"]


def patterns(texts: list[str]) -> st.SearchStrategy[Match]:
    written = [{form: text} for form in ("exact", "prefix") for text in texts]
    return st.sampled_from([{}, *written, *({"regex": text} for text in (".*", "a+", "/a.*"))])


MATCHES: st.SearchStrategy[Match] = st.fixed_dictionaries(
    {},
    optional={
        "uri": patterns(PATHS),
        "ignoreUriCase": st.booleans(),
        "method": patterns(["GET", "PUT"]),
        "headers": st.dictionaries(st.sampled_from("xy"), patterns(VALUES), max_size=2),
        "withoutHeaders": st.dictionaries(
            st.sampled_from("xy"), st.sampled_from([{}, {"exact": "a"}, {"prefix": "a"}]), max_size=1
        ),
        "queryParams": st.dictionaries(st.just("q"), patterns(VALUES), max_size=1),
        "port": st.sampled_from([80, 81]),
        "sourceLabels": st.sampled_from([{"app": "a"}, {"app": "a", "v": "1"}]),
        "sourceNamespace": st.just("n"),
        "gateways": st.sampled_from([["mesh"], ["gw"], ["mesh", "gw"]]),
    },
)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[list[Match]]:
    """Rules of which later ones are often narrower than an earlier one, or nearly so."""
    rules: list[list[Match]] = []
    for _ in range(draw(st.integers(2, 4))):
        known = [match for rule in rules for match in rule]
        matches = []
        for _ in range(draw(st.integers(1, 2))):
            narrowed = draw(st.sampled_from([{}, *known]))
            matches.append({**draw(MATCHES), **narrowed})
        rules.append(matches)
    return rules


SOURCES = [
    Source(frozenset({gateway}), namespace, labels, port)
    for gateway, namespace, labels, port in product(
        ["mesh", "default/gw"], ["n", "m"], [{}, {"app": "a"}, {"app": "a", "v": "1"}], [80, 81]
    )
]
REQUESTS = [
    Request(method, path, query, headers)
    for method, path, query, headers in product(
        ["GET", "PUT"],
        [*PATHS, "/AB", "/b"],
        [(), (("q", "a"),), (("q", ""),)],
        [(), (("x", "a"),), (("x", "ab"), ("y", "A")), (("y", ""),)],
    )
]


@settings(max_examples=150, deadline=None)
@given(rules=rule_sets())
def test_what_is_told_to_be_unreachable_takes_no_request(rules: list[list[Match]]) -> None:
    """Whatever the rules: of all requests of all clients none is taken by a rule that is told to be unreachable."""
    spec = http(*rules)
    found = {int(each.path[len("spec.http[") : -1]) for each in unreachable_rules(spec, REF)}
    event(f"{len(found)} of {len(rules)} unreachable")
    if not found:
        return
    for source in SOURCES:
        there = [
            [
                match
                for match, value in zip(rule, spec.http[index].match, strict=True)
                if applies(value, "default", source)
            ]
            for index, rule in enumerate(rules)
        ]
        if not any(there[index] for index in found):
            continue
        for request in REQUESTS:
            taken = [
                index for index, rule in enumerate(there) if any(takes(match, request, "h") for match in rule)
            ]
            if taken and taken[0] in found:
                # A path that is no path at all is what the rule that takes everything does not see; nor does Envoy route it.
                assert request.path == "*", (source, request, taken[0])
