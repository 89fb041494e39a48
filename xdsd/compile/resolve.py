"""Which services, rules and routes count for whom: the published API's visibility, precedence and conflict
rules.

All functions here are queries (see ``graph``): their arguments are their identity and what they read is
recorded.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

from xdsd.compile.addresses import is_unix
from xdsd.compile.graph import Graph
from xdsd.compile.names import resolve_host
from xdsd.compile.world import (
    read_labels,
    read_mesh_default,
    read_proxy,
    read_refs,
    read_service,
    read_service_keys,
    read_spec,
)
from xdsd.model.catalog import Protocol, Service, ServiceKey
from xdsd.model.intent import CaptureMode, Destination, DestinationRule, HTTPRoute, Sidecar, VirtualService
from xdsd.model.mesh import Interception, MeshSettings, Role
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

Labels = tuple[tuple[str, str], ...]
"""Labels as a key: sorted pairs."""


_EXPORTED: Mapping[str, str] = MappingProxyType(
    {
        "DestinationRule": "default_destination_rule_export_to",
        "VirtualService": "default_virtual_service_export_to",
    }
)

Section = Literal["http", "tcp", "tls"]
"""The rules of a VirtualService by what they are for: requests, opaque connections, or TLS that is passed through."""

SECTIONS: tuple[Section, ...] = ("http", "tcp", "tls")


def section_of(protocol: Protocol) -> Section:
    """The rules that are for connections of a protocol; undeclared ones are opaque unless HTTP is found in them."""
    if protocol.is_http:
        return "http"
    return "tls" if protocol.is_tls else "tcp"


def sections_of(protocol: Protocol) -> frozenset[Section]:
    """All rules that may count for ports of a protocol."""
    return frozenset({"http", "tcp"}) if protocol.is_auto else frozenset({section_of(protocol)})


class Client(NamedTuple):
    """What of proxies matters to the clusters that they have: whether they know where their clients wanted to go
    (``intercepted``), and whether they have a certificate to show (``mutual``).
    """

    intercepted: bool = True
    mutual: bool = False


class View(NamedTuple):
    """What proxies must have in common to share their outbound config; labels only as far as a selector
    mentions them. ``dns`` is where they answer programs that look names up, as address and port; empty if they do not.
    With ``vhds`` they discover virtual hosts apart from route configurations.
    ``mutual`` is true of those that proved an identity, and so have a certificate to show.
    """

    role: Role
    namespace: str
    labels: Labels
    sidecar: ObjectRef | None
    interception: Interception
    ipv6: bool = False
    bind: str = ""
    dns: str = ""
    vhds: bool = False
    mutual: bool = False

    @property
    def client(self) -> Client:
        """What of these proxies matters to their clusters."""
        sidecar = self.role is Role.SIDECAR
        return Client(sidecar and self.interception is Interception.REDIRECT, self.mutual)

    @property
    def virtual(self) -> bool:
        """True if programs may know services by the addresses that the mesh gives them, and are redirected from there."""
        return bool(self.dns) and self.interception is Interception.REDIRECT

    @property
    def wildcard(self) -> str:
        """Where these proxies listen unless told otherwise: gateways where their bootstrap says, else on every address."""
        return self.bind or ("::" if self.ipv6 else "0.0.0.0")


class EgressHosts(NamedTuple):
    """One ``namespace/host`` of a Sidecar's egress listener; both may be patterns."""

    namespace: str
    host: str


class Egress(NamedTuple):
    """One egress listener of a Sidecar.

    ``port`` 0 is the listener of all ports that have none of their own, or of a Unix socket. ``protocol``, where it is
    given, is spoken there whatever the services say.
    """

    place: int
    port: int
    protocol: Protocol | None
    bind: str
    capture: CaptureMode | None
    hosts: tuple[EgressHosts, ...]

    @property
    def on_socket(self) -> bool:
        """True for a listener on a Unix socket, which serves all ports of its services in one place."""
        return is_unix(self.bind) and not self.port


ALL_HOSTS = (EgressHosts("*", "*"),)
"""What a proxy sees that no Sidecar restricts."""

EVERYTHING = Egress(0, 0, None, "", None, ALL_HOSTS)
"""The egress of such a proxy."""


def settings(graph: Graph) -> MeshSettings:
    """What the whole mesh agrees on."""
    return cast("MeshSettings", graph.read(("settings",)))


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """True if ``labels`` has every pair of ``selector``; an empty selector selects all."""
    return all(labels.get(key) == value for key, value in selector.items())


def exported_to(export_to: Iterable[str], owner: str, client: str) -> bool:
    """True if an object of namespace ``owner`` is visible in namespace ``client``."""
    names = tuple(export_to) or ("*",)
    return any(name == "*" or name == client or (name == "." and owner == client) for name in names)


