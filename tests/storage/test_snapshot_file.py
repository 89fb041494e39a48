"""Snapshots: etcd's files are read, etcd's tools take ours, and damage is told."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from storage.base import Compacted, EventType, KeyValue, Put, RangeResult, Store
from storage.bolt_reader import BoltError, BoltReader
from storage.bolt_writer import PAGE_SIZE, bolt_file
from storage.memory import MemoryStore
from storage.snapshot_file import Snapshot, SnapshotError, SnapshotLease, decode, encode, take
from tests.lab.etcd import EtcdServer, Release, release, releases, run
from tests.storage.snapshots import TEN_THOUSAND, snapshots

SMALL = Snapshot(
    9,
    (KeyValue(b"/a", b"1", 2, 7, 3), KeyValue(b"/b", b"", 5, 7, 1, 77), KeyValue(b"/c", b"3", 6, 6, 1)),
    (SnapshotLease(77, 600), SnapshotLease(78, 60)),
)


@pytest.fixture(params=releases() or [None], ids=str)
def version(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param or release()
    return found


@given(snapshots())
@settings(deadline=None)
def test_what_is_written_is_read_again(snapshot: Snapshot) -> None:
    """Whatever the keys, values, revisions and leases are."""
    assert decode(encode(snapshot)) == snapshot


@given(
    some.dictionaries(
        some.binary(min_size=1, max_size=20),
        some.lists(
            some.tuples(some.binary(min_size=1, max_size=3000), some.binary(max_size=9000)), max_size=40
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(deadline=None)
def test_a_tree_of_any_shape_is_read_again(buckets: dict[bytes, list[tuple[bytes, bytes]]]) -> None:
    """Long keys that make many branches, values over several pages, buckets with nothing in them."""
    wanted = {name: sorted(dict(items).items()) for name, items in buckets.items()}
    reader = BoltReader(memoryview(bolt_file(wanted)))
    assert {name: list(reader.items(name)) for name in wanted} == wanted


def test_many_keys_and_large_values_take_seconds() -> None:
    """10,000 keys and one of 1 MiB; the tests below show that etcd takes the same."""
    assert decode(encode(TEN_THOUSAND)) == TEN_THOUSAND


def test_what_is_wanted_keeps_its_leases() -> None:
    """A lease goes with the last key that it had; one that had none stays."""
    chosen = SMALL.only(lambda key: key != b"/b")
    assert [kv.key for kv in chosen.kvs] == [b"/a", b"/c"]
    assert chosen.leases == (SnapshotLease(78, 60),)
    assert SMALL.only(lambda key: key != b"/a").leases == SMALL.leases


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it is empty"),
        (b"no snapshot\n" * 1000, "it is no snapshot, or was cut short"),
        (encode(SMALL)[:-1], "it is no snapshot, or was cut short"),
        (encode(SMALL)[:-PAGE_SIZE], "it is no snapshot, or is damaged: its SHA-256"),
        (encode(SMALL)[:-32], "it is no snapshot, or was cut short"),
        (bytes(544), "it is no snapshot, or is damaged: its SHA-256"),
    ],
    ids=["empty", "text", "a byte short", "a page short", "without hash", "zeros"],
)
def test_what_is_no_snapshot_is_refused(data: bytes, sentence: str) -> None:
    """In one sentence that says what is wrong."""
    with pytest.raises(SnapshotError, match=sentence):
        decode(data)


@given(some.integers(0, 10**9), some.integers(1, 255))
def test_a_flipped_byte_is_found(place: int, change: int) -> None:
    """Wherever it is."""
    data = bytearray(encode(SMALL))
    data[place % len(data)] ^= change
    with pytest.raises(SnapshotError):
        decode(bytes(data))


@given(some.integers(0, 10**9), some.binary(min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_damage_with_a_valid_hash_does_no_harm(place: int, change: bytes) -> None:
    """Such a file is refused, or read; nothing else happens, and it ends."""
    database = bytearray(encode(SMALL)[:-32])
    place %= len(database)
    database[place : place + len(change)] = change[: len(database) - place]
    said = "it is damaged: "
    try:
        decode(bytes(database) + hashlib.sha256(database).digest())
    except SnapshotError as error:
        said = str(error)
    assert said.startswith("it is damaged: ")


def test_a_page_that_leads_back_is_found() -> None:
    """A tree that names one of its pages twice would never end."""
    items = [(b"%03d" % number, b"x" * 1000) for number in range(20)]
    file = bytearray(bolt_file({b"a": items}))
    branch = next(at for at in range(0, len(file), PAGE_SIZE) if file[at + 8] == 0x01)
    file[branch + 16 + 8 : branch + 16 + 16] = (branch // PAGE_SIZE).to_bytes(8, "little")
    with pytest.raises(BoltError, match="is used twice"):
        list(BoltReader(memoryview(bytes(file))).items(b"a"))


def test_the_older_of_two_states_counts_if_the_newer_is_torn() -> None:
    """bbolt writes its two meta pages in turn; so one of them is whole after a crash."""
    file = bytearray(bolt_file({b"a": [(b"k", b"v")]}))
    file[PAGE_SIZE + 40] ^= 1
    assert list(BoltReader(memoryview(bytes(file))).items(b"a")) == [(b"k", b"v")]
    file[40] ^= 1
    with pytest.raises(BoltError, match="does not begin as a bbolt file does"):
        BoltReader(memoryview(bytes(file)))


async def test_a_store_is_taken_as_of_one_revision() -> None:
    """With what it has at that revision, however it changes meanwhile; history and what is deleted is left out."""
    store = MemoryStore()
    lease = await store.grant(600)
    for number in range(2500):
        await store.put(b"/k/%04d" % number, b"1", lease=lease if number == 7 else 0)
    await store.delete(b"/k/0003")
    whole = await store.range(b"\0", b"\0")
    found, _ = await asyncio.gather(take(store), store.put(b"/k/0000", b"2"))
    assert found.revision in (whole.revision, whole.revision + 1)
    assert found.kvs == (await store.range(b"\0", b"\0", revision=found.revision)).kvs
    assert found.leases == (SnapshotLease(lease, 600),)
    await store.close()


async def test_a_part_of_a_store_is_taken_with_its_leases() -> None:
    """Leases of others are not ours to restore."""
    store = MemoryStore()
    ours, theirs = await store.grant(600), await store.grant(60)
    await store.put(b"/ours/a", b"1", lease=ours)
    await store.put(b"/theirs", b"1", lease=theirs)
    found = await take(store, b"/ours/")
    assert [kv.key for kv in found.kvs] == [b"/ours/a"]
    assert found.leases == (SnapshotLease(ours, 600),)
    assert await take(store, b"/theirs", b"/ours/", b"/the") == await take(store)
    await store.close()


async def test_a_compaction_meanwhile_lets_it_begin_anew() -> None:
    """Pages after the first are of the past, which may be gone."""
    store = Compacting()
    for number in range(1500):
        await store.put(b"/k/%04d" % number, b"1")
    found = await take(store)
    assert len(found.kvs) == 1500
    assert found.revision == await store.revision()
    await store.close()


class Compacting(MemoryStore):
    """Is compacted once, between the first page that is read of it and the next."""

    done = False

    async def range(self, key: bytes, range_end: bytes | None = None, **options: Any) -> RangeResult:
        page = await super().range(key, range_end, **options)  # Any: the contract's
        if page.more and not self.done:
            self.done = True
            await self.compact(await self.put(b"/k/0000", b"2"))
        return page


async def fill(store: Store) -> None:
    """300 keys, written over and over, with a compaction, deletions, leases and large values."""
    leases = [await store.grant(600 + number) for number in range(3)]
    for round_ in range(3):
        for start in range(0, 320, 100):
            writes = [
                Put(
                    b"/k/%03d" % number,
                    b"%d" % round_ * (number * 10),
                    leases[number % 3] if number % 5 == 0 else 0,
                )
                for number in range(start, min(start + 100, 310))
            ]
            await store.txn((), writes)
        await store.put(b"/k/%03d" % round_, bytes(range(256)) * 4096)
    await store.compact(await store.revision() - 3)
    await store.delete(b"/k/300", b"/k/310")


@pytest.mark.e2e
@pytest.mark.parametrize(
    "snapshot",
    [Snapshot(1), Snapshot(7), SMALL, TEN_THOUSAND],
    ids=["empty", "only deletions", "small", "large"],
)
async def test_etcds_tools_take_our_file(version: Release, tmp_path: Path, snapshot: Snapshot) -> None:
    """``snapshot status`` and ``restore`` do, and the etcd of it serves exactly what was there, and takes more."""
    file = tmp_path / "ours.db"
    file.write_bytes(encode(snapshot))
    program = version.program("etcdutl" if version.has("etcdutl") else "etcdctl")
    told = json.loads((await run(program, "snapshot", "status", str(file), "-w", "json")).splitlines()[-1])
    assert told["revision"] == (snapshot.revision if snapshot.revision > 1 else 0)
    assert told["totalSize"] == file.stat().st_size - 32
    etcd = EtcdServer(tmp_path, version=version)
    await run(program, "snapshot", "restore", str(file), *restore_flags(etcd))
    async with etcd, etcd.store() as store:
        assert await take(store) == snapshot
        if snapshot.revision > 1:
            with pytest.raises(Compacted):
                await store.get(b"/a", revision=snapshot.revision - 1)
        for kv in snapshot.kvs[:1]:
            await store.put(kv.key, b"more")
            changed = KeyValue(kv.key, b"more", kv.create_revision, snapshot.revision + 1, kv.version + 1)
            assert await store.get(kv.key) == changed
        newest = await store.put(b"/new", b"1")
        assert newest == snapshot.revision + 1 + bool(snapshot.kvs)
        await store.compact(newest)
        await etcd.stop()
        await etcd.start()
        assert (await store.range(b"\0", b"\0", count_only=True)).count == len(snapshot.kvs) + 1


@pytest.mark.e2e
async def test_a_restored_lease_ends(version: Release, tmp_path: Path) -> None:
    """Its time begins anew with the etcd, and takes along the key that it had."""
    kv = KeyValue(b"/leased", b"1", 2, 2, 1, 77)
    (tmp_path / "ours.db").write_bytes(encode(Snapshot(2, (kv,), (SnapshotLease(77, 2),))))
    etcd = EtcdServer(tmp_path, version=version)
    program = version.program("etcdutl" if version.has("etcdutl") else "etcdctl")
    await run(program, "snapshot", "restore", str(tmp_path / "ours.db"), *restore_flags(etcd))
    async with etcd, etcd.store() as store:
        watch = store.watch(b"/leased", start_revision=3, previous=True)
        batch = await asyncio.wait_for(anext(aiter(watch)), 60)
        assert [(event.type, event.previous) for event in batch.events] == [(EventType.DELETE, kv)]
        await watch.close()


def restore_flags(etcd: EtcdServer) -> tuple[str, ...]:
    """Into this one's data dir, as the only member."""
    cluster = ("--name", etcd.name, "--initial-cluster", f"{etcd.name}={etcd.peer}")
    return "--data-dir", str(etcd.data), *cluster, "--initial-advertise-peer-urls", etcd.peer


