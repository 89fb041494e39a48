"""The loop that turns what was observed into what is published: observe, settle, compile, publish.

Everything that changes arrives here (objects, catalog changes, proxies) and waits in an inbox; the loop alone moves it on,
so the compiler sees whole batches and never a change in the middle of a step. Changes are let settle: the loop waits until
nothing arrived for ``quiet`` seconds, at most ``longest`` after the first. A proxy that connects waits for nobody else's
changes. Work is cut into slices, so that the event loop is never held for long.

Nothing is published before every source has reported all it had once: an empty mesh that is only late must not look like
an empty mesh (the streams would remove everything that their proxies have).
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from xdsd.compile.compiler import Compiler
from xdsd.compile.layers.patched import Refused
from xdsd.compile.proxies import proxy_of
from xdsd.intents import Observed
from xdsd.model.catalog import ServiceKey, Workload, WorkloadKey
from xdsd.model.intent import Object
from xdsd.model.limits import LimitRule
from xdsd.model.mesh import MeshSettings, Proxy
from xdsd.model.node import Node
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.entries import Entries
from xdsd.snapshot import Snapshot, SnapshotChange

STORE = "store"
"""The source of services and workloads that are declared as objects in the store."""

SLICE = 0.005
"""Seconds of work between two looks at what else the event loop has to do."""

PORTION = 200
"""Entries of one catalog change that are taken in at once."""

CATALOG_KINDS = frozenset({"ServiceEntry", "WorkloadEntry"})
"""The kinds of objects that declare services and workloads; all others say how these are used."""

AnyObject = Object[Any]  # Any: the kind decides the type of the spec
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settling:
    """Seconds: how quiet it must be before changes are published, how long that may take, and how long the layers of a
    proxy that left are kept for its return.
    """

    quiet: float = 0.010
    longest: float = 0.100
    linger: float = 30.0


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source of the catalog or of intent, as operators see it. ``stale`` says why it cannot be asked, or is empty."""

    name: str
    synced: bool = False
    stale: str = ""
    services: int = 0
    workloads: int = 0


class MeshObserver(Protocol):
    """Who is told what the loop did; metrics, in the daemon."""

    def compiled(self, seconds: float) -> None:
        """Changes became a snapshot."""

    def encoded(self, type_url: str, count: int) -> None:
        """So many resources of a type were made and encoded, for however many proxies."""

    def published(self, change: SnapshotChange) -> None:
        """A change was published."""

    def source(self, status: SourceStatus) -> None:
        """A source changed its state."""


@dataclass(frozen=True, slots=True)
class ObjectsChange:
    """Objects that were declared or changed, and those that were removed, as of a revision of the store."""

    upserts: tuple[AnyObject, ...] = ()
    removed: tuple[ObjectRef, ...] = ()
    revision: int = 0


