"""Layers of proxies for which there is Telemetry: the same parts, with listeners that tell what it wants, and with the
clusters of those who are told.

A listener that tells otherwise is a cell of its own, named by the Telemetry that is for its proxies; so an edit of one
reaches their listeners and nothing else, and proxies without any have those that they had.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from typing import Any, NamedTuple, cast

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog as AccessLogProto
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_pb2 import Listener

from xdsd.compile.graph import Graph
from xdsd.compile.layers.assignments import assignment_members
from xdsd.compile.layers.base import LayerSpec, Member, Query, resource
from xdsd.compile.layers.checks import check_for
from xdsd.compile.layers.destinations import Target
from xdsd.compile.layers.edge import edge_targets
from xdsd.compile.layers.near import NEAR
from xdsd.compile.layers.outbound import as_needed, cluster
from xdsd.compile.layers.scope import services_of_shard, shard_of
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.locality import NOWHERE
from xdsd.compile.names import outbound_cluster_name, resolve_host
from xdsd.compile.observing.applying import Told, apply
from xdsd.compile.observing.collectors import Collecting
from xdsd.compile.observing.logs import file_log, own_log, told, written
from xdsd.compile.observing.merging import Logged, Traced, merged_logs, merged_tracing
from xdsd.compile.observing.spans import names_service, request_ids, tracing
from xdsd.compile.resolve import Labels, View, client_towards, rules_for, selects, settings
from xdsd.compile.world import (
    read_mesh_default,
    read_object,
    read_proxy,
    read_refs,
    read_service,
    read_service_keys,
)
from xdsd.model.intent import Object, Telemetry, WorkloadMode
from xdsd.model.intent.extension_provider import BUILT_IN, MeshExtensionProvider
from xdsd.model.intent.policy_target import GATEWAY_NAME, GROUP
from xdsd.model.intent.telemetry_provider import Collector, EnvoyFileAccessLogProvider
from xdsd.model.mesh import Proxy, Role
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.snapshot import CLUSTER, LISTENER, LayerId, Resource

Refs = tuple[ObjectRef, ...]

SIDES = (WorkloadMode.CLIENT, WorkloadMode.SERVER)


class Observing(NamedTuple):
    """The Telemetry that holds for a proxy, wider ones first. ``service`` is how its workload is called where spans have to
    say so, ``gateway`` that it is no sidecar.
    """

    refs: Refs
    service: str
    gateway: bool


def with_telemetry(
    graph: Graph, node_id: str, view: View, specs: tuple[LayerSpec, ...]
) -> tuple[LayerSpec, ...]:
    """The layers of a connected proxy with what its Telemetry wants; the same ones if it has none."""
    proxy = read_proxy(graph, node_id)
    found = _observing(graph, proxy) if proxy is not None else None
    return graph.ask(observed_layers, view, specs, found) if found is not None else specs


def _observing(graph: Graph, proxy: Proxy) -> Observing | None:
    labels = tuple(sorted(proxy.labels.items()))
    refs = tuple(ref for ref in graph.ask(telemetries, proxy.role, proxy.namespace, labels))
    refs = tuple(ref for ref in refs if graph.ask(says_something, ref))
    if not refs and not any(_defaults(graph)):
        return None
    service = service_of(proxy) if graph.ask(calls_by_name, refs) else ""
    return Observing(refs, service, proxy.role is Role.ROUTER)


def service_of(proxy: Proxy) -> str:
    """How a proxy's workload is called in traces."""
    labels = proxy.labels
    name = labels.get("service.istio.io/canonical-name") or labels.get("app") or proxy.name
    return f"{name}.{proxy.namespace}"


def telemetries(graph: Graph, role: Role, namespace: str, labels: Labels) -> Refs:
    """The Telemetry for a workload: the mesh's, its namespace's, and its own; the oldest of each."""
    owners = dict.fromkeys((settings(graph).root_namespace, namespace))
    wide = (graph.ask(wide_telemetry, owner) for owner in owners)
    found = [ref for ref in wide if ref is not None]
    own = [ref for ref in read_refs(graph, "telemetries", namespace) if _is_for(graph, ref, role, labels)]
    for ref in own[1:]:
        message = f"has no effect on some workloads: {own[0]} is older and is for them too"
        graph.report(Problem(Reason.CONFLICT, message, ref, "spec", severity=Severity.WARNING))
    return (*found, *own[:1])


def wide_telemetry(graph: Graph, namespace: str) -> ObjectRef | None:
    """The Telemetry of a whole namespace, the mesh's in the root namespace: the oldest."""
    for ref in read_refs(graph, "telemetries", namespace):
        spec = _spec(graph, ref)
        if spec is not None and spec.is_wide:
            return ref
    return None


