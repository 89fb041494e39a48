"""The reconciling loop, by what it publishes and when."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

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
from xdsd.reconcile import STORE, ObjectsChange, Reconciler, Settling, SourceState, SourceStatus, portions
from xdsd.reconcile.intake import ROUND
from xdsd.registry.base import CatalogChange
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, Resource, SnapshotChange

NODE = Node("sidecar~10.1.0.1~a.default~default.svc.cluster.local")
REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


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

    def __init__(self, settling: Settling, clock: Callable[[], float] | None) -> None:
        self.measures = Measures()
        self.clock = clock or asyncio.get_running_loop().time
        self.rules: list[tuple[LimitRule, ...]] = []
        self.loop = Reconciler(
            Compiler(MeshSettings()),
            "cluster.local",
            self.measures,
            structlog.get_logger(),
            self.clock,
            settling,
            self.rules.append,
        )
        seconds = count()
        self.loop._sources._now = lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))
        self.published: list[SnapshotChange] = []
        self._news = asyncio.Event()

    def publish(self, change: SnapshotChange, seen: float) -> None:
        assert seen <= self.clock()
        self.published.append(change)
        self._news.set()

    async def until_published(self, count: int) -> None:
        async with asyncio.timeout(600):
            while len(self.published) < count:
                self._news.clear()
                await self._news.wait()

    def names(self, type_url: str) -> set[str]:
        layers = (self.loop.snapshot.layers[layer] for layer in self.loop.snapshot.assigned[NODE.key])
        return {name for layer in layers for name in layer.resources(type_url)}


@asynccontextmanager
async def running(
    settling: Settling | None = None, clock: Callable[[], float] | None = None
) -> AsyncIterator[Mesh]:
    mesh = Mesh(settling or Settling(quiet=0.001, longest=0.01, linger=60), clock)
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
        store.change(declared("ratings"))
        machines.change(declared("reviews"))
        store.synced()
        attaching = asyncio.ensure_future(mesh.loop.attach(NODE))
        await eventually(lambda: len(mesh.loop.catalog.services()) == 1, "what is there is taken in")
        assert (attaching.done(), mesh.published) == (False, [])
        machines.synced()
        async with asyncio.timeout(60):
            await attaching
        assert REVIEWS in mesh.names(CLUSTER)


async def test_what_is_there_is_seen_before_it_is_served() -> None:
    """While one source is waited for, operators see what the others reported, and of it nothing by halves."""
    async with running() as mesh:
        told: set[ServiceKey] = set()
        mesh.loop.tell_services(told.update)
        store, machines = mesh.loop.expect(STORE), mesh.loop.expect("machines:/list")
        store.change(declared("reviews"))
        machines.change(declared("ratings"))
        store.synced()
        await eventually(lambda: len(mesh.loop.catalog.services()) == 1)
        counts = {each.name: each.services for each in mesh.loop.sources()}
        assert counts == {STORE: 1, "machines:/list": 0}
        assert (mesh.loop.ready, mesh.published, told) == (False, [], set())
        machines.synced()
        await eventually(lambda: len(mesh.loop.catalog.services()) == 2)
        await eventually(lambda: len(told) == 2)


async def test_a_registry_is_waited_for_so_long() -> None:
    """Then the rest is served without it, which is told, and it is served once it has reported all it has."""
    async with running(Settling(quiet=0.001, longest=0.01, patience=0.05)) as mesh:
        store, machines = mesh.loop.expect(STORE), mesh.loop.expect("machines:/list")
        store.change(declared("reviews"))
        machines.change(declared("ratings"))
        store.synced()
        async with asyncio.timeout(60):
            await mesh.loop.attach(NODE)
        assert mesh.loop.ready
        assert mesh.names(ENDPOINT) == {REVIEWS}
        assert [each.state for each in mesh.loop.sources()] == [SourceState.SYNCED, SourceState.MISSING]
        (problem,) = mesh.loop.problems()
        assert "machines:/list is left out until it has reported all it has" in problem.message
        machines.synced()
        await eventually(lambda: len(mesh.names(ENDPOINT)) == 2)
        assert [each.state for each in mesh.loop.sources()] == [SourceState.SYNCED, SourceState.SYNCED]
        assert mesh.loop.problems() == ()


async def test_the_store_is_waited_for_as_long_as_it_takes() -> None:
    """Registries alone may be left out: without objects a mesh is another one."""
    async with running(Settling(quiet=0.001, longest=0.01, patience=0.0)) as mesh:
        store, machines = mesh.loop.expect(STORE), mesh.loop.expect("machines:/list")
        await eventually(lambda: mesh.loop.sources()[1].state is SourceState.MISSING)
        assert not mesh.loop.ready
        store.synced()
        await eventually(lambda: mesh.loop.ready)
        machines.synced()


async def test_changes_in_quick_succession_are_published_once() -> None:
    """Changes settle: what arrives together leaves together."""
    clock = Clock()
    async with running(Settling(quiet=0.02, longest=1.0), clock) as mesh:
        store = mesh.loop.expect(STORE)
        store.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        for name in ("a", "b", "c"):
            store.change(declared(name))
            clock.now += 0.01
            await asyncio.sleep(0)
        clock.now += 0.02
        await mesh.until_published(2)
        assert {r.name for r in mesh.published[1].layers[0].upserts if r.type_url == ENDPOINT} == {
            f"outbound|9080||{name}.default.svc.cluster.local" for name in ("a", "b", "c")
        }


async def test_endless_change_is_published_all_the_same() -> None:
    """However often something changes, publishing waits no longer than the longest time set."""
    async with running(Settling(quiet=3600.0, longest=0.02)) as mesh:
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
    clock = Clock()
    async with running(Settling(linger=60), clock) as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews"))
        store.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        mesh.loop.detach(NODE)
        clock.now += 59
        await eventually(lambda: not mesh.loop.busy, "the loop has looked")
        await mesh.loop.attach(NODE)
        assert REVIEWS in mesh.names(CLUSTER)
        mesh.loop.detach(NODE)
        clock.now += 61
        await mesh.until_published(2)
        assert mesh.loop.snapshot.layers == {}
        assert mesh.loop.proxies == {}


async def test_a_port_is_served_for_a_while_after_its_workload_left() -> None:
    """Callers that have not heard yet are answered; without anything else happening the port is closed then."""
    node = Node("sidecar~10.0.0.1~a.default~x", metadata={"INTERCEPTION_MODE": "NONE"})
    async with running(Settling(quiet=0.001, longest=0.01, linger=60, farewell=0.5)) as mesh:
        store = mesh.loop.expect(STORE)
        store.change(declared("reviews"))
        store.synced()
        await mesh.loop.attach(node)

        def listeners() -> set[str]:
            layers = (mesh.loop.snapshot.layers[layer] for layer in mesh.loop.snapshot.assigned[node.key])
            return {name for layer in layers for name in layer.resources(LISTENER)}

        assert "10.0.0.1_9080" in listeners()
        began = asyncio.get_running_loop().time()
        store.change(CatalogChange(removed_services=(service("reviews").key,)))
        await eventually(lambda: "10.0.0.1_9080" not in listeners(), "it is closed")
        assert asyncio.get_running_loop().time() - began >= 0.5


async def test_connected_proxies_are_observed() -> None:
    """For objects that select them; the value is the same while nothing changed."""
    async with running() as mesh:
        store = mesh.loop.expect(STORE)
        store.synced()
        assert mesh.loop.observed().proxies == ()
        async with asyncio.timeout(60):
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
        (status,) = mesh.loop.sources()
        counts = (status.services, status.workloads, status.endpoints, status.outages)
        assert (status.name, status.state, status.stale) == (STORE, SourceState.STALE, "the disk is gone")
        assert counts == (1, 0, 1, 1)
        assert status.last_sync is not None
        assert status.last_change is not None
        assert status.since is not None
        assert status.last_sync <= status.last_change <= status.since
        store.synced()
        (status,) = mesh.loop.sources()
        assert (status.state, status.stale, status.last_error) == (SourceState.SYNCED, "", "the disk is gone")


async def test_a_source_that_forgot_what_it_had_is_holding() -> None:
    """As long as it says so; while it is away, that is what counts."""
    forgotten = Problem(Reason.FORGOTTEN, "3 objects are served as they were")
    async with running() as mesh:
        source = mesh.loop.expect("kubernetes:east")
        source.synced()
        (before,) = mesh.loop.sources()
        source.problems("(lost)", (forgotten,))
        (holding,) = mesh.loop.sources()
        assert (holding.state, holding.problems) == (SourceState.HOLDING, 1)
        assert before.since is not None
        assert holding.since is not None
        assert holding.since > before.since
        source.stale("it does not answer")
        assert mesh.loop.sources()[0].state is SourceState.STALE
        source.synced()
        assert mesh.loop.sources()[0].state is SourceState.HOLDING
        source.problems("(lost)", ())
        assert mesh.loop.sources()[0].state is SourceState.SYNCED


async def test_a_source_that_says_all_again_changes_nothing() -> None:
    """After a gap sources may repeat what is known; only what differs is published, and of an outage nothing."""
    async with running() as mesh:
        consul = mesh.loop.expect("consul:http://c")
        consul.change(declared("reviews", "ratings"))
        consul.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        consul.stale("connection refused")
        consul.change(declared("reviews", "ratings"))
        consul.synced()
        key = service("ratings").key
        consul.change(CatalogChange(endpoints={key: (Endpoint("10.0.0.1", health=Health.UNHEALTHY),)}))
        await mesh.until_published(2)
        assert [
            (each.type_url, each.name) for layer in mesh.published[1].layers for each in layer.upserts
        ] == [(ENDPOINT, "outbound|9080||ratings.default.svc.cluster.local")]


async def test_a_flood_of_one_source_does_not_keep_another_from_being_published() -> None:
    """A flip that comes after ten rounds of another source is in the first publication; the flood ends in its last word."""
    async with running() as mesh:
        noisy, quiet = mesh.loop.expect("consul:http://c"), mesh.loop.expect("machines:/list")
        noisy.change(declared("noisy"))
        quiet.change(declared("quiet"))
        noisy.synced()
        quiet.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        for number in range(10 * ROUND):
            address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
            noisy.change(CatalogChange(endpoints={service("noisy").key: (Endpoint(address),)}))
        quiet.change(CatalogChange(endpoints={service("quiet").key: (Endpoint("10.9.9.9"),)}))
        await mesh.until_published(2)
        assert mesh.loop.busy
        published = {each.name for layer in mesh.published[1].layers for each in layer.upserts}
        assert published == {
            f"outbound|9080||{name}.default.svc.cluster.local" for name in ("noisy", "quiet")
        }
        await eventually(lambda: not mesh.loop.busy, "all is taken in", timeout=600)
        (last,) = mesh.loop.catalog.endpoints(service("noisy").key)
        assert last.address == address


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


async def test_a_source_that_says_itself_why_it_is_away_is_told_of_once() -> None:
    """At the object where that can be mended; other problems of objects do not stand for an outage."""
    peer = ObjectRef("Peer", "istio-system", "east")
    lied = Problem(Reason.INVALID_VALUE, "is refused what it says", peer, "spec")
    away = Problem(Reason.UNAVAILABLE, "cannot be heard: it is gone; is it up?", peer, "spec.addresses")
    async with running() as mesh:
        east = mesh.loop.expect("peer:east")
        east.synced()
        east.problems("", [lied])
        east.stale("it is gone")
        assert [each.message for each in mesh.loop.problems()] == [
            "peer:east cannot be asked, what it said last holds: it is gone",
            lied.message,
        ]
        east.problems("", [lied, away])
        assert mesh.loop.problems() == (lied, away)


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


async def test_an_object_of_a_platform_is_compiled_and_its_problems_name_the_platform() -> None:
    """They are none of the store's; the same object in the store takes its place, and the platform's is told."""
    async with running() as mesh:
        store, east = mesh.loop.expect(STORE), mesh.loop.expect("kubernetes:east")
        store.change(declared("reviews", "ratings"))
        store.synced()
        theirs = virtual_service("r", "reviews", to="ratings", created="1")
        east.objects(ObjectsChange((theirs,)))
        east.synced()
        await mesh.loop.attach(NODE)
        await mesh.until_published(1)
        layer = mesh.loop.snapshot.layers[mesh.loop.snapshot.assigned[NODE.key][0]]
        routed = layer.resources(ROUTE)["9080"].version
        assert [each.source for each in mesh.loop.foreign()] == ["kubernetes:east"]
        ours = virtual_service("r", "reviews", to="reviews", created="2")
        store.objects(ObjectsChange((ours,), revision=2))
        await mesh.until_published(2)
        assert layer.resources(ROUTE)["9080"].version != routed
        (problem,) = mesh.loop.problems()
        assert (problem.file, problem.object) == ("kubernetes:east", theirs.ref)
        assert mesh.loop.problems_in_store() == ()
        assert mesh.loop.foreign() == ()
        store.objects(ObjectsChange(removed=(ours.ref,), revision=3))
        await mesh.until_published(3)
        assert layer.resources(ROUTE)["9080"].version == routed
        assert mesh.loop.foreigner(theirs.ref) == ("kubernetes:east", theirs)
        assert mesh.loop.problems() == ()
