"""Patches of listeners, at each of their levels."""

from typing import Any

import pytest

from tests.compile.envoy_filters.patching import (
    EXTENSIONS,
    GATEWAY,
    HTTP,
    INBOUND,
    MANAGER,
    OUTBOUND,
    TCP,
    TYPES,
    applied,
    at_filter,
    lua,
    manager_of,
    names,
    patch,
    patched,
    untouched,
)
from xdsd.compile.envoy_filters.matching import Facts
from xdsd.compile.gateway_listeners import gateway_listener
from xdsd.compile.inbound import InboundPort, virtual_inbound
from xdsd.compile.listeners import outbound_http_listener
from xdsd.model.catalog import Protocol

ROUTER = "envoy.filters.http.router"
INSPECTOR: dict[str, Any] = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": f"{EXTENSIONS}.listener.tls_inspector.v3.TlsInspector"},
}
ECHO = {"name": "echo", "typed_config": {"@type": f"{EXTENSIONS}.network.echo.v3.Echo"}}
LIMIT = {
    "name": "limit",
    "typed_config": {
        "@type": f"{EXTENSIONS}.network.connection_limit.v3.ConnectionLimit",
        "stat_prefix": "limit",
        "max_connections": 5,
    },
}


def outbound() -> Any:
    """A port's listener, HTTP or else passed through."""
    return outbound_http_listener(
        "0.0.0.0", 9080, "9080", bind_to_port=False, fallthrough="PassthroughCluster"
    )


def inbound() -> Any:
    """The listener of a workload that serves HTTP on 9080 and TCP on 9090."""
    ports = [
        InboundPort(9080, Protocol.HTTP, "inbound|9080||", "reviews.default.svc.cluster.local"),
        InboundPort(9090, Protocol.TCP, "inbound|9090||", "reviews.default.svc.cluster.local"),
    ]
    return virtual_inbound(ports)


def http_filters(listener: Any, chain: int | None = None) -> list[str]:
    """The HTTP filters of a chain, the default one if None."""
    found = listener.default_filter_chain if chain is None else listener.filter_chains[chain]
    return names(manager_of(found.filters[-1]).http_filters)


def test_listener_merge_sets_fields_and_keeps_the_name() -> None:
    """What is given is set, the rest and the name stay."""
    value = {"name": "other", "per_connection_buffer_limit_bytes": 7, "stat_prefix": "s"}
    listener = patched(outbound(), patch("LISTENER", "MERGE", value))
    assert listener.per_connection_buffer_limit_bytes.value == 7
    assert listener.name == "0.0.0.0_9080"
    assert len(listener.filter_chains) == len(outbound().filter_chains)


def test_listener_merge_appends_to_lists_and_can_replace_them() -> None:
    """MERGE adds listener filters to those that are there, MERGE_AND_REPLACE_LIST puts its own in their place."""
    value = {"listener_filters": [INSPECTOR]}
    before = names(outbound().listener_filters)
    merged = patched(outbound(), patch("LISTENER", "MERGE", value))
    assert names(merged.listener_filters) == [*before, INSPECTOR["name"]]
    replaced = patched(outbound(), patch("LISTENER", "MERGE_AND_REPLACE_LIST", value))
    assert names(replaced.listener_filters) == [INSPECTOR["name"]]


def test_listener_a_wrapped_false_takes_the_place_of_true() -> None:
    """A field that is given is set, also where protobuf's own merge would not notice."""
    listener = patched(outbound(), patch("LISTENER", "MERGE", {"freebind": True}))
    assert listener.freebind.value
    again = patched(listener, patch("LISTENER", "MERGE", {"freebind": False}))
    assert again.HasField("freebind")
    assert not again.freebind.value


