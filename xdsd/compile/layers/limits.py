"""Which RateLimits are for a listener or a route."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

from xdsd.compile.delegates import delegate_ref
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.limits.limiter import DAEMON, INBOUND, OUTBOUND, limiter_cluster
from xdsd.compile.limits.limiting import Heads, filter_config, heads, limiting
from xdsd.compile.limits.routes import limit_route
from xdsd.compile.limits.terms import Side
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.matches import MESH
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve import Labels, sees, selects, settings
from xdsd.compile.world import read_object, read_refs, read_service, read_service_keys
from xdsd.model.gateway_topology import UNSAID, GatewayTopology
from xdsd.model.intent import Object, RateLimit, TargetKind, VirtualService
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import CLUSTER, EXTENSION, Resource

Refs = tuple[ObjectRef, ...]

HTTP_PORT = 80
_OWNER = re.compile(r"/namespaces/([^/]+)/virtual-service/([^/]+)$")
_RULE = re.compile(r"^spec\.http\[(\d+)\]")


def workload_limits(graph: Graph, namespace: str, labels: Labels) -> Refs:
    """The RateLimits without targets that are for a workload, older ones first within a namespace."""
    found: list[ObjectRef] = []
    for owner in dict.fromkeys((settings(graph).root_namespace, namespace)):
        for ref in read_refs(graph, "rate-limits", owner):
            selector = _spec(graph, ref).selector
            if selects(selector.match_labels if selector else {}, dict(labels)):
                found.append(ref)
    return tuple(found)


def target_limits(graph: Graph, target: ObjectRef) -> Refs:
    """The RateLimits that target a Gateway or a VirtualService, older ones first."""
    return read_refs(graph, "rate-limits-of", target.kind, target.namespace, target.name)


def route_limits(graph: Graph, ref: ObjectRef) -> Refs:
    """The RateLimits that target a VirtualService, or one that it delegates to."""
    found = dict.fromkeys(target_limits(graph, ref))
    obj = read_object(graph, ref)
    for rule in obj.spec.http if obj is not None else ():
        if rule.delegate is not None:
            found.update(dict.fromkeys(target_limits(graph, delegate_ref(rule.delegate, ref.namespace))))
    return tuple(found)


def outbound_limits(graph: Graph, namespace: str, number: int) -> Refs:
    """The RateLimits that target a route of some outbound port, or with the number 0 of any."""
    found = read_refs(graph, "rate-limits-of-virtual-services")
    return tuple(ref for ref in found if any(_routes_port(graph, ref, namespace, number)))


def _routes_port(graph: Graph, ref: ObjectRef, namespace: str, number: int) -> Iterable[bool]:
    for target in _spec(graph, ref).target_refs:
        if target.kind is not TargetKind.VIRTUAL_SERVICE:
            continue
        obj = read_object(graph, ObjectRef(target.kind.value, ref.namespace, target.name))
        if obj is None or not sees(graph, namespace, obj.ref, obj.spec.export_to):
            continue
        spec: VirtualService = obj.spec
        if not spec.gateways or MESH in spec.gateways:
            yield not number or number in _ports(graph, spec, ref.namespace) or _is_wide(spec)


def _is_wide(spec: VirtualService) -> bool:
    return not spec.hosts or any(host.startswith("*") for host in spec.hosts)


def _ports(graph: Graph, spec: VirtualService, namespace: str) -> set[int]:
    """The ports on which hosts are routed; a host that no service has follows the others', or is on the HTTP port."""
    hosts = (resolve_host(host, namespace, settings(graph).domain) for host in spec.hosts)
    keys = (key for host in hosts for key in read_service_keys(graph, "services-of-host", host))
    found = (read_service(graph, key) for key in keys)
    return {HTTP_PORT, *(port.number for service in found if service for port in service.ports)}


def limited(
    graph: Graph, refs: Refs, side: Side = Side.OUTBOUND, topology: GatewayTopology = UNSAID
) -> ListenerSettings:
    """What operators decide about a listener whose requests these RateLimits limit."""
    found = listener_settings(graph, topology)
    return found if not refs else replace(found, limiting=limiting(graph.ask(limit_heads, refs, side)))


def limit_heads(graph: Graph, refs: Refs, side: Side) -> Heads:
    """The filters that these RateLimits need, without what they are told."""
    return heads(_objects(graph, refs), side, external=bool(settings(graph).rate_limit_service))


