"""HTTP routes: the http section of a VirtualService, as one client sees it.

The first match wins, so order is kept and nothing is emitted after a route that takes everything. Every route
says whose it is: its metadata name the object and the field, its name the rule (the user's own names, else
the field). What ``xdsd.compile.route_checks`` calls an error is never sent to Envoy, which would refuse all
other routes with it: a match with an error takes no request, a rule with another one answers 500.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, WeightedCluster
from google.protobuf.message import Message

from xdsd.compile.cors import cors_policy
from xdsd.compile.deadlines import apply_timeout
from xdsd.compile.everywhere import retries_for
from xdsd.compile.faults import http_fault
from xdsd.compile.grpc_web import translate_grpc_web
from xdsd.compile.hashing import hash_policy
from xdsd.compile.headers import HeaderEdits, apply_edits, header_edits
from xdsd.compile.http_filters import CORS, FAULT
from xdsd.compile.matches import Source, applies, is_catch_all, route_match
from xdsd.compile.names import parse_cluster_name
from xdsd.compile.object_metadata import note_origin
from xdsd.compile.percentages import runtime_fraction
from xdsd.compile.replies import direct_response, redirect
from xdsd.compile.retries import LOST, UNREACHED, inbound_retry_policy, retry_policy
from xdsd.compile.route_checks import action_remarks, has_errors, match_remarks
from xdsd.model.catalog import GRPC
from xdsd.model.catalog import Protocol as PortProtocol
from xdsd.model.global_names import is_global
from xdsd.model.intent import (
    ConsistentHashLB,
    Destination,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    InboundHTTPRetry,
    Percent,
    VirtualService,
)
from xdsd.model.problem import ObjectRef

DEFAULT_ROUTE = "default"
"""The name of the route to a service that no VirtualService names."""

Age = tuple[str, str, str]
"""What orders objects: creation timestamp, namespace, name."""


class Destinations(Protocol):
    """What the rest of the mesh knows of a destination named by an object in ``namespace``."""

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        """The cluster's name; one that Envoy answers with 503 if the host or port is unknown."""

    def hash_policy(
        self, destination: Destination, namespace: str, listener_port: int
    ) -> ConsistentHashLB | None:
        """The consistent hash settings that apply to the destination."""

    def protocol(self, destination: Destination, namespace: str, listener_port: int) -> PortProtocol | None:
        """What the destination's port speaks; None if the host or port is unknown."""


class OwnedRule(NamedTuple):
    """A rule, and where it stands: ``spec.http[at]`` of ``owner``, in whose namespace its names are meant.

    ``joined`` says that its matches were made from several, and stand nowhere.
    """

    rule: HTTPRoute
    owner: ObjectRef
    at: int
    joined: bool = False


def http_routes(
    spec: VirtualService, owner: ObjectRef, source: Source, destinations: Destinations
) -> list[Route]:
    """The routes of all rules that concern ``source``, in order; empty if none does."""
    return rule_routes(own_rules(spec, owner), source, destinations)


def own_rules(spec: VirtualService, owner: ObjectRef) -> tuple[OwnedRule, ...]:
    """The rules that an object holds itself."""
    return tuple(OwnedRule(rule, owner, index) for index, rule in enumerate(spec.http))


def concerns(rule: HTTPRoute, namespace: str, source: Source) -> bool:
    """True if a rule of an object in a namespace is for a client at all."""
    return not rule.match or any(applies(match, namespace, source) for match in rule.match)


def rule_routes(
    rules: Iterable[OwnedRule], source: Source, destinations: Destinations, retries: HTTPRetry | None = None
) -> list[Route]:
    """The routes of rules that concern ``source``, in order; nothing after one that takes everything. ``retries`` are those
    of rules that say nothing of them; None is the published default.
    """
    routes: list[Route] = []
    for rule in rules:
        for route in _Builder(rule.owner, source, destinations, retries).rule(rule):
            routes.append(route)
            if is_catch_all(route):
                return routes
    return routes


_SAFE = HTTPMatchRequest.model_validate({"method": {"regex": "GET|HEAD|OPTIONS"}})


