"""Names that mean the same service in all meshes: who is called, in which order, and whom gateways lead where."""

from dataclasses import replace
from typing import Any

import pytest
from envoy.config.core.v3.health_check_pb2 import DEGRADED
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import (
    PreviousPrioritiesConfig,
)

from tests.compile.test_networks import ID, MUTUAL, passing_gateway
from tests.compile.worlds import API, Sandbox, proxy, router, service
from xdsd.compile.retries import LOST, UNREACHED
from xdsd.compile.tcp_proxies import TCP_PROXY
from xdsd.model.catalog import BEHIND, Endpoint, Health, Location, Protocol, ServiceKey
from xdsd.model.intent import DestinationRule, Gateway, Metadata, Object, VirtualService
from xdsd.model.mesh import Proxy
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE

HOST = "a.default.global"
KEY = ServiceKey("default", HOST)
NAME = f"outbound|9080||{HOST}"
SNI = f"outbound_.9080_._.{HOST}"
THEIRS = "spiffe://east.example/ns/default/sa/a"


def here(number: int = 1, **more: Any) -> Endpoint:
    return Endpoint(f"10.0.0.{number}", labels=MUTUAL, **{"locality": "eu/a", **more})


def there(peer: str = "east", number: int = 1, **more: Any) -> Endpoint:
    """A gateway of a peer."""
    return Endpoint(
        f"192.0.2.{number}",
        {"http": 15443},
        {**MUTUAL, BEHIND: peer},
        **{"locality": "us/a", "identities": (THEIRS,), **more},
    )


def sidecar(*, proven: bool = True, **more: Any) -> Proxy:
    return replace(proxy("10.9.0.1"), identity=ID if proven else None, **{"locality": "eu/a", **more})


def mesh(*endpoints: Endpoint) -> Sandbox:
    made = Sandbox()
    made.put_service(replace(service("a"), hostname=HOST, location=Location.MESH_INTERNAL), *endpoints)
    return made


def rule(policy: dict[str, Any], host: str = HOST) -> Object[Any]:
    model = DestinationRule.model_validate({"host": host, "trafficPolicy": policy})
    return Object(API, "DestinationRule", Metadata("default", "a"), model)


def order(made: Sandbox, node: str) -> list[tuple[int, str]]:
    """The priority and address of each endpoint."""
    return [
        (group.priority, item.endpoint.address.socket_address.address)
        for group in made.message(node, ENDPOINT, NAME).endpoints
        for item in group.lb_endpoints
    ]


def test_this_mesh_is_preferred_and_then_the_nearest_peer() -> None:
    """Also to a peer in the caller's own zone: local endpoints come first wherever they are."""
    made = mesh(here(locality="eu/b"), there("north", 2, locality="us/a"), there("east", 1, locality="eu/a"))
    node = made.attach(sidecar())
    made.settle()
    assert order(made, node) == [(0, "10.0.0.1"), (1, "192.0.2.1"), (2, "192.0.2.2")]


def test_failing_endpoints_are_left_soon_and_all_of_them() -> None:
    """The cluster detects outliers unless a rule says how; what is ejected comes back later each time."""
    made = mesh(here(), there())
    node = made.attach(sidecar())
    made.settle()
    outliers = made.message(node, CLUSTER, NAME).outlier_detection
    assert outliers.consecutive_gateway_failure.value == 3
    assert (outliers.interval.seconds, outliers.base_ejection_time.seconds) == (1, 10)
    assert outliers.max_ejection_percent.value == 100
    assert made.message(node, CLUSTER, NAME).common_lb_config.healthy_panic_threshold.value == 1
    made.put_object(rule({"outlierDetection": {"consecutive5xxErrors": 7}}))
    made.settle()
    assert made.message(node, CLUSTER, NAME).outlier_detection.consecutive_5xx.value == 7
    assert order(made, node) == [(0, "10.0.0.1"), (1, "192.0.2.1")]


def test_callers_check_that_who_answers_is_of_the_service_in_either_mesh() -> None:
    """The identities of both trust domains count for the cluster, each vouched for by its own authorities."""
    made = mesh(here(service_account="a"), there())
    node = made.attach(sidecar())
    made.settle()
    text = str(made.message(node, CLUSTER, NAME))
    assert "spiffe://cluster.local/ns/default/sa/a" in text
    assert THEIRS in text
    assert SNI in text


