"""``xdsctl snapshot``: saved from a store of either kind, checked, and restored into the other."""

import asyncio
import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from storage.base import KeyValue, Store
from storage.embedded import open_embedded
from storage.etcd import EtcdSettings, open_etcd
from storage.snapshot_file import Snapshot, decode, encode
from tests.api.daemon import Daemon
from tests.lab.etcd import release
from tests.lab.ports import free_ports
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.etcd import Etcd, running_etcd
from xdsd.intents import Intents
from xdsd.intents.history import KEPT_SINCE, Wanted
from xdsd.manifest import object_to_dict

RULE_KEY = "/xdsd/objects/destinationrules.networking.istio.io/default/reviews"
VIRTUAL_KEY = "/xdsd/objects/virtualservices.networking.istio.io/default/reviews"
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews%d}
"""


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with running_etcd(tmp_path_factory.mktemp("etcd")) as running:
        yield running


@pytest.fixture
def saved(server: Daemon, xdsctl: Xdsctl, tmp_path: Path) -> Path:
    """A snapshot of a daemon with two keys of objects; their values matter to nobody here."""
    for key in (RULE_KEY, VIRTUAL_KEY):
        server.run(server.store.put(key.encode(), b"as saved"))
    result = xdsctl("snapshot", "save", str(tmp_path / "backup.db"))
    assert result.exit_code == 0, result.output
    return tmp_path / "backup.db"


Recorded = tuple[int, list[tuple[int, int]]]


async def recorded(store: Store) -> Recorded:
    """Since when history is complete, and the revisions and the numbers of the rule, the newest first."""
    page = await Intents(store).history(Wanted("DestinationRule", "default", "reviews"))
    numbers = [
        (each.revision, object_to_dict(each.after)["spec"]["host"]) for each in page.records if each.after
    ]
    return page.kept_since, [(revision, int(host.removeprefix("reviews"))) for revision, host in numbers]


def contents(path: Path) -> dict[str, str]:
    """The keys of an embedded store."""

    async def read() -> Sequence[KeyValue]:
        store = await open_embedded(path)
        try:
            return (await store.range(b"\0", b"\0")).kvs
        finally:
            await store.close()

    return {kv.key.decode(): kv.value.decode() for kv in asyncio.run(read())}


def test_a_snapshot_is_saved_checked_and_told(server: Daemon, xdsctl: Xdsctl, saved: Path) -> None:
    """Readable by its owner alone, with nothing left beside it; its status names revision, keys and hash."""
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert [path.name for path in saved.parent.iterdir() if "backup" in path.name] == ["backup.db"]
    about = json.loads(xdsctl("snapshot", "status", str(saved), "-o", "json").stdout)
    assert about["revision"] == server.run(server.store.revision())
    assert about["keys"] == 2
    assert about["hash"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert about["sizeBytes"] == saved.stat().st_size
    lines = xdsctl("snapshot", "status", str(saved)).stdout.splitlines()
    assert lines[0].split() == ["HASH", "REVISION", "TOTAL", "KEYS", "LEASES", "TOTAL", "SIZE"]
    again = json.loads(xdsctl("snapshot", "save", str(saved), "-o", "json").stdout)
    assert again["revision"] == about["revision"]


def test_a_snapshot_goes_through_a_pipe(server: Daemon, xdsctl: Xdsctl, tmp_path: Path) -> None:
    """- is the standard output, which has the bytes alone; what is said goes to the error stream."""
    server.run(server.store.put(RULE_KEY.encode(), b"as saved"))
    result = xdsctl("snapshot", "save", "-")
    assert result.exit_code == 0
    assert decode(result.stdout_bytes).kvs[0].key == RULE_KEY.encode()
    assert result.stderr.startswith("Snapshot written to the standard output: revision 2, 1 key, ")
    assert xdsctl("snapshot", "save", "-", "-o", "json").exit_code == 2


def test_only_files_are_replaced(server: Daemon, xdsctl: Xdsctl, tmp_path: Path) -> None:
    """A link goes on to lead where it does; a pipe, a device and what leads there are left as they are."""
    target, link = tmp_path / "monday.db", tmp_path / "latest.db"
    link.symlink_to(target)
    assert xdsctl("snapshot", "save", str(link)).exit_code == 0
    assert link.is_symlink()
    assert target.is_file()
    pipe, null = tmp_path / "pipe", tmp_path / "null"
    os.mkfifo(pipe)
    null.symlink_to(os.devnull)
    for path in (pipe, null, Path(os.devnull), Path("/dev/xdsctl-none"), Path("/dev/stdout")):
        result = xdsctl("snapshot", "save", str(path))
        assert result.exit_code == 1
        assert result.stderr == (
            f"Error: {path} is no regular file, and stays as it is; name a file, or - for the standard output\n"
        )
    assert pipe.is_fifo()
    assert Path(os.devnull).is_char_device()
    assert not Path("/dev/xdsctl-none").exists()
    assert xdsctl("snapshot", "save", str(tmp_path)).exit_code == 2


def test_a_snapshot_becomes_the_store_of_a_new_daemon(alone: Xdsctl, saved: Path, tmp_path: Path) -> None:
    """With every object; a store that is there already is refused and stays."""
    state = tmp_path / "new" / "state"
    words = ("snapshot", "restore", str(saved), "--state-dir", str(state))
    told = alone(*words, "--dry-run").stdout
    assert told.startswith("2 keys of revision ")
    assert told.endswith(f" would be restored into {state / 'xdsd.db'} (dry run)\n")
    assert not state.exists()
    result = alone(*words)
    assert result.exit_code == 0, result.output
    assert f"restored into {state / 'xdsd.db'}" in result.stdout
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "xdsd.db").stat().st_mode) == 0o600
    assert contents(state / "xdsd.db") == {RULE_KEY: "as saved", VIRTUAL_KEY: "as saved"}
    before = (state / "xdsd.db").read_bytes()
    again = alone(*words)
    assert again.exit_code == 1
    assert "xdsd.db exists already; move it away" in again.stderr
    assert alone(*words, "--dry-run").exit_code == 1
    assert (state / "xdsd.db").read_bytes() == before


def test_a_store_belongs_to_whom_its_folder_belongs(alone: Xdsctl, saved: Path, tmp_path: Path) -> None:
    """Root restores for the daemon's user, who could not open it otherwise; anybody else for themselves."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(state, 65534, 65534)
    assert alone("snapshot", "restore", str(saved), "--state-dir", str(state)).exit_code == 0
    owners = {path.name: path.stat().st_uid for path in state.iterdir()}
    assert owners == dict.fromkeys(("xdsd.db", "xdsd.db.lock"), state.stat().st_uid)


