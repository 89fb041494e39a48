"""A client whose transport takes nothing."""

from tests.playbook import DeltaTalk, Stage, cluster, endpoints, listener
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER


def stalled(stage: Stage) -> DeltaTalk:
    """Its first response was handed to the transport and is still there."""
    talk = DeltaTalk(stage)
    talk.stalled = True
    talk.asks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "a", "b")
    return talk


def test_b49_requests_are_heard_while_a_write_is_blocked() -> None:
    """They are answered when the write is over."""
    talk = stalled(Stage(endpoints("a"), endpoints("b"), cluster("c"), listener("l")))
    talk.asks(CLUSTER).asks(LISTENER).silent().writes()
    talk.hears(CLUSTER, "c")
    talk.hears(LISTENER, "l")


def test_b50_nothing_is_queued_for_a_client_that_does_not_read() -> None:
    """One response is with the transport, however much changes and however long it takes."""
    talk = stalled(Stage(endpoints("a"), endpoints("b")))
    for number in range(100):
        talk.changes(endpoints("a", f"{number}"), cluster(f"{number}")).waits(1)
    talk.silent()


def test_b51_after_a_stall_only_the_latest_state_comes() -> None:
    """A thousand updates become one resource."""
    talk = stalled(Stage(endpoints("a"), endpoints("b")))
    for number in range(1000):
        talk.changes(endpoints("a", f"{number}"))
    talk.acks(ENDPOINT).writes()
    assert talk.hears(ENDPOINT, "a").resources["a"] == endpoints("a", "999").version
    talk.acks(ENDPOINT).silent()


def test_b50_a_slow_reader_costs_the_others_nothing() -> None:
    """Its neighbour in the same view gets each change at once."""
    stage = Stage(endpoints("a"), endpoints("b"))
    stalled(stage)
    quick = DeltaTalk(stage).asks(ENDPOINT, "a")
    quick.hears(ENDPOINT, "a")
    for number in range(10):
        quick.acks(ENDPOINT).changes(endpoints("a", f"{number}"))
        quick.hears(ENDPOINT, "a")
