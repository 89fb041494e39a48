"""Which endpoint of a cluster a request goes to, and which are left out for a while."""

from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from xdsd.compile.backend_utilization import apply_backend_utilization
from xdsd.compile.slow_start import apply_slow_start
from xdsd.model.intent import ConsistentHashLB, LoadBalancerSettings, OutlierDetection

DEFAULT_RING_SIZE = 1024
LAST_RESORT_PERCENT = 1.0

_POLICIES = {
    "RANDOM": Cluster.RANDOM,
    "ROUND_ROBIN": Cluster.ROUND_ROBIN,
    "LEAST_CONN": Cluster.LEAST_REQUEST,
    "LEAST_REQUEST": Cluster.LEAST_REQUEST,
}


def is_passthrough(settings: LoadBalancerSettings | None) -> bool:
    """True if requests go where the caller sent them, without balancing."""
    return settings is not None and settings.simple == "PASSTHROUGH"


def apply_load_balancer(cluster: Any, settings: LoadBalancerSettings | None) -> None:
    """Sets the balancing policy; without one the endpoint with the fewest requests of two is taken.

    What is hashed is a matter of routes, how the hash finds an endpoint is a matter of clusters.
    """
    if cluster.type == Cluster.ORIGINAL_DST:
        cluster.lb_policy = Cluster.CLUSTER_PROVIDED
    elif settings is None:
        cluster.lb_policy = Cluster.LEAST_REQUEST
    elif settings.consistent_hash is not None:
        _apply_consistent_hash(cluster, settings.consistent_hash)
    elif settings.backend_utilization is not None:
        apply_backend_utilization(
            cluster, settings.backend_utilization, settings, by_locality=_has_shares(settings)
        )
    else:
        cluster.lb_policy = _POLICIES.get(settings.simple or "", Cluster.LEAST_REQUEST)
        apply_slow_start(cluster, settings)


def _has_shares(settings: LoadBalancerSettings) -> bool:
    """True if localities have weights of their own."""
    setting = settings.locality_lb_setting
    return setting is not None and setting.enabled is not False and bool(setting.distribute)


def apply_outlier_detection(cluster: Any, settings: OutlierDetection | None) -> None:
    """Sets when an endpoint is ejected, and how few healthy ones make that stop.

    Without settings, endpoints that the platform calls unhealthy are a last resort: they get traffic when no
    other is left. With them the published default holds: they get none.
    """
    if cluster.type == Cluster.ORIGINAL_DST and settings is None:
        return
    panic = cluster.common_lb_config.healthy_panic_threshold
    if settings is None:
        panic.value = LAST_RESORT_PERCENT
        return
    panic.value = settings.min_health_percent or 0
    outliers = cluster.outlier_detection
    outliers.enforcing_success_rate.value = 0
    _set_consecutive(outliers, settings)
    _set_local_origin(outliers, settings)
    if settings.interval is not None:
        outliers.interval.FromTimedelta(settings.interval)
    if settings.base_ejection_time is not None:
        outliers.base_ejection_time.FromTimedelta(settings.base_ejection_time)
    if settings.max_ejection_percent:
        outliers.max_ejection_percent.value = settings.max_ejection_percent


def _apply_consistent_hash(cluster: Any, settings: ConsistentHashLB) -> None:
    if settings.maglev is not None:
        cluster.lb_policy = Cluster.MAGLEV
        if settings.maglev.table_size:
            cluster.maglev_lb_config.table_size.value = settings.maglev.table_size
        return
    size = settings.ring_hash.minimum_ring_size if settings.ring_hash else settings.minimum_ring_size
    cluster.lb_policy = Cluster.RING_HASH
    cluster.ring_hash_lb_config.minimum_ring_size.value = size or DEFAULT_RING_SIZE


def _set_consecutive(outliers: Any, settings: OutlierDetection) -> None:
    """A limit of 0 switches its detector off; the old ``consecutiveErrors`` counted gateway errors alone."""
    server, gateway = settings.consecutive_5xx_errors, settings.consecutive_gateway_errors
    if settings.consecutive_errors:
        gateway = settings.consecutive_errors if gateway is None else gateway
        server = 0 if server is None else server
    if server is not None:
        outliers.consecutive_5xx.value = server
        outliers.enforcing_consecutive_5xx.value = 100 if server else 0
    if gateway is not None:
        outliers.consecutive_gateway_failure.value = gateway
        outliers.enforcing_consecutive_gateway_failure.value = 100 if gateway else 0


def _set_local_origin(outliers: Any, settings: OutlierDetection) -> None:
    """Connection failures are counted apart from the server's errors only when asked for."""
    if not settings.split_external_local_origin_errors:
        return
    outliers.split_external_local_origin_errors = True
    outliers.enforcing_local_origin_success_rate.value = 0
    if settings.consecutive_local_origin_failures is not None:
        limit = settings.consecutive_local_origin_failures
        outliers.consecutive_local_origin_failure.value = limit
        outliers.enforcing_consecutive_local_origin_failure.value = 100 if limit else 0
