"""Credentials that platforms hold, beside those in the store."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.memory import MemoryStore
from tests.credentials.test_reading import AUTHORITY, CERT, LEAF, NOW, PRIVATE
from tests.credentials.test_register import FILES, register
from xdsd.credentials.foreign import Foreign, Joint, files_of
from xdsd.credentials.giving import Giver
from xdsd.credentials.reading import CredentialKind, InvalidCredential
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.identity import SpiffeID
from xdsd.model.problem import Reason, Severity

SHOP = CredentialName("edge", "shop")
TLS = {"tls.crt": CERT, "tls.key": PRIVATE}
GATEWAY = SpiffeID("cluster.local", "edge", "gateway")
EARLY = NOW - timedelta(days=1000)
EAST, WEST = "kubernetes:east", "kubernetes:west"


def test_of_two_spellings_the_generic_one_counts_and_of_others_nothing() -> None:
    """As Istio reads a secret; other programs keep their files in it too."""
    both = {"tls.crt": b"1", "cert": b"2", "key": b"3", "ca.crt": b"", "keystore.jks": b"4", "crl": b"5"}
    assert files_of(both) == {"cert": b"2", "key": b"3", "crl": b"5"}


async def test_a_secret_of_a_cluster_is_given_as_one_of_the_store_is() -> None:
    """To gateways of its namespace, with its key; gone, it is given to nobody."""
    async with register(MemoryStore()) as stored:
        foreign, told = Foreign(lambda: NOW), list[bool]()
        joint = Joint(stored, foreign)
        giver = Giver(joint.of, joint.whole)
        foreign.tell = lambda: told.append(True)
        foreign.put(EAST, SHOP, {**TLS, "ca.crt": AUTHORITY})
        assert joint.touched() == {SHOP}
        assert joint.parts() == {SHOP: CredentialParts(own=True, authorities=True)}
        assert {each.name for each in giver(GATEWAY, True)} == {
            "kubernetes://shop",
            "kubernetes://shop-cacert",
        }
        assert PRIVATE in giver(GATEWAY, True)[0].encoded
        assert giver(GATEWAY, False) == ()
        assert giver(SpiffeID("cluster.local", "other", "gateway"), True) == ()
        foreign.put(EAST, SHOP, {**TLS, "ca.crt": AUTHORITY, "other": b"x"})
        assert len(told) == 1
        foreign.drop(EAST, SHOP)
        assert len(told) == 2
        giver.forget(joint.touched())
        assert giver(GATEWAY, True) == ()
        assert joint.parts() == {}


async def test_a_secret_of_a_cluster_is_shown_with_the_stores() -> None:
    """Each name once, by whom it holds of, in order."""
    async with register(MemoryStore()) as stored:
        foreign = Foreign(lambda: NOW)
        joint = Joint(stored, foreign)
        first = CredentialName("bank", "first")
        foreign.put(EAST, SHOP, TLS)
        foreign.put(EAST, first, TLS)
        assert [(each.name, each.author) for each in joint.all()] == [(first, EAST), (SHOP, EAST)]
        assert joint.holder(SHOP) == EAST
        await stored.put(SHOP, CredentialKind.TLS, FILES, NOW, author="alice")
        assert [(each.name, each.author) for each in joint.all()] == [(first, EAST), (SHOP, "alice")]
        assert joint.holder(SHOP) == ""
        assert joint.holder(CredentialName("edge", "none")) == ""


async def test_the_stores_secret_holds_against_a_clusters() -> None:
    """The other is a problem, and takes its place once it is deleted."""
    async with register(MemoryStore()) as stored:
        foreign = Foreign(lambda: NOW)
        joint = Joint(stored, foreign)
        foreign.put(EAST, SHOP, TLS)
        await stored.put(SHOP, CredentialKind.TLS, FILES, NOW)
        (held,) = joint.of("edge")
        assert held.material.authorities
        assert joint.whole(held).material.key == PRIVATE
        (problem,) = joint.problems(EARLY)
        assert (problem.reason, problem.file, problem.object) == (Reason.CONFLICT, EAST, ("Secret", *SHOP))
        await stored.delete(SHOP, "")
        (held,) = joint.of("edge")
        assert held.author == EAST
        assert not list(joint.problems(EARLY))


async def test_certificates_that_end_are_told_before_and_after() -> None:
    """As a warning of their secret and source, and then as an error; a certificate that is replaced clears it."""
    ends = LEAF.not_valid_after_utc
    async with register(MemoryStore()) as stored:
        foreign = Foreign(lambda: NOW)
        joint = Joint(stored, foreign)
        foreign.put(EAST, SHOP, TLS)
        assert not list(joint.problems(ends - timedelta(days=15)))
        for now, severity, word in (
            (ends - timedelta(days=13), Severity.WARNING, "expires at"),
            (ends, Severity.ERROR, "expired at"),
        ):
            (problem,) = joint.problems(now)
            assert (problem.reason, problem.severity) == (Reason.EXPIRES, severity)
            assert (problem.file, problem.object) == (EAST, ("Secret", *SHOP))
            assert f"{word} {ends.isoformat()}" in problem.message
        await stored.put(SHOP, CredentialKind.TLS, FILES, NOW)
        told = [each for each in joint.problems(ends) if each.reason is Reason.EXPIRES]
        assert {each.file for each in told} == {""}
        await stored.delete(SHOP, "")
        foreign.drop(EAST, SHOP)
        assert not list(joint.problems(ends))


async def test_of_two_clusters_the_first_by_name_has_it() -> None:
    """The other is a problem."""
    async with register(MemoryStore()) as stored:
        foreign = Foreign(lambda: NOW)
        for source in (WEST, EAST):
            foreign.put(source, SHOP, TLS)
        joint = Joint(stored, foreign)
        assert [each.author for each in joint.of("edge")] == [EAST]
        assert [problem.file for problem in joint.problems(EARLY)] == [WEST]


def test_what_cannot_be_used_leaves_what_it_was_and_says_nothing_of_itself() -> None:
    """A certificate that expired, a key that is another's."""
    now = NOW
    foreign = Foreign(lambda: now)
    foreign.put(EAST, SHOP, TLS)
    for wrong in ({"tls.crt": CERT}, {"tls.crt": CERT, "tls.key": b"nothing"}, {}):
        with pytest.raises(InvalidCredential) as error:
            foreign.put(EAST, SHOP, wrong)
        assert "nothing" not in str(error.value)
    now = NOW + timedelta(days=100_000)
    with pytest.raises(InvalidCredential, match="expired"):
        foreign.put(EAST, SHOP, TLS)
    assert [each.material.chain for each in foreign.all()] == [CERT]
    assert PRIVATE.decode() not in repr(list(foreign.all()))


@given(st.lists(st.tuples(st.sampled_from([EAST, WEST]), st.sampled_from("ab"), st.booleans()), max_size=20))
def test_what_is_held_is_what_was_put_last_and_not_dropped(steps: list[tuple[str, str, bool]]) -> None:
    """However secrets come and go, each name is held once, and what changed was told."""
    foreign, there, told = Foreign(lambda: NOW), set[tuple[str, str]](), list[bool]()
    foreign.tell = lambda: told.append(True)
    changes = 0
    for source, name, put in steps:
        changes += ((source, name) in there) != put
        if put:
            foreign.put(source, CredentialName("edge", name), TLS)
            there.add((source, name))
        else:
            foreign.drop(source, CredentialName("edge", name))
            there.discard((source, name))
    assert len(told) == changes
    assert sorted(each.name.name for each in foreign.all()) == sorted({name for _, name in there})
    assert len(list(foreign.rivals())) == len(there) - len({name for _, name in there})