def says_something(graph: Graph, ref: ObjectRef) -> bool:
    """True if a Telemetry is about access logs or spans."""
    spec = _spec(graph, ref)
    return spec is not None and bool(spec.access_logging or spec.tracing)


def _is_for(graph: Graph, ref: ObjectRef, role: Role, labels: Labels) -> bool:
    spec = _spec(graph, ref)
    if spec is None or spec.is_wide:
        return False
    if spec.selector is not None:
        return selects(spec.selector.match_labels, dict(labels))
    return role is Role.ROUTER and any(
        _is_target(graph, ref, target.group or "", target.name, dict(labels)) for target in spec.targets
    )


def _is_target(graph: Graph, ref: ObjectRef, group: str, name: str, labels: dict[str, str]) -> bool:
    if group != GROUP:
        return labels.get(GATEWAY_NAME) == name
    gateway = read_object(graph, ObjectRef("Gateway", ref.namespace, name))
    return gateway is not None and selects(gateway.spec.selector, labels)


def _spec(graph: Graph, ref: ObjectRef) -> Telemetry | None:
    obj = cast("Object[Telemetry] | None", read_object(graph, ref))
    return obj.spec if obj is not None else None


def observed_layers(
    graph: Graph, view: View, specs: tuple[LayerSpec, ...], observing: Observing
) -> tuple[LayerSpec, ...]:
    """The layers with listeners that tell; the first has the clusters of those who are told."""
    del graph
    digest = blake2b(repr(observing).encode(), digest_size=6).hexdigest()
    made: list[LayerSpec] = []
    for index, spec in enumerate(specs):
        if spec.id.startswith(NEAR):
            made.append(spec)
            continue
        parts: list[tuple[Query, tuple[Any, ...]]] = [
            (observed_members, (query, arguments, observing)) for query, arguments in spec.parts
        ]
        if index == 0:
            parts.append((collector_members, (view, observing)))
        made.append(LayerSpec(LayerId(f"{spec.id}/observed/{digest}"), tuple(parts)))
    return tuple(made)


def observed_members(
    graph: Graph, query: Query, arguments: tuple[Any, ...], observing: Observing
) -> tuple[Member, ...]:
    """The members of a part, its listeners as Telemetry wants them."""
    members: tuple[Member, ...] = graph.ask(query, *arguments)
    if not any(member.type_url == LISTENER for member in members):
        return members
    return tuple(
        member._replace(query=observed, arguments=(member.query, member.arguments, observing))
        if member.type_url == LISTENER
        else member
        for member in members
    )


def observed(graph: Graph, query: Query, arguments: tuple[Any, ...], observing: Observing) -> Resource | None:
    """A listener that tells what Telemetry wants."""
    base: Resource | None = graph.ask(query, *arguments)
    if base is None:
        return None
    listener = Listener.FromString(base.body)
    inbound = listener.traffic_direction == TrafficDirection.INBOUND
    side = WorkloadMode.SERVER if inbound else WorkloadMode.CLIENT
    found = graph.ask(telling, observing, side)
    if found == Told():
        return base
    apply(listener, found)
    return resource(LISTENER, base.name, listener)


def telling(graph: Graph, observing: Observing, side: WorkloadMode) -> Told:
    """What listeners of one side tell."""
    logs = logs_of(graph, observing.refs, side)
    made = Told()
    if logs is not None:
        requests = (each for log in logs for each in _logs(graph, log, http=True))
        connections = (each for log in logs for each in _logs(graph, log, http=False))
        made = replace(made, requests=tuple(requests), connections=tuple(connections))
    traced = traced_of(graph, observing.refs, side)
    provider = provider_named(graph, traced.provider) if traced else None
    tracer = provider.tracer if provider else None
    to = collecting(graph, tracer) if tracer else None
    if traced is None or tracer is None or to is None:
        return made
    spans = tracing(traced, tracer, to, observing.service, gateway=observing.gateway)
    return replace(made, tracing=spans, request_ids=request_ids(traced))


def logs_of(graph: Graph, refs: Refs, side: WorkloadMode) -> tuple[Logged, ...] | None:
    """The access logs of one side; None where nobody says anything of them, so that the mesh's own is there."""
    said, _ = _defaults(graph)
    levels = [spec.access_logging for ref in refs if (spec := _spec(graph, ref))]
    if not said and not any(levels):
        return None
    return merged_logs(levels, side, said or default_logs(graph))


def default_logs(graph: Graph) -> tuple[str, ...]:
    """Where access logs go where nobody says so."""
    return (BUILT_IN,) if listener_settings(graph).access_log.path else ()