def test_listener_a_duration_takes_the_place_of_another() -> None:
    """1.5 s over 2.2 s is 1.5 s."""
    listener = patched(outbound(), patch("LISTENER", "MERGE", {"listener_filters_timeout": "2.2s"}))
    again = patched(listener, patch("LISTENER", "MERGE", {"listener_filters_timeout": "1s"}))
    assert again.listener_filters_timeout.ToTimedelta().total_seconds() == 1


def test_listener_remove() -> None:
    """A listener that is removed is gone, and later patches of it are in vain."""
    gone = patch("LISTENER", "REMOVE", match={"listener": {"name": "0.0.0.0_9080"}})
    later = patch("LISTENER_FILTER", "ADD", INSPECTOR, place=1)
    assert applied(outbound(), gone, later) == (None, frozenset({0}))


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"name": "0.0.0.0_9080"}, True),
        ({"name": "0.0.0.0_9081"}, False),
        ({"portNumber": 9080}, True),
        ({"portNumber": 9081}, False),
        ({"portName": "HTTP"}, True),
        ({"portName": "grpc"}, False),
        ({"portNumber": 9080, "name": "x"}, False),
    ],
)
def test_listener_matches(match: dict[str, Any], *, fits: bool) -> None:
    """Name, port and port name must all be the listener's."""
    facts = Facts(OUTBOUND, port_names=frozenset({("http", 9080), ("grpc", 9081)}))
    change = patch("LISTENER", "MERGE", {"stat_prefix": "s"}, {"listener": match})
    assert untouched(outbound(), change, facts=facts) is not fits


@pytest.mark.parametrize(
    ("context", "fits"),
    [("ANY", True), ("SIDECAR_OUTBOUND", True), ("SIDECAR_INBOUND", False), ("GATEWAY", False)],
)
def test_listener_contexts(context: str, *, fits: bool) -> None:
    """A patch is for the side that it names."""
    change = patch("LISTENER", "MERGE", {"stat_prefix": "s"}, {"context": context})
    assert untouched(outbound(), change) is not fits


def test_listener_the_inbound_listener_is_told_by_its_own_port_at_its_own_level() -> None:
    """virtualInbound is port 15006 to patches of listeners, and every port to patches of what is in it."""
    whole = patch("LISTENER", "MERGE", {"stat_prefix": "s"}, {"listener": {"portNumber": 9080}})
    assert untouched(inbound(), whole, facts=Facts(INBOUND))
    inside = patch("HTTP_FILTER", "ADD", lua("x"), {"listener": {"portNumber": 9080}})
    listener = patched(inbound(), inside, facts=Facts(INBOUND))
    assert "x" in http_filters(listener, 1)


def test_listener_filter_each_operation() -> None:
    """Filters are added, put first, before, behind or in the place of another, merged and removed."""
    first = names(outbound().listener_filters)[0]
    here = {"listener": {"listenerFilter": first}}
    value = INSPECTOR
    expected = {
        ("ADD", False): [first, value["name"]],
        ("INSERT_FIRST", False): [value["name"], first],
        ("INSERT_BEFORE", True): [value["name"], first],
        ("INSERT_AFTER", True): [first, value["name"]],
        ("INSERT_BEFORE", False): [value["name"], first],
        ("INSERT_AFTER", False): [first, value["name"]],
        ("REPLACE", True): [value["name"]],
    }
    for (operation, named), result in expected.items():
        change = patch("LISTENER_FILTER", operation, value, here if named else None)
        assert names(patched(outbound(), change).listener_filters) == result, operation
    gone = patch("LISTENER_FILTER", "REMOVE", match=here)
    assert names(patched(outbound(), gone).listener_filters) == []


