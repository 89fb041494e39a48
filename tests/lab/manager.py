"""A service manager as far as a daemon can tell: it hears notifications, keeps file descriptors and hands them over."""

import array
import asyncio
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from xdsd.demo import tied
from xdsd.demo.operator import clean_environment

# Puts a descriptor at 3, where handed-over ones begin, and becomes the rest of the words.
_HAND_OVER = (
    "import os, sys; given = int(sys.argv[1]); given == 3 or (os.dup2(given, 3), os.close(given)); "
    "os.environ['LISTEN_PID'] = str(os.getpid()); os.execvp(sys.argv[2], sys.argv[2:])"
)


class Manager:
    """Starts ``xdsd serve`` again and again, on one address and one state, and keeps what it stores meanwhile.

    ``units`` are sockets of units: they are handed over under their names, and are the caller's to close.
    """

    def __init__(self, folder: Path, units: Mapping[str, socket.socket] | None = None) -> None:
        xds, http = free_ports(2)
        if units:
            xds = next(iter(units.values())).getsockname()[1]
        self.folder = folder
        self.log = folder / "xdsd.log"
        self.address = f"127.0.0.1:{xds}"
        self.flags = {
            "state-dir": str(folder / "state"),
            "xds-address": self.address,
            "http-address": f"127.0.0.1:{http}",
            "drain-time": "1s",
        }
        self.heard: list[str] = []
        self.stored: dict[str, socket.socket] = {}
        self.environ: dict[str, str] = {}
        self._units = dict(units or {})
        self._path = Path(mkdtemp(prefix="xdsd-")) / "notify"  # a socket's path must be short
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._hear)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()
        asyncio.get_running_loop().remove_reader(self._socket)
        for each in (self._socket, *self.stored.values()):
            each.close()
        self._path.unlink()
        self._path.parent.rmdir()
        if error is not None and self.log.exists():
            error.add_note(f"--- {self.log}\n" + "\n".join(self.log.read_text().splitlines()[-40:]))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Starts it and waits until it says that it is ready."""
        await self.launch()
        await eventually(self._is_ready, "READY=1", timeout=180)

    async def launch(self) -> None:
        """Starts it, whatever becomes of it."""
        self.heard.clear()
        over = {**self._units, **self.stored}
        assert len(over) < 2, "one descriptor can be handed over"
        command = [sys.executable, "-I", "-S", tied.__file__, str(os.getpid())]
        command += [sys.executable, "-m", "xdsd", "serve", *_words(self.flags.items())]
        env = {**clean_environment(), "NOTIFY_SOCKET": str(self._path), **self.environ}
        if over:
            ((name, given),) = over.items()
            env |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
            command = [sys.executable, "-I", "-S", "-c", _HAND_OVER, str(given.fileno()), *command]
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                pass_fds=[given.fileno() for given in over.values()],
            )

    async def ended(self) -> int:
        """The exit code, at most a minute later; whatever it said is heard."""
        assert self._process is not None
        async with asyncio.timeout(60):
            code = await self._process.wait()
        self._hear()
        return code

    async def stop(self) -> int:
        """Ends it with SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return await self.ended()

    async def kill(self) -> None:
        """Ends it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        await self.ended()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.returncode is not None:
            raise RuntimeError(f"the daemon ended with {self._process.returncode}: {self.log.read_text()}")
        return "READY=1" in self.heard

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._take()

    def _take(self) -> None:
        message, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(64), socket.MSG_CMSG_CLOEXEC)
        fds = array.array("i")
        for _level, _type, data in ancillary:
            fds.frombytes(data)
        lines = message.decode().splitlines()
        names = [line.removeprefix("FDNAME=") for line in lines if line.startswith("FDNAME=")]
        if "FDSTORE=1" in lines:
            self.stored[names[0]] = socket.socket(fileno=fds[0])
        if "FDSTOREREMOVE=1" in lines:
            self.stored.pop(names[0]).close()
        self.heard += lines


def _words(flags: Iterable[tuple[str, str]]) -> list[str]:
    return [word for name, value in flags for word in (f"--{name}", value)]
