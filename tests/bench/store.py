"""The store: writes with admission, how long a write takes to be published, and how long a full one takes to be served.

Beside each figure stands a bare aetcd client doing the same puts and watches on an etcd of the same run.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aetcd
import structlog

from storage.base import Store
from storage.embedded import open_embedded
from storage.etcd import open_etcd
from tests.bench.summary import Figure, figure
from tests.lab.etcd import EtcdServer
from xdsd.compile.compiler import Compiler
from xdsd.intents import Intents
from xdsd.intents.encoding import encode
from xdsd.intents.keys import Keys
from xdsd.manifest import AnyObject, parse_object
from xdsd.model.intent import KINDS
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node
from xdsd.reconcile import STORE, ObjectsChange, Reconciler, Settling, SourceSink, SourceStatus
from xdsd.snapshot import SnapshotChange

WRITES = 300
"""Writes of one measurement."""
AT_ONCE = 16
"""Writers of the measurement with several."""
SERVICES = 100
"""Services of the mesh in which a change is published."""
OBJECTS = 10_000
"""Objects of a full store: a service entry, its destination rule and its virtual service, and so on."""
CHUNK = 1000
NOW = "2026-01-31T12:00:00Z"
NODE = "sidecar~10.99.0.1~bench.default~default.svc.cluster.local"
Write = Callable[[Store, Intents, AnyObject], Coroutine[Any, Any, Any]]

SETTLINGS = {"settle_0": Settling(quiet=0.0, longest=0.0), "settle_default": Settling()}


def store() -> dict[str, Any]:
    """Figures of both stores beside a bare client's."""
    return asyncio.run(_all())


async def _all() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="xdsd-bench-"))
    try:
        async with EtcdServer(folder) as etcd:
            found: dict[str, Any] = {"etcd_release": etcd.release.version}
            found["aetcd"] = await _bare(etcd)
            for name, opened in (("embedded", _embedded), ("etcd", _etcd)):
                found[name] = await _ours(lambda case, o=opened: o(folder / case, etcd))  # type: ignore[misc]
                found[name]["ratio"] = _ratios(found[name], found["aetcd"])
            return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _ours(opened: Callable[[str], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with opened("writes") as opened_store:
        intents = Intents(opened_store)
        following = asyncio.create_task(_drain(intents))
        await intents.apply([entry(0)], now=NOW)
        found["writes_a_second"] = await _rate(
            lambda n: _applied(opened_store, intents, entry(n % SERVICES, n)), 1
        )
        found["writes_a_second_of_16"] = await _rate(
            lambda n: _applied(opened_store, intents, entry(n % SERVICES, n)), AT_ONCE
        )
        await _ended(following)
    for name, settling in SETTLINGS.items():
        for way, write in (("put", _put), ("applied", _applied)):
            async with opened(f"{name}-{way}") as opened_store:
                found[f"{way}_to_published_ms_{name}"] = await _published(opened_store, settling, write)
    async with opened("load") as opened_store:
        intents = Intents(opened_store)
        objects = full(OBJECTS)
        for start in range(0, len(objects), CHUNK):
            await intents.apply(objects[start : start + CHUNK], now=NOW)
        found["load"] = await _load(opened_store)
    return found


async def _bare(etcd: EtcdServer) -> dict[str, Any]:
    """The floor: a client that puts values of the same size, and one that watches them."""
    value = b"x" * 400
    client = aetcd.Client(host=etcd.host, port=etcd.port)
    watcher = aetcd.Client(host=etcd.host, port=etcd.port)
    try:
        found: dict[str, Any] = {
            "writes_a_second": await _rate(lambda n: client.put(b"/bare/%d" % (n % SERVICES), value), 1),
            "writes_a_second_of_16": await _rate(
                lambda n: client.put(b"/bare/%d" % (n % SERVICES), value), AT_ONCE
            ),
        }
        watch = await watcher.watch_prefix(b"/watched/")
        events = aiter(watch)
        waits = []
        for number in range(WRITES):
            started = time.perf_counter()
            async with asyncio.TaskGroup() as both:
                both.create_task(anext(events))
                both.create_task(client.put(b"/watched/%d" % (number % SERVICES), value))
            waits.append(time.perf_counter() - started)
        found["watched_ms"] = _percentiles(waits)
        await watch.cancel()
        return found
    finally:
        await client.close()
        await watcher.close()


async def _published(opened: Store, settling: Settling, write: Write) -> dict[str, float]:
    """From before a write of an object to the snapshot that has it, with a sidecar that is told of it."""
    async with _mesh(opened, settling) as (intents, published):
        objects = [obj for number in range(SERVICES) for obj in service(number)]
        await intents.apply(objects, now=NOW)
        await _next(published)
        waits = []
        for number in range(WRITES):
            changed = write(opened, intents, entry(number % SERVICES, number + 1))
            while not published.empty():
                published.get_nowait()
            started = time.perf_counter()
            async with asyncio.TaskGroup() as both:
                both.create_task(changed)
                seen = both.create_task(_next(published))
            waits.append(seen.result() - started)
        return _percentiles(waits)


async def _load(opened: Store) -> dict[str, float]:
    """Seconds from a store that is open to the snapshot of all that is in it, compiled for a sidecar."""
    runs = []
    for _ in range(3):
        started = time.perf_counter()
        async with _mesh(opened, Settling(quiet=0.0, longest=0.0)):
            runs.append(time.perf_counter() - started)
    return {"objects": OBJECTS, **{f"seconds_{name}": value for name, value in figure(runs, 2).items()}}


@asynccontextmanager
async def _mesh(opened: Store, settling: Settling) -> AsyncIterator[tuple[Intents, "asyncio.Queue[float]"]]:
    """Intents that are followed by a reconciler with one sidecar; when changes of it were published."""
    published: asyncio.Queue[float] = asyncio.Queue()
    clock = asyncio.get_running_loop().time
    mesh = Reconciler(
        Compiler(MeshSettings()), "cluster.local", _Silent(), structlog.get_logger(), clock, settling
    )
    intents = Intents(opened, observed=mesh.observed)

    def publish(_change: SnapshotChange, _seen: float) -> None:
        published.put_nowait(time.perf_counter())

    tasks = [
        asyncio.create_task(_follow(intents, mesh.expect(STORE))),
        asyncio.create_task(mesh.run(publish)),
    ]
    try:
        await mesh.attach(Node(NODE))
        yield intents, published
    finally:
        for task in tasks:
            await _ended(task)


async def _follow(intents: Intents, sink: SourceSink) -> None:
    async for change in intents.follow(unavailable=sink.stale):
        sink.objects(ObjectsChange(change.upserts, change.removed, change.revision))
        sink.synced()


async def _drain(intents: Intents) -> None:
    async for _ in intents.follow(unavailable=lambda _: None):
        pass


def _applied(_: Store, intents: Intents, obj: AnyObject) -> Coroutine[Any, Any, None]:
    """A write with admission, history and all."""

    async def work() -> None:
        applied = await intents.apply([obj], now=NOW)
        assert applied.accepted, applied.problems

    return work()


def _put(opened: Store, _: Intents, obj: AnyObject) -> Coroutine[Any, Any, Any]:
    """A bare put of what is stored for an object, as whoever else shares the store would do it."""
    return opened.put(Keys(KINDS).of(obj.ref), encode(obj))


async def _next(published: "asyncio.Queue[float]") -> float:
    async with asyncio.timeout(30):
        return await published.get()


async def _rate(write: Callable[[int], Awaitable[Any]], writers: int) -> Figure:
    """Writes a second of so many writers at once."""
    runs = []
    for turn in range(3):
        numbers = iter(range(turn * WRITES, (turn + 1) * WRITES))

        async def work(left: Any = numbers) -> None:
            for number in left:
                await write(number)

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(writers)))
        runs.append(WRITES / (time.perf_counter() - started))
    return figure(runs, 0)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _embedded(place: Path, _etcd: EtcdServer) -> AsyncIterator[Store]:
    opened = await open_embedded(place.with_suffix(".db"))
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def _etcd(_place: Path, etcd: EtcdServer) -> AsyncIterator[Store]:
    opened = await open_etcd(etcd.settings())
    try:
        await opened.delete(b"/xdsd/", b"/xdsd0")
        yield opened
    finally:
        await opened.close()


