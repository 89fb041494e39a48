"""What follows of peers: what they are offered, and global names in the catalog."""

from dataclasses import replace
from typing import Any

from tests.peering.test_offer import service as told
from xdsd.compile.endpoints import TLS_MODE_LABEL
from xdsd.model.catalog import BEHIND, Endpoint, Health, Location, Port, Protocol, Service, ServiceKey
from xdsd.model.intent import Peer, Residency
from xdsd.model.problem import ObjectRef
from xdsd.peering.book import Book
from xdsd.peering.values import Begin, Gateway, SharedKey, Summary, Update
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog

A = ServiceKey("foo", "a.foo.svc.cluster.local")
GLOBAL = ServiceKey("foo", "a.foo.global")
KEY = SharedKey("foo", "a")
MUTUAL = {TLS_MODE_LABEL: "istio"}


def local(address: str = "10.0.0.1", locality: str = "eu/a", **changes: Any) -> Endpoint:
    return Endpoint(address, labels=MUTUAL, locality=locality, **{"service_account": "x", **changes})


def a(*endpoints: Endpoint, **changes: Any) -> Service:
    fields: dict[str, Any] = {"location": Location.MESH_INTERNAL, "endpoints": endpoints, **changes}
    return Service("foo", A.hostname, (Port(80, "http", Protocol.HTTP, 8080),), **fields)


def peer(**fields: Any) -> Peer:
    return Peer.model_validate({"trustDomain": "a.example", "exports": [{}], "imports": [{}], **fields})


class Mesh:
    """A catalog and a book about it, joined as the daemon does."""

    def __init__(self, *services: Service) -> None:
        self.catalog = Catalog()
        self.book = Book("west", "west.example", "cluster.local", self.catalog)
        self.here(CatalogChange(services=services))

    def here(self, change: CatalogChange) -> None:
        delta = self.catalog.apply("store", change)
        self.book.here_changed(delta.services | delta.endpoints)
        self.settle()

    def settle(self) -> None:
        self.catalog.apply("mesh:west", self.book.drain_local())
        for name in self.book.peers:
            self.catalog.apply(f"peer:{name}", self.book.drain(name, f"peer:{name}"))

    def peer(self, name: str = "east", **fields: Any) -> None:
        self.book.put_peer(name, peer(**fields), "one")
        self.book.offer_some()
        self.settle()

    def hears(self, update: Update, name: str = "east") -> None:
        intake = self.book.intakes[name]
        if not intake.synced:
            intake.begins(Begin(name, "a.example", "one"))
        self.book.touch(name, intake.takes(update))
        self.settle()

    def at(self) -> list[tuple[str, str, Health]]:
        return [(each.address, each.locality, each.health) for each in self.catalog.endpoints(GLOBAL)]


EAST = (Gateway("192.0.2.1", 15443),)


def test_without_peers_there_are_no_global_names() -> None:
    """Who does not share pays nothing; the last peer takes the names along."""
    mesh = Mesh(a(local()))
    assert mesh.catalog.service(GLOBAL) is None
    mesh.peer()
    assert mesh.at() == [("10.0.0.1", "eu/a", Health.HEALTHY)]
    mesh.catalog.apply("peer:east", mesh.book.drop_peer("east"))
    mesh.settle()
    assert mesh.catalog.service(GLOBAL) is None


def test_a_name_has_local_endpoints_and_the_gateways_of_peers() -> None:
    """Gateways stand where most of the endpoints are, with the weight of those that are well, and say who answers."""
    mesh = Mesh(a(local()))
    mesh.peer()
    mesh.hears(Update(1, True, (told("a", healthy=2),), gateways=EAST))
    assert mesh.at() == [("10.0.0.1", "eu/a", Health.HEALTHY), ("192.0.2.1", "eu/a", Health.HEALTHY)]
    gateway = mesh.catalog.endpoints(GLOBAL)[1]
    assert gateway.labels == {**MUTUAL, BEHIND: "east"}
    assert gateway.ports == {"http": 15443}
    assert (gateway.weight, gateway.identities) == (2, ("spiffe://a.example/ns/foo/sa/x",))
    assert not mesh.catalog.problems


def test_what_a_peer_has_comes_after_what_is_here() -> None:
    """Also where neither tells since when it is there, and whatever the peer calls it: it takes no port from anybody."""
    mesh = Mesh(replace(a(), hostname="z.foo.svc.cluster.local"))
    mesh.peer()
    mesh.hears(Update(1, True, (told("a"),), gateways=EAST))
    here = mesh.catalog.service(ServiceKey("foo", "z.foo.svc.cluster.local"))
    there = mesh.catalog.service(GLOBAL)
    assert here is not None
    assert there is not None
    assert sorted([there, here], key=lambda each: (each.age, each.hostname)) == [here, there]


def test_a_name_is_there_where_only_a_peer_has_it() -> None:
    """And goes with the peer's last word of it."""
    mesh = Mesh()
    mesh.peer()
    mesh.hears(Update(1, True, (told("a"),), gateways=EAST))
    assert mesh.at() == [("192.0.2.1", "eu/a", Health.HEALTHY)]
    mesh.hears(Update(2, True, removed=(KEY,)))
    assert mesh.catalog.service(GLOBAL) is None