def limiter_members(graph: Graph, refs: Refs, side: Side = Side.OUTBOUND) -> list[Member]:
    """What the filters of these RateLimits are told, and the cluster of the service that counts, if one is set."""
    if not refs:
        return []
    found = [
        Member(EXTENSION, head.name, limit_filter, (refs, side, head.name))
        for head in graph.ask(limit_heads, refs, side).filters
    ]
    asks = any(obj.spec.global_ is not None for obj in _objects(graph, refs))
    if asks and settings(graph).rate_limit_service:
        found.append(Member(CLUSTER, _cluster(graph, side), limiter, (_cluster(graph, side),)))
    return found


def limit_filter(graph: Graph, refs: Refs, side: Side, name: str) -> Resource | None:
    """What one filter is told; None once it is needed no more."""
    external = bool(settings(graph).rate_limit_service)
    cluster = _cluster(graph, side)
    message = filter_config(_objects(graph, refs), side, name, cluster, external=external)
    return resource(EXTENSION, name, message) if message is not None else None


def _cluster(graph: Graph, side: Side) -> str:
    if not settings(graph).rate_limit_service:
        return DAEMON
    return INBOUND if side is Side.INBOUND else OUTBOUND


def limiter(graph: Graph, name: str) -> Resource:
    """The way to the service that counts."""
    return resource(CLUSTER, name, limiter_cluster(name, settings(graph).rate_limit_service))


def limit_routes(
    graph: Graph,
    routes: list[Any],
    root: ObjectRef,
    gateways: Iterable[str] = (),
    side: Side = Side.OUTBOUND,
) -> list[Any]:
    """The routes of a VirtualService (and those it delegates to) with what their RateLimits ask for.

    ``gateways`` are those (``namespace/name``) through which it shows here.
    """
    whole: list[ObjectRef] = []
    for gateway in sorted(gateways):
        if gateway != MESH:
            whole += target_limits(graph, ObjectRef("Gateway", *gateway.split("/", 1)))
    if not whole and not graph.ask(route_limits, root):
        return routes
    whole += _of_rule(graph, root, None)
    external = bool(settings(graph).rate_limit_service)
    for route in routes:
        owner, rule = _place(graph, route, root)
        refs = dict.fromkeys((*whole, *_of_rule(graph, owner, rule)))
        if owner != root:
            refs.update(dict.fromkeys(_through(graph, root, owner)))
        if refs:
            limit_route(route, _objects(graph, refs), side, external=external)
    return routes


def limit_unclaimed(graph: Graph, route: Any, gateway: ObjectRef) -> list[Any]:
    """A route of a gateway that no VirtualService made, with what the RateLimits of its Gateway ask for."""
    refs = target_limits(graph, gateway)
    if refs:
        external = bool(settings(graph).rate_limit_service)
        limit_route(route, _objects(graph, refs), Side.GATEWAY, external=external)
    return [route]


def _through(graph: Graph, root: ObjectRef, owner: ObjectRef) -> Iterator[ObjectRef]:
    """The RateLimits of the rules by which a VirtualService delegates to another."""
    obj = read_object(graph, root)
    for rule in obj.spec.http if obj is not None else ():
        if rule.delegate is not None and delegate_ref(rule.delegate, root.namespace) == owner:
            yield from _of_rule(graph, root, rule.name)


def _of_rule(graph: Graph, target: ObjectRef, rule: str | None) -> list[ObjectRef]:
    """The RateLimits of a VirtualService that are for all of it, or for rules of this name."""
    return [
        ref
        for ref in target_limits(graph, target)
        for each in _spec(graph, ref).target_refs
        if (each.kind.value, each.name) == (target.kind, target.name) and each.section_name in {None, rule}
    ]


def _place(graph: Graph, route: Any, root: ObjectRef) -> tuple[ObjectRef, str | None]:
    """The VirtualService that made a route, and the name of its rule."""
    metadata = route.metadata.filter_metadata
    owner = _OWNER.search(metadata["istio"]["config"]) if "istio" in metadata else None
    place = _RULE.search(metadata["xdsd"]["field"]) if "xdsd" in metadata else None
    ref = ObjectRef(root.kind, owner[1], owner[2]) if owner else root
    obj = read_object(graph, ref)
    if obj is None or place is None or int(place[1]) >= len(obj.spec.http):
        return ref, None
    return ref, obj.spec.http[int(place[1])].name


def _spec(graph: Graph, ref: ObjectRef) -> RateLimit:
    obj = read_object(graph, ref)
    if obj is None:
        raise LookupError(f"an index names {ref}, which is gone")
    return cast("RateLimit", obj.spec)


def _objects(graph: Graph, refs: Iterable[ObjectRef]) -> list[Object[RateLimit]]:
    """Those that are there still: a listener is made from a list that may be older than they are."""
    found = (read_object(graph, ref) for ref in refs)
    return [cast("Object[RateLimit]", obj) for obj in found if obj is not None]
