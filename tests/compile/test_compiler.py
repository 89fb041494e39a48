"""The compiler as a whole, by what it publishes."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compile.worlds import (
    Sandbox,
    destination_rule,
    gateway,
    proxy,
    router,
    service,
    sidecar,
    virtual_service,
)
from xdsd.compile import clusters
from xdsd.compile.layers import outbound
from xdsd.model.catalog import Endpoint, Health, Protocol
from xdsd.model.mesh import Interception
from xdsd.model.problem import Reason, Severity
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE

REVIEWS = "reviews.default.svc.cluster.local"


def test_an_endpoint_flip_publishes_one_assignment() -> None:
    """Of everything that a mesh has, only the endpoints of the one service are made and sent again."""
    mesh = Sandbox()
    for index in range(20):
        mesh.put_service(service(f"s{index}"), Endpoint("10.0.0.1"), Endpoint("10.0.0.2"))
    mesh.attach(proxy())
    mesh.settle()
    computed = mesh.compiler.graph.computed
    mesh.put_service(service("s7"), Endpoint("10.0.0.1"), Endpoint("10.0.0.2", health=Health.UNHEALTHY))
    change = mesh.settle()
    assert [r.name for layer in change.layers for r in layer.upserts] == [
        "outbound|9080||s7.default.svc.cluster.local"
    ]
    assert mesh.compiler.graph.computed == computed + 1


def test_equal_proxies_share_their_layers() -> None:
    """Replicas are served the same layers, and resources are made once for all of them."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    mesh.attach(proxy("10.1.0.1"))
    mesh.settle()
    encoded = mesh.compiler.encoded.total()
    mesh.attach(proxy("10.1.0.2"))
    mesh.settle()
    assert mesh.compiler.encoded.total() == encoded
    assert len({mesh.snapshot.assigned[node] for node in mesh.snapshot.assigned}) == 1


def test_a_subset_brings_a_cluster_and_its_endpoints() -> None:
    """A DestinationRule's subset selects endpoints by label."""
    mesh = Sandbox()
    mesh.put_service(
        service("reviews"),
        Endpoint("10.0.0.1", labels={"version": "v1"}),
        Endpoint("10.0.0.2", labels={"version": "v2"}),
    )
    mesh.put_object(destination_rule("reviews", "reviews", {"v2": {"version": "v2"}}))
    node = mesh.attach(proxy())
    mesh.settle()
    assert f"outbound|9080|v2|{REVIEWS}" in mesh.names(node, CLUSTER)
    assignment = mesh.message(node, ENDPOINT, f"outbound|9080|v2|{REVIEWS}")
    addresses = [e.endpoint.address.socket_address.address for e in assignment.endpoints[0].lb_endpoints]
    assert addresses == ["10.0.0.2"]


def test_a_virtual_service_change_publishes_one_route_configuration() -> None:
    """Editing a route touches neither clusters nor listeners nor other virtual hosts."""
    mesh = Sandbox()
    for name in ("reviews", "ratings", "details"):
        mesh.put_service(service(name), Endpoint("10.0.0.1"))
    mesh.put_object(virtual_service("reviews", "reviews", to="reviews"))
    node = mesh.attach(proxy())
    mesh.settle()
    encoded = mesh.compiler.encoded.total()
    mesh.put_object(virtual_service("reviews", "reviews", to="ratings"))
    change = mesh.settle()
    assert [(r.type_url, r.name) for layer in change.layers for r in layer.upserts] == [(ROUTE, "9080")]
    assert mesh.compiler.encoded.total() == encoded + 1
    assert "outbound|9080||ratings" in str(mesh.message(node, ROUTE, "9080"))


