"""What depends on where proxies are: shared as far as it is equal, and made anew only where it changed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.compile.worlds import API, Sandbox, gateway, proxy, router, service, virtual_service
from xdsd.model.catalog import Endpoint, Resolution
from xdsd.model.intent import DestinationRule, EnvoyFilter, Metadata, Object
from xdsd.model.mesh import Proxy
from xdsd.snapshot import CLUSTER, ENDPOINT, SnapshotChange

NAME = "outbound|9080||a.default.svc.cluster.local"
OUTLIERS = {"outlierDetection": {"consecutive5xxErrors": 1}}


def rule(policy: Mapping[str, Any], host: str = "a") -> Object[Any]:
    spec = DestinationRule.model_validate({"host": host, "trafficPolicy": policy})
    return Object(API, "DestinationRule", Metadata("default", host), spec)


def located(number: int, locality: str, **more: Any) -> Proxy:
    return replace(proxy(f"10.1.1.{number}", name=f"p{number}"), locality=locality, **more)


def at(number: int, locality: str, **more: Any) -> Endpoint:
    return Endpoint(f"10.1.0.{number}", locality=locality, **more)


SPREAD = (at(1, "eu/a"), at(2, "eu/b"), at(3, "us/a"))


def mesh(policy: Mapping[str, Any], *localities: str) -> tuple[Sandbox, list[str]]:
    """A service in three localities under a policy, and a proxy in each of ``localities``."""
    made = Sandbox()
    made.put_service(service("a"), *SPREAD)
    made.put_service(service("b"), at(9, "eu/a"))
    made.put_object(rule(policy))
    nodes = [made.attach(located(number, locality)) for number, locality in enumerate(localities)]
    made.settle()
    return made, nodes


def priorities(made: Sandbox, node: str, name: str = NAME) -> dict[str, int]:
    """The priority of each locality for a proxy."""
    groups = made.message(node, ENDPOINT, name).endpoints
    return {f"{group.locality.region}/{group.locality.zone}": group.priority for group in groups}


def encoded(made: Sandbox, type_url: str = ENDPOINT) -> int:
    count = made.compiler.encoded[type_url]
    made.compiler.encoded.clear()
    return count


def pushed(change: SnapshotChange) -> list[tuple[str, str]]:
    """Which resources changed in which kind of layer."""
    return [
        (str(layer.layer).partition("/")[0], resource.name)
        for layer in change.layers
        for resource in layer.upserts
    ]


def test_each_place_has_its_own_order() -> None:
    """Proxies of different localities are served the same cluster, and endpoints in the order of their place."""
    made, (a, b, us) = mesh(OUTLIERS, "eu/a", "eu/b", "us/a")
    assert priorities(made, a) == {"eu/a": 0, "eu/b": 1, "us/a": 2}
    assert priorities(made, b) == {"eu/b": 0, "eu/a": 1, "us/a": 2}
    assert priorities(made, us) == {"us/a": 0, "eu/a": 1, "eu/b": 1}
    assert made.message(a, CLUSTER, NAME) == made.message(us, CLUSTER, NAME)


def test_an_endpoint_costs_an_encoding_for_each_place_and_none_for_each_proxy() -> None:
    """Five proxies at two places: two assignments are encoded, and nothing else is touched."""
    made, _ = mesh(OUTLIERS, "eu/a", "eu/a", "eu/a", "us/a", "us/a")
    made.compiler.encoded.clear()
    made.put_service(service("a"), *SPREAD, at(4, "eu/a"))
    change = made.settle()
    assert sorted(pushed(change)) == [("near", NAME), ("near", NAME)]
    assert dict(made.compiler.encoded) == {ENDPOINT: 2}


def test_what_no_rule_ranks_is_shared_by_all_places() -> None:
    """A service without preferences, or with endpoints in one locality alone, is encoded once for all."""
    made, _ = mesh({"loadBalancer": {"simple": "RANDOM"}}, "eu/a", "eu/b", "us/a")
    assert encoded(made) == 2
    made.put_object(rule(OUTLIERS, "b"))
    made.settle()
    assert encoded(made) <= 1
    made.put_service(service("b"), at(9, "eu/a"), at(8, "eu/a"))
    made.settle()
    assert encoded(made) == 1


def test_places_that_differ_in_what_nothing_compares_share() -> None:
    """With labels to compare, proxies of other localities and equal labels have one assignment."""
    policy = {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["version"]}}}
    made = Sandbox()
    made.put_service(
        service("a"), at(1, "eu", labels={"version": "v1"}), at(2, "us", labels={"version": "v2"})
    )
    made.put_object(rule(policy))
    first = made.attach(located(1, "eu", labels={"version": "v1", "app": "x"}))
    second = made.attach(located(2, "us", labels={"version": "v1", "app": "y"}))
    third = made.attach(located(3, "us", labels={"version": "v2"}))
    made.settle()
    assert encoded(made) == 2
    assert priorities(made, first) == priorities(made, second) == {"eu/": 0, "us/": 1}
    assert priorities(made, third) == {"us/": 0, "eu/": 1}


def test_network_and_cluster_of_a_proxy_are_compared() -> None:
    """What a node says of itself counts beside its labels."""
    keys = ["topology.istio.io/network", "topology.istio.io/cluster"]
    made = Sandbox()
    endpoints = (
        at(1, "eu", network="n1", labels={"topology.istio.io/cluster": "c1"}),
        at(2, "us", network="n2", labels={"topology.istio.io/cluster": "c1"}),
    )
    made.put_service(service("a"), *endpoints)
    made.put_object(rule({"loadBalancer": {"localityLbSetting": {"failoverPriority": keys}}}))
    node = made.attach(located(1, "", network="n2", cluster="c1"))
    made.settle()
    assert priorities(made, node) == {"us/": 0, "eu/": 1}


def test_endpoints_move_between_layers_without_being_removed() -> None:
    """When a rule begins or ceases to rank, each proxy still has one assignment, and no other cluster is touched."""
    made, (node, other) = mesh({"loadBalancer": {"simple": "RANDOM"}}, "eu/a", "us/a")
    assert priorities(made, node) == {"eu/a": 0, "eu/b": 0, "us/a": 0}
    made.put_object(rule({"loadBalancer": {"localityLbSetting": {}}}))
    change = made.settle()
    assert {name for _, name in pushed(change)} == {NAME}
    assert priorities(made, node) == {"eu/a": 0, "eu/b": 1, "us/a": 2}
    assert priorities(made, other)["us/a"] == 0
    made.drop_object("DestinationRule", "a")
    made.settle()
    assert priorities(made, other) == {"eu/a": 0, "eu/b": 0, "us/a": 0}
    for each in (node, other):
        layers = [made.snapshot.layers[layer] for layer in made.snapshot.assigned[each]]
        assert sum(layer.get(ENDPOINT, NAME) is not None for layer in layers) == 1


def test_a_limit_changes_no_assignment() -> None:
    """An edit of a rule that leaves its preference as it is touches the cluster alone."""
    made, _ = mesh(OUTLIERS, "eu/a", "us/a")
    made.compiler.encoded.clear()
    made.put_object(rule({**OUTLIERS, "connectionPool": {"tcp": {"maxConnections": 1}}}))
    made.settle()
    assert dict(made.compiler.encoded) == {CLUSTER: 1}


def test_names_that_proxies_resolve_are_ranked_by_place() -> None:
    """A DNS service has its endpoints in the cluster, which each place then has for itself."""
    made = Sandbox()
    declared = replace(service("a"), resolution=Resolution.DNS)
    made.put_service(
        declared, Endpoint("eu.example.com", locality="eu"), Endpoint("us.example.com", locality="us")
    )
    made.put_object(rule(OUTLIERS))
    nodes = [made.attach(located(1, "eu")), made.attach(located(2, "us"))]
    made.settle()
    nearest = [
        made.message(node, CLUSTER, NAME).load_assignment.endpoints[0].locality.region for node in nodes
    ]
    assert nearest == ["eu", "us"]
    assert NAME not in made.names(nodes[0], ENDPOINT)


def test_gateways_prefer_what_is_near_too() -> None:
    """A gateway's clusters follow the place of the gateway."""
    made, _ = mesh(OUTLIERS)
    made.put_object(gateway("edge", 8080))
    made.put_object(virtual_service("edge", "*", to="a", gateways=("edge",)))
    near, far = replace(router(), locality="eu/b"), replace(router(), locality="us/a")
    nodes = [made.attach(replace(each, node_id=each.node_id + each.locality)) for each in (near, far)]
    made.settle()
    assert [priorities(made, node)["eu/b"] for node in nodes] == [0, 1]
    assert made.versions(nodes[0]) != made.versions(nodes[1])
    assert made.snapshot.assigned[nodes[0]][0] == made.snapshot.assigned[nodes[1]][0]


