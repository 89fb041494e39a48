"""The reconciling loop, by what it publishes and when."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from tests.compile.worlds import service, virtual_service
from tests.lab.eventually import eventually
from xdsd.compile.compiler import Compiler
from xdsd.model.catalog import Endpoint, Health, ServiceKey
from xdsd.model.intent import EnvoyFilter, Metadata, Object, RateLimit
from xdsd.model.limits import LimitRule
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node, NodeRefused
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.reconcile import STORE, ObjectsChange, Reconciler, Settling, SourceStatus, portions
from xdsd.registry.base import CatalogChange
from xdsd.snapshot import CLUSTER, ENDPOINT, ROUTE, Resource, SnapshotChange

NODE = Node("sidecar~10.1.0.1~a.default~default.svc.cluster.local")
REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"


class Measures:
    """What the loop told its observer."""

    def __init__(self) -> None:
        self.encodings: Counter[str] = Counter()
        self.sources: list[SourceStatus] = []

    def compiled(self, seconds: float) -> None:
        assert seconds >= 0

    def encoded(self, type_url: str, count: int) -> None:
        self.encodings[type_url] += count

    def published(self, change: SnapshotChange) -> None:
        assert change.generation

    def source(self, status: SourceStatus) -> None:
        self.sources.append(status)


class Mesh:
    """A running loop, what it published, and a way to wait for more."""

    def __init__(self, settling: Settling) -> None:
        self.measures = Measures()
        self.rules: list[tuple[LimitRule, ...]] = []
        self.loop = Reconciler(
            Compiler(MeshSettings()),
            "cluster.local",
            self.measures,
            structlog.get_logger(),
            asyncio.get_running_loop().time,
            settling,
            self.rules.append,
        )
        self.published: list[SnapshotChange] = []
        self._news = asyncio.Event()

    def publish(self, change: SnapshotChange, seen: float) -> None:
        assert seen <= asyncio.get_running_loop().time()
        self.published.append(change)
        self._news.set()

    async def until_published(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.published) < count:
                self._news.clear()
                await self._news.wait()

    def names(self, type_url: str) -> set[str]:
        layers = (self.loop.snapshot.layers[layer] for layer in self.loop.snapshot.assigned[NODE.key])
        return {name for layer in layers for name in layer.resources(type_url)}


@asynccontextmanager
async def running(settling: Settling | None = None) -> AsyncIterator[Mesh]:
    mesh = Mesh(settling or Settling(quiet=0.001, longest=0.01, linger=60))
    task = asyncio.ensure_future(mesh.loop.run(mesh.publish))
    try:
        yield mesh
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def declared(*names: str) -> CatalogChange:
    services = tuple(service(name) for name in names)
    return CatalogChange(services, endpoints={each.key: (Endpoint("10.0.0.1"),) for each in services})


async def test_nothing_is_published_before_every_source_has_synced() -> None:
    """A proxy that comes early waits for all sources, and then gets everything at once."""
    async with running() as mesh:
        store, machines = mesh.loop.expect(STORE), mesh.loop.expect("machines:/list")
        machines.change(declared("reviews"))
        store.synced()
        attaching = asyncio.ensure_future(mesh.loop.attach(NODE))
        await asyncio.sleep(0)
        assert not attaching.done()
        machines.synced()
        async with asyncio.timeout(5):
            await attaching
        assert REVIEWS in mesh.names(CLUSTER)


async def test_changes_in_quick_succession_are_published_once() -> None:
    """Changes settle: what arrives together leaves together."""
    async with running(Settling(quiet=0.02, longest=1.0)) as mesh:
        store = mesh.loop.expect(STORE)
        store.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        for name in ("a", "b", "c"):
            store.change(declared(name))
            await asyncio.sleep(0)
        await mesh.until_published(2)
        assert {r.name for r in mesh.published[1].layers[0].upserts if r.type_url == ENDPOINT} == {
            f"outbound|9080||{name}.default.svc.cluster.local" for name in ("a", "b", "c")
        }


async def test_endless_change_is_published_all_the_same() -> None:
    """However often something changes, publishing waits no longer than the longest time set."""
    async with running(Settling(quiet=10.0, longest=0.02)) as mesh:
        store = mesh.loop.expect(STORE)
        store.synced()
        await mesh.loop.attach(NODE)
        store.change(declared("a"))
        await mesh.until_published(2)


async def test_a_flip_encodes_one_resource() -> None:
    """The counter of encodings grows by one for one endpoint, however many proxies there are."""
    async with running() as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews", "ratings"))
        store.synced()
        for number in range(5):
            await mesh.loop.attach(Node(f"sidecar~10.2.0.{number}~a.default~x"))
        await mesh.until_published(1)
        before = mesh.measures.encodings.total()
        key = ServiceKey("default", "reviews.default.svc.cluster.local")
        store.change(CatalogChange(endpoints={key: (Endpoint("10.0.0.1", health=Health.UNHEALTHY),)}))
        await mesh.until_published(2)
        assert mesh.measures.encodings.total() == before + 1


async def test_objects_come_and_go() -> None:
    """A VirtualService that is removed leaves the service's own route."""
    async with running() as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews", "ratings"))
        store.objects(ObjectsChange((virtual_service("r", "reviews", to="ratings"),)))
        store.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        layer = mesh.loop.snapshot.layers[mesh.loop.snapshot.assigned[NODE.key][0]]
        routed = layer.resources(ROUTE)["9080"].version
        store.objects(ObjectsChange(removed=(ObjectRef("VirtualService", "default", "r"),)))
        await mesh.until_published(2)
        assert layer.resources(ROUTE)["9080"].version != routed