def test_an_oldest_virtual_service_wins_a_host_and_the_other_hears_of_it() -> None:
    """Two VirtualServices for one host in the mesh: the older routes, the younger is a problem."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    mesh.put_object(virtual_service("younger", "reviews", to="nowhere", created="2026-01-02T00:00:00Z"))
    mesh.put_object(virtual_service("older", "reviews", to="reviews", created="2026-01-01T00:00:00Z"))
    node = mesh.attach(proxy())
    mesh.settle()
    assert "nowhere" not in str(mesh.message(node, ROUTE, "9080"))
    conflicts = [problem for problem in mesh.compiler.problems() if problem.reason is Reason.CONFLICT]
    assert [str(problem.object) for problem in conflicts] == ["VirtualService default/younger"]


def test_a_gateway_has_only_the_clusters_that_its_routes_name() -> None:
    """An edge proxy gets its listener, its routes and the one cluster behind them."""
    mesh = Sandbox()
    for name in ("productpage", "reviews"):
        mesh.put_service(service(name), Endpoint("10.0.0.1"))
    mesh.put_object(gateway("edge", 8080))
    mesh.put_object(virtual_service("bookinfo", "*", to="productpage", gateways=("edge",)))
    node = mesh.attach(router())
    mesh.settle()
    assert mesh.names(node, LISTENER) == {"0.0.0.0_8080"}
    assert mesh.names(node, ROUTE) == {"http.8080"}
    assert mesh.names(node, CLUSTER) == {"outbound|9080||productpage.default.svc.cluster.local"}


def test_export_to_hides_a_service_from_other_namespaces() -> None:
    """A service exported to its own namespace alone is no cluster elsewhere."""
    mesh = Sandbox()
    mesh.put_service(service("reviews", export_to=(".",)), Endpoint("10.0.0.1"))
    here, there = mesh.attach(proxy()), mesh.attach(proxy("10.1.0.9", namespace="other"))
    mesh.settle()
    assert f"outbound|9080||{REVIEWS}" in mesh.names(here, CLUSTER)
    assert f"outbound|9080||{REVIEWS}" not in mesh.names(there, CLUSTER)


def test_a_sidecar_object_narrows_what_its_proxies_see() -> None:
    """Egress hosts decide which services become clusters."""
    mesh = Sandbox()
    for name in ("reviews", "ratings"):
        mesh.put_service(service(name), Endpoint("10.0.0.1"))
    mesh.put_object(sidecar("only-ratings", egress=("./ratings.default.svc.cluster.local",)))
    node = mesh.attach(proxy())
    mesh.settle()
    assert mesh.names(node, CLUSTER) == {
        "BlackHoleCluster",
        "InboundPassthroughCluster",
        "PassthroughCluster",
        "outbound|9080||ratings.default.svc.cluster.local",
    }


def test_plain_and_routed_services_cannot_share_a_port_without_an_address() -> None:
    """The older of two services keeps the port; the other is a problem, and both keep their clusters."""
    mesh = Sandbox()
    mesh.put_service(service("web", created="2026-01-01T00:00:00Z"), Endpoint("10.0.0.1"))
    mesh.put_service(
        service("db", protocol=Protocol.TCP, created="2026-01-02T00:00:00Z"), Endpoint("10.0.0.2")
    )
    node = mesh.attach(proxy())
    mesh.settle()
    assert "0.0.0.0_9080" in mesh.names(node, LISTENER)
    assert "outbound|9080||db.default.svc.cluster.local" in mesh.names(node, CLUSTER)
    assert [problem.reason for problem in mesh.compiler.problems()] == ["Conflict"]


def test_a_sidecar_serves_the_ports_of_the_services_at_its_address() -> None:
    """What a workload takes in follows from the catalog, in both ways of interception."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.1.0.1", ports={"http": 9081}))
    redirected = mesh.attach(proxy("10.1.0.1"))
    explicit = mesh.attach(proxy("10.1.0.1", name="b", interception=Interception.NONE, http_proxy_port=15001))
    mesh.settle()
    assert "inbound|9081||" in mesh.names(redirected, CLUSTER)
    assert {"virtualInbound", "virtualOutbound"} <= mesh.names(redirected, LISTENER)
    assert mesh.names(explicit, LISTENER) == {"10.1.0.1_9081", "127.0.0.1_15001"}


def test_no_listener_of_a_sidecar_takes_its_programs_place() -> None:
    """Where the program is expected nothing else listens, which its owner hears; at another address it does."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.1.0.1"))
    plain = proxy("10.1.0.1", interception=Interception.NONE)
    node = mesh.attach(plain)
    mesh.settle()
    assert mesh.names(node, LISTENER) == {"10.1.0.1_9080"}
    (problem,) = mesh.compiler.problems()
    assert problem.severity is Severity.WARNING
    assert "127.0.0.1_9080" in problem.message
    mesh.attach(replace(plain, bind="127.0.0.9"))
    mesh.settle()
    assert mesh.names(node, LISTENER) == {"10.1.0.1_9080", "127.0.0.9_9080"}
    assert not list(mesh.compiler.problems())


def test_names_that_are_answered_lead_to_listeners() -> None:
    """An HTTP proxy does without the ports of HTTP services, but a name leads there wherever it is asked for."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.1.0.1", ports={"http": 9081}))
    plain = proxy("10.1.0.2", interception=Interception.NONE, http_proxy_port=15007)
    answering = replace(plain, node_id="sidecar~10.1.0.2~b.default~x", dns="127.0.0.1:15053")
    proxied, named = mesh.attach(plain), mesh.attach(answering)
    mesh.settle()
    assert mesh.names(proxied, LISTENER) == {"127.0.0.1_15007"}
    assert {"127.0.0.1_15007", "127.0.0.1_9080"} < mesh.names(named, LISTENER)
    assert "9080" in mesh.names(named, ROUTE)


