"""Endpoints that callers ask whether they are well, with real Envoys that ask and requests that follow."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from tests.e2e.asking import ask, thing
from tests.e2e.town import HOST, Town, service, town
from tests.lab.certificates import Authority
from tests.lab.echo import first_line, tcp_server
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.model.durations import parse_duration
from xdsd.model.problem import ObjectRef

pytestmark = pytest.mark.e2e

OFTEN = {
    "interval": "100ms",
    "noTrafficInterval": "100ms",
    "timeout": "20s",
    "unhealthyThreshold": 2,
    "healthyThreshold": 1,
}
BY_HTTP = {"http": {"path": "/healthz"}, **OFTEN}
ILL = {"/healthz": 503}
PLACES = {"here": "eu/a", "near": "eu/b", "far": "us/a"}


async def check(made: Town, spec: dict[str, Any], name: str = "cart") -> list[str]:
    """Applies a HealthCheck; the remarks that come with it."""
    return await made.apply(thing("HealthCheck", name, {"host": f"{name}.example.com", **spec}))


async def test_requests_leave_what_is_ill_though_it_answers(tmp_path: Path) -> None:
    """A failed check alone fails over, by locality; if all are ill all are used, or none if that is asked for."""
    async with town(tmp_path, PLACES, ["eu/a"]) as made:
        sites = made.sites
        assert await check(made, BY_HTTP) == []
        assert await made.rule({"loadBalancer": {"localityLbSetting": {}}}) == []
        await made.reaches("eu/a", "here")
        for ill, next_nearest in (("here", "near"), ("near", "far")):
            sites[ill].statuses = ILL
            await made.reaches("eu/a", next_nearest)
        sites["far"].statuses = ILL
        await made.reaches("eu/a", "here", "near", "far", requests=40)
        await check(made, {**BY_HTTP, "minHealthPercent": 0})
        await made.reaches("eu/a", "503")
        sites["near"].statuses = {"/healthz": 204}
        await check(made, {**BY_HTTP, "http": {"path": "/healthz", "expectedStatuses": [200, 204]}})
        await made.reaches("eu/a", "near")
        sites["here"].statuses = {}
        await made.reaches("eu/a", "here")
        await sites["here"].stop()
        await check(made, {"tcp": {}, **OFTEN})
        await made.reaches("eu/a", "near")
        await made.rule({"outlierDetection": {"consecutive5xxErrors": 1, "interval": "50ms"}})
        await made.reaches("eu/a", "near")


async def test_edits_lose_no_request_and_no_connection(tmp_path: Path) -> None:
    """A check that comes, changes and goes, and endpoints that are all new: nothing fails, and what is open stays open."""
    port, tcp = free_ports(2)
    async with (
        tcp_server("opaque", "127.0.0.1", tcp),
        town(tmp_path, {"here": "eu/a", "far": "us/a"}, ["eu/a"]) as made,
    ):
        spec = {
            "hosts": ["opaque.example.com"],
            "ports": [{"number": port, "name": "tcp", "protocol": "TCP"}],
            "resolution": "STATIC",
            "endpoints": [{"address": "127.0.0.1", "ports": {"tcp": tcp}}],
        }
        await made.apply(thing("ServiceEntry", "opaque", spec))
        await eventually(lambda: first_line("127.0.0.10", port), "the opaque service is reached")
        reader, writer = await asyncio.open_connection("127.0.0.10", port)
        assert (await reader.readline()).startswith(b"opaque")
        await made.reaches("eu/a", "here", "far")
        slow, let_go = await held(made)
        async with Load(f"http://{HOST}/", proxy=made.homes["eu/a"].proxy, rate=200) as load:
            edits: tuple[dict[str, Any], ...] = (
                BY_HTTP,
                {**BY_HTTP, "interval": "200ms"},
                {"tcp": {}, **OFTEN},
                {**BY_HTTP, "timeout": "30s", "minHealthPercent": 0},
                {"http": {"path": "/other"}, "interval": "1h"},
            )
            for edit in edits:
                interval = str(edit["interval"])
                await check(made, edit)
                await check(made, {"tcp": {}, "interval": interval}, "opaque")
                await eventually(partial(runs, made, interval), "the check is run")
                await load.more(40)
            for name in ("far", "here"):
                await made.apply(service({name: PLACES[name]}, made.sites, {}))
                await made.reaches("eu/a", name)
                await load.more(40)
            refs = [ObjectRef("HealthCheck", "default", name) for name in ("cart", "opaque")]
            await ask(made.daemon, lambda client: client.delete(refs))
            await load.more(40)
        assert load.tally.failed == 0, str(load.tally)
        writer.write(b"still there\n")
        assert await reader.readline() == b"still there\n"
        writer.close()
        let_go.set()
        assert await slow in {"here", "far"}


async def runs(made: Town, interval: str) -> bool:
    """True if both services are checked so often."""
    (dump,) = await made.homes["eu/a"].envoy.config_dump("ClustersConfigDump")
    active = (each["cluster"] for each in dump["dynamic_active_clusters"])
    found = [each["health_checks"][0]["interval"] for each in active if "health_checks" in each]
    return len(found) == 2 and {parse_duration(each) for each in found} == {parse_duration(interval)}


async def held(made: Town) -> tuple[asyncio.Task[str], asyncio.Event]:
    """A request that has arrived, and what lets the site answer it; later ones are answered at once."""
    sites = made.sites.values()
    let_go, before = asyncio.Event(), {site.name: site.requests for site in sites}
    for site in sites:
        site.pause = let_go

    async def send() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{HOST}/", proxy=made.homes["eu/a"].proxy) as response,
        ):
            return await response.text()

    task = asyncio.create_task(send())
    await eventually(lambda: any(site.requests > before[site.name] for site in sites), "it has arrived")
    for site in sites:
        site.pause = asyncio.Event()
        site.pause.set()
    return task, let_go


@asynccontextmanager
async def grpc_server(address: str, port: int) -> AsyncIterator[HealthServicer]:
    """A program of gRPC's health protocol and nothing else."""
    server = grpc.aio.server()
    servicer = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"{address}:{port}")
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(0)


