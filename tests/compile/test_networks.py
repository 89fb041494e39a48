"""Networks that are reached through gateways: what proxies of each are told, and what the gateways lead where."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.compile.test_mesh_config import mesh_config
from tests.compile.worlds import API, Sandbox, gateway, proxy, router, service, virtual_service
from xdsd.compile.networks import Networks
from xdsd.model.catalog import Endpoint, Health, Protocol, Resolution
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import DestinationRule, Gateway, HealthCheck, Metadata, Object
from xdsd.model.mesh import Proxy
from xdsd.model.problem import Reason, Severity
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER

NAME = "outbound|9080||a.default.svc.cluster.local"
SNI = "outbound_.9080_._.a.default.svc.cluster.local"
MUTUAL = {"security.istio.io/tlsMode": "istio"}
GATEWAYS = {"networks": {"east": {"gateways": [{"address": "192.0.2.7", "port": 15443}]}}}
ID = SpiffeID("cluster.local", "default", "default")


def on(network: str, number: int, **more: Any) -> Endpoint:
    labels = {**MUTUAL, **more.pop("labels", {})}
    return Endpoint(f"10.{1 if network == 'west' else 2}.0.{number}", labels=labels, network=network, **more)


def sidecar(network: str, *, proven: bool = True) -> Proxy:
    made = proxy(f"10.9.0.{len(network)}", name=network or "nowhere")
    return replace(made, network=network, identity=ID if proven else None)


def rule(spec: Mapping[str, Any]) -> Object[Any]:
    model = DestinationRule.model_validate({"host": "a", **spec})
    return Object(API, "DestinationRule", Metadata("default", "a"), model)


def passing_gateway() -> Object[Any]:
    server = {"port": {"number": 15443, "name": "tls", "protocol": "TLS"}, "hosts": ["*.local"]}
    spec = {
        "selector": {"istio": "ingressgateway"},
        "servers": [{**server, "tls": {"mode": "AUTO_PASSTHROUGH"}}],
    }
    return Object(API, "Gateway", Metadata("default", "cross"), Gateway.model_validate(spec))


def mesh(*endpoints: Endpoint, networks: Mapping[str, Any] | None = None) -> Sandbox:
    made = Sandbox()
    made.put_service(service("a"), *endpoints)
    made.put_object(mesh_config(dict(networks or GATEWAYS)))
    return made


def seen(made: Sandbox, node: str, name: str = NAME) -> list[tuple[str, int, int, bool]]:
    """Address, port, weight and whether by mutual TLS, of each endpoint that a proxy is told."""
    return sorted(
        (
            item.endpoint.address.socket_address.address,
            item.endpoint.address.socket_address.port_value,
            item.load_balancing_weight.value or 1,
            "envoy.transport_socket_match" in item.metadata.filter_metadata,
        )
        for group in made.message(node, ENDPOINT, name).endpoints
        for item in group.lb_endpoints
    )


def warnings(made: Sandbox) -> list[str]:
    return [each.message for each in made.compiler.problems() if each.severity is Severity.WARNING]


def test_another_network_is_reached_through_its_gateway() -> None:
    """A gateway stands for as many endpoints as are behind it; who is on its network, or on none, calls them as they are."""
    made = mesh(on("west", 1), on("east", 2), on("east", 3, weight=2))
    west, east, nowhere = (made.attach(sidecar(each)) for each in ("west", "east", ""))
    made.settle()
    assert seen(made, west) == [("10.1.0.1", 9080, 1, True), ("192.0.2.7", 15443, 3, True)]
    assert seen(made, east) == [
        ("10.1.0.1", 9080, 1, True),  # west has no gateway
        ("10.2.0.2", 9080, 1, True),
        ("10.2.0.3", 9080, 2, True),
    ]
    assert seen(made, nowhere) == seen(made, east)
    assert made.message(west, CLUSTER, NAME) == made.message(east, CLUSTER, NAME)
    assert warnings(made) == []


def test_gateways_of_a_network_share_what_is_behind_it() -> None:
    """Two of them have half each, and weights near by are scaled so that shares stay as they are."""
    two = [{"address": address, "port": 15443} for address in ("192.0.2.7", "192.0.2.8")]
    made = mesh(on("west", 1), on("east", 2), networks={"networks": {"east": {"gateways": two}}})
    west = made.attach(sidecar("west"))
    made.settle()
    assert [row[2] for row in seen(made, west)] == [2, 1, 1]


def test_a_gateway_may_be_a_service() -> None:
    """Its addresses are those of the service's endpoints, now and as they change; without any nobody is let in."""
    named = {"registryServiceName": "cross.example.com", "port": 15443}
    made = mesh(on("west", 1), on("east", 2), networks={"networks": {"east": {"gateways": [named]}}})
    west = made.attach(sidecar("west"))
    made.settle()
    (problem,) = [each for each in made.compiler.problems() if each.reason is Reason.BROKEN_REFERENCE]
    assert problem.path == "spec.networks[east].gateways[0].registryServiceName"
    assert [row[0] for row in seen(made, west)] == ["10.1.0.1", "10.2.0.2"]
    gateway = replace(service("cross", port=15443, protocol=Protocol.TLS), hostname="cross.example.com")
    made.put_service(gateway, Endpoint("192.0.2.9", {"tls": 31000}))
    made.settle()
    assert seen(made, west) == [("10.1.0.1", 9080, 1, True), ("192.0.2.9", 31000, 1, True)]


