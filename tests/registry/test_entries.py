"""ServiceEntry and WorkloadEntry objects as services and workloads."""

from dataclasses import replace
from typing import Any, TypeVar

import pytest

from xdsd.model.catalog import (
    Endpoint,
    Health,
    Location,
    Port,
    Protocol,
    Resolution,
    Service,
    ServiceKey,
    Workload,
    WorkloadKey,
)
from xdsd.model.intent import Message, Metadata, Object, ServiceEntry, WorkloadEntry
from xdsd.model.problem import ObjectRef, Reason
from xdsd.model.registered import DISCONNECTED_AT, GROUP, HEALTH
from xdsd.registry.base import CatalogChange
from xdsd.registry.entries import Entries, services_of, workload_of

Spec = TypeVar("Spec", bound=Message)

DOMAIN = "mesh.local"
HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
KEY = ServiceKey("prod", "a.example.com")


def service_entry(name: str = "entry", created: str = "", **spec: Any) -> Object[ServiceEntry]:
    published = {"hosts": ["a.example.com"], "ports": [HTTP], "resolution": "STATIC", **spec}
    return made(ServiceEntry.model_validate(published), name, created)


def workload_entry(name: str = "w1", **spec: Any) -> Object[WorkloadEntry]:
    return made(WorkloadEntry.model_validate({"address": "10.0.0.1", **spec}), name)


def made(spec: Spec, name: str, created: str = "", labels: dict[str, str] | None = None) -> Object[Spec]:
    metadata = Metadata("prod", name, labels=labels or {}, creation_timestamp=created)
    return Object("networking.istio.io/v1", type(spec).__name__, metadata, spec)


def reasons(entries: Entries) -> list[Reason]:
    return [problem.reason for problem in entries.problems]


def only(entry: Object[ServiceEntry]) -> Service:
    (service,), problems = services_of(entry, DOMAIN, "files")
    assert problems == ()
    return service


@pytest.mark.parametrize(
    ("annotations", "health"),
    [
        ({}, Health.HEALTHY),
        ({GROUP: "a"}, Health.HEALTHY),
        ({GROUP: "a", HEALTH: "healthy"}, Health.HEALTHY),
        ({GROUP: "a", HEALTH: "deaf"}, Health.UNHEALTHY),
        ({GROUP: "a", DISCONNECTED_AT: "now"}, Health.AWAY),
        ({GROUP: "a", DISCONNECTED_AT: "now", HEALTH: "unhealthy"}, Health.UNHEALTHY),
        ({DISCONNECTED_AT: "now", HEALTH: "unhealthy"}, Health.HEALTHY),
    ],
)
def test_a_machine_that_registered_itself_is_as_its_entry_says(
    annotations: dict[str, str], health: Health
) -> None:
    """Away while no daemon hears of it, ill where its probe says so; an operator's own entry says nothing of that."""
    entry = workload_entry()
    entry = replace(entry, metadata=replace(entry.metadata, annotations=annotations))
    found, problems = workload_of(entry)
    assert found is not None
    assert (found.endpoint.health, problems) == (health, ())


def test_an_entry_says_all_of_its_service() -> None:
    """Every field of the entry stands in the service."""
    entry = service_entry(
        created="2024-01-01T00:00:00Z",
        addresses=["10.1.0.1", "10.1.0.2/32", "10.2.0.0/16", "fd00::1/128", "10.1.0.1"],
        ports=[{**HTTP, "targetPort": 8080}, {"number": 90, "name": "raw"}],
        location="MESH_INTERNAL",
        exportTo=[".", "test"],
        endpoints=[
            {
                "address": "10.0.0.1",
                "ports": {"http": 81},
                "labels": {"v": "1"},
                "locality": "eu/a",
                "weight": 3,
            }
        ],
    )
    assert only(entry) == Service(
        "prod",
        "a.example.com",
        (Port(80, "http", Protocol.HTTP, 8080), Port(90, "raw", Protocol.AUTO, 90)),
        addresses=("10.1.0.1", "10.1.0.2", "10.2.0.0/16", "fd00::1"),
        resolution=Resolution.STATIC,
        location=Location.MESH_INTERNAL,
        export_to=(".", "test"),
        endpoints=(Endpoint("10.0.0.1", {"http": 81}, {"v": "1"}, "eu/a", 3),),
        created="2024-01-01T00:00:00Z",
        source="files",
    )


