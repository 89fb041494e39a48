"""The incremental dialect, statement by statement."""

from tests.playbook import DeltaTalk, Stage, cluster, delta, endpoints, listener, route, secret
from xdsd.model.node import Node
from xdsd.protocol.commands import Accepted
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, LayerChange, LayerId, SnapshotChange


def test_b01_a_name_that_is_asked_for_again_is_sent_again() -> None:
    """A subscribe that names a resource again gets it again, even when current."""
    talk = delta(endpoints("a")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT).silent()
    talk.asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")


def test_b02_a_missing_name_is_told_removed_and_comes_when_it_appears() -> None:
    """A name that does not exist is answered as removed, and its resource is pushed once there is one."""
    talk = delta().asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, removed=["a"])
    talk.acks(ENDPOINT).changes(endpoints("a"))
    talk.hears(ENDPOINT, "a")


def test_b03_only_what_changed_is_sent() -> None:
    """One resource changes and only that one is sent; the same content published again is silence."""
    talk = delta(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "a", "b")
    talk.acks(ENDPOINT).changes(endpoints("b", "2"))
    talk.hears(ENDPOINT, "b")
    talk.acks(ENDPOINT).changes(endpoints("b", "2")).silent()


def test_b04_nothing_is_removed_that_was_not_removed() -> None:
    """A change that does not mention a resource leaves it alone."""
    talk = delta(cluster("a"), cluster("b")).asks(CLUSTER)
    talk.hears(CLUSTER, "a", "b")
    talk.acks(CLUSTER).changes(cluster("c"))
    assert talk.hears(CLUSTER, "c").removed == ()


def test_b05_a_name_stands_once() -> None:
    """A name that changed and is asked for at the same time stands once in the response."""
    talk = delta(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "a", "b")
    talk.changes(endpoints("a", "2")).removes(ENDPOINT, "b").asks(ENDPOINT, "a", "b").silent()
    talk.acks(ENDPOINT)
    talk.hears(ENDPOINT, "a", removed=["b"])


def test_b06_every_nonce_is_new_and_every_any_has_the_type_of_its_message() -> None:
    """Twenty responses of two types bear twenty nonces; the playbook checks each message's types."""
    talk = delta(endpoints("a"), secret("s")).asks(ENDPOINT, "a").asks(SECRET, "s")
    nonces = {talk.hears(ENDPOINT, "a").nonce, talk.hears(SECRET, "s").nonce}
    for turn in range(9):
        talk.acks(ENDPOINT).acks(SECRET).changes(endpoints("a", f"{turn}"), secret("s", f"{turn}"))
        nonces |= {talk.hears(ENDPOINT, "a").nonce, talk.hears(SECRET, "s").nonce}
    assert len(nonces) == 20


def test_b07_unsubscribing_from_an_unknown_name_is_ignored() -> None:
    """The stream goes on as if nothing had been said."""
    talk = delta(endpoints("a")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT, less=["nobody"]).silent().changes(endpoints("a", "2"))
    talk.hears(ENDPOINT, "a")


def test_b08_an_ack_may_change_the_subscription() -> None:
    """One request acknowledges, subscribes and unsubscribes."""
    talk = delta(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT, "b", less=["a"])
    assert len(talk.commands(Accepted)) == 1
    talk.hears(ENDPOINT, "b")
    talk.acks(ENDPOINT).changes(endpoints("a", "2")).silent()


def test_b09_a_resource_with_a_ttl_gets_heartbeats() -> None:
    """Twice a TTL the version is sent again, without a body."""
    talk = delta(secret("s", ttl=10.0), secret("t")).asks(SECRET, "s", "t")
    first = talk.hears(SECRET, "s", "t")
    talk.acks(SECRET).waits(4).silent().waits(1)
    for _ in range(3):
        beat = talk.hears(SECRET, "s")
        assert beat.resources["s"] == first.resources["s"]
        assert not beat.bodies
        talk.acks(SECRET).waits(5)


def test_b09_heartbeats_end_with_the_resource() -> None:
    """A resource that is gone or lives for ever now is not renewed."""
    talk = delta(secret("s", ttl=10.0)).asks(SECRET, "s")
    talk.hears(SECRET, "s")
    talk.acks(SECRET).changes(secret("s", "2"))
    talk.hears(SECRET, "s")
    talk.acks(SECRET).waits(60).silent()


def test_b10_an_empty_wildcard_is_answered() -> None:
    """A wildcard over nothing gets an empty response, which Envoy's start waits for."""
    talk = delta().asks(CLUSTER)
    talk.hears(CLUSTER)
    talk.acks(CLUSTER).silent()


def test_b25_a_name_beside_an_unnamed_wildcard_keeps_the_wildcard() -> None:
    """In delta the wildcard stays when a name joins."""
    talk = delta(cluster("a")).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.acks(CLUSTER, "b")
    talk.hears(CLUSTER, removed=["b"])
    talk.acks(CLUSTER).changes(cluster("c"))
    talk.hears(CLUSTER, "c")


def test_b26_a_name_that_leaves_a_wildcard_is_answered() -> None:
    """The client learns whether the wildcard still covers the name."""
    talk = delta(cluster("a")).asks(CLUSTER, "*", "a", "b")
    talk.hears(CLUSTER, "a", removed=["b"])
    talk.acks(CLUSTER, less=["a"])
    talk.hears(CLUSTER, "a")
    talk.acks(CLUSTER, less=["b"])
    talk.hears(CLUSTER, removed=["b"])


