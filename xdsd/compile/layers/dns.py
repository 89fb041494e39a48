"""The table of names that sidecars answer from, joined from finished parts and shared by all who see the same services.

A service's names are encoded once; where one changes its part is, and its group, and the rest is copied. The listener is
pushed whole, so it names nothing that changes with endpoints, but for services whose endpoints are their only addresses.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from xdsd.compile.dns import (
    DNS_LISTENER,
    answers,
    dns_listener,
    is_answered,
    is_known_outside,
    spoken_names,
    virtual_domain,
)
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member
from xdsd.compile.layers.scope import SHARDS, shard_of, view_hosts
from xdsd.compile.layers.unknown import unknown_cluster
from xdsd.compile.names import BLACK_HOLE_CLUSTER
from xdsd.compile.resolve import EgressHosts, View, scope_services, settings
from xdsd.compile.world import read_endpoints, read_service, read_virtual_addresses
from xdsd.model.catalog import Resolution, ServiceKey
from xdsd.model.mesh import Interception
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.snapshot import LISTENER, Resource, content_version


class NameScope(NamedTuple):
    """Those to whom names mean the same. ``at`` is where they listen themselves, without redirection."""

    namespace: str
    hosts: tuple[EgressHosts, ...]
    ipv6: bool
    at: str


class NamePart(NamedTuple):
    """The names of a service, with the encoded entry of each. With ``asks`` resolvers outside know its addresses."""

    hostname: str
    entries: tuple[tuple[str, bytes], ...]
    asks: bool = False


class NameGroup(NamedTuple):
    """The parts of some services, joined; ``total`` is more than there are ``names`` if two services want one."""

    parts: tuple[NamePart, ...]
    names: frozenset[str]
    total: int
    fields: bytes
    asks: bool = False


def dns_members(graph: Graph, view: View, at: str = "") -> tuple[Member, ...]:
    """The DNS listener of a view's proxies, and ahead of it the groups that it is joined from; none without ``view.dns``."""
    if not view.dns:
        return ()
    address, _, port = view.dns.rpartition(":")
    explicit = at if view.interception is Interception.NONE else ""
    scope = NameScope(view.namespace, graph.ask(view_hosts, view), view.ipv6, explicit)
    groups = tuple(
        Member("", f"{DNS_LISTENER}/{shard}", name_group, (scope, shard)) for shard in range(SHARDS)
    )
    closed = graph.ask(unknown_cluster, view) == BLACK_HOLE_CLUSTER
    arguments = (scope, address.strip("[]"), int(port), closed)
    return (*groups, Member(LISTENER, DNS_LISTENER, name_listener, arguments))


def name_listener(graph: Graph, scope: NameScope, address: str, port: int, closed: bool) -> Resource:
    """The listener of a scope, at an address. Where nothing leaves that nobody declared (``closed``), resolvers are asked
    only if some service needs them.
    """
    groups = [graph.ask(name_group, scope, shard) for shard in range(SHARDS)]
    names = frozenset[str]().union(*(group.names for group in groups))
    if len(names) != sum(group.total for group in groups):
        groups = [_without_clashes([part for group in groups for part in group.parts])]
    forwards = not closed or any(group.asks for group in groups)
    fields = (group.fields for group in groups)
    body = dns_listener(address, port, fields, settings(graph).dns_resolvers, forwards=forwards)
    return Resource.of(LISTENER, DNS_LISTENER, body, content_version(body))


def named_by_shard(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...]
) -> tuple[tuple[ServiceKey, ...], ...]:
    """The services that clients see, in groups that do not depend on what else there is."""
    shards: list[list[ServiceKey]] = [[] for _ in range(SHARDS)]
    for key in graph.ask(scope_services, namespace, hosts):
        shards[shard_of(key)].append(key)
    return tuple(map(tuple, shards))


def named_services(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], shard: int
) -> tuple[ServiceKey, ...]:
    """One of the groups of ``named_by_shard``."""
    return graph.ask(named_by_shard, namespace, hosts)[shard]


def name_group(graph: Graph, scope: NameScope, shard: int) -> NameGroup:
    """The names of the services of one group."""
    parts = []
    for key in graph.ask(named_services, scope.namespace, scope.hosts, shard):
        local = scope.namespace if key.hostname.startswith(f"{_first(key)}.{scope.namespace}.") else ""
        parts.append(graph.ask(name_part, key, local, scope.ipv6, scope.at))
    return _group(parts)


def _first(key: ServiceKey) -> str:
    return key.hostname.partition(".")[0]


def name_part(graph: Graph, key: ServiceKey, namespace: str, ipv6: bool, at: str) -> NamePart:
    """The names of a service for clients of a namespace, empty for those of any other than the host's own."""
    service = read_service(graph, key)
    if service is None:
        return NamePart(key.hostname, ())
    if not is_answered(service):
        graph.report(_unanswered(key))
    headless = service.resolution is Resolution.NONE and not service.addresses
    found = answers(
        service,
        read_virtual_addresses(graph, key.hostname),
        read_endpoints(graph, key) if headless else (),
        ipv6=ipv6,
        at=at,
    )
    names = spoken_names(key.hostname, namespace, settings(graph).domain) if found else ()
    entries = tuple((name, virtual_domain(name, found)) for name in names)
    return NamePart(key.hostname, entries, asks=not found and is_known_outside(service))


def _unanswered(key: ServiceKey) -> Problem:
    message = (
        f"sidecars do not answer for {key.hostname}: Envoy answers for names and for wildcards of two words or more, such as"
        " *.example.com; programs that look it up are answered by resolvers outside the mesh"
    )
    return Problem(Reason.NOT_SUPPORTED, message, ObjectRef("Service", *key), severity=Severity.WARNING)


def _group(parts: Sequence[NamePart]) -> NameGroup:
    names = frozenset(name for part in parts for name, _ in part.entries)
    total = sum(len(part.entries) for part in parts)
    fields = b"".join(data for part in parts for _, data in part.entries)
    return NameGroup(tuple(parts), names, total, fields, any(part.asks for part in parts))


def _without_clashes(parts: Iterable[NamePart]) -> NameGroup:
    """The parts as one group, in which each name is given to one service: its own host's, else the first by host."""
    parts = sorted(parts)
    owners = {part.hostname.lower(): part.hostname for part in parts if part.entries}
    for part in parts:
        for name, _ in part.entries:
            owners.setdefault(name, part.hostname)
    kept = [
        part._replace(entries=tuple(entry for entry in part.entries if owners[entry[0]] == part.hostname))
        for part in parts
    ]
    return _group(kept)
