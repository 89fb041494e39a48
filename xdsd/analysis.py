"""What is wrong with objects before a daemon has them: values in, problems out.

Objects are looked at as the daemon would: each by itself, beside the others, and compiled for the proxies that they are
meant for, which are imagined: a sidecar in every namespace and for every workload selector, a gateway for every selector of
a Gateway; and for an EnvoyFilter, which may change what a workload takes in, a sidecar beside one workload of each service.
Hosts that nothing declares are told only where something declares hosts at all: registries may know the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from xdsd.compile.admissible import admissible
from xdsd.compile.compiler import Compiler
from xdsd.intents.admission import Observed, World, warnings
from xdsd.manifest import AnyObject
from xdsd.model.admin_page import exposing
from xdsd.model.catalog import Workload
from xdsd.model.identity import InvalidIdentity, SpiffeID
from xdsd.model.intent import (
    DestinationRule,
    EnvoyFilter,
    Gateway,
    PeerAuthentication,
    ProxyConfig,
    ServiceEntry,
    Sidecar,
    Telemetry,
)
from xdsd.model.mesh import MeshSettings, Proxy, Role
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.singletons import misplaced
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.entries import Entries
from xdsd.snapshot import Snapshot

CATALOG_KINDS = frozenset({"ServiceEntry", "WorkloadEntry"})
_FILES, _MACHINES = "files", "machines"
_ADDRESS = "192.0.2.1"  # of no machine (RFC 5737)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is analyzed. ``machines`` are the services and workloads of a machine list, None without one."""

    objects: Sequence[AnyObject]
    machines: CatalogChange | None = None
    settings: MeshSettings = field(default_factory=MeshSettings)

    @property
    def knows_hosts(self) -> bool:
        """True where a host that nothing declares is most likely a mistake."""
        return self.machines is not None or any(isinstance(obj.spec, ServiceEntry) for obj in self.objects)


def analyze_objects(subject: Subject) -> tuple[Problem, ...]:
    """All that is wrong or odd, in the order of objects and paths; what two stages found is told once."""
    mesh = _Mesh(subject)
    closed = subject.knows_hosts
    world = World(subject.objects, mesh.observed if closed else None, subject.settings.domain)
    root = subject.settings.root_namespace
    alone = [
        problem
        for obj in subject.objects
        for problem in (*admissible(obj), *misplaced(obj, root), *exposing(obj, mesh.admin_port))
    ]
    compiled = [problem for problem in mesh.problems() if closed or not _about_reference(problem)]
    found = merged(alone, warnings(world, subject.objects), compiled)
    return tuple(sorted(found, key=lambda each: (each.object or ObjectRef("", "", ""), each.path)))


def merged(*groups: Iterable[Problem]) -> tuple[Problem, ...]:
    """All problems; of those that two groups have of one field, for one reason, the first group's."""
    found: dict[Problem, None] = {}
    told: set[tuple[ObjectRef | None, str, Reason]] = set()
    for group in groups:
        new = [each for each in group if each.object is None or _key(each) not in told]
        found.update(dict.fromkeys(new))
        told.update(map(_key, new))
    return tuple(found)


def _key(problem: Problem) -> tuple[ObjectRef | None, str, Reason]:
    return problem.object, problem.path, problem.reason


def _about_reference(problem: Problem) -> bool:
    return problem.reason is Reason.BROKEN_REFERENCE and problem.severity is Severity.WARNING


def catalog_of(subject: Subject) -> Catalog:
    """The services and endpoints that a subject declares."""
    catalog, entries = Catalog(), Entries(_FILES, subject.settings.domain)
    if subject.machines is not None:
        catalog.apply(_MACHINES, subject.machines)
    catalog.apply(_FILES, entries.apply(put=subject.objects))
    return catalog


