"""What happens to a content that a proxy refuses, and to its neighbours."""

import pytest

from tests.playbook import DeltaTalk, cluster, delta, endpoints, listener, route
from xdsd.protocol.commands import Rejected
from xdsd.protocol.rejection import judge
from xdsd.protocol.watch import State
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE


def many(*names: str, content: str = "1") -> DeltaTalk:
    """A client that was just sent these listeners."""
    talk = delta(*(listener(name, content) for name in names)).asks(LISTENER)
    talk.hears(LISTENER, *names)
    return talk


def test_b32_a_refused_content_is_not_sent_again() -> None:
    """Neither by itself, nor with time, nor with its neighbours' changes; its next content is."""
    talk = many("a")
    talk.nacks(LISTENER).silent().waits(60).silent().changes(listener("a"), listener("b"))
    talk.hears(LISTENER, "b")
    talk.acks(LISTENER).silent().changes(listener("a", "2"))
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER)
    assert talk.status(LISTENER).rejected == ()


def test_b32_a_refused_content_that_is_asked_for_by_name_is_sent() -> None:
    """The proxy asked on purpose; that is no loop of ours."""
    talk = delta(endpoints("a")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.nacks(ENDPOINT).silent().asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")


def test_b37_the_text_names_the_guilty_and_the_others_get_through() -> None:
    """The innocent are offered once more, as they may not have been taken."""
    talk = many("a", "bad", "c")
    talk.nacks(LISTENER, "Error adding/updating listener(s) bad: no address")
    talk.hears(LISTENER, "a", "c")
    talk.acks(LISTENER).silent()
    status = talk.status(LISTENER)
    assert status.state is State.NACKED
    assert [(each.name, each.version) for each in status.rejected] == [("bad", listener("bad").version)]
    assert "no address" in status.error
    assert talk.commands(Rejected)[0].names == ("bad",)


@pytest.mark.parametrize(
    "text",
    [
        "Error adding/updating listener(s) a: no file: /x\n0.0.0.0_80: no address\n",
        "Error adding/updating cluster(s) a: no file: /x, 0.0.0.0_80: no address",
    ],
)
def test_b37_each_of_several_is_told_what_is_said_of_it_alone(text: str) -> None:
    """Otherwise what is told of a thousand would grow with their square."""
    talk = many("a", "b", "0.0.0.0_80")
    talk.nacks(LISTENER, text)
    told = {each.name: each.message for each in talk.status(LISTENER).rejected}
    assert told == {"a": "no file: /x", "0.0.0.0_80": "no address"}


@pytest.mark.parametrize("count", [2, 3, 8, 33])
def test_b37_without_names_the_bad_one_is_found_by_halves(count: int) -> None:
    """A client that refuses every response with the bad one in it ends up with all the others."""
    names = [f"l{number}" for number in range(count)]
    bad = names[count // 3]
    talk = many(*names)
    talk.nacks(LISTENER, "something is wrong")
    taken: set[str] = set()
    turns = 0
    while talk.heard:
        heard = talk.heard.pop(0)
        turns += 1
        if bad in heard.resources:
            talk.nacks(LISTENER, "something is wrong")
        else:
            taken |= set(heard.resources)
            talk.acks(LISTENER)
    assert taken == set(names) - {bad}
    assert [each.name for each in talk.status(LISTENER).rejected] == [bad]
    assert turns <= 2 * count.bit_length()


def test_b37_updates_go_on_while_the_bad_one_is_sought() -> None:
    """Changes and trials take turns."""
    talk = many("a", "b", "c", "d")
    talk.nacks(LISTENER, "something is wrong").changes(listener("e"))
    heard = []
    for _ in range(3):
        heard.append(set(talk.heard.pop(0).resources))
        talk.acks(LISTENER)
    assert {"e"} in heard
    assert set.union(*heard) == {"a", "b", "c", "d", "e"}
    talk.silent()
    assert talk.status(LISTENER).state is State.SYNCED


def test_b37_removals_of_a_refused_response_are_told_again() -> None:
    """The proxy may not have taken them."""
    talk = many("a", "b")
    talk.acks(LISTENER).changes(listener("a", "2"), removed=[(LISTENER, "b")])
    talk.hears(LISTENER, "a", removed=["b"])
    talk.nacks(LISTENER)
    talk.hears(LISTENER, removed=["b"])
    talk.acks(LISTENER).silent()


def test_a_rejection_ends_with_its_resource() -> None:
    """What was removed and accepted as removed is no grievance any more."""
    talk = many("a")
    talk.nacks(LISTENER).removes(LISTENER, "a")
    talk.hears(LISTENER, removed=["a"])
    talk.acks(LISTENER)
    assert talk.status(LISTENER).state is State.SYNCED


def test_one_proxys_rejection_is_no_other_proxys() -> None:
    """Two proxies of one view: one refuses, the other goes on."""
    talk = many("a", "b")
    other = DeltaTalk(talk.stage).asks(LISTENER)
    other.hears(LISTENER, "a", "b")
    other.acks(LISTENER)
    talk.nacks(LISTENER, "a: bad")
    talk.hears(LISTENER, "b")
    talk.acks(LISTENER).changes(listener("b", "2"))
    talk.hears(LISTENER, "b")
    other.hears(LISTENER, "b")
    assert other.acks(LISTENER).status(LISTENER).state is State.SYNCED


@pytest.mark.parametrize(
    ("message", "guilty"),
    [
        (
            "Error adding/updating listener(s) 0.0.0.0_80: x, virtualInbound: y",
            {"0.0.0.0_80", "virtualInbound"},
        ),
        ("listener 'reviews' is bad", {"reviews"}),
        ("reviews-v1 is bad", {"reviews-v1"}),
        ("reviews.", {"reviews"}),
        ("nothing that we know", set()),
    ],
)
def test_a_text_blames_whole_names(message: str, guilty: set[str]) -> None:
    """A name within a longer name is not blamed."""
    names = ("0.0.0.0_80", "0.0.0.0_8080", "virtualInbound", "reviews", "reviews-v1")
    verdict = judge([listener(name) for name in names], [], message)
    assert {resource.name for resource in verdict.guilty} == guilty


@pytest.mark.parametrize("left", ["a", "c"])
def test_what_was_refused_and_is_gone_holds_no_cluster(left: str) -> None:
    """A text that names nobody leaves routes to be tried; once none of them is there, what they might use goes too."""
    talk = delta(cluster("x"), route("a"), route("b")).asks(CLUSTER)
    talk.hears(CLUSTER, "x")
    talk.acks(CLUSTER).asks(ROUTE, "a", "b", "c")
    talk.hears(ROUTE, "a", "b", removed=["c"])
    talk.changes(removed=[(CLUSTER, "x"), (ROUTE, "a"), (ROUTE, "b")])
    talk.asks(ROUTE, less={"a", "b", "c"} - {left})
    talk.nacks(ROUTE, "something is bad")
    for _ in range(3):
        while talk.heard:
            talk.acks(talk.heard.pop(0).type_url)
        talk.waits(10)
    assert talk.status(ROUTE).error == ""
    assert talk.status(CLUSTER).state is State.SYNCED
    assert not talk.stream._watches[CLUSTER].held


def test_what_was_refused_and_is_not_asked_for_holds_no_cluster() -> None:
    """Whether or not there is something else under its name by then."""
    talk = delta(cluster("x"), route("a"), route("b")).asks(CLUSTER)
    talk.hears(CLUSTER, "x")
    talk.acks(CLUSTER).asks(ROUTE, "a")
    talk.hears(ROUTE, "a")
    talk.changes(route("a", "2"), removed=[(CLUSTER, "x")]).asks(ROUTE, "b", less={"a"})
    talk.nacks(ROUTE, "a is bad")
    for _ in range(3):
        while talk.heard:
            talk.acks(talk.heard.pop(0).type_url)
        talk.waits(10)
    assert not talk.stream._watches[CLUSTER].held
