"""The catalog: joining what sources report, and telling what changed."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from xdsd.model.catalog import (
    Endpoint,
    Health,
    Port,
    Protocol,
    Resolution,
    Service,
    ServiceKey,
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
    assert (
        "two says port 80 (http, TCP, target 8080), but one says port 80 (http, HTTP, target 8080), which"
        in str(catalog.problems[0])
    )
    catalog.apply("two", CatalogChange(removed_services=(KEY,)))
    assert catalog.problems == ()


def test_endpoints_of_several_networks_are_remarked_on() -> None:
    """They are called at their own addresses; one network, or none said, is nothing to remark."""
    catalog = Catalog()
    near, far = replace(A, network="near"), Endpoint("10.1.0.2", network="far")
    catalog.apply("one", add(service(endpoints=(near, Endpoint("10.1.0.3")))))
    assert not catalog.problems
    catalog.apply("one", add(service(endpoints=(near, far))))
    (problem,) = catalog.problems
    assert (problem.reason, problem.severity) == (Reason.NOT_SUPPORTED, Severity.WARNING)
    assert "on the networks far, near" in problem.message
    assert catalog.endpoints(KEY) == (near, far)


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


SOURCES = st.sampled_from(["one", "two"])
KEYS = st.builds(ServiceKey, st.sampled_from(["default", "prod"]), st.sampled_from(["a", "b"]))
WORKLOADS = st.builds(WorkloadKey, st.sampled_from(["default", "prod"]), st.sampled_from(["w1", "w2", "w3"]))
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["x", "y"]), max_size=2)
ENDPOINTS = st.builds(
    Endpoint,
    address=st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "a.example.com", "unix:///a"]),
    labels=LABELS,
    health=st.sampled_from([Health.HEALTHY, Health.UNHEALTHY]),
)
LISTS = st.lists(ENDPOINTS, max_size=3).map(tuple)
SERVICES = st.builds(
    lambda key, **rest: Service(*key, **rest),
    KEYS,
    ports=st.sampled_from([(HTTP,), (replace(HTTP, target=81),), (Port(90, "tcp", Protocol.TCP, 90),)]),
    resolution=st.sampled_from([Resolution.STATIC, Resolution.DNS]),
    selector=st.none() | LABELS,
    endpoints=LISTS,
    created=st.sampled_from(["1", "2"]),
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
        before = now


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