def test_without_a_certificate_only_this_mesh_is_called() -> None:
    """Behind gateways there is mutual TLS or nothing; the same where a rule says not to speak it."""
    made = mesh(here(), there())
    node = made.attach(sidecar(proven=False))
    made.settle()
    assert order(made, node) == [(0, "10.0.0.1")]
    told = mesh(here(), there())
    told.put_object(rule({"tls": {"mode": "DISABLE"}}))
    other = told.attach(sidecar())
    told.settle()
    assert order(told, other) == [(0, "10.0.0.1")]


def test_a_flip_elsewhere_is_one_list_of_endpoints() -> None:
    """A peer that is ill for a service is told so to Envoy, which leaves it."""
    made = mesh(here(), there())
    made.attach(sidecar())
    made.settle()
    made.compiler.world.put_endpoints(KEY, (here(), there(health=Health.UNHEALTHY)))
    change = made.settle()
    assert change is not None
    assert [(each.type_url, each.name) for layer in change.layers for each in layer.upserts] == [
        (ENDPOINT, NAME)
    ]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"distribute": [{"from": "*", "to": {"eu": 80, "us": 20}}]}, [(0, "10.0.0.1"), (0, "192.0.2.1")]),
        ({"distribute": [{"from": "*", "to": {"us": 100}}]}, [(0, "192.0.2.1")]),
        ({"enabled": False}, [(0, "10.0.0.1"), (0, "192.0.2.1")]),
        ({"failover": [{"from": "eu", "to": "us"}]}, [(0, "10.0.0.1"), (1, "192.0.2.1")]),
    ],
    ids=["by percent", "elsewhere only", "all alike", "failover"],
)
def test_a_rule_for_the_name_says_otherwise(setting: dict[str, Any], expected: list[tuple[int, str]]) -> None:
    """Percents across meshes, remote only, or all alike are its locality settings."""
    made = mesh(here(), there())
    made.put_object(rule({"loadBalancer": {"localityLbSetting": setting}}))
    node = made.attach(sidecar())
    made.settle()
    assert order(made, node) == expected


def test_retries_go_to_another_mesh() -> None:
    """What no program saw, or what changes nothing, each time in another mesh; a program's own 503 is its answer."""
    made = mesh(here(), there())
    node = made.attach(sidecar())
    made.settle()
    hosts = [each for each in made.message(node, ROUTE, "9080").virtual_hosts if HOST in each.domains]
    safe, every = hosts[0].routes
    assert [each.string_match.safe_regex.regex for each in safe.match.headers] == ["GET|HEAD|OPTIONS"]
    policy = every.route.retry_policy
    assert safe.route.retry_policy.retry_on == f"{policy.retry_on},reset"
    assert policy.num_retries.value == 3
    assert policy.retry_priority.name == "envoy.retry_priorities.previous_priorities"
    previous = PreviousPrioritiesConfig.FromString(policy.retry_priority.typed_config.value)
    assert previous.update_frequency == 1
    conditions = policy.retry_on.split(",")
    assert {"reset-before-request", "retriable-headers"} <= set(conditions)
    assert not {"5xx", "gateway-error", "retriable-status-codes", "reset"} & set(conditions)
    assert [each.name for each in policy.retriable_headers] == [UNREACHED]
    assert [each.name for each in safe.route.retry_policy.retriable_headers] == [UNREACHED, LOST]


def test_a_route_to_the_name_is_tried_again_in_the_same_way() -> None:
    """Unless it says otherwise itself; other routes of the object keep the published default."""
    made = mesh(here(), there())
    made.put_service(service("b"))
    rules = [
        {"match": [{"uri": {"prefix": "/b"}}], "route": [{"destination": {"host": "b"}}]},
        {
            "match": [{"uri": {"prefix": "/own"}}],
            "route": [{"destination": {"host": HOST}}],
            "retries": {"attempts": 1, "retryRemoteLocalities": True},
        },
        {"route": [{"destination": {"host": HOST}}]},
    ]
    spec = VirtualService.model_validate({"hosts": [HOST], "http": rules})
    made.put_object(Object(API, "VirtualService", Metadata("default", "a"), spec))
    node = made.attach(sidecar())
    made.settle()
    hosts = [each for each in made.message(node, ROUTE, "9080").virtual_hosts if HOST in each.domains]
    policies = [each.route.retry_policy for each in hosts[0].routes]
    assert [each.num_retries.value for each in policies] == [2, 1, 3]
    assert [len(each.retriable_headers) for each in policies] == [0, 0, 1]
    frequency = PreviousPrioritiesConfig.FromString(policies[1].retry_priority.typed_config.value)
    assert frequency.update_frequency == 1