def test_listener_filter_merge_goes_inside_of_the_config() -> None:
    """Fields of the same config are set in it; another config is not touched."""
    listener = patched(outbound(), patch("LISTENER_FILTER", "ADD", INSPECTOR))
    here = {"listener": {"listenerFilter": INSPECTOR["name"]}}
    config = {"@type": INSPECTOR["typed_config"]["@type"], "enable_ja3_fingerprinting": True}
    merged = patched(listener, patch("LISTENER_FILTER", "MERGE", {"typed_config": config}, here))
    assert merged.listener_filters[1].typed_config.value
    assert merged.listener_filters[1].name == INSPECTOR["name"]
    other = {"listener": {"listenerFilter": "envoy.filters.listener.http_inspector"}}
    assert untouched(listener, patch("LISTENER_FILTER", "MERGE", {"typed_config": config}, other))


def test_listener_filter_a_filter_that_is_not_there_is_no_anchor() -> None:
    """What is to go before, behind or in the place of a filter that is missing goes nowhere."""
    here = {"listener": {"listenerFilter": "missing"}}
    for operation in ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE", "ADD"):
        assert untouched(outbound(), patch("LISTENER_FILTER", operation, INSPECTOR, here)), operation


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"name": "0.0.0.0_9080"}, True),
        ({"name": "x"}, False),
        ({"transportProtocol": "raw_buffer"}, True),
        ({"transportProtocol": "tls"}, False),
        ({"applicationProtocols": "http/1.1,h2c"}, True),
        ({"applicationProtocols": "h2"}, False),
        ({"destinationPort": 9080}, False),
        ({"sni": "a.example.com"}, False),
        ({"transportSocket": "envoy.transport_sockets.tls"}, False),
    ],
)
def test_filter_chain_matches(match: dict[str, Any], *, fits: bool) -> None:
    """Name, protocols, port, server name and transport socket must all be the chain's."""
    change = patch("FILTER_CHAIN", "REMOVE", match={"listener": {"filterChain": match}})
    found, places = applied(outbound(), change)
    assert bool(places) is fits
    assert found is not None
    assert len(found.filter_chains) == (0 if fits else 1)


def test_filter_chain_chains_are_told_by_sni_and_transport_socket() -> None:
    """A chain that has a server name or a transport socket is found by it."""
    listener = outbound()
    chain = listener.filter_chains[0]
    chain.filter_chain_match.server_names.append("a.example.com")
    chain.transport_socket.name = "envoy.transport_sockets.tls"
    for match in ({"sni": "a.example.com"}, {"transportSocket": "envoy.transport_sockets.tls"}):
        change = patch("FILTER_CHAIN", "MERGE", {"name": "n"}, {"listener": {"filterChain": match}})
        assert patched(listener, change).filter_chains[0].name == "n"


def test_filter_chain_the_default_chain_is_a_chain() -> None:
    """It is changed and removed as the others."""
    match = {"listener": {"filterChain": {"name": "PassthroughFilterChain"}}}
    gone = patched(outbound(), patch("FILTER_CHAIN", "REMOVE", match=match))
    assert not gone.HasField("default_filter_chain")
    assert len(gone.filter_chains) == 1


def test_filter_chain_add_and_merge() -> None:
    """A chain is added behind the others; merged ones keep their filters."""
    value = {"name": "new", "filter_chain_match": {"destination_port": 1}, "filters": [ECHO]}
    added = patched(outbound(), patch("FILTER_CHAIN", "ADD", value))
    assert names(added.filter_chains)[-1] == "new"
    merged = patched(outbound(), patch("FILTER_CHAIN", "MERGE", {"transport_socket_connect_timeout": "3s"}))
    assert merged.filter_chains[0].transport_socket_connect_timeout.seconds == 3
    assert names(merged.filter_chains[0].filters) == [HTTP]


