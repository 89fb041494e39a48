"""Bodies of HTTP answers that arrive in pieces."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from xdsd.answers import TooLarge, read_start, read_whole


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[aiohttp.ClientResponse, asyncio.Event]]:
    """An answer of ten bytes, the second five of which come when the event is set."""
    more = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        await more.wait()
        writer.write(b"later")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/") as answer:
        yield answer, more
        more.set()


async def test_a_body_that_comes_in_pieces_is_read_whole() -> None:
    """What has arrived first is not taken for all of it."""
    async with answering() as (answer, more):
        reading = asyncio.ensure_future(read_whole(answer, 10))
        done, _ = await asyncio.wait([reading], timeout=0.1)
        assert not done
        more.set()
        assert await reading == b"firstlater"


async def test_a_body_above_the_limit_is_not_read() -> None:
    """It is refused as soon as there is more than the limit."""
    async with answering() as (answer, _):
        with pytest.raises(TooLarge):
            await read_whole(answer, 4)


async def test_the_start_of_a_body_is_as_much_as_is_wanted_or_there() -> None:
    """Nobody waits for what is not wanted; a shorter body is all of it."""
    async with answering() as (answer, _):
        assert await read_start(answer, 3) == b"fir"
    async with answering() as (answer, more):
        more.set()
        assert await read_start(answer, 100) == b"firstlater"
