"""Streams that begin where another one ended, and streams that begin before there is anything to say."""

import pytest

from tests.playbook import NODE, DeltaTalk, SotwTalk, Stage, cluster, delta, endpoints, listener, route, sotw
from xdsd.protocol.commands import Accepted
from xdsd.protocol.events import Attached
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, LayerChange, SnapshotChange


def test_b39_the_first_request_of_a_type_is_initial_whatever_nonce_it_carries() -> None:
    """Also with an error of the last connection."""
    talk = delta(cluster("a")).asks(CLUSTER, nonce="7", error="old story")
    talk.hears(CLUSTER, "a")
    assert not talk.commands(Accepted)
    talk_sotw = sotw(cluster("a")).asks(CLUSTER, nonce="7", version="old", error="old story")
    talk_sotw.hears(CLUSTER, "a")


def test_b40_equal_is_skipped_different_is_sent_gone_is_removed() -> None:
    """A reconnecting proxy gets the difference to what it says it has."""
    talk = delta(endpoints("same"), endpoints("new"), endpoints("changed"))
    known = {"same": endpoints("same").version, "changed": "old", "gone": "1"}
    talk.asks(ENDPOINT, "same", "new", "changed", "gone", "never", known=known)
    talk.hears(ENDPOINT, "new", "changed", removed=["gone", "never"])


def test_b40_a_wildcard_resumes_too() -> None:
    """What is gone is told removed even though the client did not name it."""
    talk = delta(listener("same"), listener("new"))
    talk.asks(LISTENER, known={"same": listener("same").version, "gone": "1"})
    talk.hears(LISTENER, "new", removed=["gone"])


def test_b40_versions_come_from_content() -> None:
    """Two replicas that made the same content call it the same, so a move between them sends nothing."""
    first = delta(cluster("a"), endpoints("a")).asks(CLUSTER).asks(ENDPOINT, "a")
    clusters = first.hears(CLUSTER, "a").resources
    load = first.hears(ENDPOINT, "a").resources
    second = delta(cluster("b"), cluster("a"), endpoints("a")).removes(CLUSTER, "b")
    second.asks(CLUSTER, known=clusters).asks(ENDPOINT, "a", known=load)
    second.hears(CLUSTER)
    second.silent()


def test_b40_changes_after_the_resume_are_ordinary() -> None:
    """The claimed versions are forgotten once they are compared."""
    talk = delta(endpoints("a")).asks(ENDPOINT, "a", known={"a": endpoints("a").version})
    talk.silent().changes(endpoints("a", "2"))
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT).changes(endpoints("a", "1"))
    talk.hears(ENDPOINT, "a")


@pytest.mark.parametrize("dialect", [DeltaTalk, SotwTalk])
def test_b43_nothing_is_answered_before_the_first_full_state(dialect: type[DeltaTalk | SotwTalk]) -> None:
    """A wildcard is not answered with nothing while the mesh is not known yet; then it is answered in order."""
    stage = Stage(nodes=())
    talk = dialect(stage).asks(CLUSTER).asks(ENDPOINT, "a").asks(LISTENER)
    talk.silent()
    change = LayerChange(stage.exchange.snapshot.layers["view"].id, (cluster("a"), endpoints("a")))  # type: ignore[index]
    stage.apply(SnapshotChange(2, (change,), assigned={NODE.id: ("view",)}))  # type: ignore[dict-item]
    talk.hears(CLUSTER, "a")
    talk.hears(ENDPOINT, "a")
    talk.hears(LISTENER)


def test_b43_nothing_is_answered_before_the_mesh_took_the_node_in() -> None:
    """Requests that come meanwhile are kept."""
    talk = DeltaTalk(Stage(cluster("a"), endpoints("a")), attach=False).asks(CLUSTER).asks(ENDPOINT, "a")
    talk.silent().tell(Attached(talk.stage.now))
    talk.hears(CLUSTER, "a")
    talk.hears(ENDPOINT, "a")


def test_two_streams_of_one_node_are_both_served() -> None:
    """A proxy that reconnects before its old stream is noticed gone."""
    stage = Stage(route("a"), listener("a"))
    old = DeltaTalk(stage).asks(LISTENER)
    old.hears(LISTENER, "a")
    old.acks(LISTENER)
    new = DeltaTalk(stage).asks(LISTENER)
    new.hears(LISTENER, "a")
    new.acks(LISTENER).changes(listener("a", "2"))
    old.hears(LISTENER, "a")
    new.hears(LISTENER, "a")
    old.leaves()
    new.acks(LISTENER).changes(listener("a", "3"))
    new.hears(LISTENER, "a")