def default_http_route(
    cluster_name: str,
    hashing: ConsistentHashLB | None = None,
    retries: HTTPRetry | None = None,
    *,
    everywhere: bool = False,
    grpc_web: bool = False,
) -> Route:
    """The route to a service that no VirtualService names: no conditions, default retries, no timeout.

    ``everywhere`` is for services that have their name in all meshes, ``grpc_web`` for ports whose callers may be browsers.
    """
    route = Route(name=DEFAULT_ROUTE, match=route_match(None))
    route.route.cluster = cluster_name
    apply_timeout(route.route, None)
    policy = hash_policy(hashing)
    if policy is not None:
        route.route.hash_policy.append(policy)
    _set_retries(route.route, retry_policy(retries, sticky=policy is not None, everywhere=everywhere))
    route.decorator.operation = _operation(route, cluster_name)
    if grpc_web:
        translate_grpc_web(route)
    return route


def safe_route(route: Route) -> Route:
    """A route for those of its requests that change nothing: they are tried again after what a program may have seen too."""
    made = Route()
    made.CopyFrom(route)
    made.match.CopyFrom(route_match(_SAFE))
    made.route.retry_policy.retry_on += ",reset"
    made.route.retry_policy.retriable_headers.add(name=LOST, present_match=True)
    return made


def inbound_http_route(
    cluster_name: str,
    *,
    retriable: bool = True,
    grpc_web: bool = False,
    retries: InboundHTTPRetry | None = None,
) -> Route:
    """The route from a sidecar to its own application; gRPC streams are not retriable."""
    route = Route(name=DEFAULT_ROUTE, match=route_match(None))
    route.route.cluster = cluster_name
    apply_timeout(route.route, None)
    if retriable:
        _set_retries(route.route, inbound_retry_policy(retries))
    # Of programs; a proxy's own answer gets them after this.
    route.response_headers_to_remove.extend((UNREACHED, LOST))
    if grpc_web:
        translate_grpc_web(route)
    route.decorator.operation = _operation(route, cluster_name)
    return route


def merge_routes(parts: Iterable[tuple[Age, Sequence[Route]]]) -> list[Route]:
    """The routes of several objects for one host: older objects first, what takes all last and once."""
    ordered = sorted(parts, key=lambda part: part[0])
    routes = [route for _, part in ordered for route in part]
    catch_all = [route for route in routes if is_catch_all(route)]
    return [route for route in routes if not is_catch_all(route)] + catch_all[:1]


