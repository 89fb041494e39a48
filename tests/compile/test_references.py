"""What objects name in vain, as their owners hear of it."""

from typing import Any

import pytest

from tests.compile.worlds import (
    API,
    Sandbox,
    destination_rule,
    gateway,
    service,
    sidecar,
    virtual_service,
)
from xdsd.model.catalog import Endpoint, Port, Protocol, Service
from xdsd.model.intent import DestinationRule, Metadata, Object, VirtualService
from xdsd.model.problem import Reason


def told(mesh: Sandbox) -> list[tuple[str, str]]:
    """The objects and fields that have problems."""
    mesh.settle()
    return [(str(problem.object), problem.path) for problem in mesh.compiler.problems()]


def routes(**spec: Any) -> Object[Any]:
    return Object(API, "VirtualService", Metadata("default", "v"), VirtualService.model_validate(spec))


def test_a_problem_goes_when_what_was_missing_comes_and_returns_when_it_goes() -> None:
    """Nobody has to apply an object again for its problem to be gone."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    mesh.put_object(virtual_service("v", "reviews", to="ratings"))
    problem = ("VirtualService default/v", "spec.http[0].route[0].destination.host")
    assert told(mesh) == [problem]
    mesh.put_service(service("ratings"), Endpoint("10.0.0.2"))
    assert told(mesh) == []
    mesh.drop_service("ratings")
    assert told(mesh) == [problem]
    mesh.drop_object("VirtualService", "v")
    assert told(mesh) == []
    assert len(mesh.compiler.graph) == 0


def test_a_change_checks_only_the_objects_that_name_what_changed() -> None:
    """Of many objects, those that name the changed service are looked at again."""
    mesh = Sandbox()
    for index in range(50):
        mesh.put_service(service(f"s{index}"), Endpoint("10.0.0.1"))
        mesh.put_object(virtual_service(f"v{index}", f"s{index}", to=f"s{index}"))
    assert told(mesh) == []
    computed = mesh.compiler.graph.computed
    mesh.drop_service("s7")
    assert {name for name, _ in told(mesh)} == {"VirtualService default/v7"}
    assert mesh.compiler.graph.computed == computed + 1


def test_a_gateway_that_is_not_there_is_told() -> None:
    """A VirtualService of a gateway that nobody declares serves nobody."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    mesh.put_object(virtual_service("v", "*", to="reviews", gateways=("edge", "other/edge")))
    assert [path for _, path in told(mesh)] == ["spec.gateways[0]", "spec.gateways[1]"]
    mesh.put_object(gateway("edge", 8080))
    assert [path for _, path in told(mesh)] == ["spec.gateways[1]"]


def test_a_gateway_without_any_of_the_hosts_is_told() -> None:
    """A VirtualService and its Gateway must have a host in common."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    mesh.put_object(gateway("edge", 8080, ("*.example.com",)))
    mesh.put_object(virtual_service("v", "a.example.org", to="reviews", gateways=("edge",)))
    assert told(mesh) == [("VirtualService default/v", "spec.gateways[0]")]


def test_a_subset_of_any_rule_for_the_host_is_known() -> None:
    """Rules name their host exactly or by a wildcard."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    mesh.put_object(
        routes(hosts=["reviews"], http=[{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}])
    )
    assert [path for _, path in told(mesh)] == ["spec.http[0].route[0].destination.subset"]
    mesh.put_object(destination_rule("d", "*.cluster.local", {"v1": {}}))
    assert told(mesh) == []


@pytest.mark.parametrize(("port", "path"), [(None, ".port"), (8080, ".port.number"), (81, None)])
def test_a_port_must_be_one_of_the_destination(port: int | None, path: str | None) -> None:
    """Without a port, that at which requests arrive is meant."""
    mesh = Sandbox()
    mesh.put_service(service("front", port=80), Endpoint("10.0.0.1"))
    ports = tuple(Port(number, f"http-{number}", Protocol.HTTP, number) for number in (81, 82))
    back = service("back")
    mesh.put_service(type(back)(back.namespace, back.hostname, ports), Endpoint("10.0.0.2"))
    destination = {"host": "back"} | ({"port": {"number": port}} if port else {})
    mesh.put_object(routes(hosts=["front"], http=[{"route": [{"destination": destination}]}]))
    expected = [] if path is None else [f"spec.http[0].route[0].destination{path}"]
    assert [where for _, where in told(mesh)] == expected


def test_rules_and_scopes_of_hosts_that_nobody_has_are_told() -> None:
    """A DestinationRule and an egress host without a service have no effect."""
    mesh = Sandbox()
    mesh.put_object(destination_rule("d", "reviews", {"v1": {}}))
    mesh.put_object(sidecar("s", egress=("./reviews.default.svc.cluster.local", "other/*")))
    found = [("DestinationRule default/d", "spec.host"), ("Sidecar default/s", "spec.egress[0].hosts[0]")]
    assert told(mesh) == found
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    assert told(mesh) == []


