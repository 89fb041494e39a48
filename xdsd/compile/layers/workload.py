"""The layer of a workload's own proxies: what they take in, and without redirection also where they listen for calls out.

The layer is named after its content: replicas that serve the same ports share it, and a workload that changes moves to
another layer instead of changing the one that others use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple

from xdsd.compile.authorization.heads import NO_EXTRAS, Extras
from xdsd.compile.clusters import inbound_cluster, inbound_passthrough_cluster
from xdsd.compile.graph import Graph
from xdsd.compile.inbound import InboundPort, inbound_listener, virtual_inbound
from xdsd.compile.layers.admin_pages import proxy_admin_port
from xdsd.compile.layers.base import LayerSpec, Member, resource
from xdsd.compile.layers.defaults import inbound_pool, is_local
from xdsd.compile.layers.guarding import extras_of, guarded, guards_of
from xdsd.compile.layers.limits import limited, limiter_members, workload_limits
from xdsd.compile.layers.listening import explicit_members
from xdsd.compile.layers.own import own_departed, own_endpoints, own_services
from xdsd.compile.layers.peer_policies import policy_for, unable, undeclared_ports
from xdsd.compile.layers.peers import door_turn, let_in
from xdsd.compile.layers.port_remarks import ports_in_vain
from xdsd.compile.limits.terms import Side
from xdsd.compile.names import (
    INBOUND_PASSTHROUGH_CLUSTER,
    VIRTUAL_INBOUND_LISTENER,
    inbound_cluster_name,
    listener_name,
)
from xdsd.compile.peers import UNREAD, Admits, Undeclared, admits
from xdsd.compile.policy import Policy
from xdsd.compile.resolve import View, sidecar_for, sidecar_spec
from xdsd.compile.sidecar_bindings import ingress_binding, ingress_target, wildcard
from xdsd.compile.tcp_proxies import tcp_options
from xdsd.compile.world import read_proxy, read_service
from xdsd.model.admin_page import exposed, is_admin_page
from xdsd.model.catalog import NOT_SERVED, Protocol, ServiceKey
from xdsd.model.intent import ConnectionPoolSettings, ServerTLSSettings
from xdsd.model.mesh import Interception, Proxy
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.protocols import protocol_of
from xdsd.snapshot import CLUSTER, LISTENER, LayerId, Resource

_INSIDE: Mapping[Protocol, Protocol] = MappingProxyType(
    {Protocol.HTTPS: Protocol.HTTP, Protocol.TLS: Protocol.TCP}
)


class Served(NamedTuple):
    """A port that a workload serves: what callers connect to, and where the program is.

    ``bound`` says that it has a listener of its own, which binds the port, even where all else is redirected. ``pool``
    names the Sidecar (and its ingress listener, or -1) whose connection pool applies. ``target`` is empty where the program
    is at the address that callers meant. ``limits`` are the RateLimits of the workload, for ports that speak HTTP.
    ``admits`` says whom the port takes, ``extras`` what policies add to what guards it, and ``turn`` is another when
    connections of its peers are to end.
    """

    port: int
    protocol: Protocol
    host: str
    bind: str
    target: str
    target_port: int
    bound: bool
    pool: tuple[ObjectRef, int] | None
    limits: tuple[ObjectRef, ...] = ()
    admits: Admits = Admits.PLAINTEXT
    extras: Extras = NO_EXTRAS
    turn: str = ""

    @property
    def onward(self) -> "Served":
        """As much of it as matters from here to the program."""
        return self._replace(limits=(), admits=Admits.PLAINTEXT, extras=NO_EXTRAS, turn="")


class Explicit(NamedTuple):
    """Where a sidecar without redirection listens for its program's calls."""

    view: View
    address: str
    http_proxy_port: int


def workload_layer(
    served: tuple[Served, ...], explicit: Explicit | None, undeclared: Undeclared = UNREAD
) -> LayerSpec:
    """The layer of all proxies that serve exactly these ports, and take the same on others."""
    digest = blake2b(repr((served, explicit, undeclared)).encode(), digest_size=6).hexdigest()
    kind = "explicit" if explicit else "inbound"
    name = served[0].host if served else "-"
    return LayerSpec(
        LayerId(f"{kind}/{name}/{digest}"), ((workload_members, (served, explicit, undeclared)),)
    )


