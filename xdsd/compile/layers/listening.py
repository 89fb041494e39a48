"""Where a view's proxies listen for their programs' calls out."""

from collections import defaultdict

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.detecting import apart_members, by_place, detecting_listener
from xdsd.compile.layers.dns import dns_members
from xdsd.compile.layers.host_discovery import table_name
from xdsd.compile.layers.limits import Refs, limited, outbound_limits
from xdsd.compile.layers.own_ports import not_served, own_port
from xdsd.compile.layers.reading import is_read, reading_member, route_members
from xdsd.compile.layers.scope import Claim, PortTable, lost, port_tables
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.layers.tcp_listening import (
    OWN_ADDRESS,
    OWN_PORT,
    TcpScope,
    tcp_addresses,
    tcp_listener,
)
from xdsd.compile.layers.unknown import unknown_cluster
from xdsd.compile.listeners import (
    http_proxy_listener,
    outbound_http_listener,
    virtual_outbound,
)
from xdsd.compile.names import HTTP_PROXY_ROUTE, VIRTUAL_OUTBOUND_LISTENER, listener_name
from xdsd.compile.resolve import View
from xdsd.compile.sidecar_bindings import egress_binding
from xdsd.model.global_names import is_global
from xdsd.snapshot import LISTENER, Resource


def redirected_members(graph: Graph, view: View) -> list[Member]:
    """The listeners of sidecars to which the kernel redirects: one for all, one a port, one a plain service's address."""
    unknown = graph.ask(unknown_cluster, view)
    catch_all = Member(LISTENER, VIRTUAL_OUTBOUND_LISTENER, catch_all_listener, (view.wildcard, unknown))
    return [catch_all, *_listeners(graph, view, view.wildcard, bound=False)]


def explicit_members(graph: Graph, view: View, address: str, http_proxy_port: int) -> tuple[Member, ...]:
    """The outbound listeners of a sidecar without redirection, on ``address``.

    With an HTTP proxy port, programs reach every HTTP service there, and only other protocols have ports of their own;
    unless names are answered, since they lead to ports.
    """
    members = [*_listeners(graph, view, address, bound=True), *dns_members(graph, view, address)]
    if not http_proxy_port:
        return tuple(members)
    name = listener_name(address, http_proxy_port)
    members = [
        member
        for member in members
        if (view.dns or member.query is not http_listener) and member.name != name
    ]
    limits = graph.ask(outbound_limits, view.namespace, 0)
    routes = table_name(view, HTTP_PROXY_ROUTE)
    return (*members, Member(LISTENER, name, proxy_listener, (address, http_proxy_port, routes, limits)))


def _listeners(graph: Graph, view: View, address: str, *, bound: bool) -> list[Member]:
    """The listeners of all ports; of two that would be the same, the one declared first."""
    members: dict[str, Member] = {}
    for table in graph.ask(port_tables, view):
        egress = table.egress
        loopback = address if bound else _loopback(view)
        binding = egress_binding(egress.bind, egress.capture, view.interception, loopback=loopback)
        anywhere = binding.bind or address
        for member in _table_listeners(graph, view, table, anywhere, bound=binding.bind_to_port):
            members.setdefault(member.name, member)
    return list(members.values())


def _loopback(view: View) -> str:
    return "::1" if view.ipv6 else "127.0.0.1"


def _table_listeners(
    graph: Graph, view: View, table: PortTable, anywhere: str, *, bound: bool
) -> list[Member]:
    """The listeners of one port: at ``anywhere``, and (with redirection) at each address of a plain service.

    A listener that really binds its port has nowhere to let unknown connections fall through to.
    """
    fallthrough = None if bound else graph.ask(unknown_cluster, view)
    scope = TcpScope(
        view.namespace, view.labels, table.egress.hosts, anywhere, view.ipv6, bound, view.virtual
    )
    members: list[Member] = []
    by_address: dict[str, list[Claim]] = defaultdict(list)
    read = tuple(claim for claim in table.claims.tls if is_read(graph, view, claim))
    for claim in (*table.claims.tls, *table.claims.tcp):
        for address in tcp_addresses(graph, scope, claim):
            by_address[address].append(claim)
    limits = graph.ask(outbound_limits, view.namespace, table.number) if table.claims.http else ()
    shared, apart = by_place(graph, scope, table.claims.http)
    own = own_port(graph, view, anywhere, table.number, bound=bound)
    if own:
        kept_out = (*shared, *by_address.pop(anywhere, ()))
        for problem in not_served(table.number, kept_out, own, bound=bound):
            graph.report(problem)
        shared = ()
    if shared:
        routes = table_name(view, table.route_name)
        members.append(_shared_listener(scope, table, routes, shared, fallthrough, limits))
        for claim in by_address.pop(anywhere, ()):
            graph.report(lost(table.number, claim, shared[0], OWN_PORT if bound else OWN_ADDRESS))
    for address, found in by_address.items():
        unknown = fallthrough if address == anywhere else None
        if any(claim in read for claim in found):
            kept = tuple(claim for claim in found if claim not in read)
            chosen = tuple(claim for claim in found if claim in read)
            refs = graph.ask(outbound_limits, view.namespace, table.number)
            members.append(reading_member(view, scope, address, table.number, kept, chosen, unknown, refs))
            continue
        arguments_tcp = (scope, address, table.number, tuple(found), unknown)
        members.append(Member(LISTENER, listener_name(address, table.number), tcp_listener, arguments_tcp))
    members += route_members(view, scope, table.number, read)
    for claim in apart:
        members += apart_members(graph, view, scope, claim, limits)
    return members


def _shared_listener(
    scope: TcpScope,
    table: PortTable,
    routes: str,
    claims: tuple[Claim, ...],
    fallthrough: str | None,
    limits: Refs,
) -> Member:
    """The listener of a port's routed services. What is not HTTP belongs to the undeclared one, if there is only one; names
    of all meshes take it from none.
    """
    name = listener_name(scope.anywhere, table.number)
    found = [claim for claim in claims if claim.port.protocol.is_auto]
    undeclared = [claim for claim in found if not is_global(claim.key.hostname)] or found
    if len(undeclared) == 1:
        detecting = (
            scope,
            scope.anywhere,
            table.number,
            routes,
            undeclared[0],
            fallthrough,
            limits,
        )
        return Member(LISTENER, name, detecting_listener, detecting)
    arguments = (scope.anywhere, table.number, routes, scope.bound, fallthrough, limits)
    return Member(LISTENER, name, http_listener, arguments)


def catch_all_listener(graph: Graph, bind: str, unknown: str) -> Resource:
    """The listener that redirected connections reach first."""
    listener = virtual_outbound(unknown, bind=bind, settings=listener_settings(graph))
    return resource(LISTENER, listener.name, listener)


def http_listener(
    graph: Graph,
    address: str,
    port: int,
    route: str,
    bound: bool,
    fallthrough: str | None,
    limits: Refs,
) -> Resource:
    """A listener whose requests are routed by host."""
    listener = outbound_http_listener(
        address,
        port,
        route,
        bind_to_port=bound,
        fallthrough=fallthrough,
        settings=limited(graph, limits),
    )
    return resource(LISTENER, listener.name, listener)


def proxy_listener(graph: Graph, address: str, port: int, routes: str, limits: Refs) -> Resource:
    """The HTTP proxy of explicit mode."""
    listener = http_proxy_listener(address, port, routes, settings=limited(graph, limits))
    return resource(LISTENER, listener.name, listener)
