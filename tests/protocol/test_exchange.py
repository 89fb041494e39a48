"""What streams share."""

from tests.playbook import VIEW, DeltaTalk, SotwTalk, Stage, endpoints, listener
from xdsd.model.node import Node
from xdsd.protocol.commands import Send
from xdsd.snapshot import ENDPOINT, LISTENER, LayerChange, LayerId, SnapshotChange

NAMES = [f"n{number}" for number in range(100)]


def proxies(stage: Stage, count: int) -> list[DeltaTalk]:
    """Clients that asked for the same hundred names, each with a set of its own, and are up to date."""
    talks = []
    for _ in range(count):
        talk = DeltaTalk(stage).asks(ENDPOINT, *NAMES)
        talk.hears(ENDPOINT, *NAMES)
        talks.append(talk.acks(ENDPOINT))
    return talks


def test_equal_interests_are_one_object() -> None:
    """A thousand streams of a view hold one set of names."""
    stage = Stage(*map(endpoints, NAMES))
    talks = proxies(stage, 10)
    assert len({id(watch.interest.names) for talk in talks for watch in talk.stream.watches}) == 1


def test_a_response_is_joined_once_for_all_streams() -> None:
    """Ten connects join once and ten pushes of a flip join once; every stream writes the same bytes object."""
    stage = Stage(*map(endpoints, NAMES))
    talks = proxies(stage, 10)
    assert stage.exchange.joins == 1
    stage.change(endpoints("n7", "2"))
    assert stage.exchange.joins == 2
    bodies = {id(talk.commands(Send)[-1].parts[0]) for talk in talks}
    assert len(bodies) == 1


def test_streams_of_different_workloads_share_what_they_have_in_common() -> None:
    """Each has a layer of its own beside the common one; the common part is joined once."""
    nodes = [f"node{number}" for number in range(5)]
    stage = Stage(listener("shared"), nodes=())
    own = tuple(LayerChange(LayerId(node), (listener(node),)) for node in nodes)
    stage.apply(SnapshotChange(2, own, assigned={node: (VIEW, LayerId(node)) for node in nodes}))
    for node in nodes:
        talk = DeltaTalk(stage, node=Node(node)).asks(LISTENER)
        talk.hears(LISTENER, "shared", node)
        talk.acks(LISTENER)
    assert stage.exchange.joins == 1 + len(nodes)
    stage.change(listener("shared", "2"))
    assert stage.exchange.joins == 2 + len(nodes)


def test_a_flip_concerns_only_those_who_asked() -> None:
    """Streams with other interests are not even told."""
    stage = Stage(endpoints("a"), endpoints("b"))
    one, two = DeltaTalk(stage).asks(ENDPOINT, "a"), DeltaTalk(stage).asks(ENDPOINT, "b")
    change = SnapshotChange(2, (LayerChange(VIEW, (endpoints("b", "2"),)),))
    stage.snapshot.apply(change)
    assert stage.exchange.publish(change, 0.0) == [two.stream]
    assert one.stream not in stage.exchange.publish(change, 0.0)


def test_a_stream_that_is_up_to_date_remembers_no_names() -> None:
    """After everything is accepted a watch holds its interest and nothing by name."""
    stage = Stage(*map(endpoints, NAMES))
    (talk,) = proxies(stage, 1)
    (watch,) = talk.stream.watches
    assert not watch.due
    assert watch.flight is None
    assert (watch.behind, watch.known, watch.held, watch.rejected, watch.sent) == (None,) * 5
    assert not watch.again


def test_the_memory_of_removals_ends_when_all_streams_know() -> None:
    """A stream that still lags keeps it; when it caught up, the layer forgets."""
    stage = Stage(endpoints("a"), endpoints("b"))
    talk = DeltaTalk(stage).asks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "a", "b")
    stage.change(removed=[(ENDPOINT, "a")])
    stage.exchange.forget()
    talk.acks(ENDPOINT)
    talk.hears(ENDPOINT, removed=["a"])
    stage.exchange.forget()
    assert "a" not in list(stage.snapshot.layers[VIEW].changed_since(ENDPOINT, 0))


def test_kept_bytes_are_bounded() -> None:
    """Parts beyond the bound are made anew for the next stream."""
    stage = Stage(*map(endpoints, NAMES))
    stage.exchange._keep_bytes = 10
    proxies(stage, 3)
    assert stage.exchange.joins == 3
    assert not stage.exchange._parts


def test_both_dialects_live_on_the_same_resources() -> None:
    """A SotW stream beside a delta stream joins its own bytes of the same part."""
    stage = Stage(endpoints("a"))
    talk, old = DeltaTalk(stage).asks(ENDPOINT, "a"), SotwTalk(stage).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    old.hears(ENDPOINT, "a")
    assert stage.exchange.joins == 2
