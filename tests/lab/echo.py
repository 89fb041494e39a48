"""Small programs for both ends of a proxy: servers that say who they are and clients that say what they
got.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def http_server(name: str, address: str, port: int) -> AsyncIterator[None]:
    """An HTTP server that answers every request with ``name``, the request's host and path, one a line."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{name}\n{request.host}\n{request.path_qs}", headers={"server": name})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield
    finally:
        await ended(runner)


async def ended(runner: web.AppRunner) -> None:
    """Ends a server, with every connection that it has accepted."""
    servers = [getattr(site, "_server", None) for site in runner.sites]
    await begun(*(each for each in servers if isinstance(each, asyncio.Server)))
    await runner.cleanup()


async def begun(*servers: asyncio.Server) -> None:
    """Accepts no more, and lets connections begin that were accepted just now: nobody closes one whose task is cancelled
    before it has begun, nor one whose server is closed by then.
    """
    loop = asyncio.get_running_loop()
    for listening in (each for server in servers for each in server.sockets):
        loop.remove_reader(listening.fileno())
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def tcp_server(name: str, address: str, port: int) -> AsyncIterator[None]:
    """A TCP server that speaks first: a line with its name and the peer's IP, then every line back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(f"{name} {writer.get_extra_info('peername')[0]}\n".encode())
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, address, port)
    async with server:
        try:
            yield
        finally:
            await begun(server)


async def first_line(address: str, port: int, say: bytes = b"", timeout: float = 20) -> str:
    """The first line that a server there says, after ``say``; empty if it closes or resets instead."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(address, port)
        try:
            writer.write(say)
            return (await reader.readline()).decode().rstrip("\r\n")
        except ConnectionError:
            return ""
        finally:
            writer.close()
