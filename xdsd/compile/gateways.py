"""Gateways: which servers an edge proxy opens, and which VirtualServices show on them.

A Gateway object selects proxies by label, from any namespace; an empty selector takes all of them. Its
*servers* open ports. Servers of several objects on one port share a listener and a route table (a
*merged port*). A VirtualService shows on a server if it names the server's gateway, and their hosts
overlap; then the narrower of two overlapping hosts is served.

Several objects at one port is where users meet by accident, so the rule is the published one: the
older object wins, and the other hears of it as a problem.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener

from xdsd.compile.addresses import listen_address
from xdsd.compile.http_connection_managers import Side, http_connection_manager
from xdsd.compile.listener_settings import DEFAULTS, ListenerSettings
from xdsd.compile.names import gateway_route_name, listener_name
from xdsd.compile.resolve import Section, section_of
from xdsd.compile.tcp_chains import add_tcp_chains, log_connections
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.model.catalog import Protocol
from xdsd.model.intent import Gateway, Object
from xdsd.model.problem import ObjectRef, Problem, Reason

_WILDCARDS = frozenset({"", "0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """The server ``spec.servers[index]`` of a Gateway; ``hosts`` as written there (``host`` or
    ``namespace/host``).
    """

    gateway: ObjectRef
    index: int
    protocol: Protocol
    hosts: tuple[str, ...]

    @property
    def gateway_key(self) -> str:
        """``namespace/name``: how VirtualServices name its gateway."""
        return f"{self.gateway.namespace}/{self.gateway.name}"


@dataclass(frozen=True, slots=True)
class MergedPort:
    """All servers of a proxy at one address and port, the oldest object's first; ``bind`` is an address."""

    bind: str
    port: int
    servers: tuple[GatewayServer, ...]

    @property
    def section(self) -> Section:
        """The rules that say where what arrives there goes."""
        return section_of(self.servers[0].protocol)

    @property
    def listener_name(self) -> str:
        """``0.0.0.0_8080``."""
        return listener_name(self.bind, self.port)

    @property
    def route_name(self) -> str:
        """``http.8080``, or ``http.8080.10.0.0.1`` where the servers ask for an address."""
        name = gateway_route_name(self.port)
        return name if self.bind in _WILDCARDS else f"{name}.{self.bind}"


@dataclass(frozen=True, slots=True)
class BoundService:
    """What a VirtualService says about where it shows: fully qualified hosts, and gateways by
    ``namespace/name``.
    """

    ref: ObjectRef
    hosts: tuple[str, ...]
    gateways: frozenset[str]


@dataclass(frozen=True, slots=True)
class HostClaim:
    """A VirtualService that serves a host of a merged port, and the gateways there through which it does."""

    ref: ObjectRef
    gateways: frozenset[str]


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """True if a proxy with these labels has all that the selector wants."""
    return all(labels.get(key) == value for key, value in selector.items())


def merge_gateways(
    gateways: Iterable[Object[Gateway]], *, wildcard: str = "0.0.0.0"
) -> tuple[tuple[MergedPort, ...], tuple[Problem, ...]]:
    """The ports that a proxy opens for the Gateways that select it, ordered by number and address.

    ``wildcard`` is where servers without an address listen (``::`` on an IPv6 machine). HTTP, HTTP2,
    GRPC and GRPC-WEB servers share a port, and so do TLS and HTTPS servers, which are told apart by
    server name; any other that meets a server of an older object is left out and becomes a problem.
    """
    merged: dict[tuple[int, str], list[GatewayServer]] = {}
    problems: list[Problem] = []
    for gateway in sorted(gateways, key=lambda each: each.age):
        for index, server in enumerate(gateway.spec.servers):
            protocol = Protocol(server.port.protocol.upper())
            bind = wildcard if server.bind is None or server.bind in _WILDCARDS else server.bind
            own = GatewayServer(gateway.ref, index, protocol, server.hosts)
            others = merged.setdefault((server.port.number, bind), [])
            if others and not _share(protocol, others[0].protocol):
                problems.append(_conflict(own, others[0], server.port.number))
            else:
                others.append(own)
    ports = tuple(MergedPort(bind, port, tuple(servers)) for (port, bind), servers in sorted(merged.items()))
    return ports, tuple(problems)


