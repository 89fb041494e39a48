"""What is read of objects."""

from typing import Any

import pytest

from tests.registry.kubernetes.cluster import DOMAIN, EXPORT_TO, backed_by, endpoint_slice, node, pod, service
from xdsd.model.catalog import Endpoint, Health, Location, Port, Protocol, Resolution, Service, Spread
from xdsd.model.problem import Reason, Severity
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.facts import Backend, Name, Remark, Unreadable


def read(obj: Any) -> tuple[Service, list[Remark]]:
    return facts.service(obj, DOMAIN, "kubernetes:east")


def fault(obj: Any) -> Remark:
    with pytest.raises(Unreadable) as error:
        read(obj)
    return error.value.remark


def test_a_service_is_a_host_of_the_mesh() -> None:
    """Its name, ports, address and age are those of the object."""
    obj = service("reviews", "shop", clusterIP="10.96.0.7", clusterIPs=["10.96.0.7", "fd00::7"])
    obj["metadata"]["creationTimestamp"] = "2026-01-02T03:04:05Z"
    assert read(obj) == (
        Service(
            namespace="shop",
            hostname="reviews.shop.svc.mesh.local",
            ports=(Port(80, "http", Protocol.HTTP, 8080),),
            addresses=("10.96.0.7", "fd00::7"),
            resolution=Resolution.STATIC,
            location=Location.MESH_INTERNAL,
            created="2026-01-02T03:04:05Z",
            source="kubernetes:east",
        ),
        [],
    )


@pytest.mark.parametrize(
    ("spec", "annotation", "expected"),
    [
        ({}, "", Spread.ALL),
        ({"internalTrafficPolicy": "Cluster"}, "", Spread.ALL),
        ({"internalTrafficPolicy": "Local"}, "", Spread.OWN_NODE),
        ({"internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose"}, "", Spread.OWN_NODE),
        ({"trafficDistribution": "PreferClose"}, "", Spread.SAME_ZONE),
        ({"trafficDistribution": "PreferSameZone"}, "PreferSameNode", Spread.SAME_ZONE),
        ({"trafficDistribution": "PreferSameNode"}, "", Spread.SAME_NODE),
        ({"trafficDistribution": "prefersamenode"}, "", Spread.ALL),
        ({}, "prefersamenode", Spread.SAME_NODE),
        ({}, "PreferMoon", Spread.ALL),
        ({"type": "ExternalName", "externalName": "a.b", "internalTrafficPolicy": "Local"}, "", Spread.ALL),
    ],
)
def test_among_which_endpoints_callers_are_spread(
    spec: dict[str, Any], annotation: str, expected: Spread
) -> None:
    """The policy comes first, then the field, then the annotation; what has no endpoints of its own has none of them."""
    obj = service("reviews", **spec)
    if annotation:
        obj["metadata"]["annotations"] = {"networking.istio.io/traffic-distribution": annotation}
    assert read(obj)[0].spread is expected


@pytest.mark.parametrize("address", ["None", None, ""])
def test_a_headless_service_has_no_address(address: str | None) -> None:
    """Whatever the word for it is."""
    assert read(service("db", clusterIP=address))[0].addresses == ()


def test_an_older_server_says_one_address() -> None:
    """Lists of addresses came with two families."""
    assert read(service("db", clusterIP="10.96.0.7"))[0].addresses == ("10.96.0.7",)


def test_an_external_name_is_looked_up() -> None:
    """It stands for another host, which is outside."""
    found, _ = read(service("api", type="ExternalName", externalName="api.example.com."))
    assert found.resolution is Resolution.DNS
    assert found.location is Location.MESH_EXTERNAL
    assert found.endpoints == (Endpoint("api.example.com"),)
    assert found.addresses == ()


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({"name": "http-web"}, Protocol.HTTP),
        ({"name": "grpc"}, Protocol.GRPC),
        ({"name": "web", "appProtocol": "kubernetes.io/h2c"}, Protocol.HTTP2),
        ({"name": "http", "appProtocol": "tcp"}, Protocol.TCP),
        ({"name": "mysql"}, Protocol.MYSQL),
        ({"name": "web"}, Protocol.AUTO),
        ({}, Protocol.AUTO),
    ],
)
def test_protocols_are_declared_by_application_or_name(port: dict[str, str], protocol: Protocol) -> None:
    """The application protocol counts before the name."""
    assert read(service("a", ports=[{"port": 8000, **port}]))[0].ports[0].protocol is protocol


def test_ports_that_are_not_carried_are_remarked() -> None:
    """UDP and SCTP stay outside, and that is said."""
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53, "protocol": "TCP"}]
    found, remarks = read(service("dns", ports=ports))
    assert [port.name for port in found.ports] == ["tcp"]
    assert [(each.path, each.reason, each.severity) for each in remarks] == [
        ("spec.ports[0].protocol", Reason.NOT_SUPPORTED, Severity.WARNING)
    ]


def test_a_named_target_is_known_to_slices_alone() -> None:
    """Until they say it, the port's own number stands for it."""
    assert read(service("a", ports=[{"port": 80, "targetPort": "web"}]))[0].ports[0].target == 80


