"""What is known of a peer, and what it may not say."""

from dataclasses import replace

import pytest

from tests.ca.making import root
from tests.peering.test_offer import service
from xdsd.ca.issuer import pem
from xdsd.model.catalog import Protocol
from xdsd.peering.intake import Intake, PeerState, Refused, Terms
from xdsd.peering.values import (
    Begin,
    Gateway,
    Hello,
    Shared,
    SharedKey,
    SharedPort,
    Summary,
    Update,
    Wanted,
)

BEGIN = Begin("east", "a.example", "one")
A, B = SharedKey("foo", "a"), SharedKey("foo", "b")
GATEWAYS = (Gateway("192.0.2.1", 15443),)


def terms(*wanted: Wanted, keep_for: float = 60.0, most: int = 100, near: bool = False) -> Terms:
    return Terms("east", "a.example", wanted or (Wanted(("foo",)),), keep_for, most, near)


def connected(*services: Shared) -> Intake:
    intake = Intake("west", terms())
    intake.begins(BEGIN)
    intake.takes(Update(7, True, services, gateways=GATEWAYS))
    return intake


def test_what_a_peer_tells_is_known() -> None:
    """Services arrive, health replaces their summaries, removals take them away."""
    intake = connected(service("a"), service("b"))
    assert (intake.state, intake.synced, intake.gateways) == (PeerState.CONNECTED, True, GATEWAYS)
    assert intake.takes(Update(8, True, health=((A, (Summary("eu/a", 0, 2, 0),)),))).services == {A}
    assert intake.services[A] == service("a", healthy=0)
    assert intake.takes(Update(9, True, removed=(B,))).services == {B}
    assert list(intake.services) == [A]
    assert intake.hello() == Hello("west", terms().wanted, "one", 9)


def test_the_last_known_state_is_kept_for_a_time_and_then_goes() -> None:
    """From the loss of the stream on, what it said holds for ``keepFor``; then its services are gone."""
    intake = connected(service("a"))
    intake.lost("cut", 100.0)
    intake.lost("still cut", 130.0)
    assert (intake.state, intake.why, intake.due) == (PeerState.KEPT, "still cut", 160.0)
    assert not intake.expires(159.9)
    assert intake.expires(160.0).services == {A}
    assert (intake.state, intake.services) == (PeerState.EXPIRED, {})
    assert not intake.expires(161.0)
    assert intake.hello().epoch == ""


def test_what_a_returning_peer_no_longer_has_goes_once_it_told_everything() -> None:
    """Until then the last known state holds: a stream that breaks off in between takes nothing away."""
    intake = connected(service("a"), service("b"))
    intake.lost("cut", 100.0)
    intake.begins(replace(BEGIN, epoch="two"))
    assert not intake.takes(Update(1, False, (service("a"),)))
    intake.lost("cut again", 120.0)
    assert intake.due == 160.0
    assert set(intake.services) == {A, B}
    intake.begins(replace(BEGIN, epoch="three"))
    assert intake.takes(Update(1, True, (service("a"),))).services == {B}
    assert intake.due is None


def test_a_stream_that_goes_on_takes_nothing_away() -> None:
    """What is not told again is as it was."""
    intake = connected(service("a"), service("b"))
    intake.lost("cut", 100.0)
    intake.begins(replace(BEGIN, resumed=True))
    assert intake.takes(Update(8, True, removed=(A,))).services == {A}
    assert list(intake.services) == [B]


@pytest.mark.parametrize(
    ("begin", "why"),
    [
        (replace(BEGIN, mesh="west"), "calls itself west, as we do"),
        (replace(BEGIN, mesh="north"), "calls itself 'north', not east"),
        (replace(BEGIN, trust_domain="b.example"), "'b.example', not a.example"),
        (replace(BEGIN, resumed=True), "goes on with what it never began"),
    ],
    ids=["a loop", "another", "another domain", "made up"],
)
def test_a_mesh_that_is_not_the_peer_is_refused(begin: Begin, why: str) -> None:
    """Who answers is held against the Peer object, ourselves included."""
    intake = Intake("west", terms())
    with pytest.raises(Refused, match=why):
        intake.begins(begin)
    assert intake.state is PeerState.REFUSED


def lie(shared: Shared, **changes: object) -> Shared:
    return replace(shared, **changes)  # type: ignore[arg-type]  # tests lie


@pytest.mark.parametrize(
    ("shared", "why"),
    [
        (service("a", namespace="bar"), "offers bar/a, which spec.imports does not take"),
        (lie(service("a"), identities=("spiffe://b.example/ns/foo/sa/x",)), "not of the peer's trust domain"),
        (lie(service("a"), identities=("spiffe://a.example/ns/bar/sa/x",)), "of another namespace"),
        (lie(service("a"), identities=("https://a.example",)), "is no identity"),
        (lie(service("a"), ports=()), "0 ports"),
        (service("a", port=0), "number or name"),
        (lie(service("a"), ports=service("a").ports * 2), "one number or name"),
        (service("a", healthy=3), "of 2 endpoints 3 are well"),
        (lie(service("a"), summaries=service("a").summaries * 2), "twice"),
        (lie(service("a"), summaries=(Summary("a/b/c/d", 0, 0, 0),)), "no locality"),
        (lie(service("a"), key=SharedKey("foo", "a.b")), "cannot be a service's name"),
    ],
)
def test_a_lie_is_refused_and_the_rest_is_taken(shared: Shared, why: str) -> None:
    """A remark says what was refused; a service that was right before stays as it was."""
    intake = Intake("west", terms())
    intake.begins(BEGIN)
    news = intake.takes(Update(1, True, (shared, service("b"))))
    assert news.services == {B}
    assert list(intake.services) == [B]
    assert len(intake.remarks) == 1
    assert why in intake.remarks[0]