def test_endpoints_without_mutual_tls_stay_behind_their_gateway() -> None:
    """They are left out with a warning, and so is everything there for proxies that have no certificate."""
    plain = replace(on("east", 3), labels={})
    made = mesh(on("west", 1), on("east", 2), plain)
    west = made.attach(sidecar("west"))
    made.settle()
    assert seen(made, west) == [("10.1.0.1", 9080, 1, True), ("192.0.2.7", 15443, 1, True)]
    (told,) = warnings(made)
    assert told.startswith("1 endpoint on network east cannot be called from network west")
    unproven = mesh(on("west", 1), on("east", 2))
    stranger = unproven.attach(sidecar("west", proven=False))
    unproven.settle()
    assert [row[0] for row in seen(unproven, stranger)] == ["10.1.0.1"]
    assert "they proved no identity" in warnings(unproven)[0]


def test_who_is_told_not_to_speak_mutual_tls_does_not_cross() -> None:
    """A DestinationRule that disables it keeps endpoints of other networks out."""
    made = mesh(on("west", 1), on("east", 2))
    made.put_object(rule({"trafficPolicy": {"tls": {"mode": "DISABLE"}}}))
    west = made.attach(sidecar("west"))
    made.settle()
    assert [row[0] for row in seen(made, west)] == ["10.1.0.1"]
    assert "or clients are told not to speak it" in warnings(made)[0]


def test_a_namesake_on_another_network_is_not_the_proxys_own() -> None:
    """Networks may have equal addresses: a proxy serves what is at its address on its own network."""
    near, far = on("west", 1), replace(on("west", 1), network="east")
    made = Sandbox()
    made.put_service(service("a"), near)
    made.put_service(service("b", port=9090), far)
    west, nowhere = (
        made.attach(replace(sidecar(each), address=near.address, name=f"w{each}")) for each in ("west", "")
    )
    made.settle()
    assert {name for name in made.names(west, CLUSTER) if name.startswith("inbound|")} == {"inbound|9080||"}
    assert {name for name in made.names(nowhere, CLUSTER) if name.startswith("inbound|")} == {
        "inbound|9080||",
        "inbound|9090||",
    }


def test_ill_endpoints_count_where_there_are_no_others() -> None:
    """A gateway before ill endpoints alone is ill itself, so that it is left to the last."""
    ill = replace(on("east", 3), health=Health.UNHEALTHY)
    made = mesh(on("west", 1), on("east", 2), ill)
    west = made.attach(sidecar("west"))
    made.settle()
    assert [row[2] for row in seen(made, west)] == [1, 1]
    made.put_service(service("a"), on("west", 1), ill)
    made.settle()
    groups = made.message(west, ENDPOINT, NAME).endpoints
    health = {
        i.endpoint.address.socket_address.address: i.health_status for g in groups for i in g.lb_endpoints
    }
    assert health["192.0.2.7"] != health["10.1.0.1"]