class _Builder:
    """What all rules of one object for one client have in common."""

    def __init__(
        self, owner: ObjectRef, source: Source, destinations: Destinations, retries: HTTPRetry | None
    ) -> None:
        self._retries = retries
        self._owner = owner
        self._namespace = owner.namespace
        self._source = source
        self._destinations = destinations

    def rule(self, own: OwnedRule) -> Iterator[Route]:
        place, rule = f"http[{own.at}]", own.rule
        if not rule.match:
            yield self._route(rule, None, place)
        for at, match in enumerate(rule.match):
            if applies(match, self._namespace, self._source) and not has_errors(match_remarks(match)):
                yield self._route(rule, match, place if own.joined else f"{place}.match[{at}]")

    def _route(self, rule: HTTPRoute, match: HTTPMatchRequest | None, place: str) -> Route:
        name = rule.name or f"{self._owner.namespace}/{self._owner.name}:{place}"
        if match is not None and match.name:
            name += f".{match.name}"
        route = Route(name=name, match=route_match(match))
        note_origin(route.metadata, self._owner, place)
        if match is not None and match.stat_prefix:
            route.stat_prefix = match.stat_prefix
        if has_errors(action_remarks(rule)):
            route.direct_response.status = 500
        else:
            self._set_action(route, rule)
            _set_filter(route, FAULT, http_fault(rule.fault))
            _set_filter(route, CORS, cors_policy(rule.cors_policy) if rule.cors_policy else None)
        fallback = f"{self._owner.name}:{self._source.port}"
        route.decorator.operation = _operation(route, route.route.cluster, fallback)
        return route

    def _set_action(self, route: Route, rule: HTTPRoute) -> None:
        edits = header_edits(rule.headers)
        apply_edits(route, edits)
        if rule.redirect is not None:
            route.redirect.CopyFrom(redirect(rule.redirect, self._source.port))
        elif rule.direct_response is not None:
            route.direct_response.CopyFrom(direct_response(rule.direct_response))
        else:
            self._forward(route, rule, edits)

    def _forward(self, route: Route, rule: HTTPRoute, edits: HeaderEdits) -> None:
        chosen = rule.route if len(rule.route) == 1 else tuple(item for item in rule.route if item.weight)
        action = route.route
        protocols = {self._protocol(item.destination) for item in chosen}
        apply_timeout(action, rule.timeout, grpc=protocols <= GRPC)
        if protocols == {PortProtocol.GRPC_WEB}:
            translate_grpc_web(route)
        host = _rewrite(action, rule.rewrite) or edits.authority
        hashing = self._hash_policies(chosen)
        action.hash_policy.extend(hashing)
        if len(chosen) == 1:
            action.cluster = self._cluster(chosen[0].destination)
            own = header_edits(chosen[0].headers)
            apply_edits(route, own)
            host = host or own.authority
        else:
            self._split(action.weighted_clusters, chosen, host)
        if host:
            action.host_rewrite_literal = host
        self._mirror(action, rule)
        hosts = [each.destination.host for each in chosen]
        retries = rule.retries or retries_for(hosts, self._retries)
        sticky, everywhere = len(chosen) == 1 and bool(hashing), any(map(is_global, hosts))
        _set_retries(action, retry_policy(retries, sticky=sticky, everywhere=everywhere))

    def _split(self, target: WeightedCluster, chosen: Sequence[HTTPRouteDestination], host: str) -> None:
        for item in chosen:
            cluster = target.clusters.add(name=self._cluster(item.destination))
            cluster.weight.value = item.weight or 0
            edits = header_edits(item.headers)
            apply_edits(cluster, edits)
            if edits.authority and not host:
                cluster.host_rewrite_literal = edits.authority

    def _mirror(self, action: RouteAction, rule: HTTPRoute) -> None:
        if rule.mirror is not None:
            self._shadow(action, rule.mirror, rule.mirror_percentage, rule.mirror_percent)
        for mirror in rule.mirrors:
            self._shadow(action, mirror.destination, mirror.percentage)

    def _shadow(
        self, action: RouteAction, to: Destination, percentage: Percent | None, whole: int | None = None
    ) -> None:
        share = runtime_fraction(percentage, whole, default=100)
        if share.default_value.numerator:
            policy = action.request_mirror_policies.add(cluster=self._cluster(to), runtime_fraction=share)
            policy.trace_sampled.value = False
            policy.disable_shadow_host_suffix_append = True

    def _cluster(self, destination: Destination) -> str:
        return self._destinations.cluster(destination, self._namespace, self._source.port)

    def _protocol(self, destination: Destination) -> PortProtocol | None:
        return self._destinations.protocol(destination, self._namespace, self._source.port)

    def _hash_policies(self, chosen: Sequence[HTTPRouteDestination]) -> list[RouteAction.HashPolicy]:
        """Every destination's policy once: Envoy combines all of a route's."""
        policies: list[RouteAction.HashPolicy] = []
        for item in chosen:
            settings = self._destinations.hash_policy(item.destination, self._namespace, self._source.port)
            policy = hash_policy(settings)
            if policy is not None and policy not in policies:
                policies.append(policy)
        return policies


def _rewrite(action: RouteAction, rewrite: HTTPRewrite | None) -> str:
    """Sets the path rewrite; returns the host to send, if that is rewritten too."""
    if rewrite is None:
        return ""
    if rewrite.uri_regex_rewrite is not None:
        action.regex_rewrite.pattern.regex = rewrite.uri_regex_rewrite.match or ""
        action.regex_rewrite.substitution = rewrite.uri_regex_rewrite.rewrite or ""
    elif rewrite.uri:
        action.prefix_rewrite = rewrite.uri
    return rewrite.authority or ""


def _set_retries(action: RouteAction, policy: Message | None) -> None:
    if policy is not None:
        action.retry_policy.CopyFrom(policy)


def _set_filter(route: Route, name: str, config: Message | None) -> None:
    if config is not None:
        route.typed_per_filter_config[name].Pack(config, deterministic=True)


def _operation(route: Route, cluster_name: str, fallback: str = "") -> str:
    """What a trace calls the route: host, port and path."""
    match = route.match
    kind = match.WhichOneof("path_specifier")
    path = f"{match.prefix}*" if kind == "prefix" else match.path or match.safe_regex.regex
    cluster = parse_cluster_name(cluster_name)
    where = f"{cluster.hostname}:{cluster.port}" if cluster and cluster.hostname else fallback or cluster_name
    return where + path
