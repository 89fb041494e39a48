"""The load generator counts every request, the good and the bad."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.lab.load import Load, Tally
from tests.lab.ports import free_port


async def serve(status: int) -> TestServer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text="answer")

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_good_answers_are_counted_and_timed() -> None:
    """Every answer counts once, none as a failure, each with its latency."""
    server = await serve(200)
    async with Load(str(server.make_url("/")), rate=500) as load:
        await load.more(50)
    await server.close()
    assert load.tally.failed == 0
    assert load.tally.requests == len(load.tally.latencies) >= 50
    assert load.tally.latency(0.5) <= load.tally.latency(1.0)


async def test_bad_answers_say_why() -> None:
    """A status other than 200 is a failure that carries status and body."""
    server = await serve(503)
    async with Load(str(server.make_url("/")), rate=500) as load:
        await load.more(5)
    await server.close()
    assert set(load.tally.failures) == {"status 503: answer"}
    assert load.tally.failed == load.tally.requests


async def test_refused_connections_are_failures() -> None:
    """Where nobody listens, every request fails and says so."""
    async with Load(f"http://127.0.0.1:{free_port()}/", rate=500) as load:
        await load.more(5)
    assert load.tally.failed == load.tally.requests
    assert "ClientConnectorError" in str(load.tally)


async def test_waiting_for_requests_has_a_deadline() -> None:
    """A load that gets no answers does not hang its test."""
    stuck = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await stuck.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app)
    await server.start_server()
    async with Load(str(server.make_url("/"))) as load:
        with pytest.raises(AssertionError, match="1 requests did not hold"):
            await load.more(1, timeout=0.1)
        stuck.set()
    await server.close()
    assert load.tally.failed == 0


def test_a_tally_reads_aloud() -> None:
    """Requests, failures and the most frequent reasons stand in one line."""
    tally = Tally(requests=3)
    tally.failures["status 503"] += 2
    assert str(tally) == "3 requests, 2 failed: 2 x status 503"
