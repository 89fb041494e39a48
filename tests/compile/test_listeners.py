"""Outbound listeners, by value and as a real Envoy takes them."""

from datetime import timedelta
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TrafficDirection
from hypothesis import given
from hypothesis import strategies as st

from tests.compile.envoy import validate_with_envoy
from tests.compile.listening import chains, manager, proxy
from xdsd.compile.access_logs import OFF, AccessLog, LogEncoding
from xdsd.compile.inbound import virtual_inbound
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.listeners import (
    FALLTHROUGH_CHAIN,
    http_proxy_listener,
    outbound_http_listener,
    outbound_tcp_listener,
    virtual_outbound,
)
from xdsd.compile.names import BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER
from xdsd.compile.tcp_proxies import TcpOptions
from xdsd.compile.tcp_targets import TcpTarget, distinct

MYSQL = "outbound|3306||mysql.default.svc.cluster.local"
OTHER = "outbound|3306||other.default.svc.cluster.local"


def filters(listener: Any) -> list[str]:
    return [each.name for each in listener.listener_filters]


def ranges(chain: Any) -> list[str]:
    return [
        f"{each.address_prefix}/{each.prefix_len.value}" for each in chain.filter_chain_match.prefix_ranges
    ]


def test_virtual_outbound_hands_over_by_original_destination() -> None:
    """The listener that the kernel redirects to passes a connection to the listener it was meant for."""
    listener = virtual_outbound(PASSTHROUGH_CLUSTER)
    assert listener.name == "virtualOutbound"
    assert listener.address.socket_address.address == "0.0.0.0"
    assert listener.address.socket_address.port_value == 15001
    assert listener.use_original_dst.value
    assert listener.traffic_direction == TrafficDirection.OUTBOUND
    assert not listener.HasField("bind_to_port")


@pytest.mark.parametrize("cluster", [PASSTHROUGH_CLUSTER, BLACK_HOLE_CLUSTER])
def test_unknown_destinations_go_where_they_are_sent(cluster: str) -> None:
    """The catch-all chain leads to the cluster that is named."""
    assert proxy(virtual_outbound(cluster)).cluster == cluster


def test_virtual_outbound_does_not_pass_to_itself() -> None:
    """A connection that nobody redirected ends nowhere, instead of going round for ever."""
    listener = virtual_outbound(PASSTHROUGH_CLUSTER, port=15101)
    chain = chains(listener)["virtualOutbound-blackhole"]
    assert chain.filter_chain_match.destination_port.value == 15101
    assert proxy(chain).cluster == BLACK_HOLE_CLUSTER


def test_http_listener_is_named_by_address_and_port_and_routed_by_rds() -> None:
    """One listener serves all HTTP services of a port; which those are is the route's affair."""
    listener = outbound_http_listener("0.0.0.0", 9080, "9080", bind_to_port=False)
    assert listener.name == "0.0.0.0_9080"
    assert listener.bind_to_port.value is False
    assert listener.HasField("bind_to_port")
    assert filters(listener) == []
    assert manager(listener).rds.route_config_name == "9080"


def test_http_listener_binds_where_told() -> None:
    """In explicit mode the listener opens its port."""
    listener = outbound_http_listener("127.0.0.1", 9080, "9080", bind_to_port=True)
    assert not listener.HasField("bind_to_port")


def test_http_port_of_every_address_lets_other_protocols_through() -> None:
    """With a fallthrough, what does not speak HTTP is passed on unread, however long it takes to speak."""
    listener = outbound_http_listener(
        "0.0.0.0", 80, "80", bind_to_port=False, fallthrough=PASSTHROUGH_CLUSTER
    )
    assert filters(listener) == ["envoy.filters.listener.http_inspector"]
    assert listener.HasField("listener_filters_timeout")
    assert listener.listener_filters_timeout.ToTimedelta() == timedelta(0)
    match = chains(listener)["0.0.0.0_80"].filter_chain_match
    assert list(match.application_protocols) == ["http/1.0", "http/1.1", "h2c"]
    assert match.transport_protocol == "raw_buffer"
    assert proxy(listener).cluster == PASSTHROUGH_CLUSTER


def test_ipv6_and_unix_listeners_have_names_and_addresses() -> None:
    """Listeners are named the way Istio names them, whatever the family."""
    assert outbound_http_listener("::", 9080, "9080", bind_to_port=False).name == "::_9080"
    listener = outbound_http_listener("unix:///run/app.sock", 0, "unix:///run/app.sock", bind_to_port=True)
    assert listener.name == "unix:///run/app.sock_0"
    assert listener.address.pipe.path == "/run/app.sock"
    abstract = outbound_http_listener("unix://@app", 0, "unix://@app", bind_to_port=True)
    assert abstract.address.pipe.path == "@app"


