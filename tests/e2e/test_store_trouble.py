"""The daemon whose store is gone, does not know it, has no room or is damaged."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.test_process import refusal
from tests.lab.daemon import Daemon
from tests.lab.etcd import EtcdServer
from tests.lab.eventually import eventually
from tests.storage.test_embedded_trouble import Disk, disk
from tests.storage.test_etcd_security import ADMIN, guarded

pytestmark = pytest.mark.e2e

__all__ = ["disk"]

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: NAME, namespace: default}
spec: {hosts: [NAME.example.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}
"""


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdServer]:
    """One that does not run yet."""
    etcd = EtcdServer(tmp_path)
    yield etcd
    await etcd.stop()


async def readiness(daemon: Daemon) -> tuple[int, dict[str, Any]]:
    """The status of /readyz, and what it says of the store."""
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.http_url}/readyz") as response:
        checks = (await response.json())["checks"]
        return response.status, next(check for check in checks if check["name"] == "store")


async def test_an_etcd_that_is_gone_at_the_start(tmp_path: Path, etcd: EtcdServer) -> None:
    """A daemon waits for its etcd, says so at once in the log, on /readyz and to xdsctl, and starts when it comes."""
    daemon = Daemon(tmp_path, {"store": f"etcd://{etcd.host}:{etcd.port}"})
    await daemon.program.start()
    try:
        says = f"{etcd.host}:{etcd.port}: connection refused"

        async def waiting() -> None:
            status, check = await readiness(daemon)
            assert status == 503
            assert says in check["detail"]
            assert not check["ok"]

        await eventually(waiting, "/readyz says what is missing")
        (event,) = daemon.events()
        assert (event["event"], event["level"]) == ("waiting for store", "warning")
        assert says in event["why"]
        status = json.loads(await daemon.xdsctl("status", "-o", "json", check=False))
        assert not status["ready"]
        assert (status["checks"][0]["state"], says in status["checks"][0]["detail"]) == ("missing", True)
        assert says in status["store"]["unavailable"]
        assert says in await daemon.xdsctl("problems", check=False)
        assert "ready" not in {line["event"] for line in daemon.events()}
        await etcd.start()
        await eventually(daemon._is_ready, "the daemon is ready")
        assert daemon.events("store available again")
        await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", "a"))
        assert "a.example.org" in await daemon.xdsctl("get", "serviceentry", "a", "-o", "yaml")
        assert await daemon.stop() == 0
    finally:
        await daemon.program.kill()


async def test_credentials_that_are_wrong_at_the_start(tmp_path: Path, etcd: EtcdServer) -> None:
    """A daemon that etcd does not know ends at once, and says which settings to look at, but never the password."""
    await etcd.start()
    await guarded(etcd)
    password = tmp_path / "password"
    password.write_text("not-the-password\n")
    flags = {"store": f"etcd://{etcd.host}:{etcd.port}"}
    told = await refusal(
        Daemon(tmp_path / "wrong", {**flags, "store-user": "root", "store-password-file": str(password)})
    )
    assert told == "etcd does not know the user or the password; check store-user and store-password-file"
    told = await refusal(Daemon(tmp_path / "none", flags))
    assert told == "etcd wants a user; set store-user and store-password-file"


async def test_rights_that_are_taken_away(tmp_path: Path, etcd: EtcdServer) -> None:
    """A daemon whose rights are taken away while it runs says so, keeps what it knew, and goes on when it has them again."""
    await etcd.start()
    await guarded(etcd, ("xdsd", "readwrite", "/xdsd/"))
    password = tmp_path / "password"
    password.write_text("secret\n")
    settings = {
        "store": f"etcd://{etcd.host}:{etcd.port}",
        "store-user": "xdsd",
        "store-password-file": str(password),
    }
    async with Daemon(tmp_path, settings) as daemon:
        await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", "a"))
        await etcd.etcdctl(*ADMIN, "user", "revoke-role", "xdsd", "xdsd")
        await etcd.stop()
        await etcd.start(wait=False)

        async def denied() -> None:
            status, check = await readiness(daemon)
            assert status == 200, "what it knew is still served"
            assert "grant it readwrite on the prefix /xdsd/" in check["detail"]
            assert (check["ok"], check["state"]) == (False, "stale")

        await eventually(denied, "/readyz says what is denied")
        said = await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", "b"), check=False)
        assert "grant it readwrite on the prefix /xdsd/" in said
        await etcd.etcdctl(*ADMIN, "user", "grant-role", "xdsd", "xdsd")

        async def again() -> None:
            _, check = await readiness(daemon)
            assert check == {"name": "store", "ok": True, "state": "ok", "detail": ""}

        await eventually(again, "the daemon has its store again")
        await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", "b"))


