"""Which PeerAuthentication counts for whom, and what of the mesh a change of one reaches."""

from dataclasses import replace
from typing import Any

from tests.compile.worlds import Sandbox, proxy, service
from xdsd.compile.layers.peer_policies import PeerPolicy, workload_policy
from xdsd.compile.names import outbound_cluster_name
from xdsd.model.catalog import Endpoint, Port, Protocol
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import Metadata, MutualTLSMode, Object, PeerAuthentication, Sidecar
from xdsd.model.problem import Reason
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER

STRICT, PERMISSIVE, DISABLE, UNSET = "STRICT", "PERMISSIVE", "DISABLE", "UNSET"


def policy(
    name: str,
    mode: str = "",
    *,
    namespace: str = "default",
    app: str = "",
    ports: dict[str, str] | None = None,
    day: int = 1,
) -> Object[Any]:
    """A PeerAuthentication."""
    spec: dict[str, Any] = {"mtls": {"mode": mode}} if mode else {}
    if app:
        spec["selector"] = {"matchLabels": {"app": app}}
    if ports:
        spec["portLevelMtls"] = {port: {"mode": each} for port, each in ports.items()}
    metadata = Metadata(namespace, name, creation_timestamp=f"2026-01-0{day}T00:00:00Z")
    return Object(
        "security.istio.io/v1", "PeerAuthentication", metadata, PeerAuthentication.model_validate(spec)
    )


def decided(*policies: Object[Any], app: str = "a", namespace: str = "default") -> PeerPolicy:
    """What counts for a workload among these."""
    mesh = Sandbox()
    for each in policies:
        mesh.put_object(each)
    mesh.settle()
    return mesh.compiler.graph.ask(workload_policy, namespace, (("app", app),))


def mode(*policies: Object[Any], port: int = 80, **whose: str) -> MutualTLSMode:
    """The mode of a port."""
    return decided(*policies, **whose).of(port).mode


ROOT = policy("default", STRICT, namespace="istio-system")


def test_either_is_taken_where_nobody_says_anything() -> None:
    """Without any policy, and where all are unset, workloads take plaintext and mutual TLS."""
    assert mode() is MutualTLSMode.PERMISSIVE
    assert mode(policy("a", UNSET), policy("b", namespace="istio-system")) is MutualTLSMode.PERMISSIVE


def test_the_narrower_policy_counts() -> None:
    """A port's word comes before the workload's, that before the namespace's, that before the mesh's."""
    namespace, workload = policy("n", DISABLE), policy("w", PERMISSIVE, app="a", ports={"81": STRICT})
    assert mode(ROOT) is MutualTLSMode.STRICT
    assert mode(ROOT, namespace) is MutualTLSMode.DISABLE
    assert mode(ROOT, namespace, workload) is MutualTLSMode.PERMISSIVE
    assert mode(ROOT, namespace, workload, port=81) is MutualTLSMode.STRICT
    assert mode(ROOT, namespace, workload, app="b") is MutualTLSMode.DISABLE
    assert mode(ROOT, namespace, workload, namespace="other") is MutualTLSMode.STRICT


def test_what_is_unset_is_what_the_wider_policy_says() -> None:
    """UNSET, no mode and no mtls at all inherit, at every level."""
    assert mode(ROOT, policy("n", UNSET)) is MutualTLSMode.STRICT
    workload = policy("w", app="a", ports={"80": UNSET, "81": DISABLE})
    assert mode(ROOT, policy("n", PERMISSIVE), workload) is MutualTLSMode.PERMISSIVE
    assert mode(ROOT, workload) is MutualTLSMode.STRICT
    assert mode(ROOT, workload, port=81) is MutualTLSMode.DISABLE


def test_a_selector_in_the_root_namespace_is_for_that_namespace() -> None:
    """It chooses among the workloads of its own namespace, as anywhere else."""
    chosen = policy("w", DISABLE, namespace="istio-system", app="a")
    assert mode(ROOT, chosen) is MutualTLSMode.STRICT
    assert mode(ROOT, chosen, namespace="istio-system") is MutualTLSMode.DISABLE


