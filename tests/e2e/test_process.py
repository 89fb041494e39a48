"""The daemon as a process: how it starts, refuses to start, takes signals, dies and comes back."""

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest

from tests.e2e.asking import accepted, ask, cluster_of, encoded, metric, samples, service, thing
from tests.e2e.subscriber import Subscriber
from tests.lab.daemon import Daemon
from tests.lab.eventually import eventually
from tests.lab.missing import missing
from tests.lab.ports import free_port
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import ENDPOINT

pytestmark = pytest.mark.e2e


async def refusal(daemon: Daemon) -> str:
    """What a daemon says that ends at once: one sentence, with exit code 1."""
    await daemon.program.start()
    try:
        code = await daemon.program.wait(60)
    finally:
        await daemon.program.kill()
    said = daemon.program.log.read_text()
    assert code == 1, said
    assert said.startswith("xdsd: ")
    assert said.count("\n") == 1, said
    return said.removeprefix("xdsd: ").rstrip("\n")


async def refusals(*daemons: Daemon) -> list[str]:
    """What each of several says."""
    async with asyncio.TaskGroup() as tasks:
        said = [tasks.create_task(refusal(daemon)) for daemon in daemons]
    return [each.result() for each in said]


async def put(daemon: Daemon, *names: str) -> None:
    objects = encoded([service(name) for name in names])
    await ask(daemon, lambda client: accepted(client.apply(objects)))


async def has(proxy: Subscriber, *names: str) -> None:
    """Waits until a proxy has these services."""
    await eventually(
        lambda: {cluster_of(name) for name in names} <= proxy.resources[ENDPOINT].keys(), str(names)
    )


async def test_a_second_daemon_on_a_state_dir_refuses(tmp_path: Path) -> None:
    """It says who has it; the first one does not notice."""
    async with Daemon(tmp_path) as first, Subscriber(first.xds_address, "a") as proxy:
        second = Daemon(tmp_path / "second", {"state-dir": str(first.state_dir)})
        (owner,) = (first.state_dir).glob("*lock*")
        pid = owner.read_text().strip()
        file = first.state_dir / "xdsd.db"
        assert await refusal(second) == f"{file} is in use by process {pid}; stop it or choose another file"
        await put(first, "still")
        await has(proxy, "still")


async def test_a_taken_address_is_refused(tmp_path: Path) -> None:
    """It is named with its setting or path; whoever listens there keeps its clients."""
    with TemporaryDirectory(prefix="xdsd-") as folder:  # a socket's path must be short
        sockets = {"xds-address": f"unix:{folder}/xds", "admin-address": f"unix:{folder}/admin"}
        async with Daemon(tmp_path, sockets) as first, Subscriber(sockets["xds-address"], "a") as proxy:
            first.endpoint = sockets["admin-address"]
            http = first.http_url.removeprefix("http://")
            others = {**sockets, "http-address": http}
            saids = await refusals(
                *(Daemon(tmp_path / name, {name: address}) for name, address in others.items()),
                Daemon(tmp_path / "tcp", {"xds-address": http}),
            )
            living, used = (
                "another program listens there already; stop it",
                "it is in use; stop what listens there",
            )
            assert saids == [
                f"cannot listen on {sockets['xds-address']}: {living} or set another --xds-address",
                f"cannot listen on {sockets['admin-address']}: {living} or set another --admin-address",
                f"cannot listen on {http}: {used} or set another --http-address",
                f"cannot listen on {http}: {used} or set another --xds-address",
            ]
            await put(first, "still")
            await has(proxy, "still")


async def test_a_port_that_lets_in_anybody_is_warned_of(tmp_path: Path) -> None:
    """Plaintext on loopback is for any user of the machine, which is said once at the start, unless they may do less."""
    for name, settings, warnings in (
        ("open", {}, 1),
        ("narrow", {"admin-anonymous": "viewer"}, 0),
    ):
        address = {"admin-address": f"127.0.0.1:{free_port()}"}
        async with Daemon(tmp_path / name, {**address, **settings}) as daemon:
            found = daemon.events("any user of this machine may do everything")
            assert [line["level"] for line in found] == ["warning"] * warnings
            assert all("admin-anonymous" in line["instead"] for line in found)


async def test_what_stands_in_the_way_of_a_socket_is_kept(tmp_path: Path) -> None:
    """A file is no dead daemon's socket."""
    with TemporaryDirectory(prefix="xdsd-") as folder:
        precious = Path(folder) / "file"
        precious.write_text("precious")
        names = ("xds-address", "http-address", "admin-address")
        saids = await refusals(*(Daemon(tmp_path / name, {name: f"unix:{precious}"}) for name in names))
        for said, name in zip(saids, names, strict=True):
            why = f"what stands there is no socket; set another --{name}"
            assert said == f"cannot listen on unix:{precious}: {why}"
        assert precious.read_text() == "precious"


async def test_a_state_dir_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """A file, a folder without rights, and a store that is none; each with what is wrong, and left as it was."""
    file = tmp_path / "file"
    file.touch()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    content = b"no store at all" * 500
    (damaged / "xdsd.db").write_bytes(content)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    folders = {"a": file, "b": file / "below", "c": damaged, "d": locked}
    daemons = {name: Daemon(tmp_path / name, {"state-dir": str(path)}) for name, path in folders.items()}
    daemons["d"].program.command[:0] = _as_mortal()
    try:
        a_file, below, no_store, no_rights = await refusals(*daemons.values())
    finally:
        locked.chmod(0o700)
    assert a_file == f"the state dir {file} cannot be made: file exists; choose another with --state-dir"
    assert below.startswith(f"the state dir {file}/below cannot be made: not a directory")
    assert str(damaged / "xdsd.db") in no_store
    assert (damaged / "xdsd.db").read_bytes() == content
    assert "ermission denied" in no_rights


