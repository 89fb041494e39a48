"""Services whose TLS sidecars read: what their listeners, routes and clusters say."""

from dataclasses import replace
from typing import Any

from tests.compile.worlds import Sandbox, proxy
from xdsd.model.catalog import Location, Port, Protocol, Service
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import DestinationRule, Inspection, Metadata, Object, VirtualService
from xdsd.snapshot import CLUSTER, LISTENER, ROUTE

NAME, ROUTES, OUTWARD = "0.0.0.0_443", "inspection|443|bank.example.com", "outbound|443||bank.example.com"


def outside(host: str) -> Service:
    """A server outside that speaks TLS."""
    return Service(
        "default",
        host,
        (Port(443, "https", Protocol.TLS, 443),),
        location=Location.MESH_EXTERNAL,
        export_to=("*",),
    )


def inspection(**spec: Any) -> Object[Any]:
    made = Inspection.model_validate({"hosts": ["bank.example.com"], **spec})
    return Object("mesh.xdsd.io/v1", "Inspection", Metadata("istio-system", "bank"), made)


def mesh() -> Sandbox:
    found = Sandbox()
    found.put_service(outside("bank.example.com"))
    found.put_service(outside("open.example.com"))
    return found


def of(found: Sandbox, account: str | None) -> str:
    """A sidecar that proved a service account, or (None) nothing."""
    identity = SpiffeID("cluster.local", "default", account) if account else None
    return found.attach(replace(proxy(name=account or "nobody"), identity=identity))


def chains(found: Sandbox, node: str) -> dict[str, tuple[str, bool]]:
    """By server name: the filter that takes connections, and whether TLS ends before it."""
    listener = found.message(node, LISTENER, NAME)
    return {
        name: (chain.filters[-1].name.rpartition(".")[2], chain.HasField("transport_socket"))
        for chain in listener.filter_chains
        for name in chain.filter_chain_match.server_names
    }


def test_tls_to_an_inspected_host_ends_in_the_sidecar_and_begins_there() -> None:
    """Requests have routes of their own, and new TLS asks for the host; another host on the port is carried unread."""
    found = mesh()
    node = of(found, "till")
    found.put_object(inspection())
    found.settle()
    assert chains(found, node) == {
        "bank.example.com": ("http_connection_manager", True),
        "open.example.com": ("tcp_proxy", False),
    }
    hosts = found.message(node, ROUTE, ROUTES).virtual_hosts
    assert [(*each.domains,) for each in hosts] == [("bank.example.com", "bank.example.com."), ("*",)]
    assert hosts[1].routes[0].direct_response.status == 421
    assert found.message(node, CLUSTER, OUTWARD).transport_socket.name.endswith("tls")
    assert not found.message(node, CLUSTER, OUTWARD.replace("bank", "open")).HasField("transport_socket")


def test_who_proved_nothing_is_closed() -> None:
    """It has no certificate to show to its program, and does not go unread for that."""
    found = mesh()
    node = of(found, None)
    found.put_object(inspection(serviceAccounts=["till"]))
    found.settle()
    (chain,) = [
        each
        for each in found.message(node, LISTENER, NAME).filter_chains
        if "bank.example.com" in each.filter_chain_match.server_names
    ]
    assert b"BlackHoleCluster" in chain.filters[-1].typed_config.value
    assert ROUTES not in found.names(node, ROUTE)


def test_an_inspection_reaches_those_that_it_is_for_alone() -> None:
    """Another service account, another namespace, another port, and everybody once it is gone, are carried unread."""
    found = mesh()
    till, other = of(found, "till"), of(found, "other")
    unread = ("tcp_proxy", False)
    found.put_object(inspection(serviceAccounts=["till"]))
    found.settle()
    assert chains(found, till)["bank.example.com"] != unread
    assert chains(found, other)["bank.example.com"] == unread
    for spec in ({"namespaces": ["shop"]}, {"ports": [8443]}, {"hosts": ["*.bank.example.com"]}):
        found.put_object(inspection(**spec))
        found.settle()
        assert chains(found, till)["bank.example.com"] == unread, spec
    found.put_object(inspection(hosts=["*.example.com"]))
    found.settle()
    assert chains(found, other)["open.example.com"] != unread
    found.compiler.world.drop_object(inspection().ref)
    found.settle()
    assert {*chains(found, till).values()} == {unread}


