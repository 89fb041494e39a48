"""HTTP servers that say who they are, and that fail when they are told to."""

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.lab.echo import ended


class Site:
    """``async with Site("one", "127.0.0.1", 8080) as site`` answers every request with ``one`` while it runs.

    ``status`` and ``headers`` are those of the next answers; ``statuses`` says what is different for some paths.
    With ``breaks_off`` it closes the connection instead. ``requests`` counts what came; ``asked`` holds what the last
    request said. With ``tls`` it speaks TLS; ``server_name`` is then the name that the last client asked for.
    """

    def __init__(self, name: str, address: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.status = 200
        self.statuses: Mapping[str, int] = {}
        self.headers: Mapping[str, str] = {}
        self.breaks_off = False
        self.requests = 0
        self.asked: Mapping[str, str] = {}
        self.server_name: str | None = None
        self.pause = asyncio.Event()
        self.pause.set()
        self._tls = tls
        if tls is not None:
            tls.sni_callback = self._named
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens again."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, self.port, ssl_context=self._tls).start()

    async def stop(self) -> None:
        """Listens no more: connections are refused."""
        if self._runner is not None:
            await ended(self._runner)
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.asked = {name.lower(): value for name, value in request.headers.items()}
        await self.pause.wait()
        if self.breaks_off and request.transport is not None:
            request.transport.abort()
        status = self.statuses.get(request.path, self.status)
        return web.Response(text=self.name, status=status, headers=dict(self.headers))

    def _named(self, _: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        self.server_name = name