def test_the_store_of_a_daemon_that_runs_is_named_with_its_process(
    alone: Xdsctl, saved: Path, tmp_path: Path
) -> None:
    """Moving the file away would not help while somebody writes to it."""

    async def restore() -> Any:
        store = await open_embedded(tmp_path / "state" / "xdsd.db")
        try:
            return await asyncio.to_thread(
                alone, "snapshot", "restore", str(saved), "--state-dir", str(tmp_path / "state")
            )
        finally:
            await store.close()

    result = asyncio.run(restore())
    assert result.exit_code == 1
    assert "is in use by process" in result.stderr


@pytest.mark.e2e
def test_a_snapshot_of_a_daemon_is_restored_into_an_etcd(alone: Xdsctl, saved: Path, etcd: Etcd) -> None:
    """All or nothing where a key is there already, unless it may be replaced; and nothing on trial."""
    etcd.etcdctl("del", "", "--prefix")
    words = ("snapshot", "restore", str(saved), "--store", f"etcd://{etcd.endpoint}")
    assert "would be restored into etcd://" in alone(*words, "--dry-run").stdout
    assert etcd.etcdctl("get", "", "--prefix")[1] == ""
    result = alone(*words)
    assert result.exit_code == 0, result.output
    restored = etcd.etcdctl("get", "/xdsd/objects/", "--prefix", "--keys-only")[1].split()
    assert len(restored) == 2
    etcd.etcdctl("put", RULE_KEY, "changed")
    etcd.etcdctl("put", "/xdsd/objects/more", "1")
    etcd.etcdctl("put", "/other", "1")
    for more in ((), ("--dry-run",)):
        refused = alone(*words, *more)
        assert refused.exit_code == 1
        assert "and 2 more keys are there already; nothing was restored" in refused.stderr
        assert "--replace" in refused.stderr
        assert "it would overwrite 2 and remove 1" in refused.stderr
    assert etcd.etcdctl("get", RULE_KEY, "--print-value-only")[1] == "changed\n"
    assert (
        "1 key that the snapshot does not have would be removed"
        in alone(*words, "--replace", "--dry-run").stdout
    )
    assert alone(*words, "--replace").exit_code == 0
    assert etcd.etcdctl("get", RULE_KEY, "--print-value-only")[1] == "as saved\n"
    assert etcd.etcdctl("get", "/xdsd/objects/more")[1] == ""
    assert etcd.etcdctl("get", "/other", "--print-value-only")[1] == "1\n"


