"""What operators decide about listeners, as queries."""

from dataclasses import replace
from typing import Any, cast

from xdsd.compile.access_logs import AccessLog, LogEncoding
from xdsd.compile.graph import Graph
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.world import read_mesh_default
from xdsd.model.gateway_topology import UNSAID, GatewayTopology, topology_of
from xdsd.model.intent import PathNormalizationType
from xdsd.model.intent.extension_provider import MeshExtensionProvider


def listener_settings(graph: Graph, own: GatewayTopology = UNSAID) -> ListenerSettings:
    """What operators decide about every listener; ``own`` is what a gateway says of what stands in front of it."""
    return graph.ask(_listener_settings, own)


def _listener_settings(graph: Graph, own: GatewayTopology) -> ListenerSettings:
    """The settings that the compiler was made with, and over them what the MeshConfig says."""
    base = cast("ListenerSettings", graph.read(("listener-settings",)))
    said: dict[str, Any] = {  # by the names of the fields, whose types differ
        "access_log": _access_log(graph, base.access_log),
        "paths": _paths(graph),
        "inbound_retries": read_mesh_default(graph, "default_inbound_http_retry_policy"),
        "detection_timeout": read_mesh_default(graph, "protocol_detection_timeout"),
    }
    found = {name: value for name, value in said.items() if value is not None}
    return replace(base, **found, **_topology(graph, own))


def _access_log(graph: Graph, base: AccessLog) -> AccessLog:
    file = read_mesh_default(graph, "access_log_file")
    encoding = read_mesh_default(graph, "access_log_encoding")
    return AccessLog(
        base.path if file is None else file,
        base.encoding if encoding is None else LogEncoding(encoding.value),
        read_mesh_default(graph, "access_log_format") or base.format,
    )


def file_logs(graph: Graph) -> tuple[AccessLog, ...]:
    """Every file that access logs may go to: the mesh's own log, and those of providers by their paths alone."""
    own = listener_settings(graph).access_log
    providers: tuple[MeshExtensionProvider, ...] = read_mesh_default(graph, "extension_providers") or ()
    paths = [each.envoy_file_access_log.path for each in providers if each.envoy_file_access_log is not None]
    others = (AccessLog(path) for path in dict.fromkeys(paths) if path and path != own.path)
    return (*((own,) if own.path else ()), *others)


def _paths(graph: Graph) -> PathNormalizationType | None:
    said = read_mesh_default(graph, "path_normalization")
    if said is None or said.normalization in (None, PathNormalizationType.DEFAULT):
        return None
    found: PathNormalizationType = said.normalization
    return found


def _topology(graph: Graph, own: GatewayTopology) -> dict[str, Any]:
    """What stands in front of gateways, by the names of the fields."""
    proxies = read_mesh_default(graph, "default_config")
    said = own.over(topology_of(proxies.gateway_topology if proxies else None))
    found: dict[str, Any] = {"proxy_protocol": True} if said.proxy_protocol else {}
    if said.trusted_proxies is not None:
        found["xff_trusted_hops"] = said.trusted_proxies
    if said.client_certs is not None:
        found["client_certs"] = said.client_certs
    return found
