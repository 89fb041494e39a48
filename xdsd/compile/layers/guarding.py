"""Which policies guard a workload or a gateway, and what its filters are told.

What a sidecar's filters are told is a layer of its own, named after the policies: workloads with the same policies share
it, and a change of policy leaves the layer with their listeners alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple, cast

from xdsd.compile.authorization.guards import http_guard, network_guard
from xdsd.compile.authorization.heads import ACTIONS, NO_EXTRAS, Extras, Head, Part, guarding, heads, told
from xdsd.compile.authorization.rules import kept
from xdsd.compile.authorization.tokens import Issuer, token_guard
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, resource
from xdsd.compile.layers.peers import trusted
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.resolve import Labels, View, selects, settings
from xdsd.compile.world import read_object, read_proxy, read_refs
from xdsd.model.intent import Action, AuthorizationPolicy, JWTRule, Object, RequestAuthentication
from xdsd.model.intent.policy_target import GATEWAY_NAME, GROUP, KUBERNETES
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import EXTENSION, LayerId, Resource

Refs = tuple[ObjectRef, ...]


class Guards(NamedTuple):
    """The AuthorizationPolicies and the RequestAuthentications of a workload or of a gateway's port."""

    policies: Refs = ()
    tokens: Refs = ()


def workload_guards(graph: Graph, namespace: str, labels: Labels) -> Guards:
    """What guards a workload: objects of the root namespace first, older ones first within one."""
    return Guards(
        _selecting(graph, "authorization-policies", namespace, labels),
        _selecting(graph, "request-authentications", namespace, labels),
    )


def gateway_guards(graph: Graph, view: View, gateways: Iterable[ObjectRef]) -> Guards:
    """What guards a port of a gateway: its own objects, and those of the Gateways that open the port."""
    own = graph.ask(workload_guards, view.namespace, view.labels)
    policies, tokens = dict.fromkeys(own.policies), dict.fromkeys(own.tokens)
    targets = [(GROUP, gateway.namespace, gateway.name) for gateway in gateways]
    named = dict(view.labels).get(GATEWAY_NAME)
    if named:
        targets.append((KUBERNETES, view.namespace, named))
    for target in targets:
        policies.update(dict.fromkeys(read_refs(graph, "authorization-policies-of", *target)))
        tokens.update(dict.fromkeys(read_refs(graph, "request-authentications-of", *target)))
    return Guards(tuple(policies), tuple(tokens))


def _selecting(graph: Graph, index: str, namespace: str, labels: Labels) -> Refs:
    found: list[ObjectRef] = []
    for owner in dict.fromkeys((settings(graph).root_namespace, namespace)):
        for ref in read_refs(graph, index, owner):
            obj = read_object(graph, ref)
            selector = obj.spec.selector if obj else None
            if obj is not None and selects(selector.match_labels if selector else {}, dict(labels)):
                found.append(ref)
    return tuple(found)


def guards_of(graph: Graph, node_id: str) -> Guards:
    """What guards a connected sidecar."""
    proxy = read_proxy(graph, node_id)
    if proxy is None:
        return Guards()
    return graph.ask(workload_guards, proxy.namespace, tuple(sorted(proxy.labels.items())))


def guards_layer(guards: Guards) -> LayerSpec:
    """The layer of all sidecars that these objects guard."""
    digest = blake2b(repr(guards).encode(), digest_size=6).hexdigest()
    return LayerSpec(LayerId(f"guards/{digest}"), ((guards_members, (guards,)),))


def guards_members(graph: Graph, guards: Guards) -> tuple[Member, ...]:
    """What each filter of such a sidecar is told."""
    extras = graph.ask(extras_of, guards.policies)
    return tuple(
        member for http in (True, False) for member in head_members(guards, heads(extras, http=http))
    )


def head_members(guards: Guards, found: Iterable[Head]) -> Iterable[Member]:
    """What these filters are told."""
    return (Member(EXTENSION, head.name, told_head, (guards, head)) for head in found)


def extras_of(graph: Graph, policies: Refs) -> Extras:
    """The filters that there are only for some policies."""
    audited = kept(policies_of(graph, policies), Action.AUDIT).enforced
    return Extras(audit=bool(audited))


def guarded(found: ListenerSettings, extras: Extras = NO_EXTRAS, place: str = "") -> ListenerSettings:
    """What operators decide about a listener, with what guards it."""
    return replace(found, guarding=guarding(extras, place=place))


def told_head(graph: Graph, guards: Guards, head: Head) -> Resource:
    """What one filter is told."""
    if head.part is Part.TOKENS:
        config = token_guard(graph.ask(issuers_of, guards.tokens))
    else:
        write = http_guard if head.http else network_guard
        policies = policies_of(graph, guards.policies)
        config = write(policies, ACTIONS[head.part], graph.ask(trusted))
    return resource(EXTENSION, head.name, told(head, config))


def issuers_of(graph: Graph, tokens: Refs) -> tuple[Issuer, ...]:
    """The issuers whose tokens are believed, with their keys."""
    found: list[Issuer] = []
    for ref in tokens:
        obj = cast("Object[RequestAuthentication] | None", read_object(graph, ref))
        found += (Issuer(rule, keys_of(graph, rule)) for rule in (obj.spec.jwt_rules if obj else ()))
    return tuple(found)


def keys_of(graph: Graph, rule: JWTRule) -> str:
    """The keys of a rule; empty while they are not known."""
    return rule.jwks or cast("str | None", graph.read(("jwks", rule.keys_at))) or ""


def policies_of(graph: Graph, refs: Refs) -> list[Object[AuthorizationPolicy]]:
    """Those that are there still: a layer is made from a list that may be older than they are."""
    found = (read_object(graph, ref) for ref in refs)
    return [cast("Object[AuthorizationPolicy]", obj) for obj in found if obj is not None]
