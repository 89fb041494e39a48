"""The Unix socket's door: who stands at the other end is asked of the kernel, and others than the owner are turned away.

gRPC does not tell whom a Unix socket speaks to. So the socket in the file system is ours: of each connection we take the
peer's credentials, and carry its bytes to gRPC's own socket in a folder that nobody else may enter. Our end of that is bound
to a name of its own, by which gRPC's peer is known again.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Peer:
    """A process at the other end of a Unix socket."""

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"pid {self.pid} uid {self.uid}"


class Door:
    """Peers of open connections, by the name that gRPC has for them."""

    def __init__(self, path: Path, admits: Callable[[Peer], Awaitable[bool]]) -> None:
        self._path = path
        self._admits = admits
        self._peers: dict[str, Peer] = {}
        self._carriers: set[asyncio.Task[None]] = set()
        self._inside = path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:6]}")
        _make_private(self._inside)

    @property
    def inside(self) -> Path:
        """The socket that gRPC listens on."""
        return self._inside / "g"

    def peer(self, name: str) -> Peer | None:
        """Who stands behind ``context.peer()``."""
        return self._peers.get(name)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listens while the block lasts. Everybody may knock; the kernel says who it is."""
        self._path.unlink(missing_ok=True)  # a dead daemon's; ``refuse_taken`` has looked
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self._path))
            self._path.chmod(0o666)
            server = await asyncio.start_unix_server(self._come, sock=listener, backlog=128)
        except BaseException:
            listener.close()
            raise
        try:
            yield
        finally:
            server.close()
            for carrier in self._carriers:
                carrier.cancel()
            await asyncio.gather(*self._carriers, return_exceptions=True)
            self._sweep()

    def _sweep(self) -> None:
        self._path.unlink(missing_ok=True)
        shutil.rmtree(self._inside, ignore_errors=True)

    def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrier = asyncio.create_task(self._carry(reader, writer), name="admin connection")
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken: socket.socket = writer.get_extra_info("socket")
        peer = Peer(*_CREDENTIALS.unpack(taken.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))
        name = f"xdsd-{secrets.token_hex(8)}"
        known = f"unix-abstract:{name}"
        try:
            if await self._admits(peer):
                self._peers[known] = peer
                await self._both_ways(reader, writer, name)
        except* OSError:  # one of the two hung up
            pass
        finally:
            self._peers.pop(known, None)
            writer.close()

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        inner = socket.socket(socket.AF_UNIX)
        with contextlib.closing(inner):
            inner.bind(f"\0{name}")
            inner.setblocking(False)
            await asyncio.get_running_loop().sock_connect(inner, str(self.inside))
            back, forth = await asyncio.open_unix_connection(sock=inner)
            with contextlib.closing(forth):
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pump(reader, forth))
                    both.create_task(_pump(back, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carries bytes until the source ends, and lets the sink know; raises OSError where one of them broke."""
    try:
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    finally:
        if sink.can_write_eof() and not sink.is_closing():
            with contextlib.suppress(OSError):
                sink.write_eof()


def _make_private(folder: Path) -> None:
    """Makes a folder that nobody else may enter. Raises OSError where somebody else made it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise OSError(f"{folder} is not a folder of ours alone; remove it, or set another --admin-address")
