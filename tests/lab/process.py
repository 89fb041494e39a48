"""One real program: its output in a file, ended by its own id, never left behind."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A child process whose standard output and error go to ``log``; it dies with us, however we die."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.command = [str(word) for word in command]
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it; the log is appended to, so that a restarted program tells its whole story."""
        assert not self.running, f"{self.command[0]} runs already"
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                preexec_fn=_die_with_parent,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.command[0]} was never started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def wait(self, timeout: float = 20.0) -> int:
        """The exit code, once it ended.

        Raises:
            TimeoutError: it still runs after ``timeout`` seconds.
        """
        assert self._process is not None, f"{self.command[0]} was never started"
        async with asyncio.timeout(timeout):
            return await self._process.wait()

    async def stop(self, grace: float = 10.0) -> int:
        """Asks it to end with SIGTERM, and makes it end after ``grace`` seconds; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return await self.wait(grace)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """Ends it at once with SIGKILL; the exit code."""
        self.signal(signal.SIGKILL)
        return await self.wait()

    def tail(self, lines: int = 40) -> str:
        """The end of its log, for a failure's message."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
