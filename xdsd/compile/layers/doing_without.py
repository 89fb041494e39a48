"""Layers of proxies whose machine lacks something that listeners need: the same parts, with listeners that do without.

Envoy refuses a listener whose access log it cannot open, and so all of them, and one with TLS of a file that it cannot use.
Which files those are its machine decides, so a proxy that lacks one is served without the log, or with the servers closed
that need the file, and others keep theirs. That holds until objects ask for another log or other TLS, or the proxy connects
anew.
"""

from hashlib import blake2b
from typing import Any, NamedTuple

from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from xdsd.compile.access_logs import AccessLog
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, Query, resource
from xdsd.compile.layers.edge_tables import edge_ports
from xdsd.compile.layers.near import NEAR
from xdsd.compile.layers.observing import observed_members
from xdsd.compile.layers.servers import tell_of_lost_file
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.lost_files import LostFile, close_chains
from xdsd.compile.resolve import View, settings
from xdsd.compile.world import mesh_config_ref, read_mesh_default
from xdsd.model.intent.extension_provider import MeshExtensionProvider
from xdsd.model.problem import Problem, Reason
from xdsd.snapshot import LISTENER, LayerId, Resource

_WRITERS = (HttpConnectionManager, TcpProxy)


class Lost(NamedTuple):
    """What a proxy cannot have: the access logs of these paths, and the TLS that needs these files."""

    logs: tuple[str, ...] = ()
    files: tuple[LostFile, ...] = ()


def without_lost(
    graph: Graph, node_id: str, view: View, specs: tuple[LayerSpec, ...]
) -> tuple[LayerSpec, ...]:
    """The layers of a proxy without what it cannot have; the same ones if it has all."""
    logs: tuple[AccessLog, ...] = graph.read(("lost-logs", node_id)) or ()
    files: tuple[LostFile, ...] = graph.read(("lost-files", node_id)) or ()
    if not logs and not files:
        return specs
    for log in logs:
        graph.ask(tell_of_lost_log, log)
    for file in files:
        graph.ask(tell_of_lost_file, graph.ask(edge_ports, view), file)
    return graph.ask(reduced_layers, specs, Lost(tuple(log.path for log in logs), files))


def tell_of_lost_log(graph: Graph, log: AccessLog) -> None:
    """Tells once, for however many proxies."""
    words: str = graph.read(("lost-log-words", log)) or ""
    own = log.path == listener_settings(graph).access_log.path
    default = f" ({log.path} if left out)" if own and not read_mesh_default(graph, "access_log_file") else ""
    message = f"{words}{default}; so listeners are there without this log"
    ref = mesh_config_ref(settings(graph))
    path = (
        "spec.accessLogFile"
        if own
        else f"spec.extensionProviders{_place(graph, log)}.envoyFileAccessLog.path"
    )
    graph.report(Problem(Reason.REJECTED_BY_PROXY, message, ref, path))


def _place(graph: Graph, log: AccessLog) -> str:
    """Which provider's file it is."""
    providers: tuple[MeshExtensionProvider, ...] = read_mesh_default(graph, "extension_providers") or ()
    files = [each.envoy_file_access_log.path if each.envoy_file_access_log else "" for each in providers]
    return f"[{files.index(log.path)}]" if log.path in files else ""


def reduced_layers(graph: Graph, specs: tuple[LayerSpec, ...], lost: Lost) -> tuple[LayerSpec, ...]:
    """The layers with no listener that needs what is lost."""
    del graph
    digest = blake2b(repr(lost).encode(), digest_size=6).hexdigest()
    return tuple(spec if spec.id.startswith(NEAR) else _reduced_layer(spec, lost, digest) for spec in specs)


def _reduced_layer(spec: LayerSpec, lost: Lost, digest: str) -> LayerSpec:
    parts = tuple((reduced_members, (query, arguments, lost)) for query, arguments in spec.parts)
    return LayerSpec(LayerId(f"{spec.id}/without/{digest}"), parts)


def reduced_members(graph: Graph, query: Query, arguments: tuple[Any, ...], lost: Lost) -> tuple[Member, ...]:
    """The members of a part, its listeners without what is lost."""
    members: tuple[Member, ...] = graph.ask(query, *arguments)
    if not any(member.type_url == LISTENER for member in members):
        return members
    return tuple(
        member._replace(query=reduced, arguments=(member.query, member.arguments, lost))
        if member.type_url == LISTENER
        else member
        for member in members
    )


def whole_part(query: Query, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a part as it is where nothing is lost."""
    return whole_part(*arguments[:2]) if query in (reduced_members, observed_members) else arguments


def reduced(graph: Graph, query: Query, arguments: tuple[Any, ...], lost: Lost) -> Resource | None:
    """A listener that does without; None if it would let nobody in."""
    base: Resource | None = graph.ask(query, *arguments)
    if base is None:
        return None
    listener = Listener.FromString(base.body)
    for path in lost.logs:
        drop_log(listener, path)
    return resource(LISTENER, base.name, listener) if close_chains(listener, lost.files) else None


def drop_log(listener: Any, path: str) -> None:
    """Removes each log to this file from a listener and its filters."""
    _drop(listener.access_log, path)
    for chain in (*listener.filter_chains, listener.default_filter_chain):
        for each in chain.filters:
            for kind in _WRITERS:
                if each.typed_config.Is(kind.DESCRIPTOR):
                    config: Any = kind.FromString(each.typed_config.value)
                    _drop(config.access_log, path)
                    each.typed_config.Pack(config, deterministic=True)


def _drop(logs: Any, path: str) -> None:
    for index in reversed(range(len(logs))):
        config = logs[index].typed_config
        if config.Is(FileAccessLog.DESCRIPTOR) and FileAccessLog.FromString(config.value).path == path:
            del logs[index]
