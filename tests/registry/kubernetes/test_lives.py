"""A cluster that comes back without what it had: that is kept for a while, and said."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.contracts.registry import Recorder, running
from tests.lab.eventually import eventually
from tests.registry.kubernetes.cluster import DOMAIN, endpoint_slice, named, pod, service
from tests.registry.kubernetes.unruly import Unruly, only, refusal, unruly_server
from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import Reason
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry

A = ServiceKey("default", "a.default.svc.mesh.local")
B = ServiceKey("default", "b.default.svc.mesh.local")
LONG = 3600.0


def system(uid: str) -> dict[str, Any]:
    """The namespace by which a cluster is known."""
    return {"kind": "Namespace", "metadata": named("kube-system", uid=uid)}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Unruly]:
    """A cluster with a service and its endpoint."""
    async with unruly_server() as server:
        server.objects = [
            system("one"),
            service("a"),
            endpoint_slice("a", "a", ["10.0.0.1"]),
            pod("p", "10.0.0.1"),
        ]
        server.revision = 100
        yield server


def registry(server: Unruly, hold: float = LONG) -> KubernetesRegistry:
    return KubernetesRegistry(Cluster(name="east", hold=hold), DOMAIN, login=server.login, brief=0.0)


async def watched(server: Unruly, *plurals: str) -> None:
    """Waits until all of them are, so that what follows happens at once."""
    await eventually(lambda: all(map(server.watched, plurals)), f"{plurals} are watched")


async def becomes(server: Unruly, revision: int, *objects: Any) -> None:
    """The cluster has these from now on, whatever it had."""
    await watched(server, "services", "endpointslices", "pods", "nodes", "namespaces")
    server.objects, server.revision = list(objects), revision
    server.hang_up()


async def brings(server: Unruly, *objects: Any) -> None:
    """Somebody makes these in the cluster."""
    plurals = [f"{obj['kind'].lower()}s" for obj in objects]
    await watched(server, *plurals)
    for plural, obj in zip(plurals, objects, strict=True):
        await server.tell(plural, "ADDED", obj)


def said(sink: Recorder) -> str:
    """What is told of what is kept."""
    return "\n".join(str(each) for each in sink.mistakes if each.reason is Reason.FORGOTTEN)


async def told(sink: Recorder, words: str) -> None:
    await eventually(lambda: words in said(sink), f"{words} is told")


@pytest.mark.parametrize("revision", [2, 500])
async def test_another_cluster_takes_nothing_with_it(server: Unruly, revision: int) -> None:
    """Whatever its revisions are. What comes back is what it is then, and the problem goes with the last of it."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, revision, system("two"))
        await told(sink, "3 objects (1 endpointslices, 1 pods, 1 services) are served as they were")
        assert said(sink).startswith("kubernetes:east: ")
        assert "the cluster came back as another one" in said(sink)
        assert sink.services() == {A: ["10.0.0.1"]}
        again = (service("a"), pod("p", "10.0.0.1"), endpoint_slice("a", "a", ["10.0.0.1"]))
        await brings(server, service("b"), *again)
        await sink.sees({A: ["10.0.0.1"], B: []})
        await eventually(lambda: not said(sink), "all of it is there again")
        assert all(state.get(A) == ["10.0.0.1"] for state in sink.states[1:])


