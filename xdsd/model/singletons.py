"""Kinds of which there is one object: where it is."""

from typing import Any

from xdsd.model.intent import MeshConfig, Object
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.problem import Problem, Reason


def misplaced(obj: Object[Any], root: str) -> list[Problem]:  # Any: the kind decides the type of the spec
    """The problems for which a MeshConfig is refused that is not ``default`` of the ``root`` namespace."""
    if not isinstance(obj.spec, MeshConfig):
        return []
    found = []
    if obj.metadata.name != NAME:
        message = f"there is one MeshConfig only, and {obj.metadata.name!r} is not its name; write {NAME!r}"
        found.append(Problem(Reason.INVALID_VALUE, message, obj.ref, "metadata.name"))
    if obj.metadata.namespace != root:
        message = f"a MeshConfig counts in the root namespace only; write {root!r}"
        found.append(Problem(Reason.INVALID_VALUE, message, obj.ref, "metadata.namespace"))
    return found
