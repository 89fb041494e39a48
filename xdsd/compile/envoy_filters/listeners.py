"""Listener patches: the listener, its listener filters, its filter chains, and the filters in them."""

from collections.abc import Sequence
from typing import Any

from xdsd.compile.envoy_filters.filter_places import http_place, network_end, type_of
from xdsd.compile.envoy_filters.inserting import Named, change_list
from xdsd.compile.envoy_filters.matching import (
    Work,
    chain_matches,
    filter_name,
    listener_filter_name,
    listener_matches,
    sub_filter_name,
)
from xdsd.compile.envoy_filters.merging import merge_filter, merge_patch, merge_with_socket, pack
from xdsd.compile.envoy_filters.patches import ReadyPatch
from xdsd.compile.envoy_filters.routes import patch_routes
from xdsd.compile.envoy_filters.types import unpacked
from xdsd.model.intent import ApplyTo, FilterClass, PatchOperation

_HTTP_CONNECTION_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_INLINE_ROUTES = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE)


def patch_listener(listener: Any, work: Work) -> bool:
    """Changes a listener as the patches want; False if one removes it."""
    name = listener.name
    for patch in work.of(ApplyTo.LISTENER):
        if patch.operation is PatchOperation.ADD or not listener_matches(patch, listener, work.facts):
            continue
        work.done(patch)
        if patch.operation is PatchOperation.REMOVE:
            return False
        merge_patch(listener, patch)
        # Whoever asks for a listener asks by its name, so that must stay.
        listener.name = name
    for patch in work.of(ApplyTo.LISTENER_FILTER):
        if listener_matches(patch, listener, work.facts):
            _change_filters(listener.listener_filters, patch, listener_filter_name(patch), work)
    _patch_chains(listener, work)
    return True


def _is_named(name: str | None) -> Named | None:
    if name is None:
        return None
    return lambda each: name in (each.name, each.name.partition("|")[0] if _is_discovered(each) else "")


def _is_discovered(each: Any) -> bool:
    """True for a filter that is told elsewhere what to do; its name goes on behind a bar."""
    return bool(each.HasField("config_discovery"))


def _change_filters(filters: Any, patch: ReadyPatch, name: str | None, work: Work) -> None:
    named = _is_named(name)
    if patch.merges:
        for each in filters:
            if (named is None or named(each)) and not _is_discovered(each) and merge_filter(each, patch):
                work.done(patch)
    elif change_list(filters, patch, named):
        work.done(patch)


def _patch_chains(listener: Any, work: Work) -> None:
    for index in reversed(range(len(listener.filter_chains))):
        if not _patch_chain(listener, listener.filter_chains[index], work):
            del listener.filter_chains[index]
    if listener.HasField("default_filter_chain") and not _patch_chain(
        listener, listener.default_filter_chain, work
    ):
        listener.ClearField("default_filter_chain")
    for patch in work.of(ApplyTo.FILTER_CHAIN):
        if patch.operation is PatchOperation.ADD and listener_matches(patch, listener, work.facts):
            listener.filter_chains.append(patch.value)
            work.done(patch)


def _patch_chain(listener: Any, chain: Any, work: Work) -> bool:
    """Changes a filter chain; False if a patch removes it."""
    for patch in _for_chain(listener, chain, work, ApplyTo.FILTER_CHAIN):
        if patch.operation is PatchOperation.ADD:
            continue
        work.done(patch)
        if patch.operation is PatchOperation.REMOVE:
            return False
        merge_with_socket(chain, patch)
    _patch_network_filters(listener, chain, work)
    for each in chain.filters:
        if type_of(each) == _HTTP_CONNECTION_MANAGER:
            _patch_http(listener, chain, each, work)
    return True


def _for_chain(listener: Any, chain: Any, work: Work, kind: ApplyTo) -> list[ReadyPatch]:
    return [
        patch
        for patch in work.of(kind)
        if listener_matches(patch, listener, work.facts) and chain_matches(patch, listener, chain, work.facts)
    ]


def _patch_network_filters(listener: Any, chain: Any, work: Work) -> None:
    patches = _for_chain(listener, chain, work, ApplyTo.NETWORK_FILTER)
    for patch in patches:
        named = _is_named(filter_name(patch))
        if not patch.merges and change_list(chain.filters, patch, named, network_end(patch.value)):
            work.done(patch)
    for patch in patches:
        if patch.merges:
            _change_filters(chain.filters, patch, filter_name(patch), work)


def _patch_http(listener: Any, chain: Any, network_filter: Any, work: Work) -> None:
    """Changes what is in an HTTP connection manager: its filters, and routes that are written into it."""
    patches = [
        patch
        for patch in _for_chain(listener, chain, work, ApplyTo.HTTP_FILTER)
        if filter_name(patch) in (None, network_filter.name)
    ]
    if not patches and not any(work.of(*_INLINE_ROUTES)):
        return
    manager = unpacked(network_filter.typed_config)
    if manager is None:
        return
    before = manager.SerializeToString(deterministic=True)
    _patch_http_filters(manager.http_filters, patches, work)
    if manager.HasField("route_config"):
        patch_routes(manager.route_config, work)
    # Left alone, the bytes stay what they were.
    if manager.SerializeToString(deterministic=True) != before:
        pack(network_filter.typed_config, manager)


def _patch_http_filters(filters: Any, patches: Sequence[ReadyPatch], work: Work) -> None:
    added: list[tuple[Any, FilterClass]] = []
    for patch in patches:
        place = http_place(added, patch.filter_class)
        if not patch.merges and change_list(filters, patch, _is_named(sub_filter_name(patch)), place):
            work.done(patch)
            if patch.operation is PatchOperation.ADD:
                added.append((patch.value, patch.filter_class))
    for patch in patches:
        if patch.merges:
            _change_filters(filters, patch, sub_filter_name(patch), work)
