"""What runs for many tests: what a failure shows of it, as no error passes through a fixture's block."""

from collections.abc import Iterator
from typing import Protocol
from weakref import WeakSet


class Watched(Protocol):
    """A program, or several."""

    @property
    def state(self) -> str:
        """Whether it runs, or what it ended with; with the place of its log."""

    def tail(self) -> str:
        """The end of its log."""


_watched: WeakSet[Watched] = WeakSet()
_LINES, _CHARACTERS = 15, 300
"""So much is shown of each, that a failure's own words are not lost among them."""


def watch(it: Watched) -> None:
    """From now on failures show it."""
    _watched.add(it)


def forget(it: Watched) -> None:
    """Its block is over."""
    _watched.discard(it)


def remains() -> Iterator[tuple[str, str]]:
    """Of each that is watched, what became of it and the end of its log."""
    for it in list(_watched):
        yield it.state, "\n".join(line[:_CHARACTERS] for line in it.tail().splitlines()[-_LINES:])
