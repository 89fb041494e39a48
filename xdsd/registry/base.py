"""What a registry is: something that watches a platform and says, as values, what changed there.

``run`` lists everything first, reports it in as many changes as it likes, says ``synced`` once, and then reports
changes in their order until it is cancelled. A platform that goes away is ``stale``: what it said last stays. When it is
back, what differs now is reported first, removals too, and then ``synced`` is said again; saying again what did not change
is allowed and changes nothing. A change is published whole, so what belongs together is one change, and what does not is
better several: others have their turn between them.
Trouble with single objects is a problem; the rest is served. ``problems`` replaces all earlier ones of its scope.

Some platforms hold intent too, as objects of the kinds that the store has: a registry reports them by ``objects``, under the
same rules, and whose word holds where several have one object is not its concern.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from xdsd.model.catalog import Endpoint, Service, ServiceKey, Workload, WorkloadKey
from xdsd.model.credential import CredentialName
from xdsd.model.intent import Object
from xdsd.model.problem import ObjectRef, Problem

AnyObject = Object[Any]  # Any: the kind decides the type of the spec


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One step: services and workloads added or replaced, removed, and endpoint lists replaced (not the service)."""

    services: tuple[Service, ...] = ()
    removed_services: tuple[ServiceKey, ...] = ()
    workloads: tuple[Workload, ...] = ()
    removed_workloads: tuple[WorkloadKey, ...] = ()
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectsChange:
    """Objects that were declared or changed, and those that were removed; as of a revision of the store, if it is the store
    that says so.
    """

    upserts: tuple[AnyObject, ...] = ()
    removed: tuple[ObjectRef, ...] = ()
    revision: int = 0


class Sink(Protocol):
    """Where one registry reports to. Calls never block and never fail."""

    def change(self, change: CatalogChange) -> None:
        """Something changed on the platform."""

    def objects(self, change: ObjectsChange) -> None:
        """Intent changed on the platform."""

    def synced(self) -> None:
        """All that was there at the start has been reported, or the platform is reachable again."""

    def stale(self, why: str) -> None:
        """The platform cannot be asked; what it said last is kept."""

    def problems(self, scope: str, problems: Sequence[Problem]) -> None:
        """The problems of one part (a file, an object) as of now; none clears them."""


class SecretSink(Protocol):
    """Where a registry hands the secrets of its platform that proxies may be given; they are in nobody else's hands."""

    def put(self, source: str, name: CredentialName, data: Mapping[str, bytes]) -> None:
        """A secret is there, or is otherwise. Raises ValueError for one that cannot be used, whose message tells nothing of
        it.
        """

    def drop(self, source: str, name: CredentialName) -> None:
        """It is gone."""


class Registry(Protocol):
    """A source of the catalog. ``name`` tells sources apart: ``machines:/etc/xdsd/vms``."""

    @property
    def name(self) -> str: ...

    async def run(self, sink: Sink) -> None:
        """Reports to ``sink`` until cancelled; outages are retried inside, and said with ``stale``."""