def test_patience_is_short() -> None:
    """With connecting, unless a rule says how long, and with what is sent and not taken; ejections end in half a minute."""
    made = mesh(here(), there())
    node = made.attach(sidecar())
    made.settle()
    cluster = made.message(node, CLUSTER, NAME)
    assert cluster.connect_timeout.seconds == 2
    assert cluster.outlier_detection.max_ejection_time.seconds == 30
    (option,) = cluster.upstream_bind_config.socket_options
    assert (option.description, option.int_value) == ("TCP_USER_TIMEOUT", 5000)
    assert cluster.common_lb_config.HasField("update_merge_window")
    assert not cluster.common_lb_config.update_merge_window.ToTimedelta()
    made.put_object(rule({"connectionPool": {"tcp": {"connectTimeout": "7s"}}}))
    made.settle()
    assert made.message(node, CLUSTER, NAME).connect_timeout.seconds == 7


def test_a_machine_that_left_is_a_last_resort() -> None:
    """It keeps its place, and Envoy passes it over while anybody else is well, near or far."""
    made = mesh(here(), here(2, health=Health.AWAY), there())
    node = made.attach(sidecar())
    made.settle()
    found = {
        item.endpoint.address.socket_address.address: item.health_status
        for group in made.message(node, ENDPOINT, NAME).endpoints
        for item in group.lb_endpoints
    }
    assert found == {"10.0.0.1": 0, "10.0.0.2": DEGRADED, "192.0.2.1": 0}


@pytest.mark.parametrize(("host", "attempts"), [(HOST, 10), ("b.default.svc.cluster.local", 0)])
def test_connections_are_tried_again_where_a_name_is_everywhere(host: str, attempts: int) -> None:
    """With a pause, in which those who fail are ejected; other names have the published default, one attempt."""
    made = Sandbox()
    port = replace(service("a").ports[0], name="tcp", protocol=Protocol.TCP)
    # By an address of its own: by its port alone a name of all meshes is not served where connections are redirected.
    found = replace(service("a"), hostname=host, ports=(port,), addresses=("10.96.0.9",))
    made.put_service(found, here())
    node = made.attach(sidecar())
    made.settle()
    listener = made.message(node, LISTENER, "10.96.0.9_9080")
    chains = (*listener.filter_chains, listener.default_filter_chain)
    (proxied,) = [each for chain in chains for each in chain.filters if each.name == TCP_PROXY]
    told = TcpProxy.FromString(proxied.typed_config.value)
    assert told.max_connect_attempts.value == attempts
    assert told.HasField("backoff_options") is bool(attempts)


def eastwest(hosts: list[str]) -> Object[Any]:
    found = passing_gateway()
    spec = found.spec.model_copy(
        update={"servers": (found.spec.servers[0].model_copy(update={"hosts": tuple(hosts)}),)}
    )
    assert isinstance(spec, Gateway)
    return replace(found, spec=spec)


def test_a_gateway_leads_peers_to_what_is_offered_and_never_on_to_others() -> None:
    """To the endpoints of this mesh alone, so that there are no loops; a name that is not offered leads nowhere."""
    made = mesh(here(), there())
    made.put_object(eastwest(["*.global"]))
    node = made.attach(router())
    made.settle()
    assert SNI not in made.names(node, ENDPOINT)
    made.compiler.set_offered(frozenset({KEY}))
    made.settle()
    found = made.message(node, ENDPOINT, SNI)
    assert [
        item.endpoint.address.socket_address.address
        for group in found.endpoints
        for item in group.lb_endpoints
    ] == ["10.0.0.1"]
    made.compiler.set_offered(frozenset())
    made.settle()
    assert SNI not in made.names(node, ENDPOINT)