def test_the_older_of_two_counts_and_the_other_hears_of_it() -> None:
    """For the mesh, a namespace and a workload alike."""
    mesh = Sandbox()
    for each in (
        ROOT,
        policy("late", DISABLE, namespace="istio-system", day=2),
        policy("n1", DISABLE),
        policy("n2", STRICT, day=2),
        policy("w1", PERMISSIVE, app="a"),
        policy("w2", STRICT, app="a", day=2),
    ):
        mesh.put_object(each)
    mesh.attach(replace(proxy(), labels={"app": "a"}))
    mesh.settle()
    ask = mesh.compiler.graph.ask
    assert ask(workload_policy, "default", (("app", "a"),)).general.mode is MutualTLSMode.PERMISSIVE
    assert ask(workload_policy, "default", ()).general.mode is MutualTLSMode.DISABLE
    assert ask(workload_policy, "other", ()).general.mode is MutualTLSMode.STRICT
    told = {str(each.object): each.reason for each in mesh.compiler.problems()}
    assert told == {
        "PeerAuthentication istio-system/late": Reason.CONFLICT,
        "PeerAuthentication default/n2": Reason.CONFLICT,
        "PeerAuthentication default/w2": Reason.CONFLICT,
    }


def _mesh() -> tuple[Sandbox, list[str]]:
    mesh = Sandbox()
    nodes = []
    for index, app in enumerate(("a", "b")):
        address = f"10.0.0.{index + 1}"
        mesh.put_service(service(app), Endpoint(address))
        node = replace(
            proxy(address, name=app),
            labels={"app": app},
            identity=SpiffeID("cluster.local", "default", app),
        )
        nodes.append(mesh.attach(node))
    mesh.settle()
    return mesh, nodes


def test_a_mode_changes_the_inbound_listener_of_the_workloads_meant_and_nothing_else() -> None:
    """One workload's policy makes one listener; all else of the mesh stays as it is."""
    mesh, (chosen, other) = _mesh()
    kept = mesh.snapshot.assigned[other]
    before = mesh.compiler.encoded.copy()
    mesh.put_object(policy("a", STRICT, app="a"))
    change = mesh.settle()
    made = mesh.compiler.encoded - before
    assert made == {LISTENER: 1}
    assert list(change.assigned) == [chosen]
    assert mesh.snapshot.assigned[other] == kept


def _taking(mesh: Sandbox, node: str) -> dict[str, bool]:
    """Which endpoints of the service ``a`` callers send mutual TLS."""
    cluster = outbound_cluster_name(9080, "", "a.default.svc.cluster.local")
    found = {}
    for group in mesh.message(node, ENDPOINT, cluster).endpoints:
        for each in group.lb_endpoints:
            mode = each.metadata.filter_metadata["envoy.transport_socket_match"].fields["tlsMode"]
            found[each.endpoint.address.socket_address.address] = mode.string_value == "istio"
    return found


def test_callers_send_no_mutual_tls_where_it_is_disabled() -> None:
    """By the mesh, the namespace, the workload or its port: endpoints are told apart by their labels, and only then."""
    mesh = Sandbox()
    able = {"security.istio.io/tlsMode": "istio"}
    endpoints = [
        Endpoint("10.0.0.1", labels={"app": "a", **able}),
        Endpoint("10.0.0.2", labels={"app": "b", **able}),
        Endpoint("10.0.0.3", labels={"app": "a"}),
    ]
    mesh.put_service(service("a"), *endpoints)
    node = mesh.attach(
        replace(proxy("10.0.0.9", name="c"), identity=SpiffeID("cluster.local", "default", "c"))
    )
    mesh.settle()
    either = {"10.0.0.1": True, "10.0.0.2": True, "10.0.0.3": False}
    assert _taking(mesh, node) == either
    for added, expected in (
        (policy("default", DISABLE, namespace="istio-system"), dict.fromkeys(either, False)),
        (policy("n", STRICT), either),
        (policy("w", DISABLE, app="a"), {**either, "10.0.0.1": False}),
        (policy("w", STRICT, app="a", ports={"9080": DISABLE}), {**either, "10.0.0.1": False}),
        (policy("w", STRICT, app="a", ports={"9081": DISABLE}), either),
        (policy("other", DISABLE, namespace="elsewhere"), either),
    ):
        mesh.put_object(added)
        mesh.settle()
        assert _taking(mesh, node) == expected, added


