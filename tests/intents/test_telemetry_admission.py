"""What is told of a Telemetry beside the others, when it is applied."""

from typing import Any

from xdsd.intents.admission import warnings
from xdsd.intents.world import Observed, World
from xdsd.manifest import AnyObject, parse_object


def made(
    kind: str, name: str, spec: dict[str, Any], *, namespace: str = "default", day: int = 1
) -> AnyObject:
    version = "mesh.xdsd.io/v1" if kind == "MeshConfig" else "telemetry.istio.io/v1"
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-0{day}T00:00:00Z"}
    found = parse_object({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    assert not isinstance(found, list)
    return found


def told(*objects: AnyObject) -> list[str]:
    """What is odd about the last one."""
    world = World(objects, Observed())
    return [f"{each.path}: {each.message}" for each in warnings(world, objects[-1:])]


def test_a_second_one_for_a_namespace_is_told_that_it_has_no_effect() -> None:
    """The older holds, whichever was applied last."""
    old, young = made("Telemetry", "old", {}), made("Telemetry", "young", {}, day=2)
    assert told(old, young) == [
        "spec: has no effect: Telemetry default/old is older and is for the whole namespace too"
    ]
    assert told(young, old) == []


def test_labels_that_no_workload_has_and_providers_that_nobody_declares_are_told() -> None:
    """As of other kinds; a provider of the MeshConfig is known."""
    provider = {"name": "file", "envoyFileAccessLog": {}}
    mesh = made("MeshConfig", "default", {"extensionProviders": [provider]}, namespace="istio-system")
    spec = {
        "selector": {"matchLabels": {"app": "a"}},
        "accessLogging": [{"providers": [{"name": "file"}, {"name": "nobody"}]}],
    }
    found = told(mesh, made("Telemetry", "a", spec))
    assert [each.partition(":")[0] for each in found] == [
        "spec.selector.matchLabels",
        "spec.accessLogging[0].providers[1].name",
    ]


def test_default_providers_are_looked_at_when_a_mesh_config_is_applied() -> None:
    """Its author is told at once."""
    mesh = made("MeshConfig", "default", {"defaultProviders": {"tracing": ["a"]}}, namespace="istio-system")
    assert [each.partition(":")[0] for each in told(mesh)] == ["spec.defaultProviders.tracing[0]"]
