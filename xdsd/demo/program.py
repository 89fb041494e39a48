"""One child process: its output in a file, ended by its own id, never left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from xdsd.demo import tied


class Program:
    """A child process whose output is appended to ``log``; it dies with us, however we die.

    It leads a session of its own, so that a Ctrl-C at the terminal reaches us alone and we end things in
    order.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.log = log
        self._env = dict(os.environ if env is None else env)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it, again if it has ended.

        Raises:
            RuntimeError: it runs already.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", tied.__file__, str(os.getpid()), *self.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal if it still runs."""
        if self.running:
            # Not asyncio's way: it may wait for a child that has just ended, and then nobody learns its exit code.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it ended (negative: ended by that signal).

        Raises:
            TimeoutError: it still runs after ``timeout`` seconds.
        """
        async with asyncio.timeout(timeout):
            return await self._started.wait()

    async def stop(self, grace: float = 10.0) -> int:
        """Asks it to end with SIGTERM, and makes it end after ``grace`` seconds; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return await self.wait(grace)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """Ends it and what it started at once with SIGKILL; the exit code."""
        if self.running:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(self.pid, signal.SIGKILL)
        return await self.wait()

    def tail(self, lines: int = 40) -> str:
        """The end of its log, for a failure's message."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    @property
    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process
