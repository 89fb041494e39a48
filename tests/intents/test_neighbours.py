"""The world that is kept up to date says of a write what a world made anew would."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base import Store
from tests.intents.objects import DEADLINE, NOW, apply, entry, made, route, rule, texts
from xdsd.intents import Intents, Observed
from xdsd.intents.admission import World, warnings
from xdsd.intents.neighbours import Neighbours
from xdsd.intents.watching import IntentChange
from xdsd.manifest import AnyObject
from xdsd.model.catalog import Endpoint, Port, Protocol, Service, Workload
from xdsd.model.hosts import DEFAULT_DOMAIN
from xdsd.model.problem import ObjectRef, Problem, Severity
from xdsd.model.registered import GROUP

SUBSET = "spec.http[0].route[0].destination.subset"
HOST = "reviews.default.svc.cluster.local"


class Reading:
    """Reads objects, and counts how often that was done."""

    def __init__(self, *objects: AnyObject) -> None:
        self.objects = {obj.ref: obj for obj in objects}
        self.times = 0

    async def all(self) -> Iterable[AnyObject]:
        self.times += 1
        return list(self.objects.values())


def whole(objects: Iterable[AnyObject], revision: int = 1) -> IntentChange:
    return IntentChange(revision=revision, complete=True, upserts=tuple(objects))


async def test_without_a_follower_everything_is_read_each_time() -> None:
    """Before the store is followed, and after, each question reads all objects; meanwhile none does."""
    reading = Reading(rule("reviews", "v1"))
    neighbours = Neighbours(reading.all, None, DEFAULT_DOMAIN)
    assert await neighbours.with_([route("reviews", subset="v1")]) == ()
    assert reading.times == 1
    await neighbours.follow(whole(reading.objects.values()))
    assert await neighbours.with_([route("reviews", subset="v1")]) == ()
    assert reading.times == 1
    await neighbours.stop()
    reading.objects.clear()
    assert len(await neighbours.with_([route("reviews", subset="v1")])) == 1
    assert reading.times == 2


async def test_a_question_leaves_the_world_as_it_was() -> None:
    """What would be written or removed is imagined for the one question."""
    neighbours = Neighbours(Reading().all, None, DEFAULT_DOMAIN)
    await neighbours.follow(whole([rule("reviews", "v1"), route("reviews", subset="v1")]))
    changed = await neighbours.with_([rule("reviews", "v2"), route("reviews", subset="v2"), entry("new")])
    assert changed == ()
    (gone,) = await neighbours.without([rule("reviews").ref])
    assert gone.path == SUBSET
    assert [each.path for each in await neighbours.with_([route("second", "reviews", "v1")])] == [
        "spec.hosts[0]"
    ]
    (missing,) = await neighbours.with_([route("other", "other", "v2")])
    assert missing.path == SUBSET


async def test_removing_tells_only_what_becomes_odd() -> None:
    """Who lacked something before is not told of again, nor is who goes as well."""
    neighbours = Neighbours(Reading().all, None, DEFAULT_DOMAIN)
    odd, fine = route("odd", "reviews", "v9"), route("fine", "reviews", "v1", namespace="default")
    await neighbours.follow(whole([rule("reviews", "v1"), odd, fine]))
    assert [each.object for each in await neighbours.without([rule("reviews").ref])] == [fine.ref]
    assert await neighbours.without([rule("reviews").ref, fine.ref]) == ()
    assert await neighbours.without([ObjectRef("DestinationRule", "default", "none")]) == ()


async def test_changes_are_followed() -> None:
    """What was put, replaced and removed since counts; a complete change begins anew."""
    neighbours = Neighbours(Reading().all, None, DEFAULT_DOMAIN)
    wanted = [route("reviews", subset="v1")]
    await neighbours.follow(whole([rule("reviews", "v1")]))
    assert await neighbours.with_(wanted) == ()
    await neighbours.follow(IntentChange(revision=2, complete=False, upserts=(rule("reviews", "v2"),)))
    assert "there are v2" in (await neighbours.with_(wanted))[0].message
    await neighbours.follow(IntentChange(revision=3, complete=False, removed=(rule("reviews").ref,)))
    assert "there are" not in (await neighbours.with_(wanted))[0].message
    await neighbours.follow(whole([rule("reviews", "v1")], 4))
    assert await neighbours.with_(wanted) == ()


async def test_what_registries_report_counts_at_once() -> None:
    """Hosts and workloads that came or went since the last question."""
    reports: list[Observed] = [Observed()]
    neighbours = Neighbours(Reading().all, lambda: reports[0], DEFAULT_DOMAIN)
    selecting = made(
        "Sidecar", "s", {"workloadSelector": {"labels": {"app": "a"}}, "egress": [{"hosts": ["./*"]}]}
    )
    await neighbours.follow(whole([]))
    found = await neighbours.with_([route("reviews"), selecting])
    assert [each.path for each in found] == [
        "spec.http[0].route[0].destination.host",
        "spec.workloadSelector.labels",
    ]
    port = Port(9080, "http", Protocol.HTTP, 9080)
    workload = Workload("default", "w", Endpoint("10.0.0.1", labels={"app": "a"}))
    reports[0] = Observed((Service("default", HOST, (port,)),), (workload,))
    assert await neighbours.with_([route("reviews"), selecting]) == ()
    reports[0] = Observed()
    assert len(await neighbours.with_([route("reviews"), selecting])) == 2


OBJECTS: Sequence[AnyObject] = (
    entry("a"),
    entry("b", port=80),
    rule("a", "v1"),
    rule("a", "v2"),
    rule("b", "v1"),
    route("a", subset="v1"),
    route("x", "a", "v2"),
    route("y", "b", "v1", namespace="default"),
    made("DestinationRule", "wild", {"host": "*.svc.cluster.local", "subsets": [{"name": "v2"}]}),
    made("WorkloadEntry", "w", {"address": "10.0.0.1", "labels": {"app": "a"}}),
    made("Sidecar", "s", {"workloadSelector": {"labels": {"app": "a"}}, "egress": [{"hosts": ["./*"]}]}),
    made("Sidecar", "all", {"egress": [{"hosts": ["./*"]}]}),
    made("Sidecar", "too", {"egress": [{"hosts": ["./*"]}]}, creationTimestamp=NOW),
)
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, len(OBJECTS) - 1)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(
    first=st.sets(st.integers(0, len(OBJECTS) - 1)),
    steps=STEPS,
    asked=st.sets(st.integers(0, len(OBJECTS) - 1)),
)
def test_after_any_changes_the_answers_are_those_of_a_new_world(
    first: set[int], steps: list[tuple[bool, int]], asked: set[int]
) -> None:
    """Whatever was put and removed in between, with_ and without say what a world of the objects that are there says."""
    observed = Observed()
    there = {OBJECTS[index].ref: OBJECTS[index] for index in sorted(first)}
    subjects = list({OBJECTS[index].ref: OBJECTS[index] for index in sorted(asked)}.values())

    async def answers() -> tuple[Sequence[Problem], Sequence[Problem]]:
        neighbours = Neighbours(Reading().all, lambda: observed, DEFAULT_DOMAIN)
        await neighbours.follow(whole(there.values()))
        for number, (put, index) in enumerate(steps):
            obj = OBJECTS[index]
            if put:
                there[obj.ref] = obj
                change = IntentChange(revision=number, complete=False, upserts=(obj,))
            else:
                there.pop(obj.ref, None)
                change = IntentChange(revision=number, complete=False, removed=(obj.ref,))
            await neighbours.follow(change)
        return await neighbours.with_(subjects), await neighbours.without([obj.ref for obj in subjects])

    with_, without = asyncio.run(answers())
    imagined = {**there, **{obj.ref: obj for obj in subjects}}
    assert sorted(texts(with_)) == sorted(texts(warnings(World(imagined.values(), observed), subjects)))
    gone = {obj.ref for obj in subjects}
    left = [obj for ref, obj in there.items() if ref not in gone]
    before = {str(each) for each in warnings(World(there.values(), observed), left)}
    after = {str(each) for each in warnings(World(left, observed), left)}
    assert set(texts(without)) == after - before - _conflicts(before, after)


def _conflicts(before: set[str], after: set[str]) -> set[str]:
    """What names another object than before: who was odd for one reason is odd for the next, which is nothing new."""
    places = {each.partition(": ")[0] for each in before}
    return {each for each in after if each.partition(": ")[0] in places}


@pytest.fixture
def followed(store: Store) -> Intents:
    return Intents(store)


async def test_a_write_is_remarked_upon_while_the_store_is_followed(followed: Intents) -> None:
    """A follower of the store sees each write, and the next write is looked at beside it."""
    outages: list[str] = []
    changes = followed.follow(unavailable=outages.append)
    async with asyncio.timeout(DEADLINE):
        await anext(changes)
        await apply(followed, rule("reviews", "v1"))
        await anext(changes)
        assert (await apply(followed, route("reviews", subset="v1"))).problems == ()
        await anext(changes)
        (remark,) = (await followed.delete([rule("reviews").ref], now=NOW)).problems
        assert remark.path == SUBSET
        await anext(changes)
        assert [each.path for each in (await apply(followed, route("second", "reviews", "v1"))).problems] == [
            SUBSET,
            "spec.hosts[0]",
        ]
    await changes.aclose()
    assert outages == []


async def test_objects_of_platforms_stand_beside_those_of_the_store() -> None:
    """What refers to one is right while it is there; what the store has too is as the store says."""
    reports: list[Observed] = [Observed(objects=(rule("reviews", "v1"),))]
    neighbours = Neighbours(Reading().all, lambda: reports[0], DEFAULT_DOMAIN)
    await neighbours.follow(whole([entry("reviews")]))
    assert await neighbours.with_([route("reviews", subset="v1")]) == ()
    reports[0] = Observed()
    assert [each.path for each in await neighbours.with_([route("reviews", subset="v1")])] == [SUBSET]
    await neighbours.follow(IntentChange(revision=2, upserts=(rule("reviews", "v2"),)))
    reports[0] = Observed(objects=(rule("reviews", "v1"),))
    assert await neighbours.with_([route("reviews", subset="v2")]) == ()
    reports[0] = Observed()
    assert await neighbours.with_([route("reviews", subset="v2")]) == ()


def machine(name: str, group: str = "vms") -> AnyObject:
    """The entry of a machine that registered with a group."""
    annotations = {"annotations": {GROUP: group}} if group else {}
    return made("WorkloadEntry", name, {"address": "10.0.0.1"}, **annotations)


async def test_removing_a_group_tells_how_many_machines_go() -> None:
    """Those that registered with it, and do not go by themselves; entries of operators stay."""
    neighbours = Neighbours(Reading().all, None, DEFAULT_DOMAIN)
    group = made("WorkloadGroup", "vms", {"template": {}})
    await neighbours.follow(
        whole([group, machine("a"), machine("b"), machine("c", "other"), machine("d", "")])
    )
    (lost,) = await neighbours.without([group.ref])
    assert (lost.object, lost.severity) == (group.ref, Severity.WARNING)
    assert lost.message == "its 2 machines leave the mesh with it, until there is a group of that name again"
    (lost,) = await neighbours.without([group.ref, machine("a").ref])
    assert lost.message.startswith("its machine leaves the mesh")
    assert await neighbours.without([group.ref, machine("a").ref, machine("b").ref]) == ()
