"""What a view may reach: its services, in shards and by port, and who wins where two want one port."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple
from zlib import crc32

from xdsd.compile.delegates import routing
from xdsd.compile.dns import wants_address
from xdsd.compile.graph import Graph
from xdsd.compile.layers.unknown import egress_proxy
from xdsd.compile.names import outbound_route_name
from xdsd.compile.resolve import (
    ALL_HOSTS,
    SECTIONS,
    Egress,
    EgressHosts,
    Section,
    View,
    destination_service,
    egress_of,
    imports,
    request_destinations,
    scope_services,
    service_for,
    virtual_service_for,
    virtual_service_spec,
)
from xdsd.compile.sidecar_bindings import egress_binding
from xdsd.compile.world import read_routed_hosts, read_service
from xdsd.model.catalog import Port, Protocol, Service, ServiceKey
from xdsd.model.global_names import is_global
from xdsd.model.intent import Destination
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

SHARDS = 64
"""Parts into which the services of a view are divided, so that no step of the compiler is long."""


class Claim(NamedTuple):
    """A service that wants a port. Older services come first."""

    created: str
    key: ServiceKey
    port: Port


class PortClaims(NamedTuple):
    """Who gets a port number: services routed by host, services told apart by SNI, and plain TCP ones.

    Undeclared ones are among those routed by host; what they carry unread besides is no matter of routes.
    """

    http: tuple[Claim, ...]
    tls: tuple[Claim, ...]
    tcp: tuple[Claim, ...]


def view_hosts(graph: Graph, view: View) -> tuple[EgressHosts, ...]:
    """All egress hosts of a view, whatever their listener."""
    return tuple(
        dict.fromkeys(hosts for egress in graph.ask(egress_of, view.sidecar) for hosts in egress.hosts)
    )


def view_services(graph: Graph, view: View) -> tuple[ServiceKey, ...]:
    """Every service of which a view has clusters: those in scope, and where routes in scope lead; one a host."""
    hosts = graph.ask(view_hosts, view)
    services = graph.ask(scope_services, view.namespace, hosts)
    if view.sidecar is None:
        return services
    found = {key.hostname: key for key in services}
    for key in services:
        for target in graph.ask(route_targets, view.namespace, hosts, key.hostname):
            found.setdefault(target.hostname, target)
    for hostname in read_routed_hosts(graph):
        if graph.ask(service_for, view.namespace, hosts, hostname) is None:
            for target in graph.ask(route_targets, view.namespace, hosts, hostname):
                found.setdefault(target.hostname, target)
    proxy = graph.ask(egress_proxy, view)
    if proxy is not None:
        _, service = graph.ask(
            destination_service, view.namespace, ALL_HOSTS, view.sidecar.namespace, proxy.host
        )
        if service is not None:
            found.setdefault(service.key.hostname, service.key)
    return tuple(found.values())


def route_targets(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], host: str
) -> tuple[ServiceKey, ...]:
    """The services to which the VirtualServices of a host send requests and connections."""
    found: dict[ServiceKey, None] = {}
    for section in SECTIONS:
        ref = graph.ask(virtual_service_for, namespace, hosts, host, section)
        if ref is None:
            continue
        for owner, destination in _destinations(graph, ref, section):
            _, service = graph.ask(destination_service, namespace, hosts, owner, destination.host)
            if service is not None:
                found[service.key] = None
    return tuple(found)


def _destinations(graph: Graph, ref: ObjectRef, section: Section) -> Iterator[tuple[str, Destination]]:
    """Where rules of a section lead, and the namespace in which that is meant."""
    if section == "http":
        for rule in routing(graph, ref).rules:
            yield from ((rule.owner.namespace, each) for each in request_destinations(rule.rule))
    else:
        spec = virtual_service_spec(graph, ref)
        shares = (share for rule in (spec.tcp if section == "tcp" else spec.tls) for share in rule.route)
        yield from ((ref.namespace, share.destination) for share in shares)


def sharded_services(graph: Graph, view: View) -> tuple[tuple[ServiceKey, ...], ...]:
    """The services of a view in ``SHARDS`` groups that do not depend on what else there is."""
    shards: list[list[ServiceKey]] = [[] for _ in range(SHARDS)]
    for key in graph.ask(view_services, view):
        shards[shard_of(key)].append(key)
    return tuple(tuple(shard) for shard in shards)


def shard_of(key: ServiceKey) -> int:
    """The group that a service is in, on every replica."""
    return crc32(key.hostname.encode()) % SHARDS


def services_of_shard(graph: Graph, view: View, shard: int) -> tuple[ServiceKey, ...]:
    """One of the groups of ``sharded_services``."""
    return graph.ask(sharded_services, view)[shard]


def shard_claims(graph: Graph, view: View, shard: int) -> tuple[tuple[int, Claim], ...]:
    """The ports that the services of one shard want, with their numbers."""
    return tuple(
        (port.number, Claim(service.age, service.key, port))
        for key in graph.ask(services_of_shard, view, shard)
        if (service := read_service(graph, key)) is not None
        for port in service.ports
    )


def claims(graph: Graph, view: View) -> Mapping[int, tuple[Claim, ...]]:
    """Who wants which port number, older services first."""
    wanted: dict[int, list[Claim]] = defaultdict(list)
    for shard in range(SHARDS):
        for number, claim in graph.ask(shard_claims, view, shard):
            wanted[number].append(claim)
    return {number: tuple(sorted(entries)) for number, entries in sorted(wanted.items())}


def _settle(graph: Graph, view: View, number: int, entries: Iterable[Claim]) -> PortClaims:
    """Conflicts over a port settled: without an address, routed and plain services exclude each other."""

    def anywhere(claim: Claim) -> bool:
        return _anywhere(view, read_service(graph, claim.key), claim.port.protocol)

    http: list[Claim] = []
    tls: list[Claim] = []
    tcp: list[Claim] = []
    owner: Claim | None = None
    for claim in entries:
        if claim.port.protocol.is_auto and not anywhere(claim):
            http.append(claim)
        elif claim.port.protocol.carries_http:
            if owner is not None and not owner.port.protocol.carries_http:
                graph.report(lost(number, claim, owner))
                continue
            owner = owner or claim
            http.append(claim)
        elif claim.port.protocol.is_tls:
            if anywhere(claim) and owner is not None and owner.port.protocol.carries_http:
                graph.report(lost(number, claim, owner))
                continue
            owner = owner or (claim if anywhere(claim) else None)
            tls.append(claim)
        elif anywhere(claim):
            if owner is not None and not owner.port.protocol.is_tls:
                graph.report(lost(number, claim, owner))
                continue
            owner = claim
            tcp.append(claim)
        else:
            tcp.append(claim)
    return PortClaims(tuple(http), tuple(tls), tuple(tcp))


def _told_apart(graph: Graph, view: View, number: int, entries: Iterable[Claim]) -> Iterator[Claim]:
    """Who may want redirected connections, which are to any address: names of all meshes do not take what nothing but its
    port is known of.
    """
    for claim in entries:
        protocol = claim.port.protocol
        if not is_global(claim.key.hostname) or not _anywhere(view, read_service(graph, claim.key), protocol):
            yield claim
        elif protocol.is_auto:
            yield claim._replace(port=replace(claim.port, protocol=Protocol.HTTP))
        elif protocol.is_http or protocol.is_tls:
            yield claim
        else:
            graph.report(_untold(number, claim))


def _untold(number: int, claim: Claim) -> Problem:
    return Problem(
        Reason.CONFLICT,
        f"port {number} ({claim.port.protocol}) of {claim.key.hostname} is not served by some sidecars: they answer no DNS,"
        " so nothing but the port tells connections to it from others; start them with DNS (xdsctl bootstrap --dns-capture)",
        ObjectRef("Service", *claim.key),
        severity=Severity.WARNING,
    )


def _anywhere(view: View, service: Service | None, protocol: Protocol) -> bool:
    """True if nothing but the port tells connections to this service from others."""
    if service is None:
        return True
    virtual = view.virtual and wants_virtual(service, protocol, ipv6=view.ipv6)
    return not virtual and not service.addresses


def wants_virtual(service: Service, protocol: Protocol, *, ipv6: bool) -> bool:
    """True where connections are told by an address of the mesh's: neither hosts nor servers' names do it for sure, or
    the service has said that its own addresses do.
    """
    named = protocol.is_http or (protocol.is_tls and not service.addresses)
    return not named and wants_address(service, ipv6=ipv6)


def lost(
    number: int,
    loser: Claim,
    winner: Claim,
    hint: str = "give it an address in spec.addresses or another port",
) -> Problem:
    """A service that is not served on a port because an older one is."""
    return Problem(
        Reason.CONFLICT,
        f"port {number} ({loser.port.protocol}) of {loser.key.hostname} cannot be served beside"
        f" {winner.key.hostname} ({winner.port.protocol}), which comes first; {hint}",
        ObjectRef("Service", loser.key.namespace, loser.key.hostname),
        severity=Severity.WARNING,
    )


class PortTable(NamedTuple):
    """One outbound port of a view: the egress listener it belongs to and who is served there. A Unix socket has the
    number 0, and serves every port of its services.
    """

    egress: Egress
    number: int
    claims: PortClaims

    @property
    def route_name(self) -> str:
        """``9080``, or with the address where a Sidecar binds the listener somewhere of its own."""
        if self.egress.on_socket:
            return self.egress.bind
        return (
            outbound_route_name(self.number) if not self.egress.bind else f"{self.egress.bind}:{self.number}"
        )


def port_tables(graph: Graph, view: View) -> tuple[PortTable, ...]:
    """The outbound ports of a view. A port that a Sidecar's listener claims serves what that listener lets in."""
    tables: list[PortTable] = []
    wanted = graph.ask(claims, view)
    declared = graph.ask(egress_of, view.sidecar)
    own = {egress.port for egress in declared if egress.port}
    for egress in declared:
        if egress.on_socket:
            numbers = {0: tuple(claim for entries in wanted.values() for claim in entries)}
        elif egress.port:
            numbers = {egress.port: wanted.get(egress.port, ())}
        else:
            numbers = {number: entries for number, entries in wanted.items() if number not in own}
        found = [
            PortTable(egress, number, _served(graph, view, egress, number, numbers[number]))
            for number in numbers
        ]
        found = [table for table in found if any(table.claims)]
        if not found and view.sidecar is not None and (egress.port or egress.on_socket):
            graph.report(_serves_nothing(egress, view.sidecar))
        tables += found
    return tuple(tables)


