"""What would lead to a proxy's own admin page is left out."""

from dataclasses import replace
from typing import Any

import pytest

from tests.compile.test_starts import mesh_config
from tests.compile.worlds import API, Sandbox, proxy, router, service
from xdsd.model.catalog import Endpoint
from xdsd.model.intent import Gateway, Metadata, Object, Sidecar
from xdsd.model.mesh import Interception
from xdsd.snapshot import CLUSTER, LISTENER

ADDRESS = "10.1.0.1"
PAGE = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "defaultEndpoint": "127.0.0.1:15000"}
PROGRAM = {"port": {"number": 81, "name": "own", "protocol": "HTTP"}, "defaultEndpoint": "127.0.0.1:8080"}


def paths(mesh: Sandbox) -> list[str]:
    mesh.settle()
    return [f"{each.object} {each.path}".rstrip() for each in mesh.compiler.problems()]


def declared(kind: str, spec: Any) -> Object[Any]:
    return Object(API, kind, Metadata("default", "a"), spec)


@pytest.mark.parametrize("interception", list(Interception))
def test_an_ingress_listener_does_not_lead_there(interception: Interception) -> None:
    """It alone is left out, for proxies whose page is at that port, as they or the mesh say; 15000 if nobody does."""
    mesh = Sandbox()
    spec = {"ingress": [PAGE, PROGRAM], "egress": [{"hosts": ["*/*"]}]}
    mesh.put_object(declared("Sidecar", Sidecar.model_validate(spec)))
    workload = proxy(ADDRESS, interception=interception)
    node = mesh.attach(workload)
    assert paths(mesh) == ["Sidecar default/a spec.ingress[0].defaultEndpoint"]
    assert "inbound|81||" in mesh.names(node, CLUSTER)
    assert "inbound|80||" not in mesh.names(node, CLUSTER)
    assert f"{ADDRESS}_80" not in mesh.names(node, LISTENER)
    mesh.attach(replace(workload, start={"proxyAdminPort": 15999.0}))
    assert paths(mesh) == []
    assert "inbound|80||" in mesh.names(node, CLUSTER)


def test_a_service_at_the_port_of_the_page_is_not_served() -> None:
    """Its owner hears of it; where the mesh has the page elsewhere, it is a program like others."""
    mesh = Sandbox()
    mesh.put_service(service("reviews", port=15000), Endpoint(ADDRESS))
    node = mesh.attach(proxy(ADDRESS, interception=Interception.NONE))
    assert set(paths(mesh)) == {"Service default/reviews.default.svc.cluster.local"}
    assert f"{ADDRESS}_15000" not in mesh.names(node, LISTENER)
    mesh.put_object(mesh_config(proxyAdminPort=15999))
    mesh.settle()
    assert f"{ADDRESS}_15000" in mesh.names(node, LISTENER)
    assert "Service default/reviews.default.svc.cluster.local" not in paths(mesh)


def test_a_gateway_does_not_lead_there() -> None:
    """Its server is open for what rules lead elsewhere."""
    mesh = Sandbox()
    servers = [{**PAGE, "hosts": ["*"]}, {**PROGRAM, "hosts": ["*"]}]
    spec = Gateway.model_validate({"selector": {"istio": "ingressgateway"}, "servers": servers})
    mesh.put_object(declared("Gateway", spec))
    edge = mesh.attach(router())
    assert paths(mesh) == ["Gateway default/a spec.servers[0].defaultEndpoint"]
    assert "0.0.0.0_80" in mesh.names(edge, LISTENER)
    assert "inbound|15000||127.0.0.1" not in mesh.names(edge, CLUSTER)
    assert "inbound|8080||127.0.0.1" in mesh.names(edge, CLUSTER)
