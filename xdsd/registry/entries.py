"""ServiceEntry and WorkloadEntry objects as services and workloads of the catalog.

Everything here is pure. ``Entries`` follows the objects of one source, the store's or a folder's, and says what each
change of theirs means to the catalog.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, TypeGuard

from xdsd.model.catalog import (
    Endpoint,
    Health,
    Location,
    Port,
    Protocol,
    Resolution,
    Service,
    ServiceKey,
    Workload,
    WorkloadKey,
)
from xdsd.model.hosts import resolve_host
from xdsd.model.intent import Object, ServiceEntry, ServicePort, WorkloadEntry
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.protocols import protocol_of
from xdsd.model.registered import is_away, is_unwell
from xdsd.registry.base import CatalogChange
from xdsd.registry.contradictions import Contradiction, why
from xdsd.registry.parts import joined, once, translated

AnyObject = Object[Any]  # Any: the kind decides the type of the spec

_DNS = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})


def services_of(
    entry: Object[ServiceEntry], domain: str, source: str = ""
) -> tuple[tuple[Service, ...], tuple[Problem, ...]]:
    """One service for each host, and what cannot be used. Short hosts belong to the namespace of the entry.

    A host that is looked up by name, and has neither endpoints nor a selector, is its own endpoint, spelled as in the
    entry: the mesh knows ``db1`` as ``db1.<namespace>.svc.<domain>``, resolvers do not.
    """
    spec, metadata = entry.spec, entry.metadata
    problems: list[Problem] = []
    template = Service(
        namespace=metadata.namespace,
        hostname="",
        ports=tuple(_ports(entry, problems)),
        addresses=tuple(dict.fromkeys(_address(item) for item in spec.addresses)),
        resolution=Resolution(spec.resolution or Resolution.NONE),
        location=Location(spec.location or Location.MESH_EXTERNAL),
        export_to=spec.export_to,
        selector=dict(spec.workload_selector.labels) if spec.workload_selector else None,
        endpoints=tuple(_endpoints(entry, problems)),
        created=metadata.creation_timestamp,
        source=source,
        subject_alt_names=spec.subject_alt_names,
        undeclared=frozenset(name for name in ("resolution", "location") if getattr(spec, name) is None),
    )
    services: dict[str, Service] = {}
    for index, host in enumerate(spec.hosts):
        name = resolve_host(host, metadata.namespace, domain)
        if name in services:
            message = f"{host!r} means {name}, which stands here already; remove one of the two"
            problems.append(_problem(entry, Reason.CONFLICT, f"spec.hosts[{index}]", message))
            continue
        by_name = template.resolution in _DNS and template.selector is None and not spec.endpoints
        endpoints = (Endpoint(host),) if by_name else template.endpoints
        services[name] = replace(template, hostname=name, endpoints=endpoints)
    return tuple(services.values()), tuple(problems)


def workload_of(entry: Object[WorkloadEntry]) -> tuple[Workload | None, tuple[Problem, ...]]:
    """The workload; None if it cannot be reached. Labels of the object count too and win over those of its spec, and a
    machine that registered itself is as well as its probe says, while it is there.
    """
    endpoint = _endpoint(entry.spec)
    if endpoint is None:
        return None, (_problem(entry, Reason.MISSING_FIELD, "spec.address", _NO_ADDRESS),)
    labels = {**endpoint.labels, **entry.metadata.labels}
    made = replace(endpoint, labels=labels, health=_health(entry.metadata.annotations))
    return Workload(entry.metadata.namespace, entry.metadata.name, made), ()


def _health(annotations: Mapping[str, str]) -> Health:
    if is_unwell(annotations):
        return Health.UNHEALTHY
    return Health.AWAY if is_away(annotations) else Health.HEALTHY


class Entries:
    """The entries of one source. Entries that declare the same host make one service, the oldest entry's word first."""

    def __init__(self, source: str, domain: str) -> None:
        self._source = source
        self._domain = domain
        self._parts: dict[ServiceKey, dict[ObjectRef, Service]] = {}
        self._declared: dict[ObjectRef, tuple[ServiceKey, ...]] = {}
        self._services: dict[ServiceKey, Service] = {}
        self._workloads: dict[WorkloadKey, Workload] = {}
        self._problems: dict[ObjectRef | ServiceKey, tuple[Problem, ...]] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the entries as they are now, in order of objects."""
        found = [problem for group in self._problems.values() for problem in group]
        return tuple(sorted(found, key=lambda problem: (problem.object or (), problem.path, problem.message)))

    def put(self, entry: AnyObject) -> CatalogChange:
        """Adds or replaces an entry."""
        return self.apply(put=(entry,))

    def remove(self, ref: ObjectRef) -> CatalogChange:
        """Removes an entry, if it is there."""
        return self.apply(drop=(ref,))

    def apply(self, put: Iterable[AnyObject] = (), drop: Iterable[ObjectRef] = ()) -> CatalogChange:
        """Takes objects in after dropping others; what is dropped and put is replaced. Other kinds are ignored."""
        touched: set[ServiceKey] = set()
        workloads: dict[WorkloadKey, Workload | None] = {}
        for ref in drop:
            self._problems.pop(ref, None)
            if ref.kind == WorkloadEntry.__name__:
                workloads[WorkloadKey(ref.namespace, ref.name)] = None
            elif ref.kind == ServiceEntry.__name__:
                touched |= self._declare(ref, ())
        for entry in put:
            if is_service_entry(entry):
                services, problems = services_of(entry, self._domain, self._source)
                self._note(entry.ref, problems)
                touched |= self._declare(entry.ref, services)
            elif is_workload_entry(entry):
                workload, problems = workload_of(entry)
                self._note(entry.ref, problems)
                workloads[WorkloadKey(entry.metadata.namespace, entry.metadata.name)] = workload
        return self._change(touched, workloads)

    def _declare(self, ref: ObjectRef, services: tuple[Service, ...]) -> set[ServiceKey]:
        """Replaces what an entry declares; returns the services that it declared or declares."""
        before = self._declared.pop(ref, ())
        for key in before:
            del self._parts[key][ref]
        for service in services:
            self._parts.setdefault(service.key, {})[ref] = service
        now = tuple(service.key for service in services)
        if now:
            self._declared[ref] = now
        return {*before, *now}

    def _change(
        self, touched: set[ServiceKey], workloads: dict[WorkloadKey, Workload | None]
    ) -> CatalogChange:
        services: list[Service] = []
        removed: list[ServiceKey] = []
        for key in sorted(touched):
            service, problems = _merged(self._parts[key]) if self._parts[key] else (None, ())
            self._note(key, problems)
            if service is None:
                del self._parts[key]
                if self._services.pop(key, None):
                    removed.append(key)
            elif self._services.get(key) != service:
                self._services[key] = service
                services.append(service)
        lost = [name for name, item in workloads.items() if item is None and name in self._workloads]
        new = tuple(item for name, item in workloads.items() if item and self._workloads.get(name) != item)
        for name in lost:
            del self._workloads[name]
        self._workloads.update((item.key, item) for item in new)
        return CatalogChange(tuple(services), tuple(removed), new, tuple(lost))

    def _note(self, subject: ObjectRef | ServiceKey, problems: tuple[Problem, ...]) -> None:
        if problems:
            self._problems[subject] = problems
        else:
            self._problems.pop(subject, None)


def is_service_entry(entry: AnyObject) -> TypeGuard[Object[ServiceEntry]]:
    """True if the object's spec is a ServiceEntry."""
    return isinstance(entry.spec, ServiceEntry)


