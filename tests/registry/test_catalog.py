"""The catalog: joining what sources report, and telling what changed."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdsd.model.catalog import (
    NETWORK_LABEL,
    NOT_SERVED,
    Endpoint,
    Health,
    Location,
    NodeAt,
    Port,
    Protocol,
    Resolution,
    Service,
    ServiceKey,
    Spread,
    Workload,
    WorkloadKey,
)
from xdsd.model.problem import Reason, Severity
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog, CatalogDelta

HTTP = Port(80, "http", Protocol.HTTP, 8080)
A, B = Endpoint("10.0.0.1"), Endpoint("10.0.0.2")
KEY = ServiceKey("default", "a.default.svc.cluster.local")
OTHER = ServiceKey("default", "b.default.svc.cluster.local")


def service(key: ServiceKey = KEY, **changes: Any) -> Service:
    return replace(Service(key.namespace, key.hostname, (HTTP,), source="one"), **changes)


def workload(name: str, address: str, namespace: str = "default", **labels: str) -> Workload:
    return Workload(namespace, name, Endpoint(address, labels=labels))


def add(*services: Service) -> CatalogChange:
    return CatalogChange(services=services)


def delta(services: set[ServiceKey], endpoints: set[ServiceKey], *addresses: str) -> CatalogDelta:
    return CatalogDelta(frozenset(services), frozenset(endpoints), frozenset(addresses))


def test_a_service_and_its_endpoints_are_told_apart() -> None:
    """A new service with endpoints is both; its description carries none of them."""
    catalog = Catalog()
    assert catalog.apply("one", add(service(endpoints=(A, B)))) == delta({KEY}, {KEY}, "10.0.0.1", "10.0.0.2")
    assert catalog.service(KEY) == service()
    assert catalog.endpoints(KEY) == (A, B)
    assert dict(catalog.services()) == {KEY: service()}
    assert catalog.services_at("10.0.0.1") == {KEY}


def test_saying_the_same_again_changes_nothing() -> None:
    """Only real differences are told."""
    catalog = Catalog()
    change = CatalogChange(services=(service(endpoints=(A,)),), workloads=(workload("w", "10.0.0.9"),))
    assert catalog.apply("one", change)
    assert not catalog.apply("one", change)
    assert not catalog.apply("one", CatalogChange(endpoints={KEY: (A,)}))
    assert not catalog.apply("one", CatalogChange(removed_services=(OTHER,)))
    assert not catalog.apply("one", CatalogChange(removed_workloads=(WorkloadKey("default", "x"),)))


def test_an_endpoint_that_flips_leaves_the_service_alone() -> None:
    """Health changes the endpoints, neither the service nor where it is found."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A, B))))
    before = catalog.service(KEY)
    ill = replace(A, health=Health.UNHEALTHY)
    assert catalog.apply("one", CatalogChange(endpoints={KEY: (ill, B)})) == delta(set(), {KEY})
    assert catalog.endpoints(KEY) == (ill, B)
    assert catalog.service(KEY) is before


def test_a_replaced_service_has_the_endpoints_that_it_lists() -> None:
    """Endpoints that were told apart from an earlier service go with it."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,))))
    catalog.apply("one", CatalogChange(endpoints={KEY: (B,)}))
    assert catalog.apply("one", add(service(endpoints=(A,)))) == delta(set(), {KEY}, "10.0.0.1", "10.0.0.2")
    assert catalog.endpoints(KEY) == (A,)


def test_endpoints_of_a_service_that_the_source_does_not_report_are_ignored() -> None:
    """No source speaks for another."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,))))
    assert not catalog.apply("two", CatalogChange(endpoints={KEY: (B,), OTHER: (B,)}))


def test_what_is_removed_and_added_at_once_is_replaced() -> None:
    """A change that renames in place is no gap."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,))))
    change = CatalogChange(services=(service(endpoints=(A,)),), removed_services=(KEY,))
    assert not catalog.apply("one", change)


def test_a_removed_service_leaves_nothing() -> None:
    """Service, endpoints and addresses go, and asking for them finds nothing."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,))))
    assert catalog.apply("one", CatalogChange(removed_services=(KEY,))) == delta({KEY}, {KEY}, "10.0.0.1")
    assert catalog.service(KEY) is None
    assert catalog.endpoints(KEY) == ()
    assert catalog.services_at("10.0.0.1") == frozenset()