def test_a_service_without_healthy_endpoints_there_gets_no_traffic_there() -> None:
    """The peer's gateways are ill for it, until a summary says otherwise."""
    mesh = Mesh(a(local()))
    mesh.peer()
    mesh.hears(Update(1, True, (told("a"),), gateways=EAST))
    mesh.hears(Update(2, True, health=((KEY, (Summary("eu/a", 0, 2, 0),)),)))
    assert mesh.at()[1] == ("192.0.2.1", "eu/a", Health.UNHEALTHY)
    mesh.hears(Update(3, True, health=((KEY, (Summary("eu/a", 1, 2, 1),)),)))
    assert mesh.at()[1] == ("192.0.2.1", "eu/a", Health.HEALTHY)


def test_a_flip_here_is_one_list_of_endpoints_and_one_summary() -> None:
    """Nothing is said of the service again."""
    mesh = Mesh(a(local()))
    mesh.peer()
    offer = mesh.book.offers["east"]
    assert offer.get(KEY) is not None
    ill = local(health=Health.UNHEALTHY)
    delta = mesh.catalog.apply("store", CatalogChange(endpoints={A: (ill,)}))
    mesh.book.here_changed(delta.endpoints)
    change = mesh.book.drain_local()
    assert (change.services, change.endpoints) == ((), {GLOBAL: (ill,)})
    shared = offer.get(KEY)
    assert shared is not None
    assert shared.summaries == (Summary("eu/a", 0, 1, 0),)
    assert shared.identities == ("spiffe://west.example/ns/foo/sa/x",)


def test_only_what_a_peer_may_know_is_offered_to_it() -> None:
    """By the exports of its Peer, which may change; what a peer has is never offered on."""
    mesh = Mesh(a(local()))
    mesh.peer("east", exports=[{"namespaces": ["bar"]}])
    mesh.peer("north")
    mesh.hears(Update(1, True, (told("b"),), gateways=EAST))
    assert [len(mesh.book.offers[name]) for name in ("east", "north")] == [0, 1]
    mesh.peer("east", exports=[{"namespaces": ["foo"]}])
    assert mesh.book.offers["east"].services == (KEY,)


def test_services_that_not_everybody_sees_have_no_global_name() -> None:
    """Nor have those that are not of the mesh, or whose host is of another form."""
    mesh = Mesh(
        a(local(), export_to=(".",)),
        Service("foo", "www.example.com", (), location=Location.MESH_INTERNAL),
        Service("foo", "b.foo.svc.cluster.local", ()),
    )
    mesh.peer()
    assert len(mesh.catalog.services()) == 3
    assert mesh.book.offers["east"].services == ()


def test_endpoints_that_take_no_mutual_tls_are_none_for_peers() -> None:
    """No gateway leads to them."""
    mesh = Mesh(a(local(), Endpoint("10.0.0.2", locality="eu/a")))
    mesh.peer()
    shared = mesh.book.offers["east"].get(KEY)
    assert shared is not None
    assert shared.summaries == (Summary("eu/a", 1, 1, 1),)


def test_a_residency_wins_over_every_failover() -> None:
    """Endpoints outside of its regions are not there, be they here or a peer's."""
    mesh = Mesh(a(local(), local("10.0.0.2", "us/a")))
    mesh.peer()
    mesh.hears(Update(1, True, (told("a"),), gateways=EAST))
    ref = ObjectRef("Residency", "foo", "stays")
    for regions, left in (
        (["us"], ["10.0.0.2"]),
        (["eu"], ["10.0.0.1", "192.0.2.1"]),
        (["asia"], []),
    ):
        mesh.book.put_residency(ref, Residency.model_validate({"regions": regions}))
        mesh.settle()
        assert [address for address, _, _ in mesh.at()] == left
    mesh.book.put_residency(ref, None)
    mesh.settle()
    assert len(mesh.at()) == 3


def test_a_gateway_that_leads_into_other_regions_too_is_not_used_under_a_residency() -> None:
    """Which endpoint it chooses is not ours to say."""
    mesh = Mesh()
    mesh.peer()
    spec = Residency.model_validate({"regions": ["eu"], "names": ["a"]})
    mesh.book.put_residency(ObjectRef("Residency", "foo", "stays"), spec)
    both = (Summary("eu/a", 1, 1, 1), Summary("us/a", 1, 1, 1))
    mesh.hears(Update(1, True, (told("a"), told("b")), gateways=EAST))
    assert mesh.at()
    mesh.hears(Update(2, True, health=((KEY, both), (SharedKey("foo", "b"), both))))
    assert mesh.at() == []
    assert mesh.catalog.endpoints(ServiceKey("foo", "b.foo.global"))


def test_what_a_new_peer_is_offered_is_found_out_in_turns() -> None:
    """So much at a time as is asked; the peer is told nothing before all of it is known, and is told of changes then."""
    services = [replace(a(local()), hostname=f"s{number}.foo.svc.cluster.local") for number in range(5)]
    book = Mesh(*services).book
    book.put_peer("east", peer(), "one")
    assert book.offer_some(2) == {"east"}
    assert (len(book.offers["east"]), book.is_beginning("east"), book.left) == (2, True, True)
    book.offer_some(2)
    assert book.offer_some(2) == {"east"}
    assert (len(book.offers["east"]), book.is_beginning("east")) == (5, False)
    book.put_peer("east", peer(exports=[{"names": ["s1"]}]), "one")
    assert not book.is_beginning("east")
    book.offer_some()
    assert book.offers["east"].services == (SharedKey("foo", "s1"),)
    assert book.offer_some() == frozenset()
