"""What the daemon counts by, where it is the limiter."""

from xdsd.compile.graph import Graph
from xdsd.compile.limits.filters import global_steps
from xdsd.compile.limits.terms import OwnedGlobal, domain_of, owner_of
from xdsd.compile.matches import MESH
from xdsd.compile.resolve import exports, settings
from xdsd.compile.world import read_object, read_refs
from xdsd.model.intent import Object, RateLimit, TargetKind, VirtualService
from xdsd.model.limits import LimitRule
from xdsd.model.problem import ObjectRef


def limit_rules(graph: Graph) -> tuple[LimitRule, ...]:
    """The rules of all RateLimits with global limits."""
    refs = read_refs(graph, "global-rate-limits")
    return tuple(rule for ref in refs for rule in graph.ask(rules_of, ref))


def rules_of(graph: Graph, ref: ObjectRef) -> tuple[LimitRule, ...]:
    """The rules of one RateLimit."""
    obj = read_object(graph, ref)
    limits = obj.spec.global_ if obj is not None else None
    if obj is None or limits is None:
        return ()
    domain = domain_of(limits, ref.namespace, external=False)
    askers = _askers(graph, obj)
    owner = owner_of(obj)
    rules = []
    for limit in limits.limits:
        found = global_steps(OwnedGlobal(owner, limits.domain is None, limit))
        entries = tuple((step.entry.key, step.entry.values) for step in found)
        name = f"{owner}/{limit.name}"
        requests, seconds = limit.limit.requests, limit.limit.unit.seconds
        rules.append(LimitRule(domain, entries, requests, seconds, name, askers))
    return tuple(rules)


def _askers(graph: Graph, obj: Object[RateLimit]) -> frozenset[str] | None:
    """The namespaces whose proxies may be told of a RateLimit; None: of any.

    Gateways are found by labels in all namespaces, and routes are with whom they are exported to.
    """
    namespace, found = obj.metadata.namespace, frozenset({obj.metadata.namespace})
    if not obj.spec.target_refs:
        return None if namespace == settings(graph).root_namespace else found
    for target in obj.spec.target_refs:
        if target.kind is not TargetKind.VIRTUAL_SERVICE:
            return None
        routed = read_object(graph, ObjectRef(target.kind.value, namespace, target.name))
        if routed is None:
            continue
        spec: VirtualService = routed.spec
        exported = exports(graph, routed.ref, spec.export_to) or ("*",)
        if "*" in exported or not spec.hosts or set(spec.gateways) - {MESH}:
            return None
        found |= {namespace if each == "." else each for each in exported}
    return found
