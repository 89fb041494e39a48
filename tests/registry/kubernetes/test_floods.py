"""However much a cluster says at once, the loop has its turns in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contracts.registry import Recorder
from tests.lab.eventually import eventually
from tests.registry.kubernetes.cluster import DOMAIN, backed_by, endpoint_slice, pod, service
from tests.registry.kubernetes.unruly import event, unruly_server
from xdsd.model.catalog import ServiceKey
from xdsd.registry.kubernetes.api import BATCH, Api, Event, Page
from xdsd.registry.kubernetes.collection import Collection
from xdsd.registry.kubernetes.facts import Json, Name
from xdsd.registry.kubernetes.ingress_state import IngressState
from xdsd.registry.kubernetes.intent import IntentState
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.loss import Loss
from xdsd.registry.kubernetes.reporter import Reporter
from xdsd.registry.kubernetes.secrets import SecretState
from xdsd.registry.kubernetes.state import ClusterState
from xdsd.registry.kubernetes.watcher import Watcher

MANY = 300
SERVICES, SLICES, PODS = map(Collection, (Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD))


async def turns(count: list[int]) -> None:
    while True:
        count[0] += 1
        await asyncio.sleep(0)


async def test_what_is_there_at_a_time_is_parsed_in_parts() -> None:
    """Each of about as many bytes as are parsed in a millisecond; none is lost, and their order stays."""
    names = [f"s{number}" for number in range(MANY)]
    words = b"".join(
        event("MODIFIED", service(name, clusterIP="10.96.0.1", note="x" * 500)) for name in names
    )
    async with unruly_server() as server:
        api = Api(server.login)
        found: list[list[str]] = []
        sizes: list[int] = []
        async with api.watch("/api/v1/services", "1", 60) as events:
            await eventually(lambda: server.watched("services"), "it is watched")
            await server.say("services", words)
            async for batch in events:
                found.append([each.object["metadata"]["name"] for each in batch])
                sizes.append(sum(len(json.dumps(each.object)) for each in batch))
                if sum(map(len, found)) == MANY:
                    break
        await api.close()
    assert [name for batch in found for name in batch] == names
    assert all(found)
    assert len(found) > 3
    assert max(sizes) < 2 * BATCH


class Quick(Api):
    """Its watch says ``batches``, all of them at once, and then no more."""

    def __init__(self, batches: list[list[Event]]) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # nobody logs in
        self._batches = batches

    async def pages(self, path: str, limit: int) -> AsyncIterator[Page]:
        yield Page([], [], "1")

    def watch(self, path: str, revision: str, seconds: int) -> Any:
        return _Open(self._say())

    async def _say(self) -> AsyncIterator[list[Event]]:
        for batch in self._batches:
            yield batch
        await asyncio.Event().wait()


class _Open:
    def __init__(self, events: AsyncIterator[list[Event]]) -> None:
        self._events = events

    async def __aenter__(self) -> AsyncIterator[list[Event]]:
        return self._events

    async def __aexit__(self, *_: object) -> None:
        pass


class Noting:
    """A follower that notes at which turn of the loop each object came."""

    def __init__(self, count: list[int]) -> None:
        self._count = count
        self.came: dict[str, int] = {}

    def put(self, _collection: Collection, obj: Json) -> None:
        self.came[obj["metadata"]["name"]] = self._count[0]

    def known(self, _collection: Collection) -> frozenset[Name]:
        return frozenset()

    def _nothing(self, *_: object, **__: object) -> None:
        pass

    async def ready(self) -> None:
        pass

    found = drop = too_large = settled = works = fails = _nothing


async def _same(*, went_back: bool) -> bool:
    """The server is who it was."""
    return went_back


async def test_batches_that_are_there_already_leave_turns_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are served while a flood is taken in, object by object in its order."""
    monkeypatch.setattr("xdsd.turns.TURN", 0.0)
    batches = [[Event("ADDED", service(f"s{number}"))] for number in range(20)]
    count = [0]
    noting = Noting(count)
    counting = asyncio.create_task(turns(count))
    following = asyncio.create_task(Watcher(Quick(batches), SERVICES, noting, _same).run())
    try:
        await eventually(lambda: len(noting.came) == len(batches), "all came")
    finally:
        for task in (following, counting):
            task.cancel()
        await asyncio.gather(following, counting, return_exceptions=True)
    assert list(noting.came) == [f"s{number}" for number in range(20)]
    assert len(set(noting.came.values())) == len(batches)


class Told(Recorder):
    """Notes at which turn of the loop problems were told."""

    def __init__(self, count: list[int]) -> None:
        super().__init__()
        self._count = count
        self.turns: list[int] = []

    def problems(self, scope: str, problems: Any) -> None:
        super().problems(scope, problems)
        self.turns.append(self._count[0])


def reporter(state: ClusterState, sink: Recorder) -> Reporter:
    return Reporter(
        state,
        IntentState("kubernetes", ()),
        SecretState("kubernetes", _Nobody()),
        IngressState("kubernetes", DOMAIN, state.port_of),
        sink,
        "kubernetes",
        (SERVICES, SLICES, PODS),
    )


