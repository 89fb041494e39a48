"""Patches in a line, applied to a message."""

from collections.abc import Iterable, Mapping
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf import json_format

from xdsd.compile.envoy_filters.clusters import patch_cluster
from xdsd.compile.envoy_filters.listeners import patch_listener
from xdsd.compile.envoy_filters.matching import Facts, Work
from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch, read_patch
from xdsd.compile.envoy_filters.routes import patch_routes
from xdsd.model.intent import EnvoyConfigObjectPatch, EnvoyFilter, Metadata, Object, PatchContext
from xdsd.model.problem import ObjectRef

TYPES = "type.googleapis.com"
EXTENSIONS = f"{TYPES}/envoy.extensions.filters"
LUA = f"{EXTENSIONS}.http.lua.v3.Lua"
MANAGER = f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager"
HTTP = "envoy.filters.network.http_connection_manager"
TCP = "envoy.filters.network.tcp_proxy"
OUTBOUND = PatchContext.SIDECAR_OUTBOUND
INBOUND = PatchContext.SIDECAR_INBOUND
GATEWAY = PatchContext.GATEWAY

Values = Mapping[str, Any]


def patch(
    apply_to: str,
    operation: str,
    value: Values | None = None,
    match: Values | None = None,
    *,
    place: int = 0,
    **more: Any,
) -> ReadyPatch:
    """A patch whose value is a message; ``place`` tells several apart."""
    change = {"operation": operation, **more} | ({} if value is None else {"value": dict(value)})
    given = {"applyTo": apply_to, "patch": change} | ({} if match is None else {"match": dict(match)})
    ref = PatchRef(ObjectRef("EnvoyFilter", "default", "f"), place)
    found = read_patch(ref, EnvoyConfigObjectPatch.model_validate(given))
    assert isinstance(found, ReadyPatch), found
    return found


def at_filter(name: str, sub: str | None = None, **chain: Any) -> dict[str, Any]:
    """A match of a filter in every listener."""
    chosen: dict[str, Any] = {"name": name} | ({"subFilter": {"name": sub}} if sub else {})
    return {"listener": {"filterChain": {**chain, "filter": chosen}}}


def lua(name: str, code: str = "") -> dict[str, Any]:
    """An HTTP filter."""
    config: dict[str, Any] = {"@type": LUA}
    return {"name": name, "typed_config": config | ({"inline_code": code} if code else {})}


def applied(
    message: Any, *patches: ReadyPatch, facts: Facts | None = None
) -> tuple[Any | None, frozenset[int]]:
    """The message after the patches (None if removed), and the places of those that changed something."""
    copy = type(message)()
    copy.CopyFrom(message)
    work = Work(patches, facts or Facts(OUTBOUND))
    kept = True
    match copy.DESCRIPTOR.name:
        case "Listener":
            kept = patch_listener(copy, work)
        case "Cluster":
            kept = patch_cluster(copy, work)
        case "RouteConfiguration":
            patch_routes(copy, work)
    return (copy if kept else None), frozenset(ref.place for ref in work.applied)


def patched(message: Any, *patches: ReadyPatch, facts: Facts | None = None) -> Any:
    """The message after the patches, which change something and leave it."""
    found, places = applied(message, *patches, facts=facts)
    assert places == {each.ref.place for each in patches}
    assert found is not None
    return found


def untouched(message: Any, *patches: ReadyPatch, facts: Facts | None = None) -> bool:
    """True if none of the patches changes anything."""
    return applied(message, *patches, facts=facts) == (message, frozenset())


def plain(message: Any) -> Any:
    """A message as values."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def names(members: Iterable[Any]) -> list[str]:
    """The names of filters, routes, hosts."""
    return [each.name for each in members]


def manager_of(network_filter: Any) -> Any:
    """The HTTP connection manager in a network filter."""
    return HttpConnectionManager.FromString(network_filter.typed_config.value)


def envoy_filter(
    *patches: Values, name: str = "f", namespace: str = "default", created: str = "", **spec: Any
) -> Object[EnvoyFilter]:
    """An EnvoyFilter."""
    given = EnvoyFilter.model_validate({**spec, "configPatches": list(patches)})
    metadata = Metadata(namespace, name, creation_timestamp=created)
    return Object("networking.istio.io/v1alpha3", "EnvoyFilter", metadata, given)
