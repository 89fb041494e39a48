"""A wire between two programs, on which a test listens."""

import asyncio
from types import TracebackType
from typing import Self

from tests.lab.echo import begun

_HANDSHAKE = b"\x16"
"""What a connection in TLS begins with."""


class Tap:
    """``async with Tap("127.0.0.9", 8080, "127.0.0.2", 80) as tap`` passes bytes on to the second address.

    ``heard`` says of each connection, in order, whether its first byte was of TLS or of something else.
    """

    def __init__(self, address: str, port: int, target: str, target_port: int) -> None:
        self.heard: list[str] = []
        self._address = address
        self._port = port
        self._target = (target, target_port)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._address, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        await begun(self._server)
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection(*self._target)
        except BaseException as error:
            writer.transport.abort()
            if isinstance(error, OSError):
                return
            raise
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, other_writer, listens=True))
                both.create_task(self._pass(other_reader, writer))
        finally:
            writer.close()
            other_writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, listens: bool = False
    ) -> None:
        try:
            while data := await reader.read(65536):
                if listens:
                    self.heard.append("tls" if data[:1] == _HANDSHAKE else "plain")
                    listens = False
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()