class _Nobody:
    def put(self, source: str, name: Any, data: Mapping[str, bytes]) -> None:
        pass

    def drop(self, source: str, name: Any) -> None:
        pass


class Leaving(Noting):
    """Knows more than is listed, and notes at which turn of the loop each object went."""

    def __init__(self, count: list[int]) -> None:
        super().__init__(count)
        self.went: dict[object, int] = {}
        self.complete = 0

    def known(self, _collection: Collection) -> frozenset[Name]:
        return frozenset(Name("default", f"s{number}") for number in range(MANY))

    def drop(self, *said: object, **_: object) -> None:
        self.went[said[1]] = self._count[0]

    def settled(self, *_: object, **__: object) -> None:
        self.complete += 1


async def test_what_a_list_lacks_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it there is; the list is complete once all of it is gone."""
    monkeypatch.setattr("xdsd.turns.TURN", 0.0)
    count = [0]
    leaving = Leaving(count)
    counting = asyncio.create_task(turns(count))
    following = asyncio.create_task(Watcher(Quick([]), SERVICES, leaving, _same).run())
    try:
        await eventually(lambda: leaving.complete, "the list is complete")
    finally:
        for task in (following, counting):
            task.cancel()
        await asyncio.gather(following, counting, return_exceptions=True)
    assert leaving.went.keys() == leaving.known(SERVICES)
    assert len(set(leaving.went.values())) == MANY


async def test_what_is_forgotten_is_kept_and_let_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is ready to say more before all is kept, and what is told is whole all the time."""
    monkeypatch.setattr("xdsd.turns.TURN", 0.0)
    count = [0]
    sink, state = Told(count), ClusterState(source="kubernetes", domain=DOMAIN)
    reporting = reporter(state, sink)
    for number in range(20):
        reporting.put(SERVICES, service(f"s{number}"))
        reporting.put(PODS, pod(f"p{number}", f"10.0.0.{number}"))
        reporting.put(
            SLICES, endpoint_slice(f"s{number}", f"s{number}", [backed_by(f"p{number}", f"10.0.0.{number}")])
        )
    counting, running = asyncio.create_task(turns(count)), asyncio.create_task(reporting.run())
    try:
        for each in (SERVICES, SLICES, PODS):
            reporting.settled(each)
        await sink.told("synced")
        before, began = sink.services(), count[0]
        losing = asyncio.create_task(reporting.lose(Loss(datetime.now(UTC), set_back=False)))
        await asyncio.sleep(0)
        await reporting.ready()
        assert losing.done()
        assert count[0] - began > 40
        assert all(reporting.known(each) == frozenset() for each in (SERVICES, SLICES, PODS))
        for each in (SERVICES, SLICES, PODS):
            reporting.settled(each)
        assert sink.services() == before
        began = count[0]
        reporting.let_go()
        await sink.sees({})
        assert count[0] - began > 40
    finally:
        for task in (running, counting):
            task.cancel()
        await asyncio.gather(running, counting, return_exceptions=True)


async def test_many_problems_are_told_in_parts() -> None:
    """And what comes while they are told is in the catalog before the cluster is said to be synced."""
    count = [0]
    sink, state = Told(count), ClusterState(source="kubernetes", domain=DOMAIN)
    reporting = reporter(state, sink)
    for number in range(MANY):
        reporting.put(SERVICES, service(f"s{number}", ports=[{"port": 0}]))
    counting, running = asyncio.create_task(turns(count)), asyncio.create_task(reporting.run())
    try:
        reporting.settled(SERVICES)
        await eventually(lambda: sink.turns, "some are told", every=0)
        assert len(sink.turns) < MANY
        reporting.put(SERVICES, service("a"))
        reporting.put(SLICES, endpoint_slice("a", "a", [backed_by("p", "10.0.0.1")]))
        reporting.put(PODS, pod("p", "10.0.0.1"))
        for each in (SERVICES, SLICES, PODS):
            reporting.settled(each)
        await sink.told("synced")
    finally:
        for task in (running, counting):
            task.cancel()
        await asyncio.gather(running, counting, return_exceptions=True)
    assert len(sink.mistakes) == MANY
    assert len(set(sink.turns)) > 1
    assert sink.services() == {ServiceKey("default", "a.default.svc.mesh.local"): ["10.0.0.1"]}
    assert sink.log == ["change", "synced"]


def test_what_is_right_and_was_is_not_told() -> None:
    """Of 50,000 objects without a mistake there is nothing to say; a mistake that is mended is taken back."""
    state = ClusterState(source="kubernetes", domain=DOMAIN)
    state.put(Kind.SERVICE, service("a"))
    state.put(Kind.POD, pod("p", "10.0.0.1"))
    state.put(Kind.ENDPOINT_SLICE, endpoint_slice("a", "a", [backed_by("p", "10.0.0.1")]))
    state.take()
    assert state.take_problems() == {}
    state.put(Kind.SERVICE, service("a", ports=[{"port": 0}]))
    assert len(state.take_problems()["Service default/a"]) == 1
    state.put(Kind.SERVICE, service("a"))
    assert state.take_problems() == {"Service default/a": ()}
    state.put(Kind.SERVICE, service("a"))
    assert state.take_problems() == {}
