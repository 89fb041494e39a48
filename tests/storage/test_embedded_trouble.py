"""The store in a file over full disks, damage, clocks that jump, and leases that end in the middle of a write."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import pytest

from storage.base import Corrupted, EventType, Full, LeaseNotFound, Put, Store, Unavailable
from storage.embedded import open_embedded
from tests.contracts.store import ALL, take
from tests.lab.eventually import eventually
from tests.lab.missing import missing
from tests.storage.clock import ManualClock
from tests.storage.test_embedded import busy

DAY = 86_400


class Disk:
    """A file system of a few megabytes, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "store.db"
        self._filling = folder / "filling"

    def fill(self, leaving: int = 0) -> None:
        """Leaves so many bytes free."""
        state = os.statvfs(self.folder)
        self._filling.write_bytes(bytes(max(state.f_bavail * state.f_frsize - leaving, 0)))

    def make_room(self) -> None:
        """Takes away what filled it."""
        self._filling.unlink()

    def allow(self, access: str) -> None:
        """Read-only (``ro``) or not (``rw``), for those too who have files open."""
        subprocess.run(["mount", "-o", f"remount,{access}", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        missing("Root", "mounting a small file system needs it")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


async def fill_up(store: Store, acknowledged: dict[bytes, int]) -> None:
    """Writes until it cannot; what was acknowledged."""
    while True:
        key = b"/fill/%05d" % len(acknowledged)
        acknowledged[key] = await store.put(key, bytes(20_000))


@pytest.mark.e2e
async def test_a_full_disk(disk: Disk) -> None:
    """On a full disk writes are Full and say where; reads, watches and leases go on, writes too once there is room, and
    nothing that was acknowledged is lost.
    """
    store = await open_embedded(disk.path)
    lease = await store.grant(600)
    watch = store.watch(ALL, ALL, start_revision=2)
    disk.fill(leaving=500_000)
    acknowledged: dict[bytes, int] = {}
    with pytest.raises(Full) as caught:
        await asyncio.wait_for(fill_up(store, acknowledged), 60)
    assert f"no room to write to {disk.path}" in str(caught.value)
    assert "writes work again once there is room" in str(caught.value)
    with pytest.raises(Full):
        await store.txn((), [Put(b"/more", bytes(100_000))])
    assert await store.keep_alive(lease) == 600
    assert (await store.range(b"/fill/", b"/fill0")).count == len(acknowledged) > 10
    seen = await take(watch, len(acknowledged))
    assert [batch.revision for batch in seen] == list(acknowledged.values())
    disk.make_room()
    after = await store.put(b"/after", b"1")
    assert after == max(acknowledged.values()) + 1
    assert [batch.revision for batch in await take(watch, 1)] == [after]
    await store.close()
    store = await open_embedded(disk.path)
    found = await store.range(b"/fill/", b"/fill0")
    assert {kv.key: kv.mod_revision for kv in found.kvs} == acknowledged
    await store.close()


@pytest.mark.e2e
async def test_a_start_on_a_full_disk(disk: Disk) -> None:
    """On a full disk a store that was killed there opens and can be read, and writes are Full until there is room."""
    written = killed(disk.path)
    disk.fill()
    store = await open_embedded(disk.path)
    assert (await store.range(ALL, ALL)).count == written
    with pytest.raises(Full):
        await asyncio.wait_for(fill_up(store, {}), 60)
    disk.make_room()
    assert await store.put(b"after", b"1")
    await store.close()


@pytest.mark.e2e
async def test_a_start_without_room_for_the_log(disk: Disk) -> None:
    """On a full disk a store that was closed does not open, for want of room for SQLite's log, says so, and is unharmed."""
    store = await open_embedded(disk.path)
    await store.put(b"a", b"1")
    await store.close()
    before = disk.path.read_bytes()
    disk.fill()
    with pytest.raises(Unavailable, match=r"(?i)no (room|space)") as caught:
        await open_embedded(disk.path)
    assert str(disk.folder) in str(caught.value)
    assert disk.path.read_bytes() == before
    disk.make_room()
    store = await open_embedded(disk.path)
    assert await store.get(b"a") is not None
    await store.close()


@pytest.mark.e2e
async def test_a_file_system_that_turns_read_only(disk: Disk) -> None:
    """Where nothing may be written any more reads go on, writes are Unavailable until it may, and a start says why not."""
    store = await open_embedded(disk.path)
    await store.put(b"a", b"1")
    await store.close()
    disk.allow("ro")
    with pytest.raises(Unavailable, match=r"(?i)read-only file system"):
        await open_embedded(disk.path)
    disk.allow("rw")
    store = await open_embedded(disk.path)
    assert await store.put(b"b", b"1") == 3
    await store.close()


WRITING = """
import asyncio, os, pathlib, signal, sys
from storage.embedded import open_embedded

async def main():
    store = await open_embedded(pathlib.Path(sys.argv[1]))
    for number in range(100):
        await store.put(b"k%d" % number, bytes([number]) * 3000)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def killed(path: Path) -> int:
    """Lets a process write and die, so that SQLite's log stays beside the file; how many keys it wrote."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", WRITING, path], env=environment, check=False)
    assert done.returncode == -9
    assert path.with_name(path.name + "-wal").stat().st_size > 300_000
    return 100


def contents(path: Path) -> Mapping[str, bytes]:
    """The file and SQLite's log, by name."""
    names = (path.name, path.name + "-wal")
    return {name: (path.parent / name).read_bytes() for name in names if (path.parent / name).exists()}


def damage(path: Path, kind: str) -> None:
    """Damages the file of a store in one of the ways that happen."""
    content = bytearray(path.read_bytes())
    half = len(content) // 2 // 4096 * 4096
    match kind:
        case "page":
            content[half : half + 4096] = content[half + 4096 : half + 8192]
        case "zeroes":
            content[half : half + 8192] = bytes(8192)
        case "truncated":
            del content[half + 1000 :]
        case "header":
            content[:16] = b"not a database!!"
        case "text":
            content[:] = b"This was a database once.\n" * 400
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "log"),
    [(kind, log) for kind in ("page", "zeroes", "truncated", "text", "header") for log in (False, True)][:-1],
)
async def test_a_damaged_file(tmp_path: Path, kind: str, log: bool) -> None:
    """A damaged file is Corrupted and named, and it and SQLite's log beside it are left as they are, byte for byte."""
    path = tmp_path / "store.db"
    store = await open_embedded(path)
    await asyncio.gather(*(store.put(b"a%d" % number, bytes(3000)) for number in range(100)))
    await store.close()
    if log:
        killed(path)
    damage(path, kind)
    before = contents(path)
    with pytest.raises(Corrupted) as caught:
        await open_embedded(path)
    assert str(path) in str(caught.value)
    assert "left as" in str(caught.value)
    assert contents(path) == before


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 0", "PRAGMA user_version = 2"])
async def test_a_file_of_another_format(tmp_path: Path, statement: str) -> None:
    """A file of an older or newer format is refused with both formats named, and left as it is."""
    path = tmp_path / "store.db"
    await (await open_embedded(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    before = contents(path)
    with pytest.raises(Corrupted, match=r"format \d, this program reads 1"):
        await open_embedded(path)
    assert contents(path) == before


async def test_a_wall_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that is set a day forward or back ends no lease and keeps none alive, in the run nor over a restart."""
    path = tmp_path / "store.db"
    wall = time.time
    lease, short = 0, 0
    for jump in (0, DAY, -DAY):
        monkeypatch.setattr(time, "time", lambda jump=jump: wall() + jump)
        store = await open_embedded(path)
        lease = lease or await store.grant(600)
        assert 500 < (await store.time_to_live(lease)).left <= 600
        short = await store.grant(1)
        with suppress(LeaseNotFound):  # a disk that is busy may take longer than the lease lasts
            await store.put(b"short", b"1", lease=short)
        await eventually(lambda: ended(store, short, b"short"), "the lease ends")  # noqa: B023 - awaited here
        await store.close()


async def ended(store: Store, lease: int, key: bytes) -> bool:
    """True once there is no such lease, nor its key."""
    return lease not in await store.leases() and await store.get(key) is None


LEASED = """
import asyncio, pathlib, sys, time
from storage.embedded import open_embedded

async def main():
    store = await open_embedded(pathlib.Path(sys.argv[1]))
    for lease in await store.leases():
        print(time.monotonic(), (await store.time_to_live(lease)).left)
    await store.close()

asyncio.run(main())
"""


def restarted(path: Path, offset: int) -> float:
    """Opens the store on a monotonic clock that is off by so many seconds: that clock, once the lease was looked at."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["unshare", "--time", "--monotonic", str(offset), sys.executable, "-c", LEASED, str(path)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    clock, left = map(float, said.split())
    assert 500 <= left <= 600
    return clock


@pytest.mark.e2e
async def test_a_machine_that_was_restarted(tmp_path: Path) -> None:
    """The monotonic clock begins anew with the machine: a lease begins again then, and neither ends nor lasts for days."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        missing("Root and unshare", "a clock of our own needs them")
    path = tmp_path / "store.db"
    store = await open_embedded(path)
    await store.grant(600)
    await store.close()
    uptime = int(time.monotonic())
    clocks = [restarted(path, offset) for offset in (DAY, 100 - uptime)]
    assert clocks[0] - clocks[1] > DAY


async def test_a_lease_that_ends_while_a_write_waits(tmp_path: Path) -> None:
    """A write that waits for the disk while its lease ends is done, and undone by the end of the lease."""
    clock = ManualClock()
    store = await open_embedded(tmp_path / "store.db", clock=clock, lease_tick=0.01)
    watch = store.watch(ALL, ALL, start_revision=2)
    lease = await store.grant(10)
    with busy(tmp_path / "store.db"):
        writing = asyncio.create_task(store.txn((), [Put(b"a", b"1", lease), Put(b"b", b"1")]))
        await store.get(b"a")
        clock.now += 11
        with pytest.raises(LeaseNotFound):
            await store.keep_alive(lease)
    assert (await writing).revision == 2
    put, ended = await take(watch, 2)
    assert [event.kv.key for event in put.events] == [b"a", b"b"]
    assert [(event.type, event.kv.key) for event in ended.events] == [(EventType.DELETE, b"a")]
    assert [kv.key for kv in (await store.range(ALL, ALL)).kvs] == [b"b"]
    await store.close()


async def test_a_write_that_comes_after_its_lease(tmp_path: Path) -> None:
    """A transaction that names a lease which ended before is refused as a whole."""
    clock = ManualClock()
    store = await open_embedded(tmp_path / "store.db", clock=clock, lease_tick=0.01)
    lease = await store.grant(10)
    await store.put(b"held", b"1", lease=lease)
    with busy(tmp_path / "store.db"):
        clock.now += 11
        await eventually(lambda: store._leases._task is not None and not store._leases.ids())
        ending = asyncio.create_task(store.revoke(lease))
        writing = asyncio.create_task(store.txn((), [Put(b"b", b"1"), Put(b"a", b"1", lease)]))
        await store.get(b"a")
    await asyncio.gather(ending, return_exceptions=True)
    with pytest.raises(LeaseNotFound):
        await writing
    assert (await store.range(ALL, ALL)).kvs == ()
    await store.close()


async def test_a_file_that_another_program_holds(tmp_path: Path) -> None:
    """While another program holds SQLite's own lock reads go on, and a write that waited long is Unavailable; then all is
    as before.
    """
    path = tmp_path / "store.db"
    store = await open_embedded(path)
    await store.put(b"a", b"1")
    with busy(path):
        writing = asyncio.create_task(store.put(b"a", b"2"))
        assert await store.get(b"a") is not None
        with pytest.raises(Unavailable, match="locked"):
            await writing
    assert await store.put(b"a", b"3") == 3
    await store.close()
