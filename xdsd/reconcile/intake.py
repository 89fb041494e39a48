"""The inbox: changes wait in it until the loop moves them on into the compiler's inputs, whole and in order.

Each source has a queue of its own, and the queues take turns. Of one source no more than about ``ROUND`` entries are taken
in before what was taken is published, so a source that reports without end delays others by that much and not more. A change
is never divided between two rounds: what it moves would be gone in between.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator

from structlog.typing import FilteringBoundLogger

from xdsd.compile.world import World
from xdsd.intents import Observed
from xdsd.model.catalog import ServiceKey, Workload, WorkloadKey
from xdsd.model.global_names import is_global
from xdsd.model.mesh import Proxy
from xdsd.model.problem import ObjectRef, Problem
from xdsd.reconcile.declared import Declared, Turn
from xdsd.reconcile.departures import Departures
from xdsd.reconcile.slices import chunks, entries, portions
from xdsd.reconcile.sources import STORE, Sources
from xdsd.registry.base import AnyObject, CatalogChange, ObjectsChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.entries import Entries
from xdsd.registry.stepwise import steps_of

CATALOG_KINDS = frozenset({"ServiceEntry", "WorkloadEntry"})
"""The kinds of objects that declare services and workloads; all others say how these are used."""


ROUND = 2000
"""Entries of one source after which others have their turn and the result is published."""

Change = CatalogChange | ObjectsChange


def catalog_source(source: str) -> str:
    """By what name the catalog knows what a source declares as objects: a platform may report the same service itself."""
    return source if source == STORE else f"{source}/intent"


class Intake:
    """The only writer of ``world``, proxies and settings aside; ``revision`` is the store's newest that it has taken in,
    and ``left`` says whether the last round left changes to the next one. ``tell`` hears of services that differ, or whose
    endpoints do, ``departures`` of what that takes away.
    """

    def __init__(
        self,
        world: World,
        domain: str,
        sources: Sources,
        departures: Departures,
        logger: FilteringBoundLogger,
    ) -> None:
        self.catalog = Catalog()
        self.revision = 0
        self._world = world
        self._sources = sources
        self._departures = departures
        self._logger = logger
        self._domain = domain
        self.declared = Declared()
        self._entries = {STORE: Entries(STORE, domain)}
        self.left = False
        self._inbox: dict[str, deque[Change]] = {}
        self._held: dict[str, tuple[set[ServiceKey], dict[WorkloadKey, Workload]]] = defaultdict(
            lambda: (set(), {})
        )
        self._observed: Observed | None = None
        self.tell: Callable[[frozenset[ServiceKey]], None] = lambda _: None

    def __len__(self) -> int:
        """How many changes there are to take."""
        return sum(len(each) for source, each in self._inbox.items() if self._sources.has_reported(source))

    def put(self, source: str, change: Change) -> None:
        """Something changed."""
        self._inbox.setdefault(source, deque()).append(change)

    def take(self, most: int | None = None) -> Iterator[None]:
        """Takes in what waits now, in small steps: of each source until that was ``most`` entries, None for all; of those
        that have not said all they had, nothing.
        """
        waiting = {
            source: len(queue)
            for source, queue in self._inbox.items()
            if queue and self._sources.has_reported(source)
        }
        taken: Counter[str] = Counter()
        left = False
        while waiting:
            for source in list(waiting):
                change = self._inbox[source].popleft()
                yield from self._take(source, change)
                waiting[source] -= 1
                taken[source] += entries(change)
                if not waiting[source] or (most is not None and taken[source] >= most):
                    left |= bool(waiting.pop(source))
                    self._count(source)
        self.left = left

    def _take(self, source: str, change: Change) -> Iterator[None]:
        if isinstance(change, ObjectsChange):
            yield from self._take_objects(source, change)
            self._take_revision(change.revision)
        else:
            yield from self._take_catalog(source, change)

    def _count(self, source: str) -> None:
        names = dict.fromkeys((source, catalog_source(source)))
        held = [self._held[name] for name in names]
        services, workloads = (sum(len(each[index]) for each in held) for index in (0, 1))
        self._sources.count(source, services, workloads, sum(map(self.catalog.endpoints_of, names)))

    def observed(self, proxies: tuple[Proxy, ...], trust: tuple[str, ...], root: str) -> Observed:
        """What sources other than the store report beside proxies and who is trusted, for objects that refer to it; the same
        value while nothing changed.
        """
        known = self._observed
        if known is None or known.proxies is not proxies or known.trust != trust:
            held = [of for source, of in self._held.items() if source != STORE]
            keys = set[ServiceKey]().union(*(services for services, _ in held))
            found = (self.catalog.service(key) for key in sorted(keys))
            self._observed = Observed(
                tuple(each for each in found if each is not None),
                tuple(workload for _, workloads in held for workload in workloads.values()),
                proxies,
                tuple(holding.object for holding in self.declared.foreign()),
                trust,
                root,
            )
            return self._observed
        return known

    def problems(self) -> Iterator[Problem]:
        """Mistakes of entries, and between sources."""
        yield from self.declared.problems()
        for held in self._entries.values():
            yield from held.problems
        yield from self.catalog.problems
        yield from self.catalog.apart(self._world.reached_networks)

    def placed(self, problem: Problem) -> Problem:
        """The same problem, which names the source of its object if that is not the store."""
        if problem.object is None or problem.file:
            return problem
        found = self.declared.foreigner(problem.object)
        return problem if found is None else problem.at(found.source, 0)

    def _take_revision(self, revision: int) -> None:
        """Also a lower one, which a store has that was restored from an older snapshot."""
        if 0 < revision < self.revision:
            self._logger.warning(
                "the store went back in time", revision=revision, compiled_revision=self.revision
            )
        self.revision = revision or self.revision

    def _take_objects(self, source: str, change: ObjectsChange) -> Iterator[None]:
        for removed in chunks(change.removed):
            yield from self._turn(self.declared.drop(source, ref) for ref in removed)
        for upserts in chunks(change.upserts):
            yield from self._turn(self.declared.put(source, obj) for obj in upserts)
            yield

    def _turn(self, turns: Iterable[Turn | None]) -> Iterator[None]:
        """Takes in what changed, and whose word holds: what declares services is withdrawn by one before another says it."""
        put: dict[str, list[AnyObject]] = defaultdict(list)
        drop: dict[str, list[ObjectRef]] = defaultdict(list)
        for turn in turns:
            if turn is None:
                continue
            ref, before, after = turn
            if any(each is not None and each.source != STORE for each in (before, after)):
                self._observed = None
            if ref.kind not in CATALOG_KINDS:
                if after is None:
                    self._world.drop_object(ref)
                else:
                    self._world.put_object(after.object)
                continue
            if before is not None and (after is None or after.source != before.source):
                drop[before.source].append(ref)
            if after is not None:
                put[after.source].append(after.object)
        for source in {**drop, **put}:
            held = self._entries.setdefault(source, Entries(source, self._domain))
            change = held.apply(put=put.get(source, ()), drop=drop.get(source, ()))
            yield from self._take_catalog(catalog_source(source), change)

    def _take_catalog(self, source: str, change: CatalogChange) -> Iterator[None]:
        world = self._world
        for portion in portions(change):
            delta = yield from self.catalog.steps(source, portion)
            self._departures.look(self.catalog, delta)
            for key in delta.services:
                world.put_service(key, self.catalog.service(key))
            for key in delta.endpoints:
                world.put_endpoints(key, self.catalog.endpoints(key))
            for some in steps_of(delta.addresses):
                for address in some:
                    here = (key for key in self.catalog.services_at(address) if not is_global(key.hostname))
                    world.put_services_at(address, here)
                yield
            for address in delta.nodes:
                world.put_nodes_at(address, self.catalog.nodes_at(address))
            self.tell(delta.services | delta.endpoints)
            self._hold(source, portion)
            yield

    def _hold(self, source: str, change: CatalogChange) -> None:
        """Remembers what a source reports."""
        if source != STORE and _declares(change):
            self._observed = None
        services, workloads = self._held[source]
        services.difference_update(change.removed_services)
        services.update(service.key for service in change.services)
        for name in change.removed_workloads:
            workloads.pop(name, None)
        workloads.update((workload.key, workload) for workload in change.workloads)


def _declares(change: CatalogChange) -> bool:
    """Whether a change is of services and workloads, rather than of where these are."""
    return bool(change.services or change.removed_services or change.workloads or change.removed_workloads)
