"""What operators decide about listeners, as queries."""

from dataclasses import replace
from typing import Any, cast

from xdsd.compile.access_logs import AccessLog, LogEncoding
from xdsd.compile.graph import Graph
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.world import read_mesh_default
from xdsd.model.intent import PathNormalizationType


def listener_settings(graph: Graph) -> ListenerSettings:
    """What operators decide about every listener."""
    return graph.ask(_listener_settings)


def _listener_settings(graph: Graph) -> ListenerSettings:
    """The settings that the compiler was made with, and over them what the MeshConfig says."""
    base = cast("ListenerSettings", graph.read(("listener-settings",)))
    said: dict[str, Any] = {  # by the names of the fields, whose types differ
        "access_log": _access_log(graph, base.access_log),
        "paths": _paths(graph),
        "xff_trusted_hops": _trusted_hops(graph),
        "inbound_retries": read_mesh_default(graph, "default_inbound_http_retry_policy"),
        "detection_timeout": read_mesh_default(graph, "protocol_detection_timeout"),
    }
    return replace(base, **{name: value for name, value in said.items() if value is not None})


def _access_log(graph: Graph, base: AccessLog) -> AccessLog:
    file = read_mesh_default(graph, "access_log_file")
    encoding = read_mesh_default(graph, "access_log_encoding")
    return AccessLog(
        base.path if file is None else file,
        base.encoding if encoding is None else LogEncoding(encoding.value),
        read_mesh_default(graph, "access_log_format") or base.format,
    )


def _paths(graph: Graph) -> PathNormalizationType | None:
    said = read_mesh_default(graph, "path_normalization")
    if said is None or said.normalization in (None, PathNormalizationType.DEFAULT):
        return None
    found: PathNormalizationType = said.normalization
    return found


def _trusted_hops(graph: Graph) -> int | None:
    proxies = read_mesh_default(graph, "default_config")
    topology = proxies.gateway_topology if proxies else None
    hops: int | None = topology.num_trusted_proxies if topology else None
    return hops
