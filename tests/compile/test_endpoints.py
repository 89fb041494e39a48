"""Load assignments."""

import random

import pytest
from envoy.config.core.v3.health_check_pb2 import HealthStatus
from hypothesis import given
from hypothesis import strategies as st

from tests.compile.envoy import validate_with_envoy
from xdsd.compile.endpoints import MAX_WEIGHT, load_assignment
from xdsd.model.catalog import Endpoint, Health, Port, Protocol

NAME = "outbound|80|v1|a.default.svc.cluster.local"
PORT = Port(80, "http", Protocol.HTTP, 8080)

ENDPOINTS = st.lists(
    st.builds(
        Endpoint,
        address=st.integers(0, 30).map(lambda last: f"10.0.0.{last}"),
        ports=st.sampled_from([{}, {"http": 9000}, {"other": 1}]),
        labels=st.sampled_from([{}, {"version": "v1"}, {"version": "v2", "app": "a"}]),
        locality=st.sampled_from(["", "eu", "eu/a", "eu/a/1", "us/b"]),
        weight=st.sampled_from([0, 1, 5, 2**32 - 1]),
        health=st.sampled_from(list(Health)),
    ),
    max_size=20,
)


def test_no_endpoints_is_an_empty_assignment() -> None:
    """A cluster without endpoints still has an assignment of its name."""
    assignment = load_assignment(NAME, PORT, ())
    assert assignment.cluster_name == NAME
    assert len(assignment.endpoints) == 0


def test_an_endpoint_says_address_port_weight_and_health() -> None:
    """A named port overrides the target; weight and health stand where they are not what Envoy assumes."""
    endpoint = Endpoint("10.0.0.1", ports={"http": 9000}, weight=3, health=Health.DRAINING)
    (group,) = load_assignment(NAME, PORT, [endpoint, Endpoint("10.0.0.2")]).endpoints
    first, second = group.lb_endpoints
    assert first.endpoint.address.socket_address.address == "10.0.0.1"
    assert first.endpoint.address.socket_address.port_value == 9000
    assert first.load_balancing_weight.value == 3
    assert first.health_status == HealthStatus.Value("DRAINING")
    assert second.endpoint.address.socket_address.port_value == 8080
    assert not second.HasField("load_balancing_weight")
    assert second.health_status == HealthStatus.Value("UNKNOWN")
    assert group.load_balancing_weight.value == 4


def test_endpoints_are_grouped_by_locality() -> None:
    """Each locality stands once, taken apart at the slashes, and weighs what its endpoints weigh."""
    endpoints = [
        Endpoint("10.0.0.3", locality="us/b/1/2", weight=2),
        Endpoint("10.0.0.1", locality="eu"),
        Endpoint("10.0.0.2", locality="us/b/1/2"),
    ]
    eu, us = load_assignment(NAME, PORT, endpoints).endpoints
    assert (eu.locality.region, eu.locality.zone, eu.load_balancing_weight.value) == ("eu", "", 1)
    assert (us.locality.region, us.locality.zone, us.locality.sub_zone) == ("us", "b", "1/2")
    assert us.load_balancing_weight.value == 3


def test_a_subset_has_the_endpoints_with_all_its_labels() -> None:
    """Endpoints lacking one of the labels are left out; no labels take all."""
    endpoints = [
        Endpoint("10.0.0.1", labels={"version": "v1", "tier": "a"}),
        Endpoint("10.0.0.2", labels={"version": "v1"}),
        Endpoint("10.0.0.3"),
    ]
    (group,) = load_assignment(NAME, PORT, endpoints, {"version": "v1", "tier": "a"}).endpoints
    assert [item.endpoint.address.socket_address.address for item in group.lb_endpoints] == ["10.0.0.1"]
    (group,) = load_assignment(NAME, PORT, endpoints, {}).endpoints
    assert len(group.lb_endpoints) == 3


def test_a_unix_address_is_a_pipe() -> None:
    """A path has no port."""
    (group,) = load_assignment(NAME, PORT, [Endpoint("unix:///run/app.sock")]).endpoints
    assert group.lb_endpoints[0].endpoint.address.pipe.path == "/run/app.sock"


def test_an_address_given_twice_counts_once() -> None:
    """Two sources that report one endpoint make one endpoint, wherever they place it."""
    endpoints = [
        Endpoint("10.0.0.1", locality="us", weight=9),
        Endpoint("10.0.0.2"),
        Endpoint("10.0.0.1"),
        Endpoint("10.0.0.1", ports={"http": 1}, locality="us"),
    ]
    local, us = load_assignment(NAME, PORT, endpoints).endpoints
    assert [item.endpoint.address.socket_address.address for item in local.lb_endpoints] == [
        "10.0.0.1",
        "10.0.0.2",
    ]
    assert [item.endpoint.address.socket_address.port_value for item in us.lb_endpoints] == [1]


@given(ENDPOINTS, st.randoms(use_true_random=False), st.sampled_from([None, {"version": "v1"}]))
def test_the_bytes_do_not_depend_on_the_order(
    endpoints: list[Endpoint], shuffler: random.Random, labels: dict[str, str] | None
) -> None:
    """Any order of the same endpoints makes the same bytes, and each locality stands once."""
    first = load_assignment(NAME, PORT, endpoints, labels)
    shuffled = list(endpoints)
    shuffler.shuffle(shuffled)
    assert load_assignment(NAME, PORT, shuffled, labels).SerializeToString() == first.SerializeToString()
    localities = [group.locality.SerializeToString() for group in first.endpoints]
    assert len(set(localities)) == len(localities)
    assert sum(group.load_balancing_weight.value for group in first.endpoints) <= MAX_WEIGHT


@pytest.mark.e2e
def test_envoy_takes_what_is_assigned() -> None:
    """A real Envoy loads empty assignments, pipes, localities, and weights whose sum would overflow."""
    many = [
        Endpoint(f"10.0.{block}.{last}", locality=locality, weight=weight, health=health)
        for block, (locality, weight, health) in enumerate(
            [
                ("", 1, Health.HEALTHY),
                ("eu", 2**32 - 1, Health.UNHEALTHY),
                ("eu/a", 2**32 - 1, Health.DRAINING),
                ("eu/a/1", 7, Health.HEALTHY),
            ]
        )
        for last in range(5)
    ]
    pipes = [Endpoint("unix:///run/app.sock"), Endpoint("unix://@abstract"), Endpoint("fd00::1")]
    log = validate_with_envoy(
        assignments=[load_assignment(NAME, PORT, case) for case in ([], many, pipes, many[:1])]
    )
    assert log.strip().endswith("OK")
