"""Servers of gateways that end TLS: whether they can be open, and with what they decrypt."""

from collections.abc import Iterator
from typing import Any, cast

from envoy.config.core.v3.base_pb2 import TransportSocket

from xdsd.compile.downstream_tls import HTTP_ALPN, quic_tls, server_tls, set_parameters, takes_quic
from xdsd.compile.gateways import GatewayServer, MergedPort
from xdsd.compile.graph import Graph
from xdsd.compile.layers.credentials import misnamed, server_lacks
from xdsd.compile.layers.peers import any_turn, let_in
from xdsd.compile.lost_files import LostFile, fingerprint
from xdsd.compile.mesh_tls import mesh_server_context, tls_socket
from xdsd.compile.resolve import View
from xdsd.compile.resolve import settings as mesh
from xdsd.compile.world import read_object
from xdsd.model.intent import Gateway, Object, ServerTLSMode, ServerTLSSettings
from xdsd.model.machine import needs
from xdsd.model.problem import Problem, Reason, Severity


def open_servers(graph: Graph, view: View, port: MergedPort) -> tuple[GatewayServer, ...]:
    """The servers of a port that end TLS and have all that they need; of others it is said what is missing."""
    found = []
    for server in port.servers:
        if not server.terminates:
            continue
        settings = _settings(graph, server)
        if settings is None:
            continue
        why = _closed(graph, view, settings)
        if why:
            path = f"spec.servers[{server.index}].tls"
            graph.report(Problem(Reason.BROKEN_REFERENCE, f"stays closed: {why}", server.gateway, path))
        else:
            found.append(server)
            _tell_of_other_names(graph, view, server, settings)
    return tuple(found)


def _tell_of_other_names(
    graph: Graph, view: View, server: GatewayServer, settings: ServerTLSSettings
) -> None:
    host = misnamed(graph, view.home, settings, server.names)
    if host:
        field = "credentialNames" if settings.credential_names else "credentialName"
        message = f"no certificate of {view.home.namespace} that is named here is for {host}, so callers will refuse it"
        path = f"spec.servers[{server.index}].tls.{field}"
        graph.report(Problem(Reason.INVALID_VALUE, message, server.gateway, path, severity=Severity.WARNING))


def _closed(graph: Graph, view: View, settings: ServerTLSSettings) -> str:
    if settings.mode is ServerTLSMode.ISTIO_MUTUAL:
        if view.mutual:
            return ""
        return (
            "the proxy proved no identity, so it has no certificate of the mesh: let it connect to a TLS port"
        )
    return server_lacks(graph, view.home, settings, mutual=view.mutual)


def quic_servers(graph: Graph, view: View, port: MergedPort) -> frozenset[GatewayServer]:
    """The servers of a port that speak HTTP/3 too, if the mesh does."""
    if not mesh(graph).http3 or port.section != "tls" or not port.port:
        return frozenset()
    return frozenset(
        server
        for server in graph.ask(open_servers, view, port)
        if server.reads_http and (said := _settings(graph, server)) is not None and takes_quic(said)
    )


def quic_socket(graph: Graph, server: GatewayServer) -> TransportSocket:
    """What decrypts a server's HTTP/3."""
    return quic_tls(cast("ServerTLSSettings", _settings(graph, server)))


def server_socket(graph: Graph, server: GatewayServer) -> TransportSocket:
    """What decrypts a server's connections."""
    alpn = HTTP_ALPN if server.reads_http else ()
    settings = cast("ServerTLSSettings", _settings(graph, server))
    if settings.mode is not ServerTLSMode.ISTIO_MUTUAL:
        return server_tls(settings, alpn)
    context: Any = mesh_server_context(graph.ask(let_in), alpn, settings.subject_alt_names)
    set_parameters(context.common_tls_context.tls_params, settings)
    return tls_socket(context)


def server_turn(graph: Graph, server: GatewayServer) -> str:
    """When connections to a server have to end, where they are of peers."""
    settings = _settings(graph, server)
    is_mesh = settings is not None and settings.mode is ServerTLSMode.ISTIO_MUTUAL
    return graph.ask(any_turn) if is_mesh else ""


def tell_of_lost_file(graph: Graph, ports: tuple[MergedPort, ...], lost: LostFile) -> None:
    """Tells the owners of servers that are closed for a file, once for however many proxies."""
    words: str = graph.read(("lost-file-words", lost)) or ""
    for server in (each for port in ports for each in port.servers if each.terminates):
        settings = _settings(graph, server)
        if settings is None or lost.tls not in map(fingerprint, _sockets(graph, server, settings)):
            continue
        for path in _paths(graph, server, lost.file):
            message = f"{words}; so this server is closed there"
            graph.report(Problem(Reason.REJECTED_BY_PROXY, message, server.gateway, path))


def _sockets(graph: Graph, server: GatewayServer, settings: ServerTLSSettings) -> Iterator[TransportSocket]:
    yield server_socket(graph, server)
    if takes_quic(settings):
        yield quic_tls(settings)


def _paths(graph: Graph, server: GatewayServer, file: str) -> Iterator[str]:
    """The fields of a server that name a file."""
    obj = cast("Object[Gateway] | None", read_object(graph, server.gateway))
    inside = f"spec.servers[{server.index}].tls."
    yield from (
        need.path for need in (needs(obj.spec, file, "") if obj else ()) if need.path.startswith(inside)
    )


def _settings(graph: Graph, server: GatewayServer) -> ServerTLSSettings | None:
    obj = cast("Object[Gateway] | None", read_object(graph, server.gateway))
    if obj is None or server.index >= len(obj.spec.servers):
        return None
    return obj.spec.servers[server.index].tls
