"""Proxies that discover virtual hosts: who does, and what changes cost."""

from dataclasses import replace

import pytest

from tests.compile.worlds import Sandbox, service, virtual_service
from xdsd.compile.proxies import proxy_of
from xdsd.model.catalog import Endpoint
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node
from xdsd.snapshot import ROUTE, VIRTUAL_HOST

ID = "sidecar~10.1.0.9~client.default~default.svc.cluster.local"
ENVOY = Node(ID, user_agent="envoy", version="1.40.0", incremental=True)
SHELL = "9080.vhds"


def host(name: str) -> str:
    return f"{SHELL}/{name}.default.svc.cluster.local:9080"


@pytest.fixture
def mesh() -> Sandbox:
    """Two services, and a proxy that discovers hosts."""
    made = Sandbox(MeshSettings(vhds=True))
    for name in "ab":
        made.put_service(service(name), Endpoint("10.1.0.1"))
    made.attach(proxy_of(ENVOY))
    made.settle()
    return made


@pytest.mark.parametrize(
    ("node", "discovers"),
    [
        (ENVOY, True),
        (Node(ID, user_agent="envoy", version="2.0.1", incremental=True), True),
        (Node(ID, user_agent="envoy", version="1.39.9", incremental=True), False),
        (Node(ID, user_agent="envoy", version="1.40.0"), False),
        (Node(ID, user_agent="grpc", version="1.85.0", incremental=True), False),
        (Node(ID, user_agent="envoy", incremental=True), False),
        (Node(ID, user_agent="envoy", version="x.y.z", incremental=True), False),
    ],
)
def test_only_an_envoy_that_can_discovers_hosts(node: Node, *, discovers: bool) -> None:
    """By its version, and by the stream that it opened: any other would refuse the shell, or never hear of the hosts."""
    made = Sandbox(MeshSettings(vhds=True))
    made.put_service(service("a"), Endpoint("10.1.0.1"))
    made.attach(proxy_of(node))
    made.settle()
    assert made.names(ID, ROUTE) == {SHELL if discovers else "9080"}
    assert bool(made.names(ID, VIRTUAL_HOST)) is discovers


def test_nobody_discovers_hosts_unless_the_mesh_does(mesh: Sandbox) -> None:
    """The setting may change at any time."""
    mesh.compiler.configure(MeshSettings())
    mesh.settle()
    assert (mesh.names(ID, ROUTE), mesh.names(ID, VIRTUAL_HOST)) == ({"9080"}, set())
    mesh.compiler.configure(MeshSettings(vhds=True))
    mesh.settle()
    assert mesh.names(ID, ROUTE) == {SHELL}


def test_an_edit_of_routes_is_one_host(mesh: Sandbox) -> None:
    """The shell and all other hosts are what they were."""
    mesh.put_object(virtual_service("a", "a", to="b"))
    (layer,) = mesh.settle().layers
    assert ([each.name for each in layer.upserts], layer.removed) == ([host("a")], ())


def test_a_service_that_comes_is_one_host_and_one_that_goes_is_one_less(mesh: Sandbox) -> None:
    """No other route changes."""
    before = mesh.names(ID, VIRTUAL_HOST)
    assert before == {host("a"), host("b"), f"{SHELL}/*"}
    mesh.put_service(service("c"), Endpoint("10.1.0.1"))
    changed = {each.name for part in mesh.settle().layers for each in part.upserts if "vhds" in each.name}
    assert changed == {host("c")}
    mesh.drop_service("c")
    gone = {name for part in mesh.settle().layers for _, name in part.removed if "vhds" in name}
    assert gone == {host("c")}
    assert mesh.names(ID, VIRTUAL_HOST) == before


def test_a_host_that_no_service_has_gives_way_to_the_service(mesh: Sandbox) -> None:
    """Both have one name, and there is one of them at any time."""
    routed = virtual_service("extra", "extra", to="a")
    mesh.put_object(replace(routed, spec=routed.spec.model_copy(update={"hosts": ("a", "extra")})))
    mesh.settle()
    extra = host("extra")
    assert extra in mesh.names(ID, VIRTUAL_HOST)
    mesh.put_service(service("extra"), Endpoint("10.1.0.1"))
    mesh.settle()
    assert extra in mesh.names(ID, VIRTUAL_HOST)
    mesh.drop_service("extra")
    mesh.settle()
    fresh = mesh.again()
    fresh.attach(proxy_of(ENVOY))
    fresh.settle()
    assert fresh.names(ID, VIRTUAL_HOST) == mesh.names(ID, VIRTUAL_HOST)


def test_a_domain_that_two_hosts_want_is_given_to_one(mesh: Sandbox) -> None:
    """Envoy would refuse all hosts of both; who had it keeps it, and it is given back when the other is gone."""
    named = replace(service("a"), hostname="a.default")
    mesh.put_service(named, Endpoint("10.1.0.2"))
    mesh.settle()
    domains = [
        domain
        for name in mesh.names(ID, VIRTUAL_HOST)
        for domain in mesh.message(ID, VIRTUAL_HOST, name).domains
    ]
    assert len(domains) == len(set(domains))
    assert "a.default" in mesh.message(ID, VIRTUAL_HOST, f"{SHELL}/a.default:9080").domains
    mesh.compiler.world.put_service(named.key, None)
    mesh.settle()
    assert "a.default" in mesh.message(ID, VIRTUAL_HOST, host("a")).domains
