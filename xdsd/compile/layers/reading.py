"""Services whose TLS a view's proxies read: where connections to them arrive, and where their requests go."""

from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.hosts import HostScope, group, host_part, host_scope, join, service_host
from xdsd.compile.layers.limits import Refs, limited
from xdsd.compile.layers.scope import Claim
from xdsd.compile.layers.tcp_listening import TcpScope, carried
from xdsd.compile.listeners import outbound_tcp_listener
from xdsd.compile.names import listener_name
from xdsd.compile.reading import Read, misdirected_host
from xdsd.compile.resolve import View, reads_towards
from xdsd.compile.virtual_hosts import PortForm
from xdsd.model.catalog import ServiceKey
from xdsd.snapshot import LISTENER, ROUTE, Resource


def is_read(graph: Graph, view: View, claim: Claim) -> bool:
    """True if what programs say to a service is read."""
    return claim.port.protocol.is_tls and reads_towards(graph, view, claim.key, claim.port.number)


def reading_member(
    view: View,
    scope: TcpScope,
    address: str,
    number: int,
    carried_on: tuple[Claim, ...],
    read: tuple[Claim, ...],
    fallthrough: str | None,
    limits: Refs,
) -> Member:
    """The listener of services at an address of which some are ``read``."""
    routed = tuple(
        Read(claim.key.hostname, reading_routes(claim.key, number) if view.mutual else "") for claim in read
    )
    arguments = (scope, address, number, carried_on, routed, fallthrough, limits)
    return Member(LISTENER, listener_name(address, number), reading_listener, arguments)


def route_members(view: View, scope: TcpScope, number: int, read: tuple[Claim, ...]) -> list[Member]:
    """Where requests to these services go."""
    hosts = host_scope(view, scope.hosts, PortForm.BARE)
    return [
        Member(ROUTE, reading_routes(claim.key, number), read_routes, (hosts, claim.key, number))
        for claim in (read if view.mutual else ())
    ]


def reading_routes(key: ServiceKey, number: int) -> str:
    """The name of the route configuration of one service."""
    return f"inspection|{number}|{key.hostname}"


def reading_listener(
    graph: Graph,
    scope: TcpScope,
    address: str,
    number: int,
    claims: tuple[Claim, ...],
    read: tuple[Read, ...],
    fallthrough: str | None,
    limits: Refs,
) -> Resource:
    """A listener of services at an address of which some are read."""
    kept = carried(graph, scope, address, number, claims)
    listener = outbound_tcp_listener(
        address,
        number,
        kept,
        fallthrough,
        bind_to_port=scope.bound,
        settings=limited(graph, limits),
        read=read,
    )
    return resource(LISTENER, listener.name, listener)


def read_routes(graph: Graph, scope: HostScope, key: ServiceKey, number: int) -> Resource | None:
    """The requests to one service, as its VirtualService says; others are answered 421. None once the service is gone."""
    part = graph.ask(service_host, scope, key, number)
    if part is None:
        return None
    last = host_part("*", misdirected_host())
    return join(reading_routes(key, number), [group((part,))], (last,))
