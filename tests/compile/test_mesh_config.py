"""What an edit of the MeshConfig touches, and what it leaves alone."""

from typing import Any

import pytest

from tests.compile.worlds import Sandbox, destination_rule, gateway, proxy, router, service, virtual_service
from xdsd.model.catalog import Endpoint, Protocol
from xdsd.model.intent import MeshConfig, Metadata, Object
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SnapshotChange

ROOT = "istio-system"


def mesh_config(spec: dict[str, Any], *, namespace: str = ROOT) -> Object[Any]:
    return Object(
        "mesh.xdsd.io/v1", "MeshConfig", Metadata(namespace, "default"), MeshConfig.model_validate(spec)
    )


@pytest.fixture
def sandbox() -> Sandbox:
    """Services of two protocols at two places, a route of each side, a sidecar and a gateway, all settled."""
    made = Sandbox()
    near, far = Endpoint("10.1.0.1", locality="eu/a"), Endpoint("10.1.0.2", locality="us/b")
    made.put_service(service("a"), near, far)
    made.put_service(service("b", protocol=Protocol.HTTP2, port=9081), far)
    made.put_service(service("raw", protocol=Protocol.TCP, port=9090), far)
    made.put_object(virtual_service("a", "a", to="b"))
    made.put_object(gateway("edge", 8080))
    made.put_object(virtual_service("shop", "shop.example.com", to="a", gateways=("edge",)))
    made.attach(proxy())
    made.attach(router())
    made.settle()
    return made


