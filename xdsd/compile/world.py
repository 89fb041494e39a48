"""The inputs of the compiler: objects, services, endpoints and proxies, and the indexes by which queries
find them.

Object inputs are keyed by reference and indexes hold references only, so editing an object without moving it
touches what reads that object, not what reads the index. ``flush`` sets the indexes that changed, once a
batch.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from xdsd.compile.claimants import Claimants
from xdsd.compile.credential_names import rule_credentials
from xdsd.compile.dividing import count_of
from xdsd.compile.dns import given_addresses
from xdsd.compile.graph import Graph
from xdsd.compile.locality import compared_labels, default_labels, is_zone_aware
from xdsd.compile.matches import MESH, gateway_key
from xdsd.compile.names import resolve_host
from xdsd.model.admin_page import admin_port
from xdsd.model.catalog import Departed, Endpoint, NodeAt, Service, ServiceKey
from xdsd.model.intent import (
    AuthorizationPolicy,
    DestinationRule,
    EnvoyFilter,
    Gateway,
    HealthCheck,
    Inspection,
    LabelSelector,
    MeshConfig,
    Object,
    PeerAuthentication,
    ProxyConfig,
    RateLimit,
    RequestAuthentication,
    Sidecar,
    TargetKind,
    Telemetry,
    VirtualService,
)
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.intent.policy_target import GATEWAY_NAME, KUBERNETES
from xdsd.model.mesh import MeshSettings, Proxy
from xdsd.model.problem import ObjectRef
from xdsd.model.virtual_addresses import VirtualAddresses, addresses_at

AnyObject = Object[Any]  # Any: the kind decides the spec's type; readers name the one they want

Key = tuple[str, ...]
"""An index: its name, and what is looked up."""

MANY_RULES = 100
"""HTTP rules of a VirtualService that are read at once; of more, so many a step."""

_BY_NAMESPACE: Mapping[type, str] = MappingProxyType(
    {
        EnvoyFilter: "envoy-filters",
        Inspection: "inspections",
        PeerAuthentication: "peer-authentications",
        ProxyConfig: "proxy-configs",
        Sidecar: "sidecars",
        Telemetry: "telemetries",
    }
)
"""The indexes of kinds whose objects are looked up by their namespace alone."""


class World:
    """Writes the inputs; queries read them through the module's functions.

    ``checks`` are queries that every object is watched with, for the problems that they report.
    """

    def __init__(
        self, graph: Graph, settings: MeshSettings, checks: Sequence[Callable[[Graph, ObjectRef], None]] = ()
    ) -> None:
        self._graph = graph
        self._settings = settings
        self._checks = tuple(checks)
        self._indexed: dict[ObjectRef, frozenset[Key]] = {}
        self._index: dict[Key, set[ObjectRef]] = {}
        self._service_indexed: dict[ServiceKey, frozenset[Key]] = {}
        self._service_index: dict[Key, set[ServiceKey]] = {}
        self._labels: dict[str, Counter[str]] = {
            "route-labels": Counter(),
            "gateway-labels": Counter(),
            "near-labels": Counter(),
        }
        self._labelled: dict[ObjectRef, dict[str, frozenset[str]]] = {}
        self._touched: dict[Key, None] = {}
        self._claimants = Claimants(settings.virtual_addresses)
        self._open: dict[ServiceKey, Service] = {}
        self._mesh_configs: dict[ObjectRef, MeshConfig] = {}
        self._default_export: tuple[str, ...] = ()
        self._nodes_at: dict[str, tuple[NodeAt, ...]] = {}
        self._proxies_at: dict[str, set[str]] = {}

    def configure(self, settings: MeshSettings) -> None:
        """Other settings from now on, all but the domain, by which objects are indexed."""
        self._settings = settings
        self._graph.set(("settings",), settings)
        self._set_defaults()

    def put_object(self, obj: AnyObject) -> None:
        """Adds or replaces an object."""
        ref = obj.ref
        known = self._graph.peek(("object", ref))
        if known is not None and known.age != obj.age:
            self._touched.update(dict.fromkeys(self._indexed[ref]))
        self._graph.set(("object", ref), obj)
        self._reindex(self._indexed, self._index, ref, frozenset(self._index_keys(obj)))
        self._relabel(ref, _selector_labels(obj))
        if isinstance(obj.spec, MeshConfig):
            self._mesh_configs[ref] = obj.spec
            self._set_defaults()
        for check in self._checks:
            self._graph.watch(self._graph.cell(check, ref))

    def drop_object(self, ref: ObjectRef) -> None:
        self._reindex(self._indexed, self._index, ref, frozenset())
        self._relabel(ref, {})
        self._graph.set(("object", ref), None)
        if self._mesh_configs.pop(ref, None) is not None:
            self._set_defaults()
        for check in self._checks:
            self._graph.unwatch(self._graph.cell(check, ref))

    def put_service(self, key: ServiceKey, service: Service | None) -> None:
        """Adds, replaces or (None) removes a service; its endpoints are an input of their own. One that says not whom it
        is exported to is so to those that the mesh says.
        """
        if service is not None and not service.export_to:
            self._open[key] = service
            service = replace(service, export_to=self._default_export) if self._default_export else service
        else:
            self._open.pop(key, None)
        self._put_service(key, service)

    def _put_service(self, key: ServiceKey, service: Service | None) -> None:
        keys = frozenset(_service_index_keys(service)) if service else frozenset()
        self._reindex(self._service_indexed, self._service_index, key, keys)
        self._claimants.put(key, service)
        self._graph.set(("service", key), service)

    def _set_defaults(self) -> None:
        """Sets each value of the MeshConfig that counts, if there is one, as an input of its own: what reads one of them
        hears nothing of the others.
        """
        spec = self._mesh_configs.get(mesh_config_ref(self._settings))
        for name in MeshConfig.model_fields:
            value = getattr(spec, name) if spec else None
            self._graph.set(("mesh", name), value if value not in ((), {}) else None)
        exported = spec.default_service_export_to if spec else ()
        if exported != self._default_export:
            self._default_export = exported
            for key, service in list(self._open.items()):
                self.put_service(key, service)

    @property
    def admin_port(self) -> int:
        """Where proxies have their admin pages, as far as the MeshConfig says."""
        spec = self._mesh_configs.get(mesh_config_ref(self._settings))
        return admin_port(spec.default_config if spec else None)

    @property
    def reached_networks(self) -> frozenset[str]:
        """The networks that have gateways."""
        spec = self._mesh_configs.get(mesh_config_ref(self._settings))
        return frozenset(spec.networks) if spec else frozenset()

    def put_endpoints(self, key: ServiceKey, endpoints: tuple[Endpoint, ...]) -> None:
        self._graph.set(("endpoints", key), endpoints or None)
        self._graph.set(("pieces", key), count_of(len(endpoints)) or None)

    def put_services_at(self, address: str, keys: Iterable[ServiceKey]) -> None:
        """Which services have an endpoint at an address: how a sidecar knows what it fronts."""
        self._graph.set(("services-at", address), tuple(sorted(keys)) or None)

    def put_nodes_at(self, address: str, nodes: tuple[NodeAt, ...]) -> None:
        """The nodes of the workloads at an address; an input only while a proxy has it."""
        if nodes:
            self._nodes_at[address] = nodes
        else:
            self._nodes_at.pop(address, None)
        if address in self._proxies_at:
            self._graph.set(("nodes-at", address), nodes or None)

    def put_departed(self, address: str, left: tuple[Departed, ...]) -> None:
        """What left an address not long ago."""
        self._graph.set(("departed", address), left or None)

    def service(self, key: ServiceKey) -> Service | None:
        """A service as it was put last; None if there is none."""
        return cast("Service | None", self._graph.peek(("service", key)))

    def endpoints(self, key: ServiceKey) -> tuple[Endpoint, ...]:
        """The endpoints of a service as they were put last."""
        return self._graph.peek(("endpoints", key)) or ()

    def put_proxy(self, node_id: str, proxy: Proxy | None) -> None:
        before = cast("Proxy | None", self._graph.peek(("proxy", node_id)))
        if before is not None and (proxy is None or proxy.address != before.address):
            known = self._proxies_at[before.address]
            known.discard(node_id)
            if not known:
                del self._proxies_at[before.address]
                self._graph.set(("nodes-at", before.address), None)
        if proxy is not None:
            self._proxies_at.setdefault(proxy.address, set()).add(node_id)
            self._graph.set(("nodes-at", proxy.address), self._nodes_at.get(proxy.address))
        self._graph.set(("proxy", node_id), proxy)

    def given_addresses(self, namespace: str, host: str) -> tuple[str, ...]:
        """The addresses that the mesh gives to a host of a namespace; none to one that has its own, or is unknown."""
        key = ServiceKey(namespace, resolve_host(host, namespace, self._settings.domain))
        service = self.service(key)
        displaced = self._graph.peek(("displaced-hosts",)) or {}
        attempt = displaced.get(key.hostname, 0)
        virtual = addresses_at(key.hostname, attempt, self._settings.virtual_addresses)
        return given_addresses(service, virtual) if service else ()

    def flush(self) -> None:
        """Sets the index inputs that changed since the last flush."""
        for key in self._touched:
            refs = self._index.get(key)
            services = self._service_index.get(key)
            if refs:
                objects = sorted(
                    (cast("AnyObject", self._graph.peek(("object", ref))) for ref in refs), key=_age
                )
                self._graph.set(key, tuple(obj.ref for obj in objects))
            elif services:
                self._graph.set(key, tuple(sorted(services)))
            else:
                self._graph.set(key, None)
        if any(key[0] == "virtual-services" for key in self._touched):
            hosts = sorted(key[1] for key in self._index if key[0] == "virtual-services")
            self._graph.set(("virtual-service-hosts",), tuple(hosts) or None)
        self._touched.clear()
        displaced = self._claimants.displaced()
        if displaced is not None:
            self._graph.set(("displaced-hosts",), dict(displaced) or None)
        for name, counter in self._labels.items():
            self._graph.set((name,), frozenset(counter) or None)

    def _reindex(
        self,
        indexed: dict[Any, frozenset[Key]],
        index: dict[Key, set[Any]],
        member: Any,  # Any: an ObjectRef or a ServiceKey, as the index
        keys: frozenset[Key],
    ) -> None:
        before = indexed.get(member, frozenset())
        for key in before - keys:
            index[key].discard(member)
            if not index[key]:
                del index[key]
            self._touched[key] = None
        for key in keys - before:
            index.setdefault(key, set()).add(member)
            self._touched[key] = None
        if keys:
            indexed[member] = keys
        else:
            indexed.pop(member, None)

    def _relabel(self, ref: ObjectRef, labels: dict[str, frozenset[str]]) -> None:
        for name, keys in self._labelled.pop(ref, {}).items():
            counter = self._labels[name]
            counter.subtract(keys)
            for label in [label for label in keys if counter[label] <= 0]:
                del counter[label]
        for name, keys in labels.items():
            self._labels[name].update(keys)
        if labels:
            self._labelled[ref] = labels

    def _index_keys(self, obj: AnyObject) -> Iterable[Key]:
        namespace = obj.metadata.namespace
        spec = obj.spec
        yield from _guard_keys(spec, namespace)
        if isinstance(spec, VirtualService):
            yield from self._virtual_service_keys(spec, namespace)
        elif isinstance(spec, DestinationRule):
            yield from self._host_keys("destination-rules", spec.host, namespace)
            if any(rule_credentials(spec)):
                yield ("credential-rules",)
            if is_zone_aware(spec):
                yield ("zone-aware-rules",)
        elif isinstance(spec, Gateway):
            yield ("gateways",)
        elif isinstance(spec, RateLimit):
            yield from _rate_limit_keys(spec, namespace)
        elif isinstance(spec, HealthCheck):
            yield ("health-checks", resolve_host(spec.host, namespace, self._settings.domain))
        elif type(spec) in _BY_NAMESPACE:
            yield (_BY_NAMESPACE[type(spec)], namespace)

    def _virtual_service_keys(self, spec: VirtualService, namespace: str) -> Iterable[Key]:
        if len(spec.http) > MANY_RULES:
            yield ("large-virtual-services",)
        for delegate in (rule.delegate for rule in spec.http if rule.delegate):
            yield ("delegating", delegate.namespace or namespace, delegate.name or "")
        for gateway in spec.gateways or (MESH,):
            if gateway == MESH:
                for host in spec.hosts:
                    yield from self._host_keys("virtual-services", host, namespace)
            else:
                yield ("gateway-virtual-services", gateway_key(gateway, namespace))

    def _host_keys(self, name: str, host: str, namespace: str) -> Iterable[Key]:
        if host.startswith("*"):
            yield (f"wildcard-{name}",)
        yield (name, resolve_host(host, namespace, self._settings.domain))


def _rate_limit_keys(spec: RateLimit, namespace: str) -> Iterable[Key]:
    if spec.global_ is not None:
        yield ("global-rate-limits",)
    if not spec.target_refs:
        yield ("rate-limits", namespace)
    for target in spec.target_refs:
        yield ("rate-limits-of", target.kind.value, namespace, target.name)
        if target.kind is TargetKind.VIRTUAL_SERVICE:
            yield ("rate-limits-of-virtual-services",)


def _guard_keys(spec: Any, namespace: str) -> Iterable[Key]:
    if isinstance(spec, RequestAuthentication):
        yield ("all-request-authentications",)
        name = "request-authentications"
    elif isinstance(spec, AuthorizationPolicy):
        name = "authorization-policies"
    else:
        return
    if not spec.targets:
        yield (name, namespace)
    for target in spec.targets:
        yield (f"{name}-of", target.group or "", namespace, target.name)


def _age(obj: AnyObject) -> tuple[str, str, str]:
    return obj.age


def _selector_labels(obj: AnyObject) -> dict[str, frozenset[str]]:
    """The label keys by which an object tells proxies apart, by the decision that they matter for."""
    spec = obj.spec
    if isinstance(spec, VirtualService):
        keys = {label for rule in spec.http for match in rule.match for label in match.source_labels}
        keys |= {label for rule in spec.tcp for match in rule.match for label in match.source_labels}
        keys |= {label for rule in spec.tls for match in rule.match for label in match.source_labels}
        return {"route-labels": frozenset(keys)}
    if isinstance(spec, DestinationRule):
        selected = spec.workload_selector.match_labels if spec.workload_selector else ()
        return {"route-labels": frozenset(selected), "near-labels": compared_labels(spec)}
    if isinstance(spec, HealthCheck):
        return {
            "route-labels": frozenset(spec.workload_selector.match_labels if spec.workload_selector else ())
        }
    if isinstance(spec, Gateway | RateLimit):
        selector = spec.selector.match_labels if isinstance(spec.selector, LabelSelector) else spec.selector
        return {"gateway-labels": frozenset(selector or ())}
    if isinstance(spec, MeshConfig):
        return {"near-labels": default_labels(spec)}
    return _guard_labels(spec)


def _guard_labels(spec: Any) -> dict[str, frozenset[str]]:
    if not isinstance(spec, AuthorizationPolicy | RequestAuthentication):
        return {}
    keys = set(spec.selector.match_labels if spec.selector else ())
    keys.update(GATEWAY_NAME for target in spec.targets if target.group == KUBERNETES)
    return {"gateway-labels": frozenset(keys)}


def _service_index_keys(service: Service) -> Iterable[Key]:
    yield ("services-of-host", service.hostname)
    if service.spread.is_by_node:
        yield ("services-by-node",)
    for namespace in service.export_to or ("*",):
        if namespace == "*":
            yield ("public-services",)
        elif namespace != "~":
            yield ("private-services", service.namespace if namespace == "." else namespace)


def mesh_config_ref(settings: MeshSettings) -> ObjectRef:
    """The one MeshConfig that counts."""
    return ObjectRef("MeshConfig", settings.root_namespace, NAME)


def read_mesh_default(graph: Graph, attribute: str) -> Any:  # Any: the attribute says the type
    """A value of the MeshConfig that counts; None if it is left out there or if there is no such object."""
    return graph.read(("mesh", attribute))


def read_spec(graph: Graph, ref: ObjectRef) -> Any:  # Any: the kind of the reference says the type
    """The spec of an object that an index named; LookupError if it is gone, which would be a fault of the index."""
    obj = read_object(graph, ref)
    if obj is None:
        raise LookupError(f"an index names {ref}, which is gone")
    return obj.spec


def read_object(graph: Graph, ref: ObjectRef) -> AnyObject | None:
    """An object as declared; None if there is none."""
    return cast("AnyObject | None", graph.read(("object", ref)))


def read_refs(graph: Graph, *key: str) -> tuple[ObjectRef, ...]:
    """An index of objects, older first."""
    return graph.read(key) or ()


def read_routed_hosts(graph: Graph) -> tuple[str, ...]:
    """The hosts that VirtualServices route for sidecars; some are wildcards."""
    return graph.read(("virtual-service-hosts",)) or ()


def read_service(graph: Graph, key: ServiceKey) -> Service | None:
    """A service; None if there is none."""
    return cast("Service | None", graph.read(("service", key)))


def read_pieces(graph: Graph, key: ServiceKey) -> int:
    """Into how many pieces the endpoints of a service are divided; 0 where they are not that many."""
    count: int | None = graph.read(("pieces", key))
    return count or 0


def read_endpoints(graph: Graph, key: ServiceKey) -> tuple[Endpoint, ...]:
    """The endpoints of a service, of all its ports."""
    return graph.read(("endpoints", key)) or ()


def read_nodes_at(graph: Graph, address: str) -> tuple[NodeAt, ...]:
    """The nodes of the workloads at an address that a connected proxy has."""
    return graph.read(("nodes-at", address)) or ()


def read_departed(graph: Graph, address: str) -> tuple[Departed, ...]:
    """What left an address not long ago, the first first."""
    return graph.read(("departed", address)) or ()


def read_service_keys(graph: Graph, *key: str) -> tuple[ServiceKey, ...]:
    """An index of services, in order of their keys."""
    return graph.read(key) or ()


def read_proxy(graph: Graph, node_id: str) -> Proxy | None:
    """A connected proxy; None once it is gone."""
    return cast("Proxy | None", graph.read(("proxy", node_id)))


def read_labels(graph: Graph, name: str) -> frozenset[str]:
    """The label keys that selectors mention: ``route-labels``, ``gateway-labels`` or ``near-labels``."""
    return graph.read((name,)) or frozenset()


def read_virtual_addresses(graph: Graph, host: str) -> VirtualAddresses:
    """The addresses of a host that has none of its own."""
    displaced = cast("Mapping[str, int] | None", graph.read(("displaced-hosts",)))
    network = cast("MeshSettings", graph.read(("settings",))).virtual_addresses
    return addresses_at(host, displaced.get(host, 0) if displaced else 0, network)
