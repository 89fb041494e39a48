"""What an object names that is not there: services, ports, subsets, gateways, hosts; and rules and patches that nothing
reaches.

Such an object is valid, and is compiled: what it names may come later. Until then its owner hears of it. Each object
is a query that reads only what the object names, so a problem comes and goes with the change that makes or mends it,
and nothing is scanned. Wildcards name nothing in particular and are not checked.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from xdsd.compile.authorization.rules import is_tried
from xdsd.compile.graph import Graph
from xdsd.compile.layers.guarding import fetched, provider_of
from xdsd.compile.layers.patch_remarks import patches_in_vain
from xdsd.compile.layers.peer_policies import wide_policies
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import settings
from xdsd.compile.route_references import (
    Broken,
    Clients,
    destination_references,
    seers,
    services_of,
    virtual_service_references,
)
from xdsd.compile.rule_ports import settings_in_vain
from xdsd.compile.world import read_object, read_refs, read_service_keys
from xdsd.model.exporting import unseen
from xdsd.model.ineffective import ineffective_ports, ineffective_settings
from xdsd.model.intent import (
    AuthorizationPolicy,
    DestinationRule,
    EnvoyFilter,
    HealthCheck,
    MeshConfig,
    PeerAuthentication,
    ProxyConfig,
    RateLimit,
    RequestAuthentication,
    Sidecar,
    TrafficPolicy,
    VirtualService,
)
from xdsd.model.intent.authorization_policy import DRY_RUN
from xdsd.model.intent.policy_target import GROUP
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.proxy_start import idle
from xdsd.model.singletons import misplaced
from xdsd.model.unmatched import unmatched_rules
from xdsd.model.unreachable import unreachable_rules
from xdsd.model.vain_limits import vain_limits


def broken_references(graph: Graph, ref: ObjectRef) -> None:
    """Reports what an object says in vain; reports nothing for kinds that name nothing."""
    obj = read_object(graph, ref)
    check = _CHECKS.get(type(obj.spec)) if obj is not None else None
    if obj is None or check is None:
        return
    if isinstance(obj.spec, VirtualService):
        for problem in unreachable_rules(obj.spec, ref):
            graph.report(problem)
        for problem in unmatched_rules(obj.spec, ref, settings(graph).domain):
            graph.report(problem)
    if isinstance(obj.spec, DestinationRule):
        checked = bool(_checks_of(graph, obj.spec.host, ref.namespace))
        for problem in ineffective_settings(obj.spec, ref, checked=checked):
            graph.report(problem)
    if isinstance(obj.spec, Sidecar):
        for problem in ineffective_ports(obj.spec, ref):
            graph.report(problem)
    for broken in check(graph, ref, obj.spec):
        graph.report(Problem(broken.reason, broken.message, ref, broken.path, severity=Severity.WARNING))


def _destination_rule(graph: Graph, ref: ObjectRef, spec: DestinationRule) -> Iterator[Broken]:
    if spec.host.startswith("*"):
        return
    host = resolve_host(spec.host, ref.namespace, settings(graph).domain)
    services = services_of(graph, host)
    if not services:
        yield Broken("spec.host", f"no service has the host {host}, so the rule has no effect")
        return
    hidden = unseen(seers(services), {ref.namespace})
    if hidden and ref.namespace != settings(graph).root_namespace:
        yield Broken("spec.host", f"{host} {hidden}, so the rule has no effect")
    ports = {port.number for service in services for port in service.ports}
    policies = [("spec.trafficPolicy", spec.traffic_policy)]
    policies += [
        (f"spec.subsets[{index}].trafficPolicy", subset.traffic_policy)
        for index, subset in enumerate(spec.subsets)
    ]
    for path, policy in policies:
        yield from _port_settings(policy, path, host, ports)
    yield from settings_in_vain(spec, host, [port for service in services for port in service.ports])


def _checks_of(graph: Graph, host: str, namespace: str) -> tuple[ObjectRef, ...]:
    """The HealthChecks of a host."""
    return read_refs(graph, "health-checks", resolve_host(host, namespace, settings(graph).domain))


def _health_check(graph: Graph, ref: ObjectRef, spec: HealthCheck) -> Iterator[Broken]:
    host = resolve_host(spec.host, ref.namespace, settings(graph).domain)
    services = services_of(graph, host)
    ports = {port.number for service in services for port in service.ports}
    number = spec.port.number if spec.port else None
    if not services:
        yield Broken("spec.host", f"no service has the host {host}, so nothing is checked")
    elif number is not None and number not in ports:
        listed = ", ".join(map(str, sorted(ports))) or "none"
        yield Broken("spec.port.number", f"{host} has no port {number}; its ports are {listed}")


def _port_settings(policy: TrafficPolicy | None, path: str, host: str, ports: set[int]) -> Iterator[Broken]:
    for index, item in enumerate(policy.port_level_settings if policy else ()):
        if item.port is not None and item.port.number not in ports:
            listed = ", ".join(map(str, sorted(ports))) or "none"
            message = f"{host} has no port {item.port.number}; its ports are {listed}"
            yield Broken(f"{path}.portLevelSettings[{index}].port.number", message)


def _envoy_filter(graph: Graph, ref: ObjectRef, spec: EnvoyFilter) -> Iterator[Broken]:
    del spec
    yield from (Broken(path, message) for path, message in patches_in_vain(graph, ref))


def _sidecar(graph: Graph, ref: ObjectRef, spec: Sidecar) -> Iterator[Broken]:
    proxy = spec.outbound_traffic_policy.egress_proxy if spec.outbound_traffic_policy else None
    if proxy is not None:
        yield from destination_references(
            graph,
            ref,
            proxy,
            "spec.outboundTrafficPolicy.egressProxy",
            frozenset(),
            Clients(frozenset({ref.namespace})),
        )
    for index, listener in enumerate(spec.egress):
        for at, text in enumerate(listener.hosts):
            scope, _, host = text.rpartition("/")
            namespace = ref.namespace if scope == "." else scope
            if host.startswith("*") or namespace.startswith("~"):
                continue
            found = {key.namespace for key in read_service_keys(graph, "services-of-host", host)}
            found |= {each.namespace for each in read_refs(graph, "virtual-services", host)}
            if not found or (namespace != "*" and namespace not in found):
                where = "" if namespace == "*" else f" in namespace {namespace}"
                message = f"lets nothing in: there is no service {host}{where}"
                yield Broken(f"spec.egress[{index}].hosts[{at}]", message)


def _peer_authentication(graph: Graph, ref: ObjectRef, spec: PeerAuthentication) -> Iterator[Broken]:
    if spec.is_wide:
        first = graph.ask(wide_policies, ref.namespace)[0]
        if first != ref:
            scope = "the mesh" if ref.namespace == settings(graph).root_namespace else "the whole namespace"
            yield Broken("spec", f"has no effect: {first} is older and is for {scope} too", Reason.CONFLICT)


def _rate_limit(graph: Graph, ref: ObjectRef, spec: RateLimit) -> Iterator[Broken]:
    for problem in vain_limits(spec, ref, partial(read_object, graph)):
        yield Broken(problem.path, problem.message, problem.reason)


def _mesh_config(graph: Graph, ref: ObjectRef, spec: MeshConfig) -> Iterator[Broken]:
    del spec
    obj = read_object(graph, ref)
    for problem in misplaced(obj, settings(graph).root_namespace) if obj else ():
        yield Broken(problem.path, f"has no effect: {problem.message}", problem.reason)


def _proxy_config(graph: Graph, ref: ObjectRef, spec: ProxyConfig) -> Iterator[Broken]:
    del spec
    found = (read_object(graph, each) for each in read_refs(graph, "proxy-configs", ref.namespace))
    for problem in idle(obj for obj in found if obj is not None):
        if problem.object == ref:
            yield Broken(problem.path, problem.message, problem.reason)


def _authorization_policy(graph: Graph, ref: ObjectRef, spec: AuthorizationPolicy) -> Iterator[Broken]:
    yield from _targets(graph, ref, spec)
    if spec.provider is None:
        return
    obj = read_object(graph, ref)
    if provider_of(graph, spec.provider.name) is None:
        message = f"the MeshConfig declares no provider {spec.provider.name!r}, so all that the policy matches is refused"
        yield Broken("spec.provider.name", message)
    if obj is not None and is_tried(obj):
        message = "has no effect: what a provider would say is not tried"
        yield Broken(f"metadata.annotations[{DRY_RUN}]", message, Reason.NOT_SUPPORTED)


def _targets(
    graph: Graph, ref: ObjectRef, spec: AuthorizationPolicy | RequestAuthentication
) -> Iterator[Broken]:
    for index, target in enumerate(spec.targets):
        if target.group != GROUP or read_object(graph, ObjectRef("Gateway", ref.namespace, target.name)):
            continue
        field = f"targetRefs[{index}]" if spec.target_ref is None else "targetRef"
        message = f"there is no Gateway {ref.namespace}/{target.name}, so the object is for nothing"
        yield Broken(f"spec.{field}.name", message)


def _request_authentication(graph: Graph, ref: ObjectRef, spec: RequestAuthentication) -> Iterator[Broken]:
    yield from _targets(graph, ref, spec)
    for index, rule in enumerate(spec.jwt_rules):
        known = fetched(graph, rule.keys_at) if rule.keys_at else None
        if known is not None and known.fault:
            holds = "the keys that it had last hold" if known.jwks else "its tokens are refused"
            message = f"{rule.keys_at} {known.fault}; {holds}"
            field = "jwksUri" if rule.jwks_uri else "issuer"
            yield Broken(f"spec.jwtRules[{index}].{field}", message, Reason.UNAVAILABLE)


_CHECKS: Mapping[type, Callable[[Graph, ObjectRef, Any], Iterator[Broken]]] = MappingProxyType(
    {
        VirtualService: virtual_service_references,
        AuthorizationPolicy: _authorization_policy,
        DestinationRule: _destination_rule,
        EnvoyFilter: _envoy_filter,
        HealthCheck: _health_check,
        PeerAuthentication: _peer_authentication,
        MeshConfig: _mesh_config,
        ProxyConfig: _proxy_config,
        RateLimit: _rate_limit,
        RequestAuthentication: _request_authentication,
        Sidecar: _sidecar,
    }
)