def test_a_mode_that_disables_nothing_makes_no_endpoints() -> None:
    """From PERMISSIVE to STRICT callers hear nothing; to DISABLE they are told the endpoints of that service again."""
    mesh, _ = _mesh()
    mesh.put_service(
        service("a"), Endpoint("10.0.0.1", labels={"app": "a", "security.istio.io/tlsMode": "istio"})
    )
    mesh.settle()
    before = mesh.compiler.encoded.copy()
    mesh.put_object(policy("a", STRICT, app="a"))
    mesh.settle()
    assert ENDPOINT not in mesh.compiler.encoded - before
    mesh.put_object(policy("a", DISABLE, app="a"))
    mesh.settle()
    made = mesh.compiler.encoded - before
    assert made[ENDPOINT] == 1
    assert CLUSTER not in made


def test_tls_of_a_sidecars_own_is_told_where_peers_alone_are_taken() -> None:
    """An ingress listener's TLS has no effect under STRICT; its owner hears which policy says so."""
    mesh = Sandbox()
    tls = {"mode": "SIMPLE", "serverCertificate": "/c.pem", "privateKey": "/k.pem"}
    listener = {"port": {"number": 9080, "protocol": "HTTPS", "name": "https"}, "tls": tls}
    spec = Sidecar.model_validate({"ingress": [listener]})
    mesh.put_object(
        Object("networking.istio.io/v1", "Sidecar", Metadata("default", "own", creation_timestamp=""), spec)
    )
    mesh.attach(replace(proxy("10.0.0.1"), identity=SpiffeID("cluster.local", "default", "a")))
    mesh.settle()
    assert list(mesh.compiler.problems()) == []
    mesh.put_object(policy("strict", STRICT))
    mesh.settle()
    (problem,) = mesh.compiler.problems()
    assert (str(problem.object), problem.path) == ("Sidecar default/own", "spec.ingress[0].tls")
    assert "PeerAuthentication default/strict" in problem.message


def test_an_unproven_proxy_takes_nothing_where_strict_is_asked_and_its_owner_hears_why() -> None:
    """The policy is told which proxy it closes, once the proxy has an identity no more."""
    mesh = Sandbox()
    mesh.put_service(service("a"), Endpoint("10.0.0.1"))
    mesh.put_object(policy("strict", STRICT))
    node = proxy("10.0.0.1")
    mesh.attach(node)
    mesh.settle()
    (problem,) = mesh.compiler.problems()
    assert problem.reason is Reason.UNAVAILABLE
    assert "default/a: its proxy proved no identity" in problem.message
    mesh.attach(replace(node, identity=SpiffeID("cluster.local", "default", "a")))
    mesh.settle()
    assert list(mesh.compiler.problems()) == []


def test_a_port_of_the_service_instead_of_the_workloads_is_told() -> None:
    """Once the workload is connected; the port at which it is served is no mistake, nor is one that means nothing here."""
    mesh = Sandbox()
    http = Port(80, "http", Protocol.HTTP, 8080)
    declared = replace(service("a"), ports=(http,))
    mesh.put_service(declared, Endpoint("10.1.0.1", labels={"app": "a"}))
    mesh.put_object(policy("w", STRICT, app="a", ports={"80": DISABLE, "8080": DISABLE, "7": DISABLE}))
    mesh.settle()
    assert list(mesh.compiler.problems()) == []
    mesh.attach(replace(proxy(), labels={"app": "a"}, identity=SpiffeID("cluster.local", "default", "a")))
    mesh.settle()
    (problem,) = mesh.compiler.problems()
    assert (problem.reason, problem.path) == (Reason.BROKEN_REFERENCE, "spec.portLevelMtls.80")
    assert problem.message == (
        "has no effect: 80 is a port of the service a.default.svc.cluster.local, whose workloads are served at 8080; write"
        " that"
    )
    mesh.put_object(policy("w", STRICT, app="a", ports={"8080": DISABLE}))
    mesh.settle()
    assert list(mesh.compiler.problems()) == []