@pytest.mark.e2e
async def test_etcds_own_file_is_read(version: Release, tmp_path: Path) -> None:
    """As ``etcdctl snapshot save`` writes it: over compactions and deletions, with leases, and values of all sizes."""
    async with EtcdServer(tmp_path, version=version) as etcd:
        async with etcd.store() as store:
            await fill(store)
            wanted = await take(store)
        await etcd.etcdctl("snapshot", "save", str(tmp_path / "saved.db"))
    assert decode((tmp_path / "saved.db").read_bytes()) == wanted
    assert len(wanted.kvs) == 300


@pytest.mark.e2e
async def test_etcds_state_after_only_deletions_is_read(version: Release, tmp_path: Path) -> None:
    """An empty etcd has the revision of its last deletion, or of its compaction."""
    async with EtcdServer(tmp_path, version=version) as etcd, etcd.store() as store:
        await etcd.etcdctl("snapshot", "save", str(tmp_path / "new.db"))
        await store.put(b"a", b"1")
        revision, _ = await store.delete(b"a")
        await etcd.etcdctl("snapshot", "save", str(tmp_path / "deleted.db"))
        await store.compact(revision)
        await etcd.etcdctl("snapshot", "save", str(tmp_path / "compacted.db"))
    assert decode((tmp_path / "new.db").read_bytes()) == Snapshot(1)
    assert decode((tmp_path / "deleted.db").read_bytes()) == Snapshot(revision)
    assert decode((tmp_path / "compacted.db").read_bytes()) == Snapshot(revision)
