"""A recorded watch, however it was disturbed, ends in the catalog of a fresh list."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.contracts.registry import Recorder, running
from tests.lab.eventually import eventually
from tests.registry.kubernetes.cluster import DOMAIN, backed_by, endpoint_slice, node, pod, service
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.api import Api, Event, Page, Refused
from xdsd.registry.kubernetes.facts import Json, name_of
from xdsd.registry.kubernetes.registry import KubernetesRegistry

_PLURALS = {"services": "Service", "endpointslices": "EndpointSlice", "pods": "Pod", "nodes": "Node"}
_ADDRESSES = {name: f"10.0.0.{number}" for number, name in enumerate("pqr", 1)}
Objects = dict[tuple[str, str], Json]


class Step(NamedTuple):
    """Something that happens to a cluster: an object is as given, or gone."""

    kind: str
    name: str
    obj: Json | None


def _slices(name: str, of: str, behind: Sequence[str], port: int, family: str) -> Json:
    addresses = {each: f"fd00::{ip[-1]}" if family == "IPv6" else ip for each, ip in _ADDRESSES.items()}
    endpoints = [backed_by(each, addresses[each]) for each in behind]
    ports = [{"name": "http", "port": port}]
    return dict(endpoint_slice(name, of, endpoints, family=family, ports=ports))


def _steps() -> st.SearchStrategy[Step]:
    """Few names, so that what refers to each other meets."""
    services = st.builds(
        lambda name, port, address: Step(
            "Service", name, service(name, ports=[{"name": "http", "port": port}], clusterIP=address)
        ),
        st.sampled_from("ab"),
        st.sampled_from([80, 90]),
        st.sampled_from(["10.96.0.1", "fd00:96::1", "None"]),
    )
    slices = st.builds(
        lambda name, *rest: Step("EndpointSlice", name, _slices(name, *rest)),
        st.sampled_from(["s1", "s2", "s3"]),
        st.sampled_from("ab"),
        st.lists(st.sampled_from("pqr"), unique=True),
        st.sampled_from([80, 8080]),
        st.sampled_from(["IPv4", "IPv6"]),
    )
    pods = st.builds(
        lambda name, version, on: Step("Pod", name, pod(name, _ADDRESSES[name], {"v": version}, node=on)),
        st.sampled_from("pqr"),
        st.sampled_from(["1", "2"]),
        st.sampled_from(["one", "two"]),
    )
    nodes = st.builds(
        lambda name, zone: Step("Node", name, node(name, "r", zone)),
        st.sampled_from(["one", "two"]),
        st.sampled_from("xy"),
    )
    puts = st.one_of(services, slices, pods, nodes)
    return st.one_of(puts, puts.map(lambda step: step._replace(obj=None)))


class Recorded(Api):
    """Lists ``objects``, whose watches say ``words``, and forget the revision once ``last`` is listed in their place."""

    def __init__(self, objects: Objects, words: Sequence[tuple[str, Event]], last: Objects | None) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # nobody logs in
        self._now = objects
        self._words = words
        self._last = last
        self.said: set[str] = set()

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Json:
        return {"versions": [{"version": "v1"}]}

    async def pages(self, path: str, limit: int) -> AsyncIterator[Page]:
        plural = path.rpartition("/")[2]
        objects = self._last if plural in self.said and self._last is not None else self._now
        found = [obj for (kind, _), obj in sorted(objects.items()) if kind == _PLURALS.get(plural)]
        for start in range(0, len(found) or 1, 2):
            yield Page(found[start : start + 2], [], "1")

    @asynccontextmanager
    async def watch(
        self, path: str, revision: str, seconds: int
    ) -> AsyncIterator[AsyncIterator[list[Event]]]:
        yield self._events(path.rpartition("/")[2])

    async def _events(self, plural: str) -> AsyncIterator[list[Event]]:
        if plural not in self.said:
            for kind, event in self._words:
                if kind == _PLURALS.get(plural):
                    yield [event]
                    await asyncio.sleep(0)
            self.said.add(plural)
            if self._last is not None:
                raise Refused(410, "too old resource version")
        self.said.add(f"{plural} again")
        await asyncio.Event().wait()

    @property
    def done(self) -> bool:
        return {f"{plural} again" for plural in _PLURALS} <= self.said


def _applied(steps: Sequence[Step], to: Objects) -> Objects:
    objects = dict(to)
    for step in steps:
        if step.obj is None:
            objects.pop((step.kind, step.name), None)
        else:
            objects[step.kind, step.name] = step.obj
    return objects


def _words(steps: Sequence[Step], before: Objects) -> list[tuple[str, Event]]:
    """What watches say of it."""
    objects, found = dict(before), []
    for step in steps:
        key = (step.kind, step.name)
        if step.obj is not None:
            found.append((step.kind, Event("MODIFIED" if key in objects else "ADDED", step.obj)))
        elif key in objects:
            found.append((step.kind, Event("DELETED", objects[key])))
        objects = _applied([step], objects)
    return found


def _registry(api: Recorded) -> KubernetesRegistry:
    return KubernetesRegistry(Cluster(), DOMAIN, api=api, probe=3600, brief=0.0)


async def _ends_alike(api: Recorded, after: Objects) -> None:
    """What is told in the end is what a list tells of the objects that are there then."""
    async with running(_registry(Recorded(after, [], None))) as fresh:
        await fresh.told("synced")
    wanted = _catalog(fresh)

    async with running(_registry(api)) as sink:
        await sink.told("synced")
        await eventually(lambda: api.done, "all is said", every=0.001)

        def alike() -> None:
            assert _catalog(sink) == wanted

        await eventually(alike, "all is told", every=0.001)


def _catalog(sink: Recorder) -> dict[Any, Any]:
    """What a catalog holds that was told of all, by the changes and not by the last word."""
    held: dict[Any, Any] = {
        key: (sink.catalog.service(key), frozenset(map(repr, sink.catalog.endpoints(key))))
        for key in sink.catalog.services()
    }
    workloads: dict[Any, Any] = {}
    for change in sink.changes:
        for key in change.removed_workloads:
            del workloads[key]
        workloads.update((item.key, item) for item in change.workloads)
    return held | workloads


# What does not end alike is waited for, so that examples are not made smaller.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
_HISTORY = st.tuples(st.lists(_steps(), max_size=12), st.lists(_steps(), max_size=25))


@settings(max_examples=60, deadline=None, phases=UNSHRUNK)
@given(_HISTORY, st.randoms(use_true_random=False))
def test_words_in_any_order_between_objects_end_alike(
    history: tuple[list[Step], list[Step]], chance: Any
) -> None:
    """Kinds overtake each other, and words are said twice: what is told in the end is what a fresh list tells."""
    before = _applied(history[0], {})
    words = _words(history[1], before)
    by_object: dict[tuple[str, str], list[tuple[str, Event]]] = {}
    for kind, event in words:
        known = by_object.setdefault((kind, name_of(event.object).name), [])
        known += [(kind, event)] * chance.randint(1, 2)
    mixed = []
    while by_object:
        key = chance.choice(sorted(by_object))
        mixed.append(by_object[key].pop(0))
        if not by_object[key]:
            del by_object[key]
    after = _applied(history[1], before)
    asyncio.run(_ends_alike(Recorded(before, mixed, None), after))


@settings(max_examples=60, deadline=None, phases=UNSHRUNK)
@given(_HISTORY, st.randoms(use_true_random=False))
def test_words_that_are_lost_or_in_disorder_are_healed_by_a_list(
    history: tuple[list[Step], list[Step]], chance: Any
) -> None:
    """Whatever a watch said until it was too far behind, the list that follows counts, and removes what it does not have."""
    before = _applied(history[0], {})
    words = [word for word in _words(history[1], before) for _ in range(chance.randint(0, 2))]
    chance.shuffle(words)
    after = _applied(history[1], before)
    asyncio.run(_ends_alike(Recorded(before, words, after), after))
