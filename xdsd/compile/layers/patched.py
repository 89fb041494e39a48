"""Layers with EnvoyFilters applied: the same parts, with each member that a patch may change put through its patches.

A member that no patch names stays the very member that proxies without EnvoyFilters have. One that is patched is a cell of
its own, named by the member, the patches and what is known of it beside its content; so a resource is patched once for
however many proxies, and an edit of a patch reaches the resources that it may change and no other.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from xdsd.compile.envoy_filters.choosing import CONTEXTS
from xdsd.compile.envoy_filters.extensions import extension_names
from xdsd.compile.envoy_filters.matching import Facts, cluster_matches, routes_match
from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, Query
from xdsd.compile.layers.doing_without import whole_part
from xdsd.compile.layers.near import NEAR
from xdsd.compile.layers.patch_choices import CHOICES, MESSAGES, added, extension, patched
from xdsd.compile.layers.patch_facts import facts_of
from xdsd.compile.layers.patch_reading import head, patches_for, ready
from xdsd.compile.world import read_proxy
from xdsd.model.intent import ApplyTo, PatchContext, PatchOperation
from xdsd.model.mesh import Proxy
from xdsd.model.problem import Problem, Reason, Severity
from xdsd.snapshot import CLUSTER, EXTENSION, LISTENER, ROUTE, LayerId

_LISTENER_KINDS = frozenset(
    {
        ApplyTo.LISTENER,
        ApplyTo.LISTENER_FILTER,
        ApplyTo.FILTER_CHAIN,
        ApplyTo.NETWORK_FILTER,
        ApplyTo.HTTP_FILTER,
    }
)
_ROUTE_KINDS = frozenset({ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE})
_ADDED = {ApplyTo.LISTENER: LISTENER, ApplyTo.CLUSTER: CLUSTER}


class Refused(NamedTuple):
    """A content that a proxy refused."""

    type_url: str
    name: str
    version: str


class Patching(NamedTuple):
    """What is done to a layer. ``context`` is the layer's; a workload's listeners may be of both sides."""

    context: PatchContext
    patches: tuple[PatchRef, ...]
    refused: tuple[Refused, ...]


def with_patches(graph: Graph, node_id: str, specs: tuple[LayerSpec, ...]) -> tuple[LayerSpec, ...]:
    """The layers of a connected proxy with its EnvoyFilters applied; the same ones if it has none."""
    proxy = read_proxy(graph, node_id)
    patches = patches_for(graph, proxy) if proxy is not None else ()
    if proxy is None or not patches:
        return specs
    first, *rest = CONTEXTS[proxy.role]
    contexts = (first, *rest, *(first for _ in specs[1 + len(rest) :]))
    refused: tuple[Refused, ...] = graph.read(("refusals", node_id)) or ()
    if refused:
        refused = graph.ask(answered, graph.ask(patched_layers, specs, contexts, patches, refused), refused)
    return graph.ask(patched_layers, specs, contexts, patches, refused)


def patches_outbound_routes(graph: Graph, proxy: Proxy) -> bool:
    """Whether an EnvoyFilter may change the route configurations through which a proxy's program calls."""
    heads = (graph.ask(head, ref) for ref in patches_for(graph, proxy))
    contexts = (PatchContext.ANY, PatchContext.SIDECAR_OUTBOUND)
    return any(each and each.apply_to in _ROUTE_KINDS and each.context in contexts for each in heads)


def answered(graph: Graph, specs: tuple[LayerSpec, ...], refused: tuple[Refused, ...]) -> tuple[Refused, ...]:
    """What of the refusals still matters, so that a refusal of long ago does not set proxies apart."""
    names = {(each.type_url, each.name) for each in refused}
    found: set[Refused] = set()
    for spec in specs:
        for query, arguments in spec.parts:
            for member in graph.ask(query, *arguments) if query in (patched_members, added_members) else ():
                if (member.type_url, member.name) in names and member.query in CHOICES:
                    made = graph.ask(CHOICES[member.query], *member.arguments)
                    found |= {Refused(member.type_url, member.name, version) for version in made.answered}
    return tuple(sorted(found))


