"""VirtualServices with very many rules: the same routes, made in steps that are all short."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from envoy.config.route.v3.route_components_pb2 import Route

from tests.compile.worlds import Sandbox, gateway, router, service, virtual_service
from xdsd.compile.layers import portions
from xdsd.compile.proxies import proxy_of
from xdsd.compile.routes import rule_routes
from xdsd.compile.world import MANY_RULES
from xdsd.model.catalog import Endpoint
from xdsd.model.intent import Object, VirtualService
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node
from xdsd.snapshot import ROUTE, VIRTUAL_HOST

ID = "sidecar~10.1.0.9~client.default~default.svc.cluster.local"
RULES = 2000


def large(rules: int, *, timeout: str = "1s", catch_all: int = -1, **more: Any) -> Object[VirtualService]:
    """A VirtualService with so many rules, of which one may take everything."""
    http = [
        {
            "match": [{"uri": {"prefix": "/" if number == catch_all else f"/{number}"}}],
            "route": [{"destination": {"host": "a"}}],
            "timeout": timeout,
        }
        for number in range(rules)
    ]
    spec = VirtualService.model_validate({"hosts": ["a"], "http": http, **more})
    return replace(virtual_service("large", "a", to="a"), spec=spec)


@pytest.fixture(params=[False, True], ids=["inline", "discovered"])
def mesh(request: pytest.FixtureRequest) -> Sandbox:
    made = Sandbox(MeshSettings(vhds=request.param))
    made.put_service(service("a"), Endpoint("10.1.0.1"))
    made.put_object(gateway("edge", 8080))
    made.attach(proxy_of(Node(ID, user_agent="envoy", version="1.40.0", incremental=True)))
    made.attach(router())
    made.settle()
    return made


def prefixes(mesh: Sandbox) -> list[str]:
    """What the sidecar's routes to the service match, in order."""
    if mesh.names(ID, VIRTUAL_HOST):
        host = mesh.message(ID, VIRTUAL_HOST, "9080.vhds/a.default.svc.cluster.local:9080")
    else:
        (host,) = (
            each for each in mesh.message(ID, ROUTE, "9080").virtual_hosts if each.name.startswith("a.")
        )
    return [route.match.path_separated_prefix or route.match.prefix for route in host.routes]


@pytest.mark.parametrize("rules", [1, MANY_RULES, MANY_RULES + 1, RULES])
def test_every_rule_has_its_route_in_its_place(mesh: Sandbox, rules: int) -> None:
    """Wherever the portions end."""
    mesh.put_object(large(rules))
    mesh.settle()
    assert [each.strip("/") for each in prefixes(mesh)] == [str(number) for number in range(rules)]


@pytest.mark.parametrize("at", [0, MANY_RULES - 1, MANY_RULES, 3 * MANY_RULES + 5])
def test_nothing_comes_after_a_rule_that_takes_everything(mesh: Sandbox, at: int) -> None:
    """Whichever portion it is in."""
    mesh.put_object(large(RULES, catch_all=at))
    mesh.settle()
    assert len(prefixes(mesh)) == at + 1


def test_no_step_makes_more_than_a_portion(mesh: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the object comes, when it is edited, and when it shows at a gateway too."""
    made = 0

    def counted(rules: Iterable[Any], *others: Any) -> list[Route]:
        nonlocal made
        routes = rule_routes(rules, *others)
        made += len(routes)
        return routes

    monkeypatch.setattr(portions, "rule_routes", counted)
    for each in (
        large(RULES),
        large(RULES, timeout="2s"),
        large(RULES, gateways=["edge", "mesh"]),
        large(RULES, gateways=["edge", "mesh"], timeout="2s"),
    ):
        mesh.put_object(each)
        total = 0
        for _ in mesh.compiler.steps():
            assert made <= MANY_RULES
            total, made = total + made, 0
        assert total >= RULES


def test_a_delegate_with_very_many_rules_is_read_in_portions(mesh: Sandbox) -> None:
    """Its root counts as large with it, as long as there is one."""
    many = large(RULES)
    mesh.put_object(replace(many, spec=many.spec.model_copy(update={"hosts": ()})))
    root = {"hosts": ["a"], "http": [{"delegate": {"name": "large"}}]}
    mesh.put_object(replace(virtual_service("root", "a", to="a"), spec=VirtualService.model_validate(root)))
    mesh.settle()
    assert len(prefixes(mesh)) == RULES
    mesh.drop_object("VirtualService", "large")
    mesh.settle()
    assert prefixes(mesh) == []
