"""Which objects concern a service: what declares it, what clients do with it, and what its workloads live by.

Objects that are attached to others concern what those do: the Gateways at which a VirtualService leads here, and limits and
policies of either.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xdsd.authorization.applying import Subject, applying, tokens_for
from xdsd.manifest import AnyObject
from xdsd.model.catalog import Endpoint, Service
from xdsd.model.global_names import is_global
from xdsd.model.hosts import resolve_host
from xdsd.model.intent import (
    AuthorizationPolicy,
    DestinationRule,
    EnvoyFilter,
    Gateway,
    HealthCheck,
    Peer,
    PeerAuthentication,
    ProxyConfig,
    RateLimit,
    RequestAuthentication,
    Residency,
    ServiceEntry,
    Sidecar,
    Telemetry,
    VirtualService,
    WorkloadGroup,
)
from xdsd.model.intent.kinds import NETWORKING
from xdsd.model.intent.virtual_service import MESH
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import ObjectRef


@dataclass(frozen=True, slots=True)
class Concern:
    """An object and how it concerns a service."""

    ref: ObjectRef
    how: str


def concerning(
    objects: Iterable[AnyObject], service: Service, endpoints: Sequence[Endpoint], settings: MeshSettings
) -> list[Concern]:
    """The objects that concern a service, by kind and age. Policies count where they are for any of its workloads."""
    objects = list(objects)
    scene = _Scene(service, endpoints, settings, objects)
    found = [(obj, how) for obj in objects if (how := scene.how(obj))]
    return [Concern(obj.ref, how) for obj, how in sorted(found, key=lambda each: (each[0].kind, each[0].age))]


class _Scene:
    """A service and what objects are held against."""

    def __init__(
        self,
        service: Service,
        endpoints: Sequence[Endpoint],
        settings: MeshSettings,
        objects: Sequence[AnyObject],
    ) -> None:
        self._service = service
        self._settings = settings
        self._subjects = [Subject(service.namespace, labels) for labels in _distinct(endpoints)]
        routing = [each for each in objects if isinstance(each.spec, VirtualService) and self._routes(each)]
        self._ways = {each.ref for each in routing}
        self._entrances = {
            ObjectRef(Gateway.__name__, *name) for each in routing for name in _gateways(each) if name
        }
        self._sidecars = {self._sidecar(objects, each.labels) for each in self._subjects}
        self._kinds: Mapping[type, Callable[[AnyObject], str]] = {
            AuthorizationPolicy: self._authorization,
            DestinationRule: self._rule,
            EnvoyFilter: self._patch,
            Gateway: lambda obj: "lets requests to it in" if obj.ref in self._entrances else "",
            HealthCheck: lambda obj: self._host(obj, obj.spec.host, "checks its endpoints"),
            Peer: self._peer,
            PeerAuthentication: self._mutual,
            ProxyConfig: lambda obj: self._selects(obj, "starts its proxies", root=True),
            RateLimit: self._limit,
            RequestAuthentication: self._tokens,
            Residency: self._residency,
            ServiceEntry: self._entry,
            Sidecar: self._scope,
            Telemetry: self._telemetry,
            VirtualService: self._routes,
            WorkloadGroup: self._group,
        }

    def how(self, obj: AnyObject) -> str:
        """How an object concerns the service; empty if it does not."""
        judge = self._kinds.get(type(obj.spec))
        return judge(obj) if judge else ""

    def _entry(self, obj: AnyObject) -> str:
        if obj.metadata.namespace != self._service.namespace:
            return ""
        return "declares it" if any(self._means(obj, host) for host in obj.spec.hosts) else ""

    def _routes(self, obj: AnyObject) -> str:
        if any(self._means(obj, host, wild=True) for host in obj.spec.hosts):
            where = f" at the gateways {', '.join(obj.spec.gateways)}" if obj.spec.gateways else ""
            return f"routes what is sent to it{where}"
        return (
            "sends requests to it" if any(self._means(obj, host) for host in _destinations(obj.spec)) else ""
        )

    def _rule(self, obj: AnyObject) -> str:
        return self._host(obj, obj.spec.host, "says how it is called")

    def _host(self, obj: AnyObject, host: str, how: str) -> str:
        whose = f", by workloads with {_labels(chosen)}" if (chosen := _selected(obj.spec)) else ""
        return f"{how}{whose}" if self._means(obj, host, wild=True) else ""

    def _mutual(self, obj: AnyObject) -> str:
        return self._selects(obj, f"mutual TLS {_mode(obj.spec)}", root=True)

    def _telemetry(self, obj: AnyObject) -> str:
        if obj.spec.targets or (
            obj.metadata.namespace == self._settings.root_namespace and not obj.spec.is_wide
        ):
            return ""
        return self._selects(obj, "says what its proxies tell", root=True)

    def _limit(self, obj: AnyObject) -> str:
        if not obj.spec.target_refs:
            return self._selects(obj, "limits requests", root=True)
        targets = (
            ObjectRef(each.kind.value, obj.metadata.namespace, each.name) for each in obj.spec.target_refs
        )
        met = [each for each in targets if each in self._ways or each in self._entrances]
        return f"limits requests on their way by {met[0]}" if met else ""

    def _patch(self, obj: AnyObject) -> str:
        return "" if obj.spec.target_refs else self._selects(obj, "patches its proxies", root=True)

    def _scope(self, obj: AnyObject) -> str:
        if obj.ref not in self._sidecars:
            return ""
        return self._selects(obj, "says what its workloads take and reach", root=True)

    def _sidecar(self, objects: Sequence[AnyObject], labels: Mapping[str, str]) -> ObjectRef | None:
        """The Sidecar of a workload: the oldest that selects it, else its namespace's, else the root namespace's."""
        own = self._service.namespace
        found = [
            (not _selected(each.spec), each.metadata.namespace != own, each.age, each.ref)
            for each in objects
            if isinstance(each.spec, Sidecar)
            and (each.metadata.namespace == own or (self._is_root(each) and not _selected(each.spec)))
            and _selected(each.spec).items() <= dict(labels).items()
        ]
        return min(found)[-1] if found else None

    def _peer(self, obj: AnyObject) -> str:
        name, _, rest = self._service.hostname.partition(".")
        namespace = self._service.namespace
        if is_global(self._service.hostname):
            taken = any(each.covers(namespace, name) for each in obj.spec.imports)
            given = any(each.covers(namespace, name) for each in obj.spec.exports)
            return (
                "shares it"
                if taken and given
                else "serves it too"
                if taken
                else "is offered it"
                if given
                else ""
            )
        ours = rest == f"{namespace}.svc.{self._settings.domain}"
        offered = ours and any(each.covers(namespace, name) for each in obj.spec.exports)
        return f"is offered it as {name}.{namespace}.global" if offered else ""

    def _residency(self, obj: AnyObject) -> str:
        name = self._service.hostname.partition(".")[0]
        ours = obj.metadata.namespace == self._service.namespace and is_global(self._service.hostname)
        regions = ", ".join(obj.spec.regions)
        return f"keeps it in {regions}" if ours and obj.spec.covers(name) else ""

    def _group(self, obj: AnyObject) -> str:
        labels, wanted = obj.spec.labels, self._service.selector
        ours = obj.metadata.namespace == self._service.namespace
        return "machines of it are endpoints" if ours and wanted and wanted.items() <= labels.items() else ""

    def _authorization(self, obj: AnyObject) -> str:
        root = self._settings.root_namespace
        says = f"says who may call it ({(obj.spec.action or 'ALLOW')})"
        if any(applying([obj], subject, root) for subject in self._subjects):
            return says
        return f"{says} at {met}" if (met := self._attached(obj)) else ""

    def _tokens(self, obj: AnyObject) -> str:
        root = self._settings.root_namespace
        if any(tokens_for([obj], subject, root) for subject in self._subjects):
            return "checks tokens"
        return f"checks tokens at {met}" if (met := self._attached(obj)) else ""

    def _attached(self, obj: AnyObject) -> str:
        """The Gateway on the way here that a policy is attached to."""
        found = (
            ObjectRef(Gateway.__name__, obj.metadata.namespace, each.name)
            for each in obj.spec.targets
            if each.group == NETWORKING
        )
        return next((str(each) for each in found if each in self._entrances), "")

    def _selects(self, obj: AnyObject, how: str, *, root: bool) -> str:
        """``how`` where the object's selector chooses a workload of the service."""
        places = {self._service.namespace, *([self._settings.root_namespace] if root else [])}
        if obj.metadata.namespace not in places:
            return ""
        wanted = _selected(obj.spec)
        if not wanted:
            return f"{how}, as everywhere in {'the mesh' if self._is_root(obj) else 'its namespace'}"
        chosen = any(wanted.items() <= dict(subject.labels).items() for subject in self._subjects)
        return f"{how}, of workloads with {_labels(wanted)}" if chosen else ""

    def _is_root(self, obj: AnyObject) -> bool:
        return bool(obj.metadata.namespace == self._settings.root_namespace)

    def _means(self, obj: AnyObject, host: str, *, wild: bool = False) -> bool:
        name = resolve_host(host, obj.metadata.namespace, self._settings.domain)
        if wild and name.startswith("*"):
            return self._service.hostname.endswith(name[1:])
        return name == self._service.hostname