async def test_opaque_services_are_asked_by_grpc_and_tls_by_name(tmp_path: Path) -> None:
    """At a port of the endpoints' own, about one service; over TLS with the server name that the service has."""
    port, target, asked, secure = free_ports(4)
    authority = Authority(tmp_path / "pki")
    pair = authority.issue("server", f"DNS:{HOST}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    addresses = ("127.0.0.31", "127.0.0.32")
    async with (
        tcp_server("one", addresses[0], target),
        tcp_server("two", addresses[1], target),
        grpc_server(addresses[0], asked) as one,
        grpc_server(addresses[1], asked) as two,
        Site("secure", "127.0.0.1", secure, context) as site,
        town(tmp_path, {}, ["eu/a"]) as made,
    ):
        serving, ill = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        for servicer in (one, two):
            await servicer.set("store", serving)
        endpoints = [{"address": address, "ports": {"tcp": target}} for address in addresses]
        await made.apply(_service("store", port, "TCP", endpoints))
        by_grpc = {"grpc": {"service": "store"}, "endpointPort": asked, **OFTEN}
        assert await check(made, by_grpc, "store") == []

        async def answer() -> set[str]:
            return {(await first_line("127.0.0.10", port)).partition(" ")[0] for _ in range(12)}

        async def answers(*names: str) -> None:
            assert await answer() == set(names)

        await eventually(lambda: answers("one", "two"))
        await one.set("store", ill)
        await eventually(lambda: answers("two"))
        await one.set("store", serving)
        await two.set("store", ill)
        await eventually(lambda: answers("one"))

        await made.apply(_service("cart", 80, "HTTP", [{"address": "127.0.0.1", "ports": {"http": secure}}]))
        await made.rule({"tls": {"mode": "SIMPLE", "caCertificates": str(authority.cert)}})
        await check(made, BY_HTTP)
        await eventually(lambda: site.requests > 0, "it is asked")
        assert (site.server_name, site.asked["host"]) == (HOST, HOST)
        await made.reaches("eu/a", "secure")


def _service(name: str, port: int, protocol: str, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    ports = [{"number": port, "name": protocol.lower(), "protocol": protocol}]
    spec = {"hosts": [f"{name}.example.com"], "ports": ports, "resolution": "STATIC", "endpoints": endpoints}
    return thing("ServiceEntry", name, spec)
