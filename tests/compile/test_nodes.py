"""What depends on the node that a proxy is on: made for a node and not for a proxy, and of a few services alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.compile.worlds import API, Sandbox, gateway, proxy, router, service, virtual_service
from xdsd.model.catalog import Endpoint, NodeAt, Resolution, Service, Spread
from xdsd.model.intent import DestinationRule, EnvoyFilter, Metadata, Object
from xdsd.model.mesh import Proxy
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SnapshotChange

NAME = "outbound|9080||a.default.svc.cluster.local"
OTHER = "outbound|9080||b.default.svc.cluster.local"
SHARED = (CLUSTER, ROUTE, LISTENER)


def on(number: int, node: str, locality: str = "", **more: Any) -> Endpoint:
    return Endpoint(f"10.1.0.{number}", locality=locality, node=node, **more)


def spread(how: Spread) -> Service:
    return replace(service("a"), spread=how)


TWO = (on(1, "n1"), on(2, "n2"))


class Mesh(Sandbox):
    """A service, another beside it, and proxies that run on nodes."""

    def __init__(self, how: Spread, *endpoints: Endpoint) -> None:
        super().__init__()
        self.put_service(spread(how), *endpoints)
        self.put_service(service("b"), on(9, "n1"))

    def run(self, number: int, node: str = "", **more: Any) -> str:
        """A proxy, and the workload that its platform reports at its address; none without a node."""
        made = replace(proxy(f"10.1.1.{number}", name=f"p{number}"), **more)
        self.place(number, node)
        return self.attach(made)

    def place(self, number: int, *nodes: str) -> None:
        found = tuple(NodeAt("", node) for node in nodes if node)
        self.compiler.world.put_nodes_at(f"10.1.1.{number}", found)

    def told(self, node_id: str, name: str = NAME) -> list[tuple[int, str]]:
        """The endpoints that a proxy has, each with its priority."""
        groups = self.message(node_id, ENDPOINT, name).endpoints
        return [
            (group.priority, item.endpoint.address.socket_address.address.rpartition(".")[2])
            for group in groups
            for item in group.lb_endpoints
        ]

    def made(self) -> dict[str, int]:
        """How much was encoded of which type since it was last asked."""
        found = {name.rpartition(".")[2]: count for name, count in self.compiler.encoded.items()}
        self.compiler.encoded.clear()
        return found

    def layers(self, node_id: str) -> list[str]:
        """The layers that a proxy has for its node."""
        return [each for each in self.snapshot.assigned[node_id] if each.startswith("near/node/")]


def pushed(change: SnapshotChange) -> set[str]:
    return {resource.name for layer in change.layers for resource in layer.upserts}


def rule(policy: Mapping[str, Any]) -> Object[Any]:
    spec = DestinationRule.model_validate({"host": "a", "trafficPolicy": policy})
    return Object(API, "DestinationRule", Metadata("default", "a"), spec)


def test_a_proxy_has_only_what_is_on_its_own_node() -> None:
    """None where nothing is; who is on no known node has all, and so has everybody of other services."""
    mesh = Mesh(Spread.OWN_NODE, *TWO, on(3, ""))
    one, two, none, unknown = mesh.run(1, "n1"), mesh.run(2, "n2"), mesh.run(3, "n3"), mesh.run(4)
    mesh.settle()
    assert mesh.told(one) == [(0, "1")]
    assert mesh.told(two) == [(0, "2")]
    assert mesh.told(none) == []
    assert mesh.told(unknown) == [(0, "1"), (0, "2"), (0, "3")]
    assert {tuple(mesh.told(each, OTHER)) for each in (one, two, none, unknown)} == {((0, "9"),)}


def test_only_endpoints_differ_and_proxies_of_a_node_share_them() -> None:
    """All else is of the layer that the view shares; there is one assignment for each node, whatever number of proxies."""
    mesh = Mesh(Spread.OWN_NODE, *TWO)
    nodes = [mesh.run(number, f"n{number % 2 + 1}") for number in range(6)]
    mesh.settle()
    assert mesh.made()["ClusterLoadAssignment"] == 3
    assert len({mesh.snapshot.assigned[each] for each in nodes}) == 2
    (layer,) = mesh.layers(nodes[0])
    assert layer.endswith("/node=n1")
    for type_url in SHARED:
        assert not mesh.snapshot.layers[mesh.snapshot.assigned[nodes[0]][-2]].resources(type_url)


def test_what_changes_on_a_node_is_made_for_that_node() -> None:
    """And for those of whom no node is known; not for other nodes, nor of other services."""
    mesh = Mesh(Spread.OWN_NODE, *TWO)
    one, two = mesh.run(1, "n1"), mesh.run(2, "n2")
    mesh.settle()
    mesh.made()
    mesh.put_service(spread(Spread.OWN_NODE), *TWO, on(3, "n2"))
    change = mesh.settle()
    assert mesh.made() == {"ClusterLoadAssignment": 1}
    assert [str(each.layer).rpartition("=")[2] for each in change.layers] == ["n2"]
    assert (mesh.told(one), mesh.told(two)) == ([(0, "1")], [(0, "2"), (0, "3")])


def test_who_moves_to_another_node_has_what_is_there() -> None:
    """A proxy's node may be known later than the proxy, and become another; nothing else of it changes."""
    mesh = Mesh(Spread.OWN_NODE, *TWO)
    moving, staying = mesh.run(1), mesh.run(2, "n2")
    mesh.settle()
    assert mesh.told(moving) == [(0, "1"), (0, "2")]
    for node, expected in (("n1", [(0, "1")]), ("n2", [(0, "2")]), ("n9", [])):
        mesh.made()
        mesh.place(1, node)
        change = mesh.settle()
        assert mesh.told(moving) == expected
        assert list(change.assigned) == [moving]
        assert mesh.made().keys() <= {"ClusterLoadAssignment"}
    assert mesh.told(staying) == [(0, "2")]


