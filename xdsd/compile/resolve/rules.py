"""Which DestinationRules count for a service, and what they say together."""

from typing import cast

from xdsd.compile.graph import Graph
from xdsd.compile.resolve.inspections import decisive
from xdsd.compile.resolve.visibility import Labels, host_matches, ignored, sees, selects, settings
from xdsd.compile.world import read_refs, read_spec
from xdsd.model.catalog import ServiceKey
from xdsd.model.intent import DestinationRule
from xdsd.model.problem import ObjectRef


def rules_for(graph: Graph, namespace: str, labels: Labels, key: ServiceKey) -> tuple[ObjectRef, ...]:
    """The DestinationRules that apply to a service for clients of a namespace, the one whose policy counts
    first.

    The client's namespace is asked first, then the service's, then the root; in each, the exact host before
    the longest wildcard. Rules of one namespace for the same host count together: the oldest gives the
    policy, all give subsets. Of an inspected host the root's count alone.
    """
    exact = read_refs(graph, "destination-rules", key.hostname)
    wildcard = read_refs(graph, "wildcard-destination-rules")
    if not exact and not wildcard:
        return ()
    exact = decisive(graph, exact, key.hostname, "spec.host")
    wildcard = decisive(graph, wildcard, key.hostname)
    root = settings(graph).root_namespace
    for owner in dict.fromkeys((namespace, key.namespace, root)):
        for candidates in (exact, wildcard):
            found = [
                (ref, spec)
                for ref in candidates
                if ref.namespace == owner
                and (spec := _rule_applies(graph, ref, namespace, labels, key)) is not None
            ]
            if found:
                return _best_rules(found)
    return ()


def _rule_applies(
    graph: Graph, ref: ObjectRef, namespace: str, labels: Labels, key: ServiceKey
) -> DestinationRule | None:
    spec = rule_spec(graph, ref)
    if spec.host.startswith("*") and not host_matches(spec.host, key.hostname):
        return None
    if not sees(graph, namespace, ref, spec.export_to):
        return None
    if spec.workload_selector and spec.workload_selector.match_labels:
        applies = ref.namespace == namespace and selects(spec.workload_selector.match_labels, dict(labels))
        return spec if applies else None
    return spec


def _best_rules(found: list[tuple[ObjectRef, DestinationRule]]) -> tuple[ObjectRef, ...]:
    def selector(spec: DestinationRule) -> bool:
        return bool(spec.workload_selector and spec.workload_selector.match_labels)

    selected = [(ref, spec) for ref, spec in found if selector(spec)] or found
    longest = (
        max(len(spec.host) for _, spec in selected if spec.host.startswith("*"))
        if all(spec.host.startswith("*") for _, spec in selected)
        else 0
    )
    return tuple(ref for ref, spec in selected if not longest or len(spec.host) == longest)


def rule_spec(graph: Graph, ref: ObjectRef) -> DestinationRule:
    """The spec of a DestinationRule that an index named."""
    return cast("DestinationRule", read_spec(graph, ref))


def merged_rule(graph: Graph, refs: tuple[ObjectRef, ...]) -> DestinationRule | None:
    """The rules of one host as one: the first one's policy, every subset whose name is not taken yet."""
    if not refs:
        return None
    first = rule_spec(graph, refs[0])
    if len(refs) == 1:
        return first
    subsets = {subset.name: subset for subset in first.subsets}
    for ref in refs[1:]:
        spec = rule_spec(graph, ref)
        if spec.traffic_policy is not None:
            why = f"{refs[0]} is older and decides the policy of {spec.host}"
            graph.report(ignored(ref, "spec.trafficPolicy", why))
        for index, subset in enumerate(spec.subsets):
            if subsets.setdefault(subset.name, subset) is not subset:
                why = f"an older rule already defines {subset.name!r}"
                graph.report(ignored(ref, f"spec.subsets[{index}].name", why))
    return first.model_copy(update={"subsets": tuple(subsets.values())})
