"""What a write is told of a MeshConfig, and beside it; and of ProxyConfigs."""

from typing import Any

from tests.intents.objects import made
from xdsd.intents.admission import Observed, warnings
from xdsd.intents.world import World
from xdsd.manifest import AnyObject
from xdsd.model.catalog import Endpoint, Workload


def mesh_config(**spec: Any) -> AnyObject:
    return made("MeshConfig", "default", spec, namespace="istio-system")


def told(*objects: AnyObject, observed: Observed | None = None) -> list[str]:
    """The warnings of the last object beside the others."""
    world = World(objects, observed)
    return [f"{problem.path}: {problem.message}" for problem in warnings(world, objects[-1:])]


RULE = made(
    "DestinationRule",
    "a",
    {"host": "a.example.com", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]},
    namespace="other",
)
ROUTE = made(
    "VirtualService",
    "a",
    {
        "hosts": ["a.example.com"],
        "http": [{"route": [{"destination": {"host": "a.example.com", "subset": "v1"}}]}],
    },
)


def test_rules_are_seen_as_the_mesh_exports_them() -> None:
    """A subset of another namespace's rule is missing while rules are exported to their own namespaces alone."""
    assert told(RULE, ROUTE) == []
    (missing,) = told(RULE, mesh_config(defaultDestinationRuleExportTo=["."]), ROUTE)
    assert missing.startswith("spec.http[0].route[0].destination.subset: no DestinationRule of a.example.com")
    assert told(RULE, mesh_config(defaultVirtualServiceExportTo=["."]), ROUTE) == []


def test_what_a_mesh_config_said_is_forgotten_with_it() -> None:
    """Then the published default holds again."""
    config = mesh_config(defaultDestinationRuleExportTo=["."])
    world = World([RULE, config, ROUTE])
    assert len(list(warnings(world, [ROUTE]))) == 1
    world.remove(config.ref)
    assert list(warnings(world, [ROUTE])) == []


def test_a_proxy_config_beside_an_older_one_is_warned_of() -> None:
    """For a whole namespace there is one; selected workloads must be there."""
    older = made("ProxyConfig", "old", {"concurrency": 1}, creationTimestamp="2026-01-01T00:00:00Z")
    newer = made("ProxyConfig", "new", {"concurrency": 2}, creationTimestamp="2026-01-02T00:00:00Z")
    assert told(newer, older) == []
    assert told(older, newer) == [
        "spec: has no effect: ProxyConfig default/old is older and is for the whole namespace too"
    ]
    selecting = made("ProxyConfig", "some", {"selector": {"matchLabels": {"app": "a"}}, "concurrency": 2})
    assert told(older, selecting) == []
    there = Workload("default", "a-1", Endpoint("10.0.0.1", labels={"app": "a"}))
    assert told(selecting, observed=Observed((), (there,))) == []
    (lost,) = told(selecting, observed=Observed())
    assert lost == (
        "spec.selector.matchLabels: selects nothing yet: no declared workload of namespace default carries app=a,"
        " nor does a proxy that is connected here"
    )
