"""Long lists in short steps, so that whoever takes them in can do other work in between."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

STEP = 500
"""Entries of a list that are worked on at once."""

T = TypeVar("T")


def steps_of(items: Iterable[T], size: int = STEP) -> Iterator[Sequence[T]]:
    """``items`` in parts of at most ``size``."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def finished(work: Generator[None, None, T]) -> T:
    """What comes out of work that is done at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