async def test_the_revision_is_that_of_what_is_published() -> None:
    """It is raised when a change is in the snapshot, and by a change that no proxy sees too."""
    async with running(Settling(quiet=0.05, longest=1.0)) as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews", "ratings"))
        store.objects(ObjectsChange(revision=3))
        store.synced()
        assert mesh.loop.revision == 0
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        assert mesh.loop.revision == 3
        store.objects(ObjectsChange((virtual_service("r", "reviews", to="ratings"),), revision=5))
        assert mesh.loop.revision == 3
        await mesh.until_published(2)
        await eventually(lambda: mesh.loop.revision == 5)
        store.objects(ObjectsChange(revision=9))
        await eventually(lambda: mesh.loop.revision == 9)
        assert len(mesh.published) == 2


async def test_the_revision_goes_back_with_the_store() -> None:
    """After a restore from an older snapshot what is compiled is of the lower revision; that is said once."""
    with structlog.testing.capture_logs() as told:
        async with running() as mesh:
            store = mesh.loop.expect(STORE)
            store.objects(ObjectsChange(revision=9))
            store.synced()
            await eventually(lambda: mesh.loop.revision == 9)
            store.objects(ObjectsChange(revision=4))
            await eventually(lambda: mesh.loop.revision == 4)
            store.objects(ObjectsChange(revision=5))
            await eventually(lambda: mesh.loop.revision == 5)
    assert told == [
        {
            "event": "the store went back in time",
            "log_level": "warning",
            "revision": 4,
            "compiled_revision": 9,
        }
    ]


async def test_a_proxy_that_comes_back_soon_finds_its_layers() -> None:
    """Layers linger after the last stream of a node, and go when the time is over."""
    async with running(Settling(quiet=0.001, longest=0.01, linger=0.05)) as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews"))
        store.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        mesh.loop.detach(NODE)
        await mesh.loop.attach(NODE)
        assert REVIEWS in mesh.names(CLUSTER)
        mesh.loop.detach(NODE)
        await mesh.until_published(2)
        assert mesh.loop.snapshot.layers == {}
        assert mesh.loop.proxies == {}


async def test_connected_proxies_are_observed() -> None:
    """For objects that select them; the value is the same while nothing changed."""
    async with running() as mesh:
        store = mesh.loop.expect(STORE)
        store.synced()
        assert mesh.loop.observed().proxies == ()
        async with asyncio.timeout(5):
            await mesh.loop.attach(NODE)
        found = mesh.loop.observed()
        assert [each.name for each in found.proxies] == ["a"]
        assert mesh.loop.observed() is found
        store.change(declared("reviews"))
        await mesh.until_published(1)
        assert mesh.loop.observed() is found


async def test_a_node_that_says_nonsense_is_refused_in_words() -> None:
    """What is wrong with a node is said to whoever runs the proxy."""
    async with running() as mesh:
        mesh.loop.expect(STORE).synced()
        with pytest.raises(NodeRefused, match="is not of the form ROLE~ADDRESS~NAME"):
            await mesh.loop.attach(Node("envoy-1"))


async def test_a_source_is_seen_with_its_state_and_counts() -> None:
    """Operators see who has synced, who is stale and why, and how much each reports."""
    async with running() as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews"))
        store.synced()
        await mesh.loop.attach(NODE)
        store.stale("the disk is gone")
        assert mesh.loop.sources() == (SourceStatus(STORE, True, "the disk is gone", services=1),)


