"""Retries, faults, cross-origin policies, mirrors and hashing of a route."""

from datetime import timedelta
from typing import Any

import pytest
from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.http.cors.v3.cors_pb2 import CorsPolicy
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import (
    PreviousPrioritiesConfig,
)
from envoy.type.v3.percent_pb2 import FractionalPercent

from tests.compile.routing import routes_of, to
from xdsd.compile.hashing import hash_policy
from xdsd.compile.percentages import fraction
from xdsd.compile.routes import default_http_route, inbound_http_route
from xdsd.model.intent import ConsistentHashLB, HTTPRetry, InboundHTTPRetry, Percent

COOKIE = ConsistentHashLB.model_validate({"httpCookie": {"name": "user", "ttl": "0s"}})
SOURCE = ConsistentHashLB.model_validate({"useSourceIp": True})


def action_of(rule: dict[str, Any], **more: Any) -> Any:
    """The forwarding action of a rule's only route."""
    (route,) = routes_of(rule, **more)
    return route.route


def filter_of(rule: dict[str, Any], name: str, message: Any) -> Any:
    """A rule's configuration of an HTTP filter."""
    (route,) = routes_of(rule)
    out = message()
    assert route.typed_per_filter_config[name].Unpack(out)
    return out


def test_default_retries() -> None:
    """Twice, on another host, and only where the request surely did no work."""
    policy = action_of(to()).retry_policy
    assert policy.num_retries.value == 2
    assert policy.retry_on == "connect-failure,refused-stream,unavailable,cancelled"
    assert policy.host_selection_retry_max_attempts == 5
    assert [item.name for item in policy.retry_host_predicate] == [
        "envoy.retry_host_predicates.previous_hosts"
    ]
    assert not policy.HasField("per_try_timeout")


def test_retries_as_asked_for() -> None:
    """Status codes among the conditions become codes; every other field has its own place."""
    policy = action_of(
        to(
            retries={
                "attempts": 5,
                "perTryTimeout": "2s",
                "retryOn": "gateway-error,reset,503,429",
                "retryRemoteLocalities": True,
                "backoff": "50ms",
            }
        )
    ).retry_policy
    assert policy.num_retries.value == 5
    assert policy.per_try_timeout.ToTimedelta() == timedelta(seconds=2)
    assert policy.retry_on == "gateway-error,reset,retriable-status-codes"
    assert list(policy.retriable_status_codes) == [503, 429]
    assert policy.retry_back_off.base_interval.ToTimedelta() == timedelta(milliseconds=50)
    assert policy.retry_priority.name == "envoy.retry_priorities.previous_priorities"
    priorities = PreviousPrioritiesConfig()
    assert policy.retry_priority.typed_config.Unpack(priorities)
    assert priorities.update_frequency == 2


def test_no_attempts_mean_no_retries() -> None:
    """Zero attempts switch retries off, and so does an empty policy."""
    assert not action_of(to(retries={"attempts": 0})).HasField("retry_policy")
    assert not action_of(to(retries={})).HasField("retry_policy")


def test_hosts_that_failed_are_avoided_unless_a_hash_picks_them() -> None:
    """``retryIgnorePreviousHosts`` decides; by default consistent hashing keeps its host."""
    asked = {"attempts": 1, "retryIgnorePreviousHosts": True}
    declined = {"attempts": 1, "retryIgnorePreviousHosts": False}
    assert not action_of(to(retries=declined)).retry_policy.retry_host_predicate
    assert not action_of(to(), hashing={"reviews": SOURCE}).retry_policy.retry_host_predicate
    assert action_of(to(retries=asked), hashing={"reviews": SOURCE}).retry_policy.retry_host_predicate
    assert not default_http_route("a", SOURCE).route.retry_policy.retry_host_predicate


def test_retries_towards_the_own_application() -> None:
    """Only requests that never reached it are tried again, and streams never are."""
    assert inbound_http_route("inbound|80||").route.retry_policy.retry_on == "reset-before-request"
    assert inbound_http_route("inbound|80||").route.retry_policy.num_retries.value == 2
    assert not inbound_http_route("inbound|80||", retriable=False).route.HasField("retry_policy")
    assert inbound_http_route("inbound|80||").route.HasField("timeout")