def workload_members(
    graph: Graph, served: tuple[Served, ...], explicit: Explicit | None, undeclared: Undeclared = UNREAD
) -> tuple[Member, ...]:
    """Clusters to the program, the listeners in front of it, and the explicit listeners out."""
    members = [Member(CLUSTER, inbound_cluster_name(port.port), program, (port.onward,)) for port in served]
    limits = next((port.limits for port in served if port.limits), ())
    members += limiter_members(graph, limits, Side.INBOUND)
    if explicit is None:
        captured = tuple(port for port in served if not port.bound)
        members.append(Member(CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, passed_through, ()))
        arguments = (wildcard_of(served), captured, undeclared)
        members.append(Member(LISTENER, VIRTUAL_INBOUND_LISTENER, redirected, arguments))
    members += [
        Member(LISTENER, listener_name(port.bind, port.port), own_listener, (port,))
        for port in served
        if port.bound
    ]
    if explicit is None:
        return tuple(members)
    taken = {member.name for member in members if member.type_url == LISTENER}
    # The program may start later, and what is sent on to it would come back to the proxy for ever.
    taken |= {listener_name(port.target, port.target_port) for port in served if port.target}
    outward = graph.ask(explicit_members, explicit.view, explicit.address, explicit.http_proxy_port)
    for member in outward:
        if member.name in taken:
            graph.report(_collision(explicit, member.name))
        else:
            members.append(member)
    return tuple(members)


def _collision(explicit: Explicit, name: str) -> Problem:
    return Problem(
        Reason.CONFLICT,
        f"the outbound listener {name} of a proxy of namespace {explicit.view.namespace} is left out: the workload or"
        " its program is served there; start it with another address for calls out (xdsctl bootstrap --outbound-bind)",
        severity=Severity.WARNING,
    )


def served_by(graph: Graph, node_id: str) -> tuple[Served, ...]:
    """The ports that a proxy's workload serves, whom they take, and what limits their requests."""
    proxy = read_proxy(graph, node_id)
    if proxy is None:
        return ()
    limits = graph.ask(workload_limits, proxy.namespace, tuple(sorted(proxy.labels.items())))
    policy, proven = policy_for(graph, proxy), bool(proxy.identity)
    extras = graph.ask(extras_of, guards_of(graph, node_id).policies)
    turn = _turn(graph, proxy)
    found = tuple(
        port._replace(
            limits=limits if port.protocol.carries_http else (),
            admits=(taken := admits(policy.of(port.port).mode, proven=proven)),
            extras=extras,
            turn=turn if taken.is_mutual else "",
        )
        for port in _programs(graph, proxy)
    )
    for problem in () if proven else unable(proxy, policy, [port.port for port in found]):
        graph.report(problem)
    for problem in ports_in_vain(graph, proxy, policy, {port.port for port in found}):
        graph.report(problem)
    for port in found:
        if port.admits is Admits.MUTUAL and _tls(graph, port) is not None and port.pool is not None:
            graph.report(_overruled(port, *port.pool, policy.of(port.port).ref))
    return found


def _overruled(port: Served, sidecar: ObjectRef, index: int, policy: ObjectRef | None) -> Problem:
    return Problem(
        Reason.CONFLICT,
        f"has no effect: port {port.port} takes peers of the mesh alone, as {policy} says; write DISABLE, or PERMISSIVE for"
        " both, in a PeerAuthentication's portLevelMtls",
        sidecar,
        f"spec.ingress[{index}].tls",
        severity=Severity.WARNING,
    )


def undeclared_of(graph: Graph, node_id: str) -> Undeclared:
    """What a proxy's workload takes on ports that no service declares."""
    proxy = read_proxy(graph, node_id)
    if proxy is None:
        return UNREAD
    found = undeclared_ports(policy_for(graph, proxy), proven=bool(proxy.identity))
    taken = (found.admits, *(each for _, each in found.ports))
    return found._replace(turn=_turn(graph, proxy) if any(each.is_mutual for each in taken) else "")


