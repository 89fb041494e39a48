"""Whatever a user may write, Envoy takes what it compiles to."""

from typing import Any

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.compile.envoy import validate_with_envoy
from tests.compile.routing import OWNER, SIDECAR, AllKnown, routes_of
from tests.compile.test_routes_behaviour import RULES
from xdsd.compile.header_values import COMMANDS_WITH_ARGUMENT, PLAIN_COMMANDS, text_error, value_error
from xdsd.compile.routes import default_http_route, http_routes, inbound_http_route
from xdsd.compile.virtual_hosts import (
    PortForm,
    allow_any_virtual_host,
    block_all_virtual_host,
    encoded,
    route_configuration,
    service_domains,
    virtual_host,
)
from xdsd.model.intent import ConsistentHashLB, VirtualService
from xdsd.model.intent.values import regex_fault

pytestmark = pytest.mark.e2e

HASHING = {
    "header": ConsistentHashLB.model_validate({"httpHeaderName": "x-user"}),
    "cookie": ConsistentHashLB.model_validate(
        {
            "httpCookie": {
                "name": "user",
                "path": "/",
                "ttl": "0s",
                "attributes": [{"name": "SameSite", "value": "Strict"}, {"name": "Secure"}],
            }
        }
    ),
    "source": ConsistentHashLB.model_validate({"useSourceIp": True}),
    "query": ConsistentHashLB.model_validate({"httpQueryParameterName": "user"}),
}


def configuration(hosts: list[Any]) -> RouteConfiguration:
    """The route configuration of these virtual hosts, by way of its bytes."""
    return RouteConfiguration.FromString(route_configuration("9080", [encoded(host) for host in hosts]))


def test_every_field_at_once() -> None:
    """Rules that use every field load without a warning, beside all the virtual hosts that need no rules."""
    rule = {
        "name": "all",
        "match": [
            {
                "name": "match",
                "uri": {"prefix": "/a"},
                "scheme": {"exact": "http"},
                "method": {"regex": "GET|POST"},
                "authority": {"prefix": "re"},
                "headers": {"x-a": {}, "x-b": {"regex": "[a-z]+"}, "cookie": {"prefix": "user="}},
                "withoutHeaders": {"x-c": {"exact": "d"}, "x-d": {"regex": "*"}},
                "queryParams": {"q": {"regex": r"\d+"}, "r": {}, "s": {"exact": ""}},
                "ignoreUriCase": True,
                "statPrefix": "all",
                "port": 9080,
                "gateways": ["mesh"],
                "sourceLabels": {"app": "client"},
                "sourceNamespace": "default",
            },
            {"uri": {"regex": "/[^/]+/b"}},
            {"uri": {"exact": "/c"}},
        ],
        "route": [
            {
                "destination": {"host": host, "subset": "v1", "port": {"number": 80}},
                "weight": 1,
                "headers": {
                    "request": {"set": {"Host": "h"}, "remove": ["x"]},
                    "response": {"add": {"y": "z"}},
                },
            }
            for host in HASHING
        ],
        "rewrite": {"uri": "/b"},
        "timeout": "10s",
        "retries": {
            "attempts": 3,
            "perTryTimeout": "2s",
            "retryOn": "gateway-error,503,retriable-4xx",
            "retryRemoteLocalities": True,
            "retryIgnorePreviousHosts": False,
            "backoff": "10ms",
        },
        "fault": {
            "delay": {"fixedDelay": "1ms", "percentage": {"value": 0.01}},
            "abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 99.9}},
        },
        "mirrors": [
            {"destination": {"host": "m"}, "percentage": {"value": 1}},
            {"destination": {"host": "n"}},
        ],
        "corsPolicy": {
            "allowOrigins": [{"exact": "https://a"}, {"prefix": "https://b"}, {"regex": "https://.*"}],
            "allowMethods": ["GET"],
            "allowHeaders": ["x-a"],
            "exposeHeaders": ["x-b"],
            "maxAge": "1m",
            "allowCredentials": False,
            "unmatchedPreflights": "FORWARD",
        },
        "headers": {
            "request": {"set": {"a": "%REQ(b)%"}, "add": {"c": ""}, "remove": ["d"]},
            "response": {"set": {"e": "50%%"}, "add": {"f": "%START_TIME(%s)%"}, "remove": ["g"]},
        },
    }
    hosts = [virtual_host(name, [name], routes_of(*rules)) for name, rules in RULES.items()]
    hosts.append(virtual_host("all", ["all"], routes_of(rule, hashing=HASHING)))
    for name, hashing in HASHING.items():
        hosts.append(virtual_host(name, [f"{name}.hash"], [default_http_route("outbound|80||a", hashing)]))
    domains = service_domains(
        "a.default.svc.cluster.local", 80, "default", "cluster.local", ["::1"], ports=PortForm.BOTH
    )
    hosts.append(virtual_host("service", domains, [inbound_http_route("inbound|80||")]))
    hosts.append(allow_any_virtual_host())
    blocked = configuration([block_all_virtual_host()])
    log = validate_with_envoy(routes=[configuration(hosts), blocked])
    assert "warning" not in log, log


