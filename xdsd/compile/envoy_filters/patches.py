"""A patch that was read: its value is a message of Envoy's API."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter

from xdsd.compile.envoy_filters.types import MessageType
from xdsd.compile.envoy_filters.values import explicit_zeros, read_value
from xdsd.manifest.faults import Fault
from xdsd.model.intent import ApplyTo, EnvoyConfigObjectMatch, EnvoyConfigObjectPatch, PatchOperation
from xdsd.model.intent.envoy_filter import FilterClass, PatchContext
from xdsd.model.problem import ObjectRef

VALUE_TYPES: Mapping[ApplyTo, MessageType] = MappingProxyType(
    {
        ApplyTo.LISTENER: Listener,
        ApplyTo.FILTER_CHAIN: FilterChain,
        ApplyTo.LISTENER_FILTER: ListenerFilter,
        ApplyTo.NETWORK_FILTER: Filter,
        ApplyTo.HTTP_FILTER: HttpFilter,
        ApplyTo.ROUTE_CONFIGURATION: RouteConfiguration,
        ApplyTo.VIRTUAL_HOST: VirtualHost,
        ApplyTo.HTTP_ROUTE: Route,
        ApplyTo.CLUSTER: Cluster,
        ApplyTo.EXTENSION_CONFIG: TypedExtensionConfig,
        ApplyTo.BOOTSTRAP: Bootstrap,
    }
)
"""What the value of a patch is, by what the patch is applied to."""

MERGES = frozenset({PatchOperation.MERGE, PatchOperation.MERGE_AND_REPLACE_LIST})
INSERTS = frozenset({PatchOperation.INSERT_BEFORE, PatchOperation.INSERT_AFTER, PatchOperation.INSERT_FIRST})
_UNORDERED = frozenset(
    {
        ApplyTo.LISTENER,
        ApplyTo.FILTER_CHAIN,
        ApplyTo.VIRTUAL_HOST,
        ApplyTo.CLUSTER,
        ApplyTo.EXTENSION_CONFIG,
    }
)


class PatchRef(NamedTuple):
    """Names a patch: ``spec.configPatches[place]`` of an EnvoyFilter."""

    filter: ObjectRef
    place: int

    @property
    def path(self) -> str:
        return f"spec.configPatches[{self.place}]"


@dataclass(frozen=True, slots=True)
class ReadyPatch:
    """``value`` is None where a patch needs none. It is shared: copy it before it goes into a message.

    ``zeros`` are the fields that it sets to nothing (``explicit_zeros``), but for its name: nothing is without one.
    """

    ref: PatchRef
    apply_to: ApplyTo
    operation: PatchOperation
    match: EnvoyConfigObjectMatch | None = None
    value: Any = None
    filter_class: FilterClass = FilterClass.UNSPECIFIED
    zeros: tuple[tuple[str, ...], ...] = ()

    @property
    def context(self) -> PatchContext:
        return context_of(self.match)

    @property
    def replaces_lists(self) -> bool:
        return self.operation is PatchOperation.MERGE_AND_REPLACE_LIST

    @property
    def merges(self) -> bool:
        return self.operation in MERGES


def context_of(match: EnvoyConfigObjectMatch | None) -> PatchContext:
    """Whose config a match means."""
    return match.context if match and match.context else PatchContext.ANY


def operation_of(patch: EnvoyConfigObjectPatch) -> PatchOperation:
    """What a patch does; to insert where no order is kept is to add."""
    given = patch.patch.operation if patch.patch else None
    if given in INSERTS and patch.apply_to in _UNORDERED:
        return PatchOperation.ADD
    return given or PatchOperation.INVALID


def read_patch(ref: PatchRef, patch: EnvoyConfigObjectPatch) -> ReadyPatch | list[Fault]:
    """The patch with its value as a message, or what is wrong with the value; paths start at the object."""
    apply_to, change = patch.apply_to, patch.patch
    if apply_to is None or change is None:
        raise ValueError(f"{ref.filter} {ref.path} is incomplete, which its model refuses")
    operation = operation_of(patch)
    ready = ReadyPatch(
        ref, apply_to, operation, patch.match, None, change.filter_class or FilterClass.UNSPECIFIED
    )
    if change.value is None:
        return ready
    path = ("spec", "configPatches", ref.place, "patch", "value")
    partial = operation in MERGES or operation is PatchOperation.REMOVE
    value = read_value(change.value, VALUE_TYPES[apply_to], partial=partial, path=path)
    if isinstance(value, list):
        return value
    zeros = tuple(path for path in explicit_zeros(change.value, value) if path != ("name",))
    return replace(ready, value=value, zeros=zeros)
