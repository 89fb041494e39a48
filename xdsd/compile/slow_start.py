"""Slow start: new endpoints get their share of requests step by step."""

from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from xdsd.model.intent import LoadBalancerSettings

AGGRESSION_RUNTIME_KEY = "upstream.slow_start_aggression"

_CONFIGS = {
    Cluster.ROUND_ROBIN: "round_robin_lb_config",
    Cluster.LEAST_REQUEST: "least_request_lb_config",
}


def apply_slow_start(cluster: Any, settings: LoadBalancerSettings) -> None:
    """Sets the warm-up of a cluster whose balancing policy is set; policies without weights have none."""
    config = _CONFIGS.get(cluster.lb_policy)
    if config is not None and (settings.warmup or settings.warmup_duration_secs):
        set_slow_start(getattr(cluster, config).slow_start_config, settings)


def set_slow_start(target: Any, settings: LoadBalancerSettings) -> None:
    """Fills a SlowStartConfig; Envoy's defaults are those published: a straight line from 10 % on."""
    warmup = settings.warmup
    window = warmup.duration if warmup else settings.warmup_duration_secs
    if window is None:
        return
    target.slow_start_window.FromTimedelta(window)
    if warmup and warmup.aggression is not None:
        target.aggression.default_value = warmup.aggression
        target.aggression.runtime_key = AGGRESSION_RUNTIME_KEY
    if warmup and warmup.minimum_percent is not None:
        target.min_weight_percent.value = warmup.minimum_percent
