"""A store in one SQLite file, for one process at a time.

A write is acknowledged when it is on the disk (write-ahead log, synchronous=FULL), so kill -9 at any
instant loses nothing that was acknowledged. SQLite works on two threads, one that writes and one that
reads; the event loop never waits for the disk. Beside the file stand SQLite's own ``-wal`` and ``-shm`` and
a ``.lock`` that names the owner.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from storage.base import Corrupted, InvalidRequest, StoreStatus, Unavailable
from storage.engine import Engine
from storage.ledger import Ledger
from storage.limits import Limits
from storage.lock import ProcessLock
from storage.sqlite import SqliteLedger, translated
from storage.writer import Writer

T = TypeVar("T")

APPLICATION = 0x726B7673
FORMAT = 1

_SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE history (id INTEGER PRIMARY KEY, key BLOB NOT NULL, create_revision INTEGER NOT NULL,
       version INTEGER NOT NULL, lease INTEGER NOT NULL, value BLOB NOT NULL)""",
    "CREATE INDEX history_by_key ON history (key, id)",
    "CREATE TABLE live (key BLOB PRIMARY KEY, id INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX live_by_lease ON live (lease) WHERE lease <> 0",
    "CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much is kept: revisions of history (0: all, until ``compact`` is called) and bytes of file."""

    revisions: int = 10_000
    file_bytes: int = 8_589_934_592


class EmbeddedStore(Engine):
    """The store in a file; made by ``open_embedded``."""

    def __init__(
        self,
        files: "_Files",
        *,
        keep: Keeping,
        limits: Limits | None,
        clock: Callable[[], float],
        lease_tick: float,
    ) -> None:
        super().__init__(
            _Threads(files, keep=keep, compacted=self._compacted),
            revision=files.revision,
            compacted=files.compacted,
            leases=files.leases,
            limits=limits,
            clock=clock,
            lease_tick=lease_tick,
        )
        self.path = files.path
        self._files = files

    async def status(self) -> StoreStatus:
        size, used = await self._access.read(lambda _: self._files.reading.sizes())
        return StoreStatus(
            "embedded", sqlite3.sqlite_version, self._hub.revision, self._hub.compacted, size, used
        )


async def open_embedded(
    path: Path,
    *,
    keep: Keeping | None = None,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    lease_tick: float = 0.5,
) -> EmbeddedStore:
    """Opens the store at ``path``, making the file and its folders if there are none, readable by the owner
    only.

    Leases begin their time again, since the clock does not survive a restart. Raises Locked, Corrupted,
    Unavailable.
    """
    keep = keep or Keeping()
    files = await asyncio.to_thread(_Files.open, path, keep.file_bytes)
    return EmbeddedStore(files, keep=keep, limits=limits, clock=clock, lease_tick=lease_tick)


def make_embedded(path: Path, fill: Callable[[Ledger], None]) -> None:
    """Makes a store of what ``fill`` records in one transaction: all of it appears at ``path``, or nothing. It blocks.

    Raises InvalidRequest where there is a store, Locked, Unavailable, Full.
    """
    _make_folder(path.parent)
    new = path.with_name(path.name + ".new")
    with ExitStack() as undo:
        undo.callback(ProcessLock(path.with_name(path.name + ".lock"), path).release)
        if any(each.exists() for each in _files_of(path)):
            raise InvalidRequest(
                f"{path} exists already; move it away, with its -wal, or choose another folder"
            )
        try:
            undo.callback(_remove, new)
            _remove(new)
            _make_file(new)
            with translated(path):
                _fill(new, fill)
            new.rename(path)
            _sync(path.parent)
        except OSError as error:
            raise Unavailable(f"cannot make {path}: {error.strerror}") from error


def _fill(path: Path, fill: Callable[[Ledger], None]) -> None:
    with closing(_connect(path)) as connection:
        _prepare(connection, path, Keeping().file_bytes)
        ledger = SqliteLedger(connection, path)
        ledger.begin()
        fill(ledger)
        ledger.commit()