def test_what_is_left_out_takes_the_published_default() -> None:
    """Not resolved, outside of the mesh, seen by whom the mesh says; a weight of 0 is the default weight."""
    service = only(made(ServiceEntry.model_validate({"hosts": ["a.example.com"]}), "entry"))
    undeclared = frozenset({"resolution", "location"})
    assert service == Service(
        "prod", "a.example.com", (), resolution=Resolution.NONE, source="files", undeclared=undeclared
    )
    assert service.export_to == ()
    assert only(service_entry(endpoints=[{"address": "10.0.0.1", "weight": 0}])).endpoints == (
        Endpoint("10.0.0.1"),
    )


def test_each_host_is_a_service() -> None:
    """Hosts share everything but their name; a short one belongs to the namespace of the entry."""
    services, problems = services_of(service_entry(hosts=["reviews", "*.example.com"]), DOMAIN)
    assert [item.hostname for item in services] == ["reviews.prod.svc.mesh.local", "*.example.com"]
    assert services[0].ports == services[1].ports
    assert problems == ()


def test_a_host_given_twice_is_a_problem() -> None:
    """A short name and what it means are the same host."""
    services, problems = services_of(service_entry(hosts=["a", "a.prod.svc.mesh.local"]), DOMAIN)
    assert len(services) == 1
    assert [(item.reason, item.path, item.object) for item in problems] == [
        (Reason.CONFLICT, "spec.hosts[1]", ObjectRef("ServiceEntry", "prod", "entry"))
    ]


def test_a_name_without_endpoints_is_its_own_endpoint() -> None:
    """Each host that is looked up stands for itself, unless workloads are to be selected."""
    services, _ = services_of(
        service_entry(hosts=["a.example.com", "b.example.com"], resolution="DNS"), DOMAIN
    )
    assert [item.endpoints for item in services] == [
        (Endpoint("a.example.com"),),
        (Endpoint("b.example.com"),),
    ]
    selecting = only(service_entry(resolution="DNS", workloadSelector={"labels": {"app": "a"}}))
    assert selecting.endpoints == ()
    assert selecting.selector == {"app": "a"}
    listing = only(service_entry(resolution="DNS", endpoints=[{"address": "c.example.com"}]))
    assert listing.endpoints == (Endpoint("c.example.com"),)


def test_a_short_name_is_looked_up_as_written() -> None:
    """The mesh knows it by its full name, which resolvers have never heard of."""
    found = only(service_entry(hosts=["db1"], resolution="DNS_ROUND_ROBIN"))
    assert found.hostname == "db1.prod.svc.mesh.local"
    assert found.endpoints == (Endpoint("db1"),)


def test_a_port_of_an_unsupported_protocol_is_a_problem() -> None:
    """Other ports of the entry are served."""
    entry = service_entry(ports=[HTTP, {"number": 53, "name": "dns", "protocol": "UDP"}])
    (service,), (problem,) = services_of(entry, DOMAIN)
    assert [port.number for port in service.ports] == [80]
    assert (problem.reason, problem.path) == (Reason.NOT_SUPPORTED, "spec.ports[1].protocol")
    assert "UDP is not supported yet" in problem.message


def test_a_workload_is_what_its_entry_says() -> None:
    """Labels of the object count beside those of the spec, and win over them."""
    own = {"app": "a", "tier": "back"}
    spec = {"address": "10.0.0.1", "ports": {"http": 8080}, "labels": own, "locality": "eu/a", "weight": 2}
    entry = made(WorkloadEntry.model_validate(spec), "w1", labels={"app": "b"})
    workload, problems = workload_of(entry)
    assert problems == ()
    labels = {"app": "b", "tier": "back"}
    assert workload == Workload("prod", "w1", Endpoint("10.0.0.1", {"http": 8080}, labels, "eu/a", 2))


def test_an_endpoint_without_address_is_a_problem() -> None:
    """What cannot be reached is left out; the rest is served."""
    nowhere: dict[str, Any] = {"address": None, "network": "far"}
    workload, (problem,) = workload_of(workload_entry(**nowhere))
    assert workload is None
    assert (problem.reason, problem.path) == (Reason.MISSING_FIELD, "spec.address")
    entry = service_entry(endpoints=[nowhere, {"address": "10.0.0.1"}])
    (service,), (problem,) = services_of(entry, DOMAIN)
    assert [item.address for item in service.endpoints] == ["10.0.0.1"]
    assert problem.path == "spec.endpoints[0].address"