def test_filter_chain_transport_sockets_are_merged_inside() -> None:
    """One of the same name keeps what the patch does not say, another one takes its place."""
    tls = f"{TYPES}/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"

    def socket(name: str, **config: Any) -> dict[str, Any]:
        return {"transport_socket": {"name": name, "typed_config": {"@type": tls, **config}}}

    first = patch("FILTER_CHAIN", "MERGE", socket("tls", require_client_certificate=True))
    second = patch("FILTER_CHAIN", "MERGE", socket("tls", disable_stateless_session_resumption=True), place=1)
    config = patched(outbound(), first, second).filter_chains[0].transport_socket.typed_config.value
    alone = patched(outbound(), second).filter_chains[0].transport_socket.typed_config.value
    assert len(config) > len(alone)
    third = patch("FILTER_CHAIN", "MERGE", socket("other"), place=2)
    assert patched(outbound(), first, second, third).filter_chains[0].transport_socket.name == "other"


def test_network_filter_each_operation() -> None:
    """Filters go where they are told; the one that ends a chain stays last."""
    expected = {
        ("ADD", None): ["limit", HTTP],
        ("INSERT_FIRST", None): ["limit", HTTP],
        ("INSERT_BEFORE", HTTP): ["limit", HTTP],
        ("INSERT_AFTER", HTTP): [HTTP, "limit"],
        ("REPLACE", HTTP): ["limit"],
    }
    for (operation, name), result in expected.items():
        change = patch("NETWORK_FILTER", operation, LIMIT, at_filter(name) if name else None)
        assert names(patched(outbound(), change).filter_chains[0].filters) == result, operation
    gone = patch("NETWORK_FILTER", "REMOVE", match=at_filter(HTTP))
    assert names(patched(outbound(), gone).filter_chains[0].filters) == []


def test_network_filter_only_chains_with_the_filter_are_touched() -> None:
    """The chain that passes connections through has no HTTP connection manager."""
    change = patch("NETWORK_FILTER", "INSERT_BEFORE", LIMIT, at_filter(HTTP))
    listener = patched(outbound(), change)
    assert names(listener.default_filter_chain.filters) == [TCP]


def test_network_filter_merge_goes_inside_of_the_config() -> None:
    """Fields of the HTTP connection manager are set in it, its filters and routes stay."""
    config = {"@type": MANAGER, "use_remote_address": True, "stream_idle_timeout": "7s"}
    change = patch("NETWORK_FILTER", "MERGE", {"typed_config": config}, at_filter(HTTP))
    listener = patched(outbound(), change)
    manager = manager_of(listener.filter_chains[0].filters[0])
    assert manager.use_remote_address.value
    assert manager.stream_idle_timeout.seconds == 7
    assert names(manager.http_filters)[-1] == ROUTER
    assert manager.rds.route_config_name == "9080"
    assert listener.filter_chains[0].filters[0].name == HTTP


def test_network_filter_merge_sets_to_nothing_what_it_says_is_nothing() -> None:
    """A plain ``false`` in a config switches off what we switch on; what is left out stays."""
    assert manager_of(outbound().filter_chains[0].filters[0]).proxy_100_continue
    config = {"@type": MANAGER, "proxy_100_continue": False}
    change = patch("NETWORK_FILTER", "MERGE", {"typed_config": config}, at_filter(HTTP))
    manager = manager_of(patched(outbound(), change).filter_chains[0].filters[0])
    assert not manager.proxy_100_continue
    assert manager.stat_prefix == manager_of(outbound().filter_chains[0].filters[0]).stat_prefix


def test_network_filter_a_config_of_another_type_is_not_merged() -> None:
    """What cannot be merged is left alone, and the patch counts as one that matches nothing."""
    change = patch("NETWORK_FILTER", "MERGE", {"typed_config": LIMIT["typed_config"]}, at_filter(HTTP))
    assert untouched(outbound(), change)


