"""Inbound listeners, by value and as a real Envoy takes them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TrafficDirection

from tests.compile.envoy import validate_with_envoy
from tests.compile.listening import chains, manager, proxy
from xdsd.compile.inbound import InboundPort, inbound_listener, inbound_routes, virtual_inbound
from xdsd.compile.names import BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER
from xdsd.compile.tcp_proxies import TcpOptions
from xdsd.model.catalog import Protocol

HTTP = InboundPort(9080, Protocol.HTTP, "inbound|9080||", host="reviews.default.svc.cluster.local")
MYSQL = InboundPort(3306, Protocol.MYSQL, "inbound|3306||")
AUTO = InboundPort(7000, Protocol.AUTO, "inbound|7000||")


def test_virtual_inbound_has_a_chain_a_port() -> None:
    """Redirected connections are told apart by the port that they were meant for."""
    listener = virtual_inbound([HTTP, MYSQL])
    assert listener.name == "virtualInbound"
    assert listener.address.socket_address.port_value == 15006
    assert listener.traffic_direction == TrafficDirection.INBOUND
    assert [each.name for each in listener.listener_filters] == ["envoy.filters.listener.original_dst"]
    assert {
        name: chain.filter_chain_match.destination_port.value for name, chain in chains(listener).items()
    } == {
        "virtualInbound-blackhole": 15006,
        "0.0.0.0_3306": 3306,
        "0.0.0.0_9080": 9080,
        "virtualInbound": 0,
    }


def test_ports_nobody_declared_pass_through() -> None:
    """A port that no service declares still reaches the program; the listener's own port reaches nothing."""
    listener = virtual_inbound([])
    assert proxy(listener).cluster == INBOUND_PASSTHROUGH_CLUSTER
    assert proxy(listener, "virtualInbound-blackhole").cluster == BLACK_HOLE_CLUSTER


def test_a_new_port_leaves_the_other_chains_as_they_are() -> None:
    """Chains of other ports, and all else of the listener, do not change with a port."""
    before, after = virtual_inbound([HTTP]), virtual_inbound([MYSQL, HTTP])
    old, new = chains(before), chains(after)
    assert all(new[name] == chain for name, chain in old.items())
    del before.filter_chains[:], after.filter_chains[:]
    assert before == after


def test_order_of_ports_does_not_matter() -> None:
    """Equal ports make an equal listener, so no update is sent for nothing."""
    assert virtual_inbound([HTTP, MYSQL]) == virtual_inbound([MYSQL, HTTP])


def test_http_port_routes_everything_to_the_program() -> None:
    """An HTTP port has one inline route, without a time limit, named after its cluster."""
    routes = manager(virtual_inbound([HTTP]), "0.0.0.0_9080").route_config
    assert routes == inbound_routes(HTTP)
    assert routes.name == "inbound|9080||"
    (host,) = routes.virtual_hosts
    assert (host.name, list(host.domains)) == ("inbound|http|9080", ["*"])
    (route,) = host.routes
    assert route.route.cluster == "inbound|9080||"
    assert route.route.timeout.ToTimedelta() == timedelta(0)
    assert route.decorator.operation == "reviews.default.svc.cluster.local:9080/*"


def test_streams_are_not_sent_twice() -> None:
    """What never reached the program is sent again, but not for gRPC."""
    again = InboundPort(9080, Protocol.HTTP, "inbound|9080||")
    never = InboundPort(9080, Protocol.GRPC, "inbound|9080||")
    assert inbound_routes(again).virtual_hosts[0].routes[0].route.HasField("retry_policy")
    assert not inbound_routes(never).virtual_hosts[0].routes[0].route.HasField("retry_policy")


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.HTTPS, Protocol.TLS, Protocol.MONGO])
def test_other_protocols_are_carried_unread(protocol: Protocol) -> None:
    """TLS that the program ends itself and plain TCP go through as they are."""
    options = TcpOptions(idle_timeout=timedelta(minutes=1))
    listener = inbound_listener(InboundPort(443, protocol, "inbound|443||", bind="::1", options=options))
    assert proxy(listener).cluster == "inbound|443||"
    assert proxy(listener).idle_timeout.ToTimedelta() == timedelta(minutes=1)


def test_explicit_listener_binds_its_port() -> None:
    """Without redirection each port has a listener of its own, at its own address."""
    listener = inbound_listener(InboundPort(9080, Protocol.HTTP, "inbound|9080||", bind="10.0.0.1"))
    assert listener.name == "10.0.0.1_9080"
    assert listener.address.socket_address.address == "10.0.0.1"
    assert not listener.HasField("bind_to_port")
    assert not listener.listener_filters
    assert manager(listener).stat_prefix == "inbound_10.0.0.1_9080;"


def test_only_undeclared_ports_wait_for_the_client() -> None:
    """HTTP is looked for where nobody said what is spoken, with a chain for each case; elsewhere servers may speak first."""
    listener = virtual_inbound([HTTP, MYSQL, AUTO, replace(AUTO, port=7001, cluster="inbound|7001||")])
    _, detecting = listener.listener_filters
    asked = detecting.filter_disabled.not_match.or_match.rules
    ranges = [(each.destination_port_range.start, each.destination_port_range.end) for each in asked]
    assert ranges == [(7000, 7001), (7001, 7002)]
    found = [
        each for each in listener.filter_chains if each.filter_chain_match.destination_port.value == 7000
    ]
    assert [list(each.filter_chain_match.application_protocols) for each in found] == [
        ["http/1.0", "http/1.1", "h2c"],
        [],
    ]
    assert manager(found[0]).route_config.virtual_hosts[0].routes[0].route.cluster == AUTO.cluster
    assert proxy(found[1]).cluster == AUTO.cluster
    alone = inbound_listener(AUTO)
    assert manager(alone.filter_chains[0]).stat_prefix == "inbound_0.0.0.0_7000;"
    assert proxy(alone).cluster == AUTO.cluster


@pytest.mark.e2e
def test_envoy_takes_every_inbound_listener() -> None:
    """A real Envoy loads each form of inbound listener and has nothing to complain about."""
    names = [BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER]
    names += ["inbound|9080||", "inbound|3306||", AUTO.cluster]
    log = validate_with_envoy(
        [Cluster(name=name, type=Cluster.STATIC) for name in names],
        [
            virtual_inbound([HTTP, MYSQL]),
            virtual_inbound([AUTO]),
            virtual_inbound([AUTO, replace(AUTO, port=7001)]),
            inbound_listener(AUTO),
            virtual_inbound([HTTP], bind="::"),
            inbound_listener(InboundPort(9080, Protocol.GRPC, "inbound|9080||", bind="::1")),
            inbound_listener(MYSQL),
        ],
    )
    assert "deprecated" not in log.lower()
