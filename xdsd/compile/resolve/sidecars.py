"""Which Sidecar counts for whom, and whether it lets strangers be reached."""

from collections.abc import Mapping
from typing import cast

from xdsd.compile.graph import Graph
from xdsd.compile.resolve.visibility import Labels, ignored, selects, settings
from xdsd.compile.world import read_mesh_default, read_refs, read_spec
from xdsd.model.intent import Sidecar
from xdsd.model.problem import ObjectRef


def sidecar_for(graph: Graph, namespace: str, labels: Labels) -> ObjectRef | None:
    """The Sidecar that applies: the oldest that selects the workload, else the namespace's, else the root
    namespace's.
    """
    found = [ref for ref in read_refs(graph, "sidecars", namespace) if _workload_labels(graph, ref)]
    chosen = [ref for ref in found if selects(_workload_labels(graph, ref), dict(labels))]
    for ref in chosen[1:]:
        why = f"{chosen[0]} is older and selects a workload of these labels already"
        graph.report(ignored(ref, "spec.workloadSelector", why))
    return chosen[0] if chosen else graph.ask(default_sidecar, namespace)


def default_sidecar(graph: Graph, namespace: str) -> ObjectRef | None:
    """The Sidecar of all workloads of a namespace that no other one selects."""
    for owner in dict.fromkeys((namespace, settings(graph).root_namespace)):
        found = [ref for ref in read_refs(graph, "sidecars", owner) if not _workload_labels(graph, ref)]
        for ref in found[1:]:
            why = f"{found[0]} is older and the default of namespace {owner} already"
            graph.report(ignored(ref, "spec", why))
        if found:
            return found[0]
    return None


def _workload_labels(graph: Graph, ref: ObjectRef) -> Mapping[str, str]:
    selector = sidecar_spec(graph, ref).workload_selector
    return selector.labels if selector else {}


def sidecar_spec(graph: Graph, ref: ObjectRef) -> Sidecar:
    """The spec of a Sidecar that an index named."""
    return cast("Sidecar", read_spec(graph, ref))


def shapes_egress(graph: Graph, ref: ObjectRef) -> bool:
    """True if a Sidecar says anything about outbound traffic."""
    spec = sidecar_spec(graph, ref)
    return bool(spec.egress) or spec.outbound_traffic_policy is not None


def allow_any(graph: Graph, sidecar: ObjectRef | None) -> bool:
    """Whether destinations that nobody declared may be reached."""
    policy = sidecar_spec(graph, sidecar).outbound_traffic_policy if sidecar else None
    if policy is None or policy.mode is None:
        policy = read_mesh_default(graph, "outbound_traffic_policy")
    if policy is None or policy.mode is None:
        return settings(graph).allow_any
    allowed: bool = policy.mode.value == "ALLOW_ANY"
    return allowed
