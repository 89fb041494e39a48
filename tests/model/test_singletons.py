"""Where the one MeshConfig is."""

from typing import Any

import pytest

from xdsd.model.intent import Inspection, MeshConfig, Metadata, Object, Peer, Sidecar
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


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Inspection", Inspection.model_validate({"hosts": ["bank.example.com"]})),
        ("Peer", Peer.model_validate({"trustDomain": "east.example"})),
    ],
)
def test_what_reads_or_trusts_for_the_mesh_is_in_the_root_namespace(kind: str, spec: Any) -> None:
    """Whoever may write in another namespace alone can neither read programs' TLS nor bring peers in."""
    assert misplaced(Object("mesh.xdsd.io/v1", kind, Metadata("root", "a"), spec), "root") == []
    (found,) = misplaced(Object("mesh.xdsd.io/v1", kind, Metadata("shop", "a"), spec), "root")
    assert (found.path, found.severity) == ("metadata.namespace", Severity.ERROR)


def test_other_kinds_are_anywhere() -> None:
    """The rule is for MeshConfigs alone."""
    spec = Sidecar.model_validate({"egress": [{"hosts": ["*/*"]}]})
    assert misplaced(Object("networking.istio.io/v1", "Sidecar", Metadata("a", "b"), spec), "root") == []
