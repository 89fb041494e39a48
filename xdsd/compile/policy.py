"""Which settings of a DestinationRule hold for one cluster.

The published rules: settings of a port replace those of the destination as a whole, so what a port leaves
out takes its default and is not inherited. A subset's settings override the destination's one block at a
time (connection pool, load balancer, outlier detection); a subset's settings of a port, again, replace
everything.
"""

from dataclasses import dataclass

from xdsd.model.intent import (
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    TrafficPolicy,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How one cluster treats its endpoints; None means the defaults of ``xdsd.compile.clusters``."""

    connection_pool: ConnectionPoolSettings | None = None
    load_balancer: LoadBalancerSettings | None = None
    outlier_detection: OutlierDetection | None = None


DEFAULT_POLICY = Policy()


def effective_policy(rule: DestinationRule | None, port: int, subset: str = "") -> Policy:
    """The settings of ``rule`` for one port of its host, or for that port of one subset.

    A subset that the rule does not define has the settings of the destination.
    """
    if rule is None:
        return DEFAULT_POLICY
    base, _ = _for_port(rule.traffic_policy, port)
    own = (
        next((item.traffic_policy for item in rule.subsets if item.name == subset), None) if subset else None
    )
    if own is None:
        return base
    override, replaces = _for_port(own, port)
    if replaces:
        return override
    return Policy(
        connection_pool=override.connection_pool or base.connection_pool,
        load_balancer=override.load_balancer or base.load_balancer,
        outlier_detection=override.outlier_detection or base.outlier_detection,
    )


def _for_port(policy: TrafficPolicy | None, port: int) -> tuple[Policy, bool]:
    """The settings that hold for a port, and whether they are the port's own."""
    if policy is None:
        return DEFAULT_POLICY, False
    for item in policy.port_level_settings:
        if item.port is not None and item.port.number == port:
            return Policy(item.connection_pool, item.load_balancer, item.outlier_detection), True
    return Policy(policy.connection_pool, policy.load_balancer, policy.outlier_detection), False
