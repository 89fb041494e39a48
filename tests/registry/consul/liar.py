"""A server that speaks Consul's API, and lies as it is told to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.lab.echo import ended
from tests.lab.ports import free_port
from tests.registry.consul.entries import body, entry

SERVERS = "/v1/catalog/service/consul"
Lie = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Liar:
    """Serves ``services`` (by name, their entries) as of ``index``; ``lies`` of a path say what is answered instead."""

    def __init__(self) -> None:
        self.services: dict[str, list[Any]] = {"consul": []}
        self.index = 10
        self.server = "5e5ef0a0"
        self.headers: dict[str, str] = {}
        self.lies: dict[str, Lie] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.tokens: set[str | None] = set()
        self.url = ""
        self._moved = asyncio.Event()
        self._hidden: dict[str, tuple[list[Any], int]] = {}

    def put(self, name: str, *entries: Any) -> None:
        """A service is like this from now on."""
        self.services[name] = list(entries)
        self.move()

    def hide(self, name: str) -> None:
        """A service is not shown any more, of which nothing changed; ``show`` shows it again."""
        self._hidden[name] = self.services.pop(name), self.index

    def show(self, name: str) -> None:
        """As it was."""
        self.services[name], _ = self._hidden.pop(name)

    def address(self, name: str, *addresses: str) -> None:
        """A service is at these addresses from now on."""
        self.put(name, *(entry(f"{name}-{each}", Address=each, Service=name) for each in addresses))

    def move(self, by: int = 1) -> None:
        """The index moves, and whoever waits is answered."""
        self.index += by
        self._moved.set()
        self._moved = asyncio.Event()

    def lie(self, path: str, lie: Lie | None) -> None:
        """Answers a path so from now on, or truly again."""
        if lie is None:
            self.lies.pop(path, None)
        else:
            self.lies[path] = lie
        self.move()

    def waits(self, path: str) -> list[str]:
        """The index of each query of a path; '' of those that did not wait."""
        return [query.get("index", "") for asked, query in self.asked if asked == path]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query)))
        self.tokens.add(request.headers.get("X-Consul-Token"))
        lie = self.lies.get(request.path)
        if lie is None and int(request.query.get("index", "0")) >= self._index_of(request.path):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(float(request.query["wait"].removesuffix("ms")) / 1000):
                    await self._moved.wait()
            lie = self.lies.get(request.path)
        if lie is not None:
            return await lie(request)
        name = request.path.rpartition("/")[2]
        if request.path == SERVERS:
            content = json.dumps([{"Node": "one", "ID": self.server, "CreateIndex": 5}]).encode()
        elif request.path.startswith("/v1/catalog"):
            content = json.dumps({each: [] for each in self.services}).encode()
        else:
            content = body(self.services.get(name, []))
        return self.said(content, self._index_of(request.path))

    def _index_of(self, path: str) -> int:
        _, index = self._hidden.get(path.rpartition("/")[2], ([], self.index))
        return index

    def said(self, content: bytes, index: int | None = None) -> web.Response:
        """An answer."""
        headers = {
            "X-Consul-Index": str(self.index if index is None else index),
            "X-Consul-KnownLeader": "true",
        }
        return web.Response(
            body=content, headers={**headers, **self.headers}, content_type="application/json"
        )

    @contextlib.asynccontextmanager
    async def serving(self, path: str = "") -> AsyncIterator["Liar"]:
        """Serves within the block, on the socket ``path`` if that is given."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        if path:
            await web.UnixSite(runner, path).start()
            self.url = f"unix://{path}"
        else:
            port = free_port()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await ended(runner)


def status(code: int, text: str = "") -> Lie:
    """Answers with a status."""

    async def lie(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=text)

    return lie


async def hang(_: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def break_off(request: web.Request) -> web.StreamResponse:
    """Begins an answer and closes the connection."""
    response = web.StreamResponse(headers={"X-Consul-Index": "99", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'[{"Node":')
    assert request.transport is not None
    request.transport.close()
    return response


async def torn(_: web.Request) -> web.StreamResponse:
    """An answer that is whole, of half a text."""
    return web.Response(body=b'[{"Node": {"Node": "n1"', headers={"X-Consul-Index": "99"})


async def flood(request: web.Request) -> web.StreamResponse:
    """An answer without an end."""
    response = web.StreamResponse(headers={"X-Consul-Index": "99"})
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b" " * (1 << 20))
        await asyncio.sleep(0)
    return response
