"""The daemon as operators run it: a process with a state dir of its own."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.remains import forget, watch
from xdsd.demo.operator import XDSCTL, clean_environment
from xdsd.demo.program import Program

_READY_SECONDS = 180.0
_STOP_SECONDS = 60.0


class Daemon:
    """``async with Daemon(tmp_path) as daemon`` runs ``python -m xdsd serve`` and waits until it is ready.

    State, the admin socket and the ``machines`` folder stand under ``folder``; addresses survive a restart.
    ``settings`` are further flags without their dashes: ``{"settle-quiet": "5ms"}``; ``registries`` stand beside the folder.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, registries: Sequence[str] = ()
    ) -> None:
        xds, http = free_ports(2)
        self.state_dir = folder / "state"
        self.machines = folder / "machines"
        self.xds_port = xds
        self.xds_address = f"127.0.0.1:{xds}"
        self.http_url = f"http://127.0.0.1:{http}"
        self.tls_address = (settings or {}).get("xds-tls-address", "")
        self.endpoint = (settings or {}).get("admin-address", f"unix:{self.state_dir / 'admin.sock'}")
        self.machines.mkdir(parents=True, exist_ok=True)
        flags = {
            "state-dir": str(self.state_dir),
            "xds-address": self.xds_address,
            "http-address": f"127.0.0.1:{http}",
            "admin-address": self.endpoint,
            "registry": f"machines:{self.machines}",
            "drain-time": "1s",
            **(settings or {}),
        }
        command = [sys.executable, "-m", "xdsd", "serve"]
        command += [word for name, value in flags.items() for word in (f"--{name}", value)]
        command += [word for registry in registries for word in ("--registry", registry)]
        self.program = Program("xdsd", command, folder / "xdsd.log", plain_environment())

    async def __aenter__(self) -> Self:
        watch(self)
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        forget(self)
        state = self.state
        if self.program.running:
            await self.stop()
        if error is not None:
            error.add_note(f"--- {state}\n{self.tail()}")

    async def start(self) -> None:
        """Starts it and waits until it is ready, at most three minutes."""
        await self.program.start()
        await self.ready()

    async def ready(self) -> None:
        """Waits until it is ready, at most three minutes."""
        await eventually(self._is_ready, "the daemon is ready", timeout=_READY_SECONDS)

    async def stop(self) -> int:
        """Ends it with SIGTERM; the exit code."""
        return await self.program.stop(_STOP_SECONDS)

    async def kill(self) -> None:
        """Ends it with SIGKILL, as a power cut would."""
        await self.program.kill()

    async def restart(self) -> None:
        """Stops it if it runs, and starts it on the same state and addresses."""
        if self.program.running:
            await self.stop()
        await self.start()

    async def xdsctl(self, *words: str | Path, text: str = "", check: bool = True) -> str:
        """Runs ``xdsctl`` against it with ``text`` on standard input; what it printed."""
        code, output = await xdsctl(self.endpoint, *words, text=text)
        if code != 0 and check:
            ended = "" if self.program.running else f"\n--- {self.state}\n{self.tail()}"
            raise AssertionError(f"xdsctl {' '.join(map(str, words))} ended with {code}:\n{output}{ended}")
        return output

    @property
    def state(self) -> str:
        """Whether it runs, or what it ended with; with the place of its log."""
        state = "runs" if self.program.running else f"ended with {self.program.returncode}"
        return f"xdsd {state}: {self.program.log}"

    def tail(self) -> str:
        """The end of its log, of long lines the beginning."""
        return "\n".join(line[:400] for line in self.program.tail().splitlines())

    async def metrics(self) -> str:
        """The text of ``/metrics``."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.http_url}/metrics") as response:
            assert response.status == 200
            return await response.text()

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """Its log lines as values, oldest first; those whose ``event`` contains ``name``."""
        whole, _, _being_written = self.program.log.read_text().rpartition("\n")
        lines = (json.loads(line) for line in whole.splitlines() if line.startswith("{"))
        return [line for line in lines if name in str(line.get("event", ""))]

    async def _is_ready(self) -> bool:
        # A daemon that has ended will never be ready: no use in waiting for the deadline.
        if not self.program.running:
            raise RuntimeError(f"the daemon ended with {self.program.returncode}:\n{self.program.tail()}")
        timeout = aiohttp.ClientTimeout(total=15)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                async with session.get(f"{self.http_url}/readyz") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False


async def xdsctl(endpoint: str, *words: str | Path, text: str = "") -> tuple[int, str]:
    """The exit code of ``xdsctl --endpoint ENDPOINT WORDS…`` and what it printed, both streams together."""
    process = await asyncio.create_subprocess_exec(
        *(*XDSCTL, "--endpoint", endpoint, *(str(word) for word in words)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=plain_environment(),
    )
    output, _ = await process.communicate(text.encode())
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


def plain_environment() -> dict[str, str]:
    """Our environment without what would configure the daemon, for a terminal that is wide and plain."""
    return {**clean_environment(), "COLUMNS": "200", "NO_COLOR": "1"}
