"""A wire between a client and a server on loopback, that can be cut, left hanging, slowed, and mended."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from tests.lab.echo import begun
from tests.lab.ports import free_port


class Relay:
    """``async with Relay(port) as relay``: what connects to ``relay.port`` reaches ``port`` while the wire is whole."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._lag = 0.0

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Ends all connections, and refuses others."""
        if self._server is not None:
            server, self._server = self._server, None
            await begun(server)
            server.close()
        await self.drop()

    async def drop(self) -> None:
        """Ends all connections; others get through at once."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def hang(self) -> None:
        """Nothing flows any more, and nobody is told."""
        self._flows.clear()

    def slow(self, seconds: float) -> None:
        """Each piece of what is said takes so long, either way."""
        self._lag = seconds

    async def mend(self) -> None:
        """What connects now gets through at once, and what hung flows on."""
        self._lag = 0.0
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._join(reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            ways = [self._pipe(reader, other_writer), self._pipe(other_reader, writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            other_writer.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await self._flows.wait()
            await asyncio.sleep(self._lag)
            writer.write(data)
            await writer.drain()