class _Silent:
    """Nobody is told what the loop did."""

    def compiled(self, seconds: float) -> None:
        return None

    def encoded(self, type_url: str, count: int) -> None:
        return None

    def published(self, change: SnapshotChange) -> None:
        return None

    def source(self, status: SourceStatus) -> None:
        return None


def _percentiles(waits: Sequence[float]) -> dict[str, float]:
    ordered = sorted(waits)
    return {
        "p50": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
    }


def _ratios(ours: dict[str, Any], bare: dict[str, Any]) -> dict[str, float]:
    found = {
        name: round(bare[name]["median"] / ours[name]["median"], 2)
        for name in ("writes_a_second", "writes_a_second_of_16")
    }
    for name in SETTLINGS:
        for way in ("put", "applied"):
            for each, measured in ours[f"{way}_to_published_ms_{name}"].items():
                found[f"{way}_to_published_{name}_{each}"] = round(measured / bare["watched_ms"][each], 2)
    return found


def full(count: int) -> list[AnyObject]:
    """So many objects, three a service."""
    return [obj for number in range(count // 3 + 1) for obj in service(number)][:count]


def service(number: int) -> tuple[AnyObject, ...]:
    """What is declared of one service."""
    host = _host(number)
    rule = {"host": host, "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 100}}}}
    route = {"hosts": [host], "http": [{"timeout": "5s", "route": [{"destination": {"host": host}}]}]}
    return entry(number), _made("DestinationRule", number, rule), _made("VirtualService", number, route)


def entry(number: int, turn: int = 0) -> AnyObject:
    """A service of two endpoints; another ``turn`` moves one of them."""
    spec = {
        "hosts": [_host(number)],
        "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [
            {
                "address": f"10.{number >> 8 & 255}.{number & 255}.1",
                "ports": {"http": 10_000 + turn % 50_000},
            },
            {"address": f"10.{number >> 8 & 255}.{number & 255}.2"},
        ],
    }
    return _made("ServiceEntry", number, spec)


def _host(number: int) -> str:
    return f"service-{number:05}.default.svc.cluster.local"


def _made(kind: str, number: int, spec: dict[str, Any]) -> AnyObject:
    metadata = {"name": f"service-{number:05}", "namespace": "default"}
    found = parse_object(
        {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    )
    assert not isinstance(found, list), found
    return found