def test_a_proxy_that_moves_is_served_for_its_new_place() -> None:
    """The shared layer stays; the layer of the place that nobody is at any more goes."""
    made, (node,) = mesh(OUTLIERS, "eu/a")
    before = made.snapshot.assigned[node]
    made.attach(located(0, "us/a"))
    change = made.settle()
    assert priorities(made, node)["us/a"] == 0
    assert made.snapshot.assigned[node][0] == before[0]
    assert change.dropped == (before[2],)


def test_what_depends_on_places_is_patched_too() -> None:
    """An EnvoyFilter reaches a cluster of DNS names in the layers of places, and adds its own resources once."""
    patches = [
        {
            "applyTo": "CLUSTER",
            "match": {"context": "SIDECAR_OUTBOUND", "cluster": {"portNumber": 9080}},
            "patch": {"operation": "MERGE", "value": {"connect_timeout": "7s"}},
        },
        {
            "applyTo": "CLUSTER",
            "patch": {
                "operation": "ADD",
                "value": {"name": "added", "type": "STATIC", "connect_timeout": "1s"},
            },
        },
    ]
    made = Sandbox()
    names = (Endpoint("eu.example.com", locality="eu"), Endpoint("us.example.com", locality="us"))
    made.put_service(replace(service("a"), resolution=Resolution.DNS), *names)
    made.put_object(rule(OUTLIERS))
    spec = EnvoyFilter.model_validate({"configPatches": patches})
    made.put_object(Object("networking.istio.io/v1alpha3", "EnvoyFilter", Metadata("default", "f"), spec))
    nodes = [made.attach(located(1, "eu")), made.attach(located(2, "us"))]
    made.settle()
    for node in nodes:
        assert made.message(node, CLUSTER, NAME).connect_timeout.seconds == 7
        layers = [made.snapshot.layers[layer] for layer in made.snapshot.assigned[node]]
        assert sum(layer.get(CLUSTER, "added") is not None for layer in layers) == 1