def test_selectors_choose_workloads_of_their_namespace() -> None:
    """All labels of the selector must be there, in its namespace."""
    catalog = Catalog()
    catalog.apply("one", add(service(selector={"app": "a", "tier": "x"})))
    chosen = workload("w1", "10.0.0.1", app="a", tier="x", version="v1")
    change = CatalogChange(
        workloads=(
            chosen,
            workload("w2", "10.0.0.2", app="a"),
            workload("w3", "10.0.0.3", namespace="prod", app="a", tier="x"),
        )
    )
    assert catalog.apply("two", change) == delta(set(), {KEY}, "10.0.0.1")
    assert catalog.endpoints(KEY) == (chosen.endpoint,)


def test_a_selector_without_labels_chooses_its_namespace() -> None:
    """No labels are labels that all workloads of the namespace carry."""
    catalog = Catalog()
    catalog.apply("one", CatalogChange(workloads=(workload("w1", "10.0.0.1"),)))
    catalog.apply("one", add(service(selector={})))
    catalog.apply("one", CatalogChange(workloads=(workload("w2", "10.0.0.2", app="b"),)))
    catalog.apply("one", CatalogChange(workloads=(workload("w3", "10.0.0.3", namespace="prod"),)))
    assert [item.address for item in catalog.endpoints(KEY)] == ["10.0.0.1", "10.0.0.2"]


def test_a_workload_moves_with_its_labels() -> None:
    """Changing a label takes the workload from one service to another, in one step."""
    catalog = Catalog()
    catalog.apply("one", add(service(selector={"app": "a"}), service(OTHER, selector={"app": "b"})))
    catalog.apply("one", CatalogChange(workloads=(workload("w", "10.0.0.1", app="a"),)))
    change = CatalogChange(workloads=(workload("w", "10.0.0.1", app="b"),))
    assert catalog.apply("one", change) == delta(set(), {KEY, OTHER}, "10.0.0.1")
    assert catalog.endpoints(KEY) == ()
    assert catalog.services_at("10.0.0.1") == {OTHER}


def test_a_workload_that_no_service_selects_touches_none() -> None:
    """What nobody looks at costs nobody."""
    catalog = Catalog()
    catalog.apply("one", add(service(selector={"app": "a"})))
    assert not catalog.apply("one", CatalogChange(workloads=(workload("w", "10.0.0.1", app="b"),)))


def test_two_sources_join_their_endpoints() -> None:
    """A service of equal namespace and host is one service; an endpoint that both report stands once."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,), created="2")))
    joined = catalog.apply("two", add(service(endpoints=(B, A), created="1", source="two")))
    assert joined == delta({KEY}, {KEY}, "10.0.0.2")
    assert catalog.endpoints(KEY) == (B, A)
    assert catalog.problems == ()
    gone = catalog.apply("two", CatalogChange(removed_services=(KEY,)))
    assert gone == delta({KEY}, {KEY}, "10.0.0.2")
    assert catalog.service(KEY) == service(created="2")


def test_sources_may_name_workloads_alike() -> None:
    """A workload belongs to its source; another source's removal does not touch it."""
    catalog = Catalog()
    catalog.apply("one", add(service(selector={"app": "a"})))
    catalog.apply("one", CatalogChange(workloads=(workload("w", "10.0.0.1", app="a"),)))
    catalog.apply("two", CatalogChange(workloads=(workload("w", "10.0.0.2", app="a"),)))
    assert [item.address for item in catalog.endpoints(KEY)] == ["10.0.0.1", "10.0.0.2"]
    catalog.apply("two", CatalogChange(removed_workloads=(WorkloadKey("default", "w"),)))
    assert [item.address for item in catalog.endpoints(KEY)] == ["10.0.0.1"]


