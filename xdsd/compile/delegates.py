"""The rules of a VirtualService with those that others hold for it, as queries."""

from collections.abc import Iterator
from typing import NamedTuple, cast

from xdsd.compile.delegation import Conflict, merged_rule, qualified
from xdsd.compile.graph import Graph
from xdsd.compile.resolve import sees, settings, virtual_service_spec
from xdsd.compile.routes import OwnedRule, own_rules
from xdsd.compile.world import read_object
from xdsd.model.intent import Delegate, HTTPRoute, VirtualService
from xdsd.model.problem import ObjectRef


class Routing(NamedTuple):
    """Rules in order, and those of the root that hand requests to nobody: their delegate is not there or not theirs."""

    rules: tuple[OwnedRule, ...]
    void: tuple[HTTPRoute, ...] = ()


class Handed(NamedTuple):
    """What a rule with a delegate becomes: rules of the delegate, and by index those that conflict. ``fault`` says why there
    are none at all.
    """

    rules: tuple[OwnedRule, ...] = ()
    conflicts: tuple[tuple[int, Conflict], ...] = ()
    fault: str = ""


def routing(graph: Graph, ref: ObjectRef) -> Routing:
    """What a VirtualService says of requests, whoever asks. Delegates are read only where there are any."""
    spec = virtual_service_spec(graph, ref)
    if not any(rule.delegate for rule in spec.http):
        return Routing(own_rules(spec, ref))
    return graph.ask(_with_delegates, ref)


def _with_delegates(graph: Graph, ref: ObjectRef) -> Routing:
    rules: list[OwnedRule] = []
    void: list[HTTPRoute] = []
    for own in own_rules(virtual_service_spec(graph, ref), ref):
        if own.rule.delegate is None:
            rules.append(own)
            continue
        handed = handed_over(graph, ref, own.rule, own.rule.delegate)
        rules += handed.rules
        if not handed.rules:
            void.append(own.rule)
    return Routing(tuple(rules), tuple(void))


def handed_over(graph: Graph, ref: ObjectRef, rule: HTTPRoute, delegate: Delegate) -> Handed:
    """What a rule of the VirtualService ``ref`` becomes through its delegate."""
    target = delegate_ref(delegate, ref.namespace)
    obj = read_object(graph, target)
    if obj is None:
        return Handed(fault=f"there is no {target}")
    spec = cast("VirtualService", obj.spec)
    if spec.hosts:
        return Handed(fault=f"{target} has hosts of its own; a delegate has none")
    if not sees(graph, ref.namespace, target, spec.export_to):
        return Handed(fault=f"{target} is not exported to namespace {ref.namespace}")
    domain = settings(graph).domain
    root = qualified(rule, ref.namespace, domain)
    rules: list[OwnedRule] = []
    conflicts: list[tuple[int, Conflict]] = []
    for index, each in _final(spec):
        merged = merged_rule(root, qualified(each, target.namespace, domain))
        if isinstance(merged, Conflict):
            conflicts.append((index, merged))
        else:
            rules.append(OwnedRule(merged, target, index, joined=True))
    return Handed(tuple(rules), tuple(conflicts))


def delegate_ref(delegate: Delegate, namespace: str) -> ObjectRef:
    """The VirtualService that a rule in a namespace names."""
    return ObjectRef("VirtualService", delegate.namespace or namespace, delegate.name or "")


def _final(spec: VirtualService) -> Iterator[tuple[int, HTTPRoute]]:
    """The rules that do not delegate on, which admission refuses."""
    return ((index, rule) for index, rule in enumerate(spec.http) if rule.delegate is None)