AWARE = {"ENABLE_SELF_DISCOVERY": "true"}


def test_replicas_of_a_region_share_what_they_know_of_their_like() -> None:
    """A proxy that asks is served the endpoints of its own service in its region; one without a service, none."""
    made = Sandbox()
    made.put_service(service("a"), *SPREAD)
    made.put_service(service("b"), at(9, "eu/a"))
    first, second = (replace(proxy(f"10.1.0.{n}", name=f"p{n}"), metadata=AWARE) for n in (1, 2))
    nodes = [
        made.attach(replace(each, locality=locality))
        for each, locality in ((first, "eu/a"), (second, "eu/b"))
    ]
    stranger = made.attach(located(7, "eu/a", metadata=AWARE))
    made.settle()
    for node in nodes:
        groups = made.message(node, ENDPOINT, "local_cluster").endpoints
        assert [group.locality.zone for group in groups] == ["a", "b"]
    assert not made.message(stranger, ENDPOINT, "local_cluster").endpoints
    made.compiler.encoded.clear()
    made.put_service(service("a"), *SPREAD, at(4, "eu/b"))
    assert pushed(made.settle()).count(("replicas", "local_cluster")) == 1


def test_rules_that_balance_zones_are_told_of_proxies_that_do_not_ask() -> None:
    """Once for a namespace, and no longer when its proxies ask or the rule leaves zones alone."""
    zones: dict[str, Any] = {"loadBalancer": {"zoneAwareLbSetting": {}}}
    made, (node,) = mesh(zones, "eu/a")
    (problem,) = made.compiler.problems()
    assert "does not balance zones for some proxies of namespace default" in problem.message
    made.attach(located(0, "eu/a", metadata=AWARE))
    made.settle()
    assert list(made.compiler.problems()) == []
    made.attach(located(0, "eu/a"))
    made.put_object(rule({"loadBalancer": {"zoneAwareLbSetting": {"enabled": False}}}))
    made.settle()
    assert list(made.compiler.problems()) == []
    assert "local_cluster" not in made.names(node, ENDPOINT)


def test_a_service_of_several_regions_is_called_in_the_own_one_first() -> None:
    """Without a rule, by region alone: its zones are alike, and share what is encoded. A rule may say otherwise."""
    made = Sandbox()
    made.put_service(replace(service("a"), regional=True), *SPREAD)
    a, b, us = (made.attach(located(number, place)) for number, place in enumerate(("eu/a", "eu/b", "us/a")))
    nowhere = made.attach(located(9, ""))
    made.settle()
    assert encoded(made) == 3
    assert priorities(made, a) == priorities(made, b) == {"eu/a": 0, "eu/b": 0, "us/a": 1}
    assert priorities(made, us) == {"us/a": 0, "eu/a": 1, "eu/b": 1}
    assert set(priorities(made, nowhere).values()) == {0}
    made.put_object(rule({"loadBalancer": {"localityLbSetting": {"enabled": False}}}))
    made.settle()
    assert set(priorities(made, us).values()) == {0}
    made.put_object(rule(OUTLIERS))
    made.settle()
    assert priorities(made, b) == {"eu/b": 0, "eu/a": 1, "us/a": 2}


def test_a_proxy_that_does_not_say_where_it_is_is_where_its_endpoints_are() -> None:
    """By the word of its platform; its own holds where it says something, and what moves with it is its own order alone."""
    made, (silent, other) = mesh(OUTLIERS, "", "us/a")
    assert set(priorities(made, silent).values()) == {0}
    made.put_service(service("c"), Endpoint("10.1.1.0", locality="eu/b"))
    made.settle()
    assert priorities(made, silent) == {"eu/b": 0, "eu/a": 1, "us/a": 2}
    assert priorities(made, other)["us/a"] == 0
    made.put_service(service("d"), Endpoint("10.1.1.1", locality="eu/b"))
    made.settle()
    assert priorities(made, other)["us/a"] == 0