def test_ports_and_addresses_of_sources_are_joined() -> None:
    """A port that only the younger source knows is added."""
    more = Port(81, "admin", Protocol.TCP, 81)
    catalog = Catalog()
    catalog.apply("one", add(service(addresses=("10.9.0.1",), created="1")))
    catalog.apply("two", add(service(ports=(HTTP, more), addresses=("10.9.0.2",), created="2")))
    known = catalog.service(KEY)
    assert known is not None
    assert known.ports == (HTTP, more)
    assert known.addresses == ("10.9.0.1", "10.9.0.2")
    assert catalog.problems == ()


def test_the_older_source_wins_a_contradiction() -> None:
    """A port of equal number or name but other content is left out, and that is a problem until it is gone."""
    catalog = Catalog()
    rivals = (replace(HTTP, protocol=Protocol.TCP), replace(HTTP, number=81))
    catalog.apply("two", add(service(ports=rivals, resolution=Resolution.DNS, created="2", source="two")))
    catalog.apply("one", add(service(created="1")))
    known = catalog.service(KEY)
    assert known is not None
    assert known.ports == (HTTP,)
    assert known.resolution is Resolution.STATIC
    assert [problem.reason for problem in catalog.problems] == [Reason.CONFLICT] * 3
    assert "two says port 80 (http, TCP), but one says port 80 (http, HTTP), which" in str(
        catalog.problems[0]
    )
    catalog.apply("two", CatalogChange(removed_services=(KEY,)))
    assert catalog.problems == ()


def test_each_source_says_where_its_endpoints_listen() -> None:
    """Ports that agree are one, whatever their targets; what is called is the number where each endpoint listens."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,), created="1")))
    catalog.apply("two", add(service(ports=(replace(HTTP, target=9000),), endpoints=(B,), created="2")))
    assert catalog.problems == ()
    assert [item.port_for(HTTP) for item in catalog.endpoints(KEY)] == [8080, 9000]


def test_an_endpoint_serves_the_ports_that_its_source_knows() -> None:
    """It is not called at a port that only another source has, until its own has it too."""
    more = Port(81, "admin", Protocol.TCP, 81)
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,), created="1")))
    catalog.apply("two", add(service(ports=(HTTP, more), endpoints=(B,), created="2")))
    assert [item.port_for(more) for item in catalog.endpoints(KEY)] == [NOT_SERVED, 81]
    catalog.apply("one", add(service(ports=(HTTP, more), endpoints=(A,), created="1")))
    assert [item.port_for(more) for item in catalog.endpoints(KEY)] == [81, 81]


def test_a_port_of_another_name_is_served_where_its_source_says() -> None:
    """The older name holds, which is a problem, and the younger's endpoints are found by the number."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A,), created="1")))
    other = Port(80, "web", Protocol.HTTP, 9000)
    catalog.apply("two", add(service(ports=(other,), endpoints=(B,), created="2")))
    assert [problem.reason for problem in catalog.problems] == [Reason.CONFLICT]
    assert [item.port_for(HTTP) for item in catalog.endpoints(KEY)] == [8080, 9000]


def test_what_is_not_declared_contradicts_nothing() -> None:
    """A source that knows the protocol tells it for all, and so does one that knows the names of certificates."""
    catalog = Catalog()
    unknown = replace(HTTP, protocol=Protocol.AUTO)
    catalog.apply("one", add(service(ports=(unknown,), created="1")))
    catalog.apply("two", add(service(subject_alt_names=("a",), created="2")))
    known = catalog.service(KEY)
    assert known is not None
    assert (known.ports, known.subject_alt_names, catalog.problems) == ((HTTP,), ("a",), ())
    catalog.apply("three", add(service(subject_alt_names=("b",), created="3")))
    assert "three says subjectAltNames b, but two says a" in str(catalog.problems[0])