@pytest.mark.e2e
def test_a_daemon_that_runs_on_the_etcd_is_no_hindrance(alone: Xdsctl, etcd: Etcd, tmp_path: Path) -> None:
    """What says that daemons run is neither restored nor replaced, and does not count as a mesh that is there."""
    etcd.etcdctl("del", "", "--prefix")
    running = {"/xdsd/members/1": "saved", "/xdsd/singletons/x": "saved", "/xdsd/objects/x": "1"}
    for key, value in running.items():
        etcd.etcdctl("put", key, value)
    assert etcd.xdsctl("snapshot", "save", str(tmp_path / "backup.db")).exit_code == 0
    for key in running:
        etcd.etcdctl("put", key, "now")
    etcd.etcdctl("del", "/xdsd/objects/x")
    result = alone("snapshot", "restore", str(tmp_path / "backup.db"), "--store", f"etcd://{etcd.endpoint}")
    assert result.stdout.startswith("1 key of revision ")
    assert "\n2 keys left out: which daemons ran, and what each did for all\n" in result.stdout
    values = {key: etcd.etcdctl("get", key, "--print-value-only")[1] for key in running}
    assert values == {**dict.fromkeys(running, "now\n"), "/xdsd/objects/x": "1\n"}
    alone("snapshot", "restore", str(tmp_path / "backup.db"), "--state-dir", str(tmp_path / "state"))
    assert contents(tmp_path / "state" / "xdsd.db") == {"/xdsd/objects/x": "1"}


@pytest.mark.e2e
def test_what_an_etcd_does_not_take_is_told_with_what_was_done(
    alone: Xdsctl, etcd: Etcd, tmp_path: Path
) -> None:
    """An embedded store takes values that are a little too large for an etcd as it is by default."""
    etcd.etcdctl("del", "", "--prefix")
    kvs = (KeyValue(b"/xdsd/a", b"1", 2, 2, 1), KeyValue(b"/xdsd/b", b"x" * 1_572_864, 3, 3, 1))
    (tmp_path / "large.db").write_bytes(encode(Snapshot(3, kvs)))
    words = ("snapshot", "restore", str(tmp_path / "large.db"), "--store", f"etcd://{etcd.endpoint}")
    result = alone(*words)
    assert result.exit_code == 1
    assert "1 of 2 keys were restored before; --replace begins anew" in result.stderr
    assert "1.5 MiB" in result.stderr


