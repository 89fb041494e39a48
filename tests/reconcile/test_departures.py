"""What leaves addresses of connected proxies, noted and forgotten."""

from dataclasses import replace

from tests.compile.worlds import proxy, service
from xdsd.compile.compiler import Compiler
from xdsd.compile.layers.own import own_departed
from xdsd.compile.world import read_departed
from xdsd.model.catalog import Departed, Endpoint, Health, Port, Protocol, Service, Workload, WorkloadKey
from xdsd.model.mesh import MeshSettings
from xdsd.reconcile.departures import Departures
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog

HERE, ELSEWHERE = "10.1.0.1", "10.1.0.2"
REVIEWS = service("reviews")


class Place:
    """A catalog whose changes are looked at and then put, as the intake does, and a clock that is set by hand."""

    def __init__(self, *occupied: str) -> None:
        self.now = 0.0
        self.compiler = Compiler(MeshSettings())
        self.catalog = Catalog()
        self.departures = Departures(self.compiler.world, occupied, lambda: self.now)

    def take(self, change: CatalogChange, source: str = "a") -> None:
        world, delta = self.compiler.world, self.catalog.apply(source, change)
        self.departures.look(self.catalog, delta)
        for key in delta.services:
            world.put_service(key, self.catalog.service(key))
        for key in delta.endpoints:
            world.put_endpoints(key, self.catalog.endpoints(key))

    def left(self, address: str = HERE) -> tuple[Departed, ...]:
        return read_departed(self.compiler.graph, address)


def listed(declared: Service, *endpoints: Endpoint) -> CatalogChange:
    return CatalogChange((replace(declared, endpoints=endpoints),))


def test_what_leaves_the_address_of_a_connected_proxy_is_noted() -> None:
    """Whether it is not listed any more, its workload is gone or its service is; elsewhere nothing is noted."""
    here, elsewhere = Endpoint(HERE, ports={"http": 8080}), Endpoint(ELSEWHERE)
    selecting = replace(service("ratings"), selector={"app": "ratings"})
    endpoint = Endpoint(HERE, labels={"app": "ratings"})
    place = Place(HERE)
    place.take(listed(REVIEWS, here, elsewhere))
    place.take(CatalogChange((selecting,), workloads=(Workload("default", "w", endpoint),)))
    place.take(listed(service("details"), Endpoint(HERE, ports={"http": 7070})))
    assert place.left() == ()
    place.take(listed(REVIEWS))
    place.take(CatalogChange(removed_workloads=(WorkloadKey("default", "w"),)))
    place.take(CatalogChange(removed_services=(service("details").key,)))
    left = {each.service.hostname.partition(".")[0]: each.endpoint for each in place.left()}
    assert left == {"reviews": here, "ratings": endpoint, "details": Endpoint(HERE, ports={"http": 7070})}
    assert place.left(ELSEWHERE) == ()


def test_what_stays_is_not_noted() -> None:
    """An endpoint that is only described otherwise, or that another source reports too, is served as before."""
    here = Endpoint(HERE)
    place = Place(HERE)
    place.take(listed(REVIEWS, here))
    place.take(listed(REVIEWS, here), "b")
    place.take(listed(REVIEWS), "b")
    place.take(listed(REVIEWS, replace(here, weight=7, health=Health.DRAINING)))
    place.take(listed(replace(REVIEWS, created="2026-01-01T00:00:00Z"), replace(here, weight=7)))
    assert place.left() == ()


def test_a_port_that_moves_is_noted() -> None:
    """An endpoint at another port, or a service whose endpoints are, leaves the port that it had."""
    place = Place(HERE)
    place.take(listed(REVIEWS, Endpoint(HERE, ports={"http": 8080})))
    place.take(listed(REVIEWS, Endpoint(HERE, ports={"http": 8081})))
    assert [each.endpoint.ports["http"] for each in place.left()] == [8080]
    place.take(listed(REVIEWS, Endpoint(HERE)))
    moved = replace(REVIEWS, ports=(Port(9080, "http", Protocol.HTTP, 9090),))
    place.take(listed(moved, Endpoint(HERE)))
    ports = [each.endpoint.port_for(each.service.ports[0]) for each in place.left()]
    assert ports == [8080, 8081, 9080]


def test_what_left_is_forgotten_in_its_turn() -> None:
    """Each thing so long after it left last, however often it came and went before."""
    place = Place(HERE)
    ratings = service("ratings")

    def come_and_go(which: Service) -> None:
        place.take(listed(which, Endpoint(HERE)))
        place.take(listed(which))

    come_and_go(REVIEWS)
    place.now = 1.0
    come_and_go(ratings)
    place.now = 2.0
    come_and_go(REVIEWS)
    assert len(place.left()) == 2
    assert place.departures.oldest == 1.0
    place.departures.forget(1.0)
    assert [each.service.key for each in place.left()] == [REVIEWS.key]
    place.departures.forget(1.9)
    assert place.left()
    place.departures.forget(2.0)
    assert place.left() == ()
    assert place.departures.oldest is None


def test_a_workload_was_only_what_is_of_its_namespace() -> None:
    """As its services are only those of its own namespace."""
    place = Place(HERE)
    world = place.compiler.world
    foreign = Departed(service("reviews", namespace="other"), Endpoint(HERE))
    world.put_departed(HERE, (Departed(REVIEWS, Endpoint(HERE)), foreign))
    found = list(own_departed(place.compiler.graph, proxy(HERE)))
    assert [each.service.namespace for each in found] == ["default"]