@pytest.mark.parametrize("silent", ["1", "3"])
def test_a_resolution_and_a_location_that_are_not_declared_contradict_nothing(silent: str) -> None:
    """Whoever declares them tells them for all, older or younger; of two who do the older's word holds."""
    neither = frozenset({"resolution", "location"})
    bare = service(resolution=Resolution.NONE, undeclared=neither, endpoints=(A,), created=silent)
    told = service(location=Location.MESH_INTERNAL, endpoints=(B,), created="2")
    catalog = Catalog()
    catalog.apply("bare", add(bare))
    alone = catalog.service(KEY)
    assert alone is not None
    assert (alone.resolution, alone.undeclared) == (Resolution.NONE, neither)
    catalog.apply("told", add(told))
    known = catalog.service(KEY)
    assert known is not None
    assert (known.resolution, known.location) == (Resolution.STATIC, Location.MESH_INTERNAL)
    assert (known.undeclared, catalog.problems) == (frozenset(), ())
    assert {each.address for each in catalog.endpoints(KEY)} == {"10.0.0.1", "10.0.0.2"}
    catalog.apply("other", add(replace(told, location=Location.MESH_EXTERNAL, endpoints=(), created="4")))
    (problem,) = catalog.problems
    assert "other says location MESH_EXTERNAL, but told says MESH_INTERNAL" in problem.message
    catalog.apply("bare", add(replace(bare, undeclared=frozenset())))
    assert any("resolution NONE" in each.message or "says NONE" in each.message for each in catalog.problems)


def test_a_source_without_ages_is_younger_than_those_with() -> None:
    """Whoever comes without an age takes nothing over, and is not called older; of two without, the name decides."""
    catalog = Catalog()
    theirs = service(ports=(replace(HTTP, protocol=Protocol.TCP),), location=Location.MESH_INTERNAL)
    catalog.apply("a", add(theirs))
    catalog.apply("k", add(service(created="2026-01-01T00:00:00Z")))
    known = catalog.service(KEY)
    assert known is not None
    assert (known.ports, known.location, known.created) == (
        (HTTP,),
        Location.MESH_EXTERNAL,
        "2026-01-01T00:00:00Z",
    )
    assert [source for source, _ in catalog.parts(KEY)] == ["k", "a"]
    assert [each.message for each in catalog.problems] == [
        "a says port 80 (http, TCP), but k says port 80 (http, HTTP), which says how old it is and holds",
        "a says location MESH_INTERNAL, but k says MESH_EXTERNAL, which says how old it is and holds",
    ]
    catalog.apply("k", add(service()))
    assert "k says port 80 (http, HTTP), but a says" in catalog.problems[0].message
    assert all(each.message.endswith("which comes first by its name and holds") for each in catalog.problems)


def test_who_says_nothing_of_nodes_contradicts_nobody() -> None:
    """Of two who want callers spread differently the older's word holds, and the other is told."""
    catalog = Catalog()
    catalog.apply("silent", add(service(created="1", endpoints=(A,))))
    catalog.apply(
        "east", add(service(created="2", spread=Spread.OWN_NODE, endpoints=(replace(A, node="n"),)))
    )
    known = catalog.service(KEY)
    assert known is not None
    assert (known.spread, known.undeclared, catalog.problems) == (Spread.OWN_NODE, frozenset(), ())
    assert [each.node for each in catalog.endpoints(KEY)] == ["n"]
    catalog.apply("west", add(service(created="3", spread=Spread.SAME_ZONE)))
    (problem,) = catalog.problems
    assert (
        "internalTrafficPolicy or trafficDistribution PreferSameZone, but east says Local" in problem.message
    )


def test_workloads_tell_on_which_node_they_are() -> None:
    """By their addresses: several have one where they share the machine's, or where networks have equal ones."""
    catalog = Catalog()
    one, other = WorkloadKey("default", "w1"), WorkloadKey("default", "w2")

    def put(key: WorkloadKey, **said: Any) -> frozenset[str]:
        made = Workload(key.namespace, key.name, Endpoint("10.0.0.1", **said))
        return catalog.apply("one", CatalogChange(workloads=(made,))).nodes

    assert put(one) == frozenset()
    assert put(one, node="n1") == {"10.0.0.1"}
    assert put(other, node="n1") == {"10.0.0.1"}
    assert catalog.nodes_at("10.0.0.1") == (NodeAt("", "n1"),)
    put(other, node="n2", network="west")
    assert catalog.nodes_at("10.0.0.1") == (NodeAt("", "n1"), NodeAt("west", "n2"))
    assert put(other, node="n2", network="west", locality="r") == frozenset()
    catalog.apply("one", CatalogChange(removed_workloads=(one,)))
    assert catalog.nodes_at("10.0.0.1") == (NodeAt("west", "n2"),)
    catalog.apply("one", CatalogChange(removed_workloads=(other,)))
    assert catalog.nodes_at("10.0.0.1") == ()