def test_an_etcd_that_is_not_there_is_told(alone: Xdsctl, saved: Path) -> None:
    """By its address."""
    (port,) = free_ports(1)
    result = alone("snapshot", "restore", str(saved), "--store", f"etcd://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}" in result.stderr


@pytest.mark.e2e
def test_history_goes_along(
    server: Daemon, xdsctl: Xdsctl, alone: Xdsctl, etcd: Etcd, tmp_path: Path
) -> None:
    """Into a file with its revisions; into an etcd in its order, complete from the restored revisions on."""
    etcd.etcdctl("del", "", "--prefix")
    server.run(server.store.put(KEPT_SINCE, b'{"revision":1}'))
    for number in (1, 2, 3):
        assert xdsctl("apply", "-f", "-", input=RULE % number).exit_code == 0
    assert xdsctl("snapshot", "save", str(tmp_path / "backup.db")).exit_code == 0
    restore = ("snapshot", "restore", str(tmp_path / "backup.db"))
    assert alone(*restore, "--state-dir", str(tmp_path / "state")).exit_code == 0
    before = server.run(recorded(server.store))

    async def embedded() -> Recorded:
        store = await open_embedded(tmp_path / "state" / "xdsd.db")
        try:
            return await recorded(store)
        finally:
            await store.close()

    assert asyncio.run(embedded()) == before
    assert [number for _, number in before[1]] == [3, 2, 1]
    assert alone(*restore, "--store", f"etcd://{etcd.endpoint}").exit_code == 0

    async def in_etcd() -> tuple[Recorded, int]:
        host, _, port = etcd.endpoint.partition(":")
        store = await open_etcd(EtcdSettings(((host, int(port)),), deadline=60, patience=60))
        try:
            return await recorded(store), await store.revision()
        finally:
            await store.close()

    (kept_since, records), revision = asyncio.run(in_etcd())
    assert [number for _, number in records] == [3, 2, 1]
    assert [at for at, _ in records] == [revision, revision - 1, revision - 2]
    assert kept_since == revision - 2


@pytest.mark.e2e
def test_etcds_own_tools_make_an_etcd_of_a_daemons_snapshot(saved: Path, tmp_path: Path) -> None:
    """That is how a new etcd keeps the revisions."""
    found = release()
    program = found.program("etcdutl" if found.has("etcdutl") else "etcdctl")
    done = subprocess.run(
        [program, "snapshot", "restore", str(saved), "--data-dir", str(tmp_path / "data")],
        env={**os.environ, "ETCDCTL_API": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "member" / "snap" / "db").exists()


@pytest.mark.e2e
def test_an_etcds_snapshot_becomes_the_store_of_a_daemon(alone: Xdsctl, etcd: Etcd, tmp_path: Path) -> None:
    """Saved by etcdctl or by xdsctl; what is not ours stays out unless it is asked for."""
    etcd.etcdctl("del", "", "--prefix")
    for key, value in (("/xdsd/objects/x", "1"), ("/xdsd/objects/x", "2"), ("/other", "3")):
        etcd.etcdctl("put", key, value)
    theirs, ours = tmp_path / "theirs.db", tmp_path / "ours.db"
    assert etcd.etcdctl("snapshot", "save", str(theirs))[0] == 0
    assert etcd.xdsctl("snapshot", "save", str(ours)).exit_code == 0
    for number, file in enumerate((theirs, ours)):
        about = json.loads(alone("snapshot", "status", str(file), "-o", "json").stdout)
        assert about["keys"] == 2
        state = tmp_path / f"state{number}"
        result = alone("snapshot", "restore", str(file), "--state-dir", str(state))
        assert "1 key left out, not below /xdsd/; --all restores these too" in result.stdout
        assert contents(state / "xdsd.db") == {"/xdsd/objects/x": "2"}
    everything = tmp_path / "everything"
    alone("snapshot", "restore", str(ours), "--state-dir", str(everything), "--all")
    assert contents(everything / "xdsd.db") == {"/xdsd/objects/x": "2", "/other": "3"}


@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "text"])
def test_a_damaged_snapshot_is_refused(alone: Xdsctl, saved: Path, tmp_path: Path, damage: str) -> None:
    """By every command, naming the file; nothing is restored of it."""
    data = saved.read_bytes()
    middle = len(data) // 2
    saved.write_bytes(
        {
            "flipped": data[:middle] + bytes((data[middle] ^ 1,)) + data[middle + 1 :],
            "short": data[:-100],
            "empty": b"",
            "text": b"no snapshot\n" * 1000,
        }[damage]
    )
    told = alone("snapshot", "status", str(saved))
    assert told.exit_code == 1
    assert str(saved) in told.stderr
    assert alone("snapshot", "restore", str(saved), "--state-dir", str(tmp_path / "state")).exit_code == 1
    assert not (tmp_path / "state" / "xdsd.db").exists()