def _turn(graph: Graph, proxy: Proxy) -> str:
    """What is another when connections of its peers are to end."""
    return graph.ask(door_turn, proxy.namespace, tuple(sorted(proxy.labels.items())))


def _programs(graph: Graph, proxy: Proxy) -> Iterator[Served]:
    """The ports that a workload serves, but for those at which its proxy's own admin page is."""
    admin = proxy_admin_port(graph, proxy)
    for port in _ports(graph, proxy):
        if is_admin_page(port.target, port.target_port, admin):
            graph.report(_exposed(graph, proxy, port))
        else:
            yield port


def _exposed(graph: Graph, proxy: Proxy, port: Served) -> Problem:
    if port.pool is not None and port.pool[1] >= 0:
        ref, index = port.pool
        field = (
            "defaultEndpoint" if sidecar_spec(graph, ref).ingress[index].default_endpoint else "port.number"
        )
        return exposed(ref, f"spec.ingress[{index}].{field}", port.target_port)
    message = (
        f"port {port.port} of {proxy.namespace}/{proxy.name} is left out: its proxy's own admin page is there; give"
        " the program another port, or that page (xdsctl bootstrap --admin-port)"
    )
    ref = ObjectRef("Service", proxy.namespace, port.host)
    return Problem(Reason.CONFLICT, message, ref, severity=Severity.WARNING)


def _ports(graph: Graph, proxy: Proxy) -> tuple[Served, ...]:
    """The ports that a workload serves: as its Sidecar says, else those of the services at its address, and on ports of
    none of these what left it not long ago.
    """
    ref = graph.ask(sidecar_for, proxy.namespace, tuple(sorted(proxy.labels.items())))
    spec = sidecar_spec(graph, ref) if ref else None
    if ref and spec and spec.ingress:
        declared = (_declared(graph, proxy, ref, index) for index in range(len(spec.ingress)))
        return tuple(served for served in declared if served is not None)
    pool = (ref, -1) if ref and spec and spec.inbound_connection_pool else None
    found: dict[int, Served] = {}
    for key in own_services(graph, proxy):
        service = read_service(graph, key)
        if service is None:
            continue
        for endpoint in own_endpoints(graph, proxy, key):
            for port in service.ports:
                number = endpoint.port_for(port)
                if number == NOT_SERVED:
                    continue
                served = _discovered(proxy, number, port.protocol, key.hostname, pool, local=is_local(graph))
                other = found.setdefault(number, served)
                if other.protocol.is_auto:
                    found[number] = served
                elif not port.protocol.is_auto and other.protocol.is_http != port.protocol.is_http:
                    graph.report(_contradiction(number, other.host, key, proxy))
    for service, endpoint in own_departed(graph, proxy):
        for port in service.ports:
            number = endpoint.port_for(port)
            if number != NOT_SERVED:
                host, local = service.hostname, is_local(graph)
                found.setdefault(number, _discovered(proxy, number, port.protocol, host, pool, local=local))
    return tuple(found[number] for number in sorted(found))


def _discovered(
    proxy: Proxy,
    number: int,
    protocol: Protocol,
    host: str,
    pool: tuple[ObjectRef, int] | None,
    *,
    local: bool,
) -> Served:
    if proxy.interception is Interception.NONE:
        return Served(number, protocol, host, proxy.address, _loopback(proxy), number, bound=True, pool=pool)
    target = _loopback(proxy) if local else ""
    return Served(number, protocol, host, wildcard(proxy.address), target, number, bound=False, pool=pool)


def _loopback(proxy: Proxy) -> str:
    return "::1" if ":" in proxy.address else "127.0.0.1"


def wildcard_of(served: tuple[Served, ...]) -> str:
    """Every address of the family in which a workload is served."""
    return "::" if any(":" in port.bind for port in served) else "0.0.0.0"


