"""What leads to a proxy's own admin page."""

from typing import Any

import pytest

from xdsd.model.admin_page import admin_port, exposing
from xdsd.model.intent import KINDS, MeshProxyConfig, Metadata, Object
from xdsd.model.started import DEFAULT_ADMIN_PORT

PORT = {"number": 80, "name": "http", "protocol": "HTTP"}


def obj(kind: str, spec: Any) -> Object[Any]:
    return Object(
        "networking.istio.io/v1", kind, Metadata("shop", "a"), KINDS[kind].spec.model_validate(spec)
    )


def ingress(endpoint: str | None, number: int = 80) -> Object[Any]:
    return obj("Sidecar", {"ingress": [{"port": {**PORT, "number": number}, "defaultEndpoint": endpoint}]})


def server(endpoint: str | None) -> Object[Any]:
    listed = {"port": {**PORT, "number": 15000}, "hosts": ["*"], "defaultEndpoint": endpoint}
    return obj("Gateway", {"selector": {"app": "edge"}, "servers": [listed]})


def entry(address: str, **endpoint: Any) -> Object[Any]:
    spec = {
        "hosts": ["a.com"],
        "ports": [{**PORT, "targetPort": 15000}],
        "resolution": "STATIC",
        "endpoints": [{"address": address, **endpoint}],
    }
    return obj("ServiceEntry", spec)


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (ingress("127.0.0.1:15000"), "spec.ingress[0].defaultEndpoint"),
        (ingress("[::1]:15000"), "spec.ingress[0].defaultEndpoint"),
        (ingress(None, 15000), "spec.ingress[0].port.number"),
        (ingress("127.0.0.1:8080", 15000), ""),
        (ingress("127.0.0.1:15001"), ""),
        (ingress("0.0.0.0:15000"), ""),
        (ingress("unix:///run/a:15000"), ""),
        (server("127.0.0.1:15000"), "spec.servers[0].defaultEndpoint"),
        (server("127.0.0.1:15001"), ""),
        (server(None), ""),
        (entry("127.0.0.1"), "spec.endpoints[0].address"),
        (entry("127.0.0.1", ports={"http": 8080}), ""),
        (entry("10.0.0.1"), ""),
        (obj("WorkloadEntry", {"address": "::1", "ports": {"http": 15000}}), "spec.ports.http"),
        (obj("PeerAuthentication", {}), ""),
    ],
)
def test_what_leads_to_the_admin_page_is_refused(found: Object[Any], path: str) -> None:
    """It is at a port of loopback; other ports, and that port elsewhere, are programs."""
    problems = exposing(found, DEFAULT_ADMIN_PORT)
    assert [each.path for each in problems] == ([path] if path else [])
    assert all("own admin page, at port 15000 of loopback" in each.message for each in problems)
    assert exposing(found, 15999) == []


def test_the_mesh_says_where_the_page_is() -> None:
    """Else it is where bootstraps have it."""
    assert admin_port(None) == admin_port(MeshProxyConfig()) == 15000
    assert admin_port(MeshProxyConfig.model_validate({"proxyAdminPort": 15999})) == 15999
