"""All that decides who may reach whom, from objects and services."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xdsd.model.catalog import Endpoint, Service, ServiceKey
from xdsd.model.intent import (
    AuthorizationPolicy,
    DestinationRule,
    MeshConfig,
    Object,
    PathNormalizationType,
    PeerAuthentication,
    RequestAuthentication,
)
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.mesh import MeshSettings, Proxy
from xdsd.model.shut_out import by_all_names
from xdsd.model.vain_policies import path_normalization


@dataclass(frozen=True, slots=True)
class Seen:
    """What no object says. ``revoked`` are SPIFFE ids; at the addresses of ``unproven`` are proxies that proved no identity;
    peers of the trust domains ``let_in`` are let in, beside those that objects declare.
    """

    revoked: frozenset[str] = frozenset()
    unproven: frozenset[str] = frozenset()
    let_in: tuple[str, ...] = ()


NOTHING_SEEN = Seen()


def seen(revoked: frozenset[str], proxies: Iterable[Proxy], let_in: Iterable[str]) -> Seen:
    """What is seen of the ``proxies`` that are connected; an address counts as proven where one of several proved itself."""
    known = list(proxies)
    proven = {each.address for each in known if each.identity is not None}
    unproven = {each.address for each in known if each.identity is None} - proven
    return Seen(revoked, frozenset(unproven), tuple(let_in))


@dataclass(frozen=True, slots=True)
class Site:
    """All that decides. ``domains`` are the mesh's trust domain and its aliases, ``believed`` those and all others whose
    peers are let in. ``automatic``: mutual TLS is spoken without being asked for. ``exported`` is to whom DestinationRules
    are exported that do not say it. ``revoked`` and ``unproven`` are as in ``Seen``.
    """

    policies: tuple[Object[AuthorizationPolicy], ...]
    authentications: tuple[Object[RequestAuthentication], ...]
    services: Mapping[ServiceKey, Service]
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]]
    peers: tuple[Object[PeerAuthentication], ...] = ()
    domain: str = "cluster.local"
    root: str = "istio-system"
    domains: tuple[str, ...] = ("cluster.local",)
    paths: PathNormalizationType = PathNormalizationType.DECODE_AND_MERGE_SLASHES
    rules: tuple[Object[DestinationRule], ...] = ()
    automatic: bool = True
    exported: tuple[str, ...] = ()
    believed: tuple[str, ...] = ("cluster.local",)
    revoked: frozenset[str] = frozenset()
    unproven: frozenset[str] = frozenset()


def site_of(
    objects: Iterable[Object[Any]],  # Any: of all kinds
    services: Mapping[ServiceKey, Service],
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]],
    settings: MeshSettings,
    known: Seen = NOTHING_SEEN,
) -> Site:
    """A site; of objects, only those that decide count."""
    found = list(objects)
    mesh = next((each.spec for each in found if _is_mesh(each, settings)), None) or MeshConfig()
    domains = tuple(dict.fromkeys((settings.trust_domain, *mesh.trust_domain_aliases)))
    declared = (domain for each in mesh.ca_certificates for domain in each.trust_domains)
    return Site(
        tuple(each for each in found if isinstance(each.spec, AuthorizationPolicy)),
        tuple(each for each in found if isinstance(each.spec, RequestAuthentication)),
        services,
        endpoints,
        tuple(each for each in found if isinstance(each.spec, PeerAuthentication)),
        settings.domain,
        settings.root_namespace,
        domains,
        path_normalization(mesh.path_normalization),
        tuple(each for each in found if isinstance(each.spec, DestinationRule)),
        mesh.enable_auto_mtls is not False,
        mesh.default_destination_rule_export_to,
        tuple(dict.fromkeys((*domains, *declared, *known.let_in))),
        frozenset(by_all_names(known.revoked, domains)),
        known.unproven,
    )


def _is_mesh(obj: Object[Any], settings: MeshSettings) -> bool:
    where = (obj.metadata.namespace, obj.metadata.name)
    return isinstance(obj.spec, MeshConfig) and where == (settings.root_namespace, NAME)
