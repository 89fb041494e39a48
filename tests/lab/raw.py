"""Requests as a client writes them, byte by byte, so that no library of its own puts them right first."""

import asyncio
import re
from collections.abc import Iterable
from typing import NamedTuple

_LENGTH = re.compile(r"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


class Answer(NamedTuple):
    """The status and the body of a response; 0 if the connection was closed instead."""

    status: int
    body: str


async def raw_request(
    address: str,
    port: int,
    target: str,
    host: str,
    headers: Iterable[tuple[str, str]] = (),
    method: str = "GET",
) -> Answer:
    """Sends one request on a connection of its own."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(address, port)
        try:
            writer.write("\r\n".join((*lines, "", "")).encode("latin-1"))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = _LENGTH.search(head)
            body = await (reader.readexactly(int(length[1])) if length else reader.read())
            return Answer(int(head.split(" ", 2)[1]), body.decode("latin-1"))
        except (ConnectionError, asyncio.IncompleteReadError):
            return Answer(0, "")
        finally:
            writer.close()