@pytest.mark.parametrize("word", ["older", "younger"])
def test_names_and_exports_that_are_not_declared_contradict_nothing(word: str) -> None:
    """Neither a port without a name, or with one that its reader made up, nor a service that does not say whom it is for."""
    bare = service(ports=(Port(80, "", Protocol.AUTO, 80),), endpoints=(A,))
    made = service(ports=(Port(80, "port", Protocol.AUTO, 8080, made_up=True),), endpoints=(B,))
    told = service(ports=(Port(80, "web", Protocol.HTTP, 9000, "protocol"),), export_to=(".",))
    catalog = Catalog()
    for source, part in (("bare", bare), ("made", made)):
        catalog.apply(source, add(replace(part, created="1")))
    catalog.apply("told", add(replace(told, created="0" if word == "older" else "2")))
    known = catalog.service(KEY)
    assert known is not None
    (port,) = known.ports
    assert (port.number, port.name, port.protocol, port.made_up) == (80, "web", Protocol.HTTP, False)
    assert known.export_to == (".",)
    assert {each.address: each.port_for(port) for each in catalog.endpoints(KEY)} == {
        "10.0.0.1": 80,
        "10.0.0.2": 8080,
    }
    assert catalog.problems == ()


def test_a_name_that_was_made_up_gives_way() -> None:
    """Ports of other numbers are others; that one may have been meant is a warning, and their endpoints stay apart."""
    made = Port(9090, "http", Protocol.HTTP, 9090, "protocol", made_up=True)
    catalog = Catalog()
    catalog.apply("consul", add(service(ports=(made,), endpoints=(A,), created="1")))
    catalog.apply("kubernetes", add(service(endpoints=(B,), created="2")))
    known = catalog.service(KEY)
    assert known is not None
    assert {port.number: port.name for port in known.ports} == {9090: "http-9090", 80: "http"}
    numbers = {each.address: [each.port_for(port) for port in known.ports] for each in catalog.endpoints(KEY)}
    assert numbers == {"10.0.0.1": [9090, NOT_SERVED], "10.0.0.2": [NOT_SERVED, 8080]}
    (problem,) = catalog.problems
    assert problem.severity is Severity.WARNING
    assert problem.message.startswith(
        "kubernetes says port 80 (http, HTTP), and consul says port 9090 (unnamed, HTTP): each takes only calls of its own"
    )


def test_equal_addresses_on_different_networks_are_different_endpoints() -> None:
    """The health of one says nothing of the other; one that names no network is a third, which is told."""
    east, west = replace(A, network="east"), replace(A, labels={NETWORK_LABEL: "west"})
    ill = replace(west, health=Health.UNHEALTHY)
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(east,), created="1")))
    catalog.apply("two", add(service(endpoints=(ill,), created="2")))
    assert catalog.endpoints(KEY) == (east, ill)
    assert not catalog.problems
    assert [[item.source for item in found] for _, found in catalog.sourced(KEY)] == [["one"], ["two"]]
    catalog.apply("three", add(service(endpoints=(A,), created="3")))
    assert catalog.endpoints(KEY) == (east, ill, A)
    assert [found.message.partition(": ")[0] for found in catalog.problems] == [
        "one has 10.0.0.1 on the network east, and three has it without a network",
        "two has 10.0.0.1 on the network west, and three has it without a network",
    ]
    catalog.apply("one", CatalogChange(removed_services=(KEY,)))
    catalog.apply("three", CatalogChange(removed_services=(KEY,)))
    assert catalog.services_at("10.0.0.1") == {KEY}
    assert catalog.problems == ()