def patched_layers(
    graph: Graph,
    specs: tuple[LayerSpec, ...],
    contexts: tuple[PatchContext, ...],
    patches: tuple[PatchRef, ...],
    refused: tuple[Refused, ...],
) -> tuple[LayerSpec, ...]:
    """The layers with these patches applied; ``contexts`` are the layers' own.

    What is near has the context of what a view shares, which is where resources are added.
    """
    every_part = tuple(part for spec in specs for part in spec.parts)
    made: list[LayerSpec] = []
    before: tuple[PatchRef, ...] = ()
    for spec, context in zip(specs, contexts, strict=True):
        wanted = (PatchContext.ANY, *_contexts_of(spec, context))
        heads = [each for ref in patches if (each := graph.ask(head, ref)) is not None]
        own = tuple(
            each.ref
            for each in heads
            if each.context in wanted
            or (each.apply_to is ApplyTo.EXTENSION_CONFIG and context is contexts[0])
        )
        if not own:
            made.append(spec)
            continue
        patching = Patching(context, own, refused)
        digest = blake2b(repr(patching).encode(), digest_size=6).hexdigest()
        parts: list[tuple[Query, tuple[Any, ...]]] = [
            (patched_members, (query, arguments, patching)) for query, arguments in spec.parts
        ]
        adding = tuple(each.ref for each in heads if each.ref in own and _adds(each, context, contexts[0]))
        if adding and not spec.id.startswith(NEAR):
            parts.append((added_members, (every_part, patching, contexts[0], before)))
            before += adding
        made.append(LayerSpec(LayerId(f"{spec.id}/patched/{digest}"), tuple(parts)))
    return tuple(made)


def _contexts_of(spec: LayerSpec, context: PatchContext) -> tuple[PatchContext, ...]:
    """A workload that listens for its program's calls itself has both sides in its layer."""
    if context is PatchContext.SIDECAR_INBOUND and spec.id.startswith("explicit/"):
        return context, PatchContext.SIDECAR_OUTBOUND
    return (context,)


def _adds(patch: ReadyPatch, context: PatchContext, first: PatchContext) -> bool:
    """True if a patch adds a resource to a layer of this context. Meant for any, it is added once."""
    if patch.apply_to is ApplyTo.EXTENSION_CONFIG:
        return context is first
    if patch.operation is not PatchOperation.ADD or patch.apply_to not in _ADDED:
        return False
    return patch.context is context or (patch.context is PatchContext.ANY and context is first)


def patched_members(
    graph: Graph, query: Query, arguments: tuple[Any, ...], patching: Patching
) -> tuple[Member, ...]:
    """The members of a part, those that patches may change put through them."""
    heads = [each for ref in patching.patches if (each := graph.ask(head, ref)) is not None]
    members: tuple[Member, ...] = graph.ask(query, *arguments)
    part = whole_part(query, arguments)
    return tuple(_put_through(graph, member, part, heads, patching) for member in members)


def _put_through(
    graph: Graph,
    member: Member,
    part: tuple[Any, ...],
    heads: Iterable[ReadyPatch],
    patching: Patching,
) -> Member:
    if member.type_url not in MESSAGES:
        return member
    wanted = [each for each in heads if _is_about(each, member.type_url, patching.context)]
    if not wanted:
        return member
    facts = facts_of(graph, member, part, patching.context, wanted)
    refs = tuple(each.ref for each in wanted if _may_match(each, member, facts))
    if not refs:
        return member
    refused = frozenset(
        each.version for each in patching.refused if each[:2] == (member.type_url, member.name)
    )
    return member._replace(query=patched, arguments=(member.query, member.arguments, facts, refs, refused))


