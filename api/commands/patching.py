"""Objects that say how a proxy is started, and bootstraps with EnvoyFilters' patches merged, for ``xdsctl bootstrap``."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from api.commands.connection import Connection
from api.commands.manifests import read
from api.commands.problems import report
from xdsd.manifest import AnyObject, parse_object
from xdsd.model.intent import EnvoyFilter, MeshConfig, ProxyConfig
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.node import Node
from xdsd.model.problem import Problem
from xdsd.model.proxy_start import applying, proxy_start
from xdsd.model.started import ProxyStart

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


def start_of(
    objects: Iterable[AnyObject], namespace: str, labels: Mapping[str, str], root: str
) -> ProxyStart:
    """What the ProxyConfigs and the MeshConfig among objects say of a workload."""
    objects = tuple(objects)
    meshes = (obj for obj in objects if isinstance(obj.spec, MeshConfig))
    mesh = next((obj for obj in meshes if (obj.metadata.namespace, obj.metadata.name) == (root, NAME)), None)
    configs = [obj for obj in objects if isinstance(obj.spec, ProxyConfig)]
    chosen = applying(configs, namespace, labels, root)
    return proxy_start(mesh.spec.default_config if mesh else None, [obj.spec for obj in chosen])


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
