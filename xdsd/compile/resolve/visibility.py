"""Who sees what: exports, selectors and patterns of hosts, and what the whole mesh agrees on."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import cast

from xdsd.compile.graph import Graph
from xdsd.compile.world import read_mesh_default
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

_EXPORTED: Mapping[str, str] = MappingProxyType(
    {
        "DestinationRule": "default_destination_rule_export_to",
        "VirtualService": "default_virtual_service_export_to",
    }
)


Labels = tuple[tuple[str, str], ...]
"""Labels as a key: sorted pairs."""


def settings(graph: Graph) -> MeshSettings:
    """What the whole mesh agrees on."""
    return cast("MeshSettings", graph.read(("settings",)))


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """True if ``labels`` has every pair of ``selector``; an empty selector selects all."""
    return all(labels.get(key) == value for key, value in selector.items())


def exported_to(export_to: Iterable[str], owner: str, client: str) -> bool:
    """True if an object of namespace ``owner`` is visible in namespace ``client``."""
    names = tuple(export_to) or ("*",)
    return any(name == "*" or name == client or (name == "." and owner == client) for name in names)


def sees(graph: Graph, client: str, ref: ObjectRef, export_to: tuple[str, ...]) -> bool:
    """True if a VirtualService or DestinationRule is visible in namespace ``client``; one that says not to whom is so as
    the mesh says.
    """
    return exported_to(exports(graph, ref, export_to), ref.namespace, client)


def exports(graph: Graph, ref: ObjectRef, export_to: tuple[str, ...]) -> tuple[str, ...]:
    """To whom a VirtualService or DestinationRule is exported, as it says, else as the mesh does."""
    return export_to or read_mesh_default(graph, _EXPORTED[ref.kind]) or ()


def host_matches(pattern: str, host: str) -> bool:
    """``*`` and ``*.example.com`` match by suffix, anything else only itself; ``host`` may be a wildcard
    itself.
    """
    return pattern == host or (pattern.startswith("*") and host.endswith(pattern[1:]))


def ignored(ref: ObjectRef, path: str, why: str) -> Problem:
    """What is told of a field that an older object leaves without effect."""
    return Problem(Reason.CONFLICT, f"has no effect: {why}", ref, path, severity=Severity.WARNING)
