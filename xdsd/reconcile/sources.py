"""Where services, workloads and objects come from, and how each of these sources is."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from xdsd.model.intent import Object
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.base import CatalogChange

STORE = "store"
"""The source of services and workloads that are declared as objects in the store."""

AnyObject = Object[Any]  # Any: the kind decides the type of the spec


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source of the catalog or of intent, as operators see it. ``stale`` says why it cannot be asked, or is empty."""

    name: str
    synced: bool = False
    stale: str = ""
    services: int = 0
    workloads: int = 0


@dataclass(frozen=True, slots=True)
class ObjectsChange:
    """Objects that were declared or changed, and those that were removed, as of a revision of the store."""

    upserts: tuple[AnyObject, ...] = ()
    removed: tuple[ObjectRef, ...] = ()
    revision: int = 0


class Sources:
    """The state of every source, and the mistakes that each reports; ``tell`` hears of every change of a state."""

    def __init__(self, tell: Callable[[SourceStatus], None], logger: FilteringBoundLogger) -> None:
        self.synced = asyncio.Event()
        self._tell = tell
        self._logger = logger
        self._statuses: dict[str, SourceStatus] = {}
        self._problems: dict[tuple[str, str], tuple[Problem, ...]] = {}

    def expect(self, source: str) -> None:
        """Declares a source, which has not reported yet."""
        self._set(SourceStatus(source))
        self.synced.clear()

    def set_synced(self, source: str) -> None:
        """A source has reported all it had; ``synced`` is set once each has."""
        if self._statuses[source].stale:
            self._logger.info(f"{source} available again", source=source)
        self._set(replace(self._statuses[source], synced=True, stale=""))
        if all(status.synced for status in self._statuses.values()):
            self.synced.set()

    def set_stale(self, source: str, why: str) -> None:
        """A source cannot be asked."""
        before = self._statuses[source]
        if not before.stale:
            event = f"{source} unavailable" if before.synced else f"waiting for {source}"
            self._logger.warning(event, source=source, why=why)
        self._set(replace(before, stale=why))

    def set_problems(self, source: str, scope: str, problems: Sequence[Problem]) -> None:
        """All that is wrong in one scope of a source, such as a file."""
        if problems:
            self._problems[source, scope] = tuple(problems)
        else:
            self._problems.pop((source, scope), None)

    def count(self, source: str, services: int, workloads: int) -> None:
        """So much does a source report now; one that was not declared is nobody's concern."""
        status = self._statuses.get(source)
        if status is not None:
            self._set(replace(status, services=services, workloads=workloads))

    def statuses(self) -> tuple[SourceStatus, ...]:
        return tuple(self._statuses.values())

    def problems(self) -> Iterator[Problem]:
        """The sources that are away, and the mistakes that sources report."""
        yield from (_away(status) for status in self._statuses.values() if status.stale)
        yield from (problem for group in self._problems.values() for problem in group)

    def _set(self, status: SourceStatus) -> None:
        if self._statuses.get(status.name) != status:
            self._statuses[status.name] = status
            self._tell(status)


class Receiver(Protocol):
    """What a sink hands over to; the reconciler."""

    def receive(self, source: str, change: CatalogChange | ObjectsChange) -> None: ...

    def set_synced(self, source: str) -> None: ...

    def set_stale(self, source: str, why: str) -> None: ...

    def set_problems(self, source: str, scope: str, problems: Sequence[Problem]) -> None: ...


class SourceSink:
    """What one source reports to (``xdsd.registry.base.Sink``), and where objects of the store arrive."""

    def __init__(self, receiver: Receiver, source: str) -> None:
        self._receiver = receiver
        self._source = source

    def change(self, change: CatalogChange) -> None:
        self._receiver.receive(self._source, change)

    def objects(self, change: ObjectsChange) -> None:
        self._receiver.receive(self._source, change)

    def synced(self) -> None:
        self._receiver.set_synced(self._source)

    def stale(self, why: str) -> None:
        self._receiver.set_stale(self._source, why)

    def problems(self, scope: str, problems: Sequence[Problem]) -> None:
        self._receiver.set_problems(self._source, scope, problems)


def _away(status: SourceStatus) -> Problem:
    """The problem that a source cannot be asked."""
    if status.synced:
        message = f"{status.name} cannot be asked, what it said last holds: {status.stale}"
        return Problem(Reason.UNAVAILABLE, message, severity=Severity.WARNING)
    return Problem(Reason.UNAVAILABLE, f"{status.name} is waited for, nothing is served yet: {status.stale}")