class Maintenance(services.MaintenanceServicer):  # type: ignore[misc]  # generated, hence Any
    """Sends these pieces as a snapshot."""

    def __init__(self, pieces: Sequence[tuple[bytes, int]]) -> None:
        self._pieces = pieces

    def Snapshot(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        for blob, remaining in self._pieces:
            yield rpc.SnapshotResponse(blob=blob, remaining_bytes=remaining)


@contextmanager
def sending(folder: Path, *pieces: tuple[bytes, int]) -> Iterator[str]:
    """A server that sends these pieces; where it is."""
    server = grpc.server(ThreadPoolExecutor(2))
    services.add_MaintenanceServicer_to_server(Maintenance(pieces), server)
    endpoint = f"unix:{folder / 'sending.sock'}"
    server.add_insecure_port(endpoint)
    server.start()
    try:
        yield endpoint
    finally:
        server.stop(None).wait(60)


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        (((b"x" * 700, 300),), "the snapshot broke off after 700 B; try again"),
        ((), "the snapshot broke off after 0 B; try again"),
        (((b"x" * 700, 0),), "broken.db"),
    ],
)
def test_what_arrives_broken_is_not_kept(
    alone: Xdsctl, tmp_path: Path, pieces: tuple[tuple[bytes, int], ...], sentence: str
) -> None:
    """A stream that ends early, or holds no snapshot, leaves what was there before."""
    file = tmp_path / "broken.db"
    file.write_text("of yesterday")
    with sending(tmp_path, *pieces) as endpoint:
        result = alone("--endpoint", endpoint, "snapshot", "save", str(file))
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert file.read_text() == "of yesterday"
    assert [path.name for path in tmp_path.glob("*.part")] == []


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "say where to: --state-dir DIR, or --store etcd://HOST:PORT"),
        (("--state-dir", "x", "--store", "etcd://h"), 2, "use one of the two"),
        (("--state-dir", "x", "--replace"), 2, "--replace and --store-… are for an etcd"),
        (("--store", "embedded"), 2, "the embedded store is named by its folder"),
        (("--store", "etcd://127.0.0.1:1", "--store-user", "u"), 2, "--store-password-file go together"),
        (("--store", "etcd://127.0.0.1:1", "--store-cert", "c"), 2, "--store-key go together"),
        (("--store", "etcd://127.0.0.1:1", "--store-ca", "/no/ca"), 1, "/no/ca cannot be read: no such file"),
    ],
)
def test_where_to_must_be_said_and_make_sense(
    alone: Xdsctl, saved: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """Wrong usage with 2, files that are not there with 1."""
    result = alone("snapshot", "restore", str(saved), *words)
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.split())


def test_a_file_that_is_not_there_is_said(alone: Xdsctl, tmp_path: Path) -> None:
    """To read, and to write into a folder that is missing."""
    assert "cannot be read: no such file" in alone("snapshot", "status", str(tmp_path / "no")).stderr
    with sending(tmp_path, (b"x", 0)) as endpoint:
        result = alone("--endpoint", endpoint, "snapshot", "save", str(tmp_path / "no" / "file"))
    assert "cannot be written: no such file" in result.stderr