def test_b27_dropping_the_wildcard_leaves_the_names() -> None:
    """Without the star only named resources are pushed."""
    talk = delta(cluster("a"), cluster("b")).asks(CLUSTER, "*", "a")
    talk.hears(CLUSTER, "a", "b")
    talk.acks(CLUSTER, less=["*"]).silent().changes(cluster("a", "2"), cluster("b", "2"))
    talk.hears(CLUSTER, "a")


def test_b28_dropping_every_name_is_silence() -> None:
    """A client without any name left gets nothing, not everything."""
    talk = delta(endpoints("a")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT, less=["a"]).silent().changes(endpoints("a", "2"), endpoints("b")).silent()


def test_b29_the_empty_string_is_a_missing_name() -> None:
    """It neither stands for everything nor breaks anything."""
    talk = delta(endpoints("a")).asks(ENDPOINT, "", "a")
    talk.hears(ENDPOINT, "a", removed=[""])


def test_b30_endpoints_of_no_cluster_are_served() -> None:
    """Names that no cluster refers to are answered like others."""
    talk = delta(cluster("a"), endpoints("b")).asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.asks(ENDPOINT, "b", "c")
    talk.hears(ENDPOINT, "b", removed=["c"])


def test_b31_a_nack_is_an_error_detail() -> None:
    """A request with the nonce and an error is a NACK, with the nonce alone an ACK."""
    talk = delta(listener("a")).asks(LISTENER)
    talk.hears(LISTENER, "a")
    talk.nacks(LISTENER, "no")
    assert talk.status(LISTENER).state == "NACKED"
    talk.changes(listener("a", "2"))
    talk.hears(LISTENER, "a")
    talk.acks(LISTENER)
    assert talk.status(LISTENER).state == "SYNCED"


def test_b34_a_nack_that_changes_names_has_them_applied() -> None:
    """The new name is answered, the refused content is not sent again."""
    talk = delta(route("a"), route("b")).asks(ROUTE, "a")
    talk.hears(ROUTE, "a")
    talk.nacks(ROUTE, "bad", "b")
    talk.hears(ROUTE, "b")
    talk.acks(ROUTE).silent()


def test_b35_a_stale_nonce_still_changes_the_subscription() -> None:
    """In delta names count whatever nonce comes with them."""
    talk = delta(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.asks(ENDPOINT, "b", nonce="from-another-stream").silent()
    assert not talk.commands(Accepted)
    talk.acks(ENDPOINT)
    talk.hears(ENDPOINT, "b")


def test_b44_a_rotation_pushes_that_secret_alone() -> None:
    """No cluster, no listener, no other secret."""
    talk = delta(cluster("a"), listener("l"), secret("s"), secret("t"))
    talk.asks(CLUSTER).asks(LISTENER).asks(SECRET, "s", "t")
    talk.hears(CLUSTER, "a")
    talk.hears(LISTENER, "l")
    talk.hears(SECRET, "s", "t")
    talk.acks(CLUSTER).acks(LISTENER).acks(SECRET).changes(secret("s", "2"))
    talk.hears(SECRET, "s")
    talk.acks(SECRET).silent()


def test_b46_a_bad_secret_name_does_not_block_the_others() -> None:
    """The forbidden or missing one is told removed beside those that are served."""
    talk = delta(secret("mine")).asks(SECRET, "mine", "theirs")
    talk.hears(SECRET, "mine", removed=["theirs"])


def test_b46_a_secret_is_looked_up_in_the_proxys_own_layers() -> None:
    """Two identities ask for the same name and get their own secret."""
    stage = Stage()
    mine, theirs = LayerId("identity/a"), LayerId("identity/b")
    layers = (LayerChange(mine, (secret("default", "a"),)), LayerChange(theirs, (secret("default", "b"),)))
    stage.apply(SnapshotChange(2, layers, assigned={"a": (mine,), "b": (theirs,)}))
    versions = set()
    for node in ("a", "b"):
        talk = DeltaTalk(stage, node=Node(node)).asks(SECRET, "default")
        versions.add(talk.hears(SECRET, "default").resources["default"])
    assert versions == {secret("default", "a").version, secret("default", "b").version}


def test_b47_no_endpoints_is_an_update() -> None:
    """A load assignment that became empty is sent as a resource, not as a removal."""
    talk = delta(endpoints("a")).asks(ENDPOINT, "a")
    talk.hears(ENDPOINT, "a")
    talk.acks(ENDPOINT).changes(endpoints("a", "empty"))
    assert talk.hears(ENDPOINT, "a").removed == ()


def test_what_changes_in_flight_is_merged() -> None:
    """One response of a type is unanswered at most; the next one holds all that changed since."""
    talk = delta(endpoints("a"), endpoints("b")).asks(ENDPOINT, "a", "b")
    talk.hears(ENDPOINT, "a", "b")
    talk.changes(endpoints("a", "2")).changes(endpoints("a", "3")).changes(endpoints("b", "2")).silent()
    talk.acks(ENDPOINT)
    assert talk.hears(ENDPOINT, "a", "b").resources["a"] == endpoints("a", "3").version
    talk.acks(ENDPOINT).silent()