def is_workload_entry(entry: AnyObject) -> TypeGuard[Object[WorkloadEntry]]:
    """True if the object's spec is a WorkloadEntry."""
    return isinstance(entry.spec, WorkloadEntry)


_NO_ADDRESS = "is missing, also behind a network's gateway: give an IP address, a host name or unix:///path"


def _merged(parts: dict[ObjectRef, Service]) -> tuple[Service, tuple[Problem, ...]]:
    """The service that entries of one source declare together; listed endpoints add up, a selector stands alone."""
    ordered = sorted(parts.items(), key=lambda item: (item[1].age, item[0]))
    (oldest, first), *others = ordered
    if not others:
        return first, ()
    service, contradictions, _ = joined(ordered)
    problems = [_conflict(first.hostname, item) for item in contradictions]
    endpoints = [(oldest, each) for each in translated(first.endpoints, first, service)]
    for ref, part in others:
        if part.selector == first.selector:
            endpoints += [(ref, each) for each in translated(part.endpoints, part, service)]
        else:
            message = (
                f"differs from that of {oldest}, which declares {first.hostname} too,"
                f" {why(first.created, part.created)}, and holds"
            )
            problems.append(Problem(Reason.CONFLICT, message, ref, "spec.workloadSelector"))
    merged, differences = once(endpoints, lambda ref: parts[ref].created)
    problems += [_differs(address, item) for address, item in differences if item.who != item.older]
    return replace(service, selector=first.selector, endpoints=merged), tuple(problems)


