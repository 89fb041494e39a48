"""Proxies that cannot open the access log are served without it, and with it again once it may have been mended."""

from typing import Any

import pytest

from tests.compile.envoy_filters.patching import envoy_filter
from tests.compile.test_patched_layers import Mesh, patch
from xdsd.model.intent import MeshConfig, Metadata, Object
from xdsd.model.problem import Problem, Reason
from xdsd.snapshot import LISTENER, TYPES

PATH = "/no/such/dir/x"
WORDS = f"unable to open file '{PATH}': No such file or directory"
VIRTUAL = "virtualOutbound"
PORT = "0.0.0.0_9080"


def config(path: str, **spec: Any) -> Object[Any]:
    parsed = MeshConfig.model_validate({"accessLogFile": path, **spec})
    return Object("mesh.xdsd.io/v1", "MeshConfig", Metadata("istio-system", "default"), parsed)


@pytest.fixture
def mesh() -> Mesh:
    """All proxies are told to write a file."""
    made = Mesh()
    made.put(config(PATH))
    return made


def logs(mesh: Mesh, node: str) -> set[str]:
    """The listeners of a node that write the file."""
    found = set()
    for layer in mesh.snapshot.assigned[node]:
        for name, each in mesh.snapshot.layers[layer].resources(LISTENER).items():
            if PATH.encode() in each.body:
                found.add(name)
    return found


def refusals(mesh: Mesh) -> list[Problem]:
    return [each for each in mesh.compiler.problems() if each.reason is Reason.REJECTED_BY_PROXY]


@pytest.mark.parametrize("who", ["one", "edge"])
def test_who_cannot_open_the_log_is_served_without(mesh: Mesh, who: str) -> None:
    """Every listener of that proxy goes without, also those it was not heard of yet; all other proxies keep theirs."""
    node = getattr(mesh, who)
    others = [each for each in (mesh.one, mesh.two, mesh.ratings, mesh.other, mesh.edge) if each != node]
    before = {each: mesh.versions(each) for each in others}
    listeners = logs(mesh, node)
    assert listeners
    mesh.refuses(node, LISTENER, min(listeners), WORDS)
    assert logs(mesh, node) == set()
    assert {name for kind, name in mesh.versions(node) if kind == LISTENER} == listeners
    assert {each: mesh.versions(each) for each in others} == before


def test_the_mesh_config_is_to_blame(mesh: Mesh) -> None:
    """It is named once, with its field and the words of a proxy, however many cannot open the file."""
    mesh.refuses(mesh.one, LISTENER, VIRTUAL, f"Error adding/updating listener(s) {VIRTUAL}: {WORDS}\n")
    mesh.refuses(mesh.two, LISTENER, PORT, WORDS)
    (problem,) = refusals(mesh)
    assert str(problem) == (
        "MeshConfig istio-system/default spec.accessLogFile: reviews-1.default and 1 other proxy say: unable to open"
        f" file '{PATH}': No such file or directory; so listeners are there without this log"
    )


@pytest.mark.parametrize("mended", [{"path": "/dev/stderr"}, {"path": PATH, "accessLogEncoding": "JSON"}])
def test_another_log_is_tried(mesh: Mesh, mended: dict[str, Any]) -> None:
    """Once the MeshConfig asks for something else, proxies are offered that, and nothing is wrong until they refuse."""
    mesh.refuses(mesh.one, LISTENER, VIRTUAL, WORDS)
    mesh.put(config(**mended))
    assert refusals(mesh) == []
    assert mesh.versions(mesh.one)[LISTENER, VIRTUAL] == mesh.versions(mesh.ratings)[LISTENER, VIRTUAL]
    mesh.put(config(PATH))
    assert VIRTUAL in logs(mesh, mesh.one)


def test_a_proxy_that_connects_anew_is_offered_the_log(mesh: Mesh) -> None:
    """It may be on another machine."""
    before = dict(mesh.snapshot.assigned)
    mesh.refuses(mesh.one, LISTENER, VIRTUAL, WORDS)
    assert mesh.snapshot.assigned != before
    mesh.compiler.forgive(mesh.one)
    mesh.settle()
    assert mesh.snapshot.assigned == before
    assert refusals(mesh) == []


def test_patches_stay(mesh: Mesh) -> None:
    """An EnvoyFilter is not left out for a log that cannot be opened, and what it changes stays changed."""
    merged = patch("LISTENER", "MERGE", {"stat_prefix": "mine"}, context="SIDECAR_OUTBOUND")
    mesh.put(envoy_filter(merged))
    mesh.refuses(mesh.one, LISTENER, PORT, WORDS)
    assert logs(mesh, mesh.one) == set()
    assert mesh.message(mesh.one, LISTENER, PORT).stat_prefix == "mine"
    assert [each.object.kind for each in refusals(mesh) if each.object] == ["MeshConfig"]
    mesh.refuses(mesh.one, LISTENER, PORT, "no")
    assert mesh.message(mesh.one, LISTENER, PORT).stat_prefix == ""
    assert {each.object.kind for each in refusals(mesh) if each.object} == {"MeshConfig", "EnvoyFilter"}


def test_all_else_is_shared(mesh: Mesh) -> None:
    """What has no log is the very same for proxies with and without it."""
    before = mesh.versions(mesh.one)
    mesh.compiler.encoded.clear()
    mesh.refuses(mesh.one, LISTENER, VIRTUAL, WORDS)
    assert set(mesh.compiler.encoded) == {LISTENER}
    after = mesh.versions(mesh.one)
    kept = {key: version for key, version in before.items() if key[0] != LISTENER}
    assert {key: version for key, version in after.items() if key[0] != LISTENER} == kept
    assert set(TYPES) >= {kind for kind, _ in after}
