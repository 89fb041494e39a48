"""The inbox: how much is taken in at once, and whose turn it is."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import structlog

from tests.compile.worlds import service
from xdsd.compile.compiler import Compiler
from xdsd.manifest import parse_object
from xdsd.model.catalog import Endpoint, ServiceKey, Workload
from xdsd.model.mesh import MeshSettings
from xdsd.reconcile.departures import Departures
from xdsd.reconcile.intake import ROUND, Intake
from xdsd.reconcile.slices import ENDPOINTS, PORTION, portions
from xdsd.reconcile.sources import STORE, Sources, SourceStatus
from xdsd.registry.base import CatalogChange, ObjectsChange


class Inbox:
    """An intake, what its catalog was told in each step, and the states of its sources."""

    def __init__(self, *sources: str) -> None:
        self.told: list[SourceStatus] = []
        of = Sources(self.told.append, structlog.get_logger())
        for source in sources:
            of.expect(source)
            of.set_synced(source)
        self.told.clear()
        world = Compiler(MeshSettings()).world
        departures = Departures(world, (), lambda: 0.0)
        self.intake = Intake(world, "cluster.local", of, departures, structlog.get_logger())
        self.applied: list[tuple[str, CatalogChange]] = []
        taken = self.intake.catalog.steps

        def noted(source: str, change: CatalogChange) -> Any:  # what the catalog says of it
            self.applied.append((source, change))
            return taken(source, change)

        self.intake.catalog.steps = noted  # type: ignore[method-assign]

    def steps(self, most: int | None = None) -> Iterator[list[tuple[str, CatalogChange]]]:
        """What each step of a round applied."""
        for _ in self.intake.take(most):
            applied, self.applied = self.applied, []
            if applied:
                yield applied


def flip(name: str, number: int) -> CatalogChange:
    return CatalogChange(endpoints={service(name).key: (Endpoint(f"10.0.{number // 250}.{number % 250}"),)})


def weight(change: CatalogChange) -> int:
    listed = sum(map(len, change.endpoints.values())) + sum(len(each.endpoints) for each in change.services)
    return listed + len(change.workloads)


def test_a_step_takes_in_one_portion() -> None:
    """However large a change is, the loop may turn after each portion of bounded size."""
    services = tuple(service(f"s{number}") for number in range(1000))
    many = {each.key: tuple(Endpoint(f"10.1.0.{n}") for n in range(25)) for each in services}
    workloads = tuple(Workload("default", f"w{n}", Endpoint("10.2.0.1")) for n in range(1000))
    inbox = Inbox("a")
    inbox.intake.put("a", CatalogChange(services=services, workloads=workloads, endpoints=many))
    steps = list(inbox.steps())
    assert all(len(step) == 1 for step in steps)
    for ((_, change),) in steps:
        assert len(change.services) + len(change.workloads) + len(change.endpoints) <= PORTION
        assert weight(change) <= ENDPOINTS
    assert len(steps) == 1000 // PORTION + 1000 // PORTION + -(-1000 // (ENDPOINTS // 25))


def test_one_long_list_is_taken_in_at_once() -> None:
    """The endpoints of a service are one value; those of other services are not in its portion."""
    keys = [ServiceKey("default", name) for name in "abc"]
    lists = {key: (Endpoint("10.0.0.1"),) * (3 if key.hostname == "b" else 1) for key in keys}
    parts = list(portions(CatalogChange(endpoints=lists), 200, 2))
    assert [[key.hostname for key in part.endpoints] for part in parts] == [["a"], ["b"], ["c"]]


def test_a_flood_of_one_source_does_not_delay_another() -> None:
    """What another source says after a flood began is taken in with the first round of it, and the flood goes on."""
    inbox = Inbox("noisy", "quiet")
    for source in ("noisy", "quiet"):
        inbox.intake.put(source, CatalogChange(services=(service(source),)))
    list(inbox.steps())
    for number in range(10 * ROUND):
        inbox.intake.put("noisy", flip("noisy", number))
    inbox.intake.put("quiet", flip("quiet", 7))
    rounds = []
    while inbox.intake:
        steps = [source for step in inbox.steps(ROUND) for source, _ in step]
        rounds.append(steps)
        assert len(steps) == ROUND + ("quiet" in steps)
        assert inbox.intake.left == bool(inbox.intake)
    assert len(rounds) == 10
    assert rounds[0].index("quiet") <= 1
    newest = inbox.intake.catalog.endpoints(service("noisy").key)
    assert newest == flip("noisy", 10 * ROUND - 1).endpoints[service("noisy").key]


def test_a_change_is_not_divided_between_rounds() -> None:
    """What a source moves in one change is moved in one publication, however large."""
    inbox = Inbox("a")
    services = tuple(service(f"s{number}") for number in range(3 * ROUND))
    inbox.intake.put("a", CatalogChange(services=services))
    inbox.intake.put("a", CatalogChange(removed_services=tuple(each.key for each in services)))
    list(inbox.intake.take(ROUND))
    assert len(inbox.intake.catalog.services()) == 3 * ROUND
    assert inbox.intake.left
    list(inbox.intake.take(ROUND))
    assert not inbox.intake.catalog.services()
    assert not inbox.intake.left


def test_the_first_round_takes_in_everything() -> None:
    """Without a limit nothing is left, so that what is published first is all that the sources had."""
    inbox = Inbox("a", "b")
    for source in ("a", "b"):
        for number in range(3 * ROUND):
            inbox.intake.put(source, CatalogChange(services=(service(f"{source}{number}"),)))
    list(inbox.intake.take())
    assert len(inbox.intake.catalog.services()) == 6 * ROUND
    assert (len(inbox.intake), inbox.intake.left) == (0, False)


def test_a_source_is_counted_once_a_round() -> None:
    """Its state is told when its turn is over, not with every change."""
    inbox = Inbox("a")
    for number in range(50):
        inbox.intake.put("a", CatalogChange(services=(service(f"s{number}"),)))
    inbox.told.clear()
    list(inbox.intake.take())
    assert [(status.name, status.services) for status in inbox.told] == [("a", 50)]


def test_objects_of_the_store_keep_their_revision() -> None:
    """The revision is that of the newest change that was taken in, which may be of an earlier round than the newest."""
    inbox = Inbox(STORE)
    for revision in range(1, 4):
        inbox.intake.put(STORE, ObjectsChange(revision=revision))
    list(inbox.intake.take())
    assert inbox.intake.revision == 3


def entry(name: str, address: str, created: int = 0) -> Any:
    made = parse_object(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:{created:02}Z"},
            "spec": {
                "hosts": [f"{name}.example"],
                "location": "MESH_INTERNAL",
                "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": address}],
            },
        }
    )
    assert not isinstance(made, list), made
    return made


def addresses(inbox: Inbox, name: str) -> list[str]:
    for _ in inbox.intake.take():
        pass
    return [each.address for each in inbox.intake.catalog.endpoints(ServiceKey("default", f"{name}.example"))]


def test_services_that_a_platform_declares_as_objects_give_way_to_the_stores() -> None:
    """An entry of a cluster is a service of the cluster; the same entry in the store takes its place, and gives it back."""
    inbox = Inbox(STORE, "kubernetes:east")
    east, store = entry("a", "10.0.0.1"), entry("a", "10.0.0.2", created=5)
    inbox.intake.put("kubernetes:east", ObjectsChange((east,)))
    assert addresses(inbox, "a") == ["10.0.0.1"]
    assert inbox.told[-1].services == 1
    inbox.intake.put(STORE, ObjectsChange((store,), revision=3))
    assert addresses(inbox, "a") == ["10.0.0.2"]
    assert [problem.file for problem in inbox.intake.problems()] == ["kubernetes:east"]
    inbox.intake.put(STORE, ObjectsChange(removed=(store.ref,), revision=4))
    assert addresses(inbox, "a") == ["10.0.0.1"]
    inbox.intake.put("kubernetes:east", ObjectsChange(removed=(east.ref,)))
    assert addresses(inbox, "a") == []
    assert not list(inbox.intake.problems())


def test_a_platform_may_report_a_service_and_declare_more_of_it_as_an_object() -> None:
    """What stands in a cluster as a service and as an entry of the same host is joined."""
    inbox = Inbox("kubernetes:east")
    known = replace(service("a"), hostname="a.example", endpoints=(Endpoint("10.1.0.1"),))
    inbox.intake.put("kubernetes:east", CatalogChange(services=(known,)))
    inbox.intake.put("kubernetes:east", ObjectsChange((entry("a", "10.0.0.1"),)))
    assert sorted(addresses(inbox, "a")) == ["10.0.0.1", "10.1.0.1"]
    assert inbox.told[-1].endpoints == 2
