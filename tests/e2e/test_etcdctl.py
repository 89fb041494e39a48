"""The real etcdctl on the admin port, over the embedded store and over an etcd."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.daemon import Daemon
from tests.lab.etcd import EtcdServer, Release, release, releases, run
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from xdsd.demo.program import Program

pytestmark = pytest.mark.e2e

FOLDER = "/xdsd/objects/serviceentries.networking.istio.io/default"
ENTRY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {
        "hosts": ["shop.example.com"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "10.0.0.1"}],
    },
}
BACKENDS = ("embedded", "etcd")


@dataclass(frozen=True)
class Step:
    """One command: what it reads, the exit code, and what it prints as a regular expression."""

    words: str
    prints: str
    text: str = ""
    code: int = 0


STEPS = (
    Step("put /app/a one", r"OK\n"),
    Step("put /app/a two --prev-kv", r"OK\n/app/a\none\n"),
    Step("put /app/b three", r"OK\n"),
    Step("put /app/none x --ignore-lease", r".*etcdserver: key not found.*", code=1),
    Step("get /app/a", r"/app/a\ntwo\n"),
    Step("get /app/a --print-value-only", r"two\n"),
    Step("get /app/ --prefix --keys-only", r"/app/a\n\n/app/b\n\n"),
    Step("get /app/ --prefix --limit 1", r"/app/a\ntwo\n"),
    Step("get /app/ --prefix --order DESCEND --sort-by MODIFY", r"/app/b\nthree\n/app/a\ntwo\n"),
    Step("get /app/ --prefix --order DESCEND --sort-by VALUE", r"/app/a\ntwo\n/app/b\nthree\n"),
    Step("get /app/ --prefix --keys-only -w fields", r'.*"Count" : 2\n'),
    Step("get /app/a /app/b", r"/app/a\ntwo\n"),
    Step("get /app/a /app/c --limit 1 -w json", r'.*"count":.*'),
    Step("get /app/a --rev 1000000", r".*required revision is a future revision.*", code=1),
    Step("put /nobody/s 1", r".*PermissionDenied.*/nobody/s.*foreign-keys\n", code=1),
    Step("txn", r"SUCCESS\n\nOK\n\n/app/c\nx\n", 'mod("/app/c") = "0"\n\nput /app/c x\nget /app/c\n\n\n'),
    Step("txn", r"FAILURE\n\n/app/c\nx\n", 'value("/app/c") = "y"\n\nput /app/c z\n\nget /app/c\n\n'),
    Step("txn", r".*duplicate key given in txn request.*", "\nput /app/c 1\nput /app/c 2\n\n\n", code=1),
    Step("del /app/c --prev-kv", r"1\n/app/c\nx\n"),
    Step("del /app/ --prefix", r"2\n"),
    Step("del /app/ --prefix", r"0\n"),
    Step(f"put {FOLDER}/shop", r"OK\n", json.dumps(ENTRY)),
    Step(f"get {FOLDER}/ --prefix --keys-only", rf"{FOLDER}/shop\n\n"),
    Step(f"put {FOLDER}/mall", r".*the value is ServiceEntry default/shop; put.*", json.dumps(ENTRY), 1),
    Step(f"put {FOLDER}/shop nonsense", r".*ServiceEntry default/shop: an object is not JSON.*", code=1),
    Step(f"del {FOLDER}/shop", r"1\n"),
    Step("put /xdsd/objects/shop x", r".*is no key of an object; those are /xdsd/objects/PLURAL.*", code=1),
    Step("lease grant 300", r"lease [0-9a-f]{16} granted with TTL\(300s\)\n"),
    Step("lease list", r"found [1-9]\d* leases\n[0-9a-f]{16}\n.*"),
    Step("lease timetolive 7777", r"lease 0*7777 already expired\n"),
    Step("lease revoke 7777", r".*requested lease not found.*", code=1),
    Step("endpoint health", r".*is healthy: successfully committed proposal.*"),
    Step("endpoint status -w json", r'\[\{"Endpoint":.*"Status":\{"header":\{.*'),
    Step("endpoint hashkv", r"\S+, \d+.*\n"),
    Step("member list", r"[0-9a-f]+, started, \S+, \S+, \S+, false\n"),
    Step("member remove 1", r".*a daemon is a member for as long as it runs on this store.*", code=1),
    Step("alarm list", r""),
    Step("alarm disarm", r""),
    Step("auth enable", r".*(Unimplemented|set admin-client-ca|admin-anonymous).*", code=1),
    Step("user list", r".*xdsctl user.*", code=1),
)  # fmt: skip


class Etcdctl:
    """The program of one release, on one daemon."""

    def __init__(self, version: Release, endpoint: str) -> None:
        patient = ("--command-timeout=60s", "--dial-timeout=60s")
        self.command = (version.program("etcdctl"), f"--endpoints={endpoint}", *patient)
        self.endpoint = endpoint

    async def __call__(self, words: str, text: str = "") -> tuple[int, str]:
        """The exit code and what was printed."""
        process = await asyncio.create_subprocess_exec(
            *self.command,
            *words.split(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"ETCDCTL_API": "3"},
        )
        output, _ = await process.communicate(text.encode())
        assert process.returncode is not None
        lines = output.decode(errors="replace").splitlines(keepends=True)
        return process.returncode, "".join(line for line in lines if not line.startswith('{"level":"warn"'))


@asynccontextmanager
async def serving(folder: Path, backend: str, foreign: str = "/app/") -> AsyncIterator[Daemon]:
    """A daemon whose admin port is a port of loopback, on its own store or on an etcd."""
    (port,) = free_ports(1)
    settings = {"foreign-keys": foreign, "admin-address": f"127.0.0.1:{port}"}
    if backend == "embedded":
        async with Daemon(folder, settings) as daemon:
            yield daemon
        return
    async with (
        EtcdServer(folder) as etcd,
        Daemon(folder, {**settings, "store": f"etcd://127.0.0.1:{etcd.port}"}) as daemon,
    ):
        yield daemon


def versions() -> tuple[Release | None, ...]:
    return releases() or (None,)


@pytest.mark.parametrize("version", versions(), ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_commands_do_what_they_do_on_an_etcd(
    tmp_path: Path, backend: str, version: Release | None
) -> None:
    """Each command of the table ends with the code, and prints what an etcd lets it print."""
    async with serving(tmp_path, backend) as daemon:
        etcdctl = Etcdctl(version or release(), daemon.endpoint)
        for step in STEPS:
            code, printed = await etcdctl(step.words, step.text)
            assert (code != 0) == (step.code != 0), f"{step.words}: {code}\n{printed}"
            assert re.fullmatch(step.prints, printed, re.DOTALL), f"{step.words}:\n{printed}"
        await _leases(etcdctl)
        await _watches(etcdctl, tmp_path)
        await _compaction(etcdctl)
        await _snapshot(etcdctl, version or release(), tmp_path)


async def _leases(etcdctl: Etcdctl) -> None:
    """A key goes with its lease; a lease that is kept alive stays."""
    _, granted = await etcdctl("lease grant 300")
    lease = granted.split()[1]
    assert await etcdctl(f"put /app/leased x --lease {lease}") == (0, "OK\n")
    _, told = await etcdctl(f"lease timetolive {lease} --keys")
    assert re.fullmatch(
        rf"lease {lease} granted with TTL\(300s\), remaining\(\d+s\), attached keys\(\[/app/leased\]\)\n",
        told,
    )
    _, kept = await etcdctl(f"lease keep-alive --once {lease}")
    assert kept == f"lease {lease} keepalived with TTL(300)\n"
    assert (await etcdctl(f"put {FOLDER}/leased x --lease {lease}"))[0] != 0
    assert await etcdctl(f"lease revoke {lease}") == (0, f"lease {lease} revoked\n")
    assert await etcdctl("get /app/leased") == (0, "")


async def _watches(etcdctl: Etcdctl, folder: Path) -> None:
    """What was written since a revision, then what is written: puts, deletions and what was there before."""
    revision = int((await _json(etcdctl, "put /app/w 0"))["header"]["revision"])
    assert await etcdctl("put /app/w 1") == (0, "OK\n")
    words = [*etcdctl.command, "watch", "/app/", "--prefix", "--prev-kv", f"--rev={revision}"]
    program = Program("etcdctl", words, folder / "watch.log", {"ETCDCTL_API": "3"})

    def said() -> str:
        lines = program.log.read_text().splitlines(keepends=True)
        return "".join(line for line in lines if line[0] != "{")

    await program.start()
    try:
        await eventually(lambda: "\n1\n" in said(), "what was written is told")
        assert await etcdctl("del /app/w") == (0, "1\n")
        await eventually(lambda: said().endswith("\n/app/w\n\n"), "the deletion is told")
    finally:
        await program.stop()
    assert said() == "PUT\n/app/w\n0\nPUT\n/app/w\n0\n/app/w\n1\nDELETE\n/app/w\n1\n/app/w\n\n"


async def _compaction(etcdctl: Etcdctl) -> None:
    """What is older is gone, and a watch from there ends with the reason."""
    revision = int((await _json(etcdctl, "put /app/z 1"))["header"]["revision"])
    assert await etcdctl("put /app/z 2") == (0, "OK\n")
    assert await etcdctl(f"compaction {revision + 1}") == (0, f"compacted revision {revision + 1}\n")
    code, printed = await etcdctl(f"get /app/z --rev {revision}")
    assert (code, "required revision has been compacted" in printed) == (1, True)
    code, printed = await etcdctl(f"watch /app/ --prefix --rev {revision}")
    assert "required revision has been compacted" in printed, printed
    code, printed = await etcdctl(f"compaction {revision}")
    assert (code, "required revision has been compacted" in printed) == (1, True)


async def _snapshot(etcdctl: Etcdctl, version: Release, folder: Path) -> None:
    """The program's own check takes the file for a snapshot, with the keys that are there."""
    file = folder / "snapshot.db"
    code, printed = await etcdctl(f"snapshot save {file}")
    assert code == 0, printed
    tool = "etcdutl" if version.has("etcdutl") else "etcdctl"
    status = json.loads(
        (await run(version.program(tool), "snapshot", "status", str(file), "-w", "json")).splitlines()[-1]
    )
    assert status["totalKey"] > 0
    assert status["revision"] > 0


async def _json(etcdctl: Etcdctl, words: str) -> dict[str, dict[str, int]]:
    _, printed = await etcdctl(f"{words} -w json")
    found: dict[str, dict[str, int]] = json.loads(printed)
    return found


async def test_the_performance_check_runs_to_its_end(tmp_path: Path) -> None:
    """``check perf`` writes for a minute, judges, and leaves no key; what it thinks of this machine is its affair."""
    for backend in BACKENDS:
        (tmp_path / backend).mkdir()
    await asyncio.gather(*(_measured(tmp_path / backend, backend) for backend in BACKENDS))


async def _measured(folder: Path, backend: str) -> None:
    async with serving(folder, backend, "/etcdctl-check-perf/") as daemon:
        etcdctl = Etcdctl(release(), daemon.endpoint)
        _, printed = await etcdctl("check perf --load=s")
        assert re.search(r"(PASS|FAIL): Throughput", printed), printed
        assert "Too many errors" not in printed
        code, left = await etcdctl("get /etcdctl-check-perf/ --prefix --keys-only -w fields")
        assert (code, '"Count" : 0' in left) == (0, True)
