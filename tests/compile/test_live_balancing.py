"""Who gets a request: hashes, reports of load, slow start, budgets, on requests through a real Envoy."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.compile.fronting import Fronts, get
from tests.lab.echo import first_line, tcp_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.model.catalog import Endpoint, Protocol

pytestmark = pytest.mark.e2e

NAMES = ("a", "b", "c", "d")
MANY = 100
"""Values enough for each of four endpoints to be reached by some: that one is not happens once in 10**12 times."""


@asynccontextmanager
async def sites(*names: str) -> AsyncIterator[dict[str, Site]]:
    async with AsyncExitStack() as stack:
        found = zip(names, free_ports(len(names)), strict=True)
        yield {name: await stack.enter_async_context(Site(name, "127.0.0.1", port)) for name, port in found}


def endpoints(of: Mapping[str, Site]) -> list[Endpoint]:
    return [Endpoint(site.address, {"p": site.port}) for site in of.values()]


async def shares(port: int, requests: int) -> Counter[str]:
    """Who answered so many requests, one after another."""
    found: Counter[str] = Counter()
    async with aiohttp.ClientSession() as session:
        for _ in range(requests):
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                found[await response.text()] += 1
    return found


def hashed(**settings: Any) -> dict[str, Any]:
    return {"loadBalancer": {"consistentHash": settings}}


async def test_equal_hashes_reach_the_same_endpoint(tmp_path: Path) -> None:
    """By header, query parameter and cookie, on a ring and by Maglev: one value one endpoint, many values all of them."""
    fronts = Fronts()
    async with sites(*NAMES) as running:
        behind = endpoints(running)
        ring = fronts.add(hashed(httpHeaderName="x-user", ringHash={"minimumRingSize": 2048}), behind)
        table = fronts.add(hashed(httpQueryParameterName="user", maglev={"tableSize": 251}), behind)
        cookie = fronts.add(hashed(httpCookie={"name": "user"}), behind)
        async with Envoy(fronts.bootstrap(), tmp_path) as envoy:
            reached: dict[str, set[str]] = {"ring": set(), "table": set(), "cookie": set()}
            for number in range(MANY):
                user = f"user-{number}"
                answers = {
                    "ring": [await get(ring, headers={"x-user": user}) for _ in range(2)],
                    "table": [await get(table, path=f"/?user={user}") for _ in range(2)],
                    "cookie": [await get(cookie, headers={"cookie": f"user={user}"}) for _ in range(2)],
                }
                for form, (first, again) in answers.items():
                    assert first == again, (form, user)
                    reached[form].add(first[1])
            assert all(names == set(NAMES) for names in reached.values()), reached
            sizes = await envoy.stats("ring_hash_lb.min_hashes_per_host|maglev_lb.max_entries_per_host")
            assert max(sizes.values()) >= 2048 // len(NAMES)


async def test_a_cookie_with_a_lifetime_is_made(tmp_path: Path) -> None:
    """A client without the cookie is given one, with its path, lifetime and attributes, that leads to who answered."""
    making = {
        "name": "session",
        "path": "/shop",
        "ttl": "60s",
        "attributes": [{"name": "SameSite", "value": "Strict"}],
    }
    fronts = Fronts()
    async with sites(*NAMES) as running:
        port = fronts.add(hashed(httpCookie=making), endpoints(running))
        async with Envoy(fronts.bootstrap(), tmp_path), aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                first, made = await response.text(), response.headers["set-cookie"]
            found = re.fullmatch(
                r'session="?([^";]+)"?; Max-Age=60; Path=/shop; SameSite=Strict; HttpOnly', made
            )
            assert found, made
            for _ in range(5):
                assert await get(port, headers={"cookie": f"session={found[1]}"}) == (200, first)


async def test_the_address_of_the_client_is_hashed(tmp_path: Path) -> None:
    """For connections as for requests; one address stays with one endpoint."""
    fronts = Fronts()
    ports = free_ports(3)
    async with AsyncExitStack() as stack, sites(*NAMES) as running:
        for name, port in zip("xyz", ports, strict=True):
            await stack.enter_async_context(tcp_server(name, "127.0.0.1", port))
        behind = [Endpoint("127.0.0.1", {"p": port}) for port in ports]
        opaque = fronts.add(hashed(useSourceIp=True), behind, protocol=Protocol.TCP)
        routed = fronts.add(hashed(useSourceIp=True, maglev={"tableSize": 65537}), endpoints(running))
        async with Envoy(fronts.bootstrap(), tmp_path):
            assert len({await first_line("127.0.0.1", opaque) for _ in range(12)}) == 1
            assert len({(await get(routed))[1] for _ in range(12)}) == 1
            connections = [await _line_from(f"127.0.1.{number}", opaque) for number in range(1, MANY)]
            assert {line[:1] for line in connections} == {"x", "y", "z"}


async def _line_from(source: str, port: int) -> str:
    """What a client of this address is told first."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            return (await reader.readline()).decode()
        finally:
            writer.close()


