"""What an object names that is not there: services, ports, subsets, gateways, hosts; and rules and patches that nothing
reaches.

Such an object is valid, and is compiled: what it names may come later. Until then its owner hears of it. Each object
is a query that reads only what the object names, so a problem comes and goes with the change that makes or mends it,
and nothing is scanned. Wildcards name nothing in particular and are not checked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from xdsd.compile.authorization.rules import is_tried
from xdsd.compile.graph import Graph
from xdsd.compile.layers.guarding import fetched, provider_of
from xdsd.compile.layers.observing import collector_target, wide_telemetry
from xdsd.compile.layers.patch_remarks import patches_in_vain
from xdsd.compile.layers.peer_policies import wide_policies
from xdsd.compile.layers.peers import let_in, trusted
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import is_own, is_read_somewhere, settings
from xdsd.compile.route_references import (
    Broken,
    Clients,
    destination_references,
    seers,
    services_of,
    virtual_service_references,
)
from xdsd.compile.rule_ports import settings_in_vain
from xdsd.compile.world import read_mesh_default, read_object, read_refs, read_service, read_service_keys
from xdsd.model.catalog import Port, Protocol
from xdsd.model.exporting import unseen
from xdsd.model.ineffective import ineffective_ports, ineffective_servers, ineffective_settings
from xdsd.model.intent import (
    AuthorizationPolicy,
    DestinationRule,
    EnvoyFilter,
    Gateway,
    HealthCheck,
    Inspection,
    MeshConfig,
    PeerAuthentication,
    ProxyConfig,
    RateLimit,
    RequestAuthentication,
    Sidecar,
    Telemetry,
    TrafficPolicy,
    VirtualService,
)
from xdsd.model.intent.authorization_policy import DRY_RUN
from xdsd.model.intent.base import published_name
from xdsd.model.intent.extension_provider import MeshExtensionProvider
from xdsd.model.intent.policy_target import GROUP
from xdsd.model.intent.telemetry_provider import Collector, speaks_grpc
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.proxy_start import idle
from xdsd.model.singletons import misplaced
from xdsd.model.unmatched import unmatched_rules
from xdsd.model.unreachable import unreachable_rules
from xdsd.model.vain_limits import vain_limits
from xdsd.model.vain_policies import Compared, path_normalization, vain_values
from xdsd.model.vain_telemetry import vain_defaults, vain_telemetry


def rules_in_vain(graph: Graph, ref: ObjectRef) -> None:
    """Reports the rules of a VirtualService that nothing reaches, whatever is beside it. Of thousands this is a step of its
    own.
    """
    obj = read_object(graph, ref)
    if obj is None or not isinstance(obj.spec, VirtualService):
        return
    for problem in unreachable_rules(obj.spec, ref):
        graph.report(problem)
    for problem in unmatched_rules(obj.spec, ref, settings(graph).domain):
        graph.report(problem)


def broken_references(graph: Graph, ref: ObjectRef) -> None:
    """Reports what an object says in vain beside others; reports nothing for kinds that name nothing."""
    obj = read_object(graph, ref)
    check = _CHECKS.get(type(obj.spec)) if obj is not None else None
    if obj is not None and isinstance(obj.spec, Gateway):
        for problem in ineffective_servers(obj.spec, ref):
            graph.report(problem)
    if obj is None or check is None:
        return
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
    spoken = [_spoken(graph, host, port) for service in services for port in service.ports]
    yield from settings_in_vain(spec, host, spoken)


def _spoken(graph: Graph, host: str, port: Port) -> Port:
    """The port as proxies speak to it: where they read TLS, they begin it themselves, around requests."""
    return replace(port, protocol=Protocol.HTTP) if is_read_somewhere(graph, host, port) else port


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


def _inspection(graph: Graph, ref: ObjectRef, spec: Inspection) -> Iterator[Broken]:
    obj = read_object(graph, ref)
    for problem in misplaced(obj, settings(graph).root_namespace) if obj else ():
        yield Broken(problem.path, f"has no effect: {problem.message}", problem.reason)
    for index, host in enumerate(spec.hosts):
        path = f"spec.hosts[{index}]"
        if is_own(host, settings(graph).domain, settings(graph).trust_domain):
            message = f"has no effect: {host} is of the mesh, where no program's sidecar stands for others"
            yield Broken(path, message, Reason.INVALID_VALUE)
            continue
        if host.startswith("*"):
            continue
        services = services_of(graph, host)
        ports = {port.number for each in services for port in each.ports if port.protocol.is_tls}
        if not ports.intersection(spec.served):
            wanted = " or ".join(map(str, spec.served))
            message = f"has no effect: no service has the host {host} with TLS or HTTPS at port {wanted}"
            yield Broken(path, f"{message}; declare a ServiceEntry")


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
    obj = read_object(graph, ref)
    for problem in misplaced(obj, settings(graph).root_namespace) if obj else ():
        yield Broken(problem.path, f"has no effect: {problem.message}", problem.reason)
    for problem in vain_defaults(spec, ref):
        yield Broken(problem.path, problem.message, problem.reason)
    for index, provider in enumerate(spec.extension_providers):
        yield from _collector(graph, provider, f"spec.extensionProviders[{index}]")


def _collector(graph: Graph, provider: MeshExtensionProvider, path: str) -> Iterator[Broken]:
    """A provider that is told of requests, but cannot be."""
    said = provider.logger or provider.tracer
    if not isinstance(said, Collector):
        return
    kind = next(name for name in type(provider).model_fields if getattr(provider, name) is said)
    place = f"{path}.{published_name(kind)}"
    target = graph.ask(collector_target, said.service, said.port)
    service = read_service(graph, target.key) if target is not None else None
    port = service.port(said.port) if service is not None else None
    if port is None:
        message = f"no service {said.service} has a port {said.port}, so nothing is told there"
        yield Broken(f"{place}.service", message)
    elif speaks_grpc(said) and port.protocol not in (Protocol.GRPC, Protocol.HTTP2):
        message = (
            f"port {said.port} of {said.service} speaks {port.protocol}, and gRPC needs GRPC or HTTP2 there"
        )
        yield Broken(f"{place}.port", message, Reason.CONFLICT)


def _telemetry(graph: Graph, ref: ObjectRef, spec: Telemetry) -> Iterator[Broken]:
    yield from _targets(graph, ref, spec)
    mesh = MeshConfig(extension_providers=read_mesh_default(graph, "extension_providers") or ())
    for problem in vain_telemetry(spec, ref, mesh):
        yield Broken(problem.path, problem.message, problem.reason)
    first = graph.ask(wide_telemetry, ref.namespace)
    if spec.is_wide and first not in (None, ref):
        scope = "the mesh" if ref.namespace == settings(graph).root_namespace else "the whole namespace"
        yield Broken("spec", f"has no effect: {first} is older and is for {scope} too", Reason.CONFLICT)


def _proxy_config(graph: Graph, ref: ObjectRef, spec: ProxyConfig) -> Iterator[Broken]:
    del spec
    found = (read_object(graph, each) for each in read_refs(graph, "proxy-configs", ref.namespace))
    for problem in idle(obj for obj in found if obj is not None):
        if problem.object == ref:
            yield Broken(problem.path, problem.message, problem.reason)


def _authorization_policy(graph: Graph, ref: ObjectRef, spec: AuthorizationPolicy) -> Iterator[Broken]:
    yield from _targets(graph, ref, spec)
    paths = path_normalization(read_mesh_default(graph, "path_normalization"))
    compared = Compared(graph.ask(trusted), graph.ask(let_in), paths)
    for problem in vain_values(spec, ref, compared):
        yield Broken(problem.path, problem.message, problem.reason)
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
    graph: Graph, ref: ObjectRef, spec: AuthorizationPolicy | RequestAuthentication | Telemetry
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
        Inspection: _inspection,
        PeerAuthentication: _peer_authentication,
        MeshConfig: _mesh_config,
        ProxyConfig: _proxy_config,
        RateLimit: _rate_limit,
        RequestAuthentication: _request_authentication,
        Sidecar: _sidecar,
        Telemetry: _telemetry,
    }
)
