"""``xdsd demo`` as a program: what it says, what it needs, and that nothing of it stays."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.lab.bookinfo import Bookinfo, running
from tests.lab.daemon import plain_environment
from tests.lab.envoy import envoy_binary
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e


def demo(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a demo that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "xdsd", "demo", *flags],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**plain_environment(), "XDSD_ENVOY": str(envoy_binary()), **environment},
    )


def still_there(pids: Mapping[int, str]) -> dict[int, str]:
    """Those of the processes that run: one that nobody has waited for has no command line, another's is another."""
    return {pid: command for pid, command in pids.items() if running(pid) == command}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_nothing_stays_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and even SIGKILL take the daemon, the services and the Envoys along."""
    mesh = Bookinfo(tmp_path)
    mesh.start()
    children = mesh.children()
    assert len(children) == 1 + 6 + 7
    assert mesh.stop(number) == (-number if number is signal.SIGKILL else 0)
    await eventually(lambda: not still_there(children), f"nothing is left of {children}")


async def test_it_says_where_things_are_and_what_to_try(shared_mesh: Bookinfo) -> None:
    """Every command that it prints can be copied as it stands and does what it says."""
    said = shared_mesh.said()
    assert f"{shared_mesh.url}/productpage" in said
    assert shared_mesh.endpoint in said
    commands = re.findall(r"^\S*xdsctl (.*)$", said, flags=re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        endpoint, *words = command.removeprefix("--endpoint ").split()
        assert endpoint == shared_mesh.endpoint
        await shared_mesh.xdsctl(*words)


def test_a_taken_port_is_one_sentence() -> None:
    """It says which port and which flag, and starts nothing."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = demo("--port", str(port))
    assert ended.returncode == 1
    expected = f"xdsd demo: port 127.0.0.1:{port} is taken by another program: choose another with --port"
    assert ended.stdout.strip() == expected


def test_a_wrong_flag_is_wrong_usage() -> None:
    """Exit code 2, as everywhere."""
    assert demo("--port", "0").returncode == 2
    assert demo("--no-such-flag").returncode == 2


async def test_a_part_that_ends_is_started_again(shared_mesh: Bookinfo) -> None:
    """Killing an Envoy is an experiment, not the end of the demo."""
    pid = next(pid for pid, command in shared_mesh.children().items() if "details-v1.json" in command)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: "details-v1 envoy ended with -9; starting it again" in shared_mesh.said())
    await eventually(shared_mesh.proxies_are_connected, "every Envoy is connected")
    assert len(shared_mesh.children()) == 14


@pytest.mark.parametrize("keep", [True, False])
def test_the_state_dir_stays_only_if_asked(tmp_path: Path, keep: bool) -> None:
    """Without --keep and --state-dir the temporary folder goes with the demo."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    mesh = Bookinfo(tmp_path, temporary=scratch, flags=("--keep",) if keep else ())
    with mesh:
        assert len(list(scratch.iterdir())) == 1
    left = list(scratch.iterdir())
    assert len(left) == keep
    assert ("kept " in mesh.said()) == keep
