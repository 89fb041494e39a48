"""What a cluster answers when it is not well: problems that name it, the rest served, nothing lost."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.contracts.registry import DEADLINE, Recorder, running
from tests.lab.eventually import eventually
from tests.lab.relay import Relay
from tests.registry.kubernetes.cluster import DOMAIN, backed_by, endpoint_slice, named, pod, service
from tests.registry.kubernetes.unruly import Unruly, event, only, refusal, unruly_server
from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import Reason
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.login import Login
from xdsd.registry.kubernetes.registry import KubernetesRegistry

A = ServiceKey("default", "a.default.svc.mesh.local")
SERVICES, SLICES = "/services", "/endpointslices"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Unruly]:
    """A cluster with a service and its endpoint."""
    async with unruly_server() as server:
        server.objects = [service("a"), endpoint_slice("a", "a", ["10.0.0.1"])]
        yield server


def registry(server: Unruly) -> KubernetesRegistry:
    return KubernetesRegistry(Cluster(name="east"), DOMAIN, login=server.login, brief=0.0)


async def watched(server: Unruly, *plurals: str) -> None:
    wanted = plurals or ("services", "endpointslices", "pods")
    await eventually(lambda: all(map(server.watched, wanted)), f"{wanted} are watched")


def problems(sink: Recorder) -> list[str]:
    return [str(each) for each in sink.mistakes]


async def test_the_newest_version_of_slices_is_read(server: Unruly) -> None:
    """As the server says what it has."""
    async with running(registry(server)) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        assert any(each.startswith("/apis/discovery.k8s.io/v1/endpointslices?") for each in server.requests)


async def test_an_object_without_a_spec_is_named(server: Unruly) -> None:
    """The problem has source, object and place; the object stays as it was and the rest goes on."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        await server.tell("services", "MODIFIED", {"metadata": named("a", "default", resourceVersion="2")})
        await server.tell("services", "ADDED", service("b"))
        b = ServiceKey("default", "b.default.svc.mesh.local")
        await sink.sees({A: ["10.0.0.1"], b: []})
        assert problems(sink) == ["kubernetes:east: Service default/a spec: is missing"]
        await server.tell("services", "MODIFIED", service("a"))
        await eventually(lambda: not problems(sink), "mending clears it")


@pytest.mark.parametrize("size", [10 << 20, 24 << 20])
async def test_a_giant_object_is_named_and_not_read(server: Unruly, size: int) -> None:
    """It is not even kept in memory, and those after it are read."""
    giant: Any = service("a", annotations={"x": "x" * size})
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        await server.tell("services", "MODIFIED", giant)
        await server.tell("services", "ADDED", service("b"))
        b = ServiceKey("default", "b.default.svc.mesh.local")
        await sink.sees({A: ["10.0.0.1"], b: []})
        (problem,) = sink.mistakes
        assert problem.reason is Reason.TOO_LARGE
        assert str(problem).startswith("kubernetes:east: Service default/a: has more than 4 MiB")


async def test_a_giant_object_in_a_list_is_named_and_not_read(server: Unruly) -> None:
    """As in a watch: what it was before stays, and the rest of the list counts."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        giant: Any = service("a", annotations={"x": "x" * (10 << 20)}, ports=[{"name": "other", "port": 81}])
        server.objects = [giant, server.objects[1], service("b")]
        gone = {"kind": "Status", "code": 410, "message": "too old resource version", "reason": "Expired"}
        await server.tell("services", "ERROR", gone)
        b = ServiceKey("default", "b.default.svc.mesh.local")
        await sink.sees({A: ["10.0.0.1"], b: []})
        (problem,) = sink.mistakes
        assert str(problem).startswith("kubernetes:east: Service default/a: has more than 4 MiB")
        described = sink.catalog.service(A)
        assert described is not None
        assert [each.name for each in described.ports] == ["http"]


async def test_a_watch_that_is_cut_in_the_middle_is_taken_up(server: Unruly) -> None:
    """From the last whole event; a half one counts for nothing."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        changed = endpoint_slice("a", "a", ["10.0.0.2"])
        changed["metadata"]["resourceVersion"] = "7"
        half = event("MODIFIED", endpoint_slice("a", "a", ["10.0.0.3"]))[:100]
        await server.say("endpointslices", event("MODIFIED", changed), half)
        await sink.sees({A: ["10.0.0.2"]})
        server.revision = 7
        server.hang_up()
        await watched(server)
        assert any("resourceVersion=7" in each for each in server.requests if SLICES in each)
        assert sink.services() == {A: ["10.0.0.2"]}
        assert sink.log.count("stale") == 0


