"""Gateways: which servers an edge proxy opens, and which VirtualServices show on them.

A Gateway object selects proxies by label, from any namespace; an empty selector takes all of them. Its
*servers* open ports. Servers of several objects on one port share a listener and a route table (a
*merged port*). A VirtualService shows on a server if it names the server's gateway, and their hosts
overlap; then the narrower of two overlapping hosts is served.

Several objects at one port is where users meet by accident, so the rule is the published one: the
older object wins, and the other hears of it as a problem.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from xdsd.compile.default_endpoints import DefaultEndpoint
from xdsd.compile.names import gateway_route_name, listener_name, quic_name
from xdsd.compile.resolve import Section, section_of
from xdsd.model.admin_page import exposing
from xdsd.model.catalog import Protocol
from xdsd.model.intent import Gateway, Object, Server, ServerTLSMode
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.started import DEFAULT_ADMIN_PORT

_WILDCARDS = frozenset({"", "0.0.0.0", "::"})
_UNREAD = frozenset({None, ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH})


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """The server ``spec.servers[index]`` of a Gateway; ``hosts`` as written there (``host`` or
    ``namespace/host``). One that ``terminates`` ends TLS; one that ``redirects`` sends plain HTTP to HTTPS; an
    ``automatic`` one leads mutual TLS of the mesh to the service that its server name says. ``default`` gets what no rule
    leads elsewhere.
    """

    gateway: ObjectRef
    index: int
    protocol: Protocol
    hosts: tuple[str, ...]
    terminates: bool = False
    redirects: bool = False
    port_name: str = ""
    automatic: bool = False
    default: DefaultEndpoint | None = None

    @property
    def reads_http(self) -> bool:
        """True if requests are read inside of the TLS that it ends."""
        return self.terminates and self.protocol is Protocol.HTTPS

    @property
    def section(self) -> Section:
        """The rules for what arrives there."""
        if self.reads_http:
            return "http"
        return "tcp" if self.terminates else section_of(self.protocol)

    @property
    def names(self) -> tuple[str, ...]:
        """Its hosts without namespaces; empty where it is for all."""
        found = dict.fromkeys(host.rpartition("/")[2].lower() for host in self.hosts)
        return () if "*" in found else tuple(found)

    @property
    def chain_name(self) -> str:
        """What its filter chain is called."""
        return f"{self.gateway_key}:servers[{self.index}]"

    @property
    def gateway_key(self) -> str:
        """``namespace/name``: how VirtualServices name its gateway."""
        return f"{self.gateway.namespace}/{self.gateway.name}"


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The route configuration ``name`` of some servers of a port. ``place`` tells it apart in what is named after it."""

    name: str
    port: int
    bind: str
    servers: tuple[GatewayServer, ...]
    place: str

    def __hash__(self) -> int:
        """Tables are names of results, and may have thousands of servers."""
        return hash((self.name, self.port, self.bind, self.place))


@dataclass(frozen=True, slots=True)
class MergedPort:
    """All servers of a proxy at one address and port, the oldest object's first; ``bind`` is an address."""

    bind: str
    port: int
    servers: tuple[GatewayServer, ...]

    def __hash__(self) -> int:
        """Ports are names of results, and may have thousands of servers."""
        return hash((self.bind, self.port, len(self.servers), self.servers[:1], self.servers[-1:]))

    @property
    def section(self) -> Section:
        """The rules that say where what arrives there goes."""
        return section_of(self.servers[0].protocol)

    @property
    def listener_name(self) -> str:
        """``0.0.0.0_8080``."""
        return listener_name(self.bind, self.port)

    @property
    def quic_name(self) -> str:
        """``udp_0.0.0.0_443``: the listener of HTTP/3."""
        return quic_name(self.bind, self.port)

    @property
    def route_name(self) -> str:
        """``http.8080``, or ``http.8080.10.0.0.1`` where the servers ask for an address."""
        name = gateway_route_name(self.port)
        return self._at_address(name)

    @property
    def tables(self) -> tuple[RouteTable, ...]:
        """Its route configurations: one for all requests in plaintext, and one a server that ends TLS, so that a host is
        served with its own certificate alone.
        """
        if self.section == "http":
            return (RouteTable(self.route_name, self.port, self.bind, self.servers, self.listener_name),)
        return tuple(self.table_of(server) for server in self.servers if server.reads_http)

    def table_of(self, server: GatewayServer) -> RouteTable:
        """The route configuration of a server that ends TLS and reads the requests inside."""
        owner = f"{server.port_name}.{server.gateway.name}.{server.gateway.namespace}"
        name = self._at_address(f"https.{self.port}.{owner}")
        return RouteTable(name, self.port, self.bind, (server,), name)

    def _at_address(self, name: str) -> str:
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
    gateways: Iterable[Object[Gateway]], *, wildcard: str = "0.0.0.0", admin: int = DEFAULT_ADMIN_PORT
) -> tuple[tuple[MergedPort, ...], tuple[Problem, ...]]:
    """The ports that a proxy opens for the Gateways that select it, ordered by number and address.

    ``wildcard`` is where servers without an address listen (``::`` on an IPv6 machine). HTTP, HTTP2,
    GRPC and GRPC-WEB servers share a port, and so do TLS and HTTPS servers, which are told apart by
    server name; any other that meets a server of an older object is left out and becomes a problem. So does a
    ``defaultEndpoint`` that is the proxy's admin page, at the port ``admin``.
    """
    merged: dict[tuple[int, str], _Merged] = {}
    problems: list[Problem] = []
    for gateway in sorted(gateways, key=lambda each: each.age):
        problems.extend(exposing(gateway, admin))
        for index, server in enumerate(gateway.spec.servers):
            bind = wildcard if server.bind is None or server.bind in _WILDCARDS else server.bind
            own = gateway_server(gateway.ref, index, server)
            if own.default is not None and own.default.is_admin_page(admin):
                own = replace(own, default=None)
            others = merged.setdefault((server.port.number, bind), _Merged())
            twin = others.twin(own)
            if others.servers and not _share(own.protocol, others.servers[0].protocol):
                problems.append(_conflict(own, others.servers[0], server.port.number))
            elif twin is not None:
                problems.append(_taken(own, *twin, server.port.number))
            else:
                problems.extend(_unheeded(own, others.plain_twin(own), server.port.number))
                others.add(own)
    ports = tuple(
        MergedPort(bind, port, tuple(each.servers))
        for (port, bind), each in sorted(merged.items(), key=_where)
    )
    return ports, tuple(problems)


