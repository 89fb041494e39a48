"""Where services, workloads and objects come from, and how each of these sources is."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from xdsd.model.problem import Problem, Reason, Severity
from xdsd.registry.base import CatalogChange, ObjectsChange

STORE = "store"
"""The source of services and workloads that are declared as objects in the store."""


class SourceState(StrEnum):
    """How a source is."""

    SYNCING = "SYNCING"
    """It has not reported all it has; nothing is served before it did."""
    MISSING = "MISSING"
    """It was waited for as long as was wanted, and has not reported all it has; the rest is served without it."""
    SYNCED = "SYNCED"
    STALE = "STALE"
    """It was synced and cannot be asked now; what it said last holds."""
    HOLDING = "HOLDING"
    """It came back without what it had, as after a loss of data; what it said before is kept for a while."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source of the catalog or of intent, as operators see it. ``stale`` says why it cannot be asked, or is empty.

    ``given_up``: it is not waited for any longer. ``holding``: what it has forgotten is kept. ``endpoints`` are those that
    services have of it, ``problems`` what is wrong with what it says. ``since`` is when it came to its state, ``outages``
    how often it could not be asked, and ``last_error`` why it could not the last time.
    """

    name: str
    synced: bool = False
    stale: str = ""
    services: int = 0
    workloads: int = 0
    endpoints: int = 0
    problems: int = 0
    outages: int = 0
    since: datetime | None = None
    last_sync: datetime | None = None
    last_change: datetime | None = None
    last_error: str = ""
    given_up: bool = False
    holding: bool = False

    @property
    def kind(self) -> str:
        """What kind of source: ``machines`` of ``machines:/etc/xdsd/vms``."""
        return self.name.partition(":")[0]

    @property
    def state(self) -> SourceState:
        if not self.synced:
            return SourceState.MISSING if self.given_up else SourceState.SYNCING
        if self.stale:
            return SourceState.STALE
        return SourceState.HOLDING if self.holding else SourceState.SYNCED


class Sources:
    """The state of every source, and the mistakes that each reports; ``tell`` hears of every change of a state, and ``now``
    tells the time.
    """

    def __init__(
        self,
        tell: Callable[[SourceStatus], None],
        logger: FilteringBoundLogger,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.synced = asyncio.Event()
        self._tell = tell
        self._logger = logger
        self._now = now
        self._statuses: dict[str, SourceStatus] = {}
        self._problems: dict[str, dict[str, tuple[Problem, ...]]] = {}

    def expect(self, source: str) -> None:
        """Declares a source, which has not reported yet."""
        self._set(SourceStatus(source, since=self._now()))
        self.synced.clear()

    def forget(self, source: str) -> None:
        """A source is no more."""
        self._statuses.pop(source, None)
        self._problems.pop(source, None)
        self._look()

    def set_synced(self, source: str) -> None:
        """A source has reported all it had; ``synced`` is set once each has."""
        before, now = self._statuses[source], self._now()
        if before.stale:
            self._logger.info(f"{source} available again", source=source)
        since = before.since if before.synced and not before.stale else now
        self._set(replace(before, synced=True, stale="", since=since, last_sync=now, given_up=False))
        self._look()

    def give_up(self) -> None:
        """The registries that have not reported all they have are waited for no longer. The store always is."""
        for status in self.statuses():
            if not status.synced and status.name != STORE:
                self._logger.warning(f"{status.name} is left out", source=status.name, why=status.stale)
                self._set(replace(status, given_up=True, since=self._now()))
        self._look()

    def has_reported(self, source: str) -> bool:
        """Whether a source has said all it had once; so has one that was not declared."""
        status = self._statuses.get(source)
        return status is None or status.synced

    def set_stale(self, source: str, why: str) -> None:
        """A source cannot be asked."""
        before = self._statuses[source]
        if before.stale:
            self._set(replace(before, stale=why, last_error=why))
            return
        event = f"{source} unavailable" if before.synced else f"waiting for {source}"
        self._logger.warning(event, source=source, why=why)
        since = self._now() if before.synced else before.since
        outages = before.outages + 1
        self._set(replace(before, stale=why, since=since, outages=outages, last_error=why))

    def set_problems(self, source: str, scope: str, problems: Sequence[Problem]) -> None:
        """All that is wrong in one scope of a source, such as a file."""
        scopes = self._problems.setdefault(source, {})
        if problems:
            scopes[scope] = tuple(problems)
        else:
            scopes.pop(scope, None)
        status = self._statuses.get(source)
        if status is not None:
            told = [each for group in scopes.values() for each in group]
            holding = any(each.reason is Reason.FORGOTTEN for each in told)
            since = status.since if holding is status.holding or status.stale else self._now()
            self._set(replace(status, problems=len(told), holding=holding, since=since))

    def count(self, source: str, services: int, workloads: int, endpoints: int) -> None:
        """So much does a source report now that something changed; one that was not declared is nobody's concern."""
        status = self._statuses.get(source)
        if status is not None:
            self._set(
                replace(
                    status,
                    services=services,
                    workloads=workloads,
                    endpoints=endpoints,
                    last_change=self._now(),
                )
            )

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._statuses)

    def statuses(self) -> tuple[SourceStatus, ...]:
        return tuple(self._statuses.values())

    def problems(self) -> Iterator[Problem]:
        """The sources that are away, and the mistakes that sources report."""
        for status in self._statuses.values():
            if (status.stale or status.given_up) and not self._tells(status):
                yield _away(status)
        for scopes in self._problems.values():
            yield from (problem for group in scopes.values() for problem in group)

    def _tells(self, status: SourceStatus) -> bool:
        """Whether a source says itself why it cannot be asked, at the object where that can be mended."""
        scopes = self._problems.get(status.name, {})
        told = (each.message for group in scopes.values() for each in group if each.object is not None)
        return bool(status.stale) and any(status.stale in message for message in told)

    def _look(self) -> None:
        if all(status.synced or status.given_up for status in self._statuses.values()):
            self.synced.set()

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
    """What one source reports to (``xdsd.registry.base.Sink``); the store too."""

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
    if status.given_up:
        message = (
            f"{status.name} is left out until it has reported all it has: {status.stale or 'it has not yet'}"
        )
        return Problem(Reason.UNAVAILABLE, message)
    return Problem(Reason.UNAVAILABLE, f"{status.name} is waited for, nothing is served yet: {status.stale}")