async def test_a_bookmark_moves_where_a_watch_goes_on(server: Unruly) -> None:
    """Though nothing changed."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        await server.tell("services", "BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": "99"}})
        await server.tell("services", "ADDED", service("b"))
        await sink.told("change", 2)
        server.revision = 99
        server.hang_up()
        await eventually(
            lambda: any("resourceVersion=99" in each for each in server.requests), "it goes on from there"
        )


@pytest.mark.parametrize("inside", [True, False])
async def test_a_forgotten_revision_means_another_list(server: Unruly, inside: bool) -> None:
    """Of which only what differs is told, and it is no outage."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        server.objects.append(service("b"))
        gone = {"kind": "Status", "code": 410, "message": "too old resource version", "reason": "Expired"}
        if inside:
            await server.tell("services", "ERROR", gone)
        else:
            server.misbehave = only("/services?watch", refusal(410, "too old"), None)
            server.hang_up()
        b = ServiceKey("default", "b.default.svc.mesh.local")
        await sink.sees({A: ["10.0.0.1"], b: []})
        assert [item.key for item in sink.changes[-1].services] == [b]
        assert sink.log == ["change", "synced", "change"]


async def test_a_server_that_does_not_know_us_any_more_is_asked_with_another_token(server: Unruly) -> None:
    """Tokens are renewed, and that is no outage."""
    tokens = iter(["Bearer one"])

    async def login() -> Login:
        return Login(f"http://127.0.0.1:{server.port}", next(tokens, "Bearer two"))

    def expired(request: web.Request) -> web.Response | None:
        old = request.headers["Authorization"] == "Bearer one"
        return refusal(401, "Unauthorized") if old and server.revision > 1 else None

    server.misbehave = expired
    async with running(
        KubernetesRegistry(Cluster(name="east"), DOMAIN, login=login, probe=60, brief=0.0)
    ) as sink:
        await sink.told("synced")
        await watched(server)
        server.revision = 2
        server.objects.append(service("b"))
        server.hang_up()
        await watched(server)
        assert "Bearer two" in server.tokens
        assert "stale" not in sink.log


