"""Secrets: each stream has those of the identity that it proved, and nobody else's."""

from dataclasses import replace
from typing import Any

import pytest

from tests.playbook import NODE, DeltaTalk, SotwTalk, Stage, cluster, listener, secret
from xdsd.model.identity import Proof, SpiffeID, StreamIdentity
from xdsd.protocol.commands import Entrust, Withheld
from xdsd.snapshot import CLUSTER, LISTENER, SECRET, Resource

TALKS = pytest.mark.parametrize("talk", [DeltaTalk, SotwTalk], ids=["delta", "sotw"])
OWN, ROOTS = secret("default"), secret("ROOTCA")


def proven(account: str = "a") -> StreamIdentity:
    return StreamIdentity(SpiffeID("td", "default", account), Proof.CERTIFICATE, account)


def stage(*resources: Resource, accounts: tuple[str, ...] = ("a",)) -> Stage:
    """A stage with a node for each of these identities, and one for none."""
    keys = [replace(NODE, identity=proven(each).identity).key for each in accounts]
    return Stage(*resources, nodes=(NODE.id, *keys))


@TALKS
def test_secrets_are_asked_for_once_and_sent_when_they_are_there(talk: Any) -> None:
    """Nothing is answered before the source has spoken: Envoy would take an answer without them for a final one."""
    it = talk(stage(cluster("c")), identity=proven()).asks(CLUSTER)
    it.hears(CLUSTER, "c")
    it.asks(SECRET, "default").silent()
    assert it.commands(Entrust) == [Entrust(proven().identity)]
    it.entrusts(OWN, ROOTS)
    it.hears(SECRET, "default")
    it.acks(SECRET, "default", "ROOTCA") if talk is SotwTalk else it.acks(SECRET, "ROOTCA")
    it.hears(SECRET, *(("default", "ROOTCA") if talk is SotwTalk else ("ROOTCA",)))
    assert len(it.commands(Entrust)) == 1
    assert it.commands(Withheld) == []


def test_b44_a_rotation_pushes_that_secret_alone() -> None:
    """Of two secrets the one that changed is sent, and no cluster or listener with it."""
    it = DeltaTalk(stage(cluster("c"), listener("l")), identity=proven()).asks(CLUSTER).asks(LISTENER)
    it.hears(CLUSTER, "c")
    it.hears(LISTENER, "l")
    it.acks(CLUSTER).acks(LISTENER)
    it.asks(SECRET, "default", "ROOTCA").entrusts(OWN, ROOTS)
    it.hears(SECRET, "default", "ROOTCA")
    it.acks(SECRET)
    it.entrusts(OWN, ROOTS).silent()
    renewed = secret("default", "2")
    it.entrusts(renewed, ROOTS)
    heard = it.hears(SECRET, "default")
    assert heard.resources["default"] == renewed.version
    it.acks(SECRET).silent()


def test_several_rotations_during_a_stall_are_one() -> None:
    """Who does not read is owed the newest secret, not each that there was."""
    it = DeltaTalk(stage(), identity=proven()).asks(SECRET, "default")
    it.stalled = True
    it.entrusts(OWN)
    it.hears(SECRET, "default")
    it.entrusts(secret("default", "2")).entrusts(secret("default", "3")).silent()
    it.writes().silent()
    it.acks(SECRET)
    assert it.hears(SECRET, "default").resources == {"default": secret("default", "3").version}


@TALKS
def test_a_stream_without_an_identity_gets_no_secret(talk: Any) -> None:
    """Whoever proved nothing is told that there are none, and it is counted."""
    it = talk(stage()).asks(SECRET, "default", "ROOTCA")
    assert it.commands(Entrust) == []
    assert it.commands(Withheld) == [Withheld(("ROOTCA", "default"))]
    assert "default" not in it.heard.pop().resources


def test_every_identity_asks_for_every_others_secret_and_none_gets_it() -> None:
    """Names of others, of files and of nothing are refused by name; what is the stream's own is not held up by them."""
    accounts = tuple("abcde")
    scene = stage(accounts=accounts)
    others = [f"spiffe://td/ns/default/sa/{each}" for each in accounts] + [
        "default~b",
        "file-root:/etc/passwd",
    ]
    for account in accounts:
        it = DeltaTalk(scene, identity=proven(account)).asks(SECRET, "default", *others)
        own = secret("default", account)
        it.entrusts(own, ROOTS)
        heard = it.hears(SECRET, "default", removed=others)
        assert heard.resources == {"default": own.version}
        assert it.commands(Withheld) == [Withheld(tuple(sorted(others)))]
        it.acks(SECRET, "another")
        it.hears(SECRET, removed=["another"])
        assert it.commands(Withheld)[1:] == [Withheld(("another",))]


def test_a_wildcard_is_for_the_streams_own_secrets() -> None:
    """Who asks for all gets its own."""
    it = DeltaTalk(stage(accounts=("a", "b")), identity=proven("b")).asks(SECRET)
    it.entrusts(secret("default", "b"), ROOTS)
    it.hears(SECRET, "default", "ROOTCA")


def test_b40_a_secret_that_the_proxy_has_is_not_sent_again() -> None:
    """A proxy that comes back with the same roots is sent its new certificate alone."""
    it = DeltaTalk(stage(), identity=proven())
    it.asks(SECRET, "default", "ROOTCA", known={"default": "old", "ROOTCA": ROOTS.version})
    it.entrusts(OWN, ROOTS)
    it.hears(SECRET, "default")


def test_b45_secrets_are_sent_again_with_what_refers_to_them_anew() -> None:
    """A cluster that changes may wait for its secret again, which is sent after it, changed or not."""
    reference = b"\x0a\x06ROOTCA\x12\x00"
    it = DeltaTalk(stage(), identity=proven()).asks(CLUSTER)
    it.hears(CLUSTER)
    it.acks(CLUSTER).asks(SECRET, "ROOTCA").entrusts(OWN, ROOTS)
    it.hears(SECRET, "ROOTCA")
    it.acks(SECRET)
    made = cluster("c")
    it.changes(Resource.of(CLUSTER, "c", made.body + b"\x3a" + bytes([len(reference)]) + reference))
    it.hears(CLUSTER, "c")
    it.hears(SECRET, "ROOTCA")


def test_what_others_are_served_moves_no_secret() -> None:
    """A proxy that is assigned other layers keeps its secrets."""
    scene = stage(cluster("c"))
    it = DeltaTalk(scene, identity=proven()).asks(CLUSTER)
    it.hears(CLUSTER, "c")
    it.acks(CLUSTER).asks(SECRET, "default").entrusts(OWN, ROOTS)
    it.hears(SECRET, "default")
    it.acks(SECRET)
    it.changes(cluster("d"))
    it.hears(CLUSTER, "d")
    it.acks(CLUSTER).silent()


def test_nothing_of_a_secret_is_kept_when_its_stream_is_over() -> None:
    """The shared exchange never had it, and the stream's own goes with it."""
    scene = stage()
    it = DeltaTalk(scene, identity=proven()).asks(SECRET, "default").entrusts(OWN, ROOTS)
    it.hears(SECRET, "default")
    assert not any("default" in layer.resources(SECRET) for layer in scene.snapshot.layers.values())
    it.leaves()
    assert it.stream.handle is not None
    assert list(it.stream.watches) == []
    assert it.entrusts(OWN).heard == []


def test_a_secret_does_not_show_in_print() -> None:
    """What is encoded stays out of logs and traces."""
    assert "PRIVATE" not in repr(Resource.of(SECRET, "default", b"PRIVATE KEY"))
