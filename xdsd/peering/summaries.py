"""What is shared of a service: only of those that everybody in the mesh sees, and only what can be called from elsewhere."""

from collections.abc import Iterable

from xdsd.compile.endpoints import takes_mutual_tls
from xdsd.compile.networks import is_gateway
from xdsd.model.catalog import Endpoint, Health, Location, Resolution, Service
from xdsd.model.identity import InvalidIdentity, SpiffeID
from xdsd.peering.values import Shared, SharedKey, SharedPort, Summary

DEFAULT_ACCOUNT = "default"


def shared_key(service: Service, domain: str) -> SharedKey | None:
    """By what a service is known to other meshes, if its host is ``NAME.NAMESPACE.svc.DOMAIN``, it is part of the mesh, and
    every namespace sees it. None for others.
    """
    name, _, rest = service.hostname.partition(".")
    if rest != f"{service.namespace}.svc.{domain}" or not name:
        return None
    if service.location is not Location.MESH_INTERNAL or service.resolution is not Resolution.STATIC:
        return None
    return SharedKey(service.namespace, name) if "*" in (service.export_to or ("*",)) else None


def shared(key: SharedKey, service: Service, endpoints: Iterable[Endpoint], trust_domain: str) -> Shared:
    """What peers are told. Endpoints that take no mutual TLS are none for them, as a gateway leads to no others."""
    callable_ = [each for each in endpoints if takes_mutual_tls(each) and not is_gateway(each)]
    accounts = sorted({each.service_account or DEFAULT_ACCOUNT for each in callable_})
    return Shared(
        key,
        tuple(SharedPort(port.number, port.name, port.protocol) for port in service.ports),
        tuple(
            found for each in accounts if (found := _identity(trust_domain, key.namespace, each)) is not None
        ),
        summarised(callable_),
    )


def summarised(endpoints: Iterable[Endpoint]) -> tuple[Summary, ...]:
    """How endpoints are, by locality."""
    found: dict[str, list[Endpoint]] = {}
    for each in endpoints:
        found.setdefault(each.locality, []).append(each)
    return tuple(_summary(locality, found[locality]) for locality in sorted(found))


def _summary(locality: str, endpoints: list[Endpoint]) -> Summary:
    well = [each for each in endpoints if each.health is Health.HEALTHY]
    return Summary(locality, len(well), len(endpoints), sum(each.weight or 1 for each in well))


def _identity(trust_domain: str, namespace: str, account: str) -> str | None:
    try:
        return str(SpiffeID(trust_domain, namespace, account))
    except InvalidIdentity:  # an account that nobody can have, so nobody answers by it
        return None
