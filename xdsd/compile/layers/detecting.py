"""Services whose protocol is not declared: where their connections arrive, and where what is not HTTP belongs.

With others on a port, such a service is one of those that are routed by host. At addresses of its own it is told by
these, so there it has listeners and routes to itself.
"""

from collections.abc import Iterable, Iterator

from envoy.config.route.v3.route_pb2 import RouteConfiguration

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.hosts import HostScope, group, host_part, host_scope, join, service_host
from xdsd.compile.layers.limits import Refs, limited
from xdsd.compile.layers.scope import Claim
from xdsd.compile.layers.tcp_listening import TcpScope, claim_targets, tcp_addresses
from xdsd.compile.listeners import outbound_detecting_listener
from xdsd.compile.names import listener_name
from xdsd.compile.resolve import View
from xdsd.compile.virtual_hosts import PortForm
from xdsd.model.catalog import ServiceKey
from xdsd.snapshot import LISTENER, ROUTE, Resource


def by_place(
    graph: Graph, scope: TcpScope, claims: Iterable[Claim]
) -> tuple[tuple[Claim, ...], tuple[Claim, ...]]:
    """Routed services: those that share the port's listener, and undeclared ones that have addresses of their own."""
    shared: list[Claim] = []
    apart: list[Claim] = []
    for claim in claims:
        own = claim.port.protocol.is_auto and scope.anywhere not in tcp_addresses(graph, scope, claim)
        (apart if own else shared).append(claim)
    return tuple(shared), tuple(apart)


def apart_members(graph: Graph, view: View, scope: TcpScope, claim: Claim, limits: Refs) -> Iterator[Member]:
    """The listeners of an undeclared service at its own addresses; whatever host a request names, it is for the service."""
    number = claim.port.number
    route = f"{claim.key.hostname}:{number}"
    for address in tcp_addresses(graph, scope, claim):
        arguments = (scope, address, number, route, claim, None, limits)
        yield Member(LISTENER, listener_name(address, number), detecting_listener, arguments)
    hosts = host_scope(view, scope.hosts, PortForm.BARE)
    yield Member(ROUTE, route, routes_apart, (hosts, claim.key, number))


def detecting_listener(
    graph: Graph,
    scope: TcpScope,
    address: str,
    port: int,
    route: str,
    claim: Claim,
    fallthrough: str | None,
    limits: Refs,
) -> Resource:
    """A listener of an undeclared service: requests are routed, anything else is carried unread."""
    listener = outbound_detecting_listener(
        address,
        port,
        route,
        claim_targets(graph, scope, claim, address),
        fallthrough,
        bind_to_port=scope.bound,
        settings=limited(graph, limits),
    )
    return resource(LISTENER, listener.name, listener)


def routes_apart(graph: Graph, scope: HostScope, key: ServiceKey, number: int) -> Resource:
    """The route configuration of one port of a service that is told by its address, so that any host means it."""
    part = graph.ask(service_host, scope, key, number)
    found = RouteConfiguration.FromString(part.field).virtual_hosts if part else ()
    for host in found:
        host.domains[:] = ["*"]
    return join(f"{key.hostname}:{number}", [group(host_part(key.hostname, host) for host in found)])
