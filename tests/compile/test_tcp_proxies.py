"""Which part of a policy the TCP proxy carries out."""

from datetime import timedelta

from tests.compile.listening import proxy
from xdsd.compile.listener_settings import DEFAULTS
from xdsd.compile.policy import DEFAULT_POLICY, Policy
from xdsd.compile.tcp_proxies import DEFAULT_OPTIONS, TcpOptions, tcp_options, tcp_proxy
from xdsd.model.intent import (
    ConnectionPoolSettings,
    ConsistentHashLB,
    LoadBalancerSettings,
    TCPSettings,
    TunnelSettings,
)


def test_no_policy_leaves_envoys_defaults() -> None:
    """Without a DestinationRule nothing is said about connections."""
    assert tcp_options(DEFAULT_POLICY) == DEFAULT_OPTIONS
    built = proxy(tcp_proxy("a", DEFAULTS))
    assert not built.HasField("idle_timeout")
    assert not built.HasField("max_downstream_connection_duration")
    assert not built.hash_policy


def test_pool_and_hash_reach_connections() -> None:
    """Idle time, lifetime and the hash of the client's address are taken from pool and balancer."""
    tcp = TCPSettings(idle_timeout=timedelta(minutes=5), max_connection_duration=timedelta(hours=1))
    policy = Policy(
        ConnectionPoolSettings(tcp=tcp),
        LoadBalancerSettings(consistent_hash=ConsistentHashLB(use_source_ip=True)),
    )
    assert tcp_options(policy) == TcpOptions(timedelta(minutes=5), timedelta(hours=1), hash_source_ip=True)


def test_no_idle_time_is_not_the_default_one() -> None:
    """An idle time of 0 says that connections may idle for ever."""
    built = proxy(tcp_proxy("a", DEFAULTS, TcpOptions(idle_timeout=timedelta(0))))
    assert built.HasField("idle_timeout")
    assert built.idle_timeout.ToTimedelta() == timedelta(0)


def test_a_tunnel_asks_for_its_target() -> None:
    """CONNECT unless POST is asked for; an IPv6 address has brackets, and its zone is no command."""
    for target, protocol, host in (
        ("a.example.com", "CONNECT", "a.example.com:443"),
        ("fe80::1%eth0", "POST", "[fe80::1%%eth0]:443"),
    ):
        tunnel = TunnelSettings(target_host=target, target_port=443, protocol=protocol)
        built = proxy(tcp_proxy("a", DEFAULTS, tcp_options(Policy(tunnel=tunnel))))
        assert built.tunneling_config.hostname == host
        assert built.tunneling_config.use_post is (protocol == "POST")
    assert not proxy(tcp_proxy("a", DEFAULTS)).HasField("tunneling_config")