def test_a_workload_that_its_source_lists_elsewhere_is_remarked_on() -> None:
    """A selector that catches the pods of a Service would call them at the machine's port too."""
    catalog = Catalog()
    catalog.apply("k", add(service(endpoints=(A,), created="1")))
    pod = workload("pod", "10.0.0.1", app="a")
    catalog.apply("k", CatalogChange(workloads=(pod,)))
    entry = service(ports=(replace(HTTP, target=9082),), selector={"app": "a"}, created="2")
    catalog.apply("store", add(entry))
    catalog.apply("store", CatalogChange(workloads=(workload("vm", "10.0.0.9", app="a"),)))
    (problem,) = catalog.problems
    assert problem.severity is Severity.WARNING
    assert problem.message == (
        "store selects the workload pod of k at 10.0.0.1:9082 for port 80, but k lists it at 10.0.0.1:8080; both are"
        " called. Select by a label that this workload does not have"
    )
    catalog.apply("store", add(replace(entry, selector={"app": "machine"})))
    assert catalog.problems == ()


def test_a_locality_that_only_one_source_knows_counts() -> None:
    """Saying none contradicts nothing, and an account that the older one names holds against none without a word."""
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(replace(A, service_account="a"),), created="1")))
    catalog.apply("two", add(service(endpoints=(replace(A, locality="eu/a"),), created="2")))
    assert catalog.endpoints(KEY) == (replace(A, service_account="a", locality="eu/a"),)
    assert catalog.problems == ()


def test_sources_that_differ_about_an_endpoint_are_told() -> None:
    """The older word holds, one warning a difference; of its health the worst word counts."""
    catalog = Catalog()
    ill = replace(A, weight=3, labels={"version": "v2"}, health=Health.UNHEALTHY)
    catalog.apply("one", add(service(endpoints=(A,), created="1")))
    catalog.apply("two", add(service(endpoints=(ill,), created="2")))
    assert catalog.endpoints(KEY) == (replace(A, health=Health.UNHEALTHY),)
    assert [str(problem.message) for problem in catalog.problems] == [
        "two says that 10.0.0.1 has labels version=v2, but one says none, which is older and holds",
        "two says that 10.0.0.1 has weight 3, but one says 1, which is older and holds",
    ]
    assert {problem.severity for problem in catalog.problems} == {Severity.WARNING}


def test_every_fact_has_its_source() -> None:
    """Parts, endpoints and workloads are known with who reports them, and counted so."""
    catalog = Catalog()
    catalog.apply("one", add(service(selector={"app": "a"}, created="1")))
    catalog.apply("one", CatalogChange(workloads=(workload("w", "10.0.0.9", app="a"),)))
    catalog.apply("two", add(service(endpoints=(A, B), created="2", source="two")))
    assert [source for source, _ in catalog.parts(KEY)] == ["one", "two"]
    assert [(item.source, item.workload, item.endpoint.address) for item in catalog.reported(KEY)] == [
        ("one", "w", "10.0.0.9"),
        ("two", "", "10.0.0.1"),
        ("two", "", "10.0.0.2"),
    ]
    assert [(source, key.name) for source, key, _ in catalog.workloads()] == [("one", "w")]
    assert catalog.services_of("one", WorkloadKey("default", "w")) == {KEY}
    assert (catalog.endpoints_of("one"), catalog.endpoints_of("two")) == (1, 2)
    catalog.apply("two", CatalogChange(removed_services=(KEY,)))
    assert (catalog.endpoints_of("one"), catalog.endpoints_of("two")) == (1, 0)


def test_endpoints_of_networks_without_gateways_are_remarked_on() -> None:
    """They are called at their own addresses; one network, or none said, or gateways for each, is nothing to remark."""
    catalog = Catalog()
    near, far = replace(A, network="near"), Endpoint("10.1.0.2", labels={"topology.istio.io/network": "far"})
    catalog.apply("one", add(service(endpoints=(near, Endpoint("10.1.0.3")))))
    assert not list(catalog.apart(()))
    catalog.apply("one", add(service(endpoints=(near, far))))
    (problem,) = catalog.apart({"near"})
    assert (problem.reason, problem.severity) == (Reason.BROKEN_REFERENCE, Severity.WARNING)
    assert "on the networks far, near; those on far are called" in problem.message
    assert catalog.endpoints(KEY) == (near, far)
    assert not list(catalog.apart({"near", "far"}))


