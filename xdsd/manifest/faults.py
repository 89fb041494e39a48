"""Faults: something wrong at a path, in words that say what would be right."""

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

from xdsd.manifest.paths import Path
from xdsd.model.intent.base import shown
from xdsd.model.problem import Reason

MAX_FAULTS = 1_000


class Fault(NamedTuple):
    """Something wrong at a path; where it stands in a file is for the caller to say."""

    reason: Reason
    message: str
    path: Path


def similar(word: str, words: Iterable[str], closeness: float = 0.6) -> str:
    """``; did you mean X?`` if one of the words is so close (1 is equal), else the empty text."""
    known = {each.lower(): each for each in words}
    close = difflib.get_close_matches(word[:64].lower(), known, n=1, cutoff=closeness)
    return f"; did you mean {known[close[0]]}?" if close else ""


def unknown_field(name: str, known: Iterable[str], path: Path) -> Fault:
    """A field that is not there to be set."""
    names = sorted(known)
    hint = similar(name, names)
    if not hint and len(names) <= 8:
        hint = f"; the fields here are {', '.join(names)}" if names else "; there are no fields here"
    return Fault(Reason.UNKNOWN_FIELD, f"unknown field{hint}", (*path, name))


def wrong_type(value: Any, wanted: str, path: Path) -> Fault:
    """A value of another type than the field has."""
    return Fault(Reason.WRONG_TYPE, _type_message(value, wanted), path)


def _type_message(value: Any, wanted: str) -> str:
    if value is None:
        return f"null is not {wanted}; leave the field out or give it a value"
    if wanted == "text" and isinstance(value, bool | int | float):
        return f"{shown(value)} is not text; put it in quotes"
    if wanted in ("a whole number", "a number") and isinstance(value, str):
        plain = value.strip().lstrip("+-").replace(".", "", 1).isdecimal()
        return f"{shown(value)} is text, not {wanted}{'; take off the quotes' if plain else ''}"
    if wanted == "true or false" and isinstance(value, str):
        plain = value.lower() in ("true", "false")
        return f"{shown(value)} is text, not true or false{'; take off the quotes' if plain else ''}"
    return f"{shown(value)} is not {wanted}"