def test_a_proxy_that_leaves_takes_the_layers_that_only_it_needed() -> None:
    """Nothing is kept or compiled for proxies that are gone."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    node = mesh.attach(proxy())
    mesh.settle()
    mesh.compiler.detach(node)
    mesh.settle()
    assert mesh.snapshot.layers == {}
    assert len(mesh.compiler.graph) == 0


def test_a_fault_in_one_query_costs_only_what_it_would_have_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the compiler itself fails for one cluster, the rest of the mesh is published."""
    real = clusters.outbound_cluster

    def failing(name: str, *args: Any, **kwargs: Any) -> Any:
        if "ratings" in name:
            raise RuntimeError("a fault of ours")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(outbound, "outbound_cluster", failing)
    mesh = Sandbox()
    for name in ("reviews", "ratings"):
        mesh.put_service(service(name), Endpoint("10.0.0.1"))
    node = mesh.attach(proxy())
    mesh.settle()
    assert f"outbound|9080||{REVIEWS}" in mesh.names(node, CLUSTER)
    assert [str(fault.error) for fault in mesh.compiler.faults()] == ["a fault of ours"]


NAMES = ("a", "b", "c")
CHANGES = st.one_of(
    st.tuples(
        st.just("service"), st.sampled_from(NAMES), st.sampled_from(Protocol), st.sampled_from((".", "*"))
    ),
    st.tuples(st.just("no-service"), st.sampled_from(NAMES)),
    st.tuples(st.just("rule"), st.sampled_from(NAMES), st.sampled_from(("v1", "v2"))),
    st.tuples(st.just("no-rule"), st.sampled_from(NAMES)),
    st.tuples(
        st.just("route"), st.sampled_from(NAMES), st.sampled_from((*NAMES, "*.cluster.local")), st.booleans()
    ),
    st.tuples(st.just("no-route"), st.sampled_from(NAMES)),
    st.tuples(st.just("gateway"), st.sampled_from((8080, 8081))),
    st.tuples(st.just("sidecar"), st.sampled_from(NAMES)),
    st.tuples(st.just("no-sidecar")),
    st.tuples(st.just("settle")),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(st.lists(CHANGES, max_size=25))
def test_incremental_compilation_equals_compilation_from_scratch(changes: list[tuple[Any, ...]]) -> None:
    """Whatever changed in whatever order, every proxy has what a daemon that starts now would send it."""
    mesh = Sandbox()
    proxies = [proxy(), proxy("10.1.0.2", namespace="other"), router()]
    for each in proxies:
        mesh.attach(each)
    for change in changes:
        mesh.perform(change)
    mesh.settle()
    fresh = mesh.again()
    for each in proxies:
        fresh.attach(each)
    fresh.settle()
    for each in proxies:
        assert mesh.versions(each.node_id) == fresh.versions(each.node_id)
    assert mesh.compiler.faults() == []


def test_a_gateway_listens_where_its_bootstrap_says() -> None:
    """A server without an address opens every one, unless the gateway was told to keep to its own."""
    mesh = Sandbox()
    mesh.put_object(gateway("edge", 8080))
    node = mesh.attach(replace(router(), bind="127.0.0.1"))
    mesh.settle()
    assert mesh.names(node, LISTENER) == {"127.0.0.1_8080"}


def test_b48_an_assignment_is_named_as_its_cluster_asks() -> None:
    """For every EDS cluster there is an assignment under its service name, which is also its cluster_name (b30, b47)."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1", labels={"version": "v1"}))
    mesh.put_service(service("ratings"))
    mesh.put_object(
        destination_rule("reviews", "reviews", {"v1": {"version": "v1"}, "none": {"version": "none"}})
    )
    node = mesh.attach(proxy())
    mesh.settle()
    clusters = [mesh.message(node, CLUSTER, name) for name in mesh.names(node, CLUSTER)]
    asked = {each.eds_cluster_config.service_name for each in clusters if each.HasField("eds_cluster_config")}
    assert len(asked) == 4
    assert asked == mesh.names(node, ENDPOINT)
    assert {mesh.message(node, ENDPOINT, name).cluster_name for name in asked} == asked