def test_http_filter_each_operation() -> None:
    """Filters go where they are told; without a place they go in front of the router."""
    old = http_filters(outbound(), 0)
    expected = {
        ("ADD", None): [*old[:-1], "x", ROUTER],
        ("INSERT_AFTER", None): [*old[:-1], "x", ROUTER],
        ("INSERT_FIRST", None): ["x", *old],
        ("INSERT_BEFORE", None): ["x", *old],
        ("INSERT_BEFORE", ROUTER): [*old[:-1], "x", ROUTER],
        ("INSERT_AFTER", old[0]): [old[0], "x", *old[1:]],
        ("INSERT_FIRST", old[1]): ["x", *old],
        ("REPLACE", old[0]): ["x", *old[1:]],
    }
    for (operation, name), result in expected.items():
        match = at_filter(HTTP, name) if name else at_filter(HTTP)
        change = patch("HTTP_FILTER", operation, lua("x"), match)
        assert http_filters(patched(outbound(), change), 0) == result, operation
    gone = patch("HTTP_FILTER", "REMOVE", match=at_filter(HTTP, old[0]))
    assert http_filters(patched(outbound(), gone), 0) == old[1:]
    for operation in ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"):
        change = patch("HTTP_FILTER", operation, lua("x"), at_filter(HTTP, "missing"))
        assert untouched(outbound(), change), operation


def test_http_filter_classes_have_their_places() -> None:
    """STATS in front of the statistics, AUTHN and AUTHZ behind these and in this order, whatever order they come in."""
    changes = [
        patch("HTTP_FILTER", "ADD", lua(name), place=place, filterClass=name.rstrip("123"))
        for place, name in enumerate(["AUTHZ1", "STATS1", "AUTHN1", "AUTHZ2", "AUTHN2", "UNSPECIFIED1"])
    ]
    found = http_filters(patched(outbound(), *changes), 0)
    old = http_filters(outbound(), 0)
    assert found == [
        "STATS1",
        "envoy.filters.http.grpc_web",
        "envoy.filters.http.grpc_stats",
        "AUTHN1",
        "AUTHN2",
        "AUTHZ1",
        "AUTHZ2",
        *old[2:-1],
        "UNSPECIFIED1",
        ROUTER,
    ]


def test_http_filter_what_is_merged_may_have_been_added_by_a_later_patch() -> None:
    """At one level all that changes the list comes before what is merged into its members, as in Istio."""
    merge = patch("HTTP_FILTER", "MERGE", lua("x", "merged"), at_filter(HTTP, "x"))
    add = patch("HTTP_FILTER", "ADD", lua("x", "added"), place=1)
    listener = patched(outbound(), merge, add)
    found = [
        each for each in manager_of(listener.filter_chains[0].filters[0]).http_filters if each.name == "x"
    ]
    assert b"merged" in found[0].typed_config.value
    assert b"added" not in found[0].typed_config.value


def test_http_filter_gateways_and_workloads_have_http_filters() -> None:
    """A gateway's listener and the HTTP chains of an inbound one are patched, TCP chains are not."""
    change = patch("HTTP_FILTER", "ADD", lua("x"))
    assert "x" in http_filters(
        patched(gateway_listener("0.0.0.0", 80, "http.80"), change, facts=Facts(GATEWAY))
    )
    listener = patched(inbound(), change, facts=Facts(INBOUND))
    assert "x" in http_filters(listener, 1)
    assert listener.filter_chains[2] == inbound().filter_chains[2]


def test_http_filter_inline_routes_are_patched() -> None:
    """The routes of an inbound port stand in its listener, and are routes all the same."""
    match = {"context": "SIDECAR_INBOUND", "routeConfiguration": {"portNumber": 9080}}
    change = patch("HTTP_ROUTE", "MERGE", {"route": {"timeout": "3s"}}, match)
    listener = patched(inbound(), change, facts=Facts(INBOUND))
    manager = manager_of(listener.filter_chains[1].filters[0])
    assert manager.route_config.virtual_hosts[0].routes[0].route.timeout.seconds == 3
    elsewhere = {"context": "SIDECAR_INBOUND", "routeConfiguration": {"portNumber": 9081}}
    assert untouched(inbound(), patch("HTTP_ROUTE", "MERGE", {"route": {}}, elsewhere), facts=Facts(INBOUND))
