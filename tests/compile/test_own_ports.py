"""Ports that proxies need themselves, and those that names of all meshes may not have."""

from dataclasses import replace

import pytest

from tests.compile.test_starts import mesh_config
from tests.compile.worlds import Sandbox, proxy, service
from xdsd.compile.names import PASSTHROUGH_CLUSTER
from xdsd.model.catalog import Endpoint, Port, Protocol, Resolution, Service
from xdsd.model.mesh import Interception, Proxy
from xdsd.snapshot import LISTENER, ROUTE

AT = "127.0.1.10"
EXPLICIT = replace(proxy(interception=Interception.NONE), bind=AT)


def everywhere(name: str, port: int, protocol: Protocol) -> Service:
    """A service of a peer."""
    ports = (Port(port, "p", protocol, port),)
    return Service("shop", f"{name}.shop.global", ports, resolution=Resolution.STATIC, created="~~")


def told(mesh: Sandbox) -> list[str]:
    mesh.settle()
    return sorted({each.message for each in mesh.compiler.problems() if "not served" in each.message})


@pytest.mark.parametrize("port", [15001, 15006])
@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.TCP, Protocol.TLS, Protocol.AUTO])
@pytest.mark.parametrize("ipv6", [False, True])
def test_where_redirected_connections_arrive_nothing_else_is(
    port: int, protocol: Protocol, *, ipv6: bool
) -> None:
    """Envoy takes one listener at a place, and it may be the wrong one; at an address of its own a service is served."""
    mesh = Sandbox()
    taker = service("taker", port=port, protocol=protocol)
    mesh.put_service(taker, Endpoint("10.0.0.1"))
    mesh.put_service(service("other"), Endpoint("10.0.0.2"))
    node = mesh.attach(proxy("fd00::9" if ipv6 else "10.1.0.1"))
    (message,) = told(mesh)
    assert message.startswith(f"port {port} ({protocol}) of taker.default.svc.cluster.local is not served")
    anywhere = "::" if ipv6 else "0.0.0.0"
    assert f"{anywhere}_{port}" not in mesh.names(node, LISTENER)
    assert {"virtualOutbound", "virtualInbound", f"{anywhere}_9080"} <= mesh.names(node, LISTENER)
    if protocol is not Protocol.HTTP:
        own = "fd00::5" if ipv6 else "10.5.0.1"
        mesh.put_service(replace(taker, addresses=(own,)), Endpoint("10.0.0.1"))
        assert told(mesh) == []
        assert f"{own}_{port}" in mesh.names(node, LISTENER)


def test_without_redirection_these_are_ports_like_others() -> None:
    """The admin page is not, nor where the proxy answers DNS: who asks there by TCP asks no service."""
    mesh = Sandbox()
    for port in (53, 15000, 15001, 15006):
        mesh.put_service(everywhere(f"p{port}", port, Protocol.TCP), Endpoint("10.0.0.1"))
    node = mesh.attach(replace(EXPLICIT, dns=f"{AT}:53"))
    (message,) = told(mesh)
    assert message.startswith("port 53 (TCP) of p53.shop.global is not served")
    listeners = mesh.names(node, LISTENER)
    assert {f"{AT}_15000", f"{AT}_15001", f"{AT}_15006", "dns"} <= listeners
    assert f"{AT}_53" not in listeners
    mesh.attach(replace(EXPLICIT, bind="127.0.0.1"))
    (message,) = told(mesh)
    assert "p15000.shop.global" in message
    assert "127.0.0.1_15000" not in mesh.names(node, LISTENER)
    assert "127.0.0.1_53" in mesh.names(node, LISTENER)
    mesh.put_object(mesh_config(proxyAdminPort=15006))
    (message,) = told(mesh)
    assert "p15006.shop.global" in message


@pytest.mark.parametrize("workload", [proxy(), EXPLICIT])
def test_a_name_of_all_meshes_takes_nothing_of_a_port_whose_protocol_is_not_declared(workload: Proxy) -> None:
    """What is not HTTP there belongs to the one service of the mesh that is not declared, as it did without peers."""
    mesh = Sandbox()
    mesh.put_service(service("own", protocol=Protocol.AUTO), Endpoint("10.0.0.1"))
    node = mesh.attach(workload)
    mesh.settle()
    at = f"{'127.0.1.10' if workload is EXPLICIT else '0.0.0.0'}_9080"
    before = mesh.versions(node)[LISTENER, at]
    mesh.put_service(everywhere("own", 9080, Protocol.AUTO), Endpoint("10.0.0.1"))
    mesh.settle()
    assert mesh.versions(node)[LISTENER, at] == before


def test_a_name_of_all_meshes_takes_no_port_at_every_address() -> None:
    """Whatever is called there at some address would be led to it, such as to a resolver; told by host, name or address it
    is served.
    """
    mesh = Sandbox()
    mesh.put_service(everywhere("tcp", 53, Protocol.TCP), Endpoint("10.0.0.1"))
    mesh.put_service(everywhere("auto", 54, Protocol.AUTO), Endpoint("10.0.0.1"))
    mesh.put_service(everywhere("http", 55, Protocol.HTTP), Endpoint("10.0.0.1"))
    mesh.put_service(everywhere("tls", 56, Protocol.TLS), Endpoint("10.0.0.1"))
    node = mesh.attach(proxy())
    (message,) = told(mesh)
    assert message.startswith("port 53 (TCP) of tcp.shop.global is not served")
    listeners = mesh.names(node, LISTENER)
    assert {f"0.0.0.0_{port}" for port in (54, 55, 56)} <= listeners
    assert "0.0.0.0_53" not in listeners
    for port in (54, 55, 56):
        listener = mesh.message(node, LISTENER, f"0.0.0.0_{port}")
        assert PASSTHROUGH_CLUSTER in str(listener.default_filter_chain)
    assert {"54", "55"} <= mesh.names(node, ROUTE)
    mesh.attach(replace(proxy(), dns="127.0.0.1:15053"))
    assert told(mesh) == []
    assert [name for name in mesh.names(node, LISTENER) if name.endswith("_53")] not in ([], ["0.0.0.0_53"])
    mesh.attach(EXPLICIT)
    assert told(mesh) == []
    assert f"{AT}_53" in mesh.names(node, LISTENER)