def sees(graph: Graph, client: str, ref: ObjectRef, export_to: tuple[str, ...]) -> bool:
    """True if a VirtualService or DestinationRule is visible in namespace ``client``; one that says not to whom is so as
    the mesh says.
    """
    return exported_to(exports(graph, ref, export_to), ref.namespace, client)


def exports(graph: Graph, ref: ObjectRef, export_to: tuple[str, ...]) -> tuple[str, ...]:
    """To whom a VirtualService or DestinationRule is exported, as it says, else as the mesh does."""
    return export_to or read_mesh_default(graph, _EXPORTED[ref.kind]) or ()


def host_matches(pattern: str, host: str) -> bool:
    """``*`` and ``*.example.com`` match by suffix, anything else only itself; ``host`` may be a wildcard
    itself.
    """
    return pattern == host or (pattern.startswith("*") and host.endswith(pattern[1:]))


def view_of(graph: Graph, node_id: str) -> View | None:
    """The view that a connected proxy shares; None once it is gone."""
    proxy = read_proxy(graph, node_id)
    if proxy is None:
        return None
    name = "gateway-labels" if proxy.role is Role.ROUTER else "route-labels"
    mentioned = read_labels(graph, name)
    labels = tuple(sorted((key, value) for key, value in proxy.labels.items() if key in mentioned))
    sidecar = None
    if proxy.role is Role.SIDECAR:
        sidecar = graph.ask(sidecar_for, proxy.namespace, tuple(sorted(proxy.labels.items())))
        if sidecar is not None and not graph.ask(shapes_egress, sidecar):
            sidecar = None
    ipv6 = ":" in proxy.address
    bind, dns = (proxy.bind, "") if proxy.role is Role.ROUTER else ("", proxy.dns)
    found = View(proxy.role, proxy.namespace, labels, sidecar, proxy.interception, ipv6, bind, dns)
    return found._replace(mutual=proxy.identity is not None)


def sidecar_for(graph: Graph, namespace: str, labels: Labels) -> ObjectRef | None:
    """The Sidecar that applies: the oldest that selects the workload, else the namespace's, else the root
    namespace's.
    """
    found = [ref for ref in read_refs(graph, "sidecars", namespace) if _workload_labels(graph, ref)]
    chosen = [ref for ref in found if selects(_workload_labels(graph, ref), dict(labels))]
    for ref in chosen[1:]:
        why = f"{chosen[0]} is older and selects a workload of these labels already"
        graph.report(_ignored(ref, "spec.workloadSelector", why))
    return chosen[0] if chosen else graph.ask(default_sidecar, namespace)


def default_sidecar(graph: Graph, namespace: str) -> ObjectRef | None:
    """The Sidecar of all workloads of a namespace that no other one selects."""
    for owner in dict.fromkeys((namespace, settings(graph).root_namespace)):
        found = [ref for ref in read_refs(graph, "sidecars", owner) if not _workload_labels(graph, ref)]
        for ref in found[1:]:
            why = f"{found[0]} is older and the default of namespace {owner} already"
            graph.report(_ignored(ref, "spec", why))
        if found:
            return found[0]
    return None


def _workload_labels(graph: Graph, ref: ObjectRef) -> Mapping[str, str]:
    selector = sidecar_spec(graph, ref).workload_selector
    return selector.labels if selector else {}


def sidecar_spec(graph: Graph, ref: ObjectRef) -> Sidecar:
    """The spec of a Sidecar that an index named."""
    return cast("Sidecar", read_spec(graph, ref))


def shapes_egress(graph: Graph, ref: ObjectRef) -> bool:
    """True if a Sidecar says anything about outbound traffic."""
    spec = sidecar_spec(graph, ref)
    return bool(spec.egress) or spec.outbound_traffic_policy is not None


def allow_any(graph: Graph, sidecar: ObjectRef | None) -> bool:
    """Whether destinations that nobody declared may be reached."""
    policy = sidecar_spec(graph, sidecar).outbound_traffic_policy if sidecar else None
    if policy is None or policy.mode is None:
        policy = read_mesh_default(graph, "outbound_traffic_policy")
    if policy is None or policy.mode is None:
        return settings(graph).allow_any
    allowed: bool = policy.mode.value == "ALLOW_ANY"
    return allowed


def egress_of(graph: Graph, sidecar: ObjectRef | None) -> tuple[Egress, ...]:
    """The egress listeners that apply, in the order in which they are declared."""
    declared = sidecar_spec(graph, sidecar).egress if sidecar else ()
    if sidecar is None or not declared:
        return (EVERYTHING,)
    return tuple(
        Egress(
            index,
            listener.port.number or 0 if listener.port else 0,
            Protocol(listener.port.protocol.upper()) if listener.port and listener.port.protocol else None,
            listener.bind or "",
            listener.capture_mode,
            tuple(_egress_hosts(host, sidecar.namespace) for host in listener.hosts),
        )
        for index, listener in enumerate(declared)
    )


