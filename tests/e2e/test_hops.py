"""Deadlines, upgrades and translations over real hops: from a program through its Envoy to the Envoy beside another one."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
import pytest_asyncio
from aiohttp import web

from tests.e2e.asking import ask, thing
from tests.e2e.hops import METHOD, PORTS, Callee, Row, row, unary
from tests.lab.echo import ended
from tests.lab.eventually import eventually
from tests.lab.sites import Site
from xdsd.model.problem import ObjectRef

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ROUNDING = 0.25
"""Seconds by which a deadline may grow on the way: gRPC's libraries round those of more than ten seconds up to tenths."""
MUCH = 14.0
"""Seconds that nothing takes which ends in time, however busy the machine is: Envoy itself gives up after 15."""
EXPECTED = "x-envoy-expected-rq-timeout-ms"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Row]:
    """One row for all tests here."""
    async with row(tmp_path_factory.mktemp("hops")) as made:
        await eventually(lambda: answers(made), "all is reached")
        yield made


async def answers(made: Row) -> None:
    for host in "bc":
        assert (await made.get(host))[0] == 200
    async with made.channel("a", "b") as channel:
        try:
            assert await call(channel, 20) == b"hello"
        except grpc.aio.AioRpcError as error:
            raise AssertionError(error) from None


async def call(channel: grpc.aio.Channel, timeout: float | None) -> bytes:
    async with asyncio.timeout(60):  # which nothing that works takes
        answer: bytes = await unary(channel)(b"hello", timeout=timeout)
    return answer


@contextmanager
def paused(site: Site) -> Iterator[None]:
    """A program answers no request meanwhile."""
    site.pause.clear()
    try:
        yield
    finally:
        site.pause.set()


@contextmanager
def holding(callee: Callee) -> Iterator[None]:
    """A program answers no call meanwhile."""
    callee.given_up.clear()
    callee.hold = True
    try:
        yield
    finally:
        callee.hold = False


async def routes(made: Row, host: str, **rule: Any) -> None:
    """Applies a rule to all requests and calls to a host, and waits until it is run by the first Envoy."""
    edit = time.monotonic_ns()
    ports = [
        {
            "match": [{"port": number}],
            "route": [{"destination": {"host": f"{host}.example.com", "port": {"number": number}}}],
            "name": f"{name}-{edit}",
            **rule,
        }
        for name, number in PORTS.items()
    ]
    spec = {"hosts": [f"{host}.example.com"], "http": ports}
    await made.made.apply(thing("VirtualService", host, spec))

    async def runs() -> None:
        for home in "ab":
            text = str(await made.home(home).envoy.config_dump("RoutesConfigDump"))
            assert all(each["name"] in text for each in ports)

    await eventually(runs, f"{rule} is run")


class TestDeadlines:
    async def test_the_program_hears_how_long_its_caller_waits(self, shared: Row) -> None:
        """As the route's timeout says it, at each hop; neither a program nor a stranger can say otherwise."""
        await routes(shared, "b", timeout="30s")
        await routes(shared, "c", timeout="20s")
        for host, expected in (("b", "30000"), ("c", "20000")):
            for said in ({}, {EXPECTED: "99"}, {"x-envoy-upstream-rq-timeout-ms": "99"}):
                assert await shared.get(host, said) == (200, shared.sites[host].asked)
                assert shared.sites[host].asked[EXPECTED] == expected

    async def test_the_callees_proxy_gives_up_with_the_caller(self, shared: Row) -> None:
        """When the time that the header tells is over; without it, it waits for its program."""
        site = shared.sites["b"]
        with paused(site):
            started = time.monotonic()
            assert (await shared.get("b", {EXPECTED: "300"}, shared.inbound["http"]))[0] == 504
            assert 0.25 < time.monotonic() - started < MUCH
        assert (await shared.get("b", url=shared.inbound["http"]))[0] == 200
        assert EXPECTED not in site.asked

    async def test_retries_stay_within_the_timeout(self, shared: Row) -> None:
        """However many there may be; the last one hears what is left, not what a try may take."""
        await routes(
            shared,
            "b",
            timeout="5s",
            retries={"attempts": 10, "perTryTimeout": "2.6s", "retryOn": "5xx", "backoff": "1ms"},
        )
        site = shared.sites["b"]
        with paused(site):
            before, started = site.requests, time.monotonic()
            assert (await shared.get("b"))[0] == 504
            assert 4.9 < time.monotonic() - started < MUCH
            await eventually(lambda: site.requests - before == 2, "it is tried again once")
            assert int(site.asked[EXPECTED]) < 2500

    async def test_a_call_is_never_longer_than_it_says(self, shared: Row) -> None:
        """Nor than the route's timeout; the next hop has what the one before has left."""
        b, c = shared.callees["b"], shared.callees["c"]
        async with shared.channel("a", "b") as channel:
            for timeout, own, most in (("30s", 20, 20.0), ("20s", 30, 20.0), ("20s", None, float("inf"))):
                await routes(shared, "b", timeout=timeout)
                await routes(shared, "c", timeout="40s")
                b.left.clear()
                c.left.clear()
                assert await call(channel, own) == b"hello"
                assert 0 < b.left[-1] <= most + ROUNDING
                assert 0 < c.left[-1] <= b.left[-1] + ROUNDING

    @pytest.mark.parametrize(("timeout", "own"), [("3s", 2 * MUCH), ("3s", None), (None, 3.0)])
    async def test_a_call_that_is_over_is_over_for_everybody(
        self, shared: Row, timeout: str | None, own: float | None
    ) -> None:
        """The caller hears DEADLINE_EXCEEDED, and the last program that nobody waits for it any more."""
        await routes(shared, "b", **({"timeout": timeout} if timeout else {}))
        c = shared.callees["c"]
        with holding(c):
            started = time.monotonic()
            async with shared.channel("a", "b") as channel:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await call(channel, own)
            assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert time.monotonic() - started < MUCH
            await asyncio.wait_for(c.given_up.wait(), 60)


