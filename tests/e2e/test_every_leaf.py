"""Every leaf of connection pool and outlier detection, as a real Envoy says that it runs it."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.town import CLUSTER, Town, town
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e

TCP = {
    "maxConnections": 11,
    "connectTimeout": "1.5s",
    "maxConnectionDuration": "60s",
    "idleTimeout": "61s",
    "tcpKeepalive": {"probes": 3, "time": "62s", "interval": "63s"},
}
HTTP = {
    "http1MaxPendingRequests": 12,
    "http2MaxRequests": 13,
    "maxRequestsPerConnection": 14,
    "maxRetries": 15,
    "idleTimeout": "64s",
    "h2UpgradePolicy": "UPGRADE",
    "maxConcurrentStreams": 16,
    "http2KeepAlive": {"interval": "65s", "timeout": "66s"},
}
OUTLIERS = {
    "splitExternalLocalOriginErrors": True,
    "consecutiveLocalOriginFailures": 17,
    "consecutiveGatewayErrors": 18,
    "consecutive5xxErrors": 19,
    "interval": "67s",
    "baseEjectionTime": "68s",
    "maxEjectionPercent": 20,
    "minHealthPercent": 21,
    "outlierDetectionHttpErrorCodes": [522],
}

SEEN = {
    "maxConnections": ("circuit_breakers.thresholds.0.max_connections", 11),
    "connectTimeout": ("connect_timeout", "1.500s"),
    "maxConnectionDuration": ("http.common_http_protocol_options.max_connection_duration", "60s"),
    "tcpKeepalive.probes": ("upstream_connection_options.tcp_keepalive.keepalive_probes", 3),
    "tcpKeepalive.time": ("upstream_connection_options.tcp_keepalive.keepalive_time", 62),
    "tcpKeepalive.interval": ("upstream_connection_options.tcp_keepalive.keepalive_interval", 63),
    "http1MaxPendingRequests": ("circuit_breakers.thresholds.0.max_pending_requests", 12),
    "http2MaxRequests": ("circuit_breakers.thresholds.0.max_requests", 13),
    "maxRequestsPerConnection": ("http.common_http_protocol_options.max_requests_per_connection", 14),
    "maxRetries": ("circuit_breakers.thresholds.0.max_retries", 15),
    "http.idleTimeout": ("http.common_http_protocol_options.idle_timeout", "64s"),
    "maxConcurrentStreams": ("h2.max_concurrent_streams", 16),
    "http2KeepAlive.interval": ("h2.connection_keepalive.interval", "65s"),
    "http2KeepAlive.timeout": ("h2.connection_keepalive.timeout", "66s"),
    "splitExternalLocalOriginErrors": ("outlier_detection.split_external_local_origin_errors", True),
    "consecutiveLocalOriginFailures": ("outlier_detection.consecutive_local_origin_failure", 17),
    "consecutiveGatewayErrors": ("outlier_detection.consecutive_gateway_failure", 18),
    "consecutiveGatewayErrors is enforced": ("outlier_detection.enforcing_consecutive_gateway_failure", 100),
    "consecutive5xxErrors": ("outlier_detection.consecutive_5xx", 19),
    "interval": ("outlier_detection.interval", "67s"),
    "baseEjectionTime": ("outlier_detection.base_ejection_time", "68s"),
    "maxEjectionPercent": ("outlier_detection.max_ejection_percent", 20),
    "minHealthPercent": ("common_lb_config.healthy_panic_threshold.value", 21),
    "outlierDetectionHttpErrorCodes": (
        "http.outlier_detection.error_matcher.http_response_headers_match.headers.0.string_match.exact",
        "522",
    ),
}
"""Where each leaf is found in the cluster; ``http`` stands for its HTTP options and ``h2`` for those of HTTP/2."""

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def found(cluster: dict[str, Any], path: str) -> Any:
    """What stands at a path; None if nothing does."""
    options = cluster.get("typed_extension_protocol_options", {}).get(_OPTIONS, {})
    explicit = options.get("explicit_http_config", {})
    value: Any = {**cluster, "http": options, "h2": explicit.get("http2_protocol_options", {})}
    for step in path.split("."):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError):
            return None
    return value


async def cluster(made: Town, home: str) -> dict[str, Any]:
    """The service's cluster as an Envoy runs it."""
    (dump,) = await made.homes[home].envoy.config_dump("ClustersConfigDump")
    active = (each["cluster"] for each in dump["dynamic_active_clusters"])
    return next(dict(each) for each in active if each["name"] == CLUSTER)


async def test_envoy_runs_every_leaf(tmp_path: Path) -> None:
    """Pool and outlier detection of the rule, of a port and of a subset are those of the running cluster."""
    async with town(tmp_path, {"one": "eu"}, ["eu"]) as made:
        await made.reaches("eu", "one")
        policy = {"connectionPool": {"tcp": TCP, "http": HTTP}, "outlierDetection": OUTLIERS}
        port = {"port": {"number": 80}, **policy}
        for applied in (policy, {"portLevelSettings": [port], "loadBalancer": {"simple": "RANDOM"}}):
            await made.rule(applied)

            async def runs() -> None:
                seen = await cluster(made, "eu")
                told = {leaf: found(seen, path) for leaf, (path, _) in SEEN.items()}
                assert told == {leaf: value for leaf, (_, value) in SEEN.items()}

            await eventually(runs, "every leaf is run")


async def test_the_idle_timeout_of_tcp_is_run_where_http_has_none(tmp_path: Path) -> None:
    """And the client's protocol is kept where that is asked for."""
    async with town(tmp_path, {"one": "eu"}, ["eu"]) as made:
        await made.rule({"connectionPool": {"tcp": TCP, "http": {"useClientProtocol": True}}})

        async def runs() -> None:
            seen = await cluster(made, "eu")
            assert found(seen, "http.common_http_protocol_options.idle_timeout") == "61s"
            assert set(found(seen, "http.use_downstream_protocol_config")) == {
                "http_protocol_options",
                "http2_protocol_options",
            }

        await eventually(runs, "the timeout is run")
        await made.reaches("eu", "one")
