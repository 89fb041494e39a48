"""Processes that take orders: a line of JSON in, a line of JSON out."""

import asyncio
import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Order = Mapping[str, Any]  # Any: JSON
ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """A process of ``module`` pinned to ``core`` (None: anywhere), from outside."""

    def __init__(self, module: str, core: int | None, **options: Any) -> None:
        self._command = [sys.executable, "-m", module, json.dumps({"core": core, **options})]
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def order(self, what: str, **details: Any) -> Any:  # Any: JSON
        """Gives an order and returns the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"order": what, **details}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command} ended")
        return json.loads(line)


def prepare(core: int | None) -> None:
    """Pins this process and lets it open as many sockets as the system allows."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def obey(perform: Callable[[Order], Awaitable[Any]]) -> None:
    """Performs orders from stdin until it is closed."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        sys.stdout.write(json.dumps(await perform(json.loads(line))) + "\n")
        sys.stdout.flush()


def usage() -> dict[str, float]:
    """CPU seconds of this process so far and its resident KiB, after free memory was given back."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"cpu": time.process_time(), "resident": pages * resource.getpagesize() / 1024}


def settle() -> None:
    """What the daemon does when it is idle."""
    gc.disable()
    gc.collect()
    gc.freeze()