def frame(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


class TestProtocols:
    async def test_browsers_call_grpc(self, shared: Row) -> None:
        """Through the caller's Envoy, or the callee's where there is none; on other ports their words stay as they are."""
        await ask(
            shared.made.daemon,
            lambda client: client.delete([ObjectRef("VirtualService", "default", each) for each in "bc"]),
        )
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
        proxy = shared.home("a").proxy

        async def post(url: str, through: str | None) -> tuple[str, bytes]:
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, data=frame(b"hello"), headers=headers, proxy=through) as response,
            ):
                return response.content_type, await response.read()

        async def translated(url: str, through: str | None) -> None:
            kind, body = await post(url, through)
            assert kind == "application/grpc-web+proto"
            assert body.startswith(frame(b"hello") + b"\x80")
            assert b"grpc-status:0" in body

        via = f"http://b.example.com:{PORTS['web']}{METHOD}"
        await eventually(lambda: translated(via, proxy))
        await translated(f"{shared.inbound['web'].rstrip('/')}{METHOD}", None)
        await post("http://b.example.com/", proxy)
        assert shared.sites["b"].asked["content-type"] == headers["content-type"]

    async def test_websockets_are_carried(self, shared: Row) -> None:
        """Through both Envoys, both ways; the routes' retries and timeouts leave them alone."""
        async with echoing(shared) as url, aiohttp.ClientSession() as session:

            async def says() -> None:
                async with session.ws_connect(url, proxy=shared.home("a").proxy) as socket:
                    for word in ("one", "two"):
                        await socket.send_str(word)
                        assert await socket.receive_str(timeout=20) == word

            await eventually(says, "the socket is carried")

    async def test_requests_are_upgraded_to_http2(self, shared: Row) -> None:
        """Between Envoys where a rule says so; or what the client speaks is spoken on."""

        async def spoken(version: str, before: int) -> None:
            assert (await shared.get("b"))[0] == 200
            assert await connections(shared, version) > before

        for http, version in (
            ({"h2UpgradePolicy": "UPGRADE"}, "http2"),
            ({"useClientProtocol": True}, "http1"),
            ({"h2UpgradePolicy": "DO_NOT_UPGRADE", "maxRequestsPerConnection": 1}, "http1"),
        ):
            rule = {"host": "b.example.com", "trafficPolicy": {"connectionPool": {"http": http}}}
            before = await connections(shared, version)
            await shared.made.apply(thing("DestinationRule", "b", rule))
            await eventually(partial(spoken, version, before), f"{version} is spoken")


async def connections(made: Row, version: str) -> int:
    """How many connections of a version the first Envoy has made to b."""
    name = r"outbound\|80\|\|b.example.com"
    found = await made.home("a").envoy.stats(rf"^cluster\.{name};?\.upstream_cx_{version}_total$")
    return sum(found.values())


@asynccontextmanager
async def echoing(made: Row) -> AsyncIterator[str]:
    """A program of WebSockets in the place of b's; the URL by which a calls it."""
    site = made.sites["b"]
    await site.stop()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, site.address, site.port).start()
        yield "http://b.example.com/ws"
    finally:
        await ended(runner)
        await site.start()