async def test_a_token_that_is_not_taken_is_said(server: Unruly) -> None:
    """And what was known stays."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        server.misbehave = lambda _: refusal(401, "Unauthorized")
        server.hang_up()
        await sink.told("stale")
        assert sink.services() == {A: ["10.0.0.1"]}
        server.misbehave = lambda _: None
        await sink.told("synced", 2)


async def test_a_kind_that_may_not_be_read_is_said(server: Unruly) -> None:
    """Endpoints without labels are better than none; once it may be read, they have them."""
    server.objects = [
        service("a"),
        pod("p", "10.0.0.1", {"app": "a"}),
        endpoint_slice("a", "a", [backed_by("p", "10.0.0.1")]),
    ]
    server.misbehave = only("/pods", refusal(403, 'cannot list resource "pods"'))
    async with running(registry(server)) as sink:
        await sink.told("synced")
        assert sink.services() == {A: ["10.0.0.1"]}
        (problem,) = problems(sink)
        assert problem.startswith('kubernetes:east: pods: cannot list resource "pods" (403)')
        server.misbehave = lambda _: None
        await eventually(lambda: not problems(sink), "it is read", timeout=DEADLINE)
        await eventually(
            lambda: [each.labels.get("app") for each in sink.catalog.endpoints(A)] == ["a"],
            "labels are there",
        )


async def test_who_asks_to_wait_is_waited_for(server: Unruly) -> None:
    """As long as it says, and once is no outage."""
    server.misbehave = only("/services?limit", refusal(429, "slow down", Retry_After="1"), None)
    async with running(registry(server)) as sink:
        await sink.told("synced")
        assert sink.log == ["change", "synced"]
        assert sum("/services?limit" in each for each in server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="{", content_type="application/json"),
        web.Response(text="[]", content_type="application/json"),
        web.json_response({"items": 7, "metadata": {}}),
        refusal(500, "etcd is away"),
        refusal(504, "timeout"),
        web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
)
async def test_nonsense_is_an_outage(server: Unruly, answer: web.Response) -> None:
    """Nothing of it is believed, and the server is asked again."""
    server.misbehave = only("/services?limit", answer, answer, None)
    async with running(registry(server)) as sink:
        await sink.told("stale")
        await sink.told("synced")
        assert sink.services() == {A: ["10.0.0.1"]}


async def test_an_outage_empties_nothing(server: Unruly) -> None:
    """A list that fails halfway is no list."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        await watched(server)
        half = json.dumps({"metadata": {"resourceVersion": "3", "continue": "more"}, "items": []}).encode()
        server.misbehave = only(
            SERVICES, web.Response(body=half, content_type="application/json"), refusal(500, "etcd is away")
        )
        server.hang_up()
        await sink.told("stale")
        assert sink.services() == {A: ["10.0.0.1"]}
        server.misbehave = lambda _: None
        await sink.told("synced", 2)
        assert sink.services() == {A: ["10.0.0.1"]}


async def test_answers_may_be_compressed(server: Unruly) -> None:
    """Large lists are."""
    body = gzip.compress(json.dumps({"metadata": {"resourceVersion": "3"}, "items": [service("z")]}).encode())
    packed = web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
    server.misbehave = only("/services?limit", packed)
    async with running(registry(server)) as sink:
        await sink.sees({ServiceKey("default", "z.default.svc.mesh.local"): []})


async def test_a_server_without_slices_is_said(server: Unruly) -> None:
    """Those are from before what is supported."""
    server.misbehave = only("/apis/discovery.k8s.io", refusal(404, "not found"))
    async with running(registry(server)) as sink:
        await sink.told("stale")
        assert sink.log == ["stale"]


async def test_a_namespace_that_is_not_there_is_told(server: Unruly) -> None:
    """It may be a slip of the pen, which would else be a source of nothing; it may also come later."""
    server.objects.append({"kind": "Namespace", "metadata": named("default")})
    cluster = Cluster(name="east", namespaces=("defualt",), intent=("default", "later"))
    async with running(KubernetesRegistry(cluster, DOMAIN, login=server.login, brief=0.0)) as sink:
        await sink.told("synced")
        assert sorted(problems(sink)) == [
            "kubernetes:east: intent: the cluster has no namespace later",
            "kubernetes:east: namespaces: the cluster has no namespace defualt; did you mean default?",
        ]
        await watched(server, "namespaces")
        for name in ("defualt", "later"):
            await server.tell("namespaces", "ADDED", {"kind": "Namespace", "metadata": named(name)})
        await eventually(lambda: not problems(sink), "they are there")


async def test_one_outage_is_told_once_in_plain_words(server: Unruly) -> None:
    """Whatever each watch noticed of it."""
    reasons: list[str] = []

    class Listener(Recorder):
        def stale(self, why: str) -> None:
            super().stale(why)
            reasons.append(why)

    async with Relay(server.port) as relay:

        async def login() -> Login:
            return Login(f"http://127.0.0.1:{relay.port}", "Bearer one")

        sink = Listener()
        task = asyncio.create_task(KubernetesRegistry(Cluster(name="east"), DOMAIN, login=login).run(sink))
        try:
            await sink.told("synced")
            await relay.cut()
            await sink.told("stale")
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    assert reasons[0].startswith(f"127.0.0.1:{relay.port}: ")
    assert reasons[0].count(str(relay.port)) == 1
    assert not set("'([") & set(reasons[0])