def _distinct(endpoints: Iterable[Endpoint]) -> list[Mapping[str, str]]:
    found = {tuple(sorted(each.labels.items())): each.labels for each in endpoints}
    return list(found.values()) or [{}]


def _gateways(obj: AnyObject) -> Iterator[tuple[str, str]]:
    """The Gateways, by namespace and name, at which a VirtualService is in force."""
    rules = (match for rule in (*obj.spec.http, *obj.spec.tls, *obj.spec.tcp) for match in rule.match)
    for name in (*obj.spec.gateways, *(name for match in rules for name in match.gateways)):
        if name != MESH:
            namespace, slash, rest = name.partition("/")
            yield (namespace, rest) if slash else (obj.metadata.namespace, name)


def _destinations(spec: VirtualService) -> Iterator[str]:
    for rule in spec.http:
        yield from (each.destination.host for each in rule.route if each.destination)
        yield from (each.destination.host for each in rule.mirrors if each.destination)
        if rule.mirror:
            yield rule.mirror.host
    for rules in (spec.tcp, spec.tls):
        for other in rules:
            yield from (each.destination.host for each in other.route if each.destination)


def _selected(spec: Any) -> Mapping[str, str]:  # Any: kinds name their selectors differently
    selector = getattr(spec, "workload_selector", None) or getattr(spec, "selector", None)
    labels = getattr(selector, "match_labels", None) or getattr(selector, "labels", None)
    return labels or {}


def _mode(spec: PeerAuthentication) -> str:
    return str(spec.mtls.mode) if spec.mtls and spec.mtls.mode else "as above it"


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