class Reconciler:
    """The only writer of the compiler and of ``snapshot``; everything is called from one event loop.

    ``publish`` is told each change after ``snapshot`` has taken it, with the time at which the oldest of what led to it was
    seen, and ``limits`` what the limiter counts by. ``clock`` counts seconds.
    """

    def __init__(
        self,
        compiler: Compiler,
        domain: str,
        observer: MeshObserver,
        logger: FilteringBoundLogger,
        clock: Callable[[], float],
        settling: Settling | None = None,
        limits: Callable[[tuple[LimitRule, ...]], None] = lambda _: None,
    ) -> None:
        self.snapshot = Snapshot()
        self._revision = 0
        self._taken_revision = 0
        self._compiler = compiler
        self._catalog = Catalog()
        self._entries = Entries(STORE, domain)
        self._observer = observer
        self._logger = logger
        self._clock = clock
        self._settling = settling or Settling()
        self._limits = limits
        self._limit_rules: tuple[LimitRule, ...] = ()
        self._inbox: deque[tuple[str, CatalogChange | ObjectsChange]] = deque()
        self._proxies: dict[str, Proxy] = {}
        self._joining: dict[str, Proxy] = {}
        self._present: set[str] = set()
        self._leaving: dict[str, float] = {}
        self._refusing: set[str] = set()
        self._verdicts: deque[tuple[str, Refused | None, str]] = deque()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._sources: dict[str, SourceStatus] = {}
        self._held: dict[str, tuple[set[ServiceKey], dict[WorkloadKey, Workload]]] = defaultdict(
            lambda: (set(), {})
        )
        self._observed: Observed | None = None
        self._problems: dict[tuple[str, str], tuple[Problem, ...]] = {}
        self._mesh_settings: MeshSettings | None = None
        self._wake = asyncio.Event()
        self._synced = asyncio.Event()
        self._seen: float | None = None
        self._newest = 0.0

    # What arrives.

    def expect(self, source: str) -> "SourceSink":
        """Declares a source; nothing is published before it has synced once."""
        self._set_status(SourceStatus(source))
        self._synced.clear()
        return SourceSink(self, source)

    def receive(self, source: str, change: CatalogChange | ObjectsChange) -> None:
        """Something changed; it is taken in by the loop."""
        self._inbox.append((source, change))
        self._newest = self._clock()
        if self._seen is None:
            self._seen = self._newest
        self._wake.set()

    def set_synced(self, source: str) -> None:
        if self._sources[source].stale:
            self._logger.info(f"{source} available again", source=source)
        self._set_status(replace(self._sources[source], synced=True, stale=""))
        if all(status.synced for status in self._sources.values()):
            self._synced.set()

    def set_stale(self, source: str, why: str) -> None:
        before = self._sources[source]
        if not before.stale:
            event = f"{source} unavailable" if before.synced else f"waiting for {source}"
            self._logger.warning(event, source=source, why=why)
        self._set_status(replace(before, stale=why))

    def set_problems(self, source: str, scope: str, problems: Sequence[Problem]) -> None:
        if problems:
            self._problems[source, scope] = tuple(problems)
        else:
            self._problems.pop((source, scope), None)

    def configure(self, settings: MeshSettings, settling: Settling) -> None:
        """Other settings of the mesh from now on; what they touch is compiled again."""
        self._settling = settling
        self._mesh_settings = settings
        self._wake.set()

    async def attach(self, node: Node) -> None:
        """Returns when ``snapshot.assigned`` says which layers serve the node. Raises NodeRefused."""
        proxy = proxy_of(node)
        self._leaving.pop(node.key, None)
        if node.key not in self._present and node.key in self._refusing:
            self._verdicts.append((node.key, None, ""))
            self._wake.set()
        if self._proxies.get(node.key) == proxy and node.key in self.snapshot.assigned:
            self._present.add(node.key)
            return
        self._joining[node.key] = proxy
        done = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(node.key, []).append(done)
        self._wake.set()
        try:
            await done
        finally:
            if not done.done() or done.cancelled():
                if node.key not in self._present:
                    self.detach(node)
            else:
                self._present.add(node.key)

    def detach(self, node: Node) -> None:
        """The last stream of the node has ended; its layers stay for a while, since proxies come back."""
        self._present.discard(node.key)
        self._leaving[node.key] = self._clock() + self._settling.linger
        self._wake.set()

    def rejected(self, node: Node, type_url: str, name: str, version: str, message: str) -> None:
        """A proxy refused a resource; what can be done about it is compiled."""
        self._verdicts.append((node.key, Refused(type_url, name, version), message))
        self._wake.set()

    # What operators see.

    @property
    def ready(self) -> bool:
        """True once every source has reported all it had."""
        return self._synced.is_set()

    @property
    def revision(self) -> int:
        """The newest revision of the store whose objects are in ``snapshot``, also where they change nothing in it; lower
        than it was once the store was restored from an older snapshot.
        """
        return self._revision

    @property
    def catalog(self) -> Catalog:
        return self._catalog

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """The proxies that are served, by node id; those that left not long ago included."""
        return self._proxies

    @property
    def busy(self) -> bool:
        """True while something waits to be taken in."""
        return self._wake.is_set() or bool(self._inbox)

    async def until_ready(self) -> None:
        """Returns once every source has reported all it had."""
        await self._synced.wait()

    def observed(self) -> Observed:
        """What sources other than the store report, for objects that refer to it; the same value while nothing changed."""
        if self._observed is None:
            held = [of for source, of in self._held.items() if source != STORE]
            keys = set[ServiceKey]().union(*(services for services, _ in held))
            found = (self._catalog.service(key) for key in sorted(keys))
            self._observed = Observed(
                tuple(each for each in found if each is not None),
                tuple(workload for _, workloads in held for workload in workloads.values()),
            )
        return self._observed

    def sources(self) -> tuple[SourceStatus, ...]:
        return tuple(self._sources.values())

    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong now: sources that are away, and mistakes of files, of entries, between sources, and of objects
        against each other.
        """
        reported = (problem for group in self._problems.values() for problem in group)
        away = (_away(status) for status in self._sources.values() if status.stale)
        return (
            *away,
            *reported,
            *self._entries.problems,
            *self._catalog.problems,
            *self._compiler.problems(),
        )

    # The loop.

    async def run(self, publish: Callable[[SnapshotChange, float], None]) -> None:
        """Works until cancelled."""
        await self._synced.wait()
        while True:
            await self._wait()
            seen, self._seen = self._seen, None
            started = self._clock()
            await self._take_in()
            await self._in_slices(self._compiler.steps())
            change = self._compiler.take(self.snapshot)
            self._report_faults()
            self._observer.compiled(self._clock() - started)
            for type_url, count in self._compiler.encoded.items():
                self._observer.encoded(type_url, count)
            self._compiler.encoded.clear()
            self._tell_limits()
            if change is not None:
                self._publish(change, started if seen is None else seen, publish)
            self._revision = self._taken_revision
            self._welcome()

    def _tell_limits(self) -> None:
        """The limiter knows a limit before proxies ask about it."""
        rules = self._compiler.limit_rules
        if rules != self._limit_rules:
            self._limit_rules = rules
            self._limits(rules)

    async def _wait(self) -> None:
        """Until there is something to do, and changes have settled."""
        while not self._wake.is_set():
            due = min(self._leaving.values(), default=None)
            pause = None if due is None else due - self._clock()
            if pause is not None and pause <= 0:
                break
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                break
        self._wake.clear()
        while self._seen is not None and not self._joining:
            now = self._clock()
            until = min(self._newest + self._settling.quiet, self._seen + self._settling.longest)
            if until <= now:
                break
            try:
                async with asyncio.timeout(until - now):
                    await self._wake.wait()
                self._wake.clear()
            except TimeoutError:
                continue

    async def _take_in(self) -> None:
        """Moves the inbox into the compiler's inputs."""
        await self._in_slices(self._taken(len(self._inbox)))
        if self._mesh_settings is not None:
            self._compiler.configure(self._mesh_settings)
            self._mesh_settings = None
        for node_id, proxy in self._joining.items():
            self._proxies[node_id] = proxy
            self._compiler.attach(proxy)
        self._joining = {}
        self._take_verdicts()
        now = self._clock()
        for node_id in [node_id for node_id, due in self._leaving.items() if due <= now]:
            del self._leaving[node_id]
            self._refusing.discard(node_id)
            self._proxies.pop(node_id, None)
            self._compiler.detach(node_id)

    def _take_verdicts(self) -> None:
        """What proxies refused. One that begins anew may take what it refused before, so it is offered that again."""
        while self._verdicts:
            node_id, refused, message = self._verdicts.popleft()
            if refused is None:
                self._refusing.discard(node_id)
                self._compiler.forgive(node_id)
            else:
                self._refusing.add(node_id)
                self._compiler.refuse(node_id, refused, message)

    def _taken(self, count: int) -> Iterator[None]:
        for _ in range(count):
            source, change = self._inbox.popleft()
            if isinstance(change, ObjectsChange):
                yield from self._take_objects(change)
                self._take_revision(change.revision)
            else:
                yield from self._take_catalog(source, change)
            self._count(source)

    def _take_revision(self, revision: int) -> None:
        """Also a lower one, which a store has that was restored from an older snapshot."""
        if 0 < revision < self._taken_revision:
            self._logger.warning(
                "the store went back in time", revision=revision, compiled_revision=self._taken_revision
            )
        self._taken_revision = revision or self._taken_revision

    def _take_objects(self, change: ObjectsChange) -> Iterator[None]:
        world = self._compiler.world
        for removed in chunks(change.removed):
            for ref in removed:
                if ref.kind not in CATALOG_KINDS:
                    world.drop_object(ref)
            yield from self._take_catalog(STORE, self._entries.apply(drop=removed))
        for upserts in chunks(change.upserts):
            for obj in upserts:
                if obj.kind not in CATALOG_KINDS:
                    world.put_object(obj)
            yield from self._take_catalog(STORE, self._entries.apply(put=upserts))
            yield

    def _take_catalog(self, source: str, change: CatalogChange) -> Iterator[None]:
        world = self._compiler.world
        for portion in portions(change):
            delta = self._catalog.apply(source, portion)
            for key in delta.services:
                world.put_service(key, self._catalog.service(key))
            for key in delta.endpoints:
                world.put_endpoints(key, self._catalog.endpoints(key))
            for address in delta.addresses:
                world.put_services_at(address, self._catalog.services_at(address))
            yield
        if source != STORE and _declares(change):
            self._observed = None
        services, workloads = self._held[source]
        services.difference_update(change.removed_services)
        services.update(service.key for service in change.services)
        for name in change.removed_workloads:
            workloads.pop(name, None)
        workloads.update((workload.key, workload) for workload in change.workloads)

    async def _in_slices(self, work: Iterable[None]) -> None:
        """Does all of ``work``, letting the event loop turn every ``SLICE`` seconds."""
        due = self._clock() + SLICE
        for _ in work:
            if self._clock() >= due:
                await asyncio.sleep(0)
                due = self._clock() + SLICE

    def _publish(
        self, change: SnapshotChange, seen: float, publish: Callable[[SnapshotChange, float], None]
    ) -> None:
        """Publishes; layers given to proxies that only just came change nothing for anyone else."""
        arrivals = {node for node in change.assigned if node not in self.snapshot.assigned}
        if not change.layers and not change.dropped and arrivals == set(change.assigned):
            self.snapshot.assigned.update(change.assigned)
            return
        self.snapshot.apply(change)
        self._observer.published(change)
        publish(change, seen)

    def _welcome(self) -> None:
        """Lets those in whose layers are there now."""
        for node_id in [node_id for node_id in self._waiting if node_id in self.snapshot.assigned]:
            for done in self._waiting.pop(node_id):
                if not done.done():
                    done.set_result(None)

    def _report_faults(self) -> None:
        for fault in self._compiler.faults():
            self._logger.error(
                "compiling failed; what was published before stays", what=fault.what, exc_info=fault.error
            )

    def _count(self, source: str) -> None:
        status = self._sources.get(source)
        if status is not None:
            services, workloads = self._held[source]
            self._set_status(replace(status, services=len(services), workloads=len(workloads)))

    def _set_status(self, status: SourceStatus) -> None:
        if self._sources.get(status.name) != status:
            self._sources[status.name] = status
            self._observer.source(status)


