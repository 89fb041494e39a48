"""Which namespaces' proxies may count by a RateLimit."""

from typing import Any

import pytest

from xdsd.compile.compiler import Compiler
from xdsd.manifest import parse_object
from xdsd.model.mesh import MeshSettings

GLOBAL = {"global": {"limits": [{"name": "all", "limit": {"requests": 1, "unit": "MINUTE"}}]}}
AT_ROUTES = {"targetRefs": [{"kind": "VirtualService", "name": "one"}], **GLOBAL}
ROUTES = {"hosts": ["a.example"], "http": [{"route": [{"destination": {"host": "a.example"}}]}]}
GATEWAY = {
    "selector": {"app": "edge"},
    "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
}


def askers(*objects: tuple[str, dict[str, Any]], namespace: str = "shop") -> set[str] | None:
    """Those of the only rule that some objects make."""
    compiler = Compiler(MeshSettings())
    for kind, spec in objects:
        group = "policy.xdsd.io/v1" if kind == "RateLimit" else "networking.istio.io/v1"
        head = {"apiVersion": group, "kind": kind, "metadata": {"name": "one", "namespace": namespace}}
        made = parse_object({**head, "spec": spec})
        assert not isinstance(made, list), [str(each) for each in made]
        compiler.world.put_object(made)
    for _ in compiler.steps():
        pass
    (rule,) = compiler.limit_rules
    return None if rule.namespaces is None else set(rule.namespaces)


def test_a_limit_of_workloads_is_for_their_namespace() -> None:
    """In the root namespace for all."""
    assert askers(("RateLimit", GLOBAL)) == {"shop"}
    assert askers(("RateLimit", {"selector": {"matchLabels": {"app": "a"}}, **GLOBAL})) == {"shop"}
    assert askers(("RateLimit", GLOBAL), namespace="istio-system") is None


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"exportTo": ["."]}, {"shop"}),
        ({"exportTo": [".", "front"]}, {"shop", "front"}),
        ({}, None),
        ({"exportTo": ["."], "gateways": ["mesh"]}, {"shop"}),
        ({"exportTo": ["."], "gateways": ["mesh", "edge"]}, None),
    ],
)
def test_a_limit_of_routes_is_for_all_that_route_so(more: dict[str, Any], wanted: set[str] | None) -> None:
    """Whom they are exported to, and everybody where gateways have them, which may be in any namespace."""
    assert askers(("VirtualService", {**ROUTES, **more}), ("RateLimit", AT_ROUTES)) == wanted


def test_a_limit_of_a_gateway_may_be_anybodys() -> None:
    """Its proxies are found by labels in all namespaces."""
    limits = {"targetRefs": [{"kind": "Gateway", "name": "one"}], **GLOBAL}
    assert askers(("Gateway", GATEWAY), ("RateLimit", limits)) is None


def test_a_limit_of_routes_that_are_not_there_is_for_its_own_namespace() -> None:
    """They may come."""
    assert askers(("RateLimit", AT_ROUTES)) == {"shop"}