def test_gateways_are_asked_where_they_listen() -> None:
    """A port of its own for health checks is that of programs: behind the gateway's port there is nothing else."""
    spec = HealthCheck.model_validate(
        {"host": "a", "port": {"number": 9080}, "tcp": {}, "endpointPort": 9999}
    )
    made = mesh(on("west", 1), on("east", 2))
    made.put_object(Object("policy.xdsd.io/v1", "HealthCheck", Metadata("default", "a"), spec))
    west = made.attach(sidecar("west"))
    made.settle()
    asked = {
        item.endpoint.address.socket_address.address: item.endpoint.health_check_config.port_value
        for group in made.message(west, ENDPOINT, NAME).endpoints
        for item in group.lb_endpoints
    }
    assert asked == {"10.1.0.1": 9999, "192.0.2.7": 0}


def test_subsets_count_their_own_endpoints() -> None:
    """The gateway has the weight of the endpoints of the subset."""
    v1, v2 = {"version": "v1"}, {"version": "v2"}
    made = mesh(on("west", 1, labels=v1), on("east", 2, labels=v1), on("east", 3, labels=v2))
    made.put_object(rule({"subsets": [{"name": "v1", "labels": v1}, {"name": "v2", "labels": v2}]}))
    west = made.attach(sidecar("west"))
    made.settle()
    assert seen(made, west, NAME.replace("||", "|v1|")) == [
        ("10.1.0.1", 9080, 1, True),
        ("192.0.2.7", 15443, 1, True),
    ]
    assert seen(made, west, NAME.replace("||", "|v2|")) == [("192.0.2.7", 15443, 1, True)]


def test_a_range_of_addresses_is_of_a_network() -> None:
    """Endpoints that do not say are of the narrowest range that they are in, and else of nobody's."""
    wide, narrow = {"fromCidr": "10.0.0.0/8"}, {"fromCidr": "10.2.0.0/16"}
    gateways = GATEWAYS["networks"]["east"]["gateways"]
    made = mesh(
        Endpoint("10.2.0.9", labels=MUTUAL),
        Endpoint("10.3.0.9", labels=MUTUAL),
        Endpoint("192.168.0.9", labels=MUTUAL),
        networks={
            "networks": {
                "east": {"endpoints": [narrow], "gateways": gateways},
                "west": {"endpoints": [wide], "gateways": [{"address": "192.0.2.1", "port": 15443}]},
            }
        },
    )
    west = made.attach(sidecar("west"))
    made.settle()
    assert [row[0] for row in seen(made, west)] == ["10.3.0.9", "192.0.2.7", "192.168.0.9"]


def test_an_endpoint_of_a_network_costs_an_encoding_for_each_network() -> None:
    """Other services are not touched, whatever the number of proxies; without networks there is one layer for all."""
    made = mesh(on("west", 1), on("east", 2))
    made.put_service(service("b"), on("", 9))
    for number in range(3):
        made.attach(replace(sidecar("west"), node_id=f"sidecar~10.9.1.{number}~a.default~x"))
    made.attach(sidecar("east"))
    made.settle()
    made.compiler.encoded.clear()
    made.put_service(service("a"), on("west", 1), on("east", 2), on("east", 3))
    change = made.settle()
    assert [each.name for layer in change.layers for each in layer.upserts] == [NAME, NAME]
    assert made.compiler.encoded == {ENDPOINT: 2}