async def test_an_outage_is_one_warning_without_secrets(tmp_path: Path, etcd: EtcdServer) -> None:
    """While etcd is away, the log has one warning about it, no faults, and neither password nor token."""
    await etcd.start()
    await guarded(etcd, ("xdsd", "readwrite", "/xdsd/"))
    password = tmp_path / "password"
    password.write_text("secret\n")
    settings = {
        "store": f"etcd://{etcd.host}:{etcd.port}",
        "store-user": "xdsd",
        "store-password-file": str(password),
    }
    async with Daemon(tmp_path, settings) as daemon:

        async def works() -> None:
            assert json.loads(await daemon.xdsctl("status", "-o", "json"))["singletons"]

        await eventually(works, "it does the singletons' work")
        before = len(daemon.events())
        await etcd.stop()

        async def stepped_down() -> None:
            said = json.loads(await daemon.xdsctl("status", "-o", "json", check=False))
            assert said["singletons"] == []

        await eventually(stepped_down, "it steps down")
        await etcd.start(wait=False)
        await eventually(lambda: daemon.events("available again"), "etcd is back")
        said = [(line["level"], line["event"]) for line in daemon.events()[before:]]
        assert [level for level, _ in said if level != "info"] == ["warning"], said
        lines = daemon.program.log.read_text()
        assert all(line.startswith("{") for line in lines.splitlines())
        assert "locals" not in lines
        assert "secret" not in lines
        assert "token" not in lines


async def test_machines_that_are_not_there(tmp_path: Path) -> None:
    """A daemon says at once which folder it waits for, in its log and to xdsctl."""
    daemon = Daemon(tmp_path, {"registry": f"machines:{tmp_path}/nope"})
    await daemon.program.start()
    try:
        (event,) = await eventually(lambda: daemon.events("waiting for"), "it says what it waits for")
        assert event["event"] == f"waiting for machines:{tmp_path}/nope"
        assert "No such file or directory" in event["why"]

        async def told() -> None:
            assert f"machines:{tmp_path}/nope is waited for" in await daemon.xdsctl("problems", check=False)

        await eventually(told, "problems tell it too")
        (tmp_path / "nope").mkdir()
        await eventually(daemon._is_ready, "the daemon is ready")
    finally:
        await daemon.program.kill()


async def test_a_damaged_store(tmp_path: Path) -> None:
    """A daemon does not start on a damaged file: it says which it is and how to begin again, and leaves it as it is."""
    daemon = Daemon(tmp_path)
    async with daemon:
        await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", "a"))
        snapshot = tmp_path / "snapshot"
        await daemon.xdsctl("snapshot", "save", str(snapshot))
    path = daemon.state_dir / "xdsd.db"
    content = bytearray(path.read_bytes())
    content[8192:16384] = bytes(8192)
    path.write_bytes(content)
    daemon.program.log.unlink()
    told = await refusal(daemon)
    assert f"{path} is damaged" in told
    assert told.endswith(
        f"it was left as it is. To begin again from a snapshot, move {path}* elsewhere and run "
        f"xdsctl snapshot restore FILE --state-dir {daemon.state_dir}"
    )
    assert path.read_bytes() == content
    for each in daemon.state_dir.glob("xdsd.db*"):
        each.rename(tmp_path / each.name)
    await daemon.xdsctl("snapshot", "restore", str(snapshot), "--state-dir", str(daemon.state_dir))
    async with daemon:
        assert "a.example.org" in await daemon.xdsctl("get", "serviceentry", "a", "-o", "yaml")


async def test_a_full_disk(tmp_path: Path, disk: Disk) -> None:
    """A daemon on a full disk refuses writes, says why, stays ready and answers reads; writes go on once there is room."""
    async with Daemon(disk.folder) as daemon:
        await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", "a"))
        disk.fill()

        async def refused() -> None:
            name = f"n{os.urandom(4).hex()}"
            said = await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", name), check=False)
            assert "there is no room to write to" in said
            assert "Traceback" not in said

        await eventually(refused, "writes are refused")
        status, _ = await readiness(daemon)
        assert status == 200
        assert json.loads(await daemon.xdsctl("get", "serviceentry", "a", "-o", "json"))
        disk.make_room()
        await daemon.xdsctl("apply", "-f", "-", text=ENTRY.replace("NAME", "b"))
        assert "b.example.org" in await daemon.xdsctl("get", "serviceentry", "b", "-o", "yaml")
