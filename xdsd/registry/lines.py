"""Entries as lines of JSON, made and read one by one, and a last line of what is said of them all. Pure.

It says how many there are, too, so that half a copy is none.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError


class Unreadable(ValueError):  # noqa: N818 - it says what the copy is
    """What was written down cannot be read; says why."""


class Counted(Protocol):
    """What the last line says."""

    @property
    def entries(self) -> int:
        """How many lines there are before."""


Entry = TypeVar("Entry")
End = TypeVar("End", bound=Counted)


def write_lines(
    entries: Iterable[Entry], line: TypeAdapter[Entry], last: TypeAdapter[End], end: Callable[[int], End]
) -> Iterator[bytes]:
    """None if there are no entries."""
    count = 0
    for each in entries:
        yield line.dump_json(each) + b"\n"
        count += 1
    if count:
        yield last.dump_json(end(count)) + b"\n"


def read_lines(
    data: bytes, line: TypeAdapter[Entry], last: TypeAdapter[End]
) -> tuple[tuple[Entry, ...], End]:
    """Raises Unreadable."""
    *lines, final = data.removesuffix(b"\n").split(b"\n")
    end = _validated(last, final, "the last line")
    if end.entries != len(lines):
        raise Unreadable(f"it has {len(lines)} entries of {end.entries}")
    return tuple(_validated(line, each, f"line {number}") for number, each in enumerate(lines, 1)), end


def _validated(adapter: TypeAdapter[Entry], line: bytes, at: str) -> Entry:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, (at, *first["loc"])))
        raise Unreadable(f"{where}: {first['msg']}") from None