def _share(one: Protocol, other: Protocol) -> bool:
    return section_of(one) == section_of(other) != "tcp"


def hosts_for_namespace(server: GatewayServer, namespace: str) -> tuple[str, ...]:
    """The hosts of a server that a VirtualService of ``namespace`` may serve, without their namespaces.

    ``*/host`` and plain ``host`` are open to everyone, ``./host`` to the Gateway's own namespace.
    """
    hosts: dict[str, None] = {}
    for written in server.hosts:
        owner, slash, host = written.rpartition("/")
        owner = server.gateway.namespace if owner == "." else owner
        if not slash or owner in {"*", namespace}:
            hosts[host.lower()] = None
    return tuple(hosts)


def intersect_hosts(left: Iterable[str], right: Iterable[str]) -> tuple[str, ...]:
    """Hosts that both sides cover, the narrower of each two that overlap.

    ``*.example.com`` covers ``a.example.com`` and ``*.a.example.com``, not ``example.com``; ``*`` covers all.
    """
    right = tuple(right)
    found: dict[str, None] = {}
    for one in left:
        for other in right:
            if covers(other, one):
                found[one] = None
            elif covers(one, other):
                found[other] = None
    return tuple(found)


def spelled(host: str) -> str:
    """A host as requests have it when routes are compared: the proxy takes a dot at the end off, and IPv6 addresses stand in
    brackets.
    """
    return f"[{host}]" if ":" in host else host.removesuffix(".")


def covers(pattern: str, host: str) -> bool:
    """True if every name that ``host`` stands for is one that ``pattern`` stands for; both may be
    wildcards.
    """
    if not pattern.startswith("*"):
        return pattern == host
    return len(host) >= len(pattern) and host.lstrip("*").endswith(pattern[1:])


def claims_by_host(port: MergedPort, bound: Iterable[BoundService]) -> dict[str, tuple[HostClaim, ...]]:
    """Who serves which host of a merged port; the claims of a host stand in the order of ``bound``.

    An exact host and a wildcard that covers it are different hosts: Envoy lets the narrower one win.
    """
    claims: dict[str, dict[ObjectRef, set[str]]] = {}
    for service in bound:
        own = [host.lower() for host in service.hosts]
        for server in port.servers:
            if server.gateway_key not in service.gateways:
                continue
            for host in intersect_hosts(hosts_for_namespace(server, service.ref.namespace), own):
                claims.setdefault(host, {}).setdefault(service.ref, set()).add(server.gateway_key)
    return {
        host: tuple(HostClaim(ref, frozenset(gateways)) for ref, gateways in by_service.items())
        for host, by_service in sorted(claims.items())
    }


def gateway_listener(
    bind: str, port: int, route_name: str, *, settings: ListenerSettings = DEFAULTS
) -> Listener:
    """The listener of a plain HTTP port (HTTP/1 and HTTP/2, so gRPC), routed by the RDS route
    ``route_name``.
    """
    name = listener_name(bind, port)
    manager = http_connection_manager(Side.GATEWAY, name, route_name, settings)
    listener = Listener(
        name=name,
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.OUTBOUND,
        default_filter_chain=FilterChain(name=name, filters=[manager]),
    )
    if settings.buffer_limit:
        listener.per_connection_buffer_limit_bytes.value = settings.buffer_limit
    return listener


def gateway_tcp_listener(
    bind: str, port: int, targets: Iterable[TcpTarget], *, settings: ListenerSettings = DEFAULTS
) -> Listener:
    """The listener of a TCP port, or of one whose TLS is passed through; connections of no target are closed."""
    listener = Listener(
        name=listener_name(bind, port),
        address=listen_address(bind, port),
        traffic_direction=TrafficDirection.OUTBOUND,
    )
    add_tcp_chains(listener, targets, log_connections(listener, settings))
    if settings.buffer_limit:
        listener.per_connection_buffer_limit_bytes.value = settings.buffer_limit
    return listener


def _conflict(own: GatewayServer, other: GatewayServer, port: int) -> Problem:
    message = (
        f"{own.protocol} cannot share port {port} with {other.protocol} of {other.gateway}"
        f" spec.servers[{other.index}], which is older; choose another port or the same kind of protocol"
    )
    return Problem(Reason.CONFLICT, message, own.gateway, f"spec.servers[{own.index}].port")
