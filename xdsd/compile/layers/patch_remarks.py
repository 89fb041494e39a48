"""Patches that are in vain: those that change nothing of the connected proxies that they are for."""

from collections.abc import Iterable, Iterator
from typing import Any

from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, Query
from xdsd.compile.layers.patch_choices import CHOICES, Choice, patched
from xdsd.compile.layers.patch_reading import outline
from xdsd.compile.layers.patched import patched_members
from xdsd.model.intent import PatchContext
from xdsd.model.problem import ObjectRef


def filters_of(spec: LayerSpec) -> frozenset[ObjectRef]:
    """The EnvoyFilters that a layer is made with."""
    return frozenset(
        ref.filter
        for query, arguments in spec.parts
        if query is patched_members
        for ref in arguments[2].patches
    )


def applied_in(graph: Graph, query: Query, arguments: tuple[Any, ...]) -> frozenset[PatchRef]:
    """The patches that find something to change in a part of a layer."""
    found: set[PatchRef] = set()
    for member in graph.ask(query, *arguments):
        if member.query in CHOICES:
            made: Choice = graph.ask(CHOICES[member.query], *member.arguments)
            found |= made.applied
            if made.excluded:
                # What is left out is told as refused, not as unmatched.
                found |= {ref for ref in _refs_of(member) if ref.filter in made.excluded}
    return frozenset(found)


def _refs_of(member: Member) -> Iterable[PatchRef]:
    return member.arguments[3] if member.query is patched else ()


def patches_in_vain(graph: Graph, ref: ObjectRef) -> Iterator[tuple[str, str]]:
    """The fields of an EnvoyFilter that change nothing of the connected proxies that it is for, and why that may be."""
    found = graph.ask(outline, ref)
    if found is None:
        return
    specs: tuple[LayerSpec, ...] = graph.read(("patched-layers", ref)) or ()
    meant: set[PatchRef] = set()
    applied: set[PatchRef] = set()
    for spec in specs:
        for query, arguments in spec.parts:
            if query is patched_members:
                meant.update(arguments[2].patches)
            applied |= graph.ask(applied_in, query, arguments)
    for each in found.heads:
        if each.context is PatchContext.WAYPOINT:
            yield (
                each.ref.path,
                "is for waypoints, and there are none: proxies are sidecars and gateways here",
            )
        elif each.ref in meant and each.ref not in applied:
            yield each.ref.path, f"changes nothing: {_missing(each)} in the proxies that it is for"
    if found.targets and not any(target.kind == "Gateway" for target in found.targets):
        kinds = ", ".join(target.kind for target in found.targets)
        yield "spec.targetRefs", f"name no gateway, and {kinds} can be referred to by waypoints alone"


def _missing(patch: ReadyPatch) -> str:
    what = patch.apply_to.lower().replace("_", " ")
    return f"there is no {what} like its match" if patch.match else f"there is no {what}"