def test_http_proxy_has_its_own_route() -> None:
    """Programs with http_proxy set share one route that tells hosts and ports apart."""
    listener = http_proxy_listener("127.0.0.1", 15080)
    assert listener.name == "127.0.0.1_15080"
    assert manager(listener).rds.route_config_name == "http_proxy"
    assert all(each.upgrade_type != "CONNECT" for each in manager(listener).upgrade_configs)


def test_a_service_address_needs_no_match() -> None:
    """On a service's own address every connection is the service's."""
    listener = outbound_tcp_listener(
        "10.96.0.7", 3306, [TcpTarget(MYSQL)], PASSTHROUGH_CLUSTER, bind_to_port=False
    )
    assert listener.name == "10.96.0.7_3306"
    assert list(chains(listener)) == [MYSQL]
    assert proxy(listener).cluster == MYSQL
    assert proxy(listener).stat_prefix == MYSQL


def test_ranges_share_a_port_and_the_rest_falls_through() -> None:
    """On any address, destinations are told apart by range, and strangers go where the policy says."""
    targets = [TcpTarget(MYSQL, ("10.1.0.0/16", "10.2.3.4")), TcpTarget(OTHER, ("2001:db8::/32",))]
    listener = outbound_tcp_listener("0.0.0.0", 3306, targets, BLACK_HOLE_CLUSTER, bind_to_port=False)
    assert ranges(chains(listener)[MYSQL]) == ["10.1.0.0/16", "10.2.3.4/32"]
    assert ranges(chains(listener)[OTHER]) == ["2001:db8::/32"]
    assert proxy(listener, FALLTHROUGH_CHAIN).cluster == BLACK_HOLE_CLUSTER
    assert filters(listener) == []


def test_server_names_need_the_tls_inspector() -> None:
    """TLS services without an address are told apart by the name that the client asks for."""
    targets = [TcpTarget("a", sni=("*.Example.com",)), TcpTarget("b", sni=("www.example.org",))]
    listener = outbound_tcp_listener("0.0.0.0", 443, targets, PASSTHROUGH_CLUSTER, bind_to_port=False)
    assert filters(listener) == ["envoy.filters.listener.tls_inspector"]
    assert list(chains(listener)["a"].filter_chain_match.server_names) == ["*.example.com"]


def test_connections_follow_the_pool_of_their_cluster() -> None:
    """Idle time, lifetime and stickiness are the TCP proxy's part of a policy."""
    options = TcpOptions(timedelta(seconds=5), timedelta(hours=2), hash_source_ip=True)
    listener = outbound_tcp_listener(
        "10.0.0.1", 1, [TcpTarget(MYSQL, options=options)], None, bind_to_port=False
    )
    built = proxy(listener)
    assert built.idle_timeout.ToTimedelta() == timedelta(seconds=5)
    assert built.max_downstream_connection_duration.ToTimedelta() == timedelta(hours=2)
    assert built.hash_policy[0].HasField("source_ip")
    assert not proxy(
        outbound_tcp_listener("10.0.0.1", 1, [TcpTarget(MYSQL)], None, bind_to_port=False)
    ).HasField("idle_timeout")


def test_a_listener_for_nobody_is_a_fault() -> None:
    """Envoy would refuse a listener without chains, so none is built."""
    with pytest.raises(ValueError, match="neither targets nor a fallthrough"):
        outbound_tcp_listener("0.0.0.0", 1, [], None, bind_to_port=False)


def test_the_first_of_two_equal_claims_wins() -> None:
    """A later target keeps what is its own, and is named if nothing is."""
    first = TcpTarget("first", ("10.0.0.1",))
    half = TcpTarget("half", ("10.0.0.1/32", "10.0.0.2"))
    gone = TcpTarget("gone", ("10.0.0.2",))
    kept, shadowed = distinct([first, half, gone])
    assert [(each.cluster, each.addresses) for each in kept] == [
        ("first", ("10.0.0.1/32",)),
        ("half", ("10.0.0.2/32",)),
    ]
    assert shadowed == (gone,)


def test_claims_of_server_names_are_split_too() -> None:
    """Two services that share a server name leave it to the first; any name and no name are the same."""
    kept, shadowed = distinct(
        [
            TcpTarget("a", sni=("x.com",)),
            TcpTarget("b", sni=("X.com", "y.com")),
            TcpTarget("c", sni=("*", "z.com")),
            TcpTarget("d", ("0.0.0.0",)),
        ]
    )
    assert [(each.cluster, each.sni) for each in kept] == [("a", ("x.com",)), ("b", ("y.com",)), ("c", ())]
    assert [each.cluster for each in shadowed] == ["d"]