def test_a_policy_that_is_flipped_concerns_its_service_alone() -> None:
    """Of all that proxies are served, its endpoints alone differ; without such a service nobody has such a layer."""
    mesh = Mesh(Spread.ALL, *TWO)
    one, unknown = mesh.run(1, "n1"), mesh.run(2)
    mesh.settle()
    before = {each: mesh.versions(each) for each in (one, unknown)}
    assert mesh.layers(one) == []
    mesh.put_service(spread(Spread.OWN_NODE), *TWO)
    assert pushed(mesh.settle()) == {NAME}
    assert mesh.versions(unknown) == before[unknown]
    now = mesh.versions(one)
    assert now.keys() == before[one].keys()
    assert {key for key, version in now.items() if version != before[one][key]} == {(ENDPOINT, NAME)}
    mesh.put_service(spread(Spread.ALL), *TWO)
    mesh.settle()
    assert {each: mesh.versions(each) for each in (one, unknown)} == before
    assert mesh.layers(one) == []


def test_a_preferred_node_comes_before_its_zone() -> None:
    """Then as localities are near; a node with none of them shares with its locality."""
    endpoints = (on(1, "n1", "eu/a"), on(2, "n2", "eu/a"), on(3, "n3", "eu/b"), on(4, "n4", "us/a"))
    mesh = Mesh(Spread.SAME_NODE, *endpoints)
    one = mesh.run(1, "n1", locality="eu/a")
    without = [mesh.run(number, f"n{number}", locality="eu/a") for number in (6, 7)]
    mesh.settle()
    assert mesh.told(one) == [(0, "1"), (1, "2"), (2, "3"), (3, "4")]
    assert mesh.told(without[0]) == mesh.told(without[1]) == [(0, "1"), (0, "2"), (1, "3"), (2, "4")]
    assert mesh.made()["ClusterLoadAssignment"] == 3


def test_a_preferred_zone_needs_no_node() -> None:
    """Those in the zone come first, whatever their sub-zone, then those in the region; proxies of a zone share."""
    mesh = Mesh(
        Spread.SAME_ZONE, on(1, "n1", "eu/a/1"), on(2, "n2", "eu/a/2"), on(3, "", "eu/b"), on(4, "", "us/a")
    )
    nodes = [mesh.run(number, f"n{number}", locality=f"eu/a/{number}") for number in (1, 2)]
    mesh.settle()
    expected = [(0, "1"), (0, "2"), (1, "3"), (2, "4")]
    assert [mesh.told(each) for each in nodes] == [expected, expected]
    assert mesh.made()["ClusterLoadAssignment"] == 2
    assert mesh.layers(nodes[0]) == []


@pytest.mark.parametrize("how", [Spread.SAME_ZONE, Spread.SAME_NODE])
def test_rules_that_speak_of_places_decide(how: Spread) -> None:
    """A DestinationRule's word holds, also that nothing is preferred; one that speaks of other things leaves it."""
    mesh = Mesh(how, on(1, "n2", "eu/a"), on(2, "n1", "us/a"))
    node = mesh.run(1, "n1", locality="us/a")
    mesh.put_object(rule({"connectionPool": {"tcp": {"maxConnections": 9}}}))
    mesh.settle()
    assert sorted(mesh.told(node)) == [(0, "2"), (1, "1")]
    mesh.put_object(rule({"loadBalancer": {"localityLbSetting": {"enabled": False}}}))
    mesh.settle()
    assert sorted(mesh.told(node)) == [(0, "1"), (0, "2")]
    failover = {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["version=v1"]}}}
    mesh.put_object(rule(failover))
    mesh.put_service(spread(how), on(1, "n2", "eu/a", labels={"version": "v1"}), on(2, "n1", "us/a"))
    mesh.settle()
    assert sorted(mesh.told(node)) == [(0, "1"), (1, "2")]


