"""Where a view's proxies listen for their programs' calls out."""

from collections import defaultdict
from typing import cast

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.scope import Claim, PortTable, lost, port_tables
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.listeners import (
    TcpTarget,
    distinct,
    fallthrough_cluster,
    http_proxy_listener,
    outbound_http_listener,
    outbound_tcp_listener,
    virtual_outbound,
)
from xdsd.compile.names import VIRTUAL_OUTBOUND_LISTENER, listener_name, outbound_cluster_name
from xdsd.compile.policy import effective_policy
from xdsd.compile.resolve import View, allow_any, merged_rule, rules_for
from xdsd.compile.sidecar_bindings import egress_binding
from xdsd.compile.tcp_proxies import tcp_options
from xdsd.compile.world import read_service
from xdsd.snapshot import LISTENER, Resource

_OWN_ADDRESS = "give it an address of its own or another port"
_OWN_PORT = "a proxy without redirection listens once for each port, so give it another one"


def redirected_members(graph: Graph, view: View) -> list[Member]:
    """The listeners of sidecars to which the kernel redirects: one for all, one a port, one a plain service's address."""
    unknown = graph.ask(allow_any, view.sidecar)
    catch_all = Member(LISTENER, VIRTUAL_OUTBOUND_LISTENER, catch_all_listener, (view.wildcard, unknown))
    return [catch_all, *_listeners(graph, view, view.wildcard, bound=False)]


def explicit_members(graph: Graph, view: View, address: str, http_proxy_port: int) -> tuple[Member, ...]:
    """The outbound listeners of a sidecar without redirection, on ``address``.

    With an HTTP proxy port, programs reach every HTTP service there, and only other protocols have ports of their own.
    """
    members = _listeners(graph, view, address, bound=True)
    if not http_proxy_port:
        return tuple(members)
    name = listener_name(address, http_proxy_port)
    members = [member for member in members if member.query is not http_listener and member.name != name]
    return (*members, Member(LISTENER, name, proxy_listener, (address, http_proxy_port)))


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
    fallthrough = None if bound else fallthrough_cluster(allow_any=graph.ask(allow_any, view.sidecar))
    members: list[Member] = []
    by_address: dict[str, list[tuple[Claim, TcpTarget]]] = defaultdict(list)
    for claim in (*table.claims.tls, *table.claims.tcp):
        for address, target in _targets(graph, view, claim, anywhere, bound=bound):
            by_address[address].append((claim, target))
    if table.claims.http:
        arguments_http = (anywhere, table.number, table.route_name, bound, fallthrough)
        members.append(Member(LISTENER, listener_name(anywhere, table.number), http_listener, arguments_http))
        for claim, _ in by_address.pop(anywhere, ()):
            hint = _OWN_PORT if bound else _OWN_ADDRESS
            graph.report(lost(table.number, claim, table.claims.http[0], hint))
    for address, found in by_address.items():
        kept, shadowed = distinct(target for _, target in found)
        for claim, target in found:
            if target in shadowed:
                graph.report(lost(table.number, claim, found[0][0], _OWN_PORT if bound else _OWN_ADDRESS))
        unknown = fallthrough if address == anywhere else None
        arguments_tcp = (address, table.number, kept, unknown, bound)
        members.append(Member(LISTENER, listener_name(address, table.number), tcp_listener, arguments_tcp))
    return members


def _targets(
    graph: Graph, view: View, claim: Claim, anywhere: str, *, bound: bool
) -> list[tuple[str, TcpTarget]]:
    """Where connections to a service arrive, and how they are told from others there.

    Only connections of the proxy's own family of addresses are redirected to it.
    """
    service = read_service(graph, claim.key)
    rule = graph.ask(merged_rule, graph.ask(rules_for, view.namespace, view.labels, claim.key))
    options = tcp_options(effective_policy(rule, claim.port.number))
    cluster = outbound_cluster_name(claim.port.number, "", claim.key.hostname)
    sni = (claim.key.hostname,) if claim.port.protocol.is_tls else ()
    declared = service.addresses if service and not bound else ()
    addresses = [address for address in declared if (":" in address) == view.ipv6]
    ranges = tuple(address for address in addresses if "/" in address)
    targets = [(address, TcpTarget(cluster, options=options)) for address in addresses if "/" not in address]
    if ranges or not declared:
        targets.append((anywhere, TcpTarget(cluster, ranges, sni, options)))
    return targets


def listener_settings(graph: Graph) -> ListenerSettings:
    """What operators decide about every listener."""
    return cast("ListenerSettings", graph.read(("listener-settings",)))


def catch_all_listener(graph: Graph, bind: str, unknown_allowed: bool) -> Resource:
    """The listener that redirected connections reach first."""
    listener = virtual_outbound(allow_any=unknown_allowed, bind=bind, settings=listener_settings(graph))
    return resource(LISTENER, listener.name, listener)


def http_listener(
    graph: Graph, address: str, port: int, route: str, bound: bool, fallthrough: str | None
) -> Resource:
    """A listener whose requests are routed by host."""
    listener = outbound_http_listener(
        address, port, route, bind_to_port=bound, fallthrough=fallthrough, settings=listener_settings(graph)
    )
    return resource(LISTENER, listener.name, listener)


def tcp_listener(
    graph: Graph,
    address: str,
    port: int,
    targets: tuple[TcpTarget, ...],
    fallthrough: str | None,
    bound: bool,
) -> Resource:
    """A listener that carries connections unread."""
    listener = outbound_tcp_listener(
        address, port, targets, fallthrough, bind_to_port=bound, settings=listener_settings(graph)
    )
    return resource(LISTENER, listener.name, listener)


def proxy_listener(graph: Graph, address: str, port: int) -> Resource:
    """The HTTP proxy of explicit mode."""
    listener = http_proxy_listener(address, port, settings=listener_settings(graph))
    return resource(LISTENER, listener.name, listener)