@dataclass(frozen=True, slots=True)
class _Files:
    """The lock, a connection for each thread, and what was found at the start."""

    path: Path
    lock: ProcessLock
    writing: SqliteLedger
    reading: SqliteLedger
    revision: int
    compacted: int
    leases: Mapping[int, int]

    @classmethod
    def open(cls, path: Path, file_bytes: int) -> "_Files":
        _make_folder(path.parent)
        with ExitStack() as undo:
            lock = ProcessLock(path.with_name(path.name + ".lock"), path)
            undo.callback(lock.release)
            _make_file(path)
            _check_sizes(path)
            with translated(path):
                is_new = _look(path)
                writing, reading = (undo.enter_context(closing(_connect(path))) for _ in range(2))
                _prepare(writing, path, file_bytes, is_new)
                reading.execute("PRAGMA query_only = ON")
                ledgers = SqliteLedger(writing, path), SqliteLedger(reading, path)
                revision, compacted, leases = ledgers[1].snapshot(
                    lambda ledger: (ledger.revision, ledger.compacted, ledger.leases())
                )
            undo.pop_all()
        return cls(path, lock, *ledgers, revision, compacted, leases)


class _Threads:
    """``storage.engine.Access`` on two threads."""

    def __init__(self, files: _Files, *, keep: Keeping, compacted: Callable[[int], None]) -> None:
        self._files = files
        self._closing: asyncio.Future[None] | None = None
        self._reader = ThreadPoolExecutor(1, "store reader")
        self._writer = Writer(files.writing, keep=keep.revisions, compacted=compacted)

    async def read(self, job: Callable[[Ledger], T]) -> T:
        if self._closing is not None:
            raise Unavailable("the store is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, partial(self._files.reading.snapshot, job))

    async def write(self, job: Callable[[Ledger], T], settle: Callable[[T], None]) -> T:
        return await self._writer.submit(job, settle)

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await asyncio.to_thread(self._reader.shutdown)
        self._files.reading.close()
        await self._writer.close()
        self._files.lock.release()


def _make_folder(folder: Path) -> None:
    try:
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot make the folder {folder}: {error.strerror}") from error


def _make_file(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Unavailable(f"cannot open {path}: {error.strerror}") from error


def _files_of(path: Path) -> Sequence[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]


def _remove(path: Path) -> None:
    for each in _files_of(path):
        each.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_sizes(path: Path) -> None:
    """Catches what SQLite would take for an empty database and begin anew."""
    size, log = path.stat().st_size, path.with_name(path.name + "-wal")
    if 0 < size < 512:
        raise Corrupted(f"{path} has {size} bytes, too few for a database; it was left as it is")
    if not size and log.exists() and log.stat().st_size:
        raise Corrupted(f"{path} is empty, but {log} still holds writes; both were left as they are")


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _look(path: Path) -> bool | None:
    """Checks a file with a log beside it, as ``_check`` does, on a connection that cannot write: another would move the log
    into the file when it is closed, whatever state that is in. None: only who may write can check it.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists() or not log.stat().st_size:
        return None
    try:
        with closing(_connect(path, "ro")) as connection:
            return _check(connection, path)
    except sqlite3.OperationalError as error:
        # Somebody died while the file was made, and what was begun has to be taken back first.
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
            raise
        return None


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is new. Raises Corrupted for one that is not ours, or not whole."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    is_new = not (application or version or tables)
    if not is_new and application != APPLICATION:
        raise Corrupted(f"{path} is a database of another program; it was left as it is")
    if not is_new and version != FORMAT:
        raise Corrupted(f"{path} has format {version}, this program reads {FORMAT}; it was left as it is")
    (damage,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if damage != "ok":
        raise Corrupted(f"{path} is damaged ({damage.splitlines()[-1]}); it was left as it is")
    return is_new


def _prepare(connection: sqlite3.Connection, path: Path, file_bytes: int, is_new: bool | None = None) -> None:
    """Makes a new file ours, and sets how it is written; a file of which nothing is known is checked first."""
    if is_new is None:
        is_new = _check(connection, path)
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    connection.execute(f"PRAGMA max_page_count = {max(file_bytes // page_size, 1)}")
    if is_new:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("COMMIT")
