"""Refusals that stand: whose fault they are, and how long they are told."""

from typing import Any

import pytest

from tests.compile.worlds import Sandbox, gateway, proxy, router, service, virtual_service
from xdsd.compile.layers.patched import Refused
from xdsd.model.catalog import Endpoint, Protocol
from xdsd.model.intent import DestinationRule, Gateway, Metadata, Object, Sidecar
from xdsd.model.mesh import Interception
from xdsd.model.problem import Problem, Reason
from xdsd.snapshot import CLUSTER, LISTENER

API = "networking.istio.io/v1"
REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"
RATINGS = "outbound|9080||ratings.default.svc.cluster.local"
NO_FILE = "Invalid path: /no/such"


def rule(host: str, ca: str, name: str = "nt") -> Object[Any]:
    """A DestinationRule that trusts a file."""
    tls = {"mode": "SIMPLE", "caCertificates": ca}
    spec = DestinationRule.model_validate({"host": host, "trafficPolicy": {"tls": tls}})
    return Object(API, "DestinationRule", Metadata("default", name), spec)


def server(name: str, bind: str, port: int, labels: dict[str, str] | None = None) -> Object[Any]:
    """A Gateway with one server."""
    listens = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "bind": bind, "hosts": ["*"]}
    spec = {"selector": labels or {"istio": "ingressgateway"}, "servers": [listens]}
    return Object(API, "Gateway", Metadata("default", name), Gateway.model_validate(spec))


class Mesh(Sandbox):
    """Two services, two sidecars and a gateway."""

    def __init__(self) -> None:
        super().__init__()
        self.put_service(service("reviews"), Endpoint("10.1.0.1"))
        self.put_service(service("ratings"), Endpoint("10.1.0.3"))
        self.put_object(gateway("edge", 8080))
        self.put_object(virtual_service("v", "*", to="reviews", gateways=("edge",)))
        self.one = self.attach(proxy("10.1.0.1", name="reviews-1"))
        self.two = self.attach(proxy("10.1.0.3", name="ratings-1"))
        self.edge = self.attach(router())
        self.settle()

    def refuses(self, node_id: str, type_url: str, name: str, words: str) -> None:
        """A proxy refuses what it is served now."""
        version = self.versions(node_id)[type_url, name]
        self.compiler.refuse(node_id, Refused(type_url, name, version), words)
        self.settle()

    def told(self) -> list[Problem]:
        """What is told of refusals."""
        return [each for each in self.compiler.problems() if each.reason is Reason.REJECTED_BY_PROXY]

    def put(self, obj: Object[Any]) -> None:
        self.put_object(obj)
        self.settle()


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


def test_a_file_that_a_proxy_misses_is_its_rules_fault(mesh: Mesh) -> None:
    """The rule and its field are named, in the proxy's words, until the rule names another file."""
    mesh.put(rule("reviews", "/no/such"))
    mesh.put(rule("ratings", "/etc/ca.pem", name="other"))
    mesh.refuses(mesh.one, CLUSTER, REVIEWS, f"Error adding/updating cluster(s) {REVIEWS}: {NO_FILE}")
    (problem,) = mesh.told()
    assert str(problem) == (
        "DestinationRule default/nt spec.trafficPolicy.tls.caCertificates: reviews-1.default says: Invalid path:"
        f" /no/such; so the cluster {REVIEWS} is not taken there"
    )
    mesh.put(rule("reviews", "/etc/ca.pem"))
    assert mesh.told() == []
    mesh.put(rule("reviews", "/no/such"))
    assert mesh.told() == []


def test_one_cause_is_told_once(mesh: Mesh) -> None:
    """However many proxies and clusters it is seen by, a field is one problem, which counts them."""
    mesh.put(rule("*.default.svc.cluster.local", "/no/such"))
    for node in (mesh.one, mesh.two):
        for name in (REVIEWS, RATINGS):
            mesh.refuses(node, CLUSTER, name, NO_FILE)
    (problem,) = mesh.told()
    assert problem.message == (
        "ratings-1.default and 1 other proxy say: Invalid path: /no/such;"
        f" so the clusters {RATINGS}, {REVIEWS} are not taken there"
    )


def test_an_address_that_a_machine_does_not_have_is_its_gateways_fault(mesh: Mesh) -> None:
    """Of all Gateways the one is named that has the address opened on this proxy."""
    mesh.put(server("here", "9.9.9.9", 8081))
    mesh.put(server("elsewhere", "9.9.9.9", 8081, {"app": "x"}))
    words = "cannot bind '9.9.9.9:8081': Cannot assign requested address"
    mesh.refuses(mesh.edge, LISTENER, "9.9.9.9_8081", words)
    (problem,) = mesh.told()
    assert (str(problem.object), problem.path) == ("Gateway default/here", "spec.servers[0].bind")
    mesh.put(server("here", "0.0.0.0", 8081))
    assert mesh.told() == []


