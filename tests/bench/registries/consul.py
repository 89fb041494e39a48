"""A real Consul of many instances, which are registered in its catalog and flip by their checks.

It takes a few hundred changes a second where thousands of queries wait, so the storm is of what it answered, which a process
that does nothing else gives again.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.control import Worker
from tests.bench.material import ENDPOINTS
from tests.bench.registries.platform import PORT_NUMBER, Bare, Flip, Platform, address, give_way, name
from tests.lab.consul import ConsulAgent, operations

NODES = 200
SPARE = 100
_LANES = 32
_WRITERS = 4


class ConsulPlatform:
    """One server without a disk."""

    at_once = neighbours = 1

    def __init__(self, services: int, consul: ConsulAgent, session: aiohttp.ClientSession) -> None:
        self.services = services
        self._consul = consul
        self._session = session

    @property
    def options(self) -> Mapping[str, Any]:
        return {"kind": "consul", "where": self._consul.url, "connections": self.services + SPARE}

    @property
    def pids(self) -> Sequence[int]:
        return (self._consul.program.pid,)

    async def read(self) -> None:
        async def lane(first: int) -> None:
            for number in range(first, self.services, _LANES):
                async with self._session.get(self._url(number)) as response:
                    await response.read()

        await asyncio.gather(*map(lane, range(_LANES)))

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[Bare]:
        yield _Waiting(self._session, self._url)

    async def write(self, flipped: Sequence[Flip], ill: Set[Flip]) -> None:
        checks = [{"Check": {"Verb": "set", "Check": _check(flip, ill)}} for flip in flipped]
        async with self._session.put(f"{self._consul.url}/v1/txn", json=checks) as response:
            assert response.status == 200, await response.text()

    storm = write

    @asynccontextmanager
    async def replayed(self) -> AsyncIterator[Platform]:
        """What it answers now, by another process; it is over itself."""
        file = self._consul.folder / "recording"
        await self._record(file)
        await self._consul.stop()
        with Worker("tests.bench.registries.replaying", 1, recording=str(file)) as worker:
            yield _Replayed(self.services, worker, self._session)

    async def _record(self, file: Path) -> None:
        names = ("catalog/services", "catalog/service/consul")
        paths = [f"/v1/{each}" for each in names]
        paths += [f"/v1/health/service/{name(number)}" for number in range(self.services)]
        with file.open("w") as lines:
            for path in paths:
                url, plainly = self._consul.url + path, {"Accept-Encoding": "identity"}
                async with self._session.get(url, headers=plainly) as response:
                    said = {"path": path, "headers": dict(response.headers), "body": await response.text()}
                lines.write(json.dumps(said) + "\n")

    def _url(self, number: int) -> str:
        return f"{self._consul.url}/v1/health/service/{name(number)}"


class _Replayed:
    """What a Consul answered."""

    at_once = neighbours = 1
    pids: Sequence[int] = ()

    def __init__(self, services: int, worker: Worker, session: aiohttp.ClientSession) -> None:
        self.services = services
        self._worker = worker
        self._session = session
        self._where = f"http://127.0.0.1:{worker.order('port')}"

    @property
    def options(self) -> Mapping[str, Any]:
        return {"kind": "consul", "where": self._where, "connections": self.services + SPARE}

    async def read(self) -> None:
        """Nobody asks how long that takes."""

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[Bare]:
        yield _Waiting(self._session, lambda number: f"{self._where}/v1/health/service/{name(number)}")

    async def write(self, flipped: Sequence[Flip], ill: Set[Flip]) -> None:
        checks = [_check(flip, ill) for flip in flipped]
        said = [
            (name(number), each["CheckID"], each["Status"])
            for (number, _), each in zip(flipped, checks, strict=True)
        ]
        await asyncio.to_thread(self._worker.order, "set", checks=said)

    storm = write


class _Waiting:
    """One query at a time, for the service that is going to change."""

    def __init__(self, session: aiohttp.ClientSession, url: Any) -> None:
        self._session = session
        self._url = url

    async def expect(self, number: int) -> "_Heard":
        url = self._url(number)
        async with self._session.get(url) as response:
            index = response.headers["X-Consul-Index"]
            await response.read()
        task = asyncio.create_task(self._wait(url, index))
        await asyncio.sleep(0.02)  # the query is on its way before its service changes
        return _Heard(task)

    async def _wait(self, url: str, index: str) -> float:
        async with self._session.get(url, params={"index": index, "wait": "60000ms"}) as response:
            await response.json()
        return asyncio.get_running_loop().time()


class _Heard:
    def __init__(self, task: "asyncio.Task[float]") -> None:
        self._task = task

    async def at(self) -> float:
        return await self._task


@asynccontextmanager
async def consul(folder: Path, services: int) -> AsyncIterator[ConsulPlatform]:
    """Filled."""
    limits = {"limits": {"http_max_conns_per_client": 2 * services + 2 * SPARE}}
    async with (
        ConsulAgent(folder, forgetful=True, config=limits) as agent,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        await _fill(agent, services)
        give_way(agent.program.pid)
        yield ConsulPlatform(services, agent, session)


async def _fill(agent: ConsulAgent, services: int) -> None:
    nodes = [
        {"Node": {"Verb": "set", "Node": {"Node": f"n{number}", "Address": f"10.1.0.{number}"}}}
        for number in range(NODES)
    ]
    await agent.txn(nodes)
    changes = [
        change
        for number in range(services)
        for each in range(ENDPOINTS)
        for change in operations(_node(number, each), [_instance(number, each)])
    ]
    share = 64 * -(-len(changes) // (64 * _WRITERS))
    async with asyncio.TaskGroup() as tasks:
        for start in range(0, len(changes), share):
            tasks.create_task(agent.txn(changes[start : start + share]))


def _instance(number: int, each: int) -> Mapping[str, Any]:
    meta = {"protocol": "http", "version": f"v{each % 3}", "service-account": name(number)}
    return {
        "ID": f"{name(number)}-{each}",
        "Service": name(number),
        "Port": PORT_NUMBER,
        "Address": address(number, each),
        "Meta": meta,
    }


def _node(number: int, each: int) -> str:
    return f"n{(number * ENDPOINTS + each) % NODES}"


def _check(flip: Flip, ill: Set[Flip]) -> Mapping[str, str]:
    number, each = flip
    ident = f"{name(number)}-{each}"
    status = "critical" if flip in ill else "passing"
    return {"Node": _node(number, each), "CheckID": f"check:{ident}", "ServiceID": ident, "Status": status}
