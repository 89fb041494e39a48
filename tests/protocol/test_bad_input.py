"""Clients that do what they should not, and what is left of a stream that is over."""

import gc
import weakref
from collections.abc import Callable

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest

from tests.playbook import NODE, DeltaTalk, Make, SotwTalk, Stage, cluster, delta, endpoints, listener, sotw
from xdsd.model.identity import Proof, SpiffeID, StreamIdentity
from xdsd.model.node import Node
from xdsd.protocol import wire
from xdsd.protocol.commands import Code, Detach, Log
from xdsd.protocol.events import Received
from xdsd.protocol.limits import Limits
from xdsd.protocol.sender import Dialect
from xdsd.protocol.stream import Stream
from xdsd.protocol.wire import DeltaRequest
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER


@pytest.mark.parametrize("node", [None, Node("")])
def test_b52_a_first_request_without_a_node_is_refused(node: Node | None) -> None:
    """A node without an id is as good as none."""
    talk = delta(cluster("a"))
    talk.tell(Received(DeltaRequest(CLUSTER, node), 0.0))
    assert talk.closes().code is Code.INVALID_ARGUMENT


def test_no_node_id_looks_like_a_proven_proxys_key() -> None:
    """An id with the sign that stands before a proven identity is refused, so no proxy takes another's place."""
    proven = Node(NODE.id, identity=SpiffeID("td", "default", "a"))
    talk = delta(cluster("a"))
    talk.tell(Received(DeltaRequest(CLUSTER, Node(proven.key)), 0.0))
    assert talk.closes().code is Code.INVALID_ARGUMENT


def test_a_streams_node_has_the_identity_that_was_proven() -> None:
    """The identity of a stream is in its node, and no request says another."""
    stage = Stage(cluster("a"))
    proven = StreamIdentity(SpiffeID("td", "default", "a"), Proof.TOKEN, "1")
    claimed = SpiffeID("td", "default", "b")
    stream = Stream(stage.exchange, Dialect.DELTA, identity=proven)
    stream.handle(Received(DeltaRequest(CLUSTER, Node(NODE.id, identity=claimed)), 0.0))
    assert stream.node is not None
    assert stream.node.identity == proven.identity


def test_b52_later_requests_may_omit_the_node() -> None:
    """The first one said it."""
    talk = delta(cluster("a"), endpoints("a")).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.tell(Received(DeltaRequest(ENDPOINT, None, frozenset("a")), talk.stage.now))
    talk.hears(ENDPOINT, "a")


@pytest.mark.parametrize("make", [delta, sotw])
def test_b53_an_aggregated_request_without_a_type_is_refused(make: Make) -> None:
    """There is no way to tell what it is about."""
    assert make(cluster("a")).asks("").closes().code is Code.INVALID_ARGUMENT


def test_b53_an_unknown_type_keeps_the_stream_open() -> None:
    """It gets no answer and a line in the log, just one; other types are served."""
    talk = delta(cluster("a")).asks("type.googleapis.com/unheard.Of").asks("type.googleapis.com/unheard.Of")
    talk.silent().asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    assert len(talk.commands(Log)) == 1


def test_a_per_type_service_knows_its_type() -> None:
    """The type may be left out there, and another one is refused."""
    talk = delta(cluster("a"), type_url=CLUSTER).asks("")
    talk.hears(CLUSTER, "a")
    assert talk.asks(LISTENER).closes().code is Code.INVALID_ARGUMENT


def test_per_type_services_wait_for_no_other_type() -> None:
    """A cluster's removal on the cluster service goes at once: routes are on another stream."""
    talk = delta(cluster("a"), type_url=CLUSTER).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.acks(CLUSTER).removes(CLUSTER, "a")
    talk.hears(CLUSTER, removed=["a"])


def test_too_many_names_are_refused() -> None:
    """The bound counts all types of the stream, and is said."""
    talk = delta(limits=Limits(names=10)).asks(ENDPOINT, *"abcdefgh")
    talk.asks(CLUSTER, *"abc")
    assert talk.closes().code is Code.RESOURCE_EXHAUSTED
    assert "10" in talk.closes().message


def test_ten_thousand_subscriptions_are_served() -> None:
    """One by one and all at once; each is answered and the stream holds one set."""
    names = [f"n{number}" for number in range(10_000)]
    talk = delta(endpoints("n7"))
    talk.asks(ENDPOINT, *names)
    talk.hears(ENDPOINT, "n7", removed=[name for name in names if name != "n7"])
    talk.acks(ENDPOINT)
    for name in names[:200]:
        talk.asks(ENDPOINT, f"more-{name}")
        talk.acks(ENDPOINT)
    assert talk.status(ENDPOINT).names == 10_200


@pytest.mark.parametrize("make", [DeltaTalk, SotwTalk])
@pytest.mark.parametrize("lines", range(6))
def test_b54_a_stream_that_ends_anywhere_frees_everything(
    make: type[DeltaTalk | SotwTalk], lines: int
) -> None:
    """After any number of lines of the dialogue the exchange holds nothing, and the stream is garbage."""
    stage = Stage(cluster("a"), endpoints("a"), listener("l"))
    talk = make(stage)
    script: tuple[Callable[[DeltaTalk | SotwTalk], object], ...] = (
        lambda it: it.asks(CLUSTER),
        lambda it: it.asks(ENDPOINT, "a"),
        lambda it: it.changes(cluster("a", "2"), removed=[(LISTENER, "l")]),
        lambda it: it.asks(LISTENER, nonce="", error="bad"),
        lambda it: it.removes(CLUSTER, "a"),
    )
    for line in script[:lines]:
        line(talk)
    talk.leaves()
    assert len(talk.commands(Detach)) == bool(lines)
    exchange = stage.exchange
    assert not list(exchange.watches())
    assert not exchange._readers
    assert not exchange._interests
    assert not exchange._streams
    gone = weakref.ref(talk)
    gc.disable()
    try:
        del talk
        assert gone() is None, "freed by reference counting, without the collector"
    finally:
        gc.enable()


def test_a_closed_stream_says_nothing_more() -> None:
    """Events that were on their way are ignored."""
    talk = delta(cluster("a")).asks(CLUSTER)
    talk.leaves().said.clear()
    talk.asks(CLUSTER).writes()
    assert not talk.said


def test_garbage_is_malformed() -> None:
    """Bytes that are no request raise, and say which message they are not."""
    for parse in (wire.parse_delta, wire.parse_sotw):
        with pytest.raises(wire.Malformed, match="DiscoveryRequest"):
            parse(b"\xff\xff\xff")


def test_an_endless_name_is_malformed() -> None:
    """The bound is the cache's, which all requests pass."""
    cache = wire.RequestCache(100)
    with pytest.raises(wire.Malformed, match="100"):
        cache.delta(DeltaDiscoveryRequest(resource_names_subscribe=["n" * 101]).SerializeToString())
    with pytest.raises(wire.Malformed, match="100"):
        cache.sotw(DiscoveryRequest(resource_names=["n" * 101]).SerializeToString())


def test_a_nested_node_is_malformed() -> None:
    """Metadata deeper than anyone needs is refused before it is walked through."""
    request = DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = NODE.id
    place = request.node.metadata
    for _ in range(40):
        place = place.fields["deeper"].struct_value
    place.SetInParent()
    with pytest.raises(wire.Malformed):
        wire.parse_delta(request.SerializeToString())