def test_a_port_that_is_taken_is_its_servers_fault(mesh: Mesh) -> None:
    """Where the address is there, the port is to blame, also of a server that names no address."""
    mesh.refuses(mesh.edge, LISTENER, "0.0.0.0_8080", "cannot bind '0.0.0.0:8080': Address already in use")
    (problem,) = mesh.told()
    assert (str(problem.object), problem.path) == ("Gateway default/edge", "spec.servers[0].port.number")


def test_what_nobody_is_to_blame_for_is_told_too(mesh: Mesh) -> None:
    """A refusal whose words lead to no object is a problem without one."""
    mesh.refuses(mesh.one, LISTENER, "virtualOutbound", "cannot bind '0.0.0.0:15001': Address already in use")
    (problem,) = mesh.told()
    assert problem.object is None
    assert problem.message.endswith("so the listener virtualOutbound is not taken there")


def test_a_proxy_that_comes_back_is_offered_all_again(mesh: Mesh) -> None:
    """What it refused before is told no more, and neither is what one refused that is gone."""
    mesh.put(rule("reviews", "/no/such"))
    mesh.refuses(mesh.one, CLUSTER, REVIEWS, NO_FILE)
    mesh.refuses(mesh.two, CLUSTER, REVIEWS, NO_FILE)
    mesh.compiler.forgive(mesh.one)
    assert "ratings-1.default says" in mesh.told()[0].message
    mesh.compiler.detach(mesh.two)
    mesh.settle()
    assert mesh.told() == []


def test_a_sidecars_own_listener_is_its_sidecars_fault() -> None:
    """An egress listener on an address that the machine does not have leads to the Sidecar that asks for it."""
    mesh = Mesh()
    mesh.put_service(service("plain", port=7000, protocol=Protocol.TCP), Endpoint("10.1.0.4"))
    caller = mesh.attach(proxy("10.1.0.9", name="caller", interception=Interception.NONE))
    listener = {
        "port": {"number": 7000, "name": "tcp", "protocol": "TCP"},
        "bind": "127.0.0.77",
        "hosts": ["./*"],
    }
    spec = Sidecar.model_validate({"egress": [listener]})
    mesh.put(Object(API, "Sidecar", Metadata("default", "scope"), spec))
    words = "cannot bind '127.0.0.77:7000': Cannot assign requested address"
    mesh.refuses(caller, LISTENER, "127.0.0.77_7000", words)
    (problem,) = mesh.told()
    assert (str(problem.object), problem.path) == ("Sidecar default/scope", "spec.egress[0].bind")


@pytest.mark.parametrize("interception", [Interception.REDIRECT, Interception.NONE])
def test_files_of_a_sidecars_ingress_are_its_fault(interception: Interception) -> None:
    """Both the one listener of redirected proxies and the own one of others lead to the Sidecar."""
    mesh = Mesh()
    workload = mesh.attach(proxy("10.1.0.9", name="own", interception=interception))
    tls = {"mode": "SIMPLE", "serverCertificate": "/no/cert", "privateKey": "/no/key"}
    listener = {
        "port": {"number": 8443, "name": "https", "protocol": "HTTPS"},
        "defaultEndpoint": "127.0.0.1:80",
        "tls": tls,
    }
    spec = Sidecar.model_validate({"ingress": [listener], "egress": [{"hosts": ["*/*"]}]})
    mesh.put(Object(API, "Sidecar", Metadata("default", "own"), spec))
    name = "virtualInbound" if interception is Interception.REDIRECT else "10.1.0.9_8443"
    mesh.refuses(workload, LISTENER, name, "Failed to load incomplete private key from path: /no/key")
    (problem,) = mesh.told()
    assert (str(problem.object), problem.path) == ("Sidecar default/own", "spec.ingress[0].tls.privateKey")
    if interception is Interception.NONE:
        mesh.compiler.forgive(workload)
        mesh.refuses(workload, LISTENER, name, "cannot bind '10.1.0.9:8443': Address already in use")
        (problem,) = mesh.told()
        assert (str(problem.object), problem.path) == ("Sidecar default/own", "spec.ingress[0].port.number")


def test_the_authorities_of_the_system_are_a_rules_need() -> None:
    """A rule that names no authorities needs those of the system, whose file a machine may not have."""
    mesh = Mesh()
    spec = DestinationRule.model_validate({"host": "reviews", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}})
    mesh.put(Object(API, "DestinationRule", Metadata("default", "plain"), spec))
    mesh.refuses(mesh.one, CLUSTER, REVIEWS, "Invalid path: /etc/ssl/certs/ca-certificates.crt")
    (problem,) = mesh.told()
    assert (str(problem.object), problem.path) == (
        "DestinationRule default/plain",
        "spec.trafficPolicy.tls.caCertificates",
    )
