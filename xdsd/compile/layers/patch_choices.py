"""What becomes of a resource that is patched, and what if a proxy refuses it.

A proxy can refuse what patches made of a resource. What it refused, by content, is an input of the compiler; from then on
its layers are named after that too, and in them the resource is made without the EnvoyFilter that is to blame. Which one
that is nobody says, so the newest is left out first, then each other one, then more and more of them: the first outcome
that the proxy has not refused is served. Proxies that took the resource keep it as it is. Turned down: leaving it out for
all proxies once one refuses (a file that is missing on one machine would undo the patch on all others), and leaving it out
for good (an EnvoyFilter that is mended has other contents, and so is offered anew).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from xdsd.compile.envoy_filters.clusters import patch_cluster
from xdsd.compile.envoy_filters.extensions import extension_config
from xdsd.compile.envoy_filters.listeners import patch_listener
from xdsd.compile.envoy_filters.matching import Facts, Work
from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch
from xdsd.compile.envoy_filters.routes import patch_routes
from xdsd.compile.envoy_filters.rules import violations
from xdsd.compile.envoy_filters.wholes import clashes
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Query, resource
from xdsd.compile.layers.patch_reading import ready
from xdsd.manifest.paths import write_path
from xdsd.model.intent import PatchContext
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.snapshot import CLUSTER, EXTENSION, LISTENER, ROUTE, Resource

MESSAGES: Mapping[str, Any] = MappingProxyType(
    {CLUSTER: Cluster, LISTENER: Listener, ROUTE: RouteConfiguration}
)
"""The types of resources that can be patched, and their messages."""

_WORDS = {CLUSTER: "cluster", LISTENER: "listener", ROUTE: "routes", EXTENSION: "extension config"}


class Choice(NamedTuple):
    """What became of a resource.

    ``applied`` are the patches that found something to change, ``excluded`` the objects left out, ``answered`` the refused
    versions that this is an answer to.
    """

    resource: Resource | None
    applied: frozenset[PatchRef] = frozenset()
    excluded: tuple[ObjectRef, ...] = ()
    answered: frozenset[str] = frozenset()


def patched(
    graph: Graph,
    query: Query,
    arguments: tuple[Any, ...],
    facts: Facts,
    refs: tuple[PatchRef, ...],
    refused: frozenset[str],
) -> Resource | None:
    """A resource with patches applied; None if one removes it."""
    return graph.ask(choice, query, arguments, facts, refs, refused).resource


def choice(
    graph: Graph,
    query: Query,
    arguments: tuple[Any, ...],
    facts: Facts,
    refs: tuple[PatchRef, ...],
    refused: frozenset[str],
) -> Choice:
    """A resource with as many of its EnvoyFilters applied as Envoy's rules and a proxy's refusals leave."""
    base: Resource | None = graph.ask(query, *arguments)
    if base is None:
        return Choice(None)
    patches = [each for ref in refs if (each := graph.ask(ready, ref)) is not None]
    outcome = _apply(base, patches, facts)
    filters = tuple(dict.fromkeys(ref.filter for ref in refs if ref in outcome.applied))
    answered: set[str] = set()
    excluded: tuple[ObjectRef, ...] = ()
    why = ""
    for excluded in _exclusions(filters):
        if excluded:
            outcome = _apply(base, [each for each in patches if each.ref.filter not in excluded], facts)
        made = outcome.resource
        if made is None or (not outcome.broken and made.version not in refused):
            break
        why = why or outcome.broken or _words(graph, made)
        if made.version in refused:
            answered.add(made.version)
    for ref in excluded:
        _blame(graph, ref, refs, base, why)
    return Choice(outcome.resource, outcome.applied, excluded, frozenset(answered))


def _exclusions(filters: tuple[ObjectRef, ...]) -> Iterator[tuple[ObjectRef, ...]]:
    """Whom to leave out, from nobody over each single one, the last applied first, to all."""
    yield ()
    for ref in reversed(filters):
        yield (ref,)
    for count in range(2, len(filters) + 1):
        yield filters[-count:]


class _Outcome(NamedTuple):
    """``broken`` says which of Envoy's rules the result breaks; empty if none."""

    resource: Resource | None
    applied: frozenset[PatchRef]
    broken: str = ""


