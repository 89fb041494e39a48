"""What a write is told of RateLimits that limit nobody."""

from typing import Any

from tests.intents.objects import made
from xdsd.intents.admission import warnings
from xdsd.intents.world import World
from xdsd.manifest import AnyObject


def limit(*targets: dict[str, str]) -> AnyObject:
    local = [{"limit": {"requests": 1, "unit": "SECOND"}}]
    return made("RateLimit", "a", {"targetRefs": list(targets), "local": local})


def routes(name: str) -> AnyObject:
    rule: dict[str, Any] = {"name": "files", "directResponse": {"status": 200}}
    return made("VirtualService", name, {"hosts": ["a.example.com"], "http": [rule]})


GATEWAY = made(
    "Gateway",
    "edge",
    {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
)
TARGETS = limit(
    {"kind": "Gateway", "name": "edge"}, {"kind": "VirtualService", "name": "shop", "sectionName": "files"}
)


def told(*objects: AnyObject) -> list[str]:
    """The warnings of the last object beside the others."""
    return [f"{problem.path}: {problem.message}" for problem in warnings(World(objects), objects[-1:])]


def test_targets_are_looked_for() -> None:
    """What is missing is told with its path; beside its targets an object is fine."""
    assert told(GATEWAY, routes("shop"), TARGETS) == []
    assert told(routes("other"), TARGETS) == [
        "spec.targetRefs[0].name: there is no Gateway default/edge, so nothing is limited by it",
        "spec.targetRefs[1].name: there is no VirtualService default/shop, so nothing is limited by it",
    ]


def test_rules_are_looked_for_by_their_names() -> None:
    """A name that no rule has is told beside those that there are."""
    other = limit({"kind": "VirtualService", "name": "shop", "sectionName": "pages"})
    message = "no rule of VirtualService shop is named 'pages'; there are files"
    assert told(routes("shop"), other) == [f"spec.targetRefs[0].sectionName: {message}"]


def test_what_targets_an_object_is_looked_at_when_it_goes() -> None:
    """Both kinds of targets know who names them."""
    world = World([GATEWAY, routes("shop"), TARGETS])
    assert [obj.ref for obj in world.referring(GATEWAY)] == [TARGETS.ref]
    assert [obj.ref for obj in world.referring(routes("shop"))] == [TARGETS.ref]
    assert list(world.referring(routes("other"))) == []
