"""Child processes: started, ended, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.eventually import eventually
from xdsd.demo.program import Program

PARENT = """
import asyncio, sys
from pathlib import Path
from xdsd.demo.program import Program

async def main():
    child = Program("child", ["sleep", "1000"], Path(sys.argv[1]))
    await child.start()
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""


def exists(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def await_the_end(pid: int) -> None:
    """Returns once somebody has waited for the process."""
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


@pytest.mark.e2e
async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Even kill -9, which no handler sees, leaves no child behind."""
    with subprocess.Popen(  # noqa: ASYNC220 - it is the one to be killed
        [sys.executable, "-c", PARENT, tmp_path / "log"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert exists(child)
        parent.send_signal(signal.SIGKILL)
    await eventually(lambda: not exists(child), "the child is gone")


@pytest.mark.e2e
async def test_a_program_is_stopped_and_started_again(tmp_path: Path) -> None:
    """The log tells the whole story, the exit code how it ended."""
    program = Program("echo", ["sh", "-c", "echo $$; exec sleep 1000"], tmp_path / "log")
    for round_number in (1, 2):
        await program.start()
        await eventually(lambda: len(program.tail().splitlines()) >= round_number)  # noqa: B023 - awaited here
        assert program.running
        assert await program.stop() == -signal.SIGTERM
    assert not program.running
    assert len(program.tail().splitlines()) == 2


@pytest.mark.e2e
async def test_a_program_that_will_not_end_is_killed(tmp_path: Path) -> None:
    """After the grace SIGTERM is followed by SIGKILL."""
    program = Program("stubborn", ["sh", "-c", "trap '' TERM; echo ready; sleep 1000"], tmp_path / "log")
    await program.start()
    await eventually(lambda: "ready" in program.tail())
    assert await program.stop(grace=0.05) == -signal.SIGKILL


@pytest.mark.e2e
async def test_a_program_that_ends_by_itself_may_be_ended_all_the_same(tmp_path: Path) -> None:
    """Also in the moment in which it is over and its exit code is not known yet; nothing fails, and the code is its own."""
    program = Program("brief", ["sh", "-c", "exit 7"], tmp_path / "log")
    await program.start()
    await_the_end(program.pid)  # without the loop, which is not to learn of it yet
    assert program.running
    program.signal(signal.SIGTERM)
    assert await program.kill() == 7


@pytest.mark.e2e
async def test_a_program_leads_its_own_session(tmp_path: Path) -> None:
    """A Ctrl-C at the terminal reaches the demo alone, which then ends its programs in order."""
    program = Program("sleep", ["sleep", "1000"], tmp_path / "log")
    await program.start()
    assert os.getsid(program.pid) != os.getsid(0)
    await program.stop()


async def test_a_program_that_was_never_started_says_so(tmp_path: Path) -> None:
    """Asking for its id is a mistake of the caller, not a crash somewhere inside."""
    program = Program("ghost", ["true"], tmp_path / "log")
    assert not program.running
    assert program.returncode is None
    assert program.tail() == ""
    with pytest.raises(RuntimeError, match="ghost was never started"):
        await program.wait()