def egress_for(graph: Graph, view: View, number: int) -> Egress | None:
    """The egress listener that serves a port number."""
    declared = graph.ask(egress_of, view.sidecar)
    exact = (egress for egress in declared if egress.port == number)
    rest = (egress for egress in declared if not egress.port and not egress.on_socket)
    return next(exact, None) or next(rest, None)


def _served(graph: Graph, view: View, egress: Egress, number: int, entries: Iterable[Claim]) -> PortClaims:
    if egress.hosts != ALL_HOSTS:
        entries = [claim for claim in entries if imports(egress.hosts, claim.key)]
    spoken = egress.protocol
    if spoken is not None:
        if egress.on_socket:
            entries = [claim for claim in entries if _may_speak(claim.port.protocol, spoken)]
        entries = [claim._replace(port=replace(claim.port, protocol=spoken)) for claim in entries]
    if not egress_binding(egress.bind, egress.capture, view.interception).bind_to_port:
        entries = _told_apart(graph, view, number, entries)
    return _settle(graph, view, number, entries)


def _may_speak(protocol: Protocol, spoken: Protocol) -> bool:
    return protocol.is_auto or protocol.is_http == spoken.is_http


def _serves_nothing(egress: Egress, sidecar: ObjectRef) -> Problem:
    where = f"port {egress.port}" if egress.port else f"a protocol like {egress.protocol}"
    message = f"opens no listener: no service that its hosts let in has {where}"
    path = f"spec.egress[{egress.place}]"
    return Problem(Reason.BROKEN_REFERENCE, message, sidecar, path, severity=Severity.WARNING)
