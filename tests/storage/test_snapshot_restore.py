"""Snapshots become stores: new files that keep every revision, and keys in stores that run."""

import asyncio
import stat
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from storage.base import Compacted, InvalidRequest, KeyValue, Locked, Put, Store, Unavailable
from storage.embedded import make_embedded, open_embedded
from storage.ledger import Ledger
from storage.memory import MemoryStore
from storage.snapshot_file import Snapshot, SnapshotLease, decode, encode, take
from storage.snapshot_restore import load, seed
from tests.contracts.store import take as batches
from tests.lab.etcd import EtcdServer
from tests.storage.snapshots import TEN_THOUSAND, snapshots

LEASED = Snapshot(
    9,
    (KeyValue(b"/a", b"1", 2, 6, 3), KeyValue(b"/b", b"2", 5, 6, 1, 77), KeyValue(b"/c", b"3", 4, 4, 1)),
    (SnapshotLease(77, 600),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


async def opened(path: Path) -> Snapshot:
    store = await open_embedded(path)
    try:
        return await take(store)
    finally:
        await store.close()


@given(snapshots())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_new_store_is_what_the_snapshot_was(tmp_path: Path, snapshot: Snapshot) -> None:
    """Keys, revisions, versions and leases."""
    path = tmp_path / f"{time.monotonic_ns()}.db"
    seed(path, snapshot)
    assert asyncio.run(opened(path)) == snapshot


async def test_a_new_store_goes_on_from_the_revision(path: Path) -> None:
    """History begins with it: older revisions are compacted, the next write is the next one, and watches see that alone."""
    seed(path, LEASED)
    store = await open_embedded(path)
    with pytest.raises(Compacted):
        await store.get(b"/a", revision=8)
    watch = store.watch(b"\0", b"\0", start_revision=9, previous=True)
    assert await store.put(b"/a", b"more") == 10
    (batch,) = await batches(watch, 1)
    assert [event.kv for event in batch.events] == [KeyValue(b"/a", b"more", 2, 10, 4)]
    assert batch.events[0].previous == LEASED.kvs[0]
    assert (await store.time_to_live(77)).keys == (b"/b",)
    await store.revoke(77)
    await store.compact(11)
    await store.close()
    assert [kv.key for kv in (await opened(path)).kvs] == [b"/a", b"/c"]


async def test_a_new_store_of_only_deletions_keeps_its_revision(path: Path) -> None:
    """Over restarts, and over a compaction."""
    seed(path, Snapshot(7))
    assert await opened(path) == Snapshot(7)
    store = await open_embedded(path)
    await store.put(b"/a", b"1")
    await store.delete(b"/a")
    await store.compact(9)
    await store.close()
    assert await opened(path) == Snapshot(9)


@pytest.mark.alone
async def test_many_keys_make_a_store_in_seconds(path: Path) -> None:
    """10,000 keys and one value of 1 MiB, through the file's form and back."""
    began = time.monotonic()
    seed(path, decode(encode(TEN_THOUSAND)))
    assert await opened(path) == TEN_THOUSAND
    assert time.monotonic() - began < 20


def test_a_new_store_is_its_owners_alone(path: Path) -> None:
    """Folder and file, with nothing beside it but the lock."""
    seed(path, LEASED)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == ["store.db", "store.db.lock"]


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_store_that_is_there_stays(path: Path, suffix: str) -> None:
    """As does a log whose file somebody moved away."""
    there = path.with_name(path.name + suffix)
    there.parent.mkdir()
    there.write_bytes(b"precious")
    with pytest.raises(InvalidRequest, match=r"store\.db exists already; move it away"):
        seed(path, LEASED)
    assert there.read_bytes() == b"precious"


async def test_a_store_in_use_is_told_by_its_process(path: Path) -> None:
    """Moving it away would not help."""
    store = await open_embedded(path)
    with pytest.raises(Locked, match="in use by process"):
        seed(path, LEASED)
    await store.close()


def test_a_revision_beyond_what_a_file_counts_is_refused(path: Path) -> None:
    """Only an etcd whose revision somebody has raised could have one."""
    seed(path, Snapshot((1 << 38) - 1))
    assert asyncio.run(opened(path)).revision == (1 << 38) - 1
    with pytest.raises(InvalidRequest, match="cannot count to revision 274877906944"):
        seed(path.with_name("other.db"), Snapshot(1 << 38))


def test_a_store_that_cannot_be_finished_leaves_nothing(path: Path) -> None:
    """And what an earlier attempt left behind is no hindrance."""
    path.parent.mkdir()
    path.with_name("store.db.new").write_bytes(b"half")

    def fail(ledger: Ledger) -> None:
        ledger.compact(5)
        raise Unavailable("no more")

    with pytest.raises(Unavailable, match="no more"):
        make_embedded(path, fail)
    assert [each.name for each in path.parent.iterdir()] == ["store.db.lock"]
    seed(path, LEASED)
    assert asyncio.run(opened(path)) == LEASED


def values(snapshot: Snapshot) -> list[tuple[bytes, bytes, int]]:
    return [(kv.key, kv.value, kv.lease) for kv in snapshot.kvs]


async def check_loading(store: Store) -> None:
    """Keys and leases arrive; a key that is there is kept, or overwritten if that is wanted."""
    told: list[int] = []
    await load(LEASED, store, progress=told.append)
    found = await take(store)
    assert values(found) == values(LEASED)
    assert found.leases == LEASED.leases
    assert told == [2, 3]
    await store.txn((), (Put(b"/a", b"changed"), Put(b"/more", b"1"), Put(b"/other", b"1")))
    before = await store.revision()
    with pytest.raises(InvalidRequest, match="is there already"):
        await load(LEASED, store)
    assert await store.revision() == before
    await load(LEASED, store, overwrite=True, remove=(b"/more",))
    assert values(await take(store)) == [*values(LEASED), (b"/other", b"1", 0)]


async def test_a_store_that_runs_takes_a_snapshot() -> None:
    """In memory."""
    store = MemoryStore()
    await check_loading(store)
    await store.close()


async def test_the_order_of_writes_can_still_be_told() -> None:
    """Where it is said to matter; what was written together stays together, and else a transaction takes what it can."""
    kvs = [
        KeyValue(b"/history/%d/%d" % (place % 2, place), b"1", 2 + place, 2 + place, 1) for place in range(8)
    ]
    kvs += [KeyValue(b"/object/%d" % place, b"1", 2, 2 + place, 2) for place in range(8)]
    store = MemoryStore()
    written = Snapshot(9, tuple(sorted(kvs, key=lambda kv: kv.key)))
    await load(
        written, store, apart=lambda key: key.rpartition(b"/")[0] if key.startswith(b"/history/") else b""
    )
    found = {kv.key: kv.mod_revision for kv in (await take(store)).kvs}
    assert [found[b"/history/%d/%d" % (place % 2, place)] for place in range(8)] == [2, 2, 3, 3, 4, 4, 5, 5]
    assert [found[b"/object/%d" % place] for place in range(8)] == [2, 2, 3, 3, 4, 4, 5, 5]
    await store.close()


@pytest.mark.e2e
async def test_an_etcd_that_runs_takes_a_snapshot(tmp_path: Path) -> None:
    """Of any size, with the limits that etcd has by default."""
    async with EtcdServer(tmp_path) as etcd, etcd.store() as store:
        await check_loading(store)
        told: list[int] = []
        await load(TEN_THOUSAND, store, overwrite=True, progress=told.append)
        assert values(await take(store, b"/xdsd/")) == values(TEN_THOUSAND)
        assert told[-1] == len(TEN_THOUSAND.kvs)