def _is_about(patch: ReadyPatch, type_url: str, context: PatchContext) -> bool:
    if patch.operation is PatchOperation.ADD and patch.apply_to in _ADDED:
        return False
    if type_url == CLUSTER:
        return patch.apply_to is ApplyTo.CLUSTER
    if type_url == ROUTE:
        return patch.apply_to in _ROUTE_KINDS
    inline = context is PatchContext.SIDECAR_INBOUND and patch.apply_to in _ROUTE_KINDS
    return inline or patch.apply_to in _LISTENER_KINDS


def _may_match(patch: ReadyPatch, member: Member, facts: Facts) -> bool:
    """Tells by the name alone, as far as that goes."""
    if member.type_url == CLUSTER:
        return patch.context in (PatchContext.ANY, facts.context) and cluster_matches(
            patch, member.name, facts.hosts
        )
    if member.type_url == ROUTE:
        return routes_match(patch, member.name, facts)
    match = patch.match.listener if patch.match else None
    if match is None:
        return True
    port = member.name.rpartition("_")[2]
    if match.port_number and port.isdecimal() and int(port) != match.port_number:
        return False
    return match.name in (None, member.name)


def added_members(
    graph: Graph,
    every_part: tuple[tuple[Query, tuple[Any, ...]], ...],
    patching: Patching,
    first: PatchContext,
    before: tuple[PatchRef, ...],
) -> tuple[Member, ...]:
    """The resources that patches add to a layer; a name that is taken is not given again.

    ``before`` are the patches that add to the proxy's earlier layers.
    """
    heads = [each for ref in patching.patches if (each := graph.ask(head, ref)) is not None]
    adding = [each.ref for each in heads if _adds(each, patching.context, first)]
    found = [each for ref in adding if (each := graph.ask(ready, ref)) is not None]
    taken = {
        (member.type_url, member.name)
        for query, arguments in every_part
        for member in graph.ask(query, *arguments)
    }
    elsewhere = (each for ref in before if (each := graph.ask(ready, ref)) is not None)
    taken |= {
        (_ADDED[each.apply_to], each.value.name)
        for each in elsewhere
        if each.apply_to in _ADDED and each.value
    }
    kept: list[ReadyPatch] = []
    for patch in found:
        type_url = _ADDED.get(patch.apply_to, EXTENSION)
        if patch.value is None:
            continue
        if (type_url, patch.value.name) in taken:
            graph.report(_taken(patch, patch.value.name))
            continue
        if type_url != EXTENSION:
            taken.add((type_url, patch.value.name))
        kept.append(patch)
    return (*_added_alone(kept, patching), *_added_extensions(kept, patching))


def _added_alone(patches: Iterable[ReadyPatch], patching: Patching) -> Iterator[Member]:
    for patch in patches:
        type_url = _ADDED.get(patch.apply_to)
        if type_url is not None:
            refused = _refused(patching, type_url, patch.value.name)
            yield Member(type_url, patch.value.name, added, (type_url, patch.ref, refused))


def _added_extensions(patches: Iterable[ReadyPatch], patching: Patching) -> Iterator[Member]:
    """Several patches may make one extension config."""
    found = [patch for patch in patches if patch.apply_to is ApplyTo.EXTENSION_CONFIG]
    refs = tuple(patch.ref for patch in found)
    for name in extension_names(found):
        yield Member(EXTENSION, name, extension, (name, refs, _refused(patching, EXTENSION, name)))


def _refused(patching: Patching, type_url: str, name: str) -> frozenset[str]:
    return frozenset(each.version for each in patching.refused if each[:2] == (type_url, name))


def _taken(patch: ReadyPatch, name: str) -> Problem:
    message = f"there is a {patch.apply_to.lower()} {name!r} already; choose another name, or MERGE into that"
    path = f"{patch.ref.path}.patch.value.name"
    return Problem(Reason.CONFLICT, message, patch.ref.filter, path, severity=Severity.WARNING)
