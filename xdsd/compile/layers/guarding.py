"""Which policies guard a workload or a gateway, and what its filters are told.

What a sidecar's filters are told is a layer of its own, named after the policies: workloads with the same policies share
it, and a change of policy leaves the layer with their listeners alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, NamedTuple, cast

from xdsd.compile.authorization.asking import http_asking, network_asking
from xdsd.compile.authorization.guards import (
    http_choice,
    http_guard,
    network_choice,
    network_guard,
    refused_custom,
    refused_identities,
)
from xdsd.compile.authorization.heads import ACTIONS, NO_EXTRAS, Extras, Head, Part, guarding, heads, told
from xdsd.compile.authorization.rules import kept
from xdsd.compile.authorization.tokens import Issuer, token_guard
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, resource
from xdsd.compile.layers.destinations import Target
from xdsd.compile.layers.peers import shut_out, trusted
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.names import outbound_cluster_name, resolve_host
from xdsd.compile.resolve import Labels, View, selects, settings
from xdsd.compile.world import read_mesh_default, read_object, read_proxy, read_refs, read_service_keys
from xdsd.model.intent import Action, AuthorizationPolicy, JWTRule, Object, RequestAuthentication
from xdsd.model.intent.extension_provider import MeshExtensionProvider
from xdsd.model.intent.policy_target import GATEWAY_NAME, GROUP, KUBERNETES
from xdsd.model.key_source import FetchedKeys, KeySource
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import EXTENSION, LayerId, Resource

Refs = tuple[ObjectRef, ...]

FETCH_TIMEOUT = 5.0
"""Seconds that fetching keys may take unless a rule says otherwise."""


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
    found = policies_of(graph, policies)
    audited = kept(found, Action.AUDIT).enforced
    names = sorted(
        {each.spec.provider.name for each in kept(found, Action.CUSTOM).enforced if each.spec.provider}
    )
    known = [provider for name in names if (provider := provider_of(graph, name)) is not None]
    return Extras(
        bool(audited),
        tuple(each.name for each in known),
        tuple(each.name for each in known if each.envoy_ext_authz_grpc is not None),
    )


def provider_of(graph: Graph, name: str) -> MeshExtensionProvider | None:
    """A provider of decisions that the mesh declares; None if it does not."""
    known: tuple[MeshExtensionProvider, ...] = read_mesh_default(graph, "extension_providers") or ()
    return next((each for each in known if each.name == name and each.settings is not None), None)


def guarded(found: ListenerSettings, extras: Extras = NO_EXTRAS, place: str = "") -> ListenerSettings:
    """What operators decide about a listener, with what guards it."""
    return replace(found, guarding=guarding(extras, place=place))


def told_head(graph: Graph, guards: Guards, head: Head) -> Resource:
    """What one filter is told."""
    return resource(EXTENSION, head.name, told(head, _config(graph, guards, head)))


def _config(graph: Graph, guards: Guards, head: Head) -> Any:
    """The message that a filter is told."""
    if head.part is Part.TOKENS:
        return token_guard(graph.ask(issuers_of, guards.tokens), reroute=bool(head.place))
    policies, domains = policies_of(graph, guards.policies), graph.ask(trusted)
    if head.part is Part.CHOOSE:
        return (http_choice if head.http else network_choice)(policies, head.provider, domains)
    if head.part is Part.ASK:
        return _asking(graph, head)
    write = http_guard if head.http else network_guard
    config = write(policies, ACTIONS[head.part], domains)
    if head.part is not Part.DENY:
        return config
    custom = kept(policies, Action.CUSTOM).enforced
    unknown = [
        each for each in custom if each.spec.provider and not provider_of(graph, each.spec.provider.name)
    ]
    config = refused_custom(config, unknown, domains, http=head.http)
    return refused_identities(config, graph.ask(shut_out))


def _asking(graph: Graph, head: Head) -> Any:
    provider = provider_of(graph, head.provider)
    if provider is None:
        # It went while the listener that asks it goes; the filter of DENY refuses what it was asked about.
        provider = MeshExtensionProvider.model_validate(
            {"name": head.provider, "envoyExtAuthzGrpc": {"service": "gone.invalid", "port": 1}}
        )
    cluster = provider_cluster(graph, provider)
    return http_asking(provider, cluster) if head.http else network_asking(provider, cluster)


def provider_targets(graph: Graph, extras: Extras) -> Iterable[Target]:
    """The services that are asked."""
    for name in extras.providers:
        provider = provider_of(graph, name)
        said = provider.settings if provider else None
        if provider is None or said is None:
            continue
        namespace = said.service.rpartition("/")[0]
        host = resolve_host(said.service.rpartition("/")[2], _home(provider), settings(graph).domain)
        for key in read_service_keys(graph, "services-of-host", host):
            if not namespace or key.namespace == namespace:
                yield Target(key, said.port, "")
                break


def provider_cluster(graph: Graph, provider: MeshExtensionProvider) -> str:
    """The cluster by which a provider is asked: that of its service."""
    said = provider.settings
    host = said.service.rpartition("/")[2] if said else ""
    return outbound_cluster_name(
        said.port if said else 0, "", resolve_host(host, _home(provider), settings(graph).domain)
    )


def _home(provider: MeshExtensionProvider) -> str:
    """The namespace to which a short name of a provider's service belongs."""
    said = provider.settings
    return (said.service.rpartition("/")[0] if said else "") or "default"


def issuers_of(graph: Graph, tokens: Refs) -> tuple[Issuer, ...]:
    """The issuers whose tokens are believed, with their keys."""
    found: list[Issuer] = []
    for ref in tokens:
        obj = cast("Object[RequestAuthentication] | None", read_object(graph, ref))
        found += (Issuer(rule, keys_of(graph, rule)) for rule in (obj.spec.jwt_rules if obj else ()))
    return tuple(found)


def keys_of(graph: Graph, rule: JWTRule) -> str:
    """The keys of a rule; empty while they are not known."""
    return rule.jwks or fetched(graph, rule.keys_at).jwks


def fetched(graph: Graph, url: str) -> FetchedKeys:
    """What is known of a source of keys."""
    return cast("FetchedKeys | None", graph.read(("jwks", url))) or FetchedKeys()


def key_sources(graph: Graph) -> tuple[KeySource, ...]:
    """All sources of keys that rules name."""
    found: dict[tuple[str, bool], float] = {}
    for ref in read_refs(graph, "all-request-authentications"):
        obj = cast("Object[RequestAuthentication] | None", read_object(graph, ref))
        for rule in obj.spec.jwt_rules if obj else ():
            if rule.keys_at:
                timeout = rule.timeout.total_seconds() if rule.timeout else FETCH_TIMEOUT
                key = (rule.keys_at, rule.jwks_uri is None)
                found[key] = max(timeout, found.get(key, 0.0))
    return tuple(KeySource(url, discover, timeout) for (url, discover), timeout in sorted(found.items()))


def policies_of(graph: Graph, refs: Refs) -> list[Object[AuthorizationPolicy]]:
    """Those that are there still: a layer is made from a list that may be older than they are."""
    found = (read_object(graph, ref) for ref in refs)
    return [cast("Object[AuthorizationPolicy]", obj) for obj in found if obj is not None]