def test_what_was_right_before_a_lie_stays() -> None:
    """A peer that errs does not take away what works."""
    intake = connected(service("a"))
    intake.lost("cut", 1.0)
    intake.begins(replace(BEGIN, epoch="two"))
    intake.takes(Update(1, True, (service("a", port=0),)))
    assert intake.services == {A: service("a")}


@pytest.mark.parametrize(
    "address",
    [
        "east.example",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "169.254.169.254",
        "127.0.1.1",
        "fe80::1",
        "::1",
    ],
)
def test_gateways_are_where_something_can_be_reached(address: str) -> None:
    """Names and addresses of nobody are refused; the gateways stay as they were."""
    intake = connected(service("a"))
    assert not intake.takes(Update(8, True, gateways=(Gateway(address, 15443),)))
    assert intake.gateways == GATEWAYS
    assert address in intake.remarks[0]


def test_gateways_that_are_right_are_taken_beside_others() -> None:
    """One that is wrong is refused alone."""
    intake = connected(service("a"))
    right = (Gateway("192.0.2.7", 15443), Gateway("64:ff9b::1", 15443))
    intake.takes(Update(8, True, gateways=(right[0], Gateway("not an ip!", 15443), right[1])))
    assert intake.gateways == right
    assert intake.remarks == ["its gateway 'not an ip!' is no IP address"]


def test_a_peer_on_this_machine_has_its_gateways_here_too() -> None:
    """Loopback is where the peer is, if it is called there."""
    intake = Intake("west", terms(near=True))
    intake.begins(BEGIN)
    intake.takes(Update(7, True, gateways=(Gateway("127.0.0.1", 15443),)))
    assert intake.gateways == (Gateway("127.0.0.1", 15443),)


def test_a_peer_says_whom_it_trusts_next() -> None:
    """Its bundle is taken if it is authorities and nothing else."""
    intake = connected()
    roots = [root(domain="a.example").certificate, root(domain="a.example").certificate]
    assert intake.takes(Update(8, True, bundle=b"".join(map(pem, roots)))).roots
    assert list(intake.roots) == roots
    assert not intake.takes(Update(9, True, bundle=b"nothing"))
    assert list(intake.roots) == roots
    assert intake.remarks


def test_other_terms_take_away_what_is_not_wanted_any_more() -> None:
    """And the next stream begins anew, as the last was asked for something else."""
    intake = connected(service("a"), service("b"))
    assert intake.change(terms(Wanted(("foo",), ("b",)))).services == {A}
    assert intake.hello() == Hello("west", (Wanted(("foo",), ("b",)),))


def test_what_was_known_before_a_restart_is_kept_from_when_it_was_lost() -> None:
    """And is judged by the terms of now."""
    intake = Intake("west", terms(Wanted(("foo",), ("a",))))
    intake.recall((service("a"), service("b")), GATEWAYS, b"", 100.0)
    assert (list(intake.services), intake.state, intake.due) == ([A], PeerState.KEPT, 160.0)


def test_a_flood_of_services_is_taken_up_to_the_limit() -> None:
    """The rest is refused with one remark, and all that was taken is served on; where less may be taken the rest goes."""
    intake = Intake("west", terms(most=3))
    intake.begins(BEGIN)
    news = intake.takes(Update(1, True, tuple(service(f"s{number}") for number in range(50))))
    assert len(news.services) == len(intake.services) == 3
    assert intake.remarks == ["it offers more than the 3 services that spec.maxServices takes from it"]
    assert intake.takes(Update(2, True, (service("s0", healthy=0),))).services == {SharedKey("foo", "s0")}
    assert intake.change(terms(most=2)).services == {SharedKey("foo", "s2")}


def test_what_there_was_no_room_for_is_asked_for_again() -> None:
    """A stream that went on where the last one was would not tell of it, though others have gone."""
    intake = Intake("west", terms(most=1))
    intake.begins(BEGIN)
    intake.takes(Update(1, True, (service("a"), service("b"))))
    intake.takes(Update(2, True, removed=(A,)))
    assert intake.services == {}
    intake.lost("cut", 100.0)
    assert (intake.hello().epoch, intake.hello().generation) == ("", 0)
    intake.begins(BEGIN)
    intake.takes(Update(2, True, (service("b"),)))
    assert list(intake.services) == [B]
    assert intake.hello().epoch == "one"


def test_a_peers_ports_are_bounded_too() -> None:
    """Each is a cluster of every sidecar; services have three on average at most, and what was taken stays."""
    many = tuple(SharedPort(80 + number, f"p{number}", Protocol.HTTP) for number in range(100))
    intake = Intake("west", terms(most=40))
    intake.begins(BEGIN)
    wide = [replace(service(f"s{number}"), ports=many) for number in range(3)]
    intake.takes(Update(1, True, tuple(wide)))
    assert list(intake.services) == [wide[0].key]
    assert intake.remarks == [
        "it offers more than 120 ports, which are 3 for each service that spec.maxServices takes from it"
    ]
    intake.takes(Update(2, True, (service("b"), replace(service("b"), ports=many))))
    assert intake.services[B] == service("b")
    intake.takes(Update(3, True, (replace(wide[0], ports=many[:2]),)))
    intake.takes(Update(4, True, (wide[1],)))
    assert list(intake.services) == [wide[0].key, B, wide[1].key]
    assert intake.change(terms(most=20)).services == {wide[1].key}
    intake.takes(Update(5, True, removed=(wide[0].key, B)))
    intake.takes(Update(6, True, tuple(service(f"t{number}") for number in range(20))))
    assert len(intake.services) == 20
