"""Route patches: a route configuration, its virtual hosts, and the routes in them."""

from typing import Any

from xdsd.compile.envoy_filters.inserting import change_list
from xdsd.compile.envoy_filters.matching import Work, host_matches, names_route, route_matches, routes_match
from xdsd.compile.envoy_filters.merging import merge_patch
from xdsd.compile.envoy_filters.patches import ReadyPatch
from xdsd.model.intent import ApplyTo, PatchOperation


def patch_routes(configuration: Any, work: Work) -> None:
    """Changes a route configuration as the patches want."""
    name = configuration.name
    for patch in work.of(ApplyTo.ROUTE_CONFIGURATION):
        if patch.merges and routes_match(patch, name, work.facts):
            merge_patch(configuration, patch)
            configuration.name = name
            work.done(patch)
    of_hosts, of_routes = (
        [patch for patch in work.of(kind) if routes_match(patch, name, work.facts)]
        for kind in (ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE)
    )
    if not of_hosts and not of_routes:
        return
    hosts = configuration.virtual_hosts
    for index in reversed(range(len(hosts))):
        if not _patch_host(hosts[index], of_hosts, of_routes, work):
            del hosts[index]
    for patch in of_hosts:
        if patch.operation is PatchOperation.ADD:
            hosts.append(patch.value)
            work.done(patch)


def _patch_host(host: Any, of_hosts: list[ReadyPatch], of_routes: list[ReadyPatch], work: Work) -> bool:
    """Changes a virtual host; False if a patch removes it."""
    for patch in of_hosts:
        if patch.operation is PatchOperation.ADD or not host_matches(patch, host):
            continue
        work.done(patch)
        if patch.operation is PatchOperation.REMOVE:
            return False
        if patch.operation is PatchOperation.REPLACE:
            host.CopyFrom(patch.value)
        else:
            merge_patch(host, patch)
        work.made.append(host)
    _patch_host_routes(host, [patch for patch in of_routes if host_matches(patch, host)], work)
    return True


def _patch_host_routes(host: Any, patches: list[ReadyPatch], work: Work) -> None:
    """Merging and removing come before inserting, so that nobody's own route is touched by accident."""
    for index in reversed(range(len(host.routes))):
        for patch in patches:
            if not (patch.merges or patch.operation is PatchOperation.REMOVE):
                continue
            if not route_matches(patch, host.routes[index]):
                continue
            work.done(patch)
            if patch.operation is PatchOperation.REMOVE:
                del host.routes[index]
                break
            merge_patch(host.routes[index], patch)
            work.made.append(host.routes[index])
    for patch in patches:
        if patch.merges or patch.operation is PatchOperation.REMOVE:
            continue
        named = None
        if names_route(patch) and patch.operation is not PatchOperation.ADD:
            named = _matcher(patch)
        if change_list(host.routes, patch, named):
            work.done(patch)


def _matcher(patch: ReadyPatch) -> Any:
    return lambda route: route_matches(patch, route)
