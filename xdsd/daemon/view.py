"""The daemon as those who look at it see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.base import Store, StoreStatus
from xdsd.fleet.singletons import Singletons
from xdsd.health import Check
from xdsd.reconcile import Reconciler, SourceStatus
from xdsd.server import XdsServer


@dataclass(frozen=True, slots=True)
class Daemon:
    """The parts that outlive their making, for those who look at them (``api.ports``)."""

    version: str
    started: datetime
    mesh: Reconciler
    server: XdsServer
    name: str
    storage: Store
    jobs: Singletons
    further: Callable[[], Sequence[Check]] = tuple

    async def store(self) -> StoreStatus:
        """The store's own word."""
        return await self.storage.status()

    def singletons(self) -> Sequence[str]:
        """Work that this daemon does for all."""
        return self.jobs.held

    def checks(self) -> Sequence[Check]:
        """One a source: synced, and whether its platform can be asked; and how the CA is."""
        found = [
            Check(
                source.name,
                source.synced and not source.stale,
                _standing(source),
                stale=source.synced or source.given_up,
            )
            for source in self.mesh.sources()
        ]
        return [*found, *self.further()]


def _standing(source: SourceStatus) -> str:
    """What is missing of a source; empty where nothing is."""
    if source.stale:
        since = f"since {source.since:%Y-%m-%dT%H:%M:%SZ}: " if source.synced and source.since else ""
        return f"{since}{source.stale}"
    waited = "has not reported yet"
    return "" if source.synced else f"{waited}, and is left out until then" if source.given_up else waited