def _declared(graph: Graph, proxy: Proxy, ref: ObjectRef, index: int) -> Served | None:
    """The port of a Sidecar's ingress listener; a malformed target is reported and leaves it out."""
    item = sidecar_spec(graph, ref).ingress[index]
    number = item.port.number or 0
    binding = ingress_binding(item.bind, item.capture_mode, proxy.interception, proxy_address=proxy.address)
    target = ingress_target(item.default_endpoint, number, proxy.address)
    if isinstance(target, Problem):
        graph.report(replace(target, object=ref, path=f"spec.ingress[{index}].defaultEndpoint"))
        return None
    declared = item.port.protocol
    protocol = Protocol(declared.upper()) if declared else protocol_of(number, item.port.name or "")
    return Served(
        number, protocol, "", binding.bind, target.address, target.port, binding.bind_to_port, (ref, index)
    )


def _contradiction(number: int, one: str, other: ServiceKey, proxy: Proxy) -> Problem:
    return Problem(
        Reason.CONFLICT,
        f"port {number} of {proxy.namespace}/{proxy.name} is declared with different protocols by {one} and"
        f" {other.hostname}; it is served as {one} says",
        ObjectRef("Service", *other),
        severity=Severity.WARNING,
    )


def explicit_of(graph: Graph, node_id: str, view: View) -> Explicit | None:
    """Where a connected sidecar listens for its program's calls; None if the kernel redirects them."""
    proxy = read_proxy(graph, node_id)
    if proxy is None or proxy.interception is not Interception.NONE:
        return None
    return Explicit(view, proxy.bind or _loopback(proxy), proxy.http_proxy_port)


def _inbound(graph: Graph, served: Served) -> InboundPort:
    options = tcp_options(Policy(connection_pool=_pool(graph, served)))
    cluster = inbound_cluster_name(served.port)
    tls = _tls(graph, served)
    spoken = _spoken(served, tls)
    return InboundPort(served.port, spoken, cluster, served.host, served.bind, options, tls, served.admits)


def _tls(graph: Graph, served: Served) -> ServerTLSSettings | None:
    """How connections to a port are decrypted, where its ingress listener says so."""
    if served.pool is None or served.pool[1] < 0:
        return None
    ref, index = served.pool
    return sidecar_spec(graph, ref).ingress[index].tls


def _spoken(served: Served, tls: ServerTLSSettings | None) -> Protocol:
    """What is spoken on a port, inside TLS where that is taken off."""
    return _INSIDE.get(served.protocol, served.protocol) if tls else served.protocol


def _pool(graph: Graph, served: Served) -> ConnectionPoolSettings | None:
    """The limits on connections to the program: of its ingress listener, else of the whole Sidecar."""
    if served.pool is None:
        return None
    ref, index = served.pool
    spec = sidecar_spec(graph, ref)
    own = spec.ingress[index].connection_pool if index >= 0 else None
    return own or spec.inbound_connection_pool


def program(graph: Graph, served: Served) -> Resource:
    """The cluster that leads to the program."""
    spoken = _spoken(served, _tls(graph, served))
    pool = inbound_pool(graph, _pool(graph, served))
    cluster = inbound_cluster(served.port, served.target, served.target_port, pool, spoken)
    return resource(CLUSTER, cluster.name, cluster)


def passed_through(graph: Graph) -> Resource:
    """Where ports go that no service declares."""
    return resource(
        CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, inbound_passthrough_cluster(inbound_pool(graph, None))
    )


def redirected(
    graph: Graph, bind: str, served: tuple[Served, ...], undeclared: Undeclared = UNREAD
) -> Resource:
    """The one inbound listener of a proxy to which the kernel redirects."""
    ports = [_inbound(graph, port) for port in served]
    limits = next((port.limits for port in served if port.limits), ())
    extras = served[0].extras if served else NO_EXTRAS
    turn = next((each.turn for each in served if each.turn), undeclared.turn)
    listener = virtual_inbound(
        ports,
        bind=bind,
        settings=replace(guarded(limited(graph, limits, Side.INBOUND), extras), turn=turn),
        undeclared=undeclared,
        trust=graph.ask(let_in),
    )
    return resource(LISTENER, listener.name, listener)


def own_listener(graph: Graph, served: Served) -> Resource:
    """The inbound listener of one port, which it binds itself."""
    found = guarded(limited(graph, served.limits, Side.INBOUND), served.extras)
    found = replace(found, turn=served.turn)
    listener = inbound_listener(_inbound(graph, served), settings=found, trust=graph.ask(let_in))
    return resource(LISTENER, listener.name, listener)
