"""What is odd about objects beside each other: pure checks of some objects against all that are there with
them.

All of these are warnings. The published API lets objects be applied in any order, so what one refers to may
come later; until then the reference has no effect, or what is sent there is answered with an error, and its
author should know. So should who wrote a rule that nothing reaches. What refuses an object is told by its own
messages, and by the rules that ``Intents`` is given.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from xdsd.intents.referring import delegates, destinations, gateways, sections
from xdsd.intents.world import EVERYONE, MESH, Observed, World, covering, qualified
from xdsd.manifest import AnyObject
from xdsd.model.exporting import rivals, unseen
from xdsd.model.hosts import resolve_host
from xdsd.model.ineffective import ineffective_ports, ineffective_servers, ineffective_settings
from xdsd.model.intent import (
    AuthorizationPolicy,
    Destination,
    DestinationRule,
    Gateway,
    HealthCheck,
    MeshConfig,
    PeerAuthentication,
    PortSelector,
    ProxyConfig,
    RateLimit,
    RequestAuthentication,
    ServiceEntry,
    Sidecar,
    Telemetry,
    VirtualService,
)
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.unmatched import unmatched_rules
from xdsd.model.unreachable import unreachable_rules
from xdsd.model.vain_limits import vain_limits
from xdsd.model.vain_policies import vain_values
from xdsd.model.vain_ports import vain_ports
from xdsd.model.vain_telemetry import vain_defaults, vain_telemetry

__all__ = ["Observed", "World", "machines_lost", "warnings"]


def warnings(world: World, objects: Iterable[AnyObject]) -> tuple[Problem, ...]:
    """What is odd about ``objects``, all of which are in the world, in their order."""
    return tuple(problem for obj in objects for problem in _warnings(world, obj))


def machines_lost(world: World, group: ObjectRef, leaving: Collection[ObjectRef]) -> Iterator[Problem]:
    """What becomes of the machines of a WorkloadGroup that goes, other than of those that are ``leaving`` too."""
    count = len([each for each in world.machines(group) if each not in leaving])
    if count:
        whose = "its machine leaves" if count == 1 else f"its {count} machines leave"
        message = f"{whose} the mesh with it, until there is a group of that name again"
        yield Problem(Reason.BROKEN_REFERENCE, message, group, severity=Severity.WARNING)


def _warnings(world: World, obj: AnyObject) -> Iterator[Problem]:
    if isinstance(obj.spec, RateLimit):
        return vain_limits(obj.spec, obj.ref, world.get)
    if isinstance(obj.spec, HealthCheck):
        return _health_check(world, obj, obj.spec)
    if isinstance(obj.spec, MeshConfig):
        return vain_defaults(obj.spec, obj.ref)
    if isinstance(obj.spec, PeerAuthentication | ProxyConfig | Telemetry):
        return _of_workloads(world, obj, obj.spec)
    if isinstance(obj.spec, AuthorizationPolicy | RequestAuthentication):
        return _policy(world, obj, obj.spec)
    return _of_networking(world, obj)


def _health_check(world: World, obj: AnyObject, spec: HealthCheck) -> Iterator[Problem]:
    host = resolve_host(spec.host, obj.metadata.namespace, world.domain)
    yield from _host(world, obj, "spec.host", host)
    yield from _port(world, obj, "spec.port.number", host, spec.port)
    if spec.workload_selector is not None:
        labels = spec.workload_selector.match_labels
        yield from _selector(world, obj, "spec.workloadSelector.matchLabels", labels)


def _of_workloads(
    world: World, obj: AnyObject, spec: PeerAuthentication | ProxyConfig | Telemetry
) -> Iterator[Problem]:
    if spec.is_wide:
        yield from _overruled(world, obj)
    elif spec.selector is not None:
        yield from _selector(world, obj, "spec.selector.matchLabels", spec.selector.match_labels)
        if isinstance(spec, PeerAuthentication) and spec.port_level_mtls:
            served = world.served(spec.selector.match_labels, obj.metadata.namespace)
            yield from vain_ports(spec, obj.ref, served)
    if isinstance(spec, Telemetry):
        yield from vain_telemetry(spec, obj.ref, world.mesh)


def _policy(
    world: World, obj: AnyObject, spec: AuthorizationPolicy | RequestAuthentication
) -> Iterator[Problem]:
    labels = spec.selector.match_labels if spec.selector is not None else {}
    if not world.chosen(labels, obj.metadata.namespace):
        yield from _selector(world, obj, "spec.selector.matchLabels", labels)
    if isinstance(spec, AuthorizationPolicy):
        yield from vain_values(spec, obj.ref, world.compared())


def _overruled(world: World, obj: AnyObject) -> Iterator[Problem]:
    """An object for a whole namespace beside an older one of its kind."""
    older = [other for other in world.wide(obj.kind, obj.metadata.namespace) if other.age < obj.age]
    if older:
        first = min(older, key=lambda other: other.age)
        message = f"has no effect: {first.ref} is older and is for the whole namespace too"
        yield _warning(Reason.CONFLICT, message, obj, "spec")


def _of_networking(world: World, obj: AnyObject) -> Iterator[Problem]:
    spec = obj.spec
    if isinstance(spec, ServiceEntry):
        yield from _declared_elsewhere(world, obj, spec)
    if isinstance(spec, Sidecar):
        yield from _listeners(world, obj, spec)
    match spec:
        case VirtualService():
            for path, destination in destinations(spec):
                yield from _destination(world, obj, path, destination)
            yield from _gateways(world, obj, spec)
            yield from _delegates(world, obj, spec)
            yield from _rivals(world, obj, spec)
            yield from unreachable_rules(spec, obj.ref)
            yield from unmatched_rules(spec, obj.ref, world.domain)
        case DestinationRule():
            host = resolve_host(spec.host, obj.metadata.namespace, world.domain)
            if not host.startswith("*"):
                yield from _host(world, obj, "spec.host", host)
            yield from ineffective_settings(spec, obj.ref, checked=world.is_checked(host))
            if spec.workload_selector is not None:
                labels = spec.workload_selector.match_labels
                yield from _selector(world, obj, "spec.workloadSelector.matchLabels", labels)
        case ServiceEntry() | Sidecar() if spec.workload_selector is not None:
            yield from _selector(world, obj, "spec.workloadSelector.labels", spec.workload_selector.labels)
        case Sidecar():
            yield from _overruled(world, obj)
        case Gateway():
            yield from ineffective_servers(spec, obj.ref)


def _listeners(world: World, obj: AnyObject, spec: Sidecar) -> Iterator[Problem]:
    policy = spec.outbound_traffic_policy
    if policy is not None and policy.egress_proxy is not None:
        yield from _destination(world, obj, "spec.outboundTrafficPolicy.egressProxy", policy.egress_proxy)
    yield from ineffective_ports(spec, obj.ref)


def _destination(world: World, obj: AnyObject, path: str, destination: Destination) -> Iterator[Problem]:
    host = resolve_host(destination.host, obj.metadata.namespace, world.domain)
    yield from _host(world, obj, f"{path}.host", host)
    hidden = unseen(world.exports(host), *world.clients(obj))
    if hidden:
        message = f"{host} {hidden}, so nothing arrives there"
        yield _warning(Reason.BROKEN_REFERENCE, message, obj, f"{path}.host")
    if destination.subset:
        subsets = world.subsets(host, obj.metadata.namespace)
        if destination.subset not in subsets:
            known = f"; there are {', '.join(sorted(subsets))}" if subsets else ""
            message = (
                f"no DestinationRule of {host} defines the subset {destination.subset!r}, so nothing arrives there: "
                f"requests are answered with 503, connections are closed{known}"
            )
            yield _warning(Reason.BROKEN_REFERENCE, message, obj, f"{path}.subset")
    yield from _port(world, obj, f"{path}.port.number", host, destination.port)


def _port(world: World, obj: AnyObject, path: str, host: str, port: PortSelector | None) -> Iterator[Problem]:
    ports = world.ports(host)
    number = port.number if port else None
    if ports and number is not None and number not in ports:
        known = ", ".join(map(str, sorted(ports)))
        message = f"{host} has no port {number}; its ports are {known}"
        yield _warning(Reason.BROKEN_REFERENCE, message, obj, path)


def _host(world: World, obj: AnyObject, path: str, host: str) -> Iterator[Problem]:
    if world.observed and world.ports(host) is None:
        message = f"nothing declares the host {host}: no ServiceEntry and no registry"
        yield _warning(Reason.BROKEN_REFERENCE, message, obj, path)


def _gateways(world: World, obj: AnyObject, spec: VirtualService) -> Iterator[Problem]:
    namespace = obj.metadata.namespace
    for path, name in gateways(spec):
        gateway = world.gateway(name, namespace)
        if gateway is None:
            message = f"there is no Gateway {qualified(name, namespace)}"
            yield _warning(Reason.BROKEN_REFERENCE, message, obj, path)
        elif path.startswith("spec.gateways"):
            owner = qualified(name, namespace).partition("/")[0]
            yield from _unserved(obj, spec, gateway, owner, qualified(name, namespace))


def _delegates(world: World, obj: AnyObject, spec: VirtualService) -> Iterator[Problem]:
    for path, ref in delegates(spec, obj.metadata.namespace):
        other = world.get(ref)
        if other is None:
            fault = f"there is no {ref}"
        elif other.spec.hosts:
            fault = f"{ref} has hosts of its own; a delegate has none"
        elif not world.visible(other, obj.metadata.namespace):
            fault = f"{ref} is not exported to namespace {obj.metadata.namespace}"
        else:
            continue
        message = f"{fault}, so this rule takes no requests; without another rule for them the answer is 404"
        yield _warning(Reason.BROKEN_REFERENCE, message, obj, path)


def _unserved(
    obj: AnyObject, spec: VirtualService, gateway: Gateway, owner: str, name: str
) -> Iterator[Problem]:
    """Hosts that no server of a gateway takes; hosts for sidecars too are not meant for it alone."""
    if MESH in spec.gateways:
        return
    served = [
        host for server in gateway.servers for host in _open_to(server.hosts, owner, obj.metadata.namespace)
    ]
    for index, host in enumerate(spec.hosts):
        if not any(_overlap(host, each) for each in served):
            message = f"no server of Gateway {name} is for {host!r} of namespace {obj.metadata.namespace}"
            yield _warning(Reason.BROKEN_REFERENCE, message, obj, f"spec.hosts[{index}]")


def _open_to(hosts: Iterable[str], owner: str, namespace: str) -> Iterator[str]:
    for host in hosts:
        scope, slash, name = host.rpartition("/")
        if not slash or scope in ("*", namespace) or (scope == "." and owner == namespace):
            yield name


def _overlap(one: str, other: str) -> bool:
    return one.lower() in covering(other) or other.lower() in covering(one)


def _rivals(world: World, obj: AnyObject, spec: VirtualService) -> Iterator[Problem]:
    if spec.gateways and MESH not in spec.gateways:
        return
    for index, host in enumerate(spec.hosts):
        name = resolve_host(host, obj.metadata.namespace, world.domain).lower()
        older = [
            other
            for other in world.routed_by(name)
            if other.age < obj.age and _meet(world, other, obj) and sections(other.spec) & sections(spec)
        ]
        if older:
            first = min(older, key=lambda other: other.age)
            message = f"sidecars that see {first.ref} too route {name} as that says, since it is older"
            yield _warning(Reason.CONFLICT, message, obj, f"spec.hosts[{index}]")


def _declared_elsewhere(world: World, obj: AnyObject, spec: ServiceEntry) -> Iterator[Problem]:
    """Entries of one namespace are one service; of two namespaces clients have one or the other."""
    namespace = obj.metadata.namespace
    for index, host in enumerate(spec.hosts):
        name = resolve_host(host, namespace, world.domain).lower()
        older = [
            other
            for other in world.declared_by(name)
            if other.metadata.namespace != namespace and other.age < obj.age
        ]
        met = [other for other in older if rivals(world.exported(other), world.exported(obj))]
        if met:
            first = min(met, key=lambda other: other.age)
            message = (
                f"{first.ref} declares {name} too and is older: clients outside of namespace {namespace} that see both have"
                " its endpoints alone"
            )
            yield _warning(Reason.CONFLICT, message, obj, f"spec.hosts[{index}]")


def _meet(world: World, one: AnyObject, other: AnyObject) -> bool:
    """True if some namespace sees both."""
    seen = world.audience(one), world.audience(other)
    return EVERYONE in seen or bool(seen[0] & seen[1])


def _selector(world: World, obj: AnyObject, path: str, labels: Mapping[str, str]) -> Iterator[Problem]:
    """Proxies are selected by what they say of themselves, declared or not; services select what is declared."""
    namespace = obj.metadata.namespace
    if not world.observed or not labels or world.selects(labels, namespace):
        return
    wanted = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    message = f"no declared workload of namespace {namespace} carries {wanted}"
    if isinstance(obj.spec, ServiceEntry):
        message = f"selects nothing: {message}"
    elif world.connected(labels, namespace):
        return
    else:
        message = f"selects nothing yet: {message}, nor does a proxy that is connected here"
    yield _warning(Reason.BROKEN_REFERENCE, message, obj, path)


def _warning(reason: Reason, message: str, obj: AnyObject, path: str) -> Problem:
    return Problem(reason, message, obj.ref, path, severity=Severity.WARNING)
