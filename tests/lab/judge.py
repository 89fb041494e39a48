"""An external authorizer for tests: an HTTP server that lets requests pass which say so, and hangs where asked to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.lab.echo import ended as end


@asynccontextmanager
async def judge(address: str, port: int) -> AsyncIterator[list[str]]:
    """Yields the paths that it was asked about: ``x-verdict: allow`` passes, ``hang`` is never answered."""
    asked: list[str] = []
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        verdict = request.headers.get("x-verdict", "")
        if verdict == "hang":
            await ended.wait()
        if verdict == "allow":
            return web.Response(headers={"x-judged": "well"})
        return web.Response(status=403, text="the judge says no", headers={"www-authenticate": "Judge"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield asked
    finally:
        ended.set()
        await end(runner)
