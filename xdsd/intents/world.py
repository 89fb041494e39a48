"""All objects, found by what other objects say of them: hosts, subsets, gateways, labels."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xdsd.intents.referring import delegates, destinations, gateways
from xdsd.manifest import AnyObject
from xdsd.model.catalog import Service, Workload
from xdsd.model.hosts import DEFAULT_DOMAIN, resolve_host
from xdsd.model.intent import (
    AuthorizationPolicy,
    DestinationRule,
    Gateway,
    HealthCheck,
    MeshConfig,
    PeerAuthentication,
    ProxyConfig,
    RateLimit,
    RequestAuthentication,
    ServiceEntry,
    Sidecar,
    TargetKind,
    Telemetry,
    VirtualService,
    WorkloadEntry,
    WorkloadGroup,
)
from xdsd.model.mesh import Proxy
from xdsd.model.problem import ObjectRef
from xdsd.model.registered import GROUP
from xdsd.model.vain_policies import Compared, path_normalization
from xdsd.model.vain_ports import ServedAt

MESH = "mesh"
EVERYONE = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Observed:
    """What registries report, and which proxies are connected to this daemon, for objects that refer to it. ``objects`` are
    those that platforms declare, ``trust`` the mesh's trust domain and those of peers whom no object names; empty: unknown.
    ``root`` is the root namespace.
    """

    services: tuple[Service, ...] = ()
    workloads: tuple[Workload, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    objects: tuple[AnyObject, ...] = ()
    trust: tuple[str, ...] = ()
    root: str = "istio-system"


class World:
    """An index of objects, and of what is observed; ``observed`` None: not known, so nothing is said about
    it.

    Putting or removing an object costs what the object says, not what else there is.
    """

    def __init__(
        self,
        objects: Iterable[AnyObject] = (),
        observed: Observed | None = None,
        domain: str = DEFAULT_DOMAIN,
    ) -> None:
        self.domain = domain
        self._objects: dict[ObjectRef, AnyObject] = {}
        self._ports: dict[str, dict[ObjectRef, frozenset[int]]] = defaultdict(dict)
        self._subsets: dict[str, dict[ObjectRef, frozenset[str]]] = defaultdict(dict)
        self._labels: dict[str, dict[ObjectRef, Mapping[str, str]]] = defaultdict(dict)
        self._mesh_hosts: dict[str, dict[ObjectRef, AnyObject]] = defaultdict(dict)
        self._wide: dict[tuple[str, str], dict[ObjectRef, AnyObject]] = defaultdict(dict)
        self._mentions: dict[str, dict[ObjectRef, None]] = defaultdict(dict)
        self._checks: dict[str, dict[ObjectRef, None]] = defaultdict(dict)
        self._listed: dict[str, dict[ObjectRef, list[Mapping[str, str]]]] = defaultdict(dict)
        self._seen_listed: dict[str, list[Mapping[str, str]]] = {}
        self._machines: dict[ObjectRef, dict[ObjectRef, None]] = defaultdict(dict)
        self._mesh: MeshConfig | None = None
        self._observed: Observed | None = None
        self._foreign: dict[ObjectRef, AnyObject] = {}
        self._seen_ports: dict[str, set[int]] = {}
        self._seen_exports: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._seen_labels: dict[str, list[Mapping[str, str]]] = {}
        self._connected: dict[str, list[Mapping[str, str]]] = {}
        for obj in objects:
            self.put(obj)
        self.observe(observed)

    @property
    def observed(self) -> bool:
        """Whether it is known what registries report."""
        return self._observed is not None

    def observes(self, observed: Observed | None) -> bool:
        """Whether that is what it was told last."""
        return observed is self._observed

    def get(self, ref: ObjectRef) -> AnyObject | None:
        return self._objects.get(ref)

    def put(self, obj: AnyObject) -> None:
        """Takes in an object, in the place of what it was before."""
        self.remove(obj.ref)
        self._objects[obj.ref] = obj
        if isinstance(obj.spec, MeshConfig):
            self._mesh = obj.spec
        for index, name, value in self._entries(obj):
            index[name][obj.ref] = value

    def remove(self, ref: ObjectRef) -> AnyObject | None:
        """Forgets an object; what it was."""
        obj = self._objects.pop(ref, None)
        if obj is not None and obj.spec is self._mesh:
            self._mesh = None
        if obj is not None:
            for index, name, _ in self._entries(obj):
                found = index[name]
                found.pop(ref, None)
                if not found:
                    del index[name]
        return obj

    def observe(self, observed: Observed | None) -> None:
        """Takes in what registries report, in the place of what they reported before."""
        if self.observes(observed):
            return
        self._observed = observed
        self._stand_beside(observed.objects if observed else ())
        ports: dict[str, set[int]] = defaultdict(set)
        labels: dict[str, list[Mapping[str, str]]] = defaultdict(list)
        exports: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
        listed: dict[str, list[Mapping[str, str]]] = defaultdict(list)
        for service in observed.services if observed else ():
            exports[service.hostname.lower()].append((service.namespace, service.export_to))
            ports[service.hostname.lower()].update(port.number for port in service.ports)
            listed[service.namespace] += [each.labels for each in service.endpoints]
        for workload in observed.workloads if observed else ():
            labels[workload.namespace].append(workload.endpoint.labels)
        connected: dict[str, list[Mapping[str, str]]] = defaultdict(list)
        for proxy in observed.proxies if observed else ():
            connected[proxy.namespace].append(proxy.labels)
        self._connected, self._seen_listed = dict(connected), dict(listed)
        self._seen_ports, self._seen_labels, self._seen_exports = dict(ports), dict(labels), dict(exports)

    def _stand_beside(self, objects: Iterable[AnyObject]) -> None:
        """Takes in what platforms declare; of what the store has too the store's counts."""
        for ref, obj in self._foreign.items():
            if self._objects.get(ref) is obj:
                self.remove(ref)
        self._foreign = {obj.ref: obj for obj in objects if obj.ref not in self._objects}
        for obj in self._foreign.values():
            self.put(obj)

    def ports(self, host: str) -> set[int] | None:
        """The ports of a host, or of the wildcard that holds it; None for a host that nobody declares."""
        for name in covering(host):
            declared, seen = self._ports.get(name), self._seen_ports.get(name)
            if declared is not None or seen is not None:
                return set(seen or ()).union(*(declared or {}).values())
        return None

    def exports(self, host: str) -> list[tuple[str, tuple[str, ...]]]:
        """Who declares a host, or the closest wildcard that holds it, and to whom each exports it."""
        default = self._mesh.default_service_export_to if self._mesh else ()
        for name in covering(host):
            seen = self._seen_exports.get(name, [])
            specs = ((ref.namespace, self._objects[ref].spec) for ref in self._ports.get(name, ()))
            found = [*((owner, spec.export_to) for owner, spec in specs), *seen]
            if found:
                return [(owner, export_to or default) for owner, export_to in found]
        return []

    def declared_by(self, host: str) -> Iterable[AnyObject]:
        """ServiceEntries that declare exactly this host."""
        return tuple(self._objects[ref] for ref in self._ports.get(host, ()))

    def exported(self, obj: AnyObject) -> tuple[str, tuple[str, ...]]:
        """The namespace of a ServiceEntry, and to whom it is exported."""
        default = self._mesh.default_service_export_to if self._mesh else ()
        return obj.metadata.namespace, obj.spec.export_to or default

    def clients(self, obj: AnyObject) -> tuple[frozenset[str], bool]:
        """Namespaces whose requests an object leads on, by name, and whether gateways do too; a delegate's are those of the
        objects that delegate to it.
        """
        own = frozenset({obj.metadata.namespace})
        if not isinstance(obj.spec, VirtualService):
            return own, False
        if not obj.spec.hosts:
            roots = [self._objects[ref] for ref in self._mentions.get(str(obj.ref), {})]
            found = [self.clients(root) for root in roots if root.spec.hosts]
            return frozenset().union(*(each for each, _ in found)), any(edge for _, edge in found)
        edges = {
            qualified(name, obj.metadata.namespace).partition("/")[0]
            for name in obj.spec.gateways
            if name != MESH
        }
        if obj.spec.gateways and MESH not in obj.spec.gateways:
            return own | edges, True
        seen = self.audience(obj)
        return (own if seen == EVERYONE else seen) | edges, bool(edges)

    def subsets(self, host: str, namespace: str) -> set[str]:
        """Names of subsets that rules for a host, seen from a namespace, define."""
        return {
            subset
            for name in covering(host)
            for ref, subsets in self._subsets.get(name, {}).items()
            if self.visible(self._objects[ref], namespace)
            for subset in subsets
        }

    def audience(self, obj: AnyObject) -> frozenset[str]:
        """Namespaces that see a VirtualService or a DestinationRule, or ``*``."""
        export_to: Iterable[str] = obj.spec.export_to or self._exported(obj)
        names = frozenset(obj.metadata.namespace if name == "." else name for name in export_to)
        return EVERYONE if not names or "*" in names else names

    def visible(self, obj: AnyObject, namespace: str) -> bool:
        """True if a namespace sees a VirtualService or a DestinationRule."""
        names = self.audience(obj)
        return names == EVERYONE or namespace in names

    def _exported(self, obj: AnyObject) -> Iterable[str]:
        """To whom an object is exported that does not say so."""
        if self._mesh is None:
            return ()
        ruled = isinstance(obj.spec, DestinationRule)
        return (
            self._mesh.default_destination_rule_export_to
            if ruled
            else self._mesh.default_virtual_service_export_to
        )

    def gateway(self, name: str, namespace: str) -> Gateway | None:
        owner, _, bare = qualified(name, namespace).partition("/")
        found = self._objects.get(ObjectRef("Gateway", owner, bare))
        return found.spec if found else None

    def selects(self, labels: Mapping[str, str], namespace: str) -> bool:
        """True if some workload of the namespace carries all the labels."""
        declared = self._labels.get(namespace, {}).values()
        carried = (*declared, *self._seen_labels.get(namespace, ()))
        return any(labels.items() <= each.items() for each in carried)

    def connected(self, labels: Mapping[str, str], namespace: str) -> bool:
        """True if some proxy of the namespace carries all the labels, of those that are connected to this daemon."""
        return any(labels.items() <= each.items() for each in self._connected.get(namespace, ()))

    def chosen(self, labels: Mapping[str, str], namespace: str) -> bool:
        """True if a policy of a namespace, of the root one for all, chooses a workload or a connected proxy."""
        wide = self._observed is not None and namespace == self._observed.root
        known = (self._labels, self._seen_labels, self._connected, self._listed)
        where = {name for names in known for name in names} if wide else {namespace}
        return any(
            self.selects(labels, each) or self.connected(labels, each) or self._lists(labels, each)
            for each in where
        )

    def served(self, labels: Mapping[str, str], namespace: str) -> Iterator[ServedAt]:
        """Where workloads of a namespace that carry all the labels are served, as far as services list or select them."""
        entries = [self._objects[ref] for ref in self._labels.get(namespace, ())]
        declared = [
            ({**each.spec.labels, **each.metadata.labels}, each.spec.ports)
            for each in entries
            if isinstance(each.spec, WorkloadEntry)
        ]
        for ref in self._listed.get(namespace, ()):
            spec = self._objects[ref].spec
            wanted = spec.workload_selector.labels if spec.workload_selector else None
            listed = [(each.labels, each.ports) for each in spec.endpoints]
            chosen = [each for each in declared if wanted is not None and wanted.items() <= each[0].items()]
            for carried, ports in (*listed, *chosen):
                if labels.items() <= carried.items():
                    for port in spec.ports:
                        target = ports.get(port.name, port.target_port or port.number)
                        yield ServedAt(spec.hosts[0], port.number, target)
        for service in self._observed.services if self._observed else ():
            if service.namespace == namespace:
                yield from self._seen_served(service, labels)

    def _seen_served(self, service: Service, labels: Mapping[str, str]) -> Iterator[ServedAt]:
        wanted = service.selector
        selected = [
            each.endpoint
            for each in (self._observed.workloads if self._observed and wanted is not None else ())
            if each.namespace == service.namespace and (wanted or {}).items() <= each.endpoint.labels.items()
        ]
        for endpoint in (*service.endpoints, *selected):
            if labels.items() <= endpoint.labels.items():
                for port in service.ports:
                    yield ServedAt(service.hostname, port.number, endpoint.port_for(port))

    def _lists(self, labels: Mapping[str, str], namespace: str) -> bool:
        """True if a service of the namespace lists an endpoint with all the labels."""
        declared = (each for found in self._listed.get(namespace, {}).values() for each in found)
        carried = (*declared, *self._seen_listed.get(namespace, ()))
        return any(labels.items() <= each.items() for each in carried)

    def machines(self, group: ObjectRef) -> Collection[ObjectRef]:
        """The entries of machines that registered with a WorkloadGroup."""
        return self._machines.get(group, {}).keys()

    def routed_by(self, host: str) -> Iterable[AnyObject]:
        """VirtualServices that route exactly this host for sidecars."""
        return tuple(self._mesh_hosts.get(host, {}).values())

    def is_checked(self, host: str) -> bool:
        """True if a HealthCheck is for exactly this host."""
        return host.lower() in self._checks

    @property
    def mesh(self) -> MeshConfig:
        """The MeshConfig; an empty one if there is none."""
        return self._mesh or MeshConfig()

    def compared(self) -> Compared:
        """What AuthorizationPolicies are compared with."""
        mesh = self.mesh
        own, *told = (self._observed.trust if self._observed else ()) or ("",)
        domains = tuple(dict.fromkeys((own, *mesh.trust_domain_aliases))) if own else ()
        declared = (domain for each in mesh.ca_certificates for domain in each.trust_domains)
        believed = tuple(dict.fromkeys((*domains, *declared, *told))) if own else ()
        return Compared(domains, believed, path_normalization(mesh.path_normalization))

    def wide(self, kind: str, namespace: str) -> Iterable[AnyObject]:
        """Sidecars, PeerAuthentications, ProxyConfigs or Telemetry for a whole namespace."""
        return tuple(self._wide.get((kind, namespace), {}).values())

    def referring(self, obj: AnyObject) -> Iterable[AnyObject]:
        """Objects that may be worse off without ``obj``: those that name a host, a gateway or labels as it has them."""
        found: dict[ObjectRef, None] = {}
        for name in _offers(obj, self.domain):
            found |= self._mentions.get(name, {})
        return [self._objects[ref] for ref in found if ref != obj.ref]

    def _entries(self, obj: AnyObject) -> Iterator[tuple[dict[Any, dict[ObjectRef, Any]], Any, Any]]:
        """Where an object stands in the indices: which one, under what name, and what is said there."""
        spec, namespace = obj.spec, obj.metadata.namespace
        match spec:
            case ServiceEntry():
                numbers = frozenset(port.number for port in spec.ports)
                for host in spec.hosts:
                    yield self._ports, resolve_host(host, namespace, self.domain).lower(), numbers
                yield self._listed, namespace, [each.labels for each in spec.endpoints]
            case DestinationRule():
                names = frozenset(subset.name for subset in spec.subsets)
                yield self._subsets, resolve_host(spec.host, namespace, self.domain).lower(), names
            case HealthCheck():
                yield self._checks, resolve_host(spec.host, namespace, self.domain).lower(), None
            case WorkloadEntry():
                yield self._labels, namespace, {**spec.labels, **obj.metadata.labels}
                group = obj.metadata.annotations.get(GROUP, "")
                yield self._machines, ObjectRef("WorkloadGroup", namespace, group), None
            case WorkloadGroup():
                yield self._labels, namespace, spec.labels
            case VirtualService() if not spec.gateways or MESH in spec.gateways:
                for host in spec.hosts:
                    yield self._mesh_hosts, resolve_host(host, namespace, self.domain).lower(), obj
            case Sidecar() if spec.workload_selector is None:
                yield self._wide, (obj.kind, namespace), obj
            case PeerAuthentication() | ProxyConfig() | Telemetry() if spec.is_wide:
                yield self._wide, (obj.kind, namespace), obj
        for name in _needs(obj, self.domain):
            yield self._mentions, name, None


