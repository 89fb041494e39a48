"""Listeners with the access logs and the tracer that Telemetry wants: what tells already tells anew, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog as AccessLogProto
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy


@dataclass(frozen=True, slots=True)
class Told:
    """What a listener tells: logs of requests, logs of connections (None: as it is), and its tracer and how requests are
    called (None: no spans).
    """

    requests: Sequence[AccessLogProto] | None = None
    connections: Sequence[AccessLogProto] | None = None
    tracing: Any = None
    request_ids: Any = None


def apply(listener: Any, told: Told) -> None:
    """Writes into a listener what it tells. One that logs its connections itself goes on to, in the place of its filters."""
    itself = bool(listener.access_log) and told.connections is not None
    if itself:
        _replace(listener.access_log, told.connections)
    for chain in (*listener.filter_chains, listener.default_filter_chain):
        for each in chain.filters:
            if each.typed_config.Is(HttpConnectionManager.DESCRIPTOR):
                manager: Any = HttpConnectionManager.FromString(each.typed_config.value)
                _manage(manager, told)
                each.typed_config.Pack(manager, deterministic=True)
            elif not itself and told.connections is not None and each.typed_config.Is(TcpProxy.DESCRIPTOR):
                proxy: Any = TcpProxy.FromString(each.typed_config.value)
                _replace(proxy.access_log, told.connections)
                each.typed_config.Pack(proxy, deterministic=True)


def _manage(manager: Any, told: Told) -> None:
    _replace(manager.access_log, told.requests)
    if told.tracing is not None:
        manager.tracing.CopyFrom(told.tracing)
        manager.request_id_extension.CopyFrom(told.request_ids)


def _replace(logs: Any, wanted: Sequence[AccessLogProto] | None) -> None:
    if wanted is not None:
        del logs[:]
        logs.extend(wanted)
