"""Signs of life."""

import asyncio
import os
import select
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from xdsd.notify import notify
from xdsd.watchdog import tell_watchdog, watchdog_interval


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_interval_is_the_managers(environ: dict[str, str], seconds: float) -> None:
    """None is set, one is set, it is for us, it is for another process, it is no number."""
    assert watchdog_interval(environ) == seconds


async def test_without_a_watchdog_nothing_is_sent() -> None:
    """The task ends at once."""
    await asyncio.wait_for(tell_watchdog({}), 20)


async def test_signs_come_three_times_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one that is late, or lost, ends nothing."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr("xdsd.watchdog.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await tell_watchdog({"WATCHDOG_USEC": "1500000"})
    assert slept == [0.5, 0.5]


async def test_a_stalled_loop_sends_nothing() -> None:
    """Signs come when the loop turns, and only then."""
    with (
        TemporaryDirectory(prefix="xdsd-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        path = Path(folder) / "s"
        manager.bind(str(path))
        manager.setblocking(False)
        telling = asyncio.create_task(tell_watchdog({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000"}))
        for _ in range(3):
            async with asyncio.timeout(60):
                assert await asyncio.get_running_loop().sock_recv(manager, 100) == b"WATCHDOG=1"
        stalled = time.monotonic() + 0.1  # ten signs' time, in which the loop does nothing but wait here
        while select.select([manager], [], [], 0)[0]:
            manager.recv(100)
        while time.monotonic() < stalled:
            assert not select.select([manager], [], [], 0.01)[0]
        telling.cancel()


def test_descriptors_go_with_a_message() -> None:
    """The manager gets the same open file under a number of its own."""
    with (
        TemporaryDirectory(prefix="xdsd-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        path = Path(folder) / "s"
        manager.bind(str(path))
        with socket.create_server(("127.0.0.1", 0)) as kept:
            assert notify("FDSTORE=1\nFDNAME=a", {"NOTIFY_SOCKET": str(path)}, fds=[kept.fileno()])
            text, fds, _, _ = socket.recv_fds(manager, 100, 4)
            with socket.socket(fileno=fds[0]) as got:
                assert (text, got.getsockname()) == (b"FDSTORE=1\nFDNAME=a", kept.getsockname())


def test_nobody_to_tell_is_no_failure() -> None:
    """No manager, and one that is gone."""
    assert not notify("READY=1", {})
    assert not notify("READY=1", {"NOTIFY_SOCKET": "@xdsd-nobody-listens-here"})
