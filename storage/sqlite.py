"""A ledger in one SQLite file.

``history`` has a row for every write. Its id is the revision shifted left by ``SHIFT`` plus the place
within the revision, so the order of ids is the order of writes and a range of revisions is a range of ids.
A row of version 0 is a deletion. ``live`` points at the newest row of each key that exists. Compaction only
moves a mark, which reads respect at once; ``sweep`` then deletes, a few rows at a time, what lies behind
it, at a cost that follows what was written since.
"""

import sqlite3

# ruff: noqa: S608 - queries are joined from constants; what callers say is bound
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from storage.base import Corrupted, Event, EventType, Full, KeyValue, Unavailable, WatchBatch
from storage.ledger import Page
from storage.spans import Span

T = TypeVar("T")

SHIFT = 24
PAGE_ROWS = 1000
PAGE_BYTES = 8_388_608

_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_COLUMNS = "h.id, h.key, h.create_revision, h.version, h.lease"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns the driver's errors into ours: a file that cannot be understood is Corrupted, all else
    Unavailable.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
            raise Corrupted(f"{path} cannot be read ({error}); it was left as it is") from error
        if getattr(error, "sqlite_errorcode", 0) in _FULL:
            raise Full(
                f"there is no room to write to {path} ({error}); what it holds can be read, and writes work again "
                "once there is room"
            ) from error
        raise Unavailable(f"{path} cannot be used now: {error}") from error


