"""Clients that send what they are told, byte by byte, and read answers as they are."""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.authorization.chance import Call
from tests.lab.certificates import Pair


class Answer(NamedTuple):
    """The status and body of a response."""

    status: int
    body: str


def client_context(trusted: Path, own: Pair | None) -> ssl.SSLContext:
    """What a client proves itself with; it asks for no proof of the server's name."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = False
    if own is not None:
        context.load_cert_chain(own.cert, own.key)
    return context


class Connection:
    """A connection that is kept while requests go over it; it is made again where a server closed it."""

    def __init__(
        self, address: str, port: int, context: ssl.SSLContext, source: str, server_name: str
    ) -> None:
        self._where = (address, port)
        self._context = context
        self._source = source
        self._server_name = server_name
        self._writer: asyncio.StreamWriter | None = None
        self._reader = asyncio.StreamReader()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ask(self, call: Call, token: str) -> Answer:
        """Sends a request and reads the response."""
        async with asyncio.timeout(60):
            return await self._exchange(call, token)

    async def _exchange(self, call: Call, token: str) -> Answer:
        writer = self._writer or await self._open()
        lines = [f"{call.method} {call.target} HTTP/1.1", f"Host: {call.host}"]
        lines += [f"{name}: {value}" for name, value in call.headers]
        lines += [f"Authorization: Bearer {token}"] if token else []
        writer.write("\r\n".join((*lines, "", "")).encode("latin-1"))
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, headers = int(head.split(" ", 2)[1]), dict(_header(line) for line in head.split("\r\n")[1:-2])
        length = 0 if call.method == "HEAD" else int(headers.get("content-length", "0"))
        body = (await self._reader.readexactly(length)).decode()
        if headers.get("connection") == "close":
            await self.close()
        return Answer(status, body)

    async def say(self, words: bytes) -> bytes:
        """What comes back; nothing if the connection is closed instead."""
        async with asyncio.timeout(60):
            writer = await self._open()
            writer.write(words)
            try:
                return await self._reader.read(len(words))
            except (ConnectionError, ssl.SSLError):
                return b""

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            # A farewell in TLS would wait for the other side's.
            writer.transport.abort()
            await asyncio.sleep(0)

    async def _open(self) -> asyncio.StreamWriter:
        self._reader, self._writer = await asyncio.open_connection(
            *self._where,
            ssl=self._context,
            local_addr=(self._source, 0),
            server_hostname=self._server_name or "",
        )
        return self._writer


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()