def test_networks_come_and_go_with_the_mesh_config() -> None:
    """Endpoints are called as they are before there are gateways and after."""
    made = mesh(on("west", 1), on("east", 2), networks={"accessLogFile": ""})
    west = made.attach(sidecar("west"))
    made.settle()
    direct = [("10.1.0.1", 9080, 1, True), ("10.2.0.2", 9080, 1, True)]
    assert seen(made, west) == direct
    made.put_object(mesh_config(GATEWAYS))
    made.settle()
    assert [row[0] for row in seen(made, west)] == ["10.1.0.1", "192.0.2.7"]
    made.put_object(mesh_config({"accessLogFile": ""}))
    made.settle()
    assert seen(made, west) == direct


def test_gateways_of_another_network_call_through_it_too() -> None:
    """What comes in at an edge on the one network is carried to endpoints on the other."""
    made = mesh(on("west", 1), on("east", 2))
    made.put_object(gateway("shop", 8080))
    made.put_object(virtual_service("shop", "shop.example.com", to="a", gateways=("shop",)))
    edge = made.attach(replace(router(), network="west", identity=ID))
    made.settle()
    assert seen(made, edge) == [("10.1.0.1", 9080, 1, True), ("192.0.2.7", 15443, 1, True)]


def passed(made: Sandbox, node: str) -> dict[str, str]:
    """The cluster to which each server name leads."""
    listener = made.message(node, LISTENER, "0.0.0.0_15443")
    return {
        name: chain.name for chain in listener.filter_chains for name in chain.filter_chain_match.server_names
    }


def test_a_gateway_leads_server_names_to_services() -> None:
    """Each port and subset of services that its hosts cover has a chain and a cluster; what is behind it ends the TLS."""
    made = mesh(on("west", 1), on("east", 2, labels={"version": "v1"}), replace(on("east", 3), labels={}))
    made.put_service(replace(service("ext"), hostname="ext.example.com"), on("east", 9))
    made.put_object(rule({"subsets": [{"name": "v1", "labels": {"version": "v1"}}]}))
    made.put_object(passing_gateway())
    edge = made.attach(replace(router(), network="east", identity=ID))
    made.settle()
    subset = SNI.replace("_._.", "_.v1_.")
    assert passed(made, edge) == {SNI: SNI, subset: subset}
    assert seen(made, edge, SNI) == [("10.2.0.2", 9080, 1, False)]
    cluster = made.message(edge, CLUSTER, SNI)
    assert not cluster.HasField("transport_socket")
    assert not cluster.transport_socket_matches
    assert made.names(edge, CLUSTER) >= {SNI, subset}
    assert warnings(made) == []


def test_names_follow_services() -> None:
    """A service that comes opens a way, and one that goes closes it."""
    made = mesh(on("east", 1))
    made.put_object(passing_gateway())
    edge = made.attach(replace(router(), network="east", identity=ID))
    made.settle()
    made.put_service(service("b"), on("east", 2))
    made.settle()
    assert set(passed(made, edge)) == {SNI, SNI.replace(".a.", ".b.")}
    made.drop_service("a")
    made.settle()
    assert set(passed(made, edge)) == {SNI.replace(".a.", ".b.")}
    assert SNI not in made.names(edge, CLUSTER)


def test_services_that_are_looked_up_are_called_where_they_are() -> None:
    """Names are for whoever looks them up; only listed endpoints are told apart by network."""
    made = Sandbox()
    made.put_service(
        replace(service("a"), resolution=Resolution.DNS), Endpoint("a.example.com", network="east")
    )
    made.put_object(mesh_config(GATEWAYS))
    west = made.attach(sidecar("west"))
    made.settle()
    (group,) = made.message(west, CLUSTER, NAME).load_assignment.endpoints
    assert group.lb_endpoints[0].endpoint.address.socket_address.address == "a.example.com"


@pytest.mark.parametrize("network", ["", "west"])
def test_a_network_is_apart_only_where_both_are_known(network: str) -> None:
    """Whoever does not say of which network it is calls, and is called, as if it were of the same."""
    known = Networks((("east", (("192.0.2.7", 15443),)),))
    assert known.is_apart(on("east", 1), network) == bool(network)
    assert not known.is_apart(Endpoint("10.0.0.1"), network)