def test_addresses_that_the_resolution_cannot_reach_are_left_out() -> None:
    """One wrong address would make Envoy refuse the whole list, so it is a problem of its own."""
    name, pipe = Endpoint("a.example.com"), Endpoint("unix:///run/a.sock")
    wrong = Endpoint("10.0.0.999")
    catalog = Catalog()
    catalog.apply("one", add(service(endpoints=(A, name, pipe, wrong))))
    assert catalog.endpoints(KEY) == (A, pipe)
    assert len(catalog.problems) == 2
    assert catalog.services_at("a.example.com") == frozenset()
    catalog.apply("one", add(service(endpoints=(A, name, pipe, wrong), resolution=Resolution.DNS)))
    assert catalog.endpoints(KEY) == (A, name)
    assert len(catalog.problems) == 2
    catalog.apply("one", CatalogChange(endpoints={KEY: (A,)}))
    assert not catalog.problems


NAMES = ("one", "three", "two")
SOURCES = st.sampled_from(NAMES)
KEYS = st.builds(ServiceKey, st.sampled_from(["default", "prod"]), st.sampled_from(["a", "b"]))
WORKLOADS = st.builds(WorkloadKey, st.sampled_from(["default", "prod"]), st.sampled_from(["w1", "w2", "w3"]))
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["x", "y"]), max_size=2)
ENDPOINTS = st.builds(
    Endpoint,
    address=st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "a.example.com", "unix:///a"]),
    labels=LABELS,
    health=st.sampled_from([Health.HEALTHY, Health.UNHEALTHY]),
    network=st.sampled_from(["", "", "east", "west"]),
    locality=st.sampled_from(["", "eu/a", "eu/b"]),
    node=st.sampled_from(["", "n1", "n2"]),
)
LISTS = st.lists(ENDPOINTS, max_size=3).map(tuple)
SERVICES = st.builds(
    lambda key, **rest: Service(*key, **rest),
    KEYS,
    ports=st.sampled_from(
        [
            (HTTP,),
            (replace(HTTP, target=81),),
            (Port(90, "tcp", Protocol.TCP, 90),),
            (Port(80, "", Protocol.AUTO, 82),),
            (Port(90, "http", Protocol.HTTP, 90, made_up=True),),
        ]
    ),
    export_to=st.sampled_from([(), (".",), ("*",)]),
    resolution=st.sampled_from([Resolution.STATIC, Resolution.DNS]),
    selector=st.none() | LABELS,
    endpoints=LISTS,
    spread=st.sampled_from(Spread),
    created=st.sampled_from(["", "1", "2"]),
)
CHANGES = st.builds(
    CatalogChange,
    services=st.lists(SERVICES, max_size=2).map(tuple),
    removed_services=st.lists(KEYS, max_size=1).map(tuple),
    workloads=st.lists(
        st.builds(lambda key, endpoint: Workload(key.namespace, key.name, endpoint), WORKLOADS, ENDPOINTS),
        max_size=3,
    ).map(tuple),
    removed_workloads=st.lists(WORKLOADS, max_size=1).map(tuple),
    endpoints=st.dictionaries(KEYS, LISTS, max_size=1),
)


class Newest:
    """What each source said last, to build a catalog from scratch."""

    def __init__(self) -> None:
        self.services: dict[tuple[str, ServiceKey], Service] = {}
        self.workloads: dict[tuple[str, WorkloadKey], Workload] = {}

    def apply(self, source: str, change: CatalogChange) -> None:
        for key in change.removed_services:
            self.services.pop((source, key), None)
        for item in change.services:
            self.services[source, item.key] = item
        for key, endpoints in change.endpoints.items():
            if (source, key) in self.services:
                self.services[source, key] = replace(self.services[source, key], endpoints=endpoints)
        for name in change.removed_workloads:
            self.workloads.pop((source, name), None)
        for chosen in change.workloads:
            self.workloads[source, chosen.key] = chosen

    def built(self) -> Catalog:
        catalog = Catalog()
        for (source, _), item in self.services.items():
            catalog.apply(source, CatalogChange(services=(item,)))
        for (source, _), chosen in self.workloads.items():
            catalog.apply(source, CatalogChange(workloads=(chosen,)))
        return catalog


