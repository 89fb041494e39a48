"""Three programs in a row, each with an Envoy beside it: a calls b, and b calls c."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import grpc
import grpc.aio

from tests.e2e.asking import thing
from tests.e2e.town import Home, Town, town
from tests.lab.ports import free_ports
from tests.lab.sites import Site

HOMES = ("a", "b", "c")
PROTOCOLS = {"http": "HTTP", "grpc": "GRPC", "web": "GRPC-WEB"}
PORTS = {"http": 80, "grpc": 9000, "web": 9001}
METHOD = "/hops.Calls/Call"


@dataclass(slots=True)
class Callee:
    """A server of one gRPC method, which calls the next one. ``left`` are the seconds that callers of it were still waiting.

    With ``hold`` it does not answer, and says by ``given_up`` when the caller is gone.
    """

    onward: grpc.aio.Channel | None = None
    left: list[float] = field(default_factory=list)
    hold: bool = False
    given_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        remaining = context.time_remaining()
        self.left.append(remaining if remaining is not None else float("inf"))
        try:
            if self.hold:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        if self.onward is not None:
            await unary(self.onward)(request, timeout=context.time_remaining())
        return request


@dataclass(slots=True)
class Row:
    """``sites`` and ``callees`` are the programs of b and c by their protocols; ``inbound`` is where b's Envoy listens."""

    made: Town
    sites: Mapping[str, Site]
    callees: Mapping[str, Callee]
    inbound: Mapping[str, str]

    def home(self, name: str) -> Home:
        return self.made.homes[name]

    def channel(self, home: str, host: str, port: int = PORTS["grpc"]) -> grpc.aio.Channel:
        """A channel to a service through the Envoy of a home."""
        return through(self.home(home).proxy, f"{host}.example.com:{port}")

    async def get(
        self, host: str, headers: Mapping[str, str] | None = None, url: str = ""
    ) -> tuple[int, Mapping[str, str]]:
        """A request of program a: its status, and what the program that was asked last was told."""
        proxy = None if url else self.home("a").proxy
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url or f"http://{host}.example.com/", proxy=proxy, headers=headers) as response,
        ):
            await response.read()
            return response.status, self.sites[host].asked


def unary(channel: grpc.aio.Channel) -> Any:
    """The method of a channel; Any: the stubs want serializers that bytes do not need."""
    return cast("Any", channel).unary_unary(METHOD)


def through(proxy: str, authority: str) -> grpc.aio.Channel:
    """A channel through an Envoy's HTTP proxy."""
    options = [("grpc.default_authority", authority), ("grpc.enable_http_proxy", 0)]
    return grpc.aio.insecure_channel(proxy.removeprefix("http://"), options)


@asynccontextmanager
async def callee(port: int, onward: grpc.aio.Channel | None = None) -> AsyncIterator[Callee]:
    """A gRPC server on loopback."""
    made, server = Callee(onward), grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(made.call)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("hops.Calls", {"Call": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield made
    finally:
        await server.stop(0)


@asynccontextmanager
async def row(folder: Path) -> AsyncIterator[Row]:
    """The row, with one service for each of b and c: ``b.example.com`` with ports of HTTP, gRPC and gRPC-Web."""
    programs = {(home, name): port for home in "bc" for name, port in zip(PORTS, free_ports(3), strict=True)}
    inbound = dict(zip(PORTS, free_ports(3), strict=True))
    labels = {f"home-{number}": {"app": name} for number, name in enumerate(HOMES)}
    async with (
        Site("b", "127.0.0.1", programs["b", "http"]) as b_site,
        Site("c", "127.0.0.1", programs["c", "http"]) as c_site,
        callee(programs["c", "grpc"]) as c,
        callee(programs["b", "grpc"]) as b,
        town(folder, {}, HOMES, labels=labels) as made,
    ):
        for number, home in enumerate(HOMES[1:], 1):
            address = f"127.0.0.1{number}"
            await made.apply(_scope(home, address, inbound, programs), _service(home, address, inbound))
        urls = {name: f"http://127.0.0.11:{port}/" for name, port in inbound.items()}
        out = Row(made, {"b": b_site, "c": c_site}, {"b": b, "c": c}, urls)
        async with out.channel("b", "c") as onward:
            b.onward = onward
            yield out


def _scope(
    home: str, address: str, inbound: Mapping[str, int], programs: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    ingress = [
        {
            "port": {"number": port, "protocol": PROTOCOLS[name], "name": name},
            "bind": address,
            "captureMode": "NONE",
            # A program that speaks gRPC is behind the port of browsers too.
            "defaultEndpoint": f"127.0.0.1:{programs[home, 'grpc' if name == 'web' else name]}",
        }
        for name, port in inbound.items()
    ]
    spec = {"workloadSelector": {"labels": {"app": home}}, "ingress": ingress, "egress": [{"hosts": ["*/*"]}]}
    return thing("Sidecar", home, spec)


def _service(home: str, address: str, inbound: Mapping[str, int]) -> dict[str, Any]:
    ports = [
        {"number": PORTS[name], "name": name, "protocol": protocol} for name, protocol in PROTOCOLS.items()
    ]
    endpoints = [{"address": address, "ports": dict(inbound)}]
    spec = {"hosts": [f"{home}.example.com"], "ports": ports, "resolution": "STATIC", "endpoints": endpoints}
    return thing("ServiceEntry", home, spec)