def test_every_command_in_header_values() -> None:
    """Whatever a header's value may refer to, Envoy knows, in requests and in responses."""
    arguments = {
        "DYNAMIC_METADATA": ["envoy.lb", "a.b:c_d:e-f"],
        "QUERY_PARAM": ["q", "a.b-c_d"],
        "START_TIME": [
            "%Y-%m-%dT%H:%M:%S.%3fZ",
            "%s",
            "%d/%b/%Y %f",
            "%j %a %A %B %e %y %Z %z %F %T",
            "%6f %9f",
        ],
    }
    values = [f"%{name}%" for name in sorted(PLAIN_COMMANDS)]
    for name in sorted(COMMANDS_WITH_ARGUMENT):
        for argument in arguments.get(name, ["x-a", ":path?X_b"]):
            values.append(f"%{name}({argument})%")
            if name != "START_TIME":
                values.append(f"a %{name}({argument}):99999% b")
    assert [value_error(value) for value in values] == [""] * len(values)
    headers = {f"x-{index}": value for index, value in enumerate(values)}
    operations = {"request": {"set": headers}, "response": {"add": headers}}
    (route,) = routes_of({"route": [{"destination": {"host": "a"}}], "headers": operations})
    assert len(route.request_headers_to_add) == len(values)
    validate_with_envoy(routes=[configuration([virtual_host("a", ["a"], [route])])])


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping that has some of these fields."""
    return st.fixed_dictionaries({}, optional=fields).filter(bool)


def one_of_fields(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping that has one of these fields."""
    return st.one_of([st.fixed_dictionaries({name: strategy}) for name, strategy in fields.items()])


