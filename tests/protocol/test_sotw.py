"""The state of the world, statement by statement."""

from tests.playbook import cluster, endpoints, listener, route, secret, sotw
from xdsd.protocol.commands import Accepted, Rejected
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET


def test_b11_clusters_and_listeners_come_as_full_sets() -> None:
    """Whatever changed, every cluster is in the response; what is gone is left out."""
    talk = sotw(cluster("a"), cluster("b"), listener("k"), listener("l")).asks(CLUSTER)
    talk.hears(CLUSTER, "a", "b")
    talk.acks(CLUSTER).changes(cluster("c"))
    talk.hears(CLUSTER, "a", "b", "c")
    talk.acks(CLUSTER).removes(CLUSTER, "a")
    talk.hears(CLUSTER, "b", "c")
    talk.asks(LISTENER)
    talk.acks(CLUSTER)
    talk.hears(LISTENER, "k", "l")
    talk.acks(LISTENER).removes(LISTENER, "k")
    talk.hears(LISTENER, "l")


def test_b12_endpoints_and_routes_come_in_portions_and_secrets_in_full() -> None:
    """Of the former only what changed is sent, of secrets all."""
    for type_url, make, heard in (
        (ENDPOINT, endpoints, ["a"]),
        (ROUTE, route, ["a"]),
        (SECRET, secret, ["a", "b"]),
    ):
        talk = sotw(make("a"), make("b")).asks(type_url, "a", "b")
        talk.hears(type_url, "a", "b")
        talk.acks(type_url, "a", "b").changes(make("a", "2"))
        talk.hears(type_url, *heard)


def test_b13_names_added_with_the_same_version_and_nonce_are_sent() -> None:
    """An acknowledged client that lists one name more gets it."""
    talk = sotw(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT, "a").silent()
    talk.acks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "b")


def test_b13_names_added_to_a_full_set_are_sent() -> None:
    """The same with a type that comes in full."""
    talk = sotw(secret("a"), secret("b")).asks(SECRET, "a")
    talk.hears(SECRET, "a")
    talk.acks(SECRET, "a", "b")
    talk.hears(SECRET, "a", "b")


def test_b14_unsubscribed_and_subscribed_again_is_sent_again() -> None:
    """Nothing changed meanwhile; the client dropped what it had."""
    for type_url, make, heard in ((ENDPOINT, endpoints, ["b"]), (SECRET, secret, ["a", "b"])):
        talk = sotw(make("a"), make("b")).asks(type_url, "a", "b")
        talk.hears(type_url, "a", "b")
        talk.acks(type_url, "a").silent()
        talk.acks(type_url, "a", "b")
        talk.hears(type_url, *heard)


def test_b15_a_list_that_became_empty_stops_the_type() -> None:
    """It is not a wildcard, and names may come back later."""
    talk = sotw(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT).silent().changes(endpoints("a", "2"), endpoints("c")).silent()
    talk.acks(ENDPOINT, "b")
    talk.hears(ENDPOINT, "b")


def test_b16_names_that_nobody_asked_for_never_block_the_answer() -> None:
    """The mesh holds more than the client wants, the client wants more than the mesh holds: both are fine."""
    talk = sotw(endpoints("a"), endpoints("other")).asks(ENDPOINT, "a", "missing")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT, "a", "missing").changes(endpoints("other", "2")).silent()
    talk.changes(endpoints("missing"))
    talk.hears(ENDPOINT, "missing")


def test_b22_the_request_that_follows_a_changed_cluster_is_answered() -> None:
    """The client asks for the endpoints of a changed cluster with what looks like an ACK, and gets them."""
    talk = sotw(cluster("a"), endpoints("a")).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(CLUSTER).acks(ENDPOINT, "a").changes(cluster("a", "2"))
    talk.hears(CLUSTER, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT, "a").silent()


def test_b25_a_name_replaces_an_unnamed_wildcard() -> None:
    """In the state of the world the list is the whole interest."""
    talk = sotw(listener("a"), listener("b")).asks(LISTENER)
    talk.hears(LISTENER, "a", "b")
    talk.acks(LISTENER, "a")
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER, "a").changes(listener("c")).silent()


