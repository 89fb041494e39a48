"""The embedded store keeps the contract, and keeps it across restarts."""

import asyncio
import os
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from storage.base import (
    Compacted,
    Corrupted,
    EventType,
    KeyValue,
    Lease,
    LeaseNotFound,
    Locked,
    Put,
    Store,
    Unavailable,
)
from storage.embedded import Keeping, open_embedded
from storage.sqlite import SqliteLedger
from tests.contracts.store import ALL, StoreMaker, WholeStoreContract, take
from tests.storage.clock import ManualClock


class TestEmbeddedStore(WholeStoreContract):
    @pytest.fixture
    def maker(self, tmp_path: Path) -> StoreMaker:
        clock = ManualClock()

        async def open_store() -> Store:
            return await open_embedded(tmp_path / "state" / "store.db", clock=clock, lease_tick=0.01)

        return StoreMaker(open_store, clock.elapse)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


async def test_restart_keeps_keys_and_history(path: Path) -> None:
    """Keys, revisions and every revision that was not compacted are there after a restart, for reads and watches."""
    store = await open_embedded(path)
    await store.put(b"a", b"1")
    await store.txn([], [Put(b"a", b"2"), Put(b"b", b"1")])
    await store.delete(b"b")
    before = [batch.events for batch in await take(store.watch(ALL, ALL, start_revision=1, previous=True), 3)]
    await store.close()
    store = await open_embedded(path)
    assert await store.revision() == 4
    assert await store.get(b"a", revision=2) == KeyValue(b"a", b"1", 2, 2, 1)
    watch = store.watch(ALL, ALL, start_revision=2, previous=True)
    assert [batch.events for batch in await take(watch, 3)] == before
    assert await store.put(b"c", b"1") == 5
    assert [batch.revision for batch in await take(watch, 1)] == [5]
    await store.close()


async def test_restart_keeps_leases(path: Path) -> None:
    """A lease outlives a restart with its whole time before it, and then takes its keys along."""
    store = await open_embedded(path)
    lease = await store.grant(30)
    await store.put(b"a", b"1", lease=lease)
    await store.close()
    clock = ManualClock()
    store = await open_embedded(path, clock=clock, lease_tick=0.01)
    assert await store.time_to_live(lease) == Lease(lease, 30, 30, (b"a",))
    watch = store.watch(b"a")
    await clock.elapse(31)
    assert [batch.events[0].type for batch in await take(watch, 1)] == [EventType.DELETE]
    await store.close()


async def test_restart_keeps_compaction(path: Path) -> None:
    """What was compacted stays so after a restart."""
    store = await open_embedded(path)
    for number in range(10):
        await store.put(b"a", b"%d" % number)
    await store.compact(8)
    await store.close()
    store = await open_embedded(path)
    with pytest.raises(Compacted):
        await store.get(b"a", revision=7)
    with pytest.raises(Compacted):
        await take(store.watch(b"a", start_revision=7), 1)
    assert [batch.revision for batch in await take(store.watch(b"a", start_revision=8), 4)] == [8, 9, 10, 11]
    await store.close()


async def test_long_history_is_replayed_in_pages(path: Path) -> None:
    """A watch from the beginning of a history longer than a page, by rows or by bytes, sees all of it once."""
    store = await open_embedded(path)
    await asyncio.gather(*(store.put(b"k%d" % (number % 10), b"x" * (number % 13)) for number in range(2500)))
    await asyncio.gather(*(store.put(b"large", b"x" * 1_500_000) for _ in range(8)))
    await store.txn([], [Put(b"t%d" % number, b"") for number in range(1500)])
    await store.close()
    store = await open_embedded(path)
    batches = await take(store.watch(ALL, ALL, start_revision=1), 2509)
    assert [batch.revision for batch in batches] == list(range(2, 2511))
    assert len(batches[-1].events) == 1500
    assert [batch.revision for batch in await take(store.watch(b"t1", start_revision=1), 1)] == [2510]
    await store.close()


async def test_old_history_is_let_go(path: Path) -> None:
    """The file does not grow with the number of writes: only the newest revisions are kept."""
    store = await open_embedded(path, keep=Keeping(revisions=100))
    for _ in range(40):
        await asyncio.gather(*(store.put(b"k%d" % (number % 5), b"x" * 1000) for number in range(500)))
    newest = await store.revision()
    assert newest == 20_001
    assert (await store.range(ALL, ALL, revision=newest - 90)).count == 5
    with pytest.raises(Compacted):
        await store.range(ALL, ALL, revision=newest - 2000)
    await store.close()
    assert len(read(path)) < 3_000_000


