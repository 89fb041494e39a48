"""The loop itself; see the package for its words."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from xdsd.compile.compiler import Compiler
from xdsd.compile.layers.patched import Refused
from xdsd.compile.layers.traffic import Way
from xdsd.intents import Observed
from xdsd.model.catalog import ServiceKey
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.federation import Declared
from xdsd.model.inspected import Inspected
from xdsd.model.key_source import FetchedKeys, KeySource
from xdsd.model.limits import LimitRule
from xdsd.model.mesh import MeshSettings, Proxy
from xdsd.model.node import Node
from xdsd.model.problem import ObjectRef, Problem
from xdsd.model.shut_out import NOBODY, ShutOut
from xdsd.reconcile.attendance import Attendance
from xdsd.reconcile.beginning import until_reported
from xdsd.reconcile.declared import Holding
from xdsd.reconcile.departures import Departures
from xdsd.reconcile.intake import ROUND, Intake
from xdsd.reconcile.sources import STORE, Sources, SourceSink, SourceStatus
from xdsd.registry.base import CatalogChange, ObjectsChange
from xdsd.registry.catalog import Catalog
from xdsd.snapshot import Snapshot, SnapshotChange
from xdsd.turns import in_slices


@dataclass(frozen=True, slots=True)
class Settling:
    """Seconds: how quiet it must be before changes are published, how long that may take, how long the layers of a
    proxy that left are kept for its return, how long a proxy serves on what left its address, and how long sources are
    waited for before the rest is served (None: as long as it takes).
    """

    quiet: float = 0.010
    longest: float = 0.100
    linger: float = 30.0
    farewell: float = 30.0
    patience: float | None = None


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


class Reconciler:
    """The only writer of the compiler and of ``snapshot``; everything is called from one event loop.

    ``publish`` is told each change after ``snapshot`` has taken it, with the time at which the oldest of what led to
    it was seen, ``limits`` what the limiter counts by, ``credentials`` which of them sidecars use, ``trust`` whom operators
    trust, ``inspected`` whose TLS is read, and ``keys`` where issuers' keys are wanted from (it says what is known of them).
    ``clock`` counts seconds.
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
        keys: Callable[[tuple[KeySource, ...]], Mapping[str, FetchedKeys]] = lambda _: {},
        credentials: Callable[[frozenset[CredentialName]], None] = lambda _: None,
        trust: Callable[[Declared], None] = lambda _: None,
        inspected: Callable[[tuple[Inspected, ...]], None] = lambda _: None,
    ) -> None:
        self.snapshot = Snapshot()
        self._revision = 0
        self._compiler = compiler
        self._sources = Sources(observer.source, logger)
        self._attendance = Attendance()
        self._departures = Departures(compiler.world, self._attendance.addresses, clock)
        self._intake = Intake(compiler.world, domain, self._sources, self._departures, logger)
        self._observer = observer
        self._logger = logger
        self._clock = clock
        self._settling = settling or Settling()
        self._limits = limits
        self._limit_rules: tuple[LimitRule, ...] = ()
        self._keys = keys
        self._credentials = credentials
        self._key_sources: tuple[KeySource, ...] = ()
        self._found_keys: dict[str, FetchedKeys] = {}
        self._found_credentials: Mapping[CredentialName, CredentialParts] | None = None
        self._used: frozenset[CredentialName] = frozenset()
        self._found_shut_out: ShutOut | None = None
        self._trust = trust
        self._declared = Declared()
        self._inspected = inspected
        self._inspections: tuple[Inspected, ...] = ()
        self._found_foreign: tuple[str, ...] | None = None
        self.shut_out: ShutOut = NOBODY
        self.foreign_domains: tuple[str, ...] = ()
        self._found_offered: frozenset[ServiceKey] | None = None
        self._mesh_settings: MeshSettings | None = None
        self._tell_services: Callable[[frozenset[ServiceKey]], None] = lambda _: None
        self._untold: set[ServiceKey] = set()
        self._begun = False
        self._intake.tell = self._untold.update
        self._wake = asyncio.Event()
        self._seen: float | None = None
        self._newest = 0.0

    # What arrives.

    def expect(self, source: str) -> SourceSink:
        """Declares a source; nothing is published before it has synced once."""
        self._sources.expect(source)
        return SourceSink(self, source)

    def forget(self, source: str) -> None:
        """A source is no more; what it said was taken back by itself."""
        self._sources.forget(source)

    def tell_services(self, tell: Callable[[frozenset[ServiceKey]], None]) -> None:
        """``tell`` hears of services of the catalog that differ, or whose endpoints do, from now on."""
        self._tell_services = tell
        if self._begun:
            self._intake.tell = tell

    def receive(self, source: str, change: CatalogChange | ObjectsChange) -> None:
        """Something changed; it is taken in by the loop."""
        self._intake.put(source, change)
        self._newest = self._clock()
        if self._seen is None:
            self._seen = self._newest
        self._wake.set()

    def set_synced(self, source: str) -> None:
        self._sources.set_synced(source)
        self._wake.set()

    def set_stale(self, source: str, why: str) -> None:
        self._sources.set_stale(source, why)

    def set_problems(self, source: str, scope: str, problems: Sequence[Problem]) -> None:
        self._sources.set_problems(source, scope, problems)

    def configure(self, settings: MeshSettings, settling: Settling) -> None:
        """Other settings of the mesh from now on; what they touch is compiled again."""
        self._settling = settling
        self._mesh_settings = settings
        self._wake.set()

    def set_keys(self, url: str, keys: FetchedKeys) -> None:
        """What is known of an issuer's keys from now on; what proves tokens with them is compiled again."""
        self._found_keys[url] = keys
        self._wake.set()

    def set_credentials(self, parts: Mapping[CredentialName, CredentialParts]) -> None:
        """These are all the credentials that there are from now on; what uses those that came or went is compiled again."""
        self._found_credentials = parts
        self._wake.set()

    def set_shut_out(self, shut_out: ShutOut) -> None:
        """These are shut out from now on; what has to do with them is compiled again."""
        self._found_shut_out = self.shut_out = shut_out
        self._wake.set()

    def set_foreign(self, domains: Sequence[str]) -> None:
        """Peers of these trust domains are let in from now on, beside those that objects declare."""
        self._found_foreign = self.foreign_domains = tuple(domains)
        self._wake.set()

    def set_offered(self, keys: frozenset[ServiceKey]) -> None:
        """These services are offered to some peer from now on; gateways lead to them."""
        self._found_offered = keys
        self._wake.set()

    async def attach(self, node: Node) -> None:
        """Returns when ``snapshot.assigned`` says which layers serve the node. Raises NodeRefused."""
        done = self._attendance.arrives(node, served=node.key in self.snapshot.assigned)
        if self._attendance.pending:
            self._wake.set()
        if done is None:
            return
        try:
            await done
        finally:
            if not done.done() or done.cancelled():
                if not self._attendance.is_present(node):
                    self.detach(node)
            else:
                self._attendance.stays(node)

    def detach(self, node: Node) -> None:
        """The last stream of the node has ended; its layers stay for a while, since proxies come back."""
        self._attendance.leaves(node, self._clock() + self._settling.linger)
        self._wake.set()

    def rejected(self, node: Node, type_url: str, name: str, version: str, message: str) -> None:
        """A proxy refused a resource; what can be done about it is compiled."""
        self._attendance.rejects(node, Refused(type_url, name, version), message)
        self._wake.set()

    # What operators see.

    @property
    def ready(self) -> bool:
        """True once every source has reported all it had, or is waited for no longer."""
        return self._sources.synced.is_set()

    @property
    def revision(self) -> int:
        """The newest revision of the store whose objects are in ``snapshot``, also where they change nothing in it; lower
        than it was once the store was restored from an older snapshot.
        """
        return self._revision

    @property
    def settings(self) -> MeshSettings:
        """What the whole mesh agrees on."""
        return self._compiler.settings

    @property
    def catalog(self) -> Catalog:
        return self._intake.catalog

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """The proxies that are served, by node id; those that left not long ago included."""
        return self._attendance.proxies

    @property
    def busy(self) -> bool:
        """True while something waits to be taken in."""
        return self._wake.is_set() or bool(self._intake)

    async def until_ready(self) -> None:
        """Returns once every source has reported all it had, or is waited for no longer."""
        await self._sources.synced.wait()

    def observed(self) -> Observed:
        """What sources other than the store report, and which proxies are served, for objects that refer to it; the same
        value while nothing changed.
        """
        settings = self._compiler.settings
        trust = (settings.trust_domain, *self.foreign_domains)
        return self._intake.observed(self._attendance.listed, trust, settings.root_namespace)

    def given_addresses(self, namespace: str, host: str) -> tuple[str, ...]:
        """The addresses that the mesh gives to a host of a namespace; none to one that has its own, or is unknown."""
        return self._compiler.world.given_addresses(namespace, host)

    def traffic(self, key: ServiceKey, namespace: str, locality: str) -> tuple[Way, ...]:
        """Where traffic for a service would go now from clients of a namespace at a locality."""
        return self._compiler.traffic(key, namespace, locality)

    def sources(self) -> tuple[SourceStatus, ...]:
        return self._sources.statuses()

    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong now: sources that are away, and mistakes of files, of entries, between sources, and of objects
        against each other.
        """
        compiled = map(self._intake.placed, self._compiler.problems())
        return (*self._sources.problems(), *map(self._intake.placed, self._intake.problems()), *compiled)

    def problems_in_store(self) -> tuple[Problem, ...]:
        """The same without those of objects that other sources declare."""
        names = self._sources.names - {STORE}
        return tuple(problem for problem in self.problems() if problem.file not in names)

    def foreign(self) -> Sequence[Holding]:
        """The objects that other sources than the store declare, as far as they hold, with who does."""
        return tuple(self._intake.declared.foreign())

    def foreigner(self, ref: ObjectRef) -> Holding | None:
        """The same for one object; None where the store or nobody declares it."""
        return self._intake.declared.foreigner(ref)

    # The loop.

    async def run(self, publish: Callable[[SnapshotChange, float], None]) -> None:
        """Works until cancelled."""
        await until_reported(self._sources, self._intake, self._wake, self._clock, self._settling.patience)
        self._begin()
        most = None  # the first publication holds all that sources had when they synced
        while True:
            await self._wait()
            seen, self._seen = self._seen, None
            started = self._clock()
            await self._take_in(most)
            while most is None and self._intake:  # what follows from it, such as names of all meshes
                await self._take_in(most)
            most = ROUND
            await in_slices(self._compiler.steps())
            if self._ask_for_keys():
                await in_slices(self._compiler.steps())
            change = self._compiler.take(self.snapshot)
            self._report_faults()
            self._observer.compiled(self._clock() - started)
            for type_url, count in self._compiler.encoded.items():
                self._observer.encoded(type_url, count)
            self._compiler.encoded.clear()
            self._tell_limits()
            self._tell_credentials()
            self._tell_inspected()
            self._tell_trust()
            if change is not None:
                self._publish(change, started if seen is None else seen, publish)
            self._revision = self._intake.revision
            self._go_on(started if seen is None else seen)
            self._attendance.welcome(self.snapshot.assigned)
            # However much there is to do next, streams have their turn with what is published now.
            await asyncio.sleep(0)

    def _begin(self) -> None:
        """From now on what differs is told; what was taken in before is, at once."""
        self._begun = True
        self._intake.tell = self._tell_services
        self._tell_services(frozenset(self._untold))
        self._untold.clear()

    def _go_on(self, seen: float) -> None:
        """What was left for the next round has waited long enough to settle."""
        if self._intake.left:
            self._seen = seen
            self._wake.set()

    def _tell_limits(self) -> None:
        """The limiter knows a limit before proxies ask about it."""
        rules = self._compiler.limit_rules
        if rules != self._limit_rules:
            self._limit_rules = rules
            self._limits(rules)

    def _tell_credentials(self) -> None:
        """Sidecars may have a credential before they are told to use it."""
        used = self._compiler.used_credentials
        if used != self._used:
            self._used = used
            self._credentials(used)

    def _tell_inspected(self) -> None:
        """Sidecars have a certificate to inspect with before they are told to."""
        inspections = self._compiler.inspected
        if inspections != self._inspections:
            self._inspections = inspections
            self._inspected(inspections)

    def _tell_trust(self) -> None:
        """Proxies know whom to trust before they are told to let them in."""
        declared = self._compiler.declared_trust
        if declared != self._declared:
            self._declared = declared
            self._trust(declared)

    def _ask_for_keys(self) -> bool:
        """Says which keys are wanted; true if something of them is known already, which what is published must have."""
        sources = self._compiler.key_sources
        if sources == self._key_sources:
            return False
        self._key_sources = sources
        known = self._keys(sources)
        for url, keys in known.items():
            self._compiler.set_keys(url, keys)
        return bool(known)

    async def _wait(self) -> None:
        """Until there is something to do, and changes have settled."""
        while not self._wake.is_set():
            due = self._due
            pause = None if due is None else due - self._clock()
            if pause is not None and pause <= 0:
                break
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                break
        self._wake.clear()
        while self._seen is not None and not self._attendance.arriving:
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

    @property
    def _due(self) -> float | None:
        """When something is to be forgotten next."""
        oldest = self._departures.oldest
        farewell = None if oldest is None else oldest + self._settling.farewell
        return min((due for due in (self._attendance.due, farewell) if due is not None), default=None)

    async def _take_in(self, most: int | None) -> None:
        """Moves what arrived into the compiler's inputs, of each source at most about ``most`` entries."""
        await in_slices(self._intake.take(most))
        while self._found_keys:
            self._compiler.set_keys(*self._found_keys.popitem())
        if self._found_credentials is not None:
            self._compiler.set_credentials(self._found_credentials)
            self._found_credentials = None
        if self._found_shut_out is not None:
            self._compiler.set_shut_out(self._found_shut_out)
            self._found_shut_out = None
        if self._found_foreign is not None:
            self._compiler.set_foreign(self._found_foreign)
            self._found_foreign = None
        if self._found_offered is not None:
            self._compiler.set_offered(self._found_offered)
            self._found_offered = None
        if self._mesh_settings is not None:
            self._compiler.configure(self._mesh_settings)
            self._mesh_settings = None
        now = self._clock()
        self._departures.forget(now - self._settling.farewell)
        self._attendance.take(self._compiler, now)

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

    def _report_faults(self) -> None:
        for fault in self._compiler.faults():
            self._logger.error(
                "compiling failed; what was published before stays", what=fault.what, exc_info=fault.error
            )
