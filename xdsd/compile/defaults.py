"""What the MeshConfig gives to clusters whose DestinationRules leave it open.

Blocks of a DestinationRule (connectionPool, outlierDetection, a load balancer's locality) replace the mesh's whole. What
the mesh has outside of blocks (connectTimeout, tcpKeepalive, h2UpgradePolicy) fills in what is left out, one by one.

A mesh's failover ranks endpoints only where outliers are detected, as published: most services want no order in theirs.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from xdsd.compile.policy import Policy
from xdsd.model.intent import (
    ConnectionPoolSettings,
    H2UpgradePolicy,
    HTTPSettings,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    TcpKeepalive,
    TCPSettings,
    ZoneAwareLoadBalancerSetting,
)


@dataclass(frozen=True, slots=True)
class PolicyDefaults:
    """The MeshConfig as far as it is for clusters; None is what is left out there too."""

    connect_timeout: timedelta | None = None
    tcp_keepalive: TcpKeepalive | None = None
    upgrade: bool = False
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    locality: LocalityLoadBalancerSetting | None = None
    zone_aware: ZoneAwareLoadBalancerSetting | None = None


NO_DEFAULTS = PolicyDefaults()


def with_defaults(policy: Policy, defaults: PolicyDefaults) -> Policy:
    """A cluster's policy, completed."""
    if defaults == NO_DEFAULTS:
        return policy
    outliers = policy.outlier_detection or defaults.outlier_detection
    pool = completed_pool(policy.connection_pool or defaults.connection_pool, defaults)
    if defaults.upgrade and policy.tunnel is None:
        pool = _upgraded(pool)
    balancer = _balancer(policy.load_balancer, defaults, detects=outliers is not None)
    return replace(policy, connection_pool=pool, outlier_detection=outliers, load_balancer=balancer)


def completed_pool(
    pool: ConnectionPoolSettings | None, defaults: PolicyDefaults
) -> ConnectionPoolSettings | None:
    """A pool with the mesh's timeout and keepalive where it has none."""
    tcp = (pool.tcp if pool else None) or TCPSettings()
    found: dict[str, Any] = {}
    if tcp.connect_timeout is None and defaults.connect_timeout is not None:
        found["connect_timeout"] = defaults.connect_timeout
    if defaults.tcp_keepalive is not None:
        found["tcp_keepalive"] = _keepalive(tcp.tcp_keepalive, defaults.tcp_keepalive)
    if not found:
        return pool
    tcp = tcp.model_copy(update=found)
    return pool.model_copy(update={"tcp": tcp}) if pool else ConnectionPoolSettings(tcp=tcp)


def _keepalive(own: TcpKeepalive | None, default: TcpKeepalive) -> TcpKeepalive:
    if own is None:
        return default
    return TcpKeepalive(
        probes=own.probes or default.probes,
        time=own.time or default.time,
        interval=own.interval or default.interval,
    )


def _upgraded(pool: ConnectionPoolSettings | None) -> ConnectionPoolSettings | None:
    http = (pool.http if pool else None) or HTTPSettings()
    if http.use_client_protocol or http.h2_upgrade_policy not in (None, H2UpgradePolicy.DEFAULT):
        return pool
    http = http.model_copy(update={"h2_upgrade_policy": H2UpgradePolicy.UPGRADE})
    return pool.model_copy(update={"http": http}) if pool else ConnectionPoolSettings(http=http)


def _balancer(
    own: LoadBalancerSettings | None, defaults: PolicyDefaults, *, detects: bool
) -> LoadBalancerSettings | None:
    """A balancer with the mesh's locality where it has none of its own."""
    if own is not None and (own.locality_lb_setting is not None or own.zone_aware_lb_setting is not None):
        return own
    weighed = own is not None and own.backend_utilization is not None
    field: dict[str, Any] = {}
    if defaults.zone_aware is not None and not weighed:
        field = {"zone_aware_lb_setting": defaults.zone_aware}
    elif defaults.locality is not None and (detects or not _ranks(defaults.locality)):
        field = {"locality_lb_setting": defaults.locality}
    if not field:
        return own
    return own.model_copy(update=field) if own else LoadBalancerSettings.model_construct(**field)


def _ranks(setting: LocalityLoadBalancerSetting) -> bool:
    return setting.enabled is not False and not setting.distribute
