"""What RateLimits say in vain, and which layers they reach."""

from typing import Any

import yaml

from tests.golden.mesh import Mesh, Outcome
from xdsd.manifest import parse_manifest
from xdsd.model.node import Node
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import EXTENSION, LISTENER, ROUTE

EDGE = Node(
    "router~10.0.0.1~edge-1.default~default.svc.cluster.local", metadata={"LABELS": {"istio": "edge"}}
)
LIMIT = {"limit": {"requests": 1, "unit": "SECOND"}}


def objects(*documents: dict[str, Any]) -> list[Any]:
    """Objects as a user writes them; Any: of all kinds."""
    manifest = parse_manifest(yaml.safe_dump_all(documents).encode(), "f.yaml")
    assert not manifest.problems, manifest.problems
    return [parsed.object for parsed in manifest.objects]


def thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    group = "policy.xdsd.io" if kind == "RateLimit" else "networking.istio.io"
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def limit(name: str, **spec: Any) -> dict[str, Any]:
    return thing("RateLimit", name, {"local": [LIMIT], **spec})


def on(name: str, section: str = "") -> list[dict[str, str]]:
    target = {"kind": "VirtualService", "name": name}
    return [{**target, "sectionName": section} if section else target]


GATEWAY = thing(
    "Gateway",
    "edge",
    {
        "selector": {"istio": "edge"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
    },
)


def routes(name: str, *rules: dict[str, Any], hosts: bool = True) -> dict[str, Any]:
    spec: dict[str, Any] = {"http": [{**rule} for rule in rules]}
    return thing(
        "VirtualService", name, {**spec, "hosts": [f"{name}.com"], "gateways": ["edge"]} if hosts else spec
    )


def reply(name: str = "", **more: Any) -> dict[str, Any]:
    return {**({"name": name} if name else {}), **(more or {"directResponse": {"status": 200}})}


def versions(outcome: Outcome, type_url: str) -> dict[str, str]:
    return {each.name: each.version for each in outcome.resources["edge"] if each.type_url == type_url}


def told(outcome: Outcome) -> list[str]:
    return [f"{problem.object} {problem.path}: {problem.message}" for problem in outcome.problems]


def edge(*documents: dict[str, Any]) -> tuple[Mesh, Outcome]:
    mesh = Mesh()
    mesh.put(objects(GATEWAY, *documents))
    mesh.attach("edge", EDGE)
    return mesh, mesh.settle()


def test_targets_that_are_not_there_are_told() -> None:
    """Until they come: the object, or the rule of that name."""
    mesh, outcome = edge(
        routes("a", reply("one")),
        limit("gone", targetRefs=[{"kind": "Gateway", "name": "none"}]),
        limit("rule", targetRefs=on("a", "two")),
    )
    assert told(outcome) == [
        "RateLimit default/gone spec.targetRefs[0].name: there is no Gateway default/none, so nothing is limited by it",
        "RateLimit default/rule spec.targetRefs[0].sectionName: no rule of VirtualService a is named 'two'; there are one",
    ]
    mesh.put(objects(routes("a", reply("two")), limit("gone", targetRefs=on("a"))))
    assert told(mesh.settle()) == []


def test_what_nobody_proves_yet_is_told() -> None:
    """A limit by certificates at gateways is a warning: requests without them are not limited."""
    local = [{**LIMIT, "descriptors": [{"source": {}}, {"claim": {"name": "sub"}}]}]
    source = "spec.local[0].descriptors[0].source"
    _, outcome = edge(limit("a", local=local))
    assert outcome.problems == ()
    at_gateway = [{"kind": "Gateway", "name": "edge"}]
    _, outcome = edge(limit("a", local=local, targetRefs=at_gateway))
    assert [each.path for each in outcome.problems if each.reason == "NotSupported"] == [source]


def test_an_edit_reaches_what_the_filter_is_told_and_nothing_else() -> None:
    """Not the listener, nor the routes; the first limit on some terms and the last do change the listener."""
    mesh, without = edge(routes("a", reply()))
    mesh.put(objects(limit("a", targetRefs=on("a"))))
    first = mesh.settle()
    mesh.put(objects(limit("a", targetRefs=on("a"), local=[{"limit": {"requests": 9, "unit": "DAY"}}])))
    second = mesh.settle()
    assert versions(first, LISTENER) == versions(second, LISTENER) != versions(without, LISTENER)
    assert versions(first, ROUTE) == versions(second, ROUTE) != versions(without, ROUTE)
    assert versions(first, EXTENSION) != versions(second, EXTENSION)
    assert versions(first, EXTENSION).keys() == versions(second, EXTENSION).keys()
    mesh.drop([ObjectRef("RateLimit", "default", "a")])
    last = mesh.settle()
    for type_url in (LISTENER, ROUTE, EXTENSION):
        assert versions(last, type_url) == versions(without, type_url)
    assert not any("ratelimit" in name for name in versions(last, EXTENSION))


def test_delegated_routes_are_limited_by_either_name() -> None:
    """By the object that holds them, and by the rule that hands requests over."""
    handing = reply("handing", match=[{"uri": {"prefix": "/a"}}], delegate={"name": "held"})
    base = [routes("a", handing, reply("rest")), routes("held", reply("mine"), hosts=False)]
    plain = versions(edge(*base)[1], ROUTE)
    for target in (on("held"), on("held", "mine"), on("a", "handing"), on("a")):
        _, outcome = edge(*base, limit("a", targetRefs=target))
        assert told(outcome) == []
        assert versions(outcome, ROUTE) != plain, target
        assert sum("ratelimit" in name for name in versions(outcome, EXTENSION)) == 1, target
