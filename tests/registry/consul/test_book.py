"""What was told of services, and what a Consul forgot."""

from tests.registry.consul.entries import SOURCE, body, check, entry
from xdsd.model.catalog import Health, ServiceKey
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.consul import ConsulOptions
from xdsd.registry.consul.book import NOTHING, Book
from xdsd.registry.consul.services import Reader

WEB = ServiceKey("default", "web.service.consul")


class Told:
    """A book, and the catalog that follows from what it tells."""

    def __init__(self) -> None:
        self.book = Book(Reader(ConsulOptions(), "mesh.local", SOURCE))
        self.catalog = Catalog()

    def read(
        self, *numbers: int, name: str = "web", port: int = 8080, status: str = "passing"
    ) -> CatalogChange:
        entries = [
            entry(f"{name}-{number}", Address=f"10.0.0.{number}", Port=port, checks=[check(status)])
            for number in numbers
        ]
        return self.told(self.book.take(name, self.book.read(name, body(entries))).change)

    def told(self, change: CatalogChange) -> CatalogChange:
        self.catalog.apply(SOURCE, change)
        return change

    def addresses(self) -> list[str]:
        return sorted(each.address for each in self.catalog.endpoints(WEB))


def test_only_what_differs_is_told() -> None:
    """A new service whole, changed endpoints alone, the same again not at all."""
    told = Told()
    assert [each.key for each in told.read(1).services] == [WEB]
    assert told.read(1) == NOTHING
    change = told.read(1, 2)
    assert (change.services, list(change.endpoints)) == ((), [WEB])
    assert [each.key for each in told.read(1, 2, port=9090).services] == [WEB]
    assert told.told(told.book.drop("web").change).removed_services == (WEB,)
    assert told.book.drop("web").change == NOTHING


def test_both_names_of_a_service_are_told_at_once() -> None:
    """Whatever becomes of it: the common name and that of its datacenter have the same endpoints."""
    book = Book(Reader(ConsulOptions(datacenter="dc2"), "mesh.local", SOURCE))
    keys = (WEB, ServiceKey("default", "web.service.dc2.consul"))
    change = book.take("web", book.read("web", body([entry()]))).change
    assert tuple(each.key for each in change.services) == keys
    change = book.take("web", book.read("web", body([entry(checks=[check("critical")])]))).change
    assert tuple(change.endpoints) == keys
    assert change.endpoints[keys[0]] == change.endpoints[keys[1]] != ()
    assert book.drop("web").change.removed_services == keys


def test_what_was_lost_is_kept_until_it_is_let_go() -> None:
    """All of it, also where the service itself is not there."""
    told = Told()
    told.read(1, 2)
    told.book.lose()
    assert told.book.drop("web").change == NOTHING
    assert told.book.lost(5) == (2, ("web",))
    assert told.addresses() == ["10.0.0.1", "10.0.0.2"]
    (change,) = told.book.let_go()
    assert told.told(change).removed_services == (WEB,)
    assert told.book.lost(5) == (0, ())


def test_what_is_seen_again_is_as_ever() -> None:
    """It changes and leaves at once, while the rest is kept."""
    told = Told()
    told.read(1, 2, 3)
    told.book.lose()
    assert told.read(1) == NOTHING
    told.read(1, status="critical")
    health = {each.address: each.health for each in told.catalog.endpoints(WEB)}
    assert health["10.0.0.1"] is Health.UNHEALTHY
    assert health["10.0.0.2"] is Health.HEALTHY
    told.read()
    assert told.addresses() == ["10.0.0.2", "10.0.0.3"]
    told.read(2)
    assert told.book.lost(5) == (1, ("web",))
    for change in told.book.let_go():
        told.told(change)
    assert told.addresses() == ["10.0.0.2"]


def test_what_was_lost_twice_is_kept_too() -> None:
    """A Consul that is restored in several steps loses what was still missing again."""
    told = Told()
    told.read(1, 2)
    told.book.lose()
    told.read(1)
    told.book.lose()
    told.read(3)
    assert told.addresses() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_nothing_is_lost_that_was_not_known() -> None:
    """And letting go of nothing says nothing."""
    told = Told()
    told.book.lose()
    assert told.book.lost(5) == (0, ())
    assert list(told.book.let_go()) == []


def test_services_of_a_node() -> None:
    """For a check that is of a node."""
    told = Told()
    told.read(1)
    assert told.book.on_node("n1") == {"web"}
    assert told.book.on_node("n2") == frozenset()


def test_what_comes_while_it_is_let_go_is_as_ever() -> None:
    """Step by step: what is read meanwhile is served as it was read, and what is lost meanwhile is kept."""
    told = Told()
    names = ["web", "api", "sql"]
    for name in names:
        told.read(1, 2, name=name)
    told.book.lose()
    letting = told.book.let_go()
    told.told(next(letting))
    assert told.addresses() == []
    told.read(3, name="api")
    told.read(4, name="sql")
    told.book.lose()
    for change in letting:
        told.told(change)
    found = {
        name: [
            each.address for each in told.catalog.endpoints(ServiceKey("default", f"{name}.service.consul"))
        ]
        for name in names
    }
    assert found == {"web": [], "api": ["10.0.0.3"], "sql": ["10.0.0.4"]}
    assert told.book.lost(5) == (2, ("api", "sql"))
    assert told.book.lost(1) == (2, ("api",))
