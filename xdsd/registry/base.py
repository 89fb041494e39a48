"""What a registry is: something that watches a platform and says, as values, what changed there.

``run`` lists everything first, reports it in as many changes as it likes, says ``synced`` once, and then reports
changes in their order until it is cancelled. A platform that goes away is ``stale``: what it said last stays.
Trouble with single objects is a problem; the rest is served. ``problems`` replaces all earlier ones of its scope.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from xdsd.model.catalog import Endpoint, Service, ServiceKey, Workload, WorkloadKey
from xdsd.model.problem import Problem


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One step: services and workloads added or replaced, removed, and endpoint lists replaced (not the service)."""

    services: tuple[Service, ...] = ()
    removed_services: tuple[ServiceKey, ...] = ()
    workloads: tuple[Workload, ...] = ()
    removed_workloads: tuple[WorkloadKey, ...] = ()
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]] = field(default_factory=dict)


class Sink(Protocol):
    """Where one registry reports to. Calls never block and never fail."""

    def change(self, change: CatalogChange) -> None:
        """Something changed on the platform."""

    def synced(self) -> None:
        """All that was there at the start has been reported, or the platform is reachable again."""

    def stale(self, why: str) -> None:
        """The platform cannot be asked; what it said last is kept."""

    def problems(self, scope: str, problems: Sequence[Problem]) -> None:
        """The problems of one part (a file, an object) as of now; none clears them."""


class Registry(Protocol):
    """A source of the catalog. ``name`` tells sources apart: ``machines:/etc/xdsd/vms``."""

    @property
    def name(self) -> str: ...

    async def run(self, sink: Sink) -> None:
        """Reports to ``sink`` until cancelled; outages are retried inside, and said with ``stale``."""