def _egress_hosts(text: str, namespace: str) -> EgressHosts:
    scope, _, host = text.rpartition("/")
    return EgressHosts(namespace if scope in {".", ""} else scope, host)


def imports(hosts: Iterable[EgressHosts], key: ServiceKey) -> bool:
    """True if one of an egress listener's hosts lets this service in; ``~`` lets nothing in."""
    return any(
        entry.namespace in {"*", key.namespace} and host_matches(entry.host, key.hostname) for entry in hosts
    )


def scope_services(graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...]) -> tuple[ServiceKey, ...]:
    """The services that a namespace sees and egress hosts let in, by host. Of one host declared twice, the
    namespace's own counts, else the older.
    """
    found: dict[str, ServiceKey] = {}
    for key in _seen_services(graph, namespace, hosts):
        if hosts == ALL_HOSTS or imports(hosts, key):
            other = found.setdefault(key.hostname, key)
            if other != key:
                found[key.hostname] = _preferred(graph, namespace, other, key)
    return tuple(found[host] for host in sorted(found))


def _seen_services(graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...]) -> Iterator[ServiceKey]:
    """Services that a namespace sees: all of them, or where every egress host is named in full only those of the names."""
    names = [entry.host for entry in hosts]
    if any(name.startswith("*") for name in names):
        yield from read_service_keys(graph, "public-services")
        yield from read_service_keys(graph, "private-services", namespace)
        return
    for name in dict.fromkeys(names):
        for key in read_service_keys(graph, "services-of-host", name):
            service = read_service(graph, key)
            if service and exported_to(service.export_to, key.namespace, namespace):
                yield key


def _preferred(graph: Graph, namespace: str, one: ServiceKey, other: ServiceKey) -> ServiceKey:
    def rank(key: ServiceKey) -> tuple[bool, str, ServiceKey]:
        service = read_service(graph, key)
        return (key.namespace != namespace, service.created if service else "", key)

    return min(one, other, key=rank)


def service_for(graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], host: str) -> ServiceKey | None:
    """The service that a fully qualified host means to clients of a namespace; one that egress hosts let in, if any."""
    visible: list[ServiceKey] = []
    for key in read_service_keys(graph, "services-of-host", host):
        service = read_service(graph, key)
        if service and exported_to(service.export_to, key.namespace, namespace):
            visible.append(key)
    candidates = [key for key in visible if imports(hosts, key)] or visible
    best = candidates[0] if candidates else None
    for key in candidates[1:]:
        best = _preferred(graph, namespace, best, key) if best else key
    return best


def rules_for(graph: Graph, namespace: str, labels: Labels, key: ServiceKey) -> tuple[ObjectRef, ...]:
    """The DestinationRules that apply to a service for clients of a namespace, the one whose policy counts
    first.

    The client's namespace is asked first, then the service's, then the root; in each, the exact host before
    the longest wildcard. Rules of one namespace for the same host count together: the oldest gives the
    policy, all give subsets.
    """
    exact = read_refs(graph, "destination-rules", key.hostname)
    wildcard = read_refs(graph, "wildcard-destination-rules")
    if not exact and not wildcard:
        return ()
    root = settings(graph).root_namespace
    for owner in dict.fromkeys((namespace, key.namespace, root)):
        for candidates in (exact, wildcard):
            found = [
                (ref, spec)
                for ref in candidates
                if ref.namespace == owner
                and (spec := _rule_applies(graph, ref, namespace, labels, key)) is not None
            ]
            if found:
                return _best_rules(found)
    return ()


def _rule_applies(
    graph: Graph, ref: ObjectRef, namespace: str, labels: Labels, key: ServiceKey
) -> DestinationRule | None:
    spec = rule_spec(graph, ref)
    if spec.host.startswith("*") and not host_matches(spec.host, key.hostname):
        return None
    if not sees(graph, namespace, ref, spec.export_to):
        return None
    if spec.workload_selector and spec.workload_selector.match_labels:
        applies = ref.namespace == namespace and selects(spec.workload_selector.match_labels, dict(labels))
        return spec if applies else None
    return spec


