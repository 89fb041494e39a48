"""Which settings of a DestinationRule hold for a port or subset."""

from xdsd.compile.policy import DEFAULT_POLICY, Policy, effective_policy
from xdsd.model.intent import (
    ClientTLSMode,
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    PortSelector,
    PortTrafficPolicy,
    ProxyProtocol,
    RetryBudget,
    SimpleLB,
    Subset,
    TCPSettings,
    TrafficPolicy,
    TunnelSettings,
)

RANDOM = LoadBalancerSettings(simple=SimpleLB.RANDOM)
ROUND_ROBIN = LoadBalancerSettings(simple=SimpleLB.ROUND_ROBIN)
SMALL = ConnectionPoolSettings(tcp=TCPSettings(max_connections=1))
LARGE = ConnectionPoolSettings(tcp=TCPSettings(max_connections=1000))
STRICT = OutlierDetection(consecutive_5xx_errors=1)


def for_port(number: int, **settings: object) -> PortTrafficPolicy:
    return PortTrafficPolicy.model_validate({"port": PortSelector(number=number), **settings})


def test_without_a_rule_the_defaults_hold() -> None:
    """A host without a DestinationRule has no settings, nor has a rule without a policy."""
    assert effective_policy(None, 80) == DEFAULT_POLICY == Policy()
    assert effective_policy(DestinationRule(host="a"), 80, "v1") == Policy()


def test_the_policy_of_the_destination_holds_for_every_port() -> None:
    """Settings of the destination hold where no port or subset says otherwise."""
    rule = DestinationRule(
        host="a", traffic_policy=TrafficPolicy(load_balancer=RANDOM, connection_pool=SMALL)
    )
    assert effective_policy(rule, 80) == Policy(SMALL, RANDOM, None)


def test_a_port_inherits_nothing_from_its_destination() -> None:
    """What the settings of a port leave out takes its default."""
    policy = TrafficPolicy(
        load_balancer=RANDOM,
        connection_pool=SMALL,
        port_level_settings=(for_port(80, load_balancer=ROUND_ROBIN),),
    )
    rule = DestinationRule(host="a", traffic_policy=policy)
    assert effective_policy(rule, 80) == Policy(None, ROUND_ROBIN, None)
    assert effective_policy(rule, 81) == Policy(SMALL, RANDOM, None)


def test_a_subset_overrides_block_by_block() -> None:
    """A subset keeps the blocks of its destination that it does not set itself."""
    subsets = (
        Subset(name="v1", traffic_policy=TrafficPolicy(connection_pool=LARGE, outlier_detection=STRICT)),
        Subset(name="v2"),
    )
    rule = DestinationRule(
        host="a",
        traffic_policy=TrafficPolicy(load_balancer=RANDOM, connection_pool=SMALL),
        subsets=subsets,
    )
    assert effective_policy(rule, 80, "v1") == Policy(LARGE, RANDOM, STRICT)
    assert effective_policy(rule, 80, "v2") == Policy(SMALL, RANDOM, None)
    assert effective_policy(rule, 80, "missing") == Policy(SMALL, RANDOM, None)


def test_a_subset_overrides_the_settings_of_the_port() -> None:
    """A subset is merged with what holds for the port, not with what the port replaced."""
    policy = TrafficPolicy(
        connection_pool=SMALL, port_level_settings=(for_port(80, outlier_detection=STRICT),)
    )
    subset = Subset(name="v1", traffic_policy=TrafficPolicy(load_balancer=RANDOM))
    rule = DestinationRule(host="a", traffic_policy=policy, subsets=(subset,))
    assert effective_policy(rule, 80, "v1") == Policy(None, RANDOM, STRICT)


def test_the_port_of_a_subset_replaces_everything() -> None:
    """Settings that a subset has for the port are all that holds."""
    policy = TrafficPolicy(connection_pool=SMALL, load_balancer=RANDOM)
    own = TrafficPolicy(connection_pool=LARGE, port_level_settings=(for_port(80, load_balancer=ROUND_ROBIN),))
    rule = DestinationRule(host="a", traffic_policy=policy, subsets=(Subset(name="v1", traffic_policy=own),))
    assert effective_policy(rule, 80, "v1") == Policy(None, ROUND_ROBIN, None)
    assert effective_policy(rule, 81, "v1") == Policy(LARGE, RANDOM, None)


def test_a_subset_alone_is_enough() -> None:
    """A rule without a policy of its own may have subsets that have one."""
    subset = Subset(name="v1", traffic_policy=TrafficPolicy(load_balancer=RANDOM))
    rule = DestinationRule(host="a", subsets=(subset,))
    assert effective_policy(rule, 80, "v1") == Policy(None, RANDOM, None)
    assert effective_policy(rule, 80) == Policy()


TLS = ClientTLSSettings(mode=ClientTLSMode.SIMPLE)
TUNNEL = TunnelSettings(target_host="a.example.com", target_port=443)
BUDGET = RetryBudget(percent=1)


def test_a_subset_overrides_transport_and_budget() -> None:
    """TLS, tunnel, PROXY protocol and retry budget are blocks like the others."""
    base = TrafficPolicy(tls=TLS, tunnel=TUNNEL, retry_budget=BUDGET)
    off = ClientTLSSettings(mode=ClientTLSMode.DISABLE)
    subset = Subset(name="v1", traffic_policy=TrafficPolicy(tls=off, retry_budget=RetryBudget(percent=2)))
    rule = DestinationRule(host="a", traffic_policy=base, subsets=(subset,))
    assert effective_policy(rule, 80) == Policy(tls=TLS, tunnel=TUNNEL, retry_budget=BUDGET)
    expected = Policy(tls=off, tunnel=TUNNEL, retry_budget=RetryBudget(percent=2))
    assert effective_policy(rule, 80, "v1") == expected


def test_what_a_port_cannot_set_is_kept_for_the_port_of_a_subset() -> None:
    """A port of the destination has no tunnel or budget; a subset's port has those of the destination."""
    header = ProxyProtocol()
    base = TrafficPolicy(
        proxy_protocol=header,
        retry_budget=BUDGET,
        tls=TLS,
        port_level_settings=(for_port(81, load_balancer=RANDOM),),
    )
    own = TrafficPolicy(
        retry_budget=RetryBudget(percent=2), port_level_settings=(for_port(80, load_balancer=ROUND_ROBIN),)
    )
    rule = DestinationRule(host="a", traffic_policy=base, subsets=(Subset(name="v1", traffic_policy=own),))
    assert effective_policy(rule, 81) == Policy(load_balancer=RANDOM)
    assert effective_policy(rule, 80, "v1") == Policy(
        load_balancer=ROUND_ROBIN, proxy_protocol=header, retry_budget=BUDGET
    )