def _as_mortal() -> list[str]:
    """What makes a program of root respect the rights of files."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        missing("setpriv", "install util-linux")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_drains_when_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    """Streams get their time, are then ended as UNAVAILABLE, and the exit code is 0; its sockets are gone."""
    async with Daemon(tmp_path) as daemon, Subscriber(daemon.xds_address, "a") as proxy:
        await put(daemon, "one")
        await has(proxy, "one")
        daemon.program.signal(number)
        code, _ = await proxy.ending()
        assert code is grpc.StatusCode.UNAVAILABLE
        assert await daemon.program.wait(60) == 0
        assert [event["event"] for event in daemon.events()][-2:] == ["draining", "stopped"]
        assert not (daemon.state_dir / "admin.sock").exists()
        await daemon.start()
        stored = await ask(daemon, lambda client: client.get(ObjectRef("ServiceEntry", "default", "one")))
        assert json.loads(stored)["metadata"]["name"] == "one"


async def test_sighup_reads_the_settings_again(tmp_path: Path) -> None:
    """Streams stay; what cannot change while it runs and what is wrong is said, and the old values hold."""
    config = tmp_path / "xdsd.yaml"
    config.write_text("settle-quiet: 5ms\n")
    async with (
        Daemon(tmp_path, {"config": str(config)}) as daemon,
        Subscriber(daemon.xds_address, "a") as proxy,
    ):
        config.write_text("settle-quiet: 2ms\nmax-streams: 7\n")
        daemon.program.signal(signal.SIGHUP)
        (reloaded,) = await eventually(lambda: daemon.events("settings reloaded"))
        assert reloaded["changed"] == ["settle_quiet"]
        (later,) = daemon.events("setting takes effect at the next start")
        assert later["setting"] == "max-streams"
        config.write_text("settle-quiet: soon\nno-setting: 1\n")
        daemon.program.signal(signal.SIGHUP)
        (refused,) = await eventually(lambda: daemon.events("settings not reloaded"))
        first, second = sorted(refused["problems"])
        assert f"{config}:1: settle-quiet: 'soon' is not a duration" in first
        assert f"{config}:2: no-setting" in second
        await put(daemon, "still")
        await has(proxy, "still")
        assert await metric(daemon, "xdsd_streams_total") == 1


async def test_what_was_acknowledged_outlives_kill_9(tmp_path: Path) -> None:
    """Every object is there again, and so is what proxies get of it, in the same versions."""
    names = [f"kept-{number}" for number in range(30)]
    async with Daemon(tmp_path) as daemon:
        async with Subscriber(daemon.xds_address, "a") as proxy:
            for name in names:
                await put(daemon, name)
            await has(proxy, *names)
            before = proxy.resources
            await daemon.kill()
            await proxy.ending()
        await daemon.start()
        listed = await ask(daemon, lambda client: client.list("ServiceEntry"))
        assert {json.loads(each.json)["metadata"]["name"] for each in listed.objects} == set(names)
        async with Subscriber(daemon.xds_address, "a") as proxy:
            await has(proxy, *names)
            assert proxy.resources == before


def many(count: int) -> list[dict[str, Any]]:
    """Services with their routes and policies, three objects each; Any: objects nest freely."""
    found = []
    for number in range(count):
        name = f"s{number}"
        host = f"{name}.example.com"
        route = {"route": [{"destination": {"host": host}}], "timeout": "5s"}
        limits = {"connectionPool": {"tcp": {"maxConnections": 10}}}
        addresses = [f"10.{number // 250}.{number % 250}.{last}" for last in range(1, 6)]
        found += [
            service(name, *addresses),
            thing("VirtualService", name, {"hosts": [host], "http": [route]}),
            thing("DestinationRule", name, {"host": host, "trafficPolicy": limits}),
        ]
    return found


@pytest.mark.alone
async def test_the_event_loop_turns_while_thousands_of_objects_are_applied(tmp_path: Path) -> None:
    """It is never held for a quarter of a second: not by an apply, not by a list, not by what follows them."""
    async with Daemon(tmp_path) as daemon, Subscriber(daemon.xds_address, "a") as proxy:
        applied, listed = tmp_path / "applied.json", daemon.machines / "listed.yaml"
        objects = many(1000)
        applied.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        output = await daemon.xdsctl("apply", "-f", applied)
        assert output.count(" created\n") == len(objects)
        listed.write_text("\n---\n".join(json.dumps(service(f"listed-{number}")) for number in range(1000)))
        await eventually(lambda: len(proxy.resources[ENDPOINT]) == 2000)
        assert len(await daemon.xdsctl("get", "serviceentry", "-o", "name")) > 1000
        metrics = await daemon.metrics()
        turns = samples(metrics, "xdsd_event_loop_lag_seconds_count")
        assert samples(metrics, 'xdsd_event_loop_lag_seconds_bucket{le="0.25"}') == turns > 0
