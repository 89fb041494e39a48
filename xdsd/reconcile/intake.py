"""The inbox: changes wait in it until the loop moves them on into the compiler's inputs, whole and in order."""

from collections import defaultdict, deque
from collections.abc import Iterator

from structlog.typing import FilteringBoundLogger

from xdsd.compile.world import World
from xdsd.intents import Observed
from xdsd.model.catalog import ServiceKey, Workload, WorkloadKey
from xdsd.model.mesh import Proxy
from xdsd.model.problem import Problem
from xdsd.reconcile.slices import chunks, portions
from xdsd.reconcile.sources import STORE, ObjectsChange, Sources
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.entries import Entries

CATALOG_KINDS = frozenset({"ServiceEntry", "WorkloadEntry"})
"""The kinds of objects that declare services and workloads; all others say how these are used."""


class Intake:
    """The only writer of ``world``, proxies and settings aside; ``revision`` is the store's newest that it has taken in."""

    def __init__(self, world: World, domain: str, sources: Sources, logger: FilteringBoundLogger) -> None:
        self.catalog = Catalog()
        self.revision = 0
        self._world = world
        self._sources = sources
        self._logger = logger
        self._entries = Entries(STORE, domain)
        self._inbox: deque[tuple[str, CatalogChange | ObjectsChange]] = deque()
        self._held: dict[str, tuple[set[ServiceKey], dict[WorkloadKey, Workload]]] = defaultdict(
            lambda: (set(), {})
        )
        self._observed: Observed | None = None

    def __len__(self) -> int:
        return len(self._inbox)

    def put(self, source: str, change: CatalogChange | ObjectsChange) -> None:
        """Something changed."""
        self._inbox.append((source, change))

    def take(self) -> Iterator[None]:
        """Takes in what waits now, in small steps."""
        for _ in range(len(self._inbox)):
            source, change = self._inbox.popleft()
            if isinstance(change, ObjectsChange):
                yield from self._take_objects(change)
                self._take_revision(change.revision)
            else:
                yield from self._take_catalog(source, change)
            services, workloads = self._held[source]
            self._sources.count(source, len(services), len(workloads))

    def observed(self, proxies: tuple[Proxy, ...]) -> Observed:
        """What sources other than the store report beside proxies, for objects that refer to it; the same value while
        nothing changed.
        """
        if self._observed is None or self._observed.proxies is not proxies:
            held = [of for source, of in self._held.items() if source != STORE]
            keys = set[ServiceKey]().union(*(services for services, _ in held))
            found = (self.catalog.service(key) for key in sorted(keys))
            self._observed = Observed(
                tuple(each for each in found if each is not None),
                tuple(workload for _, workloads in held for workload in workloads.values()),
                proxies,
            )
        return self._observed

    def problems(self) -> Iterator[Problem]:
        """Mistakes of entries, and between sources."""
        yield from self._entries.problems
        yield from self.catalog.problems

    def _take_revision(self, revision: int) -> None:
        """Also a lower one, which a store has that was restored from an older snapshot."""
        if 0 < revision < self.revision:
            self._logger.warning(
                "the store went back in time", revision=revision, compiled_revision=self.revision
            )
        self.revision = revision or self.revision

    def _take_objects(self, change: ObjectsChange) -> Iterator[None]:
        for removed in chunks(change.removed):
            for ref in removed:
                if ref.kind not in CATALOG_KINDS:
                    self._world.drop_object(ref)
            yield from self._take_catalog(STORE, self._entries.apply(drop=removed))
        for upserts in chunks(change.upserts):
            for obj in upserts:
                if obj.kind not in CATALOG_KINDS:
                    self._world.put_object(obj)
            yield from self._take_catalog(STORE, self._entries.apply(put=upserts))
            yield

    def _take_catalog(self, source: str, change: CatalogChange) -> Iterator[None]:
        world = self._world
        for portion in portions(change):
            delta = self.catalog.apply(source, portion)
            for key in delta.services:
                world.put_service(key, self.catalog.service(key))
            for key in delta.endpoints:
                world.put_endpoints(key, self.catalog.endpoints(key))
            for address in delta.addresses:
                world.put_services_at(address, self.catalog.services_at(address))
            yield
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
