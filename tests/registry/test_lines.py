"""Copies of what is held, line by line."""

from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter

from xdsd.registry.lines import Unreadable, read_lines, write_lines


@dataclass(frozen=True, slots=True)
class End:
    """The last line."""

    entries: int
    word: str = "end"


LINE, LAST = TypeAdapter(int), TypeAdapter(End)


def test_what_is_read_is_what_was_written() -> None:
    """A part for each entry, and one for the last line."""
    parts = list(write_lines([1, 2, 3], LINE, LAST, End))
    assert len(parts) == 4
    assert read_lines(b"".join(parts), LINE, LAST) == ((1, 2, 3), End(3))


def test_nothing_is_written_of_nothing() -> None:
    """Where nothing is held there is no copy."""
    assert list(write_lines([], LINE, LAST, End)) == []


@pytest.mark.parametrize(
    ("kept", "why"),
    [([0, 1, 3], "it has 2 entries of 3"), ([0, 1, 2], "the last line"), ([3], "it has 0 entries of 3")],
)
def test_half_a_copy_is_none(kept: list[int], why: str) -> None:
    """Whichever lines are missing."""
    parts = list(write_lines([1, 2, 3], LINE, LAST, End))
    with pytest.raises(Unreadable, match=why):
        read_lines(b"".join(parts[number] for number in kept), LINE, LAST)
