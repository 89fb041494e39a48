"""What a MeshConfig adds to the policy of a cluster."""

from datetime import timedelta
from typing import Any

from xdsd.compile.defaults import NO_DEFAULTS, PolicyDefaults, completed_pool, with_defaults
from xdsd.compile.locality import nearness_of
from xdsd.compile.policy import Policy, policy_of
from xdsd.model.intent import (
    ConnectionPoolSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    TcpKeepalive,
    TrafficPolicy,
    ZoneAwareLoadBalancerSetting,
)

FIVE = timedelta(seconds=5)
DETECTION = OutlierDetection(consecutive_5xx_errors=5)
FAILOVER = LocalityLoadBalancerSetting.model_validate({"failover": [{"from": "eu", "to": "us"}]})
SHARES = LocalityLoadBalancerSetting.model_validate({"distribute": [{"from": "eu", "to": {"us": 100}}]})
OFF = LocalityLoadBalancerSetting(enabled=False)
ZONES = ZoneAwareLoadBalancerSetting(min_cluster_size=3)


def policy(**blocks: Any) -> Policy:
    return policy_of(TrafficPolicy.model_validate(blocks))


def test_a_mesh_that_says_nothing_changes_nothing() -> None:
    """Without values the very policy comes back."""
    own = policy(loadBalancer={"simple": "RANDOM"})
    assert with_defaults(own, NO_DEFAULTS) is own


def test_blocks_replace_the_mesh_s_whole() -> None:
    """A connection pool or outlier detection of a rule takes nothing from the mesh's."""
    pool = ConnectionPoolSettings.model_validate({"tcp": {"maxConnections": 1}, "http": {"maxRetries": 2}})
    defaults = PolicyDefaults(connection_pool=pool, outlier_detection=DETECTION)
    found = with_defaults(Policy(), defaults)
    assert (found.connection_pool, found.outlier_detection) == (pool, DETECTION)
    own = policy(connectionPool={"http": {"maxRetries": 9}}, outlierDetection={"interval": "1s"})
    assert with_defaults(own, defaults) == own


def test_a_timeout_fills_what_is_left_out() -> None:
    """A pool keeps its own timeout and gets the mesh's where it has none."""
    defaults = PolicyDefaults(connect_timeout=FIVE)
    pool = completed_pool(ConnectionPoolSettings.model_validate({"http": {"maxRetries": 9}}), defaults)
    assert pool is not None
    assert pool.tcp is not None
    assert pool.http is not None
    assert (pool.tcp.connect_timeout, pool.http.max_retries) == (FIVE, 9)
    own = ConnectionPoolSettings.model_validate({"tcp": {"connectTimeout": "1s"}})
    assert completed_pool(own, defaults) == own


def test_keepalive_is_filled_in_one_by_one() -> None:
    """Each number that a rule leaves out is the mesh's."""
    defaults = PolicyDefaults(tcp_keepalive=TcpKeepalive(probes=3, time=FIVE))
    own = ConnectionPoolSettings.model_validate({"tcp": {"tcpKeepalive": {"time": "60s"}}})
    pool = completed_pool(own, defaults)
    assert pool is not None
    assert pool.tcp is not None
    assert pool.tcp.tcp_keepalive == TcpKeepalive(probes=3, time=timedelta(seconds=60))


def test_an_upgrade_is_for_those_that_do_not_decide() -> None:
    """A rule's own policy, the client's protocol and a tunnel are left alone."""
    defaults = PolicyDefaults(upgrade=True)

    def upgraded(own: Policy) -> bool:
        pool = with_defaults(own, defaults).connection_pool
        return pool is not None and pool.http is not None and pool.http.h2_upgrade_policy == "UPGRADE"

    assert upgraded(Policy())
    assert upgraded(policy(connectionPool={"http": {"h2UpgradePolicy": "DEFAULT"}}))
    assert not upgraded(policy(connectionPool={"http": {"h2UpgradePolicy": "DO_NOT_UPGRADE"}}))
    assert not upgraded(policy(connectionPool={"http": {"useClientProtocol": True}}))
    assert not upgraded(policy(tunnel={"targetHost": "a", "targetPort": 443}))


def test_failover_counts_where_outliers_are_detected() -> None:
    """As published, the mesh's failover ranks endpoints of services that have detection, shares are for all."""
    ranks = nearness_of(
        with_defaults(policy(outlierDetection={"interval": "1s"}), PolicyDefaults(locality=FAILOVER))
    )
    assert ranks is not None
    assert ranks.failover == (("eu", "us"),)
    assert nearness_of(with_defaults(Policy(), PolicyDefaults(locality=FAILOVER))) is None
    everywhere = PolicyDefaults(locality=FAILOVER, outlier_detection=DETECTION)
    assert nearness_of(with_defaults(Policy(), everywhere)) == ranks
    shares = nearness_of(with_defaults(Policy(), PolicyDefaults(locality=SHARES)))
    assert shares is not None
    assert shares.shares == (("eu", (("us", 100),)),)


def test_locality_can_be_switched_off_for_the_mesh() -> None:
    """Endpoints are alike then, also where outliers are detected; a rule may want them ranked still."""
    detecting = policy(outlierDetection={"interval": "1s"})
    assert nearness_of(detecting) is not None
    assert nearness_of(with_defaults(detecting, PolicyDefaults(locality=OFF))) is None
    own = policy(loadBalancer={"localityLbSetting": {"enabled": True}})
    assert nearness_of(with_defaults(own, PolicyDefaults(locality=OFF))) == nearness_of(own) is not None


def test_zones_go_before_localities() -> None:
    """Of the mesh's two settings the one for zones counts, but not beside weights by load."""
    defaults = PolicyDefaults(locality=SHARES, zone_aware=ZONES)
    balancer = with_defaults(Policy(), defaults).load_balancer
    assert balancer is not None
    assert (balancer.zone_aware_lb_setting, balancer.locality_lb_setting) == (ZONES, None)
    weighed = with_defaults(policy(loadBalancer={"backendUtilization": {}}), defaults).load_balancer
    assert weighed is not None
    assert (weighed.zone_aware_lb_setting, weighed.locality_lb_setting) == (None, SHARES)