def _apply(base: Resource, patches: list[ReadyPatch], facts: Facts) -> _Outcome:
    message = MESSAGES[base.type_url].FromString(base.body)
    if (
        base.type_url == LISTENER
        and message.traffic_direction == TrafficDirection.OUTBOUND
        and facts.context is not PatchContext.GATEWAY
    ):
        facts = Facts(PatchContext.SIDECAR_OUTBOUND, facts.hosts, facts.port_names, facts.servers)
    work = Work(patches, facts)
    kept = True
    if base.type_url == LISTENER:
        kept = patch_listener(message, work)
    elif base.type_url == CLUSTER:
        kept = patch_cluster(message, work)
    else:
        patch_routes(message, work)
    applied = frozenset(work.applied)
    if not kept:
        return _Outcome(None, applied)
    if not applied:
        return _Outcome(base, applied)
    checked = work.made if base.type_url == ROUTE else [message]
    broken = next((found for each in checked for found in violations(each)), None)
    if broken is None and base.type_url == ROUTE:
        broken = next(clashes(message), None)
    told = f"{write_path(broken.path)} {broken.message}".strip() if broken else ""
    made = resource(base.type_url, base.name, message)
    return _Outcome(base if made == base else made, applied, told)


def _words(graph: Graph, made: Resource) -> str:
    witness: tuple[str, str] | None = graph.read(("refused-by", made.type_url, made.name, made.version))
    return f"{witness[0]} says: {witness[1]}" if witness else "a proxy refused it"


def _blame(graph: Graph, ref: ObjectRef, refs: tuple[PatchRef, ...], base: Resource, why: str) -> None:
    place = next(each for each in refs if each.filter == ref)
    what = f"the {_WORDS[base.type_url]} {base.name}"
    message = f"{what} is served without these patches, since with them it is refused: {why}"
    graph.report(Problem(Reason.REJECTED_BY_PROXY, message, ref, place.path))


def added(graph: Graph, type_url: str, ref: PatchRef, refused: frozenset[str]) -> Resource | None:
    """A resource that a patch adds; None if a proxy refuses it."""
    return graph.ask(added_choice, type_url, ref, refused).resource


def added_choice(graph: Graph, type_url: str, ref: PatchRef, refused: frozenset[str]) -> Choice:
    """What becomes of a resource that a patch adds."""
    patch = graph.ask(ready, ref)
    if patch is None or patch.value is None:
        return Choice(None)
    made = resource(type_url, patch.value.name, patch.value)
    if made.version not in refused:
        return Choice(made, frozenset({ref}))
    _leave_out(graph, ref, made)
    return Choice(None, frozenset({ref}), (ref.filter,), frozenset({made.version}))


def _leave_out(graph: Graph, ref: PatchRef, made: Resource) -> None:
    message = (
        f"the {_WORDS[made.type_url]} {made.name} is left out, since it is refused: {_words(graph, made)}"
    )
    graph.report(Problem(Reason.REJECTED_BY_PROXY, message, ref.filter, ref.path))


def extension(
    graph: Graph, name: str, refs: tuple[PatchRef, ...], refused: frozenset[str]
) -> Resource | None:
    """An extension config; None if it was removed, or if a proxy refuses it."""
    return graph.ask(extension_choice, name, refs, refused).resource


def extension_choice(graph: Graph, name: str, refs: tuple[PatchRef, ...], refused: frozenset[str]) -> Choice:
    """What becomes of an extension config."""
    patches = [each for ref in refs if (each := graph.ask(ready, ref)) is not None]
    message, applied = extension_config(patches, name)
    if message is None:
        return Choice(None, applied)
    made = resource(EXTENSION, name, message)
    if made.version not in refused:
        return Choice(made, applied)
    for ref in sorted(applied):
        _leave_out(graph, ref, made)
    excluded = tuple(dict.fromkeys(ref.filter for ref in sorted(applied)))
    return Choice(None, applied, excluded, frozenset({made.version}))


CHOICES: dict[Query, Query] = {
    patched: choice,
    added: added_choice,
    extension: extension_choice,
}