async def test_a_source_that_is_away_is_told_once_an_outage() -> None:
    """At once what is waited for and why, as a line and as a problem, until it is there; the same when it goes later."""
    with structlog.testing.capture_logs() as told:
        async with running() as mesh:
            machines = mesh.loop.expect("machines:/list")
            machines.stale("no such folder")
            machines.stale("no such folder at all")
            (problem,) = mesh.loop.problems()
            assert (problem.reason, problem.severity) == (Reason.UNAVAILABLE, Severity.ERROR)
            assert problem.message == (
                "machines:/list is waited for, nothing is served yet: no such folder at all"
            )
            machines.synced()
            assert mesh.loop.problems() == ()
            machines.stale("it is gone")
            (problem,) = mesh.loop.problems()
            assert problem.severity is Severity.WARNING
            assert problem.message == "machines:/list cannot be asked, what it said last holds: it is gone"
            machines.synced()
    assert [(line["log_level"], line["event"], line.get("why")) for line in told] == [
        ("warning", "waiting for machines:/list", "no such folder"),
        ("info", "machines:/list available again", None),
        ("warning", "machines:/list unavailable", "it is gone"),
        ("info", "machines:/list available again", None),
    ]


async def test_problems_of_a_scope_replace_each_other() -> None:
    """A file that was mended is no problem any more."""
    async with running() as mesh:
        machines = mesh.loop.expect("machines:/list")
        problem = Problem(Reason.MALFORMED_FILE, "is not YAML", file="a.yaml", line=3)
        machines.problems("a.yaml", [problem])
        assert mesh.loop.problems() == (problem,)
        machines.problems("a.yaml", [])
        assert mesh.loop.problems() == ()


async def test_the_limiter_knows_a_limit_before_proxies_do() -> None:
    """What it counts by is told ahead of what is published, and again only once it is different."""
    async with running() as mesh:
        store = mesh.loop.expect(STORE)
        mesh.loop.set_synced(STORE)
        await mesh.loop.attach(NODE)
        before = len(mesh.published)
        store.objects(ObjectsChange((rate_limit("a"),)))
        await eventually(lambda: len(mesh.rules) == 1, "the limiter knows")
        assert [rule.name for rule in mesh.rules[0]] == ["default/a/it"]
        assert len(mesh.published) == before
        store.objects(ObjectsChange((virtual_service("reviews", "reviews", to="reviews"),)))
        store.objects(ObjectsChange(removed=(rate_limit("a").ref,)))
        await eventually(lambda: len(mesh.rules) == 2, "the limiter knows that it is gone")
        assert mesh.rules[1] == ()


def rate_limit(name: str) -> Object[RateLimit]:
    limits = {"limits": [{"name": "it", "limit": {"requests": 1, "unit": "DAY"}}]}
    spec = RateLimit.model_validate({"global": limits})
    return Object("policy.xdsd.io/v1", "RateLimit", Metadata("default", name), spec)


def test_a_large_change_is_taken_in_portions() -> None:
    """Portions say together what the change says, none of them more than the size."""
    change = declared(*(f"s{n}" for n in range(5)))
    parts = list(portions(change, 2))
    assert [len(p.services) + len(p.endpoints) for p in parts] == [2, 2, 1, 2, 2, 1]
    assert tuple(s for p in parts for s in p.services) == change.services


async def test_what_a_proxy_refuses_is_compiled_without_the_patch_until_it_begins_anew() -> None:
    """The loop learns of a refusal, publishes another layer for that proxy, and takes it back when the proxy comes again."""
    change = {"applyTo": "CLUSTER", "patch": {"operation": "MERGE", "value": {"alt_stat_name": "patched"}}}
    spec = EnvoyFilter.model_validate({"configPatches": [change]})
    patches = Object("networking.istio.io/v1alpha3", "EnvoyFilter", Metadata("default", "f"), spec)
    async with running(Settling(quiet=0.001, longest=0.01, linger=60)) as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews"))
        store.objects(ObjectsChange((patches,), revision=1))
        store.synced()
        await mesh.loop.attach(NODE)

        def served() -> Resource:
            layers = (mesh.loop.snapshot.layers[each] for each in mesh.loop.snapshot.assigned[NODE.key])
            return next(found for each in layers if (found := each.get(CLUSTER, REVIEWS)))

        assert b"patched" in served().body
        mesh.loop.rejected(NODE, CLUSTER, REVIEWS, served().version, "not this")
        await eventually(lambda: b"patched" not in served().body, "it is served without the patch")
        (problem,) = mesh.loop.problems()
        assert problem.reason is Reason.REJECTED_BY_PROXY
        assert "a.default" in problem.message
        assert "not this" in problem.message
        mesh.loop.detach(NODE)
        await mesh.loop.attach(NODE)
        await eventually(lambda: b"patched" in served().body, "it is offered the patch again")
        assert mesh.loop.problems() == ()
