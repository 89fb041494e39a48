"""A workload that leaves its services while its program lives: callers that do not know yet are answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asking import thing
from tests.lab.daemon import Daemon
from tests.lab.echo import first_line, http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

LEAVING, STAYING, CALLER = "127.0.0.23", "127.0.0.24", "127.0.0.25"
HOSTS = ("shop.example.com", "stock.example.com")


@dataclass(frozen=True, slots=True)
class Place:
    """Two services, one in the store and one in a list of machines, with a port each; the proxy of the workload that both
    have beside one that stays, and a caller's.
    """

    daemon: Daemon
    ports: tuple[int, int]
    leaving: Envoy
    caller: Envoy
    proxy: str

    async def leave(self) -> None:
        """Both sources take the workload out."""
        await self.daemon.xdsctl("delete", "workloadentry", "shop-leaving")
        listed(self.daemon, self.ports[1], STAYING)

    async def is_called(self, address: str) -> bool:
        """Whether the caller has endpoints of both services at an address."""
        clusters = await self.caller.get("/clusters")
        return all(f"{address}:{port}::" in clusters for port in self.ports)

    async def listens(self) -> list[bool]:
        listeners = await self.leaving.get("/listeners")
        return [f"{LEAVING}:{port}" in listeners for port in self.ports]


def listed(daemon: Daemon, port: int, *addresses: str) -> None:
    spec = {
        "hosts": [HOSTS[1]],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": each, "ports": {"http": port}} for each in addresses],
    }
    made = daemon.machines / "made"
    made.write_text(json.dumps(thing("ServiceEntry", "stock", spec)))
    made.rename(daemon.machines / "stock.json")


def selected(port: int) -> list[dict[str, Any]]:
    """A service of the store that selects workloads, and its two; Any: objects nest freely."""
    spec = {
        "hosts": [HOSTS[0]],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "workloadSelector": {"labels": {"app": "shop"}},
    }
    named = {"leaving": LEAVING, "staying": STAYING}
    entries = {
        name: {"address": address, "labels": {"app": "shop"}, "ports": {"http": port}}
        for name, address in named.items()
    }
    return [
        thing("ServiceEntry", "shop", spec),
        *(thing("WorkloadEntry", f"shop-{name}", entry) for name, entry in entries.items()),
    ]


def routes() -> list[dict[str, Any]]:
    """Nothing is tried again. Any: objects nest freely."""
    return [
        thing(
            "VirtualService",
            host.partition(".")[0],
            {
                "hosts": [host],
                "http": [{"route": [{"destination": {"host": host}}], "retries": {"attempts": 0}}],
            },
        )
        for host in HOSTS
    ]


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    one, other, proxy = free_ports(3)
    async with AsyncExitStack() as stack:
        for port in (one, other):
            for name, address in (("leaving", "127.0.0.1"), ("staying", STAYING)):
                await stack.enter_async_context(http_server(name, address, port))
        daemon = await stack.enter_async_context(Daemon(folder))
        listed(daemon, other, LEAVING, STAYING)
        objects = json.dumps({"kind": "List", "apiVersion": "v1", "items": [*selected(one), *routes()]})
        await daemon.xdsctl("apply", "-f", "-", text=objects)

        async def envoy(name: str, *words: str) -> Envoy:
            mode = ("--interception", "none", "-o", "json", "--xds-address", daemon.xds_address)
            bootstrap = json.loads(await daemon.xdsctl("bootstrap", "--name", name, *mode, *words))
            return await stack.enter_async_context(Envoy(bootstrap, folder, name=name, drain=60))

        leaving = await envoy("leaving", "--address", LEAVING)
        caller = await envoy("caller", "--address", CALLER, "--http-proxy-port", str(proxy))
        found = Place(daemon, (one, other), leaving, caller, f"http://127.0.0.1:{proxy}")

        async def ready() -> bool:
            return all(await found.listens()) and await found.is_called(LEAVING)

        await eventually(ready, "the workload is served and called")
        yield found


class Connection:
    """A connection to a port of the workload, by somebody who hears of nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def status(self) -> int:
        self._writer.write(b"GET / HTTP/1.1\r\nhost: shop.example.com\r\n\r\n")
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        await self._reader.readexactly(int(length))
        return int(head.split()[1])

    def close(self) -> None:
        self._writer.close()


async def new_answers(ports: Sequence[int]) -> list[str]:
    """What is answered on new connections to the workload's ports."""
    request = b"GET / HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n"
    return [await first_line(LEAVING, port, request) for port in ports]


async def refuses(port: int) -> bool:
    """Whether connections to a port of the workload are refused: a moment after Envoy lists it no more."""
    try:
        await first_line(LEAVING, port)
    except ConnectionRefusedError:
        return True
    return False


async def test_a_workload_that_leaves_fails_no_request(tmp_path: Path) -> None:
    """Its ports are open for those that have not heard yet, and closed after a while; connections to them go on then."""
    async with place(tmp_path) as here:
        loads = [
            Load(f"http://{host}/", proxy=here.proxy, rate=60, keep_alive=keep_alive)
            for host in HOSTS
            for keep_alive in (True, False)
        ]
        connection = Connection(*await asyncio.open_connection(LEAVING, here.ports[0]))
        assert await connection.status() == 200
        async with AsyncExitStack() as running:
            for load in loads:
                await running.enter_async_context(load)
            for load in loads:
                await load.more(20)
            await here.leave()

            async def known() -> bool:
                return not await here.is_called(LEAVING)

            await eventually(known, "the caller knows")
            assert await new_answers(here.ports) == ["HTTP/1.1 200 OK"] * 2
            for load in loads:
                await load.more(20)

            async def closed(*ports: int) -> bool:
                listening = await here.listens()
                return not any(listening[port] for port in ports)

            await eventually(lambda: closed(0), "the first port is closed", timeout=90)
            assert await connection.status() == 200
            await eventually(lambda: closed(0, 1), "both are", timeout=90)
            assert f"inbound|{here.ports[0]}||" in await here.leaving.get("/clusters")
            for port in here.ports:
                await eventually(partial(refuses, port), "nobody listens there")
        connection.close()
        assert [load.tally.failures for load in loads] == [{}] * 4
