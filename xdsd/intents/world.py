"""All objects, found by what other objects say of them: hosts, subsets, gateways, labels."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from xdsd.manifest import AnyObject
from xdsd.model.catalog import Service, Workload
from xdsd.model.hosts import DEFAULT_DOMAIN, resolve_host
from xdsd.model.intent import DestinationRule, Gateway, ServiceEntry, Sidecar, VirtualService, WorkloadEntry

MESH = "mesh"
EVERYONE = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Observed:
    """What registries report, for objects that refer to it."""

    services: tuple[Service, ...] = ()
    workloads: tuple[Workload, ...] = ()


class World:
    """An index of objects, and of what is observed; ``observed`` None: not known, so nothing is said about
    it.
    """

    def __init__(
        self, objects: Iterable[AnyObject], observed: Observed | None = None, domain: str = DEFAULT_DOMAIN
    ) -> None:
        self.domain = domain
        self.observed = observed is not None
        self._ports: dict[str, set[int]] = {}
        self._subsets: dict[str, list[tuple[AnyObject, frozenset[str]]]] = defaultdict(list)
        self._gateways: dict[str, Gateway] = {}
        self._labels: dict[str, list[Mapping[str, str]]] = defaultdict(list)
        self._mesh_hosts: dict[str, list[AnyObject]] = defaultdict(list)
        self._sidecars: dict[str, list[AnyObject]] = defaultdict(list)
        for obj in objects:
            self._add(obj)
        if observed is not None:
            self._observe(observed)

    def ports(self, host: str) -> set[int] | None:
        """The ports of a host, or of the wildcard that holds it; None for a host that nobody declares."""
        found = [self._ports[name] for name in covering(host) if name in self._ports]
        return found[0] if found else None

    def subsets(self, host: str, namespace: str) -> set[str]:
        """Names of subsets that rules for a host, seen from a namespace, define."""
        return {
            subset
            for name in covering(host)
            for rule, subsets in self._subsets.get(name, ())
            if visible(rule, namespace)
            for subset in subsets
        }

    def gateway(self, name: str, namespace: str) -> Gateway | None:
        return self._gateways.get(qualified(name, namespace))

    def selects(self, labels: Mapping[str, str], namespace: str) -> bool:
        """True if some workload of the namespace carries all the labels."""
        return any(labels.items() <= carried.items() for carried in self._labels[namespace])

    def routed_by(self, host: str) -> Iterable[AnyObject]:
        """VirtualServices that route exactly this host for sidecars."""
        return self._mesh_hosts.get(host, ())

    def sidecars(self, namespace: str) -> Iterable[AnyObject]:
        """Sidecars for a whole namespace."""
        return self._sidecars.get(namespace, ())

    def _add(self, obj: AnyObject) -> None:
        spec, namespace = obj.spec, obj.metadata.namespace
        match spec:
            case ServiceEntry():
                for host in spec.hosts:
                    self._declare(
                        resolve_host(host, namespace, self.domain), (port.number for port in spec.ports)
                    )
            case DestinationRule():
                names = frozenset(subset.name for subset in spec.subsets)
                self._subsets[resolve_host(spec.host, namespace, self.domain).lower()].append((obj, names))
            case Gateway():
                self._gateways[f"{namespace}/{obj.metadata.name}"] = spec
            case WorkloadEntry():
                self._labels[namespace].append({**spec.labels, **obj.metadata.labels})
            case VirtualService() if not spec.gateways or MESH in spec.gateways:
                for host in spec.hosts:
                    self._mesh_hosts[resolve_host(host, namespace, self.domain).lower()].append(obj)
            case Sidecar() if spec.workload_selector is None:
                self._sidecars[namespace].append(obj)

    def _observe(self, observed: Observed) -> None:
        for service in observed.services:
            self._declare(service.hostname, (port.number for port in service.ports))
        for workload in observed.workloads:
            self._labels[workload.namespace].append(workload.endpoint.labels)

    def _declare(self, host: str, ports: Iterable[int]) -> None:
        self._ports.setdefault(host.lower(), set()).update(ports)


def qualified(name: str, namespace: str) -> str:
    """``name`` or ``namespace/name`` as ``namespace/name``."""
    return name if "/" in name else f"{namespace}/{name}"


def covering(host: str) -> Iterator[str]:
    """The host itself and every wildcard that holds it, the closest first."""
    host = host.lower()
    yield host
    rest = host.removeprefix("*.") if host.startswith("*.") else host
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    yield "*"


def audience(obj: AnyObject) -> frozenset[str]:
    """Namespaces that see an object, or ``*``."""
    export_to: Iterable[str] = obj.spec.export_to
    names = frozenset(obj.metadata.namespace if name == "." else name for name in export_to)
    return EVERYONE if not names or "*" in names else names


def visible(obj: AnyObject, namespace: str) -> bool:
    """True if a namespace sees an object."""
    names = audience(obj)
    return names == EVERYONE or namespace in names