def test_what_an_inspection_says_in_vain_is_told() -> None:
    """Hosts of the mesh, and those that no service has with TLS at these ports."""
    found = mesh()
    found.put_object(inspection(hosts=["bank.example.com", "xdsd.cluster.local", "nobody.example.com"]))
    found.settle()
    told = {problem.path: problem.message for problem in found.compiler.graph.problems()}
    assert "is of the mesh" in told["spec.hosts[1]"]
    assert "declare a ServiceEntry" in told["spec.hosts[2]"]
    assert "spec.hosts[0]" not in told
    assert found.compiler.inspected[0].hosts == ("bank.example.com", "nobody.example.com")


def test_a_change_of_another_host_touches_no_listener() -> None:
    """Only what an Inspection is about is made again."""
    found = mesh()
    node = of(found, "till")
    found.put_object(inspection())
    found.settle()
    before = found.versions(node)
    found.put_object(inspection(hosts=["bank.example.com", "elsewhere.example.com"]))
    found.settle()
    assert found.versions(node) == before


def routed(namespace: str, to: str) -> Object[Any]:
    spec = {"hosts": ["bank.example.com"], "http": [{"route": [{"destination": {"host": to}}]}]}
    made = VirtualService.model_validate(spec)
    return Object("networking.istio.io/v1", "VirtualService", Metadata(namespace, "bank"), made)


def ruled(namespace: str, host: str, **tls: Any) -> Object[Any]:
    made = DestinationRule.model_validate({"host": host, "trafficPolicy": {"tls": {"mode": "SIMPLE", **tls}}})
    return Object("networking.istio.io/v1", "DestinationRule", Metadata(namespace, "bank"), made)


def test_of_an_inspected_host_the_root_namespace_decides_alone() -> None:
    """Routes and rules of others, the client's own among them, count no more, and it is told; the root's do."""
    found = mesh()
    node = of(found, "till")
    found.put_object(inspection())
    found.put_object(routed("thieves", "open.example.com"))
    found.put_object(ruled("default", "bank.example.com", insecureSkipVerify=True))
    found.put_object(ruled("thieves", "*.example.com", insecureSkipVerify=True))
    found.settle()
    (route, _) = found.message(node, ROUTE, ROUTES).virtual_hosts
    assert {each.route.cluster for each in route.routes} == {OUTWARD}
    assert "ca-certificates.crt" in str(found.message(node, CLUSTER, OUTWARD).transport_socket)
    told = {str(each.object): each.message for each in found.compiler.problems()}
    assert told.keys() == {"VirtualService thieves/bank", "DestinationRule default/bank"}
    assert all("counts in the namespace istio-system alone" in each for each in told.values())
    found.put_object(routed("istio-system", "open.example.com"))
    found.put_object(ruled("istio-system", "bank.example.com", caCertificates="/etc/bank.pem"))
    found.settle()
    (route, _) = found.message(node, ROUTE, ROUTES).virtual_hosts
    assert {each.route.cluster for each in route.routes} != {OUTWARD}
    assert "/etc/bank.pem" in str(found.message(node, CLUSTER, OUTWARD).transport_socket)


def test_others_do_not_say_which_names_an_inspected_server_may_have() -> None:
    """The root's service for the host comes before the client's own, and nobody else's names are believed."""
    found = mesh()
    node = of(found, "till")
    found.put_object(inspection())
    thief = replace(outside("bank.example.com"), subject_alt_names=("thief.example.com",))
    found.put_service(thief)
    found.settle()
    assert "thief" not in str(found.message(node, CLUSTER, OUTWARD))
    found.put_service(replace(thief, namespace="istio-system", subject_alt_names=("bank.example.net",)))
    found.settle()
    assert "bank.example.net" in str(found.message(node, CLUSTER, OUTWARD))
