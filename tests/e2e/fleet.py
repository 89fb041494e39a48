"""Daemons on one etcd, Envoys that know all of them, traffic through the Envoys, and a writer that never stops."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from api.client import ApiError, Client
from tests.e2e.asking import accepted, ask, encoded, service, thing
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports

HOST = "shop.example.com"


class Writer:
    """Writes one object after the other, and with each tells its number in a header that the proxies add.

    ``acknowledged`` are the numbers that a daemon said were written, ``refusals`` what was said of those that were not yet.
    """

    def __init__(self, daemons: Sequence[Daemon]) -> None:
        self._daemons = daemons
        self._stopping = False
        self.acknowledged: list[int] = []
        self.refusals: list[str] = []

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Writes while it lasts; the last write is waited for until it is acknowledged."""
        task = asyncio.create_task(self._write())
        try:
            yield
        finally:
            self._stopping = True
            async with asyncio.timeout(120):
                await task

    async def more(self, writes: int = 1) -> None:
        """Returns once so many further writes were acknowledged."""
        wanted = len(self.acknowledged) + writes
        await eventually(lambda: len(self.acknowledged) >= wanted, f"{writes} more writes", timeout=120)

    async def refused(self) -> None:
        """Returns once a further write was refused."""
        known = len(self.refusals)
        await eventually(lambda: len(self.refusals) > known, "a write is refused", timeout=120)

    async def _write(self) -> None:
        number = 0
        while not self._stopping:
            number += 1
            objects = encoded([service(f"written-{number}"), _route(number)])
            turn = number
            while True:
                turn += 1
                daemon = self._daemons[turn % len(self._daemons)]
                try:
                    accepted(await ask(daemon, partial(Client.apply, objects=objects)))
                    break
                except ApiError as error:
                    self.refusals.append(str(error))
                    await asyncio.sleep(0.05)  # a writer that comes back, as people do
            self.acknowledged.append(number)
            await asyncio.sleep(0.02)  # a pace, not a wait


@dataclass
class Fleet:
    """What runs."""

    daemons: Sequence[Daemon]
    writer: Writer
    gateway: str
    sidecar: str
    envoys: Sequence[Envoy]
    loads: list[Load] = field(default_factory=list)

    async def traffic(self, requests: int = 100) -> None:
        """Returns once so many further requests were answered through each proxy."""
        await asyncio.gather(*(load.more(requests) for load in self.loads))

    async def converged(self) -> None:
        """Every proxy says the number of the last write, and every daemon has every acknowledged object."""
        last = str(self.writer.acknowledged[-1])
        for url, proxy in ((self.gateway, None), (f"http://{HOST}/", self.sidecar)):
            await eventually(partial(says, url, proxy, last), f"{url} says {last}")
        written = {f"written-{number}" for number in self.writer.acknowledged}
        for daemon in self.daemons:
            listed = await ask(daemon, lambda client: client.list("ServiceEntry"))
            names = {json.loads(each.json)["metadata"]["name"] for each in listed.objects}
            assert written <= names, f"lost: {sorted(written - names)[:10]}"

    def failures(self) -> list[str]:
        """What became of requests that failed."""
        return [str(load.tally) for load in self.loads if load.tally.failed]


@asynccontextmanager
async def running_fleet(folder: Path, store: str, daemons: int) -> AsyncIterator[Fleet]:
    """So many daemons on a store, a gateway and a sidecar that know all of them, and load through both."""
    one, two, gate, proxy = free_ports(4)
    made = [Daemon(_sub(folder, f"daemon-{n}"), {"store": store, "name": f"d{n}"}) for n in range(daemons)]
    async with AsyncExitStack() as stack:
        for name, port in (("one", one), ("two", two)):
            await stack.enter_async_context(http_server(name, "127.0.0.1", port))
        for daemon in made:
            await stack.enter_async_context(daemon)
        await _declare(made[0], (one, two), gate)
        envoys = [
            await stack.enter_async_context(Envoy(await bootstrap(made, *words), folder, name=words[3]))
            for words in (
                ("--type", "router", "--name", "gateway", "--labels", "app=gateway"),
                ("--type", "sidecar", "--name", "sidecar", "--interception", "none", "--http-proxy-port", str(proxy)),
            )
        ]  # fmt: skip
        fleet = Fleet(made, Writer(made), f"http://127.0.0.1:{gate}/", f"http://127.0.0.1:{proxy}", envoys)
        for url, through in ((fleet.gateway, None), (f"http://{HOST}/", fleet.sidecar)):
            await eventually(partial(says, url, through, "0"), f"{url} answers")
        fleet.loads = [
            Load(fleet.gateway, rate=50, headers={"host": HOST}),
            Load(f"http://{HOST}/", rate=50, proxy=fleet.sidecar),
        ]
        for load in fleet.loads:
            await stack.enter_async_context(load)
        yield fleet


async def bootstrap(daemons: Sequence[Daemon], *words: str) -> dict[str, Any]:
    """The bootstrap of a proxy that knows these daemons."""
    addresses = [word for daemon in daemons for word in ("--xds-address", daemon.xds_address)]
    found: dict[str, Any] = json.loads(await daemons[0].xdsctl("bootstrap", *words, *addresses, "-o", "json"))
    return found


async def _declare(daemon: Daemon, ports: Sequence[int], gate: int) -> None:
    shop = service("shop")
    shop["spec"]["endpoints"] = [{"address": "127.0.0.1", "ports": {"http": port}} for port in ports]
    server = {
        "port": {"number": gate, "name": "http", "protocol": "HTTP"},
        "hosts": ["*"],
        "bind": "127.0.0.1",
    }
    door = thing("Gateway", "door", {"selector": {"app": "gateway"}, "servers": [server]})
    accepted(await ask(daemon, lambda client: client.apply(encoded([shop, door, _route(0)]))))


def _route(number: int) -> dict[str, Any]:
    """The route of the shop, for sidecars and at the door, which adds a header with a number."""
    rule = {
        "route": [{"destination": {"host": HOST}}],
        "headers": {"response": {"set": {"x-number": str(number)}}},
        "retries": {"attempts": 0},
    }
    return thing("VirtualService", "shop", {"hosts": [HOST], "gateways": ["door", "mesh"], "http": [rule]})


async def says(url: str, proxy: str | None, number: str) -> bool:
    """Whether an answer of the shop has this number in its header."""
    timeout = aiohttp.ClientTimeout(total=10)
    with suppress(aiohttp.ClientError):
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers={"host": HOST}, proxy=proxy) as response,
        ):
            return response.headers.get("x-number") == number
    return False


def _sub(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made
