"""A cluster's connections: limits, timeouts, keepalive, and the HTTP spoken over them.

Limits are off unless asked for: the published default is no limit, and Envoy's own (1,024 connections, three
retries at once) turn a burst into errors. As published, a number of 0 means the default, because it cannot be
told from absent.
"""

import math
from datetime import timedelta
from typing import Any

from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from xdsd.model.catalog import Protocol
from xdsd.model.intent import ConnectionPoolSettings, HTTPSettings, OutlierDetection, TcpKeepalive

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
CONNECT_TIMEOUT = timedelta(seconds=10)
PASSTHROUGH_IDLE_TIMEOUT = timedelta(minutes=5)
KEEPALIVE_TIMEOUT = timedelta(seconds=10)
NO_LIMIT = 0xFFFFFFFF


def apply_connection_pool(cluster: Any, pool: ConnectionPoolSettings | None) -> None:
    """Sets what holds for connections of any protocol: timeout, circuit breakers, TCP keepalive."""
    tcp = pool.tcp if pool else None
    http = pool.http if pool else None
    cluster.connect_timeout.FromTimedelta((tcp and tcp.connect_timeout) or CONNECT_TIMEOUT)
    limits = cluster.circuit_breakers.thresholds.add(track_remaining=True)
    limits.max_connections.value = (tcp and tcp.max_connections) or NO_LIMIT
    limits.max_pending_requests.value = (http and http.http1_max_pending_requests) or NO_LIMIT
    limits.max_requests.value = (http and http.http2_max_requests) or NO_LIMIT
    limits.max_retries.value = (http and http.max_retries) or NO_LIMIT
    if tcp and tcp.tcp_keepalive:
        _set_keepalive(cluster.upstream_connection_options.tcp_keepalive, tcp.tcp_keepalive)


def apply_http_options(
    cluster: Any,
    protocol: Protocol,
    pool: ConnectionPoolSettings | None,
    outliers: OutlierDetection | None = None,
    *,
    upgradable: bool = True,
) -> None:
    """Sets how HTTP is spoken to an HTTP port's endpoints; other ports and plain HTTP/1.1 need nothing.

    An upgrade to HTTP/2 is between proxies; ``upgradable`` is False towards a program, which speaks what its port says.
    """
    if not protocol.is_http:
        return
    options = HttpProtocolOptions()
    http = pool.http if pool else None
    _set_common(options, pool)
    if outliers:
        _set_error_codes(options, outliers.outlier_detection_http_error_codes)
    if http and http.use_client_protocol:
        _follow_client(options, http)
    elif protocol.is_http2 or (upgradable and http and http.h2_upgrade_policy == "UPGRADE"):
        options.explicit_http_config.http2_protocol_options.SetInParent()
        _set_http2(options.explicit_http_config.http2_protocol_options, http)
    elif options.ByteSize():
        options.explicit_http_config.http_protocol_options.SetInParent()
    else:
        return
    _pack(cluster, options)


def apply_passthrough_http_options(cluster: Any) -> None:
    """What the client speaks is spoken on; idle connections to unknown places are not kept for an hour."""
    options = HttpProtocolOptions()
    options.common_http_protocol_options.idle_timeout.FromTimedelta(PASSTHROUGH_IDLE_TIMEOUT)
    _follow_client(options, None)
    _pack(cluster, options)


def _pack(cluster: Any, options: Any) -> None:
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Pack(options, deterministic=True)


def _set_keepalive(target: Any, keepalive: TcpKeepalive) -> None:
    """An empty message turns keepalive on with the system's settings; Envoy counts whole seconds."""
    target.SetInParent()
    if keepalive.probes:
        target.keepalive_probes.value = keepalive.probes
    if keepalive.time:
        target.keepalive_time.value = math.ceil(keepalive.time.total_seconds())
    if keepalive.interval:
        target.keepalive_interval.value = math.ceil(keepalive.interval.total_seconds())


def _set_common(options: Any, pool: ConnectionPoolSettings | None) -> None:
    if pool is None:
        return
    tcp, http = pool.tcp, pool.http
    idle = http.idle_timeout if http else None
    if idle is None and tcp:
        idle = tcp.idle_timeout
    if idle is not None:
        options.common_http_protocol_options.idle_timeout.FromTimedelta(idle)
    if tcp and tcp.max_connection_duration is not None:
        options.common_http_protocol_options.max_connection_duration.FromTimedelta(
            tcp.max_connection_duration
        )
    if http and http.max_requests_per_connection:
        options.common_http_protocol_options.max_requests_per_connection.value = (
            http.max_requests_per_connection
        )


def _follow_client(options: Any, http: HTTPSettings | None) -> None:
    config = options.use_downstream_protocol_config
    config.http_protocol_options.SetInParent()
    config.http2_protocol_options.SetInParent()
    _set_http2(config.http2_protocol_options, http)


def _set_http2(options: Any, http: HTTPSettings | None) -> None:
    if http is None:
        return
    if http.max_concurrent_streams:
        options.max_concurrent_streams.value = http.max_concurrent_streams
    keepalive = http.http2_keep_alive
    if keepalive:
        options.connection_keepalive.timeout.FromTimedelta(keepalive.timeout or KEEPALIVE_TIMEOUT)
        if keepalive.interval:
            options.connection_keepalive.interval.FromTimedelta(keepalive.interval)


def _set_error_codes(options: Any, codes: tuple[int, ...]) -> None:
    """The given statuses, instead of all 5xx, count as errors."""
    if not codes:
        return
    matcher = options.outlier_detection.error_matcher
    for code in codes:
        rule = matcher if len(codes) == 1 else matcher.or_match.rules.add()
        header = rule.http_response_headers_match.headers.add(name=":status")
        header.string_match.exact = str(code)