async def test_endpoints_are_weighed_by_the_load_that_they_report(tmp_path: Path) -> None:
    """One that reports four times the load of another gets a fourth of its requests."""
    settings = {
        "metricNamesForComputingUtilization": ["named_metrics.queue"],
        "weightUpdatePeriod": "100ms",
        "weightStabilizationPeriod": "0s",
    }
    fronts = Fronts()
    async with sites("idle", "busy") as running:
        for name, load in (("idle", 0.2), ("busy", 0.8)):
            report = f"TEXT named_metrics.queue={load},rps_fractional=100"
            running[name].headers = {"endpoint-load-metrics": report}
        port = fronts.add({"loadBalancer": {"backendUtilization": settings}}, endpoints(running))
        async with Envoy(fronts.bootstrap(), tmp_path):

            async def weighed() -> None:
                found = await shares(port, 200)
                assert found["idle"] == pytest.approx(160, abs=16), found

            await eventually(weighed, "load decides")


async def test_a_budget_bounds_retries(tmp_path: Path) -> None:
    """With none but the least concurrency, of many requests that fail at once few are tried again; else all are."""
    fronts = Fronts()
    async with sites("ill") as running:
        behind = endpoints(running)
        small = fronts.add({"retryBudget": {"percent": 0.0, "minRetryConcurrency": 1}}, behind)
        unbounded = fronts.add({}, behind)
        await running["ill"].stop()
        async with Envoy(fronts.bootstrap(), tmp_path) as envoy:
            for port in (small, unbounded):
                await asyncio.gather(*(get(port) for _ in range(20)))
            overflow = {port: await _overflow(envoy, port) for port in (small, unbounded)}
            assert overflow[small] > 0
            assert overflow[unbounded] == 0


async def _overflow(envoy: Envoy, port: int) -> int:
    found = await envoy.stats(f"outbound.{port}.*upstream_rq_retry_overflow")
    return sum(found.values())


async def test_limits_break_the_circuit(tmp_path: Path) -> None:
    """With one connection and one place to wait, of many requests at once two are served and the others refused."""
    limits = {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}
    fronts = Fronts()
    async with sites("slow") as running:
        site = running["slow"]
        port = fronts.add({"connectionPool": limits}, endpoints(running))
        async with Envoy(fronts.bootstrap(), tmp_path) as envoy:
            assert (await get(port))[0] == 200  # the connection is there from now on
            site.pause.clear()
            requests = [asyncio.create_task(get(port)) for _ in range(10)]

            async def refused() -> bool:
                return sum(each.done() for each in requests) == 8

            await eventually(refused, "eight are refused")
            site.pause.set()
            statuses = Counter(status for status, _ in await asyncio.gather(*requests))
            assert statuses == {200: 2, 503: 8}
            assert await envoy.stats("upstream_rq_pending_overflow")


async def test_connections_are_closed_after_their_requests(tmp_path: Path) -> None:
    """A connection carries as many requests as it may, and the next takes another."""
    fronts = Fronts()
    async with sites("one") as running:
        once = fronts.add({"connectionPool": {"http": {"maxRequestsPerConnection": 2}}}, endpoints(running))
        async with Envoy(fronts.bootstrap(), tmp_path) as envoy:
            assert await shares(once, 10) == {"one": 10}
            made = await envoy.stats(f"outbound.{once}.*upstream_cx_total$")
            assert sum(made.values()) == 5


async def test_answers_that_are_listed_count_as_failures(tmp_path: Path) -> None:
    """An endpoint that answers with a listed status is left; one that answers with another error is not."""
    outliers = {
        "consecutive5xxErrors": 1,
        "interval": "50ms",
        "baseEjectionTime": "60s",
        "maxEjectionPercent": 100,
        "outlierDetectionHttpErrorCodes": [429],
    }
    fronts = Fronts()
    async with sites("busy", "ill", "well") as running:
        running["busy"].status, running["ill"].status = 429, 500
        port = fronts.add({"outlierDetection": outliers}, endpoints(running))
        async with Envoy(fronts.bootstrap(), tmp_path):

            async def left() -> None:
                assert set(await shares(port, 30)) == {"ill", "well"}

            await eventually(left, "the busy one is left")