@pytest.mark.parametrize(
    ("said", "meant"),
    [(".", (".",)), ("*", ("*",)), ("~", ("~",)), ("shop, desk", ("shop", "desk")), ("", ())],
)
def test_whom_a_service_is_exported_to(said: str, meant: tuple[str, ...]) -> None:
    """By the published annotation."""
    assert read(service("a", annotations={EXPORT_TO: said}))[0].export_to == meant


@pytest.mark.parametrize(
    ("obj", "path", "says"),
    [
        ({"metadata": {"name": "a", "namespace": "b"}}, "spec", "is missing"),
        ({"metadata": {"name": "a"}, "spec": []}, "spec", "is not an object"),
        ({"metadata": {}, "spec": {}}, "metadata.name", "is missing"),
        (
            service("a", annotations={EXPORT_TO: "no namespace!"}),
            f"metadata.annotations[{EXPORT_TO}]",
            "'.' or '*'",
        ),
        (service("a", annotations={EXPORT_TO: "*,b"}), f"metadata.annotations[{EXPORT_TO}]", "stand alone"),
        (service("a", ports=[{"port": 0}]), "spec.ports[0].port", "from 1 to 65535"),
        (service("a", ports=[7]), "spec.ports", "is not a list of objects"),
        (service("a", type="ExternalName"), "spec.externalName", "is missing"),
    ],
)
def test_mistakes_name_their_place(obj: Any, path: str, says: str) -> None:
    """Each says where it is and what would be right."""
    found = fault(obj)
    assert found.path == path
    assert says in found.message


def test_a_slice_of_the_older_version_reads_like_one_of_the_newer() -> None:
    """The node and the zone moved from the topology to fields of their own."""
    older = {"kubernetes.io/hostname": "one", "topology.kubernetes.io/zone": "z"}
    ways: list[dict[str, Any]] = [{"topology": older}, {"nodeName": "one", "zone": "z"}]
    for way in ways:
        found = facts.endpoint_slice(endpoint_slice("s", "a", [backed_by("p", "10.0.0.1", **way)]))
        assert found is not None
        assert found.backends == (Backend("10.0.0.1", Health.HEALTHY, "one", "z", Name("default", "p")),)
        assert found.ports == (("http", 8080),)


@pytest.mark.parametrize(
    ("conditions", "health"),
    [
        ({}, Health.HEALTHY),
        ({"ready": None}, Health.HEALTHY),
        ({"ready": True, "serving": True, "terminating": False}, Health.HEALTHY),
        ({"ready": False}, None),
        ({"ready": False, "serving": True, "terminating": True}, Health.DRAINING),
        ({"ready": False, "serving": False, "terminating": True}, None),
        ({"ready": False, "serving": True, "terminating": False}, None),
    ],
)
def test_conditions_are_health(conditions: dict[str, Any], health: Health | None) -> None:
    """Ready endpoints are healthy; those that end but serve are the last resort; others get nothing."""
    found = facts.endpoint_slice(
        endpoint_slice("s", "a", [{"addresses": ["10.0.0.1"], "conditions": conditions}])
    )
    assert found is not None
    assert [each.health for each in found.backends] == ([health] if health else [])


def test_a_slice_of_nobody_is_nothing() -> None:
    """Slices without the label of a service belong to whoever made them."""
    obj = endpoint_slice("s", "a", ["10.0.0.1"])
    obj["metadata"]["labels"] = {}
    assert facts.endpoint_slice(obj) is None


def test_a_pod_has_labels_an_account_and_a_node() -> None:
    """What it says of locality and network wins over its node's."""
    labels = {"app": "a", "istio-locality": "r.z.s", "topology.istio.io/network": "net"}
    found = facts.pod(pod("p", "10.0.0.1", labels, account="web", node="two"))
    assert found is not None
    assert (found.address, found.account, found.node) == ("10.0.0.1", "web", "two")
    assert (found.locality, found.network) == ("r/z/s", "net")
    assert found.labels == labels
    assert found.health is Health.HEALTHY


@pytest.mark.parametrize("obj", [pod("p", ""), pod("p", "10.0.0.1", phase="Succeeded")])
def test_a_pod_that_does_not_run_is_none(obj: Any) -> None:
    """It has no address yet, or its programs have ended."""
    assert facts.pod(obj) is None


def test_a_pod_that_is_deleted_drains() -> None:
    """Until it is gone; and one that is not ready is unhealthy."""
    leaving = pod("p", "10.0.0.1")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    found, unready = facts.pod(leaving), facts.pod(pod("p", "10.0.0.1", ready=False))
    assert found is not None
    assert unready is not None
    assert (found.health, unready.health) == (Health.DRAINING, Health.UNHEALTHY)


def test_nodes_stand_somewhere() -> None:
    """By today's labels or those before them."""
    assert facts.node_locality(node("n", "r", "z")) == "r/z"
    assert facts.node_locality(node("n", "r", "z", **{"topology.istio.io/subzone": "s"})) == "r/z/s"
    older = {f"failure-domain.beta.kubernetes.io/{key}": key for key in ("region", "zone")}
    assert facts.node_locality(node("n", **older)) == "region/zone"
    assert facts.node_locality(node("n")) == ""
