"""The demo's objects are what the published API says, and stand where the daemon looks for them."""

import pytest

from xdsd.demo.layout import DemoOptions, lay_out
from xdsd.demo.manifests import exercises, initial, machines
from xdsd.manifest import parse_manifest

LAYOUT = lay_out(DemoOptions(port=8081, service_port=9081))
FILES = {**machines(LAYOUT), **initial(LAYOUT), **exercises()}


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_taken_as_it_stands(name: str) -> None:
    """The strict parser has nothing against it."""
    manifest = parse_manifest(FILES[name].encode(), name)
    assert manifest.problems == ()
    assert manifest.objects


def kinds(files: dict[str, str]) -> set[tuple[str, str]]:
    return {
        (parsed.object.kind, parsed.object.metadata.name)
        for name, text in files.items()
        for parsed in parse_manifest(text.encode(), name).objects
    }


def test_machines_hold_what_the_registry_reads() -> None:
    """A service a file with its instances; every instance has a workload and a sidecar of the same name."""
    found = kinds(machines(LAYOUT))
    assert {kind for kind, _ in found} == {"ServiceEntry", "WorkloadEntry"}
    workloads = {name for kind, name in found if kind == "WorkloadEntry"}
    assert workloads == {instance.name for instance in LAYOUT.instances}
    assert workloads == {name for kind, name in kinds(initial(LAYOUT)) if kind == "Sidecar"}


def test_exercises_change_routes_alone() -> None:
    """What the user may try leaves the gateway, the sidecars and the versions as they are."""
    assert {kind for kind, _ in kinds(exercises())} == {"VirtualService"}
    assert len(exercises()) == 8


def test_chosen_ports_are_in_the_objects() -> None:
    """The gateway's port and the services' port are the options', wherever they stand."""
    assert "number: 8081" in initial(LAYOUT)["gateway.yaml"]
    for text in (initial(LAYOUT)["sidecars.yaml"], machines(LAYOUT)["reviews.yaml"]):
        assert "number: 9081" in text
        assert "number: 9080" not in text
