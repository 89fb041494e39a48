"""Virtual hosts as resources of their own, for proxies that discover them (Envoy's VHDS): an edit of a service's routes is
one virtual host, however many others its port has.

The route configuration is a shell then, and never changes. It has a name of its own, so that a proxy that begins or ceases
to discover hosts warms the one before its listener leaves the other: under one name Envoy would serve the shell alone until
its hosts are there, and never forget hosts that it once discovered. What answers hosts that nobody declared is a host like
the others, so every shell has one to wait for.

Turned down: hosts in the shell beside discovered ones, as one domain in both is refused; asking for a host when the first
request for it comes (Envoy's on-demand filter), as that request would wait for the daemon, or fail without it.
"""

from envoy.config.route.v3.route_pb2 import RouteConfiguration

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, Query, resource
from xdsd.compile.layers.hosts import (
    HostPart,
    HostScope,
    clash,
    host_groups,
    last_host,
    serves_every_port,
    service_host,
    shard_keys,
    shard_routed,
    unregistered_host,
    unregistered_scopes,
    without_clashes,
)
from xdsd.compile.layers.scope import SHARDS, port_tables, shard_claims
from xdsd.compile.layers.unknown import unknown_host_cluster
from xdsd.compile.names import HTTP_PROXY_ROUTE, discovered_route_name, virtual_host_name
from xdsd.compile.resolve import View
from xdsd.compile.virtual_hosts import route_configuration
from xdsd.model.catalog import ServiceKey
from xdsd.model.mesh import Interception
from xdsd.snapshot import ROUTE, VIRTUAL_HOST, Resource

_REST = "*"
"""The name of the host that answers what nobody declared, and its only domain."""


def discovery_parts(view: View) -> tuple[tuple[Query, tuple[object, ...]], ...]:
    """What a view's layer has more if its proxies discover hosts."""
    if not view.vhds:
        return ()
    # Before the first of them is listed it must be known whether any two want one domain.
    claims = tuple((claims_ahead, (view, shard)) for shard in range(SHARDS))
    ahead = (*claims, *((domains_ahead, (view, shard)) for shard in range(SHARDS)))
    shards = tuple((host_members, (view, shard)) for shard in range(SHARDS))
    return (*ahead, *shards, (other_host_members, (view,)))


def claims_ahead(graph: Graph, view: View, shard: int) -> tuple[Member, ...]:
    """Nothing, but what ``port_tables`` asks of a shard is known after it."""
    graph.ask(shard_claims, view, shard)
    return ()


def domains_ahead(graph: Graph, view: View, shard: int) -> tuple[Member, ...]:
    """Nothing, but what ``clash`` asks of a shard is known after it."""
    for route_name in graph.ask(route_names, view):
        graph.ask(shard_keys, view, route_name, shard)
    return ()


def table_name(view: View, route_name: str) -> str:
    """What a route configuration is called for a view's proxies."""
    return discovered_route_name(route_name) if view.vhds else route_name


def route_names(graph: Graph, view: View) -> tuple[str, ...]:
    """The route configurations of a view, by their names where hosts are not discovered."""
    tables = [table.route_name for table in graph.ask(port_tables, view) if table.claims.http]
    explicit = [HTTP_PROXY_ROUTE] if view.interception is Interception.NONE else []
    return tuple(dict.fromkeys((*explicit, *tables)))


def shell_member(view: View, route_name: str) -> Member:
    """A route configuration without its hosts."""
    return Member(ROUTE, table_name(view, route_name), shell, (view, route_name))


def shell(graph: Graph, view: View, route_name: str) -> Resource:
    """What a route configuration says beside its hosts: where these are found."""
    name = table_name(view, route_name)
    ignore_port = not serves_every_port(graph, view, route_name)
    return Resource.of(ROUTE, name, route_configuration(name, (), ignore_port=ignore_port, discovered=True))


def host_members(graph: Graph, view: View, shard: int) -> tuple[Member, ...]:
    """The hosts of the services of one shard, in every route configuration."""
    return tuple(
        _service_member(view, route_name, scope, key, number)
        for route_name in graph.ask(route_names, view)
        if not graph.ask(clash, view, route_name)
        for scope, key, number in graph.ask(shard_routed, view, route_name, shard)
    )


def _service_member(view: View, route_name: str, scope: HostScope, key: ServiceKey, number: int) -> Member:
    name = virtual_host_name(table_name(view, route_name), f"{key.hostname}:{number}")
    return Member(VIRTUAL_HOST, name, discovered_service_host, (scope, key, number, name))


def other_host_members(graph: Graph, view: View) -> tuple[Member, ...]:
    """The hosts that belong to no shard: of names that no service has, what answers all others, and where services want one
    domain, all hosts of that route configuration.
    """
    members: list[Member] = []
    for route_name in graph.ask(route_names, view):
        table = table_name(view, route_name)
        rest = virtual_host_name(table, _REST)
        unknown = graph.ask(unknown_host_cluster, view, route_name)
        members.append(Member(VIRTUAL_HOST, rest, discovered_rest, (unknown, rest)))
        if graph.ask(clash, view, route_name):
            members += _dealt_members(graph, view, route_name)
            continue
        for scope, hostname, number in graph.ask(unregistered_scopes, view, route_name):
            if graph.ask(unregistered_host, scope, hostname, number) is not None:
                name = virtual_host_name(table, f"{hostname}:{number}")
                members.append(
                    Member(VIRTUAL_HOST, name, discovered_other_host, (scope, hostname, number, name))
                )
    return tuple(members)


def _dealt_members(graph: Graph, view: View, route_name: str) -> list[Member]:
    table = table_name(view, route_name)
    hosts = graph.ask(dealt_hosts, view, route_name)
    names = [virtual_host_name(table, host) for host in hosts]
    return [Member(VIRTUAL_HOST, name, discovered_dealt_host, (view, route_name, name)) for name in names]


def dealt_hosts(graph: Graph, view: View, route_name: str) -> dict[str, HostPart]:
    """The hosts of a route configuration by name, where several want one domain, which is given to one of them."""
    groups = [graph.ask(query, *arguments) for query, arguments in graph.ask(host_groups, view, route_name)]
    found: dict[str, HostPart] = {}
    for part in without_clashes(groups).parts:
        (host,) = RouteConfiguration.FromString(part.field).virtual_hosts
        found.setdefault(host.name, part)
    return found


def discovered_service_host(
    graph: Graph, scope: HostScope, key: ServiceKey, number: int, name: str
) -> Resource | None:
    """The host of one port of a service."""
    return _apart(graph.ask(service_host, scope, key, number), name)


def discovered_other_host(
    graph: Graph, scope: HostScope, hostname: str, number: int, name: str
) -> Resource | None:
    """The host of a name that a VirtualService routes but no service has."""
    return _apart(graph.ask(unregistered_host, scope, hostname, number), name)


def discovered_rest(graph: Graph, unknown: str, name: str) -> Resource | None:
    """The host that answers what nobody declared."""
    return _apart(graph.ask(last_host, unknown), name)


def discovered_dealt_host(graph: Graph, view: View, route_name: str, name: str) -> Resource | None:
    """A host that was given its domains where several want one."""
    return _apart(graph.ask(dealt_hosts, view, route_name).get(name.rpartition("/")[2]), name)


def _apart(part: HostPart | None, name: str) -> Resource | None:
    """A host under the name of its resource, by which alone Envoy removes it."""
    if part is None:
        return None
    (host,) = RouteConfiguration.FromString(part.field).virtual_hosts
    host.name = name
    return resource(VIRTUAL_HOST, name, host)
