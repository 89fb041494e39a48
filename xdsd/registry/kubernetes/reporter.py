"""What the watchers of a cluster say, joined, and said to the sink in order."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from xdsd.manifest.faults import similar
from xdsd.model.problem import Problem, Reason, Severity
from xdsd.registry.base import Sink
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.collection import (
    AnyCollection,
    Collection,
    IngressCollection,
    IntentCollection,
    SecretCollection,
    version_in,
)
from xdsd.registry.kubernetes.facts import Json, Name, Remark
from xdsd.registry.kubernetes.held import Held
from xdsd.registry.kubernetes.ingress_state import IngressState
from xdsd.registry.kubernetes.intent import IntentState
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.loss import Loss
from xdsd.registry.kubernetes.missing import Missing
from xdsd.registry.kubernetes.secrets import SecretState
from xdsd.registry.kubernetes.state import ClusterState
from xdsd.registry.stepwise import steps_of
from xdsd.turns import Pace, in_slices

_AT_ONCE = 10
_TOLD_AT_ONCE = 100
_TOO_LARGE = Remark("", "has more than 4 MiB and is not read; it stays as it was", Reason.TOO_LARGE)


class _Fault(NamedTuple):
    """Why something cannot be followed; ``away``: since the server as a whole is away."""

    why: str
    away: bool


class Reporter:
    """What the watchers say, joined, and said to the sink by one task, in order: changes first, then how it stands.

    ``meant`` are the namespaces that options name, each with the option.
    """

    def __init__(
        self,
        state: ClusterState,
        intent: IntentState,
        secrets: SecretState,
        ingresses: IngressState,
        sink: Sink,
        source: str,
        collections: Sequence[AnyCollection],
        meant: Mapping[str, str] | None = None,
    ) -> None:
        self.collections = collections
        self._meant = meant or {}
        self._state = state
        self._intent = intent
        self._secrets = secrets
        self._ingresses = ingresses
        self._versions: dict[IntentCollection, str] = {}
        self._sink = sink
        self._source = source
        self._listed: set[AnyCollection] = set()
        self._forbidden: set[AnyCollection] = set()
        self._down: dict[AnyCollection | None, _Fault] = {}
        self._dirty = asyncio.Event()
        self._said: bool | None = None
        self._missing = Missing(state, collections)
        self._unread: set[AnyCollection] = set()
        self._loss: Loss | None = None
        self._due = False
        self._turn = asyncio.Lock()
        self._warnings: dict[str, str] = {}

    async def run(self) -> None:
        """Reports until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._report()

    async def _report(self) -> None:
        async with self._turn:
            if self._due and not self._down and not any(map(self._is_unread, self.collections)):
                await in_slices(self._missing.forget(self.drop))
                self._due, self._loss = False, None
        for state in self._states:
            for turn, some in enumerate(steps_of(state.take_problems().items(), _TOLD_AT_ONCE)):
                if turn:
                    await asyncio.sleep(0)
                self._tell(some)
        if self._complete:
            await self._tell_changes()
            # From here on nothing comes in between: what is said of the source holds for all that was said before.
            for declared in (self._intent.take(), self._ingresses.take()):
                if declared is not None:
                    self._sink.objects(declared)
            self._tell_problems()
        self._tell_kept()
        if self._down and self._said is not False:
            self._said = False
            self._sink.stale(_told(self._down.values()))
        elif not self._down and self._complete and not self._said:
            self._said = True
            self._sink.synced()

    async def _tell_changes(self) -> None:
        pace = Pace()
        while self._state.pending:
            change = self._state.take(_AT_ONCE)
            if change is not None:
                self._sink.change(change)
            self._tell_problems()
            await pace.step()

    @property
    def _states(self) -> tuple[ClusterState, IntentState, SecretState, IngressState]:
        return self._state, self._intent, self._secrets, self._ingresses

    def _tell_problems(self) -> None:
        for state in self._states:
            self._tell(state.take_problems().items())

    def _tell(self, told: Iterable[tuple[str, Sequence[Problem]]]) -> None:
        for scope, problems in told:
            self._sink.problems(scope, problems)

    @property
    def _complete(self) -> bool:
        """Whether all that was there at the start is known."""
        return all(each in self._listed or self._may_lack(each) for each in self.collections)

    def _may_lack(self, collection: AnyCollection) -> bool:
        return collection in self._forbidden and not collection.needed

    async def lose(self, loss: Loss) -> None:
        """The cluster has forgotten what it had: all that is known is kept until it is read again, or let go. Nobody who
        comes after this is ``ready`` before it is done.
        """
        async with self._turn:
            self._loss, self._due = loss, False
            self._unread = set(self.collections)
            await in_slices(self._missing.lose(self._names, set_back=loss.set_back))
        self._dirty.set()

    async def ready(self) -> None:
        async with self._turn:
            pass

    @property
    def losses(self) -> int:
        """Another number whenever something else is kept."""
        return self._missing.losses

    def written(self, until: float) -> Iterator[bytes]:
        """What is kept of services and what they are made of, to be written down, in parts."""
        return self._missing.written(until, set_back=self._loss is not None and self._loss.set_back)

    async def recall(self, held: Held, until: datetime) -> None:
        """What was kept in an earlier life of the daemon; it is told before the cluster answers."""
        await in_slices(self._missing.recall(held))
        self._loss = Loss(until, held.set_back)
        self._unread = set(self.collections)
        await self._tell_changes()

    def let_go(self) -> None:
        """What was not seen again is gone, as soon as all is read that there is."""
        self._due = True
        self._dirty.set()

    def _is_unread(self, collection: AnyCollection) -> bool:
        return collection in self._unread and not self._may_lack(collection)

    def _tell_kept(self) -> None:
        """What is kept, once it is known what is there."""
        if self._loss is None:
            self.warn("(lost)", "")
        elif not any(map(self._is_unread, self.collections)):
            self.warn("(lost)", self._loss.said(self._missing.counts), Reason.FORGOTTEN)

    def warn(self, scope: str, message: str, reason: Reason = Reason.UNAVAILABLE) -> None:
        """Something is wrong with the source as a whole; no message clears it."""
        if self._warnings.get(scope, "") != message:
            self._warnings[scope] = message
            problem = Problem(reason, message, file=self._source, severity=Severity.WARNING)
            self._sink.problems(scope, (problem,) if message else ())

    def gone(self, why: str) -> None:
        self._down[None] = _Fault(why, away=True)
        self._dirty.set()

    def back(self) -> None:
        self._down.pop(None, None)
        self._dirty.set()

    def found(self, collection: AnyCollection, path: str) -> None:
        if isinstance(collection, IntentCollection):
            self._versions[collection] = version_in(path)

    def put(self, collection: AnyCollection, obj: Json) -> None:
        self._is_there(collection, _name(obj))
        if isinstance(collection, IntentCollection):
            self._intent.put(collection.kind, self._versions[collection], obj)
        elif isinstance(collection, SecretCollection):
            self._secrets.put(obj, named=bool(collection.name))
        elif isinstance(collection, IngressCollection):
            self._ingresses.put(collection.plural, obj)
        else:
            self._state.put(collection.kind, obj)
            for name in self._state.take_displaced():
                self._is_there(collection, name)
            self._tell_service(collection, _name(obj))

    def drop(self, collection: AnyCollection, name: Name) -> None:
        self._is_there(collection, name)
        if isinstance(collection, IntentCollection):
            self._intent.drop(collection.kind, name)
        elif isinstance(collection, SecretCollection):
            self._secrets.drop(name)
        elif isinstance(collection, IngressCollection):
            self._ingresses.drop(collection.plural, name)
        else:
            self._state.drop(collection.kind, name)
            self._tell_service(collection, name)

    def _tell_service(self, collection: Collection, name: Name | None) -> None:
        if collection.kind is Kind.SERVICE and name is not None:
            self._ingresses.service(name)

    def _is_there(self, collection: AnyCollection, name: Name | None) -> None:
        if name is not None:
            self._missing.seen(collection, name)

    def too_large(self, collection: AnyCollection, name: Name) -> None:
        self._is_there(collection, name)
        if isinstance(collection, IntentCollection):
            self._intent.spoil(collection.kind, name, _TOO_LARGE)
        elif isinstance(collection, SecretCollection):
            self._secrets.spoil(name)
        elif isinstance(collection, IngressCollection):
            self._ingresses.spoil(collection.plural, name, _TOO_LARGE)
        else:
            self._state.spoil(collection.kind, name, _TOO_LARGE)

    def known(self, collection: AnyCollection) -> frozenset[Name]:
        missing = self._missing.of(collection)
        return frozenset(self._names(collection) - missing if missing else self._names(collection))

    def _names(self, collection: AnyCollection) -> Set[Name]:
        if isinstance(collection, IntentCollection):
            return self._intent.names(collection.kind, collection.namespace)
        if isinstance(collection, SecretCollection):
            return self._secrets.names(collection.namespace, collection.name)
        if isinstance(collection, IngressCollection):
            return self._ingresses.names(collection.plural, collection.namespace)
        names = self._state.names(collection.kind)
        if collection.namespace:
            return {name for name in names if name.namespace == collection.namespace}
        return names

    def settled(self, collection: AnyCollection) -> None:
        self._listed.add(collection)
        self._unread.discard(collection)
        if self._meant and isinstance(collection, Collection) and collection.kind is Kind.NAMESPACE:
            self._look_for_meant()
        self._dirty.set()

    def _look_for_meant(self) -> None:
        """A namespace that is not there may be a slip of the pen, or come later."""
        there = {each.name for each in self._state.names(Kind.NAMESPACE)}
        for namespace, option in self._meant.items():
            why = f"{option}: the cluster has no namespace {namespace}{similar(namespace, there)}"
            self.warn(f"namespace {namespace}", "" if namespace in there else why)

    def works(self, collection: AnyCollection) -> None:
        self._listed.add(collection)
        self._down.pop(collection, None)
        if collection in self._forbidden:
            self._forbidden.discard(collection)
            self.warn(str(collection), "")
            self._tell_pods()
        self._dirty.set()

    def fails(
        self, collection: AnyCollection, why: str, *, forbidden: bool = False, away: bool = False
    ) -> None:
        if forbidden:
            self._forbidden.add(collection)
            self._tell_pods()
            self.warn(str(collection), f"{why}; {_lacking(collection)}")
        if self._may_lack(collection):
            self._down.pop(collection, None)
        else:
            self._down[collection] = _Fault(why, away)
        self._dirty.set()

    def _tell_pods(self) -> None:
        self._state.know_pods(
            not any(isinstance(each, Collection) and each.kind is Kind.POD for each in self._forbidden)
        )


def _told(faults: Iterable[_Fault]) -> str:
    """Each once, and of what all have in common the first word."""
    listed = list(faults)
    away = [each.why for each in listed if each.away][:1]
    return "; ".join(dict.fromkeys([*away, *(each.why for each in listed if not each.away)]))


def _name(obj: Json) -> Name | None:
    try:
        return facts.name_of(obj)
    except facts.Unreadable:
        return None


def _lacking(collection: AnyCollection) -> str:
    """What is missing where a collection may not be read."""
    match collection:
        case IntentCollection() | IngressCollection():
            return "what it says of the mesh is not known"
        case SecretCollection():
            return "the servers that need it stay closed"
    return "what it says of endpoints is not known"
