"""What a stream is told of an offer."""

import pytest

from xdsd.model.catalog import Protocol
from xdsd.peering.offer import PORTION, REMEMBERED, Delivery, Offer
from xdsd.peering.values import Gateway, Hello, Shared, SharedKey, SharedPort, Summary, Update, Wanted

ALL = (Wanted(),)


def service(name: str, healthy: int = 1, port: int = 80, namespace: str = "foo") -> Shared:
    key = SharedKey(namespace, name)
    ports = (SharedPort(port, "http", Protocol.HTTP),)
    return Shared(
        key, ports, (f"spiffe://a.example/ns/{namespace}/sa/x",), (Summary("eu/a", healthy, 2, healthy),)
    )


def offered(*services: Shared) -> Offer:
    offer = Offer("one")
    for each in services:
        offer.put(each.key, each)
    return offer


def told(delivery: Delivery) -> Update:
    update = delivery.next()
    assert update is not None
    delivery.acknowledged(update.generation)
    return update


def test_a_stream_is_told_everything_first_and_then_what_changes() -> None:
    """The first update is complete; a flip is one summary and nothing else."""
    offer = offered(service("a"), service("b"))
    offer.set_gateways((Gateway("192.0.2.1", 15443),))
    offer.set_bundle(b"pem")
    delivery = Delivery(offer, Hello("west", ALL))
    first = told(delivery)
    assert (first.complete, first.services, first.bundle) == (True, (service("a"), service("b")), b"pem")
    assert first.gateways == (Gateway("192.0.2.1", 15443),)
    assert delivery.next() is None
    offer.put(SharedKey("foo", "b"), service("b", healthy=0))
    flip = told(delivery)
    assert flip == Update(
        offer.generation, True, health=((SharedKey("foo", "b"), (Summary("eu/a", 0, 2, 0),)),)
    )


def test_an_empty_offer_is_complete_too() -> None:
    """Who subscribes to nothing hears that it is nothing."""
    delivery = Delivery(Offer("one"), Hello("west", ALL))
    assert told(delivery) == Update(0, True)
    assert delivery.next() is None


def test_changes_merge_while_an_update_is_under_way() -> None:
    """Only the newest state of a service is told, once the last update has arrived."""
    offer = offered(service("a"))
    delivery = Delivery(offer, Hello("west", ALL))
    first = delivery.next()
    assert first is not None
    for healthy in (0, 1, 0):
        offer.put(SharedKey("foo", "a"), service("a", healthy))
        assert delivery.next() is None
    delivery.acknowledged(first.generation)
    assert told(delivery).health == ((SharedKey("foo", "a"), (Summary("eu/a", 0, 2, 0),)),)
    assert delivery.next() is None


def test_a_service_that_flips_while_much_is_told_is_told_whole() -> None:
    """What moves to the end before its turn has not been described to the stream yet."""
    offer = offered(*(service(f"s{number}") for number in range(PORTION + 1)))
    delivery = Delivery(offer, Hello("west", ALL))
    late = SharedKey("foo", f"s{PORTION}")
    first = delivery.next()
    assert first is not None
    assert not first.complete
    assert len(first.services) == PORTION
    offer.put(late, service(late.name, healthy=0))
    delivery.acknowledged(first.generation)
    second = told(delivery)
    assert second.complete
    assert second.services == (service(late.name, healthy=0),)


def test_a_service_that_goes_while_much_is_told_is_told_to_be_gone() -> None:
    """What was told in an earlier part of the first state does not stay."""
    offer = offered(*(service(f"s{number}") for number in range(PORTION + 1)))
    delivery = Delivery(offer, Hello("west", ALL))
    told(delivery)
    offer.put(SharedKey("foo", "s0"), None)
    assert told(delivery).removed == (SharedKey("foo", "s0"),)


