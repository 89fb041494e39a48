"""What is tried again, and where, with real answers and failures; and connections above a limit."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.asking import thing
from tests.e2e.town import HOST, Town, town
from tests.lab.echo import first_line, tcp_server
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

RETRIES = r"^cluster\.outbound\|80\|\|cart.example.com;?\.upstream_rq_retry$"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Two sites nearby and one far away."""
    async with town(
        tmp_path_factory.mktemp("town"), {"one": "eu", "two": "eu", "far": "us"}, ["eu"]
    ) as found:
        yield found


async def retries(made: Town) -> int:
    return sum((await made.homes["eu"].envoy.stats(RETRIES)).values())


async def tries(made: Town, timeout: str = "", **policy: Any) -> None:
    """Has requests tried again so, and waits until that is run; sites are as they were made."""
    for site in made.sites.values():
        site.status, site.headers, site.breaks_off = 200, {}, False
    name = f"rule-{asyncio.get_running_loop().time()}"
    rule = {"name": name, "route": [{"destination": {"host": HOST}}], "retries": {"backoff": "1ms", **policy}}
    spec = {"hosts": [HOST], "http": [{**rule, **({"timeout": timeout} if timeout else {})}]}
    await made.apply(thing("VirtualService", "cart", spec))

    async def runs() -> None:
        assert name in str(await made.homes["eu"].envoy.config_dump("RoutesConfigDump"))

    await eventually(runs, f"{policy} is run")


def status_of(grpc: int) -> Mapping[str, str]:
    return {"grpc-status": str(grpc)}


@pytest.mark.parametrize(
    ("retry_on", "status", "headers", "retried"),
    [
        ("5xx", 500, {}, True),
        ("5xx", 404, {}, False),
        ("gateway-error", 502, {}, True),
        ("gateway-error", 500, {}, False),
        ("retriable-4xx", 409, {}, True),
        ("retriable-4xx", 404, {}, False),
        ("418,503", 418, {}, True),
        ("418,503", 503, {}, True),
        ("418", 503, {}, False),
        ("envoy-ratelimited", 429, {"x-envoy-ratelimited": "true"}, True),
        ("envoy-ratelimited", 429, {}, False),
        ("cancelled", 200, status_of(1), True),
        ("deadline-exceeded", 200, status_of(4), True),
        ("resource-exhausted", 200, status_of(8), True),
        ("internal", 200, status_of(13), True),
        ("unavailable", 200, status_of(14), True),
        ("unavailable", 200, status_of(2), False),
    ],
)
async def test_answers_are_asked_for_again(
    made: Town, retry_on: str, status: int, headers: Mapping[str, str], retried: bool
) -> None:
    """Those that ``retryOn`` names, as often as asked; others are passed on at once."""
    await tries(made, attempts=2, retryOn=retry_on)
    for site in made.sites.values():
        site.status, site.headers = status, headers
    before = await retries(made)
    await made.ask("eu")
    assert await retries(made) - before == (2 if retried else 0)


@pytest.mark.parametrize(
    ("retry_on", "retried"), [("reset", True), ("5xx", True), ("connect-failure", False)]
)
async def test_connections_that_break_off_are_tried_again(made: Town, retry_on: str, retried: bool) -> None:
    """By the conditions that mean them: once the request was sent it is no failure to connect."""
    await tries(made, attempts=3, retryOn=retry_on)
    for site in made.sites.values():
        site.breaks_off = True
    before = await retries(made)
    assert await made.ask("eu") == {"503": 1}
    assert await retries(made) - before == (3 if retried else 0)


async def test_a_host_that_failed_is_not_asked_again(made: Town) -> None:
    """Unless that is asked for: with one of three failing, hardly a request fails, or one in nine, which are 67 of all."""
    failed = {}
    for ignored in (True, False):
        await tries(made, attempts=1, retryOn="503", retryIgnorePreviousHosts=ignored)
        made.sites["one"].status = 503
        failed[ignored] = (await made.ask("eu", 600))["503"]
    assert failed[True] <= 12
    assert failed[False] >= 20


async def test_other_localities_are_tried_if_asked_for(made: Town) -> None:
    """Where requests stay near, so do retries, until ``retryRemoteLocalities`` lets them go."""
    off = {"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 0}
    for remote, answer in ((False, {"503"}), (True, {"far"})):
        await tries(made, attempts=4, retryOn="503", retryRemoteLocalities=remote)
        await made.rule({"outlierDetection": off})
        await made.reaches("eu", "one", "two", requests=40)
        made.sites["one"].status = made.sites["two"].status = 503
        assert set(await made.ask("eu", 10)) == answer
    await made.rule({"loadBalancer": {"simple": "RANDOM"}})


async def opened(port: int) -> asyncio.StreamWriter:
    """A connection that is answered, and stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.10", port)
    if not await reader.readline():
        writer.close()
        raise AssertionError("the connection is closed")
    return writer


async def test_connections_above_the_limit_are_closed(made: Town) -> None:
    """An opaque service with one connection takes the next when that is over."""
    port, target = free_ports(2)
    spec = {
        "hosts": ["opaque.example.com"],
        "ports": [{"number": port, "name": "tcp", "protocol": "TCP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"tcp": target}}],
    }
    limit = {"connectionPool": {"tcp": {"maxConnections": 1}}}
    rule = {"host": "opaque.example.com", "trafficPolicy": limit}
    async with tcp_server("opaque", "127.0.0.1", target):
        await made.apply(thing("DestinationRule", "opaque", rule), thing("ServiceEntry", "opaque", spec))
        writer = await eventually(lambda: opened(port), "the service is reached")
        assert await first_line("127.0.0.10", port) == ""
        writer.close()
        await eventually(lambda: first_line("127.0.0.10", port), "there is room again")