def _needs(obj: AnyObject, domain: str) -> set[str]:
    """What an object names: hosts with the wildcards that hold them, gateways, workloads of its namespace."""
    spec, namespace = obj.spec, obj.metadata.namespace
    match spec:
        case VirtualService():
            hosts = {resolve_host(each.host, namespace, domain) for _, each in destinations(spec)}
            named = {f"gateway {qualified(name, namespace)}" for _, name in gateways(spec)}
            named |= {str(ref) for _, ref in delegates(spec, namespace)}
            return named | {f"host {name}" for host in hosts for name in covering(host)}
        case DestinationRule() | HealthCheck():
            needs = {f"host {name}" for name in covering(resolve_host(spec.host, namespace, domain))}
            return needs | ({f"workloads {namespace}"} if spec.workload_selector else set())
        case ServiceEntry() | Sidecar() if spec.workload_selector is not None:
            return {f"workloads {namespace}"}
        case (
            PeerAuthentication()
            | ProxyConfig()
            | Telemetry()
            | AuthorizationPolicy()
            | RequestAuthentication()
        ):
            return {f"workloads {namespace}"} if spec.selector is not None else set()
        case RateLimit():
            targets = [(each.kind, each.name) for each in spec.target_refs]
            named = {f"gateway {namespace}/{name}" for kind, name in targets if kind is TargetKind.GATEWAY}
            rest = [name for kind, name in targets if kind is TargetKind.VIRTUAL_SERVICE]
            return named | {str(ObjectRef("VirtualService", namespace, name)) for name in rest}
    return set()


def _offers(obj: AnyObject, domain: str) -> set[str]:
    """What others may name of an object."""
    spec, namespace = obj.spec, obj.metadata.namespace
    match spec:
        case ServiceEntry():
            return {f"host {resolve_host(host, namespace, domain).lower()}" for host in spec.hosts}
        case DestinationRule() | HealthCheck():
            return {f"host {resolve_host(spec.host, namespace, domain).lower()}"}
        case VirtualService():
            return {str(obj.ref)}
        case Gateway():
            return {f"gateway {namespace}/{obj.metadata.name}"}
        case WorkloadEntry() | WorkloadGroup():
            return {f"workloads {namespace}"}
    return set()


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
