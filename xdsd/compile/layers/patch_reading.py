"""EnvoyFilters as queries: who they are for, and their patches one by one.

Each is as small as what it is asked for, so that an edit stops where values come out equal: what proxies an object is for
seldom changes with its patches, and one patch does not change with another.
"""

from typing import cast

from xdsd.compile.envoy_filters.choosing import Outline, chosen_patches, outline_of
from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch, read_patch
from xdsd.compile.graph import Graph
from xdsd.compile.resolve import settings
from xdsd.compile.world import read_object, read_refs
from xdsd.manifest.paths import write_path
from xdsd.model.intent import EnvoyFilter, Object
from xdsd.model.mesh import Proxy
from xdsd.model.problem import ObjectRef, Problem


def outline(graph: Graph, ref: ObjectRef) -> Outline | None:
    """What decides which proxies an EnvoyFilter is for; None once it is gone."""
    obj = cast("Object[EnvoyFilter] | None", read_object(graph, ref))
    return None if obj is None else outline_of(obj)


def head(graph: Graph, ref: PatchRef) -> ReadyPatch | None:
    """A patch without its value; None once it is gone."""
    found = graph.ask(outline, ref.filter)
    return found.heads[ref.place] if found is not None and ref.place < len(found.heads) else None


def ready(graph: Graph, ref: PatchRef) -> ReadyPatch | None:
    """A patch with its value read; None once it is gone, or if its value is no message, which is reported."""
    obj = cast("Object[EnvoyFilter] | None", read_object(graph, ref.filter))
    if obj is None or ref.place >= len(obj.spec.config_patches):
        return None
    found = read_patch(ref, obj.spec.config_patches[ref.place])
    if isinstance(found, ReadyPatch):
        return found
    for fault in found:
        graph.report(Problem(fault.reason, fault.message, ref.filter, write_path(fault.path)))
    return None


def patches_for(graph: Graph, proxy: Proxy) -> tuple[PatchRef, ...]:
    """The patches of a connected proxy, in the order in which they are applied."""
    root = settings(graph).root_namespace
    refs = [
        ref
        for namespace in dict.fromkeys((root, proxy.namespace))
        for ref in read_refs(graph, "envoy-filters", namespace)
    ]
    if not refs:
        return ()
    outlines = (graph.ask(outline, ref) for ref in refs)
    return chosen_patches((each for each in outlines if each is not None), proxy, root)
