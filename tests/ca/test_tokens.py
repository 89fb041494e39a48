"""Join tokens as values."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ca.making import NOW, REVIEWS
from xdsd.ca.tokens import InvalidToken, JoinToken, decode, encode, new_token, parse_networks, token_id

HOUR = timedelta(hours=1)
RANDOMNESS = bytes(range(38))


def made(*networks: str, single_use: bool = False) -> tuple[str, JoinToken]:
    """A token of an hour."""
    return new_token(RANDOMNESS, REVIEWS, NOW, NOW + HOUR, single_use=single_use, networks=networks)


def test_a_token_is_known_by_its_text_alone() -> None:
    """The text says which token it claims to be, and is held against a one-way hash of it."""
    text, token = made()
    assert token_id(text) == token.id
    assert token.is_of(text)
    assert not token.is_of(text[:-1] + ("A" if text[-1] != "A" else "B"))
    assert text not in repr(token)
    assert token.hash not in repr(token)
    assert text[-43:].encode() not in encode(token)


def test_reading_is_the_inverse_of_keeping() -> None:
    """A token is read as it was kept, used or not."""
    _, token = made("10.0.0.0/8", "::1", single_use=True)
    used = replace(token, used_by="ab" * 32, used_at=NOW)
    for each in (token, used):
        assert decode(token.id, encode(each)) == each


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ((), "192.0.2.1", True),
        (("10.0.0.0/8",), "10.1.2.3", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8", "192.0.2.1"), "192.0.2.1", True),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("10.0.0.0/8",), "unix:/run/x", False),
        (("fe80::/10",), "fe80::1%eth0", True),
    ],
)
def test_networks_bound_where_a_token_is_used(networks: tuple[str, ...], address: str, allowed: bool) -> None:
    """A token with networks is used from these alone, in either form of an IPv4 address."""
    assert made(*networks)[1].allows(address) is allowed


@pytest.mark.parametrize("network", ["x", "10.0.0.0/33", "10.0.0.1/8", "", "1.2.3.4.5"])
def test_what_is_no_network_is_refused(network: str) -> None:
    """A network that is none, or whose address has bits beyond it, is refused by name."""
    with pytest.raises(InvalidToken, match="no address or network"):
        parse_networks([network])


def test_too_much_is_refused() -> None:
    """Endless lists and descriptions, and tokens that never were valid, are refused."""
    with pytest.raises(InvalidToken, match="at most 32"):
        parse_networks(["10.0.0.1"] * 33)
    with pytest.raises(InvalidToken, match="at most 253"):
        new_token(RANDOMNESS, REVIEWS, NOW, NOW + HOUR, description="x" * 254)
    with pytest.raises(InvalidToken, match="expire after"):
        new_token(RANDOMNESS, REVIEWS, NOW, NOW)


@given(st.text(max_size=80) | st.from_regex(r"xdsdj_[0-9a-f]{11,13}_[-_A-Za-z0-9]{40,46}", fullmatch=True))
def test_any_text_is_a_token_or_is_none(text: str) -> None:
    """Whatever is sent, it names a token of our form or nothing, and is never another's."""
    _, token = made()
    identity = token_id(text)
    assert identity == "" or (len(text) == 62 and text.startswith(f"xdsdj_{identity}_"))
    assert not token.is_of(text)


@given(st.binary(max_size=120))
def test_what_is_kept_of_none_is_refused(value: bytes) -> None:
    """Anything but what was kept raises InvalidToken and nothing else."""
    with pytest.raises(InvalidToken):
        decode("ab", value)


def test_a_changed_record_is_refused_without_its_hash() -> None:
    """A record with another field, or without one, is no token, and the message does not repeat it."""
    _, token = made()
    for spoiled in (encode(token).replace(b'"hash"', b'"hush"'), encode(token)[:-1] + b',"more":1}'):
        with pytest.raises(InvalidToken) as refused:
            decode(token.id, spoiled)
        assert token.hash not in str(refused.value)
