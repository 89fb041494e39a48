"""Balancing by the load that endpoints report: Envoy's client-side weighted round robin.

Endpoints tell their load in the header or trailer ``endpoint-load-metrics`` of their answers (ORCA); those
that tell nothing count as the average does.
"""

from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster, LoadBalancingPolicy
from envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3 import (
    client_side_weighted_round_robin_pb2 as weighted,
)
from envoy.extensions.load_balancing_policies.wrr_locality.v3.wrr_locality_pb2 import WrrLocality

from xdsd.compile.slow_start import set_slow_start
from xdsd.model.intent import BackendUtilization, LoadBalancerSettings

WEIGHTED = "envoy.load_balancing_policies.client_side_weighted_round_robin"
BY_LOCALITY = "envoy.load_balancing_policies.wrr_locality"


def apply_backend_utilization(
    cluster: Any, settings: BackendUtilization, balancer: LoadBalancerSettings, *, by_locality: bool
) -> None:
    """Makes the cluster weigh endpoints by their reports, below the weights of localities if ``by_locality``."""
    inner = _policy(WEIGHTED, _weighted(settings, balancer))
    cluster.lb_policy = Cluster.LOAD_BALANCING_POLICY_CONFIG
    chosen = _policy(BY_LOCALITY, WrrLocality(endpoint_picking_policy=inner)) if by_locality else inner
    cluster.load_balancing_policy.CopyFrom(chosen)


def _weighted(settings: BackendUtilization, balancer: LoadBalancerSettings) -> Any:
    config: Any = weighted.ClientSideWeightedRoundRobin(
        metric_names_for_computing_utilization=settings.metric_names_for_computing_utilization
    )
    if settings.error_utilization_penalty_percent is not None:
        config.error_utilization_penalty.value = settings.error_utilization_penalty_percent / 100
    for target, period in (
        (config.weight_update_period, settings.weight_update_period),
        (config.weight_expiration_period, settings.weight_expiration_period),
        (config.blackout_period, settings.weight_stabilization_period),
    ):
        if period is not None:
            target.FromTimedelta(period)
    if balancer.warmup or balancer.warmup_duration_secs:
        set_slow_start(config.slow_start_config, balancer)
    return config


def _policy(name: str, config: Any) -> Any:
    policy: Any = LoadBalancingPolicy()
    extension = policy.policies.add().typed_extension_config
    extension.name = name
    extension.typed_config.Pack(config, deterministic=True)
    return policy
