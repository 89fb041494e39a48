"""What peers tell each other on the wire: what it costs, and that nothing that is told does harm."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.peering.wire import (
    MAX_ENTRIES,
    Unreadable,
    begin_message,
    hello_message,
    read_begin,
    read_hello,
    read_update,
    update_message,
)
from api.proto.xdsd.peer.v1 import peering_pb2 as pb
from tests.peering.test_intake import BEGIN, terms
from tests.peering.test_offer import ALL, offered, service, told
from xdsd.peering.intake import Intake, Refused
from xdsd.peering.offer import Delivery
from xdsd.peering.values import Begin, Gateway, Hello, SharedKey, Summary, Update, Wanted

TEXT = st.sampled_from(["", "foo", "a", "b", "a.b", "*", "x" * 300, "\x00", "192.0.2.1", "HTTP", "eu/a"])
NUMBER = st.sampled_from([0, 1, 80, 65535, 65536, 2**31, 2**32 - 1])
SUMMARY = st.builds(pb.Summary, locality=TEXT, healthy=NUMBER, total=NUMBER, weight=NUMBER)
KEY = st.builds(pb.Key, namespace=TEXT, name=TEXT)
PORT = st.builds(pb.Port, number=NUMBER, name=TEXT, protocol=TEXT)
IDENTITY = st.sampled_from(["spiffe://a.example/ns/foo/sa/x", "spiffe://b/ns/foo/sa/x", "", "x"])
SERVICE = st.builds(
    pb.Service,
    key=KEY,
    ports=st.lists(PORT, max_size=2),
    identities=st.lists(IDENTITY, max_size=2),
    summaries=st.lists(SUMMARY, max_size=2),
)
UPDATE = st.builds(
    pb.Update,
    generation=NUMBER,
    complete=st.booleans(),
    services=st.lists(SERVICE, max_size=3),
    health=st.lists(st.builds(pb.Health, key=KEY, summaries=st.lists(SUMMARY, max_size=2)), max_size=3),
    removed=st.lists(KEY, max_size=2),
    gateways=st.none()
    | st.builds(
        pb.Gateways,
        gateways=st.lists(st.builds(pb.Gateway, address=TEXT, port=NUMBER, locality=TEXT), max_size=2),
    ),
    bundle=st.none() | st.binary(max_size=20),
)


def test_everything_that_is_told_arrives_as_it_was_said() -> None:
    """Hello, begin and updates, with what is absent apart from what is empty."""
    hello = Hello("west", (Wanted(("foo",), ("a", "b")), Wanted()), "one", 7)
    assert read_hello(hello_message(hello)) == hello
    begin = Begin("east", "a.example", "one", True)
    assert read_begin(begin_message(begin)) == begin
    key, summaries = SharedKey("foo", "b"), (Summary("eu/a", 1, 2, 3),)
    full = Update(
        7, True, (service("a"),), ((key, summaries),), (key,), (Gateway("192.0.2.1", 1, "eu"),), b"x"
    )
    for update in (full, Update(8, False), Update(9, True, gateways=(), bundle=b"")):
        assert read_update(update_message(update)) == update


def test_a_flip_costs_the_same_however_much_is_offered() -> None:
    """The bytes on the stream are those of one summary, and few."""
    sizes = set()
    for count in (10, 2000):
        offer = offered(*(service(f"s{number:04}") for number in range(count)))
        delivery = Delivery(offer, Hello("west", ALL))
        while (update := delivery.next()) is not None:
            delivery.acknowledged(update.generation)
        flipped = service("s0001", healthy=0)
        offer.put(flipped.key, flipped)
        sizes.add(len(update_message(told(delivery)).SerializeToString()))
    (size,) = {each // 2 * 2 for each in sizes}  # a larger generation may take a byte more
    assert size < 48


def test_a_message_about_too_much_is_not_read() -> None:
    """Whoever has more to say makes several of it."""
    with pytest.raises(Unreadable, match="1001 services"):
        read_update(
            update_message(
                Update(1, True, removed=tuple(SharedKey("a", "b") for _ in range(MAX_ENTRIES + 1)))
            )
        )


@settings(max_examples=200, deadline=None)
@given(st.lists(UPDATE, max_size=4))
def test_whatever_a_peer_says_only_what_it_may_say_is_known(updates: list[pb.Update]) -> None:
    """Nothing raises but a refusal; what is known is well-formed, of the peer's domain and asked for."""
    intake = Intake("west", terms())
    intake.begins(BEGIN)
    for each in updates:
        try:
            intake.takes(read_update(pb.SubscribeResponse(update=each)))
        except (Refused, Unreadable):
            return
    for key, shared in intake.services.items():
        assert key.namespace == "foo"
        assert all(each.startswith("spiffe://a.example/ns/foo/") for each in shared.identities)
        assert all(0 <= each.healthy <= each.total for each in shared.summaries)
    assert all(1 <= each.port <= 65535 for each in intake.gateways)
