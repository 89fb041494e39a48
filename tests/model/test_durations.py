"""Durations are read as published and written in seconds."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.model.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("7s", 7_000),
        ("1.5s", 1_500),
        (".5s", 500),
        ("1.s", 1_000),
        ("100ms", 100),
        ("1h30m", 5_400_000),
        ("1m0.25s", 60_250),
        ("0", 0),
        ("0s", 0),
        ("-1s", -1_000),
        ("+1s", 1_000),
        ("2000us", 2),
        ("2000\u00b5s", 2),
        ("3000000ns", 3),
        ("24h", 86_400_000),
    ],
)
def test_published_forms_are_read(text: str, milliseconds: int) -> None:
    """A duration is a sum of numbers with units."""
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("-", "empty"),
        ("5", "not a duration"),
        ("s", "not a duration"),
        (".s", "not a duration"),
        ("5 s", "not a duration"),
        ("5d", "not a duration"),
        ("1e3s", "not a duration"),
        ("\u0665s", "not a duration"),
        ("1us", "finer than a millisecond"),
        ("9999999999999h", "longer than"),
        ("9" * 400 + "s", "not a duration"),
    ],
)
def test_other_text_is_no_duration(text: str, why: str) -> None:
    """The error says what is wrong with the text."""
    with pytest.raises(ValueError, match=why):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=2**53))
def test_what_is_written_is_read(milliseconds: int) -> None:
    """Writing and reading a duration changes nothing."""
    value = timedelta(milliseconds=min(milliseconds, 9_000_000_000_000))
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(7_000, "7s"), (1_500, "1.5s"), (5_400_000, "5400s"), (0, "0s")]
)
def test_durations_are_written_in_seconds(milliseconds: int, text: str) -> None:
    """The canonical form has no unit but seconds and no digit too many."""
    assert format_duration(timedelta(milliseconds=milliseconds)) == text
