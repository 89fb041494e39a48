"""A cluster's connections: limits, timeouts, keepalive, and the HTTP spoken over them.

Limits are off unless asked for: the published default is no limit, and Envoy's own (1,024 connections, three
retries at once) turn a burst into errors. As published, a number of 0 means the default, because it cannot be
told from absent.
"""

import math
from datetime import timedelta
from typing import Any

from envoy.config.core.v3.socket_option_pb2 import SocketOption
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.duration_pb2 import Duration

from xdsd.compile.policy import DEFAULT_POLICY, Policy
from xdsd.compile.upstream_tls import follows_host, originates_tls, verifies_host
from xdsd.model.catalog import Protocol
from xdsd.model.intent import (
    ConnectionPoolSettings,
    HTTPSettings,
    RetryBudget,
    TcpKeepalive,
)
from xdsd.snapshot import field_bytes

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
CONNECT_TIMEOUT = timedelta(seconds=10)
PASSTHROUGH_IDLE_TIMEOUT = timedelta(minutes=5)
KEEPALIVE_TIMEOUT = timedelta(seconds=10)
NO_LIMIT = 0xFFFFFFFF
_TCP, _USER_TIMEOUT = 6, 18
"""Linux's numbers: a level of socket options, and TCP_USER_TIMEOUT, in milliseconds."""
RETRY_PERCENT = 20.0
RETRY_CONCURRENCY = 3
_BUDGET_INTERVAL = 3  # the number of a field that Envoy has and our generated messages lack


def apply_connection_pool(
    cluster: Any, pool: ConnectionPoolSettings | None, retry_budget: RetryBudget | None = None
) -> None:
    """Sets what holds for connections of any protocol: timeout, circuit breakers, TCP keepalive.

    A retry budget takes the place of the limit on retries.
    """
    tcp = pool.tcp if pool else None
    http = pool.http if pool else None
    cluster.connect_timeout.FromTimedelta((tcp and tcp.connect_timeout) or CONNECT_TIMEOUT)
    limits = cluster.circuit_breakers.thresholds.add(track_remaining=True)
    limits.max_connections.value = (tcp and tcp.max_connections) or NO_LIMIT
    limits.max_pending_requests.value = (http and http.http1_max_pending_requests) or NO_LIMIT
    limits.max_requests.value = (http and http.http2_max_requests) or NO_LIMIT
    limits.max_retries.value = (http and http.max_retries) or NO_LIMIT
    if retry_budget is not None:
        _set_retry_budget(limits.retry_budget, retry_budget)
    if tcp and tcp.tcp_keepalive:
        _set_keepalive(cluster.upstream_connection_options.tcp_keepalive, tcp.tcp_keepalive)


def apply_patience(cluster: Any, policy: Policy) -> None:
    """Sets when a connection ends on which nothing arrives any more, and how long an endpoint is left out at most."""
    if policy.unanswered is not None:
        option = cluster.upstream_bind_config.socket_options.add(state=SocketOption.STATE_PREBIND)
        option.description = "TCP_USER_TIMEOUT"
        option.level, option.name = _TCP, _USER_TIMEOUT
        option.int_value = int(policy.unanswered.total_seconds() * 1000)
        # Envoy gathers what happens to endpoints for a second, so all but the first that fails would be called on.
        cluster.common_lb_config.update_merge_window.SetInParent()
    if policy.longest_ejection is not None and cluster.HasField("outlier_detection"):
        cluster.outlier_detection.max_ejection_time.FromTimedelta(policy.longest_ejection)


def apply_http_options(
    cluster: Any,
    protocol: Protocol,
    policy: Policy = DEFAULT_POLICY,
    *,
    upgradable: bool = True,
    negotiates: bool = False,
) -> None:
    """Sets how HTTP is spoken to an HTTP port's endpoints; other ports and plain HTTP/1.1 need nothing.

    A tunnel speaks HTTP to the endpoints of any port. An upgrade to HTTP/2 is between proxies; ``upgradable`` is
    False towards a program, which speaks what its port says. Over TLS the server says what it speaks where ``negotiates``.
    """
    if not protocol.carries_http and policy.tunnel is None:
        return
    options = HttpProtocolOptions()
    pool = policy.connection_pool
    http = pool.http if pool else None
    _set_common(options, pool)
    if policy.outlier_detection:
        _set_error_codes(options, policy.outlier_detection.outlier_detection_http_error_codes)
    if follows_host(policy.tls) and protocol.carries_http:
        options.upstream_http_protocol_options.auto_sni = True
        options.upstream_http_protocol_options.auto_san_validation = verifies_host(policy.tls)
    if negotiates and originates_tls(policy.tls):
        options.auto_config.http_protocol_options.SetInParent()
        options.auto_config.http2_protocol_options.SetInParent()
        _set_http2(options.auto_config.http2_protocol_options, http)
    elif protocol.is_auto or (http and http.use_client_protocol):
        _follow_client(options, http)
    elif speaks_http2(protocol, policy, upgradable=upgradable):
        options.explicit_http_config.http2_protocol_options.SetInParent()
        _set_http2(options.explicit_http_config.http2_protocol_options, http)
    elif options.ByteSize():
        options.explicit_http_config.http_protocol_options.SetInParent()
    else:
        return
    _pack(cluster, options)


def speaks_http2(protocol: Protocol, policy: Policy, *, upgradable: bool = True) -> bool:
    """True if HTTP/2 alone is spoken to the endpoints of a port."""
    http = policy.connection_pool.http if policy.connection_pool else None
    if http and http.use_client_protocol:
        return False
    upgraded = upgradable and http is not None and http.h2_upgrade_policy == "UPGRADE"
    return protocol.is_http2 or (upgraded and (protocol.is_http or policy.tunnel is not None))


def apply_passthrough_http_options(cluster: Any) -> None:
    """What the client speaks is spoken on; idle connections to unknown places are not kept for an hour."""
    options = HttpProtocolOptions()
    options.common_http_protocol_options.idle_timeout.FromTimedelta(PASSTHROUGH_IDLE_TIMEOUT)
    _follow_client(options, None)
    _pack(cluster, options)


def _set_retry_budget(target: Any, budget: RetryBudget) -> None:
    target.budget_percent.value = RETRY_PERCENT if budget.percent is None else budget.percent
    target.min_retry_concurrency.value = budget.min_retry_concurrency or RETRY_CONCURRENCY
    if budget.budget_interval:
        interval = Duration()
        interval.FromTimedelta(budget.budget_interval)
        target.MergeFromString(field_bytes(_BUDGET_INTERVAL, interval.SerializeToString()))


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
