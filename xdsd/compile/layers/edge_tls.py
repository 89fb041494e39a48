"""Ports of gateways where servers end TLS, beside those that pass it through; they are told apart by server name."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener

from xdsd.compile.gateway_listeners import (
    closed_chain,
    gateway_tls_listener,
    quic_chain,
    quic_listener,
    secure_http_chain,
    secure_tcp_chain,
)
from xdsd.compile.gateways import GatewayServer, MergedPort, RouteTable
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import encode, resource
from xdsd.compile.layers.destinations import Target
from xdsd.compile.layers.edge_connections import edge_connections, server_connections
from xdsd.compile.layers.edge_tables import (
    deciding_server,
    edge_guards,
    edge_host,
    edge_limits,
    edge_ports,
    port_guards,
    served_hosts,
)
from xdsd.compile.layers.guarding import extras_of, guarded
from xdsd.compile.layers.limits import limited
from xdsd.compile.layers.servers import open_servers, quic_servers, quic_socket, server_socket, server_turn
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.limits.terms import Side
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.resolve import View
from xdsd.compile.tcp_chains import append_chains
from xdsd.compile.tcp_targets import TcpTarget, distinct
from xdsd.snapshot import LISTENER, Resource

_PORTION = 50
"""Servers that are made in one step."""


def ends_tls(port: MergedPort) -> bool:
    """True if some server of a port ends TLS."""
    return any(server.terminates for server in port.servers)


def edge_tables(graph: Graph, view: View) -> tuple[RouteTable, ...]:
    """The route configurations of all ports."""
    ports = graph.ask(edge_ports, view)
    return tuple(table for port in ports for table in graph.ask(open_tables, view, port))


def open_tables(graph: Graph, view: View, port: MergedPort) -> tuple[RouteTable, ...]:
    """The route configurations of the servers that are open."""
    if port.section != "tls":
        return port.tables
    opened = frozenset(graph.ask(open_servers, view, port))
    return tuple(table for table in port.tables if table.servers[0] in opened)


def secure_targets(graph: Graph, view: View, port: MergedPort) -> Iterator[Target]:
    """Where connections lead whose TLS is ended and which are carried on unread."""
    for server in graph.ask(open_servers, view, port):
        if not server.reads_http:
            yield from graph.ask(server_connections, view, port, server).clusters


def secure_steps(view: View, port: MergedPort) -> Iterator[tuple[Any, ...]]:
    """What is to be asked for, one after the other, so that no step is long: queries with their arguments."""
    if len(port.servers) > _PORTION:
        for at in range(0, len(port.servers), _PORTION):
            yield secure_hosts, view, port, at
            yield secure_chains, view, port, at


def edge_secure_listener(graph: Graph, view: View, port: MergedPort) -> Resource | None:
    """The listener of a port where servers end TLS; None while none is open and nothing is passed through."""
    extras = graph.ask(extras_of, graph.ask(port_guards, view, port).policies)
    settings = guarded(listener_settings(graph, view.topology), extras, port.listener_name)
    targets = _left(port, graph.ask(edge_connections, view, port).targets)
    if not targets and not graph.ask(open_servers, view, port):
        return None
    listener = gateway_tls_listener(port.bind, port.port, settings=settings)
    for at in range(0, len(port.servers), _PORTION):
        listener.MergeFromString(graph.ask(secure_chains, view, port, at))
    append_chains(listener, targets, settings)
    return resource(LISTENER, listener.name, listener)


def secure_hosts(graph: Graph, view: View, port: MergedPort, at: int) -> None:
    """Has what is served at a portion of a port's servers made."""
    servers = frozenset(port.servers[at : at + _PORTION])
    for table in graph.ask(open_tables, view, port):
        if table.servers[0] in servers:
            for host, claims in served_hosts(graph, view, table):
                graph.ask(edge_host, view, table.port, host, claims, deciding_server(table, host))


def secure_chains(graph: Graph, view: View, port: MergedPort, at: int) -> bytes:
    """The chains of a portion of a port's servers, as a listener that has nothing else; those of servers that cannot be open
    are closed.
    """
    opened = frozenset(graph.ask(open_servers, view, port))
    made = Listener()
    for server in port.servers[at : at + _PORTION]:
        if server.terminates:
            made.filter_chains.extend(
                _chains(graph, view, port, server) if server in opened else [closed_chain(server)]
            )
    return encode(made)


def _chains(graph: Graph, view: View, port: MergedPort, server: GatewayServer) -> Iterator[FilterChain]:
    socket, turn = server_socket(graph, server), server_turn(graph, server)
    if server.reads_http:
        table = port.table_of(server)
        yield secure_http_chain(table, socket, replace(_requests(graph, view, table), turn=turn))
        return
    extras = graph.ask(extras_of, graph.ask(port_guards, view, port).policies)
    settings = replace(
        guarded(listener_settings(graph, view.topology), extras, port.listener_name), turn=turn
    )
    for target in distinct(graph.ask(server_connections, view, port, server).targets)[0]:
        yield secure_tcp_chain(server, target, socket, settings)


def edge_quic_listener(graph: Graph, view: View, port: MergedPort) -> Resource | None:
    """The listener of a port's HTTP/3; None where no server speaks it."""
    speaking = graph.ask(quic_servers, view, port)
    if not speaking:
        return None
    chains = [
        quic_chain(table, quic_socket(graph, server), _requests(graph, view, table))
        for server in port.servers
        if server in speaking
        for table in (port.table_of(server),)
    ]
    listener = quic_listener(port.bind, port.port, chains, settings=listener_settings(graph, view.topology))
    return resource(LISTENER, listener.name, listener)


def _requests(graph: Graph, view: View, table: RouteTable) -> ListenerSettings:
    """What is decided about requests to a server."""
    extras = graph.ask(extras_of, graph.ask(edge_guards, view, table).policies)
    limits = limited(graph, graph.ask(edge_limits, view, table), Side.GATEWAY, view.topology)
    return guarded(limits, extras, table.place)


def _left(port: MergedPort, targets: tuple[TcpTarget, ...]) -> list[TcpTarget]:
    """What is passed through, without the names for which a server ends TLS."""
    taken = {name for server in port.servers if server.terminates for name in server.names or ("",)}
    found = []
    for target in distinct(targets)[0]:
        names = tuple(name for name in target.sni if name not in taken)
        if names or (not target.sni and "" not in taken):
            found.append(replace(target, sni=names, only_tls=True))
    return found
