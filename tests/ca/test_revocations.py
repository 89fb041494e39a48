"""Revocations as values."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ca.making import NOW, REVIEWS
from xdsd.ca.revocations import InvalidRevocation, Revocation, decode, encode, listed, parse_serial
from xdsd.model.identity import SpiffeID

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
