"""First sync, one flip after another, and a storm of them, of one platform."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.bench.control import Worker
from tests.bench.material import ENDPOINTS
from tests.bench.registries.consul import ConsulPlatform, consul
from tests.bench.registries.kubernetes import kubernetes
from tests.bench.registries.machines import machines
from tests.bench.registries.platform import Flip, Platform, state

SERVICES = 5000
STREAMS = 100
NAMES = 100
FLIPS = 400
"""So that the slowest hundredth is more than one of them."""
RATE = 1000
SECONDS = 60.0
_BATCH = 64
_TICK = 0.005

Opened = Callable[[Path, int], AbstractAsyncContextManager[Platform]]
PLATFORMS: Mapping[str, Opened] = {"kubernetes": kubernetes, "consul": consul, "machines": machines}
STAND_INS: Mapping[str, Callable[[Any], AbstractAsyncContextManager[Platform]]] = {
    "consul": ConsulPlatform.replayed
}
"""Of platforms that cannot take a storm, those who can: the platform is theirs, and over."""


def registry_bench(only: str = "", seconds: float = SECONDS, services: int = SERVICES) -> dict[str, Any]:
    """Of all platforms or one, with storms of so many seconds."""
    chosen = [only] if only else list(PLATFORMS)
    return {kind: asyncio.run(_measured(kind, services, seconds)) for kind in chosen}


async def _measured(kind: str, services: int, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with PLATFORMS[kind](Path(folder), services) as platform:
            started = time.monotonic()
            await platform.read()
            found["bare_read_s"] = round(time.monotonic() - started, 2)
            before = sum(map(_resident, platform.pids))
            async with _watched(platform, found) as bench:
                found["platform_memory_MiB"] = round(sum(map(_resident, platform.pids)) - before, 1)
                found["flip"] = await bench.flips(min(NAMES, services))
                if kind not in STAND_INS:
                    found["storm"] = await bench.storm(seconds)
            if kind in STAND_INS:
                async with STAND_INS[kind](platform) as stand_in, _watched(stand_in, {}, bench.ill) as bench:
                    found["storm"] = await bench.storm(seconds)
    return found


@asynccontextmanager
async def _watched(
    platform: Platform, found: dict[str, Any], ill: Set[Flip] = frozenset()
) -> AsyncIterator["_Bench"]:
    """By a process under test with its streams; ``found`` is told of its beginning and its end."""
    services = platform.services
    with Worker("tests.bench.registries.serving", 0, services=services, **platform.options) as server:
        found["first_sync"] = await _order(server, "sync")
        port = await _order(server, "port")
        names = min(NAMES, services)
        with Worker("tests.bench.load", 1, port=port, names=names, clusters=False) as load:
            await _order(load, "connect", count=STREAMS)
            await _order(load, "idle", seconds=1)
            yield _Bench(platform, server, load, ill)
            found["lost_streams"] = (await _order(load, "idle", seconds=0.1))["lost"]


class _Bench:
    """One run. ``ill`` are the endpoints that do not serve now."""

    def __init__(self, platform: Platform, server: Worker, load: Worker, ill: Set[Flip]) -> None:
        self._platform = platform
        self._server = server
        self._load = load
        self._chance = random.Random(7)
        self.ill = set(ill)

    async def flips(self, names: int) -> dict[str, Any]:
        """One endpoint after another, and when the streams had it, and the client that only watches."""
        ours, bare, on_top = [], [], []
        async with self._platform.bare() as watching:
            for turn in range(FLIPS):
                flip = (self._chance.randrange(names), self._chance.randrange(ENDPOINTS))
                heard = await watching.expect(flip[0])
                coming = asyncio.create_task(_order(self._load, "expect", flipped=0))
                await asyncio.sleep(0.05)  # the streams are being read before anything comes
                self.ill ^= {flip}
                started = time.monotonic()
                await self._platform.write([flip], self.ill)
                async with asyncio.timeout(60):
                    floor = await heard.at()
                late = (await coming)["late"]
                assert len(late) == STREAMS, f"flip {turn} came on {len(late)} streams"
                assert late[0] > started, "a stream was told before anything changed"
                bare.append(1000 * (floor - started))
                ours += [1000 * (each - started) for each in late]
                on_top += [1000 * (each - floor) for each in late]
        spreads = {"streams_ms": _spread(ours), "bare_ms": _spread(bare), "on_top_ms": _spread(on_top)}
        return {"flips": FLIPS, **spreads}

    async def storm(self, seconds: float) -> dict[str, Any]:
        """So many endpoints a second; how late our loop was, and how long until all was known at the end."""
        reading = asyncio.create_task(self._keep_reading())
        await _order(self._server, "states")  # so that only what differs is read when it is over
        before = await _order(self._server, "usage")
        await _order(self._server, "lag")  # asking for usage gives memory back, which is no part of a storm
        async with self._platform.bare() as watching:
            started = time.monotonic()
            flips = await self._write(started, seconds)
            last = (0, 0)
            self.ill ^= {last}
            heard = await watching.expect(0)
            ended = time.monotonic()
            await self._platform.write([last], self.ill)
            async with asyncio.timeout(120):
                floor = await heard.at() - ended
        lag, after = await _order(self._server, "lag"), await _order(self._server, "usage")
        share = (after["cpu"] - before["cpu"]) / (time.monotonic() - started)
        behind = await self._converged(ended)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return {
            "flips": flips,
            "flips_a_second": round(flips / (ended - started)),
            **lag,
            "cpu_share": round(share, 2),
            "grown_MiB": round((after["resident"] - before["resident"]) / 1024, 1),
            "bare_behind_s": round(floor, 2),
            "converged_after_s": round(behind, 2),
        }

    async def _write(self, started: float, seconds: float) -> int:
        flips = 0
        while (passed := time.monotonic() - started) < seconds:
            due = min(int(passed * RATE) - flips, _BATCH)
            due -= due % self._platform.at_once
            chosen = [flip for _ in range(due // self._platform.at_once) for flip in self._chosen()]
            for flip in chosen:
                self.ill ^= {flip}
            flips += due
            if chosen:
                await self._platform.storm(chosen, self.ill)
            await asyncio.sleep(_TICK)
        return flips

    def _chosen(self) -> set[Flip]:
        """Some that flip at once."""
        near = self._platform.neighbours
        first = self._chance.randrange(self._platform.services // near) * near
        found: set[Flip] = set()
        while len(found) < self._platform.at_once:
            found.add((first + self._chance.randrange(near), self._chance.randrange(ENDPOINTS)))
        return found

    async def _converged(self, ended: float) -> float:
        expected = [state(number, self.ill) for number in range(self._platform.services)]
        while await _order(self._server, "states") != expected:
            assert time.monotonic() < ended + 120, "what is served is not what there is"
            await asyncio.sleep(0.1)
        return time.monotonic() - ended

    async def _keep_reading(self) -> None:
        while True:
            await _order(self._load, "idle", seconds=0.5)


async def _order(worker: Worker, what: str, **details: Any) -> Any:  # Any: JSON
    return await asyncio.to_thread(worker.order, what, **details)


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99}
    return {word: round(ordered[int(share * len(ordered))], 1) for word, share in at.items()}


def _resident(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
