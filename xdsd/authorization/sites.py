"""All that decides who may reach whom, from objects and services."""

from collections.abc import Iterable, Mapping
from typing import Any

from xdsd.authorization.reach import Site
from xdsd.model.catalog import Endpoint, Service, ServiceKey
from xdsd.model.intent import (
    AuthorizationPolicy,
    MeshConfig,
    Object,
    PathNormalizationType,
    RequestAuthentication,
)
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.mesh import MeshSettings


def site_of(
    objects: Iterable[Object[Any]],  # Any: of all kinds
    services: Mapping[ServiceKey, Service],
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]],
    settings: MeshSettings,
) -> Site:
    """A site; of objects, only those that decide count."""
    found = list(objects)
    mesh = next((each.spec for each in found if _is_mesh(each, settings)), None) or MeshConfig()
    said = mesh.path_normalization.normalization if mesh.path_normalization else None
    paths = PathNormalizationType.DECODE_AND_MERGE_SLASHES
    if said is not None and said is not PathNormalizationType.DEFAULT:
        paths = said
    return Site(
        tuple(each for each in found if isinstance(each.spec, AuthorizationPolicy)),
        tuple(each for each in found if isinstance(each.spec, RequestAuthentication)),
        services,
        endpoints,
        settings.domain,
        settings.root_namespace,
        tuple(dict.fromkeys((settings.trust_domain, *mesh.trust_domain_aliases))),
        paths,
    )


def _is_mesh(obj: Object[Any], settings: MeshSettings) -> bool:
    where = (obj.metadata.namespace, obj.metadata.name)
    return isinstance(obj.spec, MeshConfig) and where == (settings.root_namespace, NAME)
