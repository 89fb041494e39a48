"""Listeners that several services share: whose connections are whose, and what a change costs."""

from typing import Any

from tests.compile.worlds import API, Sandbox, proxy
from xdsd.model.catalog import Endpoint, Port, Protocol, Service
from xdsd.model.intent import Metadata, Object, VirtualService
from xdsd.snapshot import LISTENER


def tls_service(host: str, *, created: str = "", port: int = 443) -> Service:
    return Service("default", host, (Port(port, "tls", Protocol.TLS, port),), created=created)


def rules(name: str, *hosts: str, **sections: Any) -> Object[Any]:
    spec = VirtualService.model_validate({"hosts": list(hosts), **sections})
    return Object(API, "VirtualService", Metadata("default", name), spec)


def to(host: str, *names: str, **match: Any) -> dict[str, Any]:
    return {"match": [{"sniHosts": list(names), **match}], "route": [{"destination": {"host": host}}]}


def mesh_of(*hosts: str) -> tuple[Sandbox, str]:
    mesh = Sandbox()
    for index, host in enumerate(hosts):
        mesh.put_service(tls_service(host, created=str(index)), Endpoint("10.0.0.1"))
    return mesh, mesh.attach(proxy())


def led(mesh: Sandbox, node: str) -> dict[tuple[str, tuple[str, ...]], str]:
    """Server names with the ranges for which they are meant, and where that leads: the host of the cluster."""
    mesh.settle()
    found: dict[tuple[str, tuple[str, ...]], str] = {}
    for chain in mesh.message(node, LISTENER, "0.0.0.0_443").filter_chains:
        match = chain.filter_chain_match
        ranges = tuple(each.address_prefix for each in match.prefix_ranges)
        cluster = chain.filters[0].typed_config.value.decode(errors="replace").partition("outbound|443||")[2]
        for name in match.server_names:
            assert (name, ranges) not in found
            found[name, ranges] = cluster.partition(".")[0]
    return found


def problems(mesh: Sandbox) -> list[tuple[str, str, str]]:
    return [(str(each.object), each.path, each.reason) for each in mesh.compiler.problems()]


def test_a_partial_wildcard_is_no_server_name() -> None:
    """Envoy would refuse the whole listener; the service is told, and all others are served."""
    mesh, node = mesh_of("*-x.a.com", "b.com")
    assert led(mesh, node) == {("b.com", ()): "b"}
    assert problems(mesh) == [("Service default/*-x.a.com", "", "NotSupported")]


def test_an_object_of_several_hosts_is_heard_once() -> None:
    """Its rules stand in the listener that its services share, and nobody is told to be in the other's way."""
    mesh, node = mesh_of("a.com", "b.com", "c.com")
    mesh.put_object(rules("both", "a.com", "b.com", tls=[to("c.com", "a.com"), to("a.com", "b.com")]))
    assert led(mesh, node) == {("a.com", ()): "c", ("b.com", ()): "a", ("c.com", ()): "c"}
    assert problems(mesh) == []


def test_a_name_is_first_of_all_its_own_services() -> None:
    """Rules of a wildcard that name a host take it only where no rules of its own do."""
    mesh, node = mesh_of("x.a.com", "y.a.com", "c.com")
    mesh.put_object(rules("wild", "*.a.com", tls=[to("c.com", "x.a.com", "y.a.com")]))
    assert led(mesh, node) == {("x.a.com", ()): "c", ("y.a.com", ()): "c", ("c.com", ()): "c"}
    mesh.put_object(rules("own", "y.a.com", tls=[to("x.a.com", "y.a.com")]))
    assert led(mesh, node) == {("x.a.com", ()): "c", ("y.a.com", ()): "x", ("c.com", ()): "c"}


def test_a_rules_addresses_hide_no_other_service() -> None:
    """Envoy looks no further once it found a range, so everything else is there within it too."""
    mesh, node = mesh_of("a.com", "b.com")
    mesh.put_object(rules("a", "a.com", tls=[to("b.com", "a.com", destinationSubnets=["10.0.0.0/8"])]))
    assert led(mesh, node) == {
        ("a.com", ("10.0.0.0",)): "b",
        ("a.com", ()): "a",
        ("b.com", ()): "b",
        ("b.com", ("10.0.0.0",)): "b",
    }


def test_a_rule_that_changes_costs_one_listener() -> None:
    """Of 50 services on as many ports, one listener is made anew; who is not meant is not looked at."""
    mesh = Sandbox()
    for index in range(50):
        mesh.put_service(tls_service(f"s{index}.com", port=1000 + index), Endpoint("10.0.0.1"))
    node = mesh.attach(proxy())
    mesh.put_object(rules("v", "s7.com", tls=[to("s1.com", "s7.com")]))
    mesh.settle()
    mesh.compiler.encoded.clear()
    computed = mesh.compiler.graph.computed
    mesh.put_object(rules("v", "s7.com", tls=[to("s2.com", "s7.com")]))
    (layer,) = mesh.settle().layers
    assert [(each.type_url, each.name) for each in layer.upserts] == [(LISTENER, "0.0.0.0_1007")]
    assert dict(mesh.compiler.encoded) == {LISTENER: 1}
    assert mesh.compiler.graph.computed - computed < 20
    assert "s2.com" in str(mesh.message(node, LISTENER, "0.0.0.0_1007"))


def test_one_object_may_route_requests_and_another_connections() -> None:
    """Of a host with two objects, each is asked for the rules that it has."""
    mesh, node = mesh_of("a.com", "b.com")
    mesh.put_object(rules("http", "a.com", http=[{"route": [{"destination": {"host": "b.com"}}]}]))
    mesh.put_object(rules("tls", "a.com", tls=[to("b.com", "a.com")]))
    assert led(mesh, node) == {("a.com", ()): "b", ("b.com", ()): "b"}
