"""What a VirtualService names that is not there: gateways, hosts, ports, subsets, delegates."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from xdsd.compile.delegates import delegate_ref, handed_over
from xdsd.compile.gateways import GatewayServer, gateway_server, hosts_for_namespace, intersect_hosts
from xdsd.compile.graph import Graph
from xdsd.compile.matches import MESH, gateway_key
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import (
    SECTIONS,
    Section,
    exports,
    host_matches,
    is_read_somewhere,
    rule_spec,
    sections_of,
    settings,
    virtual_service_spec,
)
from xdsd.compile.world import read_object, read_refs, read_service, read_service_keys
from xdsd.model.catalog import Service
from xdsd.model.exporting import EVERYONE, audience, unseen
from xdsd.model.intent import (
    Delegate,
    Destination,
    Gateway,
    HTTPMatchRequest,
    HTTPRoute,
    HTTPRouteDestination,
    L4MatchAttributes,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)
from xdsd.model.problem import ObjectRef, Reason

HTTP_PORT = 80

_KINDS = {"http": "HTTP", "tcp": "neither HTTP nor TLS", "tls": "TLS or HTTPS"}

Match = HTTPMatchRequest | L4MatchAttributes | TLSMatchAttributes
Rule = HTTPRoute | TCPRoute | TLSRoute


class Broken(NamedTuple):
    """A field, and what is wrong with it."""

    path: str
    message: str
    reason: Reason = Reason.BROKEN_REFERENCE


class Clients(NamedTuple):
    """Whose requests are routed; with ``edge`` also those that come by gateways, which may be of any namespace."""

    namespaces: frozenset[str]
    edge: bool = False


def virtual_service_references(graph: Graph, ref: ObjectRef, spec: VirtualService) -> Iterator[Broken]:
    """Everything that a VirtualService says in vain, in the order of its fields."""
    if not spec.hosts:
        yield from _delegate(graph, ref, spec)
        return
    names = [gateway_key(name, ref.namespace) for name in spec.gateways or (MESH,)]
    for index, name in enumerate(names):
        if name != MESH:
            yield from _gateway(graph, ref, spec, name, f"spec.gateways[{index}]")
    if names == [MESH]:
        yield from _hosts(graph, ref, spec)
    for section in SECTIONS:
        yield from _section(graph, ref, spec, names, section)


def services_of(graph: Graph, host: str) -> list[Service]:
    """The services that have a host."""
    keys = read_service_keys(graph, "services-of-host", host)
    return [service for key in keys if (service := read_service(graph, key)) is not None]


def seers(services: Iterable[Service]) -> list[tuple[str, tuple[str, ...]]]:
    """Whose services they are, and to whom they are exported."""
    return [(each.namespace, each.export_to) for each in services]


def _delegate(graph: Graph, ref: ObjectRef, spec: VirtualService) -> Iterator[Broken]:
    """An object without hosts shows where those that delegate to it do, so its ports are not known here."""
    roots = read_refs(graph, "delegating", ref.namespace, ref.name)
    found = [_clients(graph, root, virtual_service_spec(graph, root)) for root in roots]
    clients = Clients(
        frozenset().union(*(each.namespaces for each in found)), any(each.edge for each in found)
    )
    if not roots:
        yield Broken(
            "spec.hosts", "is empty, and no VirtualService delegates to this one, so it has no effect"
        )
    for index, rule in enumerate(spec.http):
        for path, destination in _destinations(rule, f"spec.http[{index}]"):
            yield from destination_references(graph, ref, destination, path, frozenset(), clients)


def _delegation(
    graph: Graph, ref: ObjectRef, rule: HTTPRoute, delegate: Delegate, place: str
) -> Iterator[Broken]:
    handed = handed_over(graph, ref, rule, delegate)
    if handed.fault:
        message = (
            f"{handed.fault}, so this rule takes no requests; without another rule for them the answer is 404"
        )
        yield Broken(f"{place}.delegate", message)
    for index, conflict in handed.conflicts:
        target = delegate_ref(delegate, ref.namespace)
        where = f"spec.http[{index}].{conflict.path} of {target}"
        yield Broken(f"{place}.delegate", f"{where} is out of reach: {conflict.message}", Reason.CONFLICT)


def _rules(spec: VirtualService, section: Section) -> Sequence[Rule]:
    if section == "http":
        return spec.http
    return spec.tcp if section == "tcp" else spec.tls


def _section(
    graph: Graph, ref: ObjectRef, spec: VirtualService, names: list[str], section: Section
) -> Iterator[Broken]:
    rules = _rules(spec, section)
    ports = _listener_ports(graph, ref, spec, names, section) if rules else frozenset()
    known = bool(rules) and _ports_are_known(graph, ref, spec, names)
    if known and not ports:
        yield Broken(f"spec.{section}", f"has no effect: no port of these hosts is {_KINDS[section]}")
    clients = _clients(graph, ref, spec)
    for index, rule in enumerate(rules):
        place = f"spec.{section}[{index}]"
        if isinstance(rule, HTTPRoute) and rule.delegate is not None:
            yield from _delegation(graph, ref, rule, rule.delegate, place)
        matches: Sequence[Match] = rule.match
        for at, match in enumerate(matches):
            sure = ports if known or section != "http" else frozenset()
            yield from _match(ref, match, f"{place}.match[{at}]", names, sure, section)
        own = {match.port for match in matches}
        arriving = frozenset(port for port in own if port) if None not in own and own else ports
        for path, destination in _destinations(rule, place):
            yield from destination_references(graph, ref, destination, path, arriving, clients)


def _match(
    ref: ObjectRef, match: Match, place: str, names: list[str], ports: frozenset[int], section: Section
) -> Iterator[Broken]:
    for which, name in enumerate(match.gateways):
        if gateway_key(name, ref.namespace) not in names:
            what = "request" if section == "http" else "connection"
            path = f"{place}.gateways[{which}]"
            yield Broken(path, f"{name!r} is none of spec.gateways, so no {what} matches through it")
    if match.port and ports and match.port not in ports:
        listed = ", ".join(map(str, sorted(ports)))
        message = f"nothing matches: {match.port} is no port of these hosts that is {_KINDS[section]}; there are {listed}"
        yield Broken(f"{place}.port", message)


def _destinations(rule: Rule, place: str) -> Iterator[tuple[str, Destination]]:
    shares: Sequence[HTTPRouteDestination | RouteDestination] = rule.route
    for at, each in enumerate(shares):
        yield f"{place}.route[{at}].destination", each.destination
    if isinstance(rule, HTTPRoute):
        for at, mirror in enumerate(rule.mirrors):
            yield f"{place}.mirrors[{at}].destination", mirror.destination
        if rule.mirror is not None:
            yield f"{place}.mirror", rule.mirror


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
    servers = [gateway_server(gateway, index, server) for index, server in enumerate(obj.spec.servers)]
    return obj.spec, servers


def _hosts(graph: Graph, ref: ObjectRef, spec: VirtualService) -> Iterator[Broken]:
    for index, host in enumerate(spec.hosts):
        full = resolve_host(host, ref.namespace, settings(graph).domain)
        if not host.startswith("*") and not services_of(graph, full):
            where = "on port 80 or beside other hosts only" if spec.http else "beside other hosts only"
            message = f"no service has the host {full}, so it is routed {where}"
            yield Broken(f"spec.hosts[{index}]", message)


def _listener_ports(
    graph: Graph, ref: ObjectRef, spec: VirtualService, names: Iterable[str], section: Section
) -> frozenset[int]:
    """The ports on which what a section routes arrives; a destination without a port means the same one."""
    ports: set[int] = set()
    for name in names:
        gateway, servers = _servers(graph, name) if name != MESH else (None, [])
        if gateway is not None:
            ports.update(
                gateway.servers[server.index].port.number for server in servers if section == server.section
            )
        elif name == MESH:
            found = _service_ports(graph, ref, spec, section)
            free = section == "http" and not _all_are_services(graph, ref, spec)
            ports |= found or ({HTTP_PORT} if free else set())
    return frozenset(ports)


def _service_ports(graph: Graph, ref: ObjectRef, spec: VirtualService, section: Section) -> set[int]:
    return {
        port.number
        for service in _own_services(graph, ref, spec)
        for port in service.ports
        if section in sections_of(port.protocol)
        or (section == "http" and is_read_somewhere(graph, service.hostname, port))
    }


def _own_services(graph: Graph, ref: ObjectRef, spec: VirtualService) -> list[Service]:
    hosts = [resolve_host(host, ref.namespace, settings(graph).domain) for host in spec.hosts]
    return [service for host in hosts for service in services_of(graph, host)]


def _all_are_services(graph: Graph, ref: ObjectRef, spec: VirtualService) -> bool:
    """True if services have all the hosts; others are routed on the HTTP port where nothing says a better one."""
    hosts = [resolve_host(host, ref.namespace, settings(graph).domain) for host in spec.hosts]
    return all(services_of(graph, host) for host in hosts)


def _ports_are_known(graph: Graph, ref: ObjectRef, spec: VirtualService, names: list[str]) -> bool:
    """True if services for all hosts, and all gateways, are there, so that what has no port has none."""
    if any(name != MESH and _servers(graph, name)[0] is None for name in names):
        return False
    return MESH not in names or (
        not any(host.startswith("*") for host in spec.hosts) and bool(_own_services(graph, ref, spec))
    )


def _clients(graph: Graph, ref: ObjectRef, spec: VirtualService) -> Clients:
    """Whose requests a VirtualService routes: of the namespaces that it is exported to by name, else of its own."""
    names = [gateway_key(name, ref.namespace) for name in spec.gateways or (MESH,)]
    edges = {name.partition("/")[0] for name in names if name != MESH}
    if MESH not in names:
        return Clients(frozenset(edges | {ref.namespace}), edge=True)
    exported = audience(exports(graph, ref, spec.export_to), ref.namespace)
    own = frozenset({ref.namespace}) if EVERYONE in exported else exported
    return Clients(own | edges, edge=bool(edges))


def destination_references(
    graph: Graph, ref: ObjectRef, to: Destination, path: str, arriving: frozenset[int], clients: Clients
) -> Iterator[Broken]:
    """What a destination names in vain; without a port of its own it means the one at which requests arrive."""
    host = resolve_host(to.host, ref.namespace, settings(graph).domain)
    services = services_of(graph, host)
    if not services:
        yield Broken(f"{path}.host", f"no service has the host {host}, so nothing arrives there")
        return
    hidden = unseen(seers(services), clients.namespaces, edge=clients.edge)
    if hidden:
        yield Broken(f"{path}.host", f"{host} {hidden}, so nothing arrives there")
    ports = {port.number for service in services for port in service.ports}
    listed = ", ".join(map(str, sorted(ports))) or "none"
    if to.port is not None and to.port.number not in ports:
        yield Broken(f"{path}.port.number", f"{host} has no port {to.port.number}; its ports are {listed}")
    elif to.port is None and len(ports) != 1 and arriving - ports:
        missing = min(arriving - ports)
        message = f"is missing: requests arrive at port {missing}, which {host} does not have; its ports are {listed}"
        yield Broken(f"{path}.port", message)
    if to.subset and not any(to.subset == name for name in _subsets(graph, host)):
        message = (
            f"no DestinationRule of {host} defines the subset {to.subset!r}, so nothing arrives there: "
            "requests are answered with 503, connections are closed"
        )
        yield Broken(f"{path}.subset", message)


def _subsets(graph: Graph, host: str) -> Iterator[str]:
    for ref in read_refs(graph, "destination-rules", host):
        yield from (subset.name for subset in rule_spec(graph, ref).subsets)
    for ref in read_refs(graph, "wildcard-destination-rules"):
        rule = rule_spec(graph, ref)
        if host_matches(rule.host, host):
            yield from (subset.name for subset in rule.subsets)