class SqliteLedger:
    """``storage.ledger.Ledger`` on a connection. Reads and writes belong between ``begin`` and ``commit``."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self.revision = 1
        self.compacted = 0
        self._db = connection
        self._last_id = 0
        self._swept = 0

    def snapshot(self, job: Callable[["SqliteLedger"], T]) -> T:
        """Runs a job that reads, on one state of the file."""
        with translated(self.path):
            self.begin("DEFERRED")
            try:
                return job(self)
            finally:
                self.rollback()

    def begin(self, mode: str = "IMMEDIATE") -> None:
        """Starts a transaction on the newest state."""
        self._db.execute(f"BEGIN {mode}")
        self._last_id = self._number("SELECT max(id) FROM history")
        self.revision = max(self._last_id >> SHIFT, 1)
        self.compacted = self._number("SELECT value FROM meta WHERE name = 'compacted'")

    def commit(self) -> None:
        """Makes the transaction durable."""
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Ends the transaction without effect, if one is open."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()

    def find(self, key: bytes, revision: int = 0) -> KeyValue | None:
        if revision:
            query = f"SELECT {_COLUMNS}, h.value FROM history h WHERE h.key = ? AND h.id < ?"
            row = self._db.execute(f"{query} ORDER BY h.id DESC LIMIT 1", (key, _after(revision))).fetchone()
        else:
            query = f"SELECT {_COLUMNS}, h.value FROM live l JOIN history h ON h.id = l.id WHERE l.key = ?"
            row = self._db.execute(query, (key,)).fetchone()
        kv = _kv(row) if row else None
        return kv if kv is not None and kv.version else None

    def select(
        self, span: Span, *, revision: int = 0, limit: int = 0, keys_only: bool = False
    ) -> tuple[Sequence[KeyValue], int]:
        source, arguments = _source(span, revision)
        value = "x''" if keys_only else "h.value"
        rows = self._db.execute(
            f"SELECT {_COLUMNS}, {value} {source} ORDER BY h.key LIMIT ?",
            (*arguments, limit if limit > 0 else -1),
        ).fetchall()
        if limit <= 0 or len(rows) < limit:
            return [_kv(row) for row in rows], len(rows)
        return [_kv(row) for row in rows], self._number(f"SELECT count(*) {source}", arguments)

    def count(self, span: Span, *, revision: int = 0) -> int:
        source, arguments = _source(span, revision)
        return self._number(f"SELECT count(*) {source}", arguments)

    def sizes(self) -> tuple[int, int]:
        """Bytes of the database, and how many of them hold something."""
        pages, free, page = (
            self._number(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size")
        )
        return pages * page, (pages - free) * page

    def record(self, revision: int, events: Sequence[Event]) -> None:
        first = max(self._last_id + 1, revision << SHIFT)
        rows = [(first + place, event) for place, event in enumerate(events)]
        self._db.executemany(
            "INSERT INTO history (id, key, create_revision, version, lease, value) VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    row_id,
                    event.kv.key,
                    event.kv.create_revision,
                    event.kv.version,
                    event.kv.lease,
                    event.kv.value,
                )
                for row_id, event in rows
            ),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO live (key, id, lease) VALUES (?, ?, ?)",
            [(event.kv.key, row_id, event.kv.lease) for row_id, event in rows if event.type is EventType.PUT],
        )
        self._db.executemany(
            "DELETE FROM live WHERE key = ?",
            [(event.kv.key,) for event in events if event.type is EventType.DELETE],
        )
        self._last_id = rows[-1][0]
        self.revision = revision

    def page(self, span: Span, start: int, stop: int, *, previous: bool) -> Page:
        events: dict[int, list[Event]] = {}
        size = 0
        through = stop
        for rows, row in enumerate(self._happened(span, start, stop)):
            kv = _kv(row)
            if kv.mod_revision not in events:
                if rows >= PAGE_ROWS or size >= PAGE_BYTES:
                    through = kv.mod_revision - 1
                    break
                events[kv.mod_revision] = []
            before = self._previous(kv) if previous else None
            events[kv.mod_revision].append(_event(kv, before))
            size += len(kv.value) + (len(before.value) if before else 0)
        return Page(tuple(WatchBatch(revision, tuple(batch)) for revision, batch in events.items()), through)

    def compact(self, revision: int) -> None:
        self._set("compacted", revision)
        self.compacted = revision

    def sweep(self, rows: int) -> bool:
        """Deletes what the next ``rows`` compacted writes have replaced; whether more is left."""
        start = max(self._swept, self._number("SELECT value FROM meta WHERE name = 'swept'"))
        window = self._db.execute(
            "SELECT id FROM history WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (start, _after(self.compacted), rows),
        ).fetchall()
        if not window:
            self._swept = 0
            return False
        bounds = (start, window[-1][0])
        self._db.execute(
            "DELETE FROM history WHERE id IN (SELECT old.id FROM "
            "(SELECT key, max(id) AS newest FROM history WHERE id > ? AND id <= ? GROUP BY key) AS new "
            "CROSS JOIN history old WHERE old.key = new.key AND old.id < new.newest)",
            bounds,
        )
        kept = self.compacted << SHIFT  # deletions at the compacted revision itself can still be watched
        self._db.execute(
            "DELETE FROM history WHERE id > ? AND id <= ? AND id < ? AND version = 0", (*bounds, kept)
        )
        self._swept = bounds[1]
        self._set("swept", min(bounds[1], kept - 1))
        return True

    def leases(self) -> Mapping[int, int]:
        return dict(self._db.execute("SELECT id, ttl FROM leases").fetchall())

    def has_lease(self, lease: int) -> bool:
        return self._db.execute("SELECT 1 FROM leases WHERE id = ?", (lease,)).fetchone() is not None

    def add_lease(self, lease: int, ttl: int) -> None:
        self._db.execute("INSERT INTO leases (id, ttl) VALUES (?, ?)", (lease, ttl))

    def drop_lease(self, lease: int) -> None:
        self._db.execute("DELETE FROM leases WHERE id = ?", (lease,))

    def leased(self, lease: int) -> Sequence[KeyValue]:
        condition = (
            "WHERE l.lease = ? AND l.lease <> 0 ORDER BY l.key"  # the second half lets the index be used
        )
        query = f"SELECT {_COLUMNS}, h.value FROM live l JOIN history h ON h.id = l.id {condition}"
        return [_kv(row) for row in self._db.execute(query, (lease,))]

    def _happened(self, span: Span, start: int, stop: int) -> Iterator[Sequence[Any]]:
        upper, arguments = _upper("+h.key", span)
        return self._db.execute(
            f"SELECT {_COLUMNS}, h.value FROM history h WHERE h.id >= ? AND h.id < ? AND +h.key >= ? {upper}"
            " ORDER BY h.id",
            (start << SHIFT, _after(stop), *arguments),
        )

    def _previous(self, kv: KeyValue) -> KeyValue | None:
        before = kv.mod_revision - 1
        return self.find(kv.key, before) if before >= max(self.compacted, 1) else None

    def _set(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def _number(self, query: str, arguments: Sequence[int | bytes] = ()) -> int:
        row = self._db.execute(query, arguments).fetchone()
        return int(row[0] or 0) if row else 0


def _after(revision: int) -> int:
    return (revision + 1) << SHIFT


def _source(span: Span, revision: int) -> tuple[str, Sequence[int | bytes]]:
    if revision:
        upper, arguments = _upper("key", span)
        newest = f"SELECT max(id) AS id FROM history WHERE key >= ? {upper} AND id < ? GROUP BY key"
        return f"FROM ({newest}) AS n CROSS JOIN history h ON h.id = n.id WHERE h.version > 0", (
            *arguments,
            _after(revision),
        )
    upper, arguments = _upper("l.key", span)
    return f"FROM live l CROSS JOIN history h ON h.id = l.id WHERE l.key >= ? {upper}", arguments


def _upper(column: str, span: Span) -> tuple[str, Sequence[bytes]]:
    if span.stop is None:
        return "", (span.start,)
    return f"AND {column} < ?", (span.start, span.stop)


def _kv(row: Sequence[Any]) -> KeyValue:  # what the driver returns carries no types
    row_id, key, created, version, lease, value = row
    return KeyValue(key, value, created, row_id >> SHIFT, version, lease)


def _event(kv: KeyValue, previous: KeyValue | None) -> Event:
    return Event(EventType.PUT if kv.version else EventType.DELETE, kv, previous)
