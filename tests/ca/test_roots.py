"""The set of roots, and how one follows another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ca.making import root
from xdsd.ca.roots import InvalidRoots, Root, RootSet, RootState, decode, encode


def kept(state: RootState = RootState.ISSUING) -> Root:
    """A root as it is kept."""
    return Root(root().certificate, state, "xdsd1:secret")


def test_reading_is_the_inverse_of_keeping() -> None:
    """Roots are read as they were kept, in their order."""
    roots = RootSet((kept(RootState.RETIRING), kept(), kept(RootState.TRUSTED)))
    assert decode(encode(roots)) == roots


def test_one_root_follows_another() -> None:
    """A new root is trusted, then issues while the old one retires, then stands alone."""
    old, new = kept(), kept()
    roots = RootSet((old,)).trust(new)
    assert [each.state for each in roots.roots] == [RootState.ISSUING, RootState.TRUSTED]
    roots = roots.switch(new.id)
    assert [each.state for each in roots.roots] == [RootState.RETIRING, RootState.ISSUING]
    assert roots.issuing.id == new.id
    assert roots.drop(old.id).certificates == (new.certificate,)


def test_the_issuing_root_cannot_go() -> None:
    """There is always exactly one root that issues."""
    one = kept()
    with pytest.raises(InvalidRoots, match="0 roots issue"):
        RootSet((one,)).drop(one.id)
    with pytest.raises(InvalidRoots, match="2 roots issue"):
        RootSet((one, kept()))
    with pytest.raises(InvalidRoots, match="twice"):
        RootSet((one,)).trust(one)
    with pytest.raises(InvalidRoots, match="no root"):
        RootSet((one,)).switch("00")


def test_a_sealed_key_is_in_no_representation() -> None:
    """Even what is sealed stands in no log."""
    assert "secret" not in repr(RootSet((kept(),)))


@given(st.binary(max_size=200))
def test_anything_else_is_refused(value: bytes) -> None:
    """What is no set of roots raises InvalidRoots and nothing else, without its content."""
    with pytest.raises(InvalidRoots):
        decode(value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"issuing"', b'"boss"'),
        (b"BEGIN CERT", b"BEGIN CART"),
        (b'"state"', b'"stale"'),
        (b'"turn":0}', b'"turn":0,"more":1}'),
        (b'"turn":0}', b'"turn":-1}'),
    ],
)
def test_what_was_changed_is_refused_without_the_sealed_key(old: bytes, new: bytes) -> None:
    """A set with a state, a certificate or a field that is none is refused as a whole."""
    value = encode(RootSet((kept(),)))
    assert old in value
    with pytest.raises(InvalidRoots) as refused:
        decode(value.replace(old, new))
    assert "secret" not in str(refused.value)
