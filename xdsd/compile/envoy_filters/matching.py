"""Whether a patch is for a proxy, a listener, a filter chain, a route, a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch
from xdsd.compile.names import VIRTUAL_INBOUND_LISTENER, VIRTUAL_OUTBOUND_LISTENER, parse_cluster_name
from xdsd.model.intent import (
    ApplyTo,
    FilterChainMatch,
    ListenerMatch,
    PatchContext,
    ProxyMatch,
    RouteAction,
    RouteConfigurationMatch,
)

VERSION = "ISTIO_VERSION"
"""The node metadata that ``proxyVersion`` is about."""

_VIRTUAL = frozenset({VIRTUAL_INBOUND_LISTENER, VIRTUAL_OUTBOUND_LISTENER})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a resource does not say of itself.

    ``hosts`` are of the services behind an inbound cluster. ``port_names`` are names of ports in lower case with their
    numbers. ``servers`` are the servers whose routes these are: the Gateway as namespace/name, and the port's name.
    """

    context: PatchContext
    hosts: tuple[str, ...] = ()
    port_names: frozenset[tuple[str, int]] = frozenset()
    servers: frozenset[tuple[str, str]] = frozenset()


@dataclass(slots=True)
class Work:
    """The patches that one resource is put through, which of them found something to change, and what they made of it."""

    patches: Sequence[ReadyPatch]
    facts: Facts
    applied: set[PatchRef] = field(default_factory=set)
    made: list[Any] = field(default_factory=list)

    def of(self, *kinds: ApplyTo) -> Iterator[ReadyPatch]:
        """The patches to such things in this context."""
        for patch in self.patches:
            if patch.apply_to in kinds and patch.context in (PatchContext.ANY, self.facts.context):
                yield patch

    def done(self, patch: ReadyPatch) -> None:
        """The patch was applied."""
        self.applied.add(patch.ref)


def proxy_matches(match: ProxyMatch | None, metadata: Mapping[str, str]) -> bool:
    """True if a proxy's bootstrap says what a match wants."""
    if match is None:
        return True
    if match.proxy_version:
        version = metadata.get(VERSION)
        if not version or re2.search(match.proxy_version, version) is None:
            return False
    return all(metadata.get(key) == value for key, value in match.metadata.items())


def port_of(listener: Any) -> int:
    """The port of a listener's address; 0 for a Unix socket."""
    number: int = listener.address.socket_address.port_value
    return number


def listener_matches(patch: ReadyPatch, listener: Any, facts: Facts) -> bool:
    """True if the patch is for this listener.

    The listeners that all redirected connections reach stand for every port, so there ports are told by filter chains.
    """
    match = patch.match.listener if patch.match else None
    if match is None:
        return True
    if match.name and match.name != listener.name:
        return False
    if listener.name in _VIRTUAL and patch.apply_to is not ApplyTo.LISTENER:
        return True
    return _port_matches(match, port_of(listener), facts)


def _port_matches(match: ListenerMatch, number: int, facts: Facts) -> bool:
    if match.port_number and match.port_number != number:
        return False
    return not match.port_name or (match.port_name.lower(), number) in facts.port_names


def chain_matches(patch: ReadyPatch, listener: Any, chain: Any, facts: Facts) -> bool:
    """True if the patch, which is for this listener, is for this filter chain."""
    match = patch.match.listener if patch.match else None
    if match is None:
        return True
    given = chain.filter_chain_match
    if listener.name in _VIRTUAL and not _port_matches(match, given.destination_port.value, facts):
        return False
    return match.filter_chain is None or _chain_is(match.filter_chain, chain, given)


def _chain_is(match: FilterChainMatch, chain: Any, given: Any) -> bool:
    protocols = match.application_protocols.split(",") if match.application_protocols else []
    return (
        match.name in (None, chain.name)
        and (not match.sni or match.sni in given.server_names)
        and match.transport_protocol in (None, given.transport_protocol)
        and all(each.strip() in given.application_protocols for each in protocols)
        and match.destination_port in (None, given.destination_port.value)
        and match.transport_socket in (None, chain.transport_socket.name)
    )


def filter_name(patch: ReadyPatch) -> str | None:
    """The network filter that a patch names."""
    chain = patch.match.listener.filter_chain if patch.match and patch.match.listener else None
    return chain.filter.name if chain and chain.filter else None


def sub_filter_name(patch: ReadyPatch) -> str | None:
    """The HTTP filter that a patch names."""
    chain = patch.match.listener.filter_chain if patch.match and patch.match.listener else None
    chosen = chain.filter.sub_filter if chain and chain.filter else None
    return chosen.name if chosen else None


def listener_filter_name(patch: ReadyPatch) -> str | None:
    """The listener filter that a patch names."""
    return patch.match.listener.listener_filter if patch.match and patch.match.listener else None


def routes_match(patch: ReadyPatch, name: str, facts: Facts) -> bool:
    """True if the patch is for the route configuration of this name."""
    match = patch.match.route_configuration if patch.match else None
    if match is None:
        return True
    if match.name and match.name != name:
        return False
    if match.port_number and match.port_number != route_port(name, facts.context):
        return False
    if facts.context is PatchContext.GATEWAY:
        return _server_matches(match, facts)
    return not (match.gateway or match.port_name)


def _server_matches(match: RouteConfigurationMatch, facts: Facts) -> bool:
    if not match.gateway and not match.port_name:
        return True
    return any(
        match.gateway in (None, gateway) and match.port_name in (None, port)
        for gateway, port in facts.servers
    )


def route_port(name: str, context: PatchContext) -> int:
    """The port that a route configuration is for, by its name; 0 if it is for several."""
    if context is PatchContext.GATEWAY:
        _, _, rest = name.partition(".")
        text = rest.partition(".")[0]
    elif context is PatchContext.SIDECAR_INBOUND:
        cluster = parse_cluster_name(name)
        return cluster.port if cluster else 0
    else:
        text = name.rpartition(":")[2]
    return int(text) if text.isascii() and text.isdecimal() else 0


def host_matches(patch: ReadyPatch, host: Any) -> bool:
    """True if the patch, which is for these routes, is for this virtual host."""
    routes = patch.match.route_configuration if patch.match else None
    match = routes.vhost if routes else None
    if match is None:
        return True
    return match.name in (None, host.name) and (not match.domain_name or match.domain_name in host.domains)


def names_route(patch: ReadyPatch) -> bool:
    """True if a patch is for some routes of a virtual host alone."""
    routes = patch.match.route_configuration if patch.match else None
    return routes is not None and routes.vhost is not None and routes.vhost.route is not None


def route_matches(patch: ReadyPatch, route: Any) -> bool:
    """True if the patch, which is for this virtual host, is for this route."""
    routes = patch.match.route_configuration if patch.match else None
    match = routes.vhost.route if routes and routes.vhost else None
    if match is None:
        return True
    if match.name and match.name != route.name:
        return False
    wanted = match.action or RouteAction.ANY
    return wanted is RouteAction.ANY or route.WhichOneof("action") == wanted.lower()


def cluster_matches(patch: ReadyPatch, name: str, hosts: Sequence[str]) -> bool:
    """True if the patch is for the cluster of this name; ``hosts`` are of the services behind an inbound one."""
    match = patch.match.cluster if patch.match else None
    if match is None:
        return True
    if match.name:
        return match.name == name
    parts = parse_cluster_name(name)
    if parts is None:
        return not (match.service or match.subset or match.port_number)
    return (
        match.subset in (None, parts.subset)
        and (not match.service or match.service in (parts.hostname, *hosts))
        and match.port_number in (None, parts.port)
    )