def test_rules_do_not_widen_what_keeps_to_its_node() -> None:
    """Subsets and preferences are of what is on it."""
    mesh = Mesh(Spread.OWN_NODE, on(1, "n1", "eu/a"), on(2, "n2", "eu/a"), on(3, "n1", "eu/b"))
    node = mesh.run(1, "n1", locality="eu/a")
    mesh.put_object(rule({"loadBalancer": {"localityLbSetting": {"enabled": True}}}))
    mesh.settle()
    assert mesh.told(node) == [(0, "1"), (1, "3")]


def test_who_has_no_workload_says_itself_where_it_is() -> None:
    """Which narrows what it has; where its platform reports it, that is what counts, and it is not widened by a claim."""
    mesh = Mesh(Spread.OWN_NODE, on(1, "east/n1"), on(2, "east/n2"))
    said = {"NODE_NAME": "n1"}
    alone = mesh.run(1, metadata=said, cluster="east")
    elsewhere = mesh.run(2, metadata=said, cluster="west")
    reported = mesh.run(3, "east/n2", metadata=said, cluster="east")
    mesh.settle()
    assert mesh.told(alone) == [(0, "1")]
    assert mesh.told(elsewhere) == []
    assert mesh.told(reported) == [(0, "2")]


def test_networks_tell_equal_addresses_apart() -> None:
    """Where workloads of one address are on different nodes, that of the proxy's network counts; else none is known."""
    mesh = Mesh(Spread.OWN_NODE, *TWO)
    west, nowhere = mesh.run(1, network="west"), mesh.run(2)
    both = (NodeAt("east", "n1"), NodeAt("west", "n2"))
    for number in (1, 2):
        mesh.compiler.world.put_nodes_at(f"10.1.1.{number}", both)
    mesh.settle()
    assert mesh.told(west) == [(0, "2")]
    assert mesh.told(nowhere) == [(0, "1"), (0, "2")]


def test_nodes_that_nobody_asks_for_are_no_inputs() -> None:
    """Of fifty thousand workloads those matter that have a proxy."""
    mesh = Mesh(Spread.OWN_NODE, *TWO)
    node = mesh.run(1, "n1")
    mesh.place(2, "n2")
    graph = mesh.compiler.graph
    assert graph.peek(("nodes-at", "10.1.1.1")) == (NodeAt("", "n1"),)
    assert graph.peek(("nodes-at", "10.1.1.2")) is None
    mesh.attach(replace(proxy("10.1.1.2", name="p1"), node_id=node))
    assert graph.peek(("nodes-at", "10.1.1.1")) is None
    assert graph.peek(("nodes-at", "10.1.1.2")) == (NodeAt("", "n2"),)
    mesh.compiler.detach(node)
    assert graph.peek(("nodes-at", "10.1.1.2")) is None


def test_services_that_dns_finds_have_no_nodes() -> None:
    """Their endpoints are no business of nodes."""
    mesh = Mesh(Spread.ALL, *TWO)
    mesh.put_service(replace(spread(Spread.OWN_NODE), resolution=Resolution.DNS), Endpoint("a.example.com"))
    node = mesh.run(1, "n1")
    mesh.settle()
    assert mesh.message(node, CLUSTER, NAME).load_assignment.endpoints
    assert NAME not in mesh.names(node, ENDPOINT)


def test_a_gateway_has_what_is_on_its_node() -> None:
    """It is a caller like any other, also where an EnvoyFilter changes its clusters."""
    mesh = Mesh(Spread.OWN_NODE, *TWO)
    mesh.put_object(gateway("edge", 8080))
    mesh.put_object(virtual_service("a", "a.example.com", to="a", gateways=("edge",)))
    filters = {
        "configPatches": [
            {"applyTo": "CLUSTER", "patch": {"operation": "MERGE", "value": {"connect_timeout": "3s"}}}
        ]
    }
    edge: Proxy = router()
    mesh.compiler.world.put_nodes_at(edge.address, (NodeAt("", "n2"),))
    node = mesh.attach(edge)
    mesh.settle()
    assert mesh.told(node) == [(0, "2")]
    spec = EnvoyFilter.model_validate(filters)
    mesh.put_object(Object("networking.istio.io/v1alpha3", "EnvoyFilter", Metadata("default", "f"), spec))
    mesh.settle()
    assert mesh.told(node) == [(0, "2")]
    assert mesh.message(node, CLUSTER, NAME).connect_timeout.seconds == 3


def test_very_many_endpoints_are_narrowed_alike() -> None:
    """Those that are divided into pieces for everybody else."""
    many = [Endpoint(f"10.{n // 250}.{n % 250}.1", node=f"n{n % 1000}") for n in range(5000)]
    mesh = Mesh(Spread.OWN_NODE, *many)
    one, unknown = mesh.run(1, "n7"), mesh.run(2)
    mesh.settle()
    assert len(mesh.told(one)) == 5
    assert len(mesh.told(unknown)) == 5000
