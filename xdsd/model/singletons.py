"""Kinds whose objects are of the mesh as a whole: where they are, and of which there is one."""

from typing import Any

from xdsd.model.intent import Inspection, MeshConfig, Object, Peer
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.problem import Problem, Reason


def misplaced(obj: Object[Any], root: str) -> list[Problem]:  # Any: the kind decides the type of the spec
    """Why an object is refused: a MeshConfig that is not ``default`` of the ``root`` namespace, a Peer or an Inspection of
    any other."""
    if not isinstance(obj.spec, Inspection | MeshConfig | Peer):
        return []
    found = []
    if isinstance(obj.spec, MeshConfig) and obj.metadata.name != NAME:
        message = f"there is one MeshConfig only, and {obj.metadata.name!r} is not its name; write {NAME!r}"
        found.append(Problem(Reason.INVALID_VALUE, message, obj.ref, "metadata.name"))
    if obj.metadata.namespace != root:
        message = f"a {obj.kind} counts in the root namespace only; write {root!r}"
        found.append(Problem(Reason.INVALID_VALUE, message, obj.ref, "metadata.namespace"))
    return found