TARGETS = st.lists(
    st.builds(
        TcpTarget,
        cluster=st.sampled_from(["a", "b", "c"]),
        addresses=st.lists(
            st.sampled_from(["10.0.0.1", "10.0.0.1/32", "10.0.0.0/8", "::1", "0.0.0.0"]), max_size=3
        ).map(tuple),
        sni=st.lists(st.sampled_from(["x.com", "X.com", "*.com", "*"]), max_size=3).map(tuple),
    ),
    max_size=8,
)


@given(TARGETS)
def test_no_two_chains_ever_match_the_same(targets: list[TcpTarget]) -> None:
    """Whatever the targets claim, the listener is one that Envoy accepts."""
    kept, shadowed = distinct(targets)
    claims = [(a, n) for each in kept for a in each.addresses or ("",) for n in each.sni or ("",)]
    assert len(claims) == len(set(claims))
    assert len(kept) + len(shadowed) == len(targets)


def test_settings_reach_every_listener() -> None:
    """Logs and buffers are decided once, for all listeners."""
    settings = ListenerSettings(access_log=OFF, buffer_limit=32768)
    for listener in (
        virtual_outbound(PASSTHROUGH_CLUSTER, settings=settings),
        outbound_tcp_listener("10.0.0.1", 1, [TcpTarget("a")], None, bind_to_port=False, settings=settings),
    ):
        assert listener.per_connection_buffer_limit_bytes.value == 32768
        assert not proxy(listener).access_log


def test_a_port_of_many_services_says_once_how_connections_are_logged() -> None:
    """The listener logs for all of its chains, so that a service more costs little beyond its names."""
    names = [f"service-{number:05}.default.svc.cluster.local" for number in range(100)]
    targets = [TcpTarget(f"outbound|443||{name}", sni=(name,)) for name in names]
    listener = outbound_tcp_listener("0.0.0.0", 443, targets, PASSTHROUGH_CLUSTER, bind_to_port=False)
    assert len(listener.access_log) == 1
    assert not proxy(listener).access_log
    assert max(chain.ByteSize() for chain in listener.filter_chains) < 120 + 4 * len(targets[0].cluster)


@pytest.mark.e2e
def test_envoy_takes_every_outbound_listener() -> None:
    """A real Envoy loads each form of outbound listener and has nothing to complain about."""
    json_logs = ListenerSettings(access_log=AccessLog(encoding=LogEncoding.JSON), buffer_limit=65536)
    names = [PASSTHROUGH_CLUSTER, BLACK_HOLE_CLUSTER, "a", "b"]
    options = TcpOptions(timedelta(0), timedelta(hours=1), hash_source_ip=True)
    targets = [
        TcpTarget("a", ("10.0.0.0/8", "10.0.0.1", "10.0.0.1/32"), ("x.com", "X.com"), options),
        TcpTarget("b", (), ("*.y.com", "x.com")),
        TcpTarget("b", ("2001:db8::1",)),
        TcpTarget("a"),
        TcpTarget("b"),
    ]
    log = validate_with_envoy(
        [Cluster(name=name, type=Cluster.STATIC) for name in names],
        [
            virtual_outbound(PASSTHROUGH_CLUSTER),
            virtual_outbound(BLACK_HOLE_CLUSTER, bind="::", settings=json_logs),
            outbound_http_listener("0.0.0.0", 9080, "9080", bind_to_port=False),
            outbound_http_listener("0.0.0.0", 80, "80", bind_to_port=False, fallthrough=PASSTHROUGH_CLUSTER),
            outbound_http_listener("unix://@app", 0, "app", bind_to_port=True, settings=json_logs),
            outbound_tcp_listener("0.0.0.0", 443, targets, PASSTHROUGH_CLUSTER, bind_to_port=False),
            outbound_tcp_listener("::", 443, targets[:2], None, bind_to_port=False, settings=json_logs),
            http_proxy_listener("127.0.0.1", 15080),
        ],
    )
    assert "deprecated" not in log.lower()


def test_how_long_a_protocol_is_waited_for_is_the_mesh_s() -> None:
    """No limit on the way out unless one is set, and Envoy's own on the way in."""
    limited = ListenerSettings(detection_timeout=timedelta(seconds=5))
    assert (
        outbound_http_listener("0.0.0.0", 80, "80", bind_to_port=False).listener_filters_timeout.seconds == 0
    )
    for listener in (
        outbound_http_listener("0.0.0.0", 80, "80", bind_to_port=False, settings=limited),
        virtual_inbound((), settings=limited),
    ):
        assert listener.listener_filters_timeout.seconds == 5
    assert not virtual_inbound(()).HasField("listener_filters_timeout")