TOKEN = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,8}", fullmatch=True)
WILD = st.text(max_size=6)
PLAIN = st.text(max_size=6).filter(lambda text: not text_error(text))
PATH = st.one_of(st.from_regex(r"/[a-zA-Z0-9/._~-]{0,8}", fullmatch=True), PLAIN)
REGEX = st.one_of(
    st.sampled_from([".*", r"/(a|b)/\d+", "(?i)^x$", "[^/]+", "a{3,5}", r"\pL+", "(?P<n>.)", "x*?"]),
    st.text(alphabet="ab.*+?()[]{}|^$\\/1", min_size=1, max_size=8).filter(
        lambda text: not regex_fault(text)
    ),
)
COMMAND = st.one_of(
    st.sampled_from(
        ["%%", "%NOBODY%", "%REQ(:path?a):5%", *(f"%{name}%" for name in sorted(PLAIN_COMMANDS))]
    ),
    st.sampled_from(sorted(COMMANDS_WITH_ARGUMENT)).flatmap(
        lambda name: st.from_regex(COMMANDS_WITH_ARGUMENT[name], fullmatch=True).map(
            lambda argument: f"%{name}({argument})%"
        )
    ),
)
VALUE = st.lists(st.one_of(COMMAND, PLAIN.filter(lambda text: "%" not in text)), max_size=3).map("".join)
DURATION = st.one_of(
    st.sampled_from(["1ms", "0.0015s", "1h", "2562047h"]), st.integers(1, 10**6).map("{}ms".format)
)
PERCENT = st.fixed_dictionaries({"value": st.floats(0.001, 100).map(lambda value: round(value, 4))})
STRING_MATCH = st.one_of(st.just({}), one_of_fields(exact=WILD, prefix=WILD.filter(bool), regex=REGEX))
DESTINATION = st.fixed_dictionaries(
    {"host": st.sampled_from([*HASHING, "plain"])},
    optional={
        "subset": st.sampled_from(["v1", "v2"]),
        "port": st.fixed_dictionaries({"number": st.integers(1, 65535)}),
    },
)
OPERATIONS = optional(
    set=st.dictionaries(TOKEN, VALUE, max_size=2),
    add=st.dictionaries(TOKEN, VALUE, max_size=2),
    remove=st.lists(TOKEN, max_size=2),
)
HOST = st.fixed_dictionaries({"set": st.fixed_dictionaries({"Host": VALUE})})
HEADERS = optional(request=st.one_of(OPERATIONS, HOST), response=OPERATIONS)
NAMED_MATCHES = st.dictionaries(
    st.one_of(TOKEN, st.sampled_from([":path", "host", "uri"])), STRING_MATCH, max_size=2
)
MATCH = optional(
    name=st.text(max_size=5),
    uri=one_of_fields(exact=WILD, prefix=WILD, regex=REGEX),
    scheme=STRING_MATCH,
    method=STRING_MATCH,
    authority=STRING_MATCH,
    headers=NAMED_MATCHES,
    withoutHeaders=NAMED_MATCHES,
    queryParams=st.dictionaries(st.text(max_size=4), STRING_MATCH, max_size=2),
    ignoreUriCase=st.booleans(),
    statPrefix=st.text(max_size=5),
)
ACTION = st.one_of(
    st.fixed_dictionaries(
        {
            "route": st.lists(
                st.fixed_dictionaries(
                    {"destination": DESTINATION, "weight": st.integers(1, 2**30)},
                    optional={"headers": HEADERS},
                ),
                min_size=1,
                max_size=3,
            )
        },
        optional={
            "rewrite": st.one_of(
                optional(uri=PATH, authority=st.one_of(TOKEN, VALUE)),
                st.fixed_dictionaries(
                    {"uriRegexRewrite": st.fixed_dictionaries({"match": REGEX, "rewrite": WILD.filter(bool)})}
                ),
            ),
            "timeout": DURATION,
            "retries": st.fixed_dictionaries(
                {"attempts": st.integers(1, 2**31 - 1)},
                optional={
                    "perTryTimeout": DURATION,
                    "backoff": DURATION,
                    "retryOn": st.sampled_from(["5xx", "503", "reset,429,connect-failure", "599"]),
                    "retryRemoteLocalities": st.booleans(),
                    "retryIgnorePreviousHosts": st.booleans(),
                },
            ),
            "fault": optional(
                delay=st.fixed_dictionaries({"fixedDelay": DURATION}, optional={"percentage": PERCENT}),
                abort=st.one_of(
                    st.fixed_dictionaries(
                        {"httpStatus": st.integers(200, 599)}, optional={"percentage": PERCENT}
                    ),
                    st.fixed_dictionaries({"grpcStatus": st.sampled_from(["OK", "INTERNAL"])}),
                ),
            ),
            "mirrors": st.lists(
                st.fixed_dictionaries({"destination": DESTINATION}, optional={"percentage": PERCENT}),
                max_size=2,
            ),
        },
    ),
    st.fixed_dictionaries(
        {
            "redirect": optional(
                uri=PATH,
                authority=st.one_of(TOKEN, VALUE),
                port=st.integers(1, 65535),
                scheme=st.sampled_from(["http", "https"]),
                redirectCode=st.sampled_from([301, 302, 303, 307, 308]),
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "directResponse": st.fixed_dictionaries(
                {"status": st.integers(200, 599)},
                optional={"body": one_of_fields(string=st.text(max_size=9), bytes=st.just("AAE="))},
            )
        }
    ),
)
CORS = optional(
    allowOrigins=st.lists(STRING_MATCH.filter(lambda match: any(match.values())), max_size=2),
    allowMethods=st.lists(st.sampled_from(["GET", "PUT"]), max_size=2),
    allowHeaders=st.lists(TOKEN, max_size=2),
    maxAge=st.sampled_from(["1s", "24h"]),
    allowCredentials=st.booleans(),
    unmatchedPreflights=st.sampled_from(["UNSPECIFIED", "FORWARD", "IGNORE"]),
)
COMMON = optional(name=WILD, match=st.lists(MATCH, max_size=3), headers=HEADERS, corsPolicy=CORS)
RULE = st.builds(lambda action, common: action | common, ACTION, COMMON)


def parsed(rules: list[dict[str, Any]]) -> list[VirtualService]:
    """One VirtualService for each rule that the model takes, so that no rule hides another."""
    found = []
    for rule in rules:
        try:
            found.append(VirtualService.model_validate({"hosts": ["reviews"], "http": [rule]}))
        except ValidationError:
            continue
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(RULE, min_size=1, max_size=20))
def test_whatever_the_model_takes_envoy_takes(rules: list[dict[str, Any]]) -> None:
    """No rule that parses compiles to something that Envoy refuses."""
    specs = parsed(rules)
    assume(specs)
    hosts = [
        virtual_host(f"h{index}", [f"h{index}"], http_routes(spec, OWNER, SIDECAR, AllKnown(HASHING)))
        for index, spec in enumerate(specs)
    ]
    assert "Deprecated" not in validate_with_envoy(routes=[configuration(hosts)])
