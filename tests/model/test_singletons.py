"""Where the one MeshConfig is."""

import pytest

from xdsd.model.intent import MeshConfig, Metadata, Object, Sidecar
from xdsd.model.problem import Severity
from xdsd.model.singletons import misplaced


@pytest.mark.parametrize(
    ("namespace", "name", "told"),
    [
        ("root", "default", []),
        (
            "root",
            "mine",
            ["metadata.name: there is one MeshConfig only, and 'mine' is not its name; write 'default'"],
        ),
        (
            "shop",
            "default",
            ["metadata.namespace: a MeshConfig counts in the root namespace only; write 'root'"],
        ),
    ],
)
def test_a_mesh_config_is_default_of_the_root_namespace(namespace: str, name: str, told: list[str]) -> None:
    """Another name or namespace is an error that says what to write."""
    obj = Object("mesh.xdsd.io/v1", "MeshConfig", Metadata(namespace, name), MeshConfig())
    found = misplaced(obj, "root")
    assert [f"{each.path}: {each.message}" for each in found] == told
    assert all(each.severity is Severity.ERROR and each.object == obj.ref for each in found)


def test_other_kinds_are_anywhere() -> None:
    """The rule is for MeshConfigs alone."""
    spec = Sidecar.model_validate({"egress": [{"hosts": ["*/*"]}]})
    assert misplaced(Object("networking.istio.io/v1", "Sidecar", Metadata("a", "b"), spec), "root") == []
