"""What the daemon counts by, where it is the limiter."""

from xdsd.compile.graph import Graph
from xdsd.compile.limits.filters import global_steps
from xdsd.compile.limits.terms import OwnedGlobal, domain_of, owner_of
from xdsd.compile.world import read_object, read_refs
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
    owner = owner_of(obj)
    rules = []
    for limit in limits.limits:
        found = global_steps(OwnedGlobal(owner, limits.domain is None, limit))
        entries = tuple((step.entry.key, step.entry.values) for step in found)
        name = f"{owner}/{limit.name}"
        rules.append(LimitRule(domain, entries, limit.limit.requests, limit.limit.unit.seconds, name))
    return tuple(rules)
