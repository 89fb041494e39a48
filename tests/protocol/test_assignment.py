"""Proxies that are served by other layers than before."""

from collections.abc import Iterable

import pytest

from tests.playbook import NODE, VIEW, DeltaTalk, SotwTalk, Stage, cluster, endpoints, listener, route
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, LayerChange, LayerId, Resource, SnapshotChange

OTHER = LayerId("other")
INBOUND = LayerId("inbound")


def assign(
    stage: Stage, *layers: LayerId, dropped: Iterable[LayerId] = (), **made: Iterable[Resource]
) -> None:
    """The node moves to ``layers``; some of them are ``made`` in the same change."""
    changes = tuple(LayerChange(LayerId(name), tuple(resources)) for name, resources in made.items())
    stage.apply(
        SnapshotChange(stage.snapshot.generation + 1, changes, tuple(dropped), assigned={NODE.id: layers})
    )


def test_only_real_differences_are_sent() -> None:
    """What both layers hold with the same content is not sent again; what only the old one holds is removed."""
    stage = Stage(listener("same"), listener("changes"), listener("goes"))
    talk = DeltaTalk(stage).asks(LISTENER)
    talk.hears(LISTENER, "same", "changes", "goes")
    talk.acks(LISTENER)
    assign(stage, OTHER, other=[listener("same"), listener("changes", "2"), listener("comes")])
    talk.hears(LISTENER, "changes", "comes", removed=["goes"])
    talk.acks(LISTENER).silent()


def test_named_resources_move_too() -> None:
    """A name that the new layers lack is told removed; one that nobody asked for is not told."""
    stage = Stage(endpoints("a"), endpoints("b"), endpoints("c"))
    talk = DeltaTalk(stage).asks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "a", "b")
    talk.acks(ENDPOINT)
    assign(stage, OTHER, other=[endpoints("a", "2"), endpoints("d")])
    talk.hears(ENDPOINT, "a", removed=["b"])


def test_the_old_layer_may_be_dropped_in_the_same_change() -> None:
    """What the proxy had is known all the same."""
    stage = Stage(listener("a"), listener("b"))
    talk = DeltaTalk(stage).asks(LISTENER)
    talk.hears(LISTENER, "a", "b")
    talk.acks(LISTENER)
    assign(stage, OTHER, dropped=[VIEW], other=[listener("a")])
    talk.hears(LISTENER, removed=["b"])


def test_the_new_layers_changes_are_heard_and_the_old_ones_are_not() -> None:
    """The stream reads its new layers from then on."""
    stage = Stage(listener("a"))
    talk = DeltaTalk(stage).asks(LISTENER)
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER)
    assign(stage, OTHER, other=[listener("a")])
    stage.change(listener("a", "2"), layer=VIEW)
    talk.silent()
    stage.change(listener("a", "3"), layer=OTHER)
    talk.hears(LISTENER, "a")


def test_several_moves_while_a_response_is_unanswered_become_one() -> None:
    """The difference is taken to what was sent, not to where the proxy was in between."""
    stage = Stage(listener("a"), listener("b"))
    talk = DeltaTalk(stage).asks(LISTENER)
    talk.hears(LISTENER, "a", "b")
    assign(stage, OTHER, other=[listener("x")])
    assign(stage, INBOUND, inbound=[listener("a"), listener("c")])
    talk.silent().acks(LISTENER)
    talk.hears(LISTENER, "c", removed=["b"])


def test_a_resource_that_changes_its_layer_is_not_removed() -> None:
    """One layer loses it and another gains it in one change."""
    stage = Stage(listener("a"))
    assign(stage, VIEW, INBOUND, inbound=[])
    talk = DeltaTalk(stage).asks(LISTENER)
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER)
    lost = LayerChange(VIEW, (), ((LISTENER, "a"),))
    stage.apply(SnapshotChange(9, (lost, LayerChange(INBOUND, (listener("a", "2"),)))))
    assert talk.hears(LISTENER, "a").removed == ()


def test_a_layer_that_is_assigned_before_it_exists_is_served_when_it_does() -> None:
    """And one that is dropped and made again under its name is compared by content."""
    stage = Stage(listener("a"))
    assign(stage, VIEW, OTHER)
    talk = DeltaTalk(stage).asks(LISTENER)
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER)
    stage.change(listener("b"), layer=OTHER)
    talk.hears(LISTENER, "b")
    talk.acks(LISTENER)
    stage.apply(SnapshotChange(7, (), dropped=(OTHER,)))
    talk.silent()
    stage.apply(SnapshotChange(8, (LayerChange(OTHER, (listener("b"), listener("c"))),)))
    talk.hears(LISTENER, "c")


@pytest.mark.parametrize("dialect", [DeltaTalk, SotwTalk])
def test_a_move_keeps_the_order_of_types(dialect: type[DeltaTalk | SotwTalk]) -> None:
    """New clusters first, routes after their ACK, old clusters last."""
    stage = Stage(cluster("a"), route("r", "to-a"))
    talk = dialect(stage).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.acks(CLUSTER)
    talk.asks(ROUTE, "r")
    talk.hears(ROUTE, "r")
    acks(talk, ROUTE, "r")
    assign(stage, OTHER, other=[cluster("b"), route("r", "to-b")])
    is_delta = isinstance(talk, DeltaTalk)
    talk.hears(CLUSTER, *(["b"] if is_delta else ["a", "b"]))
    talk.silent()
    acks(talk, CLUSTER)
    talk.hears(ROUTE, "r")
    acks(talk, ROUTE, "r")
    talk.hears(CLUSTER, *([] if is_delta else ["b"]), removed=["a"] if is_delta else [])


def acks(talk: DeltaTalk | SotwTalk, type_url: str, *names: str) -> None:
    """In SotW an ACK repeats the names."""
    if isinstance(talk, SotwTalk):
        talk.acks(type_url, *names)
    else:
        talk.acks(type_url)


def test_a_node_that_is_not_assigned_any_more_keeps_what_it_has() -> None:
    """Nothing is removed from a proxy that the mesh forgot."""
    stage = Stage(listener("a"))
    talk = DeltaTalk(stage).asks(LISTENER)
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER)
    assign(stage)
    talk.silent()