def state(catalog: Catalog) -> dict[str, Any]:
    keys = list(catalog.services())
    endpoints = {key: catalog.endpoints(key) for key in keys}
    addresses = {item.address for listed in endpoints.values() for item in listed}
    return {
        "services": {key: catalog.service(key) for key in keys},
        "endpoints": endpoints,
        "at": {address: catalog.services_at(address) for address in addresses},
        "nodes": {each.address: catalog.nodes_at(each.address) for _, _, each in catalog.workloads()},
        "problems": catalog.problems,
    }


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(SOURCES, CHANGES), max_size=8))
def test_any_sequence_of_changes_gives_the_catalog_of_its_outcome(
    steps: list[tuple[str, CatalogChange]],
) -> None:
    """Step by step is as from scratch, and each delta names exactly what differs."""
    catalog, newest = Catalog(), Newest()
    before = state(catalog)
    for source, change in steps:
        told = catalog.apply(source, change)
        newest.apply(source, change)
        now = state(catalog)
        assert now == state(newest.built())
        assert told.services == differing(before["services"], now["services"])
        assert told.endpoints == differing(before["endpoints"], now["endpoints"], ())
        assert told.addresses == differing(before["at"], now["at"])
        assert told.nodes >= differing(before["nodes"], now["nodes"], ())
        before = now


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(SOURCES, CHANGES), max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.randoms(use_true_random=False),
)
def test_repeated_and_interleaved_reports_end_in_the_same_catalog(
    steps: list[tuple[str, CatalogChange]], repeated: list[bool], chance: random.Random
) -> None:
    """Each source's word counts in its order; how those of several mix, and what is said twice, makes no difference: it ends
    where fresh lists of all end.
    """
    once, newest = Catalog(), Newest()
    for source, change in steps:
        once.apply(source, change)
        newest.apply(source, change)
    told = {
        name: [
            change
            for (source, change), again in zip(steps, repeated, strict=False)
            for _ in range(1 + again)
            if source == name
        ]
        for name in NAMES
    }
    mixed = Catalog()
    while any(told.values()):
        source = chance.choice([name for name, changes in told.items() if changes])
        mixed.apply(source, told[source].pop(0))
    assert state(mixed) == state(once) == state(newest.built())
    assert [mixed.endpoints_of(name) for name in told] == [once.endpoints_of(name) for name in told]


def differing(before: dict[Any, Any], now: dict[Any, Any], absent: Any = None) -> set[Any]:
    return {key for key in {**before, **now} if before.get(key, absent) != now.get(key, absent)}


def test_the_join_holds_nothing_of_what_is_gone() -> None:
    """A mesh that comes and goes leaves no index entries behind."""
    catalog = Catalog()
    catalog.apply(
        "one", add(*(service(ServiceKey("default", f"s{i}"), selector={"app": f"{i}"}) for i in range(20)))
    )
    names = [WorkloadKey("default", f"w{i}") for i in range(20)]
    catalog.apply(
        "one",
        CatalogChange(workloads=tuple(workload(f"w{i}", f"10.0.0.{i}", app=f"{i}") for i in range(20))),
    )
    assert len(catalog.endpoints(ServiceKey("default", "s3"))) == 1
    catalog.apply(
        "one", CatalogChange(removed_services=tuple(catalog.services()), removed_workloads=tuple(names))
    )
    parts = {**vars(catalog), **vars(catalog._selection)}
    del parts["_selection"]
    assert {name: len(part) for name, part in parts.items()} == dict.fromkeys(parts, 0)


def test_a_workload_looks_at_few_selectors() -> None:
    """A label that all selectors share does not bring them all into each workload's way."""
    catalog = Catalog()
    names = [f"s{number}" for number in range(500)]
    catalog.apply(
        "one",
        add(*(service(ServiceKey("default", name), selector={"env": "x", "app": name}) for name in names)),
    )
    catalog.apply(
        "one", CatalogChange(workloads=tuple(workload(name, "10.0.0.1", app=name, env="x") for name in names))
    )
    assert all(len(catalog.endpoints(ServiceKey("default", name))) == 1 for name in names)
    assert max(len(parts) for parts in catalog._selection._selectors_under.values()) == 1