async def test_compacted_rows_are_deleted(path: Path) -> None:
    """After a compaction the file holds one row a key that exists and those of the revisions kept, no more."""
    store = await open_embedded(path)
    for number in range(30):
        await store.put(b"k%d" % (number % 3), b"x")
    await store.delete(b"k0")
    await store.compact(await store.revision())
    await store.close()
    store = await open_embedded(path)  # opening sweeps what closing left behind
    await store.put(b"last", b"x")
    await store.compact(await store.revision())
    await store.put(b"marker", b"x")
    await store.close()
    store = await open_embedded(path)
    await store.put(b"marker", b"y")
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT key, id >> 24, version FROM history ORDER BY id").fetchall()
    assert rows == [
        (b"k1", 30, 10),
        (b"k2", 31, 10),
        (b"last", 33, 1),
        (b"marker", 34, 1),
        (b"marker", 35, 2),
    ]


async def test_files_are_the_owners_alone(path: Path) -> None:
    """Folders and files that the store makes are readable by their owner only."""
    store = await open_embedded(path)
    await store.put(b"a", b"1")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    await store.close()
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_second_process_is_refused(path: Path) -> None:
    """A second process gets Locked, which names the file and the owner; kill -9 of the owner frees the file."""
    with owner(path) as process:
        with pytest.raises(Locked) as caught:
            await open_embedded(path)
        assert (
            str(caught.value) == f"{path} is in use by process {process.pid}; stop it or choose another file"
        )
        process.kill()
        process.wait()
        store = await open_embedded(path)
        assert await store.get(b"owner") is not None
        await store.close()


async def test_second_store_of_one_process_is_refused(path: Path) -> None:
    """Opening the file twice in one process is refused too, and leaves the first store as it was."""
    store = await open_embedded(path)
    with pytest.raises(Locked, match=str(os.getpid())):
        await open_embedded(path)
    assert await store.put(b"a", b"1") == 2
    await store.close()


@pytest.mark.parametrize(
    "content", [b"x", b"not a database, but long enough for a header" * 100, b"SQLite format 3\0"]
)
async def test_garbage_is_left_as_it_is(path: Path, content: bytes) -> None:
    """A file that is no database is Corrupted, and is not touched."""
    write(path, content)
    with pytest.raises(Corrupted, match=r"store\.db"):
        await open_embedded(path)
    assert read(path) == content


