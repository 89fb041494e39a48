"""What the store holds, on its way to the mesh."""

import asyncio
from collections.abc import Sequence
from typing import cast

from prometheus_client import CollectorRegistry

from storage.memory import MemoryStore
from xdsd.daemon.following import follow_intents
from xdsd.intents import Intents
from xdsd.manifest import AnyObject, parse_object
from xdsd.model.problem import Problem
from xdsd.reconcile import ObjectsChange, SourceSink
from xdsd.telemetry import Metrics


def rule(name: str) -> AnyObject:
    """A DestinationRule as the admin API makes it."""
    metadata, spec = {"name": name}, {"host": "reviews"}
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule"}
    found = parse_object({**kind, "metadata": metadata, "spec": spec})
    assert not isinstance(found, list), found
    return found


class Sink:
    """Remembers what a source reported."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.reports: list[str] = []
        self.news = asyncio.Event()

    def objects(self, change: ObjectsChange) -> None:
        self.known.update(obj.metadata.name for obj in change.upserts)
        self.known.difference_update(ref.name for ref in change.removed)

    def problems(self, scope: str, problems: Sequence[Problem]) -> None:
        self.reports.append(scope)

    def stale(self, why: str) -> None:
        self.reports.append(why)

    def synced(self) -> None:
        self.news.set()

    async def heard(self) -> set[str]:
        """What is known after the next report."""
        async with asyncio.timeout(60):
            await self.news.wait()
        self.news.clear()
        return self.known


async def test_what_the_store_holds_reaches_the_mesh() -> None:
    """All of it at first, then each change; the metrics count objects by kind."""
    store = MemoryStore()
    intents = Intents(store)
    metrics = Metrics(CollectorRegistry(), "1")
    sink = Sink()
    first = rule("a")
    await intents.apply([first], now="2026-01-01T00:00:00Z")
    following = asyncio.create_task(follow_intents(intents, cast("SourceSink", sink), metrics))
    assert await sink.heard() == {"a"}
    await intents.apply([rule("b")], now="2026-01-01T00:00:00Z")
    assert await sink.heard() == {"a", "b"}
    assert metrics.registry.get_sample_value("xdsd_objects", {"kind": "DestinationRule"}) == 2
    await intents.delete([first.ref], now="2026-01-01T00:00:00Z")
    assert await sink.heard() == {"b"}
    assert metrics.registry.get_sample_value("xdsd_objects", {"kind": "DestinationRule"}) == 1
    assert metrics.registry.get_sample_value("xdsd_objects", {"kind": "Gateway"}) == 0
    await store.close()
    await following