def _away(status: SourceStatus) -> Problem:
    """The problem that a source cannot be asked."""
    if status.synced:
        message = f"{status.name} cannot be asked, what it said last holds: {status.stale}"
        return Problem(Reason.UNAVAILABLE, message, severity=Severity.WARNING)
    return Problem(Reason.UNAVAILABLE, f"{status.name} is waited for, nothing is served yet: {status.stale}")


def _declares(change: CatalogChange) -> bool:
    """Whether a change is of services and workloads, rather than of where these are."""
    return bool(change.services or change.removed_services or change.workloads or change.removed_workloads)


class SourceSink:
    """What one source reports to (``xdsd.registry.base.Sink``), and where objects of the store arrive."""

    def __init__(self, reconciler: Reconciler, source: str) -> None:
        self._reconciler = reconciler
        self._source = source

    def change(self, change: CatalogChange) -> None:
        self._reconciler.receive(self._source, change)

    def objects(self, change: ObjectsChange) -> None:
        self._reconciler.receive(self._source, change)

    def synced(self) -> None:
        self._reconciler.set_synced(self._source)

    def stale(self, why: str) -> None:
        self._reconciler.set_stale(self._source, why)

    def problems(self, scope: str, problems: Sequence[Problem]) -> None:
        self._reconciler.set_problems(self._source, scope, problems)


def portions(change: CatalogChange, size: int = PORTION) -> Iterator[CatalogChange]:
    """The same change in parts that are quick to take in; removals first, so that what moves is not lost."""
    for keys in chunks(change.removed_services, size):
        yield CatalogChange(removed_services=keys)
    for services in chunks(change.services, size):
        yield CatalogChange(services=services)
    for names in chunks(change.removed_workloads, size):
        yield CatalogChange(removed_workloads=names)
    for workloads in chunks(change.workloads, size):
        yield CatalogChange(workloads=workloads)
    for listed in chunks(tuple(change.endpoints.items()), size):
        yield CatalogChange(endpoints=dict(listed))


def chunks(entries: tuple[T, ...], size: int = PORTION) -> Iterator[tuple[T, ...]]:
    """``entries`` in parts of at most ``size``."""
    return (entries[start : start + size] for start in range(0, len(entries), size))