async def test_log_without_its_file_is_left_as_it_is(path: Path) -> None:
    """Where the file is gone but SQLite's log still holds writes, nothing new is begun over it."""
    write(path.with_name("store.db-wal"), b"writes that were acknowledged")
    with pytest.raises(Corrupted, match=r"store\.db-wal"):
        await open_embedded(path)
    assert read(path.with_name("store.db-wal")) == b"writes that were acknowledged"


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 1", "PRAGMA user_version = 1"]
)
async def test_database_of_another_program_is_left_as_it_is(path: Path, statement: str) -> None:
    """A database that is not ours is Corrupted, and is not touched."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
        connection.execute(statement)
    content = read(path)
    with pytest.raises(Corrupted, match="another program"):
        await open_embedded(path)
    assert read(path) == content


async def test_newer_format_is_left_as_it_is(path: Path) -> None:
    """A file of a format that this program does not know is Corrupted, with both formats named."""
    await (await open_embedded(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Corrupted, match="format 99, this program reads 1"):
        await open_embedded(path)


@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
async def test_damaged_file_is_left_as_it_is(path: Path, damage: str) -> None:
    """A file that lost a part of itself is Corrupted when it is opened, and is not touched."""
    store = await open_embedded(path)
    await asyncio.gather(*(store.put(b"k%d" % number, b"x" * 3000) for number in range(100)))
    await store.close()
    content = read(path)
    half = len(content) // 2
    content = (
        content[:half] if damage == "truncated" else content[:4096] + b"\x5a" * half + content[4096 + half :]
    )
    write(path, content)
    with pytest.raises(Corrupted, match=r"store\.db"):
        await open_embedded(path)
    assert read(path) == content


async def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A place where no file can be is Unavailable, with the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="Not a directory"):
        await open_embedded(tmp_path / "file" / "store.db")
    with pytest.raises(Unavailable, match="directory"):
        await open_embedded(tmp_path)


async def test_full_file_refuses_writes_and_serves_reads(path: Path) -> None:
    """Where the file may not grow, a write is Unavailable and has no effect; reads and smaller writes go on."""
    store = await open_embedded(path, keep=Keeping(file_bytes=1_000_000))
    await store.put(b"a", b"1")
    with pytest.raises(Unavailable, match="full"):
        await store.put(b"large", b"x" * 1_400_000)
    assert await store.get(b"large") is None
    assert await store.get(b"a") == KeyValue(b"a", b"1", 2, 2, 1)
    assert await store.put(b"b", b"1") == 3
    await store.close()


async def test_failing_disk_loses_nothing_that_was_acknowledged(path: Path) -> None:
    """While the disk takes no more, writes are Unavailable; once it does, they go on and nothing acknowledged is lost."""
    store = await open_embedded(path)
    acknowledged: list[int] = []

    async def fill() -> None:
        for number in range(500):
            revision = await store.put(b"k%d" % number, b"x" * 5000)
            acknowledged.append(revision)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        with pytest.raises(Unavailable):
            await fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(acknowledged) > 10
    assert await store.put(b"after", b"1") == acknowledged[-1] + 1
    await store.close()
    store = await open_embedded(path)
    assert (await store.range(b"k", b"l")).count == len(acknowledged)
    await store.close()


@contextmanager
def busy(path: Path) -> Iterator[None]:
    """Holds SQLite's own write lock, so that the store's writer has to wait."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_waiting_writer_stops_nobody(path: Path) -> None:
    """While a write waits for the disk, the event loop runs and reads are served."""
    store = await open_embedded(path)
    await store.put(b"a", b"1")
    with busy(path):
        write = asyncio.ensure_future(store.put(b"a", b"2"))
        for _ in range(100):
            assert (await store.range(ALL, ALL)).revision == 2
        assert not write.done()
    assert await write == 3
    await store.close()


async def test_writes_that_wait_share_a_commit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred writes that queue while one waits for the disk are made durable together, each at its own revision."""
    store = await open_embedded(path)
    commits: list[SqliteLedger] = []
    commit = SqliteLedger.commit

    def counted(ledger: SqliteLedger) -> None:
        commits.append(ledger)
        commit(ledger)

    monkeypatch.setattr(SqliteLedger, "commit", counted)
    with busy(path):
        writes = [asyncio.ensure_future(store.put(b"k%d" % number, b"v")) for number in range(100)]
        await store.get(b"k0")
    assert await asyncio.gather(*writes) == list(range(2, 102))
    assert len(commits) <= 4
    await store.close()


async def test_one_writers_trouble_is_not_the_others(path: Path) -> None:
    """Of writes that share a commit, those that cannot be done fail alone."""
    store = await open_embedded(path, keep=Keeping(file_bytes=1_000_000))
    with busy(path):
        writes = [
            asyncio.ensure_future(store.put(key, value, lease=lease))
            for key, value, lease in (
                (b"a", b"1", 0),
                (b"x", b"x" * 1_400_000, 0),
                (b"y", b"1", 9),
                (b"b", b"1", 0),
            )
        ]
        await store.get(b"a")
    a, x, y, b = await asyncio.gather(*writes, return_exceptions=True)
    assert (a, b) == (2, 3)
    assert isinstance(x, Unavailable)
    assert isinstance(y, LeaseNotFound)
    await store.close()


async def test_closing_finishes_what_was_begun(path: Path) -> None:
    """Writes that were asked for before the store is closed are done, and acknowledged."""
    store = await open_embedded(path)
    writes = [asyncio.ensure_future(store.put(b"k%d" % number, b"v")) for number in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert len(await asyncio.gather(*writes)) == 300
    store = await open_embedded(path)
    assert (await store.range(ALL, ALL)).count == 300
    await store.close()


@contextmanager
def owner(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that has the store open."""
    program = f"""
import asyncio, pathlib, sys
from storage.embedded import open_embedded
async def main():
    store = await open_embedded(pathlib.Path({str(path)!r}))
    await store.put(b"owner", b"1")
    print("open", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