class _Merged:
    """The servers of a port so far, and who has which server name; ``*`` is for all that have none."""

    def __init__(self) -> None:
        self.servers: list[GatewayServer] = []
        self._first: dict[str, GatewayServer] = {}
        self._first_ending: dict[str, GatewayServer] = {}

    def twin(self, own: GatewayServer) -> tuple[str, GatewayServer] | None:
        """A name for which a server and an earlier one are, one of them ending TLS: it can have one meaning only."""
        known = self._first if own.terminates else self._first_ending
        return next(((name, known[name]) for name in own.names or ("*",) if name in known), None)

    def plain_twin(self, own: GatewayServer) -> tuple[str, GatewayServer] | None:
        """A name for which an earlier server is that says something else of what no rule is for; the earlier one counts."""
        if own.terminates:
            return None
        known = ((name, self._first.get(name)) for name in own.names or ("*",))
        return next(
            ((name, first) for name, first in known if first and _unclaimed(first) != _unclaimed(own)), None
        )

    def add(self, own: GatewayServer) -> None:
        self.servers.append(own)
        for name in own.names or ("*",):
            self._first.setdefault(name, own)
            if own.terminates:
                self._first_ending.setdefault(name, own)


def _where(item: tuple[tuple[int, str], _Merged]) -> tuple[int, str]:
    return item[0]


def gateway_server(gateway: ObjectRef, index: int, server: Server) -> GatewayServer:
    """A server as it is declared."""
    protocol = Protocol(server.port.protocol.upper())
    tls = server.tls
    ends = protocol.is_tls and tls is not None and tls.mode not in _UNREAD
    redirects = not protocol.is_tls and tls is not None and bool(tls.https_redirect)
    automatic = protocol.is_tls and tls is not None and tls.mode is ServerTLSMode.AUTO_PASSTHROUGH
    default = DefaultEndpoint(server.default_endpoint, protocol.is_http2) if server.default_endpoint else None
    return GatewayServer(
        gateway, index, protocol, server.hosts, ends, redirects, server.port.name, automatic, default
    )


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


def claims_by_host(
    port: MergedPort | RouteTable, bound: Iterable[BoundService]
) -> dict[str, tuple[HostClaim, ...]]:
    """Who serves which host of a merged port or of some of its servers; claims of a host stand in the order of ``bound``.

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


def _unclaimed(server: GatewayServer) -> tuple[bool, DefaultEndpoint | None]:
    """What a server says beside rules."""
    return server.redirects, server.default


def _unheeded(own: GatewayServer, twin: tuple[str, GatewayServer] | None, port: int) -> Iterator[Problem]:
    if twin is None:
        return
    name, other = twin
    what = "httpsRedirect" if own.redirects != other.redirects else "defaultEndpoint"
    message = (
        f"{other.gateway} spec.servers[{other.index}], which is older, is for {name} of port {port} too, and its"
        f" {what} counts, or that it has none; say the same in both"
    )
    path = f"spec.servers[{own.index}].hosts"
    yield Problem(Reason.CONFLICT, message, own.gateway, path, severity=Severity.WARNING)


def _taken(own: GatewayServer, name: str, other: GatewayServer, port: int) -> Problem:
    message = (
        f"{name} of port {port} is served by {other.gateway} spec.servers[{other.index}] already, which is"
        " older; choose other hosts"
    )
    return Problem(Reason.CONFLICT, message, own.gateway, f"spec.servers[{own.index}].hosts")


def _conflict(own: GatewayServer, other: GatewayServer, port: int) -> Problem:
    message = (
        f"{own.protocol} cannot share port {port} with {other.protocol} of {other.gateway}"
        f" spec.servers[{other.index}], which is older; choose another port or the same kind of protocol"
    )
    return Problem(Reason.CONFLICT, message, own.gateway, f"spec.servers[{own.index}].port")
