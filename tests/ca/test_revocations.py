"""Revocations as values."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ca.making import NOW, REVIEWS
from xdsd.ca.revocations import (
    FOREVER,
    InvalidRevocation,
    Revocation,
    decode,
    encode,
    joined,
    listed,
    next_end,
    parse_serial,
    turns_told,
    unreadable,
)
from xdsd.model.identity import SpiffeID
from xdsd.model.shut_out import Turn

DAY = timedelta(days=1)
RATINGS = SpiffeID(REVIEWS.trust_domain, "default", "ratings")


@pytest.mark.parametrize("text", ["1f3a", "1F3A", "1F:3A", "0x1f3a", "001f3a"])
def test_serials_are_read_as_programs_print_them(text: str) -> None:
    """With colons, capitals, zeros or a prefix, a serial is the same."""
    assert parse_serial(text) == 0x1F3A


@given(st.text(max_size=60))
def test_any_text_is_a_serial_or_is_refused(text: str) -> None:
    """A serial is positive and fits the standard, whatever is written."""
    try:
        serial = parse_serial(text)
    except InvalidRevocation:
        return
    assert 0 < serial < 1 << 160


@pytest.mark.parametrize("text", ["", "0", "-1", "xyz", "f" * 41, "1_0", "1 2", "0x"])
def test_what_is_no_serial_is_refused(text: str) -> None:
    """The message says where a serial is found."""
    with pytest.raises(InvalidRevocation, match="openssl x509"):
        parse_serial(text)


def test_reading_is_the_inverse_of_keeping() -> None:
    """A revocation is read as it was kept, of a serial or an identity."""
    for each in (
        Revocation(NOW, NOW + DAY, serial=0x1F, reason="lost", author="root"),
        Revocation(NOW, NOW + DAY, identity=REVIEWS, serials=(1, 1 << 150)),
    ):
        assert decode(encode(each)) == each
    assert Revocation(NOW, NOW + DAY, serial=0x1F).key == "serial/1f"
    assert Revocation(NOW, NOW + DAY, identity=REVIEWS).key == f"identity/{REVIEWS.principal}"


def test_a_list_names_what_still_counts() -> None:
    """A CRL has the serials that are not over, and the certificates of identities, each once."""
    found = [
        Revocation(NOW - DAY, NOW + DAY, serial=1),
        Revocation(NOW - DAY, NOW, serial=2),
        Revocation(NOW - DAY, NOW + DAY, identity=REVIEWS, serials=(3, 1, 4)),
        Revocation(NOW - DAY, NOW, identity=RATINGS, serials=(5,)),
    ]
    assert [each.serial for each in listed(found, NOW)] == [1, 3, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"serial": 1, "identity": REVIEWS},
        {"serial": 1 << 160},
        {"serial": -1},
        {"serial": 1, "until": NOW},
        {"serial": 1, "reason": "x" * 254},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    """A revocation is of one thing, for a time, with a short reason."""
    with pytest.raises(InvalidRevocation):
        Revocation(**{"since": NOW, "until": NOW + DAY, **wrong})  # type: ignore[arg-type]  # wrong on purpose


@given(st.binary(max_size=120))
def test_what_is_kept_of_none_is_refused(value: bytes) -> None:
    """Anything but what was kept raises InvalidRevocation and nothing else."""
    with pytest.raises(InvalidRevocation):
        decode(value)


def test_who_is_shut_out_is_told_until_it_is_over() -> None:
    """Identities go when their time is over; turns stay."""
    found = [
        Revocation(NOW - DAY, NOW + DAY, identity=REVIEWS),
        Revocation(NOW - DAY, NOW + 2 * DAY, serial=1),
    ]
    turns = {REVIEWS.principal: Turn("a"), "": Turn("b")}
    told = turns_told(found, turns, NOW)
    assert told.identities == {str(REVIEWS)}
    assert told.turns == {str(REVIEWS): Turn("a"), "": Turn("b")}
    later = turns_told(found, turns, NOW + DAY)
    assert (later.identities, later.turns) == (frozenset(), told.turns)
    assert next_end(found, NOW) == NOW + DAY
    assert next_end(found, NOW + 3 * DAY) is None


def test_what_newer_daemons_add_takes_nothing_away() -> None:
    """A field that is not known here leaves the others as they are."""
    kept = encode(Revocation(NOW, NOW + DAY, identity=REVIEWS))
    assert decode(kept[:-1] + b',"more":["x"]}') == Revocation(NOW, NOW + DAY, identity=REVIEWS)


def test_what_cannot_be_read_shuts_out_whom_its_key_names() -> None:
    """Until it can be read or is taken back; a key that names nobody shuts nobody out."""
    identity, serial = unreadable(f"identity/{REVIEWS.principal}"), unreadable("serial/1f")
    assert identity is not None
    assert serial is not None
    assert (identity.identity, serial.serial) == (REVIEWS, 0x1F)
    assert identity.until == serial.until == FOREVER
    for name in ("identity/x", "serial/xyz", "other/1f", "", "identity", "serial/"):
        assert unreadable(name) is None


def test_a_revocation_that_is_joined_loses_nothing() -> None:
    """The longer counts, with the certificates of both; what cannot be read here stays as it is."""
    long = Revocation(NOW, NOW + 2 * DAY, identity=REVIEWS, reason="long", serials=(1, 2))
    short = Revocation(NOW + DAY / 2, NOW + DAY, identity=REVIEWS, reason="short", serials=(2, 3))
    assert joined(None, short) == short
    for one, other in ((long, short), (short, long)):
        found = joined(one, other)
        assert (found.since, found.until, found.reason) == (one.since, long.until, "long")
        assert set(found.serials) == {1, 2, 3}
    dark = unreadable(long.key)
    assert joined(dark, long) == dark