def _differs(address: str, found: Contradiction[ObjectRef]) -> Problem:
    message = f"gives {address} {found.says}, but {found.older} gives {found.holds}, {found.why}, and holds"
    return Problem(Reason.CONFLICT, message, found.who, "spec.endpoints", severity=Severity.WARNING)


def _conflict(hostname: str, found: Contradiction[ObjectRef]) -> Problem:
    message = (
        f"declares {hostname} with {found.says}, but {found.older} has {found.holds}, {found.why}, and holds"
    )
    return Problem(Reason.CONFLICT, message, found.who, "spec.hosts")


def _ports(entry: Object[ServiceEntry], problems: list[Problem]) -> Iterator[Port]:
    for index, port in enumerate(entry.spec.ports):
        protocol = _protocol(port)
        if protocol is None:
            message = f"{port.protocol} is not supported yet; it is one of {', '.join(Protocol)}"
            problems.append(_problem(entry, Reason.NOT_SUPPORTED, f"spec.ports[{index}].protocol", message))
            continue
        basis = "protocol" if port.protocol else "" if protocol.is_auto else "name"
        yield Port(port.number, port.name, protocol, port.target_port or port.number, basis)


def _protocol(port: ServicePort) -> Protocol | None:
    if not port.protocol:
        return protocol_of(port.number, port.name)
    try:
        return Protocol(port.protocol.upper())
    except ValueError:
        return None


def _endpoints(entry: Object[ServiceEntry], problems: list[Problem]) -> Iterator[Endpoint]:
    for index, item in enumerate(entry.spec.endpoints):
        endpoint = _endpoint(item)
        if endpoint is None:
            path = f"spec.endpoints[{index}].address"
            problems.append(_problem(entry, Reason.MISSING_FIELD, path, _NO_ADDRESS))
        else:
            yield endpoint


def _endpoint(item: WorkloadEntry) -> Endpoint | None:
    """A weight of 0 cannot be told from none in the published API, so it means the same."""
    if not item.address:
        return None
    return Endpoint(
        address=item.address,
        ports=dict(item.ports),
        labels=dict(item.labels),
        locality=item.locality or "",
        weight=item.weight or 1,
        network=item.network or "",
        service_account=item.service_account or "",
    )


def _address(text: str) -> str:
    """A range of one address is that address."""
    prefix, slash, _ = text.partition("/")
    return prefix if slash and ip_network(text, strict=False).num_addresses == 1 else text


def _problem(entry: AnyObject, reason: Reason, path: str, message: str) -> Problem:
    return Problem(reason, message, entry.ref, path)