def test_fault_delays() -> None:
    """A fixed delay for a share of requests, given exactly or in whole percent."""
    delay = filter_of(
        to(fault={"delay": {"fixedDelay": "7s", "percentage": {"value": 0.1}}}),
        "envoy.filters.http.fault",
        HTTPFault,
    ).delay
    assert delay.fixed_delay.ToTimedelta() == timedelta(seconds=7)
    assert (delay.percentage.numerator, delay.percentage.denominator) == (1000, FractionalPercent.MILLION)
    older = filter_of(
        to(fault={"delay": {"fixedDelay": "7s", "percent": 50}}), "envoy.filters.http.fault", HTTPFault
    )
    assert older.delay.percentage.numerator == 500_000
    assert not older.HasField("abort")


def test_fault_aborts() -> None:
    """An HTTP status or a gRPC status for a share of requests; no share is none."""
    by_http = filter_of(
        to(fault={"abort": {"httpStatus": 555, "percentage": {"value": 100}}}),
        "envoy.filters.http.fault",
        HTTPFault,
    )
    assert (by_http.abort.http_status, by_http.abort.percentage.numerator) == (555, 1_000_000)
    by_grpc = filter_of(
        to(fault={"abort": {"grpcStatus": "UNAVAILABLE"}}), "envoy.filters.http.fault", HTTPFault
    )
    assert (by_grpc.abort.grpc_status, by_grpc.abort.percentage.numerator) == (14, 0)


@pytest.mark.parametrize(
    ("percent", "parts"), [(0.0, 0), (0.29, 2900), (100.0, 1_000_000), (0.00014, 1), (33.3333, 333_333)]
)
def test_percentages_keep_their_precision(percent: float, parts: int) -> None:
    """Parts of a million, rounded."""
    assert fraction(Percent(value=percent)).numerator == parts


def test_cross_origin_policy() -> None:
    """Every field of a policy has its place in the filter's configuration."""
    policy = filter_of(
        to(
            corsPolicy={
                "allowOrigins": [
                    {"exact": "https://a.example.com"},
                    {"prefix": "https://b."},
                    {"regex": ".*c"},
                ],
                "allowMethods": ["GET", "POST"],
                "allowHeaders": ["x-a", "x-b"],
                "exposeHeaders": ["x-c"],
                "maxAge": "24h",
                "allowCredentials": True,
                "unmatchedPreflights": "IGNORE",
            }
        ),
        "envoy.filters.http.cors",
        CorsPolicy,
    )
    exact, prefix, regex = policy.allow_origin_string_match
    assert (exact.exact, prefix.prefix) == ("https://a.example.com", "https://b.")
    assert regex.safe_regex.regex == ".*c"
    assert (policy.allow_methods, policy.allow_headers, policy.expose_headers) == (
        "GET,POST",
        "x-a,x-b",
        "x-c",
    )
    assert policy.max_age == "86400"
    assert policy.allow_credentials.value is True
    assert policy.forward_not_matching_preflights.value is False
    assert policy.filter_enabled.default_value.numerator == 100


def test_cross_origin_policy_in_its_older_form() -> None:
    """Origins as texts, a star for all; preflights of others go on to the destination."""
    policy = filter_of(
        to(corsPolicy={"allowOrigin": ["https://a.example.com", "*"]}), "envoy.filters.http.cors", CorsPolicy
    )
    exact, every = policy.allow_origin_string_match
    assert exact.exact == "https://a.example.com"
    assert every.safe_regex.regex == ".*"
    assert policy.forward_not_matching_preflights.value is True
    assert not policy.HasField("allow_credentials")