class _Mesh:
    """The way from objects to what proxies would be served, without the daemon's loop."""

    def __init__(self, subject: Subject) -> None:
        settings = subject.settings
        self._compiler = Compiler(settings)
        self._entries = Entries(_FILES, settings.domain)
        self._catalog = Catalog()
        self._workloads: tuple[Workload, ...] = ()
        for obj in subject.objects:
            if obj.kind not in CATALOG_KINDS:
                self._compiler.world.put_object(obj)
        if subject.machines is not None:
            self._take(_MACHINES, subject.machines)
            self._workloads = subject.machines.workloads
        self._take(_FILES, self._entries.apply(put=subject.objects))
        namespaces = {service.namespace for service in self._catalog.services().values()}
        wanted = dict.fromkeys((*_wanted(subject.objects, namespaces), *self._beside(subject)))
        for number, one in enumerate(wanted):
            self._compiler.attach(_proxy(number, one, settings))

    def _beside(self, subject: Subject) -> "Iterator[_Wanted]":
        """Sidecars of the workloads that EnvoyFilters are for."""
        filters = [obj for obj in subject.objects if isinstance(obj.spec, EnvoyFilter)]
        for key in sorted(self._catalog.services()) if filters else ():
            for obj in filters:
                if obj.metadata.namespace in (key.namespace, subject.settings.root_namespace):
                    selector = _selected(obj).items()
                    found = (each for each in self._catalog.endpoints(key) if selector <= each.labels.items())
                    for endpoint in islice(found, 1):
                        labels = frozenset(endpoint.labels.items())
                        yield _Wanted(Role.SIDECAR, key.namespace, labels, endpoint.address)

    @property
    def admin_port(self) -> int:
        """Where proxies would have their admin pages."""
        return self._compiler.world.admin_port

    @property
    def observed(self) -> Observed:
        """What there would be, for objects that refer to it."""
        settings = self._compiler.settings
        services = tuple(self._catalog.services().values())
        return Observed(
            services, self._workloads, trust=(settings.trust_domain,), root=settings.root_namespace
        )

    def problems(self) -> tuple[Problem, ...]:
        """Compiles everything, and tells what was found on the way. A fault of the compiler is raised."""
        for _ in self._compiler.steps():
            pass
        for fault in self._compiler.faults():
            raise fault.error
        self._compiler.take(Snapshot())
        return (*self._entries.problems, *self._catalog.problems, *self._compiler.problems())

    def _take(self, source: str, change: CatalogChange) -> None:
        world, catalog = self._compiler.world, self._catalog
        delta = catalog.apply(source, change)
        for key in delta.services:
            world.put_service(key, catalog.service(key))
        for key in delta.endpoints:
            world.put_endpoints(key, catalog.endpoints(key))
        for address in delta.addresses:
            world.put_services_at(address, catalog.services_at(address))
        for address in delta.nodes:
            world.put_nodes_at(address, catalog.nodes_at(address))


class _Wanted(NamedTuple):
    """A proxy to imagine."""

    role: Role
    namespace: str
    labels: frozenset[tuple[str, str]] = frozenset()
    address: str = _ADDRESS


def _wanted(objects: Iterable[AnyObject], namespaces: Iterable[str]) -> Iterator[_Wanted]:
    """One for everybody that the objects may be meant for."""
    for namespace in namespaces:
        yield _Wanted(Role.SIDECAR, namespace)
    for obj in objects:
        namespace, spec = obj.metadata.namespace, obj.spec
        yield _Wanted(Role.SIDECAR, namespace)
        if isinstance(spec, Gateway):
            yield _Wanted(Role.ROUTER, namespace, frozenset(spec.selector.items()))
            continue
        labels = frozenset(_selected(obj).items())
        yield _Wanted(Role.SIDECAR, namespace, labels)
        if isinstance(spec, EnvoyFilter | Telemetry) and labels:
            yield _Wanted(Role.ROUTER, namespace, labels)


def _proxy(number: int, wanted: _Wanted, settings: MeshSettings) -> Proxy:
    role, namespace, labels, address = wanted
    suffix = f"{namespace}.svc.{settings.domain}"
    return Proxy(
        node_id=f"{role}~{address}~analysis-{number}.{namespace}~{suffix}",
        role=role,
        address=address,
        name=f"analysis-{number}",
        namespace=namespace,
        domain=suffix,
        labels=dict(labels),
        start=None,
        identity=_identity(namespace, settings),
    )


def _identity(namespace: str, settings: MeshSettings) -> SpiffeID | None:
    """Who an imagined proxy proves to be: it is asked what objects do, not whether proxies are set up."""
    try:
        return SpiffeID(settings.trust_domain, namespace, "analysis")
    except InvalidIdentity:
        return None


def _selected(obj: AnyObject) -> Mapping[str, str]:
    """The labels of the workloads that an object is for; empty: of all."""
    spec = obj.spec
    if isinstance(spec, Sidecar | EnvoyFilter) and spec.workload_selector is not None:
        return spec.workload_selector.labels
    if isinstance(spec, DestinationRule) and spec.workload_selector is not None:
        return spec.workload_selector.match_labels
    if isinstance(spec, PeerAuthentication | ProxyConfig | Telemetry) and spec.selector is not None:
        return spec.selector.match_labels
    return {}