def touched(sandbox: Sandbox, spec: dict[str, Any]) -> set[str]:
    """The types of what an edit of the MeshConfig publishes; nothing may be encoded that is not published."""
    sandbox.compiler.encoded.clear()
    sandbox.put_object(mesh_config(spec))
    change = sandbox.settle()
    published = {each.type_url for layer in change.layers for each in layer.upserts}
    assert set(sandbox.compiler.encoded) <= published
    return published


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({"connectTimeout": "5s"}, {CLUSTER}),
        ({"tcpKeepalive": {"probes": 3}}, {CLUSTER}),
        ({"h2UpgradePolicy": "UPGRADE"}, {CLUSTER}),
        ({"defaultTrafficPolicy": {"connectionPool": {"http": {"maxRetries": 2}}}}, {CLUSTER}),
        ({"defaultTrafficPolicy": {"outlierDetection": {"interval": "1s"}}}, {CLUSTER, ENDPOINT}),
        ({"localityLbSetting": {"distribute": [{"from": "*", "to": {"*": 100}}]}}, {CLUSTER, ENDPOINT}),
        ({"localityLbSetting": {"failover": [{"from": "eu", "to": "us"}]}}, set()),
        ({"defaultHttpRetryPolicy": {"attempts": 9}}, {ROUTE}),
        ({"defaultInboundHttpRetryPolicy": {"attempts": 0}}, {LISTENER}),
        ({"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}, {LISTENER, ROUTE}),
        ({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}, set()),
        ({"accessLogFile": ""}, {LISTENER}),
        ({"accessLogEncoding": "JSON"}, {LISTENER}),
        ({"pathNormalization": {"normalization": "MERGE_SLASHES"}}, {LISTENER}),
        ({"pathNormalization": {"normalization": "BASE"}}, {LISTENER}),
        ({"pathNormalization": {"normalization": "DEFAULT"}}, set()),
        ({"protocolDetectionTimeout": "1s"}, {LISTENER}),
        ({"protocolDetectionTimeout": "0s"}, {LISTENER}),
        ({"defaultConfig": {"gatewayTopology": {"numTrustedProxies": 1}}}, {LISTENER}),
        ({"defaultConfig": {"gatewayTopology": {"proxyProtocol": {}}}}, {LISTENER}),
        ({"defaultConfig": {"gatewayTopology": {"forwardClientCertDetails": "SANITIZE"}}}, {LISTENER}),
        ({"defaultConfig": {"gatewayTopology": {"forwardClientCertDetails": "UNDEFINED"}}}, set()),
        ({"defaultConfig": {"concurrency": 1}}, set()),
        ({"inboundTrafficPolicy": {"mode": "LOCALHOST"}}, {CLUSTER, LISTENER}),
        ({"dnsRefreshRate": "5s"}, set()),
        ({"defaultServiceExportTo": ["."]}, set()),
        ({"defaultVirtualServiceExportTo": ["."]}, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_an_edit_publishes_what_it_is_about(sandbox: Sandbox, spec: dict[str, Any], types: set[str]) -> None:
    """Each value is read by some types of resources; all others stay as they are, and are not made again."""
    before = sandbox.compiler.graph.computed
    assert touched(sandbox, spec) == types
    if not types:
        assert sandbox.compiler.graph.computed - before < 40
    ref = ObjectRef("MeshConfig", ROOT, "default")
    kept = sandbox.versions(proxy().node_id), sandbox.versions(router().node_id)
    sandbox.compiler.world.drop_object(ref)
    sandbox.settle()
    sandbox.put_object(mesh_config(spec))
    sandbox.settle()
    assert kept == (sandbox.versions(proxy().node_id), sandbox.versions(router().node_id))


def test_what_goes_is_as_it_was_before(sandbox: Sandbox) -> None:
    """Without the MeshConfig every resource is the one from before it."""
    before = sandbox.versions(proxy().node_id)
    spec = {"connectTimeout": "5s", "accessLogFile": "", "defaultHttpRetryPolicy": {"attempts": 0}}
    assert touched(sandbox, spec) == {CLUSTER, LISTENER, ROUTE}
    sandbox.compiler.world.drop_object(ObjectRef("MeshConfig", ROOT, "default"))
    sandbox.settle()
    assert sandbox.versions(proxy().node_id) == before


def test_one_of_another_namespace_counts_for_nobody(sandbox: Sandbox) -> None:
    """Until its namespace becomes the root it only is a problem; then it is the one that counts."""
    sandbox.put_object(mesh_config({"connectTimeout": "5s"}, namespace="meshes"))
    assert sandbox.settle() == SnapshotChange(sandbox.snapshot.generation)
    assert [problem.path for problem in sandbox.compiler.problems()] == ["metadata.namespace"]
    sandbox.compiler.configure(MeshSettings(root_namespace="meshes"))
    change = sandbox.settle()
    assert {each.type_url for layer in change.layers for each in layer.upserts} == {CLUSTER}
    assert list(sandbox.compiler.problems()) == []


def test_services_that_say_nothing_are_exported_as_the_mesh_says() -> None:
    """The default hides and shows them as it changes, and leaves alone those that say to whom they are exported."""
    sandbox = Sandbox()
    for name, exported in (("open", ()), ("shown", ("*",)), ("late", ())):
        sandbox.put_service(service(name, namespace="other", export_to=exported), Endpoint("10.2.0.1"))
    node = sandbox.attach(proxy())
    sandbox.settle()

    def seen() -> set[str]:
        names = sandbox.names(node, CLUSTER)
        return {name.split("|")[3].split(".")[0] for name in names if name.startswith("outbound|")}

    assert seen() == {"open", "shown", "late"}
    sandbox.put_object(mesh_config({"defaultServiceExportTo": ["."]}))
    sandbox.put_service(service("new", namespace="other", export_to=()), Endpoint("10.2.0.1"))
    sandbox.put_service(service("late", namespace="other", export_to=("default",)), Endpoint("10.2.0.1"))
    sandbox.settle()
    assert seen() == {"shown", "late"}
    sandbox.put_object(mesh_config({"defaultServiceExportTo": ["default", "other"]}))
    sandbox.settle()
    assert seen() == {"open", "shown", "late", "new"}


def test_rules_that_say_nothing_are_exported_as_the_mesh_says() -> None:
    """A rule of another namespace counts again once the mesh exports it."""
    sandbox = Sandbox()
    sandbox.put_service(service("a", namespace="other"), Endpoint("10.2.0.1"))
    rule = destination_rule("a", "a.other.svc.cluster.local", {"v1": {"version": "v1"}})
    sandbox.put_object(Object(rule.api_version, rule.kind, Metadata("other", "a"), rule.spec))
    sandbox.put_object(mesh_config({"defaultDestinationRuleExportTo": ["."]}))
    node = sandbox.attach(proxy())
    sandbox.settle()
    assert "outbound|9080|v1|a.other.svc.cluster.local" not in sandbox.names(node, CLUSTER)
    sandbox.put_object(mesh_config({}))
    sandbox.settle()
    assert "outbound|9080|v1|a.other.svc.cluster.local" in sandbox.names(node, CLUSTER)


def test_shares_of_the_mesh_are_seen_from_each_place() -> None:
    """Proxies at one place get the shares of that place, also for services that no rule is for."""
    sandbox = Sandbox()
    near, far = Endpoint("10.1.0.1", locality="eu/a"), Endpoint("10.1.0.2", locality="us/b")
    sandbox.put_service(service("a"), near, far)
    node = sandbox.attach(proxy())
    shares = {"distribute": [{"from": "*", "to": {"eu/*": 90, "us/*": 10}}]}
    sandbox.put_object(mesh_config({"localityLbSetting": shares}))
    sandbox.settle()
    name = "outbound|9080||a.default.svc.cluster.local"
    weights = [group.load_balancing_weight.value for group in sandbox.message(node, ENDPOINT, name).endpoints]
    assert weights == [900_000, 100_000]
    assert sandbox.message(node, CLUSTER, name).common_lb_config.HasField("locality_weighted_lb_config")
    sandbox.put_object(mesh_config({}))
    sandbox.settle()
    weights = [group.load_balancing_weight.value for group in sandbox.message(node, ENDPOINT, name).endpoints]
    assert weights == [1, 1]