def test_a_mirror_and_its_share() -> None:
    """All requests unless a percentage says less; none for zero."""
    (policy,) = action_of(to(mirror={"host": "shadow", "subset": "v2"})).request_mirror_policies
    assert policy.cluster == "outbound|9080|v2|shadow.default"
    assert policy.runtime_fraction.default_value.numerator == 1_000_000
    assert policy.disable_shadow_host_suffix_append is True
    assert policy.trace_sampled.value is False
    for spelling in ("mirrorPercent", "mirror_percent"):
        rule: dict[str, Any] = to(mirror={"host": "shadow"}) | {spelling: 25}
        (policy,) = action_of(rule).request_mirror_policies
        assert policy.runtime_fraction.default_value.numerator == 250_000
    precise = to(mirror={"host": "shadow"}, mirrorPercentage={"value": 0.5})
    assert action_of(precise).request_mirror_policies[0].runtime_fraction.default_value.numerator == 5000
    assert not action_of(to(mirror={"host": "shadow"}, mirrorPercent=0)).request_mirror_policies


def test_several_mirrors() -> None:
    """Each has a share of its own."""
    mirrors = [
        {"destination": {"host": "a"}},
        {"destination": {"host": "b"}, "percentage": {"value": 10}},
        {"destination": {"host": "c"}, "percentage": {"value": 0}},
    ]
    policies = action_of(to(mirrors=mirrors)).request_mirror_policies
    assert [(item.cluster, item.runtime_fraction.default_value.numerator) for item in policies] == [
        ("outbound|9080||a.default", 1_000_000),
        ("outbound|9080||b.default", 100_000),
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"httpHeaderName": "x-user"}, {"header": {"header_name": "x-user"}}),
        ({"httpQueryParameterName": "user"}, {"query_parameter": {"name": "user"}}),
        ({"useSourceIp": True}, {"connection_properties": {"source_ip": True}}),
        ({"httpCookie": {"name": "user"}}, {"cookie": {"name": "user"}}),
        (
            {
                "httpCookie": {
                    "name": "user",
                    "path": "/a",
                    "ttl": "90s",
                    "attributes": [{"name": "SameSite", "value": "Strict"}, {"name": "Secure"}],
                }
            },
            {
                "cookie": {
                    "name": "user",
                    "path": "/a",
                    "ttl": {"seconds": 90},
                    "attributes": [{"name": "SameSite", "value": "Strict"}, {"name": "Secure"}],
                }
            },
        ),
    ],
)
def test_hash_keys(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    """A header, a query parameter, the source address or a cookie decides the host."""
    assert hash_policy(ConsistentHashLB.model_validate(settings)) == RouteAction.HashPolicy(**expected)


def test_settings_without_a_hash_key_hash_nothing() -> None:
    """Without settings there is no policy; a cookie of no lifetime is a session cookie."""
    assert hash_policy(None) is None
    policy = hash_policy(COOKIE)
    assert policy is not None
    assert policy.cookie.HasField("ttl")


def test_a_split_hashes_by_each_key_once() -> None:
    """Destinations that agree on the key share one policy."""
    split = {"route": [{"destination": {"host": host}, "weight": 1} for host in "abc"]}
    action = action_of(split, hashing={"a": SOURCE, "b": SOURCE, "c": COOKIE})
    assert [item.WhichOneof("policy_specifier") for item in action.hash_policy] == [
        "connection_properties",
        "cookie",
    ]


def test_a_mesh_decides_over_retries_that_routes_leave_open() -> None:
    """Of routes to services and of routes to programs; 0 attempts are none, a rule's own count more."""
    default = HTTPRetry(attempts=7, retry_on="503")
    policy = default_http_route("a", retries=default).route.retry_policy
    assert (policy.num_retries.value, list(policy.retriable_status_codes)) == (7, [503])
    assert not default_http_route("a", retries=HTTPRetry(attempts=0)).route.HasField("retry_policy")
    inbound = inbound_http_route("in", retries=InboundHTTPRetry(attempts=1, retry_on="reset,429")).route
    assert inbound.retry_policy.num_retries.value == 1
    assert inbound.retry_policy.retry_on == "reset,retriable-status-codes"
    assert not inbound_http_route("in", retries=InboundHTTPRetry()).route.HasField("retry_policy")
