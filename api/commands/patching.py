"""Objects that say how a proxy is started, and bootstraps with EnvoyFilters' patches merged, for ``xdsctl bootstrap``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from api.commands.connection import Connection
from api.commands.manifests import read
from api.commands.problems import report
from xdsd.manifest import AnyObject, parse_object
from xdsd.model.intent import EnvoyFilter, MeshConfig, ProxyConfig
from xdsd.model.node import Node
from xdsd.model.problem import Problem

Json = Mapping[str, Any]

_SPECS = (EnvoyFilter, MeshConfig, ProxyConfig)


def from_files(filenames: Sequence[str], namespace: str) -> list[AnyObject]:
    """The objects of files that are about bootstraps; ends the command where something is wrong. ``namespace`` is of those
    that name none.
    """
    found = read(filenames, recursive=False, namespace=namespace)
    if report(found.problems):
        raise click.exceptions.Exit(1)
    return [each.object for each in found.objects.values() if isinstance(each.object.spec, _SPECS)]


def from_daemon(connection: Connection) -> list[AnyObject]:
    """The objects that a daemon has and that are about bootstraps."""
    with connection.client() as client:
        listed = [each for kind in _SPECS for each in client.list(kind.__name__).objects]
    objects = (parse_object(json.loads(each.json)) for each in listed)
    return [obj for obj in objects if not isinstance(obj, list)]


def with_patches(bootstrap: Json, objects: Sequence[AnyObject], root: str) -> Json:
    """The bootstrap with the patches of EnvoyFilters merged into it; ends the command if one cannot be."""
    objects = [obj for obj in objects if isinstance(obj.spec, EnvoyFilter)]
    if not objects:
        return bootstrap
    from xdsd.compile.envoy_filters.bootstraps import patched_bootstrap  # noqa: PLC0415 - half a second of imports
    from xdsd.compile.proxies import proxy_of  # noqa: PLC0415

    node = bootstrap["node"]
    proxy = proxy_of(Node(node["id"], node.get("cluster", ""), metadata=node.get("metadata", {})))
    merged, problems = patched_bootstrap(bootstrap, objects, proxy, root)
    if report(list[Problem](problems)):
        raise click.exceptions.Exit(1)
    return merged