def test_entries_tell_only_real_changes() -> None:
    """Putting an equal entry, or removing an unknown one, changes nothing."""
    entries = Entries("files", DOMAIN)
    first = entries.put(service_entry())
    assert [item.key for item in first.services] == [KEY]
    assert entries.put(service_entry()) == CatalogChange()
    assert entries.put(workload_entry()).workloads
    assert entries.put(workload_entry()) == CatalogChange()
    assert entries.remove(ObjectRef("ServiceEntry", "prod", "unknown")) == CatalogChange()
    assert entries.remove(ObjectRef("WorkloadEntry", "prod", "unknown")) == CatalogChange()
    assert entries.remove(ObjectRef("ServiceEntry", "prod", "entry")).removed_services == (KEY,)
    gone = entries.remove(ObjectRef("WorkloadEntry", "prod", "w1"))
    assert gone.removed_workloads == (WorkloadKey("prod", "w1"),)


def test_an_entry_that_drops_a_host_removes_its_service() -> None:
    """Hosts come and go with the entry that names them."""
    entries = Entries("files", DOMAIN)
    entries.put(service_entry(hosts=["a.example.com", "b.example.com"]))
    change = entries.put(service_entry(hosts=["a.example.com", "c.example.com"]))
    assert [item.hostname for item in change.services] == ["c.example.com"]
    assert change.removed_services == (ServiceKey("prod", "b.example.com"),)


def test_entries_of_one_host_make_one_service() -> None:
    """Ports and endpoints add up, whatever the order in which the entries came."""
    old = service_entry("old", "1", endpoints=[{"address": "10.0.0.1"}])
    more = {"number": 90, "name": "tcp", "protocol": "TCP"}
    young = service_entry(
        "young", "2", ports=[more], endpoints=[{"address": "10.0.0.2"}, {"address": "10.0.0.1"}]
    )
    for order in ((old, young), (young, old)):
        entries = Entries("files", DOMAIN)
        for entry in order:
            change = entries.put(entry)
        (service,) = change.services
        assert [port.number for port in service.ports] == [80, 90]
        assert [item.address for item in service.endpoints] == ["10.0.0.1", "10.0.0.2"]
        assert entries.problems == ()
    (service,) = entries.remove(old.ref).services
    assert [port.number for port in service.ports] == [90]


def test_the_older_entry_wins_a_contradiction() -> None:
    """The younger entry has the problem, until it or the older one changes."""
    entries = Entries("files", DOMAIN)
    entries.put(service_entry("young", "2", resolution="NONE", ports=[{**HTTP, "protocol": "TCP"}]))
    entries.put(service_entry("old", "1", workloadSelector={"labels": {"app": "a"}}))
    assert {item.object for item in entries.problems} == {ObjectRef("ServiceEntry", "prod", "young")}
    assert {item.reason for item in entries.problems} == {Reason.CONFLICT}
    assert len(entries.problems) == 3
    assert "declares a.example.com with port 80 (http, TCP), but ServiceEntry prod/old has" in " ".join(
        item.message for item in entries.problems
    )
    entries.remove(ObjectRef("ServiceEntry", "prod", "young"))
    assert not entries.problems


def test_an_entry_that_does_not_declare_how_endpoints_are_found_contradicts_none_that_does() -> None:
    """Nor one that does not say whether its service is of the mesh; alone they mean what the published API says."""
    entries = Entries("files", DOMAIN)
    silent = ServiceEntry.model_validate({"hosts": ["a.example.com"], "ports": [HTTP]})
    (alone,) = entries.put(made(silent, "silent", "1")).services
    assert (alone.resolution, alone.location) == (Resolution.NONE, Location.MESH_EXTERNAL)
    assert alone.undeclared == {"resolution", "location"}
    (both,) = entries.put(service_entry("told", "2", location="MESH_INTERNAL")).services
    assert (both.resolution, both.location) == (Resolution.STATIC, Location.MESH_INTERNAL)
    assert (both.undeclared, entries.problems) == (frozenset(), ())


def test_problems_follow_their_object() -> None:
    """A corrected object has no problem any more, nor has one that is gone."""
    entries = Entries("files", DOMAIN)
    broken = service_entry(hosts=["a", "a.prod.svc.mesh.local"])
    entries.put(broken)
    assert reasons(entries) == [Reason.CONFLICT]
    entries.put(service_entry(hosts=["a"]))
    assert reasons(entries) == []
    entries.put(broken)
    entries.remove(broken.ref)
    assert reasons(entries) == []


def test_objects_dropped_and_put_at_once_are_replaced() -> None:
    """A file that is written anew is one step, and other kinds are no concern of the catalog."""
    entries = Entries("files", DOMAIN)
    objects = (service_entry(), workload_entry())
    entries.apply(put=objects)
    assert entries.apply(put=objects, drop=[item.ref for item in objects]) == CatalogChange()
    other: Object[Message] = made(Message(), "other")
    assert entries.put(other) == CatalogChange()
