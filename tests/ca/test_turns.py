"""Turns as they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.ca.turns import decode, encode
from xdsd.model.shut_out import NONE_SPARED, Scope, Spared, Turn

SPARED = Spared(
    (Scope("bank"),),
    (Scope("", (("a", "b"), ("c", "d"))),),
    (Scope("shop", (("app", "x y"),)),),
    (Scope("edge"), Scope("shop")),
)


@pytest.mark.parametrize("turn", [Turn("0a1b2c"), Turn("0a1b2c", SPARED)])
def test_reading_is_the_inverse_of_keeping(turn: Turn) -> None:
    """A turn is read as it was kept; one that spares nobody is its id alone, as older daemons kept it."""
    assert decode(encode(turn)) == turn
    assert encode(Turn("0a1b2c")) == b"0a1b2c"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_turn(value: bytes) -> None:
    """Whatever stands there, connections end of all whose sparing cannot be read."""
    assert isinstance(decode(value), Turn)


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "[]",
        "1",
        '{"closed":1}',
        '{"closed":[["a"]]}',
        '{"closed":[[1,{}]]}',
        '{"denied":[["a",{"b":1}]]}',
    ],
)
def test_what_cannot_be_read_spares_nobody(told: str) -> None:
    """Rather end too many connections than too few."""
    assert decode(f"0a1b2c {told}".encode()) == Turn("0a1b2c", NONE_SPARED)
