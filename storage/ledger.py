"""What a store keeps, seen from the code that decides: every version of every key, and the leases.

A *ledger* only remembers; it takes what it is told to record, without checking. ``storage.transactions``
decides what is recorded, and ``storage.engine`` makes a store of both. All calls are synchronous, by one
caller at a time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from storage.base import Compacted, Event, FutureRevision, KeyValue, WatchBatch
from storage.spans import Span


class Page(NamedTuple):
    """A part of the history: what happened in a span, and up to which revision this was read."""

    batches: tuple[WatchBatch, ...]
    through: int


class Ledger(Protocol):
    """The memory of a store. Revision 0 in a read means now, writes of an unfinished transaction included."""

    @property
    def revision(self) -> int:
        """The newest revision, 1 for an empty ledger."""

    @property
    def compacted(self) -> int:
        """The oldest revision that can still be read, 0 if none was compacted."""

    def find(self, key: bytes, revision: int = 0) -> KeyValue | None:
        """One key at a readable revision."""

    def select(
        self, span: Span, *, revision: int = 0, limit: int = 0, keys_only: bool = False
    ) -> tuple[Sequence[KeyValue], int]:
        """The first ``limit`` keys (0: all) of a span in byte order, and how many there are."""

    def count(self, span: Span, *, revision: int = 0) -> int:
        """How many keys a span has."""

    def record(self, revision: int, events: Sequence[Event]) -> None:
        """Appends what one transaction has done so far, as ``revision``; later calls may add to it."""

    def page(self, span: Span, start: int, stop: int, *, previous: bool) -> Page:
        """What happened in a span from revision ``start`` to ``stop``, both included, or what fits a page."""

    def compact(self, revision: int) -> None:
        """Lets go of what only revisions before ``revision`` need."""

    def leases(self) -> Mapping[int, int]:
        """All leases and the seconds that each was granted for."""

    def has_lease(self, lease: int) -> bool: ...

    def add_lease(self, lease: int, ttl: int) -> None: ...

    def drop_lease(self, lease: int) -> None: ...

    def leased(self, lease: int) -> Sequence[KeyValue]:
        """The keys attached to a lease, in byte order."""


def readable(ledger: Ledger, revision: int) -> int:
    """The revision to read at, 0 for now. Raises Compacted, FutureRevision."""
    if revision > ledger.revision:
        raise FutureRevision(f"revision {revision} has not happened yet; the newest is {ledger.revision}")
    if revision and revision < ledger.compacted:
        raise Compacted(ledger.compacted)
    return revision
