"""EnvoyFilter: changes to what this daemon compiles, in Envoy's own messages.

Which operations go with what they are applied to, and which match with either, is checked here; whether a
value is the message that it should be is for the compiler to tell, which knows Envoy's types.
"""

import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from xdsd.model.intent.base import (
    Finding,
    Int32,
    Message,
    Notation,
    PortOrZero,
    Str,
    absent,
    invalid,
    many,
    missing,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.policy_target import PolicyTargetReference
from xdsd.model.intent.selector import WorkloadSelector
from xdsd.model.intent.values import Regex
from xdsd.model.problem import Reason

DEEPEST = 100
"""Maps and lists within each other in the value of a patch."""

HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"


_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that YAML refuses."""


class ApplyTo(StrEnum):
    """What a patch changes."""

    INVALID = "INVALID"
    LISTENER = "LISTENER"
    FILTER_CHAIN = "FILTER_CHAIN"
    NETWORK_FILTER = "NETWORK_FILTER"
    HTTP_FILTER = "HTTP_FILTER"
    ROUTE_CONFIGURATION = "ROUTE_CONFIGURATION"
    VIRTUAL_HOST = "VIRTUAL_HOST"
    HTTP_ROUTE = "HTTP_ROUTE"
    CLUSTER = "CLUSTER"
    EXTENSION_CONFIG = "EXTENSION_CONFIG"
    BOOTSTRAP = "BOOTSTRAP"
    LISTENER_FILTER = "LISTENER_FILTER"


class PatchContext(StrEnum):
    """Whose config is meant, and which side of it."""

    ANY = "ANY"
    SIDECAR_INBOUND = "SIDECAR_INBOUND"
    SIDECAR_OUTBOUND = "SIDECAR_OUTBOUND"
    GATEWAY = "GATEWAY"
    WAYPOINT = "WAYPOINT"


class PatchOperation(StrEnum):
    """How a patch changes what it matches."""

    INVALID = "INVALID"
    MERGE = "MERGE"
    ADD = "ADD"
    REMOVE = "REMOVE"
    INSERT_BEFORE = "INSERT_BEFORE"
    INSERT_AFTER = "INSERT_AFTER"
    INSERT_FIRST = "INSERT_FIRST"
    REPLACE = "REPLACE"
    MERGE_AND_REPLACE_LIST = "MERGE_AND_REPLACE_LIST"


class FilterClass(StrEnum):
    """Where a filter is added."""

    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class RouteAction(StrEnum):
    """What a route does with a request."""

    ANY = "ANY"
    ROUTE = "ROUTE"
    REDIRECT = "REDIRECT"
    DIRECT_RESPONSE = "DIRECT_RESPONSE"


def _json(value: Any, depth: int = 0) -> Any:
    """Values are what JSON holds: whatever else YAML may say has no place in a message."""
    if depth > DEEPEST:
        raise invalid(f"is nested more than {DEEPEST} deep", Reason.TOO_LARGE)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise invalid(f"{shown(key)} is no text; put the key in quotes", Reason.WRONG_TYPE)
        return {_text(key): _json(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each, depth + 1) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid(f"{value} is no number that JSON holds")
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    found = _UNWRITABLE.search(value)
    if found:
        raise invalid(f"holds the character U+{ord(found[0]):04X}, which no file can hold")
    return value


def _json_object(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise invalid(f"{shown(value)} is not a map of fields", Reason.WRONG_TYPE)
    return _json(value)


JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_object), Notation("object")]
"""A message as JSON writes it; Any, because JSON nests freely."""


class SubFilterMatch(Message):
    """A filter within a filter."""

    name: Str | None = absent("Name of the HTTP filter.")


class FilterMatch(Message):
    """A network filter."""

    name: Str | None = absent("Name of the network filter.")
    sub_filter: SubFilterMatch | None = absent("HTTP filter within the HTTP connection manager.")


class FilterChainMatch(Message):
    """Filter chains of a listener; all that is given must hold."""

    name: Str | None = absent("Name of the filter chain.")
    sni: Str | None = absent("A server name that the chain's match has.")
    transport_protocol: Str | None = absent("The transport protocol of the chain's match: raw_buffer or tls.")
    application_protocols: Str | None = absent(
        "Application protocols, separated by commas, all of which the chain's match has."
    )
    filter: FilterMatch | None = absent("A filter of the chain.")
    destination_port: PortOrZero | None = absent("The destination port of the chain's match.", drop_zero=True)
    transport_socket: Str | None = absent("Name of the chain's transport socket.")


class ListenerMatch(Message):
    """Listeners; all that is given must hold."""

    port_number: PortOrZero | None = absent("Port that traffic is sent to.", drop_zero=True)
    port_name: Str | None = absent("Name of a service's or gateway server's port, in any case.")
    filter_chain: FilterChainMatch | None = absent("Filter chains of the listener; all if left out.")
    name: Str | None = absent("Name of the listener, such as 0.0.0.0_9080 or virtualInbound.")
    listener_filter: Str | None = absent("Name of a listener filter.")


class RouteMatch(Message):
    """Routes of a virtual host; all that is given must hold."""

    name: Str | None = absent("Name of the route: that of the VirtualService's, else default.")
    action: RouteAction | None = absent("What the route does.")


class VirtualHostMatch(Message):
    """Virtual hosts of a route configuration; all that is given must hold."""

    name: Str | None = absent("Name of the virtual host: HOST:PORT.")
    domain_name: Str | None = absent("A domain that the virtual host has.")
    route: RouteMatch | None = absent("Routes of the virtual host; all if left out.")


class RouteConfigurationMatch(Message):
    """Route configurations; all that is given must hold."""

    port_number: PortOrZero | None = absent("Port that the routes are for.", drop_zero=True)
    port_name: Str | None = absent("Name of the gateway server's port; GATEWAY only.")
    gateway: Str | None = absent("The Gateway, as namespace/name; GATEWAY only.")
    vhost: VirtualHostMatch | None = absent("Virtual hosts of the routes; all if left out.")
    name: Str | None = absent("Name of the route configuration, such as 9080, http.8080 or http_proxy.")


class ClusterMatch(Message):
    """Clusters; all that is given must hold."""

    port_number: PortOrZero | None = absent("Port of the service.", drop_zero=True)
    service: Str | None = absent("Fully qualified host of the service.")
    subset: Str | None = absent("Subset of the service.")
    name: Str | None = absent("Name of the cluster; with it, nothing else counts.")


class WaypointRouteMatch(Message):
    """Routes of a waypoint."""

    name: Str | None = absent("Name of the route.")


class WaypointMatch(Message):
    """What a waypoint serves; accepted, though this mesh has sidecars and gateways and no waypoints."""

    filter: FilterMatch | None = absent("A filter.")
    port_number: Annotated[int, Field(strict=True, ge=1, le=65535), Notation("integer")] | None = absent(
        "Port of the service."
    )
    route: WaypointRouteMatch | None = absent("A route.")


class ProxyMatch(Message):
    """Proxies, by what their bootstrap says of them."""

    proxy_version: Regex | None = absent("RE2 expression found in the node metadata ISTIO_VERSION.")
    metadata: dict[Str, Str] = table("Node metadata of the proxy: text that must be equal.")


class EnvoyConfigObjectMatch(Message):
    """What a patch is for."""

    at_most_one = (("listener", "routeConfiguration", "cluster", "waypoint"),)

    context: PatchContext | None = absent("Sidecars' inbound or outbound side, gateways, or ANY.")
    proxy: ProxyMatch | None = absent("Which proxies.")
    listener: ListenerMatch | None = absent("Which listeners.")
    route_configuration: RouteConfigurationMatch | None = absent("Which routes.")
    cluster: ClusterMatch | None = absent("Which clusters.")
    waypoint: WaypointMatch | None = absent("What of waypoints; needs context WAYPOINT.")

    def findings(self) -> Iterator[Finding]:
        if (self.context is PatchContext.WAYPOINT) is not (self.waypoint is not None):
            yield wrong("context WAYPOINT and the match waypoint go together", "context")


class Patch(Message):
    """A change."""

    operation: PatchOperation | None = absent("How the value is applied.")
    value: JsonObject | None = absent(
        "The message of Envoy's API, as JSON; REMOVE needs none.", keep_empty=True
    )
    filter_class: FilterClass | None = absent("Where ADD puts a filter: behind authentication, and so on.")

    def findings(self) -> Iterator[Finding]:
        if self.operation in (None, PatchOperation.INVALID):
            yield missing("is missing; say how the patch is applied, such as MERGE or ADD", "operation")
        elif self.value is None and self.operation is not PatchOperation.REMOVE:
            yield missing(f"is missing; {self.operation} needs one", "value")


_LISTENERS = frozenset(
    {
        ApplyTo.LISTENER,
        ApplyTo.FILTER_CHAIN,
        ApplyTo.NETWORK_FILTER,
        ApplyTo.HTTP_FILTER,
        ApplyTo.LISTENER_FILTER,
    }
)
_ROUTES = frozenset({ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE})
_FILTERS = frozenset({ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER, ApplyTo.LISTENER_FILTER})
_INSERTS = frozenset({PatchOperation.INSERT_BEFORE, PatchOperation.INSERT_AFTER, PatchOperation.INSERT_FIRST})
_MERGES = frozenset({PatchOperation.MERGE, PatchOperation.MERGE_AND_REPLACE_LIST})
_LIST = frozenset({PatchOperation.ADD, PatchOperation.REMOVE, *_INSERTS})

OPERATIONS: Mapping[ApplyTo, frozenset[PatchOperation]] = MappingProxyType(
    {
        ApplyTo.LISTENER: _LIST | _MERGES,
        ApplyTo.FILTER_CHAIN: _LIST | _MERGES,
        ApplyTo.NETWORK_FILTER: _LIST | {PatchOperation.MERGE, PatchOperation.REPLACE},
        ApplyTo.HTTP_FILTER: _LIST | {PatchOperation.MERGE, PatchOperation.REPLACE},
        ApplyTo.LISTENER_FILTER: _LIST | {PatchOperation.MERGE, PatchOperation.REPLACE},
        ApplyTo.ROUTE_CONFIGURATION: _MERGES,
        ApplyTo.VIRTUAL_HOST: _LIST | _MERGES | {PatchOperation.REPLACE},
        ApplyTo.HTTP_ROUTE: _LIST | _MERGES,
        ApplyTo.CLUSTER: _LIST | _MERGES,
        ApplyTo.EXTENSION_CONFIG: _LIST | {PatchOperation.MERGE, PatchOperation.REPLACE},
        ApplyTo.BOOTSTRAP: _MERGES,
    }
)
"""The operations that have an effect. Where no order is kept, as of clusters, inserting is adding."""


class EnvoyConfigObjectPatch(Message):
    """One patch: what it is applied to, where, and how."""

    apply_to: ApplyTo | None = absent("What is changed.")
    match: EnvoyConfigObjectMatch | None = absent("Where it is changed; everywhere if left out.")
    patch: Patch | None = absent("The change.")

    def findings(self) -> Iterator[Finding]:
        if self.apply_to in (None, ApplyTo.INVALID):
            yield missing("is missing; say what is changed, such as HTTP_FILTER or CLUSTER", "applyTo")
        if self.patch is None:
            yield missing("is missing; say what changes", "patch")
        if self.apply_to in (None, ApplyTo.INVALID) or self.patch is None:
            return
        operation = self.patch.operation
        allowed = OPERATIONS[self.apply_to]
        if operation not in (None, PatchOperation.INVALID) and operation not in allowed:
            listed = ", ".join(each for each in PatchOperation if each in allowed)
            yield wrong(f"{operation} has no effect on {self.apply_to}; use {listed}", "patch", "operation")
        yield from self._class_findings(self.apply_to, self.patch)
        if self.match is not None:
            yield from self._kind_findings(self.apply_to, self.match)
            yield from self._filter_findings(self.apply_to, self.match)
        if operation in (PatchOperation.REMOVE, PatchOperation.REPLACE) and self.apply_to in _FILTERS:
            yield from self._target_findings(self.apply_to, operation)
        if self.apply_to is ApplyTo.EXTENSION_CONFIG and not (self.patch.value or {}).get("name"):
            yield missing("is missing; an extension config is known by its name", "patch", "value", "name")

    def _class_findings(self, apply_to: ApplyTo, patch: Patch) -> Iterator[Finding]:
        given = patch.filter_class not in (None, FilterClass.UNSPECIFIED)
        if given and (apply_to is not ApplyTo.HTTP_FILTER or patch.operation is not PatchOperation.ADD):
            yield wrong("has a meaning for ADD to HTTP_FILTER only", "patch", "filterClass")

    def _kind_findings(self, apply_to: ApplyTo, match: EnvoyConfigObjectMatch) -> Iterator[Finding]:
        wanted = (
            "listener"
            if apply_to in _LISTENERS
            else "routeConfiguration"
            if apply_to in _ROUTES
            else "cluster"
            if apply_to is ApplyTo.CLUSTER
            else ""
        )
        given = {
            "listener": match.listener,
            "routeConfiguration": match.route_configuration,
            "cluster": match.cluster,
        }
        for name, value in given.items():
            if value is not None and name != wanted:
                hint = f"it takes {wanted}" if wanted else "it takes context and proxy alone"
                yield wrong(f"is no match for {apply_to}; {hint}", "match", name)

    def _filter_findings(self, apply_to: ApplyTo, match: EnvoyConfigObjectMatch) -> Iterator[Finding]:
        listener = match.listener
        if listener is None:
            return
        path = ("match", "listener", "filterChain", "filter")
        chosen = listener.filter_chain.filter if listener.filter_chain else None
        if listener.listener_filter and apply_to is not ApplyTo.LISTENER_FILTER:
            yield wrong(f"has no effect on {apply_to}", "match", "listener", "listenerFilter")
        if chosen is None:
            return
        if apply_to not in (ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER):
            yield wrong(f"has no effect on {apply_to}", *path)
            return
        if not chosen.name:
            yield missing("is missing; name the filter", *path, "name")
        if chosen.sub_filter is None:
            return
        if apply_to is not ApplyTo.HTTP_FILTER:
            yield wrong("is for HTTP_FILTER only", *path, "subFilter")
        elif chosen.name and chosen.name != HTTP_CONNECTION_MANAGER:
            yield wrong(f"only {HTTP_CONNECTION_MANAGER} has filters within", *path, "subFilter")
        if not chosen.sub_filter.name:
            yield missing("is missing; name the HTTP filter", *path, "subFilter", "name")

    def _target_findings(self, apply_to: ApplyTo, operation: PatchOperation) -> Iterator[Finding]:
        listener = self.match.listener if self.match else None
        chosen = listener.filter_chain.filter if listener and listener.filter_chain else None
        path: tuple[str, ...]
        if apply_to is ApplyTo.LISTENER_FILTER:
            path, given = ("listenerFilter",), listener is not None and listener.listener_filter is not None
        elif apply_to is ApplyTo.NETWORK_FILTER:
            path, given = ("filterChain", "filter", "name"), chosen is not None
        else:
            path = ("filterChain", "filter", "subFilter", "name")
            given = chosen is not None and chosen.sub_filter is not None
        if not given:
            yield missing(f"is missing; say which filter to {operation.lower()}", "match", "listener", *path)


class EnvoyFilter(Message):
    """Patches to the config of some proxies."""

    at_most_one = (("workloadSelector", "targetRefs"),)

    workload_selector: WorkloadSelector | None = absent(
        "Proxies it is for; all of the namespace if left out, of all namespaces in the root namespace."
    )
    target_refs: tuple[PolicyTargetReference, ...] = many(
        "Gateways of the Kubernetes Gateway API that it is for.", max_length=16
    )
    config_patches: tuple[EnvoyConfigObjectPatch, ...] = many("The patches, applied in this order.")
    priority: Int32 | None = absent("Objects of lower priority are applied first; 0 if left out.")

    def findings(self) -> Iterator[Finding]:
        if not self.config_patches:
            yield missing("is missing; give at least one patch", "configPatches")
