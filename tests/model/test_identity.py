"""SPIFFE ids, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.model.identity import InvalidIdentity, SpiffeID, parse_identity


def test_identity_is_written_as_istio_writes_it() -> None:
    """An identity is a SPIFFE id of the form that Istio gives to workloads, and a principal lacks its scheme."""
    identity = SpiffeID("cluster.local", "shop", "reviews")
    assert str(identity) == "spiffe://cluster.local/ns/shop/sa/reviews"
    assert identity.principal == "cluster.local/ns/shop/sa/reviews"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe://td",
        "spiffe://td/ns/a/sa/",
        "spiffe://td/ns//sa/b",
        "spiffe:///ns/a/sa/b",
        "spiffe://td/ns/a/sa/b/",
        "spiffe://td/ns/a/sa/b/c",
        "spiffe://td/sa/b/ns/a",
        "SPIFFE://td/ns/a/sa/b",
        "spiffe://TD/ns/a/sa/b",
        "spiffe://user@td/ns/a/sa/b",
        "spiffe://td:80/ns/a/sa/b",
        "spiffe://td/ns/a/sa/b?c",
        "spiffe://td/ns/a/sa/b#c",
        "spiffe://td/ns/a/sa/%62",
        "spiffe://td/ns/../sa/b",
        "spiffe://td/ns/a/sa/..",
        "spiffe://td/ns/a/sa/b\n",
        "spiffe://td/ns/a/sa/\0",
        "spiffe://td/ns/a/sa/ü",
        "https://td/ns/a/sa/b",
        " spiffe://td/ns/a/sa/b",
        "spiffe://spiffe://td/ns/a/sa/b",
        f"spiffe://td/ns/{'a' * 64}/sa/b",
        f"spiffe://td/ns/a/sa/{'b' * 254}",
        f"spiffe://{'t' * 256}/ns/a/sa/b",
        "spiffe://td/ns/a/sa/" + "b" * 10_000,
    ],
)
def test_whatever_is_no_identity_is_refused(text: str) -> None:
    """What is not exactly such an id is refused with a message that is short, however long the text."""
    with pytest.raises(InvalidIdentity) as refused:
        parse_identity(text)
    assert len(str(refused.value)) < 500


@given(
    st.text(max_size=80)
    | st.from_regex(r"spiffe://[a-z./]{1,20}/ns/[a-z.]{0,9}/sa/[A-Za-z.]{0,9}", fullmatch=True)
)
def test_reading_is_the_inverse_of_writing(text: str) -> None:
    """Any text either is refused or is what its identity is written as."""
    try:
        identity = parse_identity(text)
    except InvalidIdentity:
        return
    assert str(identity) == text
