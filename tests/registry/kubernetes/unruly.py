"""An API server that misbehaves as a real one rarely does, when it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.lab.echo import ended
from tests.lab.ports import free_port
from xdsd.model.intent import KINDS
from xdsd.registry.kubernetes.login import Login

Answer = Callable[[web.Request], web.Response | None]
_PLURALS = {
    "services": "Service",
    "pods": "Pod",
    "nodes": "Node",
    "namespaces": "Namespace",
    "endpointslices": "EndpointSlice",
}
_KINDS = {**_PLURALS, "secrets": "Secret", **{kind.plural: kind.kind for kind in KINDS.values()}}


class Unruly:
    """Lists ``objects``; its watches say what ``say`` is given, and end when ``hang_up`` is called.

    ``misbehave`` is asked first about every request: what it answers is the answer. ``kinds`` are the plurals of the custom
    resources that it has, by group and version, and ``merged`` is what was merged into some, in order.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.objects: list[dict[str, Any]] = []
        self.revision = 1
        self.requests: list[str] = []
        self.tokens: list[str] = []
        self.misbehave: Answer = lambda _: None
        self.kinds: dict[str, list[str]] = {}
        self.merged: list[tuple[str, Any]] = []
        self._watches: dict[str, list[web.StreamResponse]] = {}

    async def login(self) -> Login:
        """How it is reached."""
        return Login(f"http://127.0.0.1:{self.port}", "Bearer one")

    async def say(self, plural: str, *words: bytes) -> None:
        """Writes this to the watches of a collection, as it is."""
        for watch in self._watches[plural]:
            for word in words:
                await watch.write(word)

    async def tell(self, plural: str, kind: str, obj: Mapping[str, Any]) -> None:
        """Writes an event."""
        await self.say(plural, event(kind, obj))

    def hang_up(self) -> None:
        """Ends all watches, without a word."""
        for watches in self._watches.values():
            for watch in watches:
                if watch._req is not None and watch._req.transport is not None:
                    watch._req.transport.abort()
            watches.clear()

    def watched(self, plural: str) -> bool:
        return bool(self._watches.get(plural))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        plural = request.path.rpartition("/")[2]
        self.requests.append(request.path_qs)
        self.tokens.append(request.headers.get("Authorization", ""))
        answer = self.misbehave(request)
        if answer is not None:
            return answer
        if request.method == "PATCH":
            self.merged.append((request.path, await request.json()))
            return web.json_response({})
        if plural not in _KINDS:
            return self._discovered(request.path)
        if "watch" in request.query:
            return await self._watch(request, plural)
        found = [each for each in self.objects if each["kind"] == _KINDS[plural]]
        return web.json_response({"metadata": {"resourceVersion": str(self.revision)}, "items": found})

    def _discovered(self, path: str) -> web.Response:
        group = path.removeprefix("/apis/")
        if group == "discovery.k8s.io":
            return web.json_response({"versions": [{"version": "v1beta1"}, {"version": "v1"}]})
        if group in self.kinds:
            return web.json_response({"resources": [{"name": each} for each in self.kinds[group]]})
        if group != path and group.count("/") == 1:
            return refusal(404, "the server could not find the requested resource")
        return web.json_response({"major": "1"})

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        watches = self._watches.setdefault(plural, [])
        watches.append(response)
        try:
            await asyncio.Event().wait()
        finally:
            if response in watches:
                watches.remove(response)
        return response


def event(kind: str, obj: Mapping[str, Any]) -> bytes:
    """One line of a watch."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def refusal(status: int, message: str = "no", **headers: str) -> web.Response:
    """An error as API servers say them."""
    body = {"kind": "Status", "status": "Failure", "message": message, "code": status}
    return web.json_response(
        body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def only(path: str, *answers: web.Response | None) -> Answer:
    """Misbehaves in what asks for this, in turn; the last answer is for ever."""
    rest: Sequence[web.Response | None] = answers
    turn = iter(range(len(rest)))

    def answer(request: web.Request) -> web.Response | None:
        if path not in request.path_qs:
            return None
        chosen = rest[min(next(turn, len(rest) - 1), len(rest) - 1)]
        return (
            web.Response(status=chosen.status, body=chosen.body, headers=chosen.headers) if chosen else None
        )

    return answer


@asynccontextmanager
async def unruly_server() -> AsyncIterator[Unruly]:
    """One that listens."""
    server = Unruly()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", server.port).start()
    try:
        yield server
    finally:
        server.hang_up()
        await ended(runner)