def test_a_rule_that_nothing_reaches_is_told_until_it_is_reached() -> None:
    """It stands among the problems of the mesh, as long as the object is so."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    rule = {"route": [{"destination": {"host": "reviews"}}]}
    mesh.put_object(routes(hosts=["reviews"], http=[rule, rule]))
    assert told(mesh) == [("VirtualService default/v", "spec.http[1]")]
    mesh.put_object(routes(hosts=["reviews"], http=[{**rule, "match": [{"port": 9080}]}, rule]))
    assert told(mesh) == []


@pytest.mark.parametrize(
    ("protocol", "policy", "path", "reason"),
    [
        ("HTTP", {"tunnel": {"targetHost": "a.b", "targetPort": 1}}, "tunnel", Reason.CONFLICT),
        ("HTTPS", {"tls": {"mode": "SIMPLE", "sni": "a"}}, "tls", Reason.CONFLICT),
        ("TCP", {"tls": {"mode": "SIMPLE"}}, "tls", Reason.MISSING_FIELD),
    ],
)
def test_settings_that_do_not_fit_the_ports_are_told(
    protocol: str, policy: dict[str, Any], path: str, reason: Reason
) -> None:
    """A tunnel for requests, TLS around TLS, and TLS that asks for nobody in particular."""
    made = Sandbox()
    made.put_service(service("a", protocol=Protocol(protocol)))
    spec = DestinationRule.model_validate({"host": "a", "trafficPolicy": policy})
    made.put_object(Object(API, "DestinationRule", Metadata("default", "a"), spec))
    made.settle()
    (found,) = made.compiler.problems()
    assert (found.path, found.reason) == (f"spec.trafficPolicy.{path}", reason)
    made.put_service(service("a", protocol=Protocol.TCP if path == "tunnel" else Protocol.HTTP))
    made.settle()
    assert list(made.compiler.problems()) == []


def private(name: str) -> Service:
    return service(name, namespace="team", export_to=(".",))


def test_a_destination_that_clients_do_not_see_is_told() -> None:
    """It is there, but not exported to whom the object routes for; so are rules for such a host."""
    mesh = Sandbox()
    host = private("a").hostname
    mesh.put_service(private("a"))
    mesh.put_service(service("front"))
    mesh.put_object(routes(hosts=["front"], http=[{"route": [{"destination": {"host": host}}]}]))
    mesh.put_object(destination_rule("d", host, {}))
    mesh.settle()
    hidden = f"{host} is declared in namespace team and not exported to namespace default"
    assert {(each.path, each.message) for each in mesh.compiler.problems()} == {
        ("spec.host", f"{hidden}, so the rule has no effect"),
        ("spec.http[0].route[0].destination.host", f"{hidden}, so nothing arrives there"),
    }
    mesh.put_service(service("a", namespace="team"))
    assert told(mesh) == []


def test_whom_a_virtual_service_is_exported_to_are_its_clients() -> None:
    """A destination that these see is one, wherever the object is."""
    mesh = Sandbox()
    mesh.put_service(private("a"))
    mesh.put_service(service("front"))
    route = [{"route": [{"destination": {"host": private("a").hostname}}]}]
    mesh.put_object(routes(hosts=["front"], http=route, exportTo=["team"]))
    assert told(mesh) == []
    mesh.put_object(routes(hosts=["front"], http=route, exportTo=["other"]))
    assert told(mesh) == [("VirtualService default/v", "spec.http[0].route[0].destination.host")]


def test_rules_for_requests_where_none_are_read_are_told() -> None:
    """Hosts whose ports are all opaque have no requests; a host that no service has is served on the HTTP port."""
    mesh = Sandbox()
    mesh.put_service(service("db", protocol=Protocol.TCP))
    rule = [{"route": [{"destination": {"host": "db"}}]}]
    mesh.put_object(routes(hosts=["db"], http=rule))
    assert told(mesh) == [("VirtualService default/v", "spec.http")]
    mesh.put_service(service("db", protocol=Protocol.AUTO))
    assert told(mesh) == []


def test_a_port_at_which_no_request_arrives_is_told() -> None:
    """It is one of a gateway's, or of the hosts' services; what wildcards stand for is not known."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.0.0.1"))
    mesh.put_object(gateway("edge", 8080))
    to = {"route": [{"destination": {"host": "reviews"}}]}
    path = ("VirtualService default/v", "spec.http[0].match[0].port")
    mesh.put_object(routes(hosts=["a.com"], gateways=["edge"], http=[{**to, "match": [{"port": 42081}]}]))
    assert told(mesh) == [path]
    mesh.put_object(routes(hosts=["a.com"], gateways=["edge"], http=[{**to, "match": [{"port": 8080}]}]))
    assert told(mesh) == []
    mesh.put_object(routes(hosts=["reviews"], http=[{**to, "match": [{"port": 1}]}]))
    assert told(mesh) == [path]
    mesh.put_object(routes(hosts=["*.default.svc.cluster.local"], http=[{**to, "match": [{"port": 1}]}]))
    assert told(mesh) == []


@pytest.mark.parametrize(
    ("protocol", "field", "path"),
    [
        ("TCP", {"httpHeaderName": "x-user"}, "httpHeaderName"),
        ("TLS", {"httpQueryParameterName": "q"}, "httpQueryParameterName"),
        ("TCP", {"useSourceIp": True}, ""),
        ("AUTO", {"httpHeaderName": "x-user"}, ""),
    ],
)
def test_hashing_of_requests_where_none_are_read_is_told(
    protocol: str, field: dict[str, Any], path: str
) -> None:
    """For all ports, and for one that has settings of its own."""
    mesh = Sandbox()
    mesh.put_service(service("a", protocol=Protocol(protocol)))
    balancer = {"loadBalancer": {"consistentHash": field}}
    for policy, place in (
        (balancer, "spec.trafficPolicy"),
        (
            {"portLevelSettings": [{"port": {"number": 9080}, **balancer}]},
            "spec.trafficPolicy.portLevelSettings[0]",
        ),
    ):
        spec = DestinationRule.model_validate({"host": "a", "trafficPolicy": policy})
        mesh.put_object(Object(API, "DestinationRule", Metadata("default", "a"), spec))
        mesh.settle()
        found = [each.path for each in mesh.compiler.problems()]
        assert found == ([f"{place}.loadBalancer.consistentHash.{path}"] if path else [])
