"""What an object names that is not there: services, ports, subsets, gateways, hosts; and rules that nothing reaches.

Such an object is valid, and is compiled: what it names may come later. Until then its owner hears of it. Each object
is a query that reads only what the object names, so a problem comes and goes with the change that makes or mends it,
and nothing is scanned. Wildcards name nothing in particular and are not checked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from xdsd.compile.gateways import GatewayServer, hosts_for_namespace, intersect_hosts
from xdsd.compile.graph import Graph
from xdsd.compile.matches import MESH, gateway_key
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import host_matches, rule_spec, settings
from xdsd.compile.world import read_object, read_refs, read_service, read_service_keys
from xdsd.model.catalog import Protocol, Service
from xdsd.model.intent import (
    Destination,
    DestinationRule,
    Gateway,
    Sidecar,
    TrafficPolicy,
    VirtualService,
)
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.unreachable import unreachable_rules

HTTP_PORT = 80


class Broken(NamedTuple):
    """A field, and what is wrong with it."""

    path: str
    message: str


def broken_references(graph: Graph, ref: ObjectRef) -> None:
    """Reports what an object says in vain; reports nothing for kinds that name nothing."""
    obj = read_object(graph, ref)
    check = _CHECKS.get(type(obj.spec)) if obj is not None else None
    if obj is None or check is None:
        return
    if isinstance(obj.spec, VirtualService):
        for problem in unreachable_rules(obj.spec, ref):
            graph.report(problem)
    for broken in check(graph, ref, obj.spec):
        problem = Problem(
            Reason.BROKEN_REFERENCE, broken.message, ref, broken.path, severity=Severity.WARNING
        )
        graph.report(problem)


def _virtual_service(graph: Graph, ref: ObjectRef, spec: VirtualService) -> Iterator[Broken]:
    names = [gateway_key(name, ref.namespace) for name in spec.gateways or (MESH,)]
    for index, name in enumerate(names):
        if name != MESH:
            yield from _gateway(graph, ref, spec, name, f"spec.gateways[{index}]")
    if names == [MESH]:
        yield from _hosts(graph, ref, spec)
    ports = _listener_ports(graph, ref, spec, names)
    for index, rule in enumerate(spec.http):
        place = f"spec.http[{index}]"
        for at, match in enumerate(rule.match):
            for which, name in enumerate(match.gateways):
                if gateway_key(name, ref.namespace) not in names:
                    path = f"{place}.match[{at}].gateways[{which}]"
                    yield Broken(path, f"{name!r} is none of spec.gateways, so no request matches through it")
        named = [(f"{place}.route[{at}].destination", each.destination) for at, each in enumerate(rule.route)]
        named += [
            (f"{place}.mirrors[{at}].destination", each.destination) for at, each in enumerate(rule.mirrors)
        ]
        if rule.mirror is not None:
            named.append((f"{place}.mirror", rule.mirror))
        for path, destination in named:
            yield from _destination(graph, ref, destination, path, ports)


def _gateway(graph: Graph, ref: ObjectRef, spec: VirtualService, name: str, path: str) -> Iterator[Broken]:
    gateway, servers = _servers(graph, name)
    if gateway is None:
        yield Broken(path, f"there is no Gateway {name}, so nothing is served through it")
        return
    domain = settings(graph).domain
    own = [resolve_host(host, ref.namespace, domain).lower() for host in spec.hosts]
    if not any(intersect_hosts(hosts_for_namespace(server, ref.namespace), own) for server in servers):
        yield Broken(
            path, f"no server of Gateway {name} has any of these hosts for namespace {ref.namespace}"
        )


def _servers(graph: Graph, name: str) -> tuple[Gateway | None, list[GatewayServer]]:
    gateway = ObjectRef("Gateway", *name.split("/", 1))
    obj = read_object(graph, gateway)
    if obj is None:
        return None, []
    servers = [
        GatewayServer(gateway, index, Protocol(server.port.protocol.upper()), server.hosts)
        for index, server in enumerate(obj.spec.servers)
    ]
    return obj.spec, servers


def _hosts(graph: Graph, ref: ObjectRef, spec: VirtualService) -> Iterator[Broken]:
    for index, host in enumerate(spec.hosts):
        full = resolve_host(host, ref.namespace, settings(graph).domain)
        if not host.startswith("*") and not _services(graph, full):
            message = f"no service has the host {full}, so it is routed on port 80 or beside other hosts only"
            yield Broken(f"spec.hosts[{index}]", message)


def _listener_ports(
    graph: Graph, ref: ObjectRef, spec: VirtualService, names: Iterable[str]
) -> frozenset[int]:
    """The ports on which requests to these hosts arrive; a destination without a port means the same one."""
    ports: set[int] = set()
    for name in names:
        gateway, _ = _servers(graph, name) if name != MESH else (None, [])
        if gateway is not None:
            ports.update(server.port.number for server in gateway.servers)
        elif name == MESH:
            ports |= _service_ports(graph, ref, spec) or {HTTP_PORT}
    return frozenset(ports)


def _service_ports(graph: Graph, ref: ObjectRef, spec: VirtualService) -> set[int]:
    hosts = [resolve_host(host, ref.namespace, settings(graph).domain) for host in spec.hosts]
    found = [service for host in hosts for service in _services(graph, host)]
    return {port.number for service in found for port in service.ports if port.protocol.is_http}


def _destination(
    graph: Graph, ref: ObjectRef, to: Destination, path: str, arriving: frozenset[int]
) -> Iterator[Broken]:
    host = resolve_host(to.host, ref.namespace, settings(graph).domain)
    services = _services(graph, host)
    if not services:
        yield Broken(f"{path}.host", f"no service has the host {host}, so nothing arrives there")
        return
    ports = {port.number for service in services for port in service.ports}
    listed = ", ".join(map(str, sorted(ports))) or "none"
    if to.port is not None and to.port.number not in ports:
        yield Broken(f"{path}.port.number", f"{host} has no port {to.port.number}; its ports are {listed}")
    elif to.port is None and len(ports) != 1 and arriving - ports:
        missing = min(arriving - ports)
        message = f"is missing: requests arrive at port {missing}, which {host} does not have; its ports are {listed}"
        yield Broken(f"{path}.port", message)
    if to.subset and not any(to.subset == name for name in _subsets(graph, host)):
        yield Broken(f"{path}.subset", f"no DestinationRule of {host} defines the subset {to.subset!r}")


def _subsets(graph: Graph, host: str) -> Iterator[str]:
    for ref in read_refs(graph, "destination-rules", host):
        yield from (subset.name for subset in rule_spec(graph, ref).subsets)
    for ref in read_refs(graph, "wildcard-destination-rules"):
        rule = rule_spec(graph, ref)
        if host_matches(rule.host, host):
            yield from (subset.name for subset in rule.subsets)


def _destination_rule(graph: Graph, ref: ObjectRef, spec: DestinationRule) -> Iterator[Broken]:
    if spec.host.startswith("*"):
        return
    host = resolve_host(spec.host, ref.namespace, settings(graph).domain)
    services = _services(graph, host)
    if not services:
        yield Broken("spec.host", f"no service has the host {host}, so the rule has no effect")
        return
    ports = {port.number for service in services for port in service.ports}
    policies = [("spec.trafficPolicy", spec.traffic_policy)]
    policies += [
        (f"spec.subsets[{index}].trafficPolicy", subset.traffic_policy)
        for index, subset in enumerate(spec.subsets)
    ]
    for path, policy in policies:
        yield from _port_settings(policy, path, host, ports)


def _port_settings(policy: TrafficPolicy | None, path: str, host: str, ports: set[int]) -> Iterator[Broken]:
    for index, item in enumerate(policy.port_level_settings if policy else ()):
        if item.port is not None and item.port.number not in ports:
            listed = ", ".join(map(str, sorted(ports))) or "none"
            message = f"{host} has no port {item.port.number}; its ports are {listed}"
            yield Broken(f"{path}.portLevelSettings[{index}].port.number", message)


def _sidecar(graph: Graph, ref: ObjectRef, spec: Sidecar) -> Iterator[Broken]:
    proxy = spec.outbound_traffic_policy.egress_proxy if spec.outbound_traffic_policy else None
    if proxy is not None:
        yield from _destination(graph, ref, proxy, "spec.outboundTrafficPolicy.egressProxy", frozenset())
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


def _services(graph: Graph, host: str) -> list[Service]:
    keys = read_service_keys(graph, "services-of-host", host)
    return [service for key in keys if (service := read_service(graph, key)) is not None]


_CHECKS: Mapping[type, Callable[[Graph, ObjectRef, Any], Iterator[Broken]]] = MappingProxyType(
    {VirtualService: _virtual_service, DestinationRule: _destination_rule, Sidecar: _sidecar}
)