def test_a_stream_goes_on_where_it_was() -> None:
    """With the epoch and generation that it knows, it is told what changed since, removals too."""
    offer = offered(service("a"), service("b"), service("c"))
    known = told(Delivery(offer, Hello("west", ALL))).generation
    offer.put(SharedKey("foo", "a"), None)
    offer.put(SharedKey("foo", "b"), service("b", port=81))
    delivery = Delivery(offer, Hello("west", ALL, "one", known))
    assert delivery.begin("east", "east.example").resumed
    update = told(delivery)
    assert (update.removed, update.services) == ((SharedKey("foo", "a"),), (service("b", port=81),))


def test_a_stream_that_goes_on_hears_so_where_nothing_changed() -> None:
    """Else it would wait to be told everything, and let go what it knows in the end."""
    offer = offered(service("a"))
    known = told(Delivery(offer, Hello("west", ALL))).generation
    delivery = Delivery(offer, Hello("west", ALL, "one", known))
    assert told(delivery) == Update(known, True)
    assert delivery.next() is None


@pytest.mark.parametrize(
    ("epoch", "generation"), [("other", 1), ("one", 99), ("", 0)], ids=["restarted", "future", "new"]
)
def test_a_stream_that_cannot_go_on_begins_anew(epoch: str, generation: int) -> None:
    """Another log, or a generation that never was: everything is told."""
    delivery = Delivery(offered(service("a")), Hello("west", ALL, epoch, generation))
    assert not delivery.begin("east", "east.example").resumed
    assert told(delivery).services == (service("a"),)


def test_what_was_removed_long_ago_is_forgotten_and_old_streams_begin_anew() -> None:
    """Memory is bounded: a stream from before what is forgotten is told everything."""
    offer = offered(service("a"))
    known = offer.generation
    for number in range(REMEMBERED + 1):
        each = service(f"s{number}")
        offer.put(each.key, each)
        offer.put(each.key, None)
    assert not Delivery(offer, Hello("west", ALL, "one", known)).resumed
    assert Delivery(offer, Hello("west", ALL, "one", offer.generation)).resumed


def test_only_what_is_asked_for_is_told() -> None:
    """A service that was not asked for is not named, nor does its change wake the stream."""
    offer = offered(service("a"), service("b"), service("a", namespace="bar"))
    delivery = Delivery(offer, Hello("west", (Wanted(("foo",), ("a",)),)))
    assert [each.key for each in told(delivery).services] == [SharedKey("foo", "a")]
    offer.put(SharedKey("foo", "b"), service("b", healthy=0))
    assert delivery.next() is None


def test_what_was_not_sent_cannot_be_acknowledged() -> None:
    """A stream that acknowledges something else is at fault."""
    delivery = Delivery(offered(service("a")), Hello("west", ALL))
    with pytest.raises(ValueError, match="generation 7"):
        delivery.acknowledged(7)


def test_saying_the_same_again_is_no_change() -> None:
    """Nothing is told that is known."""
    offer = offered(service("a"))
    assert not offer.put(SharedKey("foo", "a"), service("a"))
    assert not offer.put(SharedKey("foo", "z"), None)
    assert not offer.set_gateways(())
    assert offer.generation == 1


def behind(delivery: Delivery) -> bool:
    return delivery.is_behind


def test_a_stream_that_missed_what_is_forgotten_begins_anew() -> None:
    """More went than is remembered while it was told something else: it would keep what is gone. One that began since then
    was never told of it.
    """
    names = [f"a{number}" for number in range(REMEMBERED + 2)]
    offer = offered(*(service(name) for name in names))
    slow = Delivery(offer, Hello("west", ALL))
    assert not told(slow).complete
    for name in names[1:-1]:
        offer.put(SharedKey("foo", name), None)
    assert not behind(slow)
    offer.put(SharedKey("foo", names[-1]), None)
    assert behind(slow)
    quick = Delivery(offer, Hello("west", ALL))
    assert told(quick).services == (service("a0"),)
    assert not behind(quick)
    offer.put(SharedKey("foo", "a0"), None)
    assert not behind(quick)
    update = told(quick)
    while not update.complete:
        update = told(quick)
    assert SharedKey("foo", "a0") in update.removed
