"""The xDS port over restarts, under a manager that keeps its socket; see tests/e2e/test_systemd.py for the real one."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.eventually import eventually
from tests.lab.knocking import Knocking
from tests.lab.manager import Manager
from tests.lab.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture
def unit() -> Iterator[socket.socket]:
    """What a socket unit listens on."""
    with socket.create_server(("127.0.0.1", free_port())) as made:
        yield made


async def _served(clients: Knocking, more: int) -> None:
    wanted = clients.served + more
    await eventually(lambda: clients.served >= wanted, "clients are served")


async def _restarts_refuse_nobody(manager: Manager, restarts: int) -> None:
    async with Knocking(manager.address) as clients:
        for _ in range(restarts):
            await _served(clients, 20)
            assert await manager.stop() == 0
            await manager.start()
    assert not clients.failed
    assert clients.served > 20 * restarts


async def test_ten_restarts_refuse_and_reset_nobody(tmp_path: Path) -> None:
    """Clients that connect all the time are served, some after waiting; the socket was stored once."""
    async with Manager(tmp_path) as manager:
        await manager.start()
        assert manager.heard.count("FDSTORE=1") == 1
        await _restarts_refuse_nobody(manager, 10)
        assert "FDSTORE=1" not in manager.heard


async def test_the_socket_of_a_unit_is_served_too(tmp_path: Path, unit: socket.socket) -> None:
    """It is there before the daemon, is not stored again, and outlives restarts in the same way."""
    async with Manager(tmp_path, {"xdsd.socket": unit}) as manager, Knocking(manager.address, 2) as early:
        await manager.start()
        await _restarts_refuse_nobody(manager, 3)
        assert not manager.stored
    assert not early.failed


async def test_who_comes_after_a_crash_waits_as_well(tmp_path: Path) -> None:
    """After kill -9 a connection is taken, and served by the next process."""
    async with Manager(tmp_path) as manager:
        await manager.start()
        await manager.kill()
        async with Knocking(manager.address) as clients:
            await manager.start()
            await _served(clients, 20)
        assert not clients.failed


async def test_a_changed_address_gives_the_kept_socket_up(tmp_path: Path) -> None:
    """The old port is free, and the new one is kept in its place."""
    async with Manager(tmp_path) as manager:
        await manager.start()
        assert await manager.stop() == 0
        old = manager.address.rpartition(":")
        manager.address = manager.flags["xds-address"] = f"127.0.0.1:{free_port()}"
        await manager.start()
        assert manager.heard[:2] == ["FDSTOREREMOVE=1", "FDNAME=xdsd-kept"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((old[0], int(old[2])))
        await _restarts_refuse_nobody(manager, 1)


async def test_a_unit_of_another_address_is_refused(tmp_path: Path, unit: socket.socket) -> None:
    """Rather than to serve where nobody expects it; the sentence names both addresses and the way out."""
    async with Manager(tmp_path, {"xdsd.socket": unit}) as manager:
        given, manager.flags["xds-address"] = manager.address, f"127.0.0.1:{free_port()}"
        await manager.launch()
        assert await manager.ended() == 1
        said = manager.log.read_text()
        assert f"xdsd: the socket unit listens on {given}, but --xds-address is " in said
        assert "systemctl edit xdsd.socket" in said
        assert "Traceback" not in said


async def test_the_watchdog_hears_of_the_daemon_while_its_loop_turns(tmp_path: Path) -> None:
    """From the start, and again and again."""
    async with Manager(tmp_path) as manager:
        manager.environ["WATCHDOG_USEC"] = "300000"
        await manager.start()
        manager.heard.clear()
        await eventually(lambda: manager.heard.count("WATCHDOG=1") > 5, "signs of life")
        assert await manager.stop() == 0
        assert "STOPPING=1" in manager.heard