def _best_rules(found: list[tuple[ObjectRef, DestinationRule]]) -> tuple[ObjectRef, ...]:
    def selector(spec: DestinationRule) -> bool:
        return bool(spec.workload_selector and spec.workload_selector.match_labels)

    selected = [(ref, spec) for ref, spec in found if selector(spec)] or found
    longest = (
        max(len(spec.host) for _, spec in selected if spec.host.startswith("*"))
        if all(spec.host.startswith("*") for _, spec in selected)
        else 0
    )
    return tuple(ref for ref, spec in selected if not longest or len(spec.host) == longest)


def rule_spec(graph: Graph, ref: ObjectRef) -> DestinationRule:
    """The spec of a DestinationRule that an index named."""
    return cast("DestinationRule", read_spec(graph, ref))


def merged_rule(graph: Graph, refs: tuple[ObjectRef, ...]) -> DestinationRule | None:
    """The rules of one host as one: the first one's policy, every subset whose name is not taken yet."""
    if not refs:
        return None
    first = rule_spec(graph, refs[0])
    if len(refs) == 1:
        return first
    subsets = {subset.name: subset for subset in first.subsets}
    for ref in refs[1:]:
        spec = rule_spec(graph, ref)
        if spec.traffic_policy is not None:
            why = f"{refs[0]} is older and decides the policy of {spec.host}"
            graph.report(_ignored(ref, "spec.trafficPolicy", why))
        for index, subset in enumerate(spec.subsets):
            if subsets.setdefault(subset.name, subset) is not subset:
                why = f"an older rule already defines {subset.name!r}"
                graph.report(_ignored(ref, f"spec.subsets[{index}].name", why))
    return first.model_copy(update={"subsets": tuple(subsets.values())})


def _ignored(ref: ObjectRef, path: str, why: str) -> Problem:
    return Problem(Reason.CONFLICT, f"has no effect: {why}", ref, path, severity=Severity.WARNING)


def _routed(graph: Graph, ref: ObjectRef, older: ObjectRef, host: str) -> Problem:
    """A host of an object that an older one routes; the path is that of its closest name."""
    domain = settings(graph).domain
    names = [resolve_host(each, ref.namespace, domain) for each in virtual_service_spec(graph, ref).hosts]
    fitting = [index for index, name in enumerate(names) if host_matches(name, host)]
    index = max(fitting, key=lambda each: (not names[each].startswith("*"), len(names[each])), default=0)
    return _ignored(ref, f"spec.hosts[{index}]", f"{older} is older and routes {host} already")


def virtual_service_for(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], host: str, section: Section = "http"
) -> ObjectRef | None:
    """The VirtualService that routes a host for sidecars of a namespace: of those that egress hosts let in and that have
    rules of the ``section``, that of the exact host, else of the longest wildcard; the oldest.
    """
    exact = [
        ref
        for ref in read_refs(graph, "virtual-services", host)
        if _routes_for(graph, ref, namespace, hosts, host, section)
    ]
    if exact:
        for ref in exact[1:]:
            graph.report(_routed(graph, ref, exact[0], host))
        return exact[0]
    best: tuple[int, ObjectRef] | None = None
    for ref in read_refs(graph, "wildcard-virtual-services"):
        wildcards = (each for each in virtual_service_spec(graph, ref).hosts if each.startswith("*"))
        longest = max((len(pattern) for pattern in wildcards if host_matches(pattern, host)), default=0)
        if not longest or not _routes_for(graph, ref, namespace, hosts, host, section):
            continue
        if best and longest == best[0]:
            graph.report(_routed(graph, ref, best[1], host))
        elif best is None or longest > best[0]:
            best = (longest, ref)
    return best[1] if best else None


def _routes_for(
    graph: Graph,
    ref: ObjectRef,
    namespace: str,
    hosts: tuple[EgressHosts, ...],
    host: str,
    section: Section,
) -> bool:
    spec = virtual_service_spec(graph, ref)
    if not {"http": spec.http, "tcp": spec.tcp, "tls": spec.tls}[section]:
        return False
    return sees(graph, namespace, ref, spec.export_to) and imports(hosts, ServiceKey(ref.namespace, host))


def virtual_service_spec(graph: Graph, ref: ObjectRef) -> VirtualService:
    """The spec of a VirtualService that an index named."""
    return cast("VirtualService", read_spec(graph, ref))


def request_destinations(rule: HTTPRoute) -> Iterator[Destination]:
    """Where a rule leads, copies included."""
    yield from (entry.destination for entry in rule.route)
    yield from (entry.destination for entry in rule.mirrors)
    if rule.mirror is not None:
        yield rule.mirror


def destination_service(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], owner: str, host: str
) -> tuple[str, Service | None]:
    """What a destination's host means in an object of namespace ``owner``: the full host, and the service if
    there is one.
    """
    full = resolve_host(host, owner, settings(graph).domain)
    key = graph.ask(service_for, namespace, hosts, full)
    return full, read_service(graph, key) if key else None