def traced_of(graph: Graph, refs: Refs, side: WorkloadMode) -> Traced | None:
    """The spans of one side; None if there are none."""
    _, defaults = _defaults(graph)
    return merged_tracing([spec.tracing for ref in refs if (spec := _spec(graph, ref))], side, defaults)


def _defaults(graph: Graph) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The providers of access logs and of spans that the mesh names where nobody else does."""
    said = read_mesh_default(graph, "default_providers")
    return (said.access_logging, said.tracing) if said is not None else ((), ())


def provider_named(graph: Graph, name: str) -> MeshExtensionProvider | None:
    """A provider that the mesh declares; None if it does not."""
    known: tuple[MeshExtensionProvider, ...] = read_mesh_default(graph, "extension_providers") or ()
    return next((each for each in known if each.name == name), None)


def calls_by_name(graph: Graph, refs: Refs) -> bool:
    """True if spans of some side have to say how the workload is called."""
    found = (traced_of(graph, refs, side) for side in SIDES)
    providers = (provider_named(graph, traced.provider) for traced in found if traced)
    return any(
        each is not None and each.tracer is not None and names_service(each.tracer) for each in providers
    )


def _logs(graph: Graph, log: Logged, *, http: bool) -> list[AccessLogProto]:
    mesh = listener_settings(graph).access_log
    provider = provider_named(graph, log.provider)
    if provider is None:
        return written(own_log(mesh), log.expression) if log.provider == BUILT_IN else []
    said = provider.logger
    if said is None:
        return []
    if isinstance(said, EnvoyFileAccessLogProvider):
        file = file_log(said, mesh, built_in=log.provider == BUILT_IN)
        return written(file, log.expression, omit_empty=bool(said.omit_empty_values))
    to = collecting(graph, said)
    return told(said, log.expression, to, http=http) if to is not None else []


def collecting(graph: Graph, said: Collector) -> Collecting | None:
    """Where a service is told; None where there is no such service, or no such port."""
    target = graph.ask(collector_target, said.service, said.port)
    if target is None:
        return None
    host = target.key.hostname
    return Collecting(host, outbound_cluster_name(target.port, "", host))


def collector_target(graph: Graph, service: str, port: int) -> Target | None:
    """The service that a provider's name means, which is in namespace ``default`` if it is a short one."""
    namespace, _, host = service.rpartition("/")
    host = resolve_host(host, namespace or "default", settings(graph).domain)
    for key in read_service_keys(graph, "services-of-host", host):
        found = read_service(graph, key)
        if found and found.port(port) is not None and namespace in ("", key.namespace):
            return Target(key, port, "")
    return None


def collectors(graph: Graph, refs: Refs) -> tuple[Target, ...]:
    """All services that are told, on either side."""
    found: dict[Target, None] = {}
    for side in SIDES:
        traced = traced_of(graph, refs, side)
        names = [log.provider for log in logs_of(graph, refs, side) or ()]
        for name in (*names, *([traced.provider] if traced else ())):
            provider = provider_named(graph, name)
            said = (provider.logger or provider.tracer) if provider else None
            target = (
                graph.ask(collector_target, said.service, said.port) if isinstance(said, Collector) else None
            )
            if target is not None:
                found[target] = None
    return tuple(found)


def collector_members(graph: Graph, view: View, observing: Observing) -> tuple[Member, ...]:
    """The clusters and endpoints of those who are told, where a view does not have them anyway."""
    missing = (each for each in graph.ask(collectors, observing.refs) if not _leads_to(graph, view, each))
    return tuple(member for target in missing for member in _cluster_members(graph, view, target))


def _leads_to(graph: Graph, view: View, target: Target) -> bool:
    if view.role is Role.ROUTER:
        return any(each == target for each, _ in graph.ask(edge_targets, view))
    known = graph.ask(services_of_shard, view, shard_of(target.key))
    services = (read_service(graph, key) for key in known if key.hostname == target.key.hostname)
    return any(service is not None and service.port(target.port) is not None for service in services)


def _cluster_members(graph: Graph, view: View, target: Target) -> Iterator[Member]:
    key, port, _ = target
    name = outbound_cluster_name(port, "", key.hostname)
    rules = graph.ask(rules_for, view.namespace, view.labels, key)
    check = check_for(graph, view.namespace, view.labels, key, port)
    client = as_needed(graph, rules, client_towards(graph, view, key, port))
    arguments = (key, port, "", rules, check)
    yield Member(CLUSTER, name, cluster, (*arguments, client, NOWHERE))
    yield from assignment_members(graph, name, (*arguments, NOWHERE))
