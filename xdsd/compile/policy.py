"""Which settings of a DestinationRule hold for one cluster.

The published rules: settings of a port replace those of the destination as a whole, so what a port leaves
out takes its default and is not inherited. A subset's settings override the destination's one block at a
time (connection pool, load balancer, and so on); a subset's settings of a port, again, replace everything
that a port can set. Tunnel, PROXY protocol and retry budget cannot be set for a port: a port with settings
of its own has none of the destination's, but the port of a subset keeps them.
"""

from dataclasses import dataclass
from datetime import timedelta

from xdsd.model.intent import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    ProxyProtocol,
    RetryBudget,
    TrafficPolicy,
    TunnelSettings,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How one cluster treats its endpoints; None means the defaults of ``xdsd.compile.clusters``.

    ``longest_ejection`` bounds how long an endpoint is left out, and ``unanswered`` how long it may leave what it was sent
    without a sign that it arrived, before the connection ends; no rule says these.
    """

    connection_pool: ConnectionPoolSettings | None = None
    load_balancer: LoadBalancerSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None
    longest_ejection: timedelta | None = None
    unanswered: timedelta | None = None


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
    return _merged(base, override, replaces=replaces)


def policy_of(policy: TrafficPolicy | None) -> Policy:
    """A traffic policy without its ports."""
    if policy is None:
        return DEFAULT_POLICY
    return Policy(
        policy.connection_pool,
        policy.load_balancer,
        policy.outlier_detection,
        policy.tls,
        policy.tunnel,
        policy.proxy_protocol,
        policy.retry_budget,
    )


def _merged(base: Policy, override: Policy, *, replaces: bool) -> Policy:
    """``override`` on top of ``base``: block by block, or whole where it ``replaces`` what a port can set."""
    below = DEFAULT_POLICY if replaces else base
    return Policy(
        connection_pool=override.connection_pool or below.connection_pool,
        load_balancer=override.load_balancer or below.load_balancer,
        outlier_detection=override.outlier_detection or below.outlier_detection,
        tls=override.tls or below.tls,
        tunnel=override.tunnel or base.tunnel,
        proxy_protocol=override.proxy_protocol or base.proxy_protocol,
        retry_budget=override.retry_budget or base.retry_budget,
    )


def _for_port(policy: TrafficPolicy | None, port: int) -> tuple[Policy, bool]:
    """The settings that hold for a port, and whether they are the port's own."""
    for item in policy.port_level_settings if policy else ():
        if item.port is not None and item.port.number == port:
            own = Policy(item.connection_pool, item.load_balancer, item.outlier_detection, item.tls)
            return own, True
    return policy_of(policy), False