async def test_what_is_not_there_again_is_let_go(server: Unruly, time_is_over: Callable[[], None]) -> None:
    """Once the time is over; what came instead stays."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, 2, system("two"), service("b"))
        await sink.sees({A: ["10.0.0.1"], B: []})
        time_is_over()
        await sink.sees({B: []})
        await eventually(lambda: not said(sink), "nothing is kept")


async def test_nothing_is_let_go_while_the_cluster_is_away(server: Unruly) -> None:
    """Then what it said last holds, as ever."""
    async with running(registry(server, hold=0.5)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        server.misbehave = only("/services", refusal(503))
        await becomes(server, 2, system("two"))
        await sink.told("stale")
        assert sink.services() == {A: ["10.0.0.1"]}
        server.misbehave = lambda _: None
        await sink.sees({})


async def test_nothing_is_kept_where_that_is_not_wanted(server: Unruly) -> None:
    """``hold=0`` believes the cluster once all is read, so that what it has stays all the time."""
    async with running(registry(server, hold=0.0)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        both = (service("a"), endpoint_slice("t", "a", ["10.0.0.1", "10.0.0.2"]))
        await becomes(server, 2, system("two"), *both)
        await sink.sees({A: ["10.0.0.1", "10.0.0.2"]})
        await becomes(server, 3, system("three"))
        await sink.sees({})
        assert all("10.0.0.1" in state.get(A, ["10.0.0.1"]) for state in sink.states[1:])


async def test_a_cluster_that_was_set_back_keeps_what_it_did_not_know_yet(server: Unruly) -> None:
    """By its revisions, since it is the same one; where namespaces are hidden from us too."""
    server.misbehave = only("/namespaces", refusal(403))
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await watched(server, "services", "endpointslices", "pods", "nodes")
        server.objects, server.revision = [system("one")], 50
        server.hang_up()
        await told(sink, "the cluster was set back in time")
        assert sink.services() == {A: ["10.0.0.1"]}


async def test_a_cluster_that_was_set_back_and_counted_on_is_known_by_its_objects(server: Unruly) -> None:
    """One of them is as it was before it was changed."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        changed = endpoint_slice("a", "a", ["10.0.0.2"])
        changed["metadata"]["resourceVersion"] = "100"
        await brings(server, changed)
        await sink.sees({A: ["10.0.0.2"]})
        before = endpoint_slice("a", "a", ["10.0.0.1"])
        before["metadata"]["resourceVersion"] = "90"
        server.objects, server.revision = [system("one"), service("a"), before], 101
        await forgets(server, "endpointslices", "pods")
        await told(sink, "the cluster was set back in time")
        await sink.sees({A: ["10.0.0.1", "10.0.0.2"]})


async def forgets(server: Unruly, *plurals: str) -> None:
    """The server forgets revisions, so that all is listed anew."""
    gone = {"kind": "Status", "code": 410, "message": "too old resource version", "reason": "Expired"}
    await watched(server, *plurals)
    for plural in plurals:
        await server.tell(plural, "ERROR", gone)


async def test_what_is_missing_in_one_life_is_gone(server: Unruly) -> None:
    """A list at a later revision that lacks it: that is no loss."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        server.objects, server.revision = [system("one"), service("b")], 101
        await forgets(server, "services", "endpointslices", "pods")
        await sink.sees({B: []})
        assert not said(sink)


async def test_what_is_deleted_while_it_is_kept_is_gone(server: Unruly) -> None:
    """Somebody brought it back, and deletes it then."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, 2, system("two"), service("a"))
        await told(sink, "2 objects (1 endpointslices, 1 pods)")
        await eventually(lambda: server.watched("services"), "services are watched")
        await server.tell("services", "DELETED", service("a"))
        await sink.sees({})


async def test_nothing_is_believed_while_it_is_unknown_which_cluster_it_is(server: Unruly) -> None:
    """The source is stale until namespaces are answered."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})

        def misbehave(request: web.Request) -> web.Response | None:
            return refusal(500) if "fieldSelector" in request.query else None

        server.misbehave = misbehave
        server.objects, server.revision = [system("one")], 101
        await forgets(server, "services", "endpointslices", "pods")
        await sink.told("stale")
        assert sink.services() == {A: ["10.0.0.1"]}
        server.misbehave = lambda _: None
        await sink.told("synced", 2)
        await sink.sees({})


async def test_a_cluster_that_is_only_just_made_is_another_one(server: Unruly) -> None:
    """It has no namespaces yet."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, 200)
        await told(sink, "the cluster came back as another one")
        await brings(server, {**system("two")}, service("b"))
        await sink.sees({A: ["10.0.0.1"], B: []})
        await told(sink, "3 objects")