def test_b25_an_explicit_wildcard_stays_beside_names() -> None:
    """A star in the list means everything, and no list at all then means nothing."""
    talk = sotw(listener("a")).asks(LISTENER, "*", "x")
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER, "*").changes(listener("b"))
    talk.hears(LISTENER, "a", "b")
    talk.acks(LISTENER).changes(listener("c")).silent()


def test_b29_the_empty_string_is_a_missing_name() -> None:
    """A list that holds just it is not an empty list."""
    talk = sotw(endpoints("a")).asks(ENDPOINT, "")
    talk.hears(ENDPOINT)
    talk.acks(ENDPOINT, "", "a")
    talk.hears(ENDPOINT, "a")


def test_b32_a_refused_set_is_not_sent_again() -> None:
    """Not by the NACK, not by publishing the same again; the next content goes out."""
    talk = sotw(cluster("a")).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.nacks(CLUSTER).silent().changes(cluster("a")).silent()
    talk.changes(cluster("a", "2"))
    talk.hears(CLUSTER, "a")


def test_b33_the_nack_of_the_first_response_is_not_an_initial_request() -> None:
    """It has no version, as the client has accepted none, and is not answered with the same again."""
    talk = sotw(listener("a")).asks(LISTENER)
    talk.hears(LISTENER, "a")
    talk.nacks(LISTENER, version="").silent()
    assert talk.status(LISTENER).state == "NACKED"


def test_b34_a_nack_that_changes_names_has_them_applied() -> None:
    """The name that joined with the NACK is answered."""
    talk = sotw(route("a"), route("b")).asks(ROUTE, "a")
    talk.hears(ROUTE, "a")
    talk.nacks(ROUTE, "a", "b")
    talk.hears(ROUTE, "b")


def test_b36_a_stale_nonce_gets_no_response() -> None:
    """Neither as an ACK nor for its names: the client will speak again when it has read the newer response."""
    talk = sotw(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    old = talk.nonces[ENDPOINT]
    talk.acks(ENDPOINT, "a").changes(endpoints("a", "2"))
    talk.hears(ENDPOINT, "a")
    accepted = len(talk.commands(Accepted))
    talk.asks(ENDPOINT, "a", "b", nonce=old).silent()
    assert len(talk.commands(Accepted)) == accepted
    talk.acks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "b")


def test_b37_a_refused_portion_is_isolated() -> None:
    """Of two routes one is bad: the good one gets through, the bad one is reported."""
    talk = sotw(route("bad"), route("good")).asks(ROUTE, "bad", "good")
    talk.hears(ROUTE, "bad", "good")
    talk.nacks(ROUTE, "bad", "good", error="route bad: no")
    talk.hears(ROUTE, "good")
    talk.acks(ROUTE, "bad", "good").silent()
    assert [rejection.name for rejection in talk.status(ROUTE).rejected] == ["bad"]
    assert len(talk.commands(Rejected)) == 1


def test_b41_an_equal_version_is_skipped_only_for_a_pure_wildcard() -> None:
    """A client that names what it wants is always answered: its version says nothing about the names."""
    first = sotw(listener("a")).asks(LISTENER)
    version = first.hears(LISTENER, "a").version
    sotw(listener("a")).asks(LISTENER, version=version).silent()
    sotw(listener("a")).asks(LISTENER, "a", version=version).hears(LISTENER, "a")
    changed = sotw(listener("a"), listener("b")).asks(LISTENER, version=version)
    changed.hears(LISTENER, "a", "b")


def test_b44_a_rotation_pushes_secrets_alone() -> None:
    """No cluster and no listener moves."""
    talk = sotw(cluster("a"), secret("s")).asks(CLUSTER).asks(SECRET, "s")
    talk.hears(CLUSTER, "a")
    talk.hears(SECRET, "s")
    talk.acks(CLUSTER).acks(SECRET, "s").changes(secret("s", "2"))
    talk.hears(SECRET, "s")
    talk.acks(SECRET, "s").silent()


def test_equal_content_is_not_sent() -> None:
    """A change outside of the interest, or back to what was sent, is silence."""
    talk = sotw(cluster("a"), cluster("b")).asks(CLUSTER, "a")
    talk.hears(CLUSTER, "a")
    talk.changes(cluster("a", "2")).changes(cluster("a")).acks(CLUSTER, "a").silent()
    talk.changes(cluster("b", "2")).silent()
