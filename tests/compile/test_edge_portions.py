"""Gateways with very many servers or rules: the same listeners, made in steps of portions."""

from typing import Any

import pytest

from tests.compile.worlds import API, Sandbox, router, service, virtual_service
from xdsd.compile.gateways import merge_gateways
from xdsd.compile.layers import edge_connections, edge_tcp, edge_tls
from xdsd.model.catalog import Endpoint, Protocol
from xdsd.model.intent import Gateway, Metadata, Object, VirtualService
from xdsd.snapshot import LISTENER

MANY = 450
PORT = "0.0.0.0_443"


def gateway(*servers: dict[str, Any], name: str = "edge", created: str = "") -> Object[Any]:
    spec = Gateway.model_validate({"selector": {"istio": "ingressgateway"}, "servers": list(servers)})
    return Object(API, "Gateway", Metadata("default", name, creation_timestamp=created), spec)


def through(number: int = 443) -> dict[str, Any]:
    port = {"number": number, "name": f"tls{number}", "protocol": "TLS"}
    return {"port": port, "hosts": ["*"], "tls": {"mode": "PASSTHROUGH"}}


def secure(name: str, host: str) -> dict[str, Any]:
    tls = {"mode": "SIMPLE", "serverCertificate": f"/{name}.pem", "privateKey": f"/{name}.key"}
    return {"port": {"number": 443, "name": name, "protocol": "HTTPS"}, "hosts": [host], "tls": tls}


def rules(count: int) -> Object[Any]:
    """Rules of which the later ones are wider than the earlier ones, and the last takes all."""
    names = [f"h{number}.{'a.' if number % 2 else ''}example.com" for number in range(count - 2)]
    names += ["*.a.example.com", "*.example.com"]
    tls = [
        {"match": [{"sniHosts": [name]}], "route": [{"destination": {"host": "ab"[at % 2]}}]}
        for at, name in enumerate(names)
    ]
    spec = VirtualService.model_validate({"hosts": ["*.example.com"], "gateways": ["edge"], "tls": tls})
    return Object(API, "VirtualService", Metadata("default", "v"), spec)


def served(*objects: Object[Any]) -> Sandbox:
    made = Sandbox()
    for name in "ab":
        made.put_service(service(name, protocol=Protocol.TLS, port=443), Endpoint("10.1.0.1"))
    for each in objects:
        made.put_object(each)
    made.attach(router())
    made.settle()
    assert made.compiler.faults() == []
    return made


def in_portions(size: int, *objects: Object[Any]) -> dict[tuple[str, str], str]:
    """The versions of what the gateway is served, made in portions of this size."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((edge_connections, "PORTION"), (edge_tcp, "PORTION"), (edge_tls, "_PORTION")):
            patch.setattr(module, name, size)
        return served(*objects).versions(router().node_id)


def test_rules_in_portions_lead_where_they_would_at_once() -> None:
    """Byte for byte, also where rules of several portions overlap."""
    objects = (gateway(through()), rules(MANY))
    assert in_portions(7, *objects) == in_portions(10 * MANY, *objects)
    assert len(served(*objects).message(router().node_id, LISTENER, PORT).filter_chains) == MANY


def test_servers_in_portions_are_those_at_once() -> None:
    """Each with its own certificate and routes."""
    shown = virtual_service("v", "*.example.com", to="a", gateways=("edge",))
    objects = (gateway(*(secure(f"s{at}", f"h{at}.example.com") for at in range(60))), shown)
    assert in_portions(7, *objects) == in_portions(MANY, *objects)


def test_no_step_makes_more_than_a_portion() -> None:
    """What lists the layer's members finds the targets made, a portion a step."""
    made = Sandbox()
    for name in "ab":
        made.put_service(service(name, protocol=Protocol.TLS, port=443), Endpoint("10.1.0.1"))
    for each in (gateway(through()), rules(MANY)):
        made.put_object(each)
    made.attach(router())
    computed: list[int] = []
    before = made.compiler.graph.computed
    for _ in made.compiler.steps():
        computed.append(made.compiler.graph.computed - before)
        before = made.compiler.graph.computed
    portions = {
        cell.arguments[-1]
        for cell in made.compiler.graph._queries.values()
        if cell.compute in (edge_connections.port_targets, edge_tcp.tcp_chains)
    }
    assert portions == {0, 200, 400}
    assert max(computed) < 60


def test_thousands_of_servers_are_merged_in_a_moment() -> None:
    """Each name is looked up once, not compared with every other; the older server of a name keeps it."""
    servers = [secure(f"s{at}", f"h{at}.example.com") for at in range(3000)]
    late = gateway(secure("late", "h2999.example.com"), name="late", created="2026-01-02T00:00:00Z")
    (port,), (problem,) = merge_gateways([late, gateway(*servers)])
    assert len(port.servers) == 3000
    assert problem.object == late.ref
    assert "Gateway default/edge spec.servers[2999]" in problem.message
