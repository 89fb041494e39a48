"""Global names as services of the catalog: a part of the service that is here, and one for each peer that has it.

Both parts are equal in all but their endpoints: the local ones, and the peer's gateways, each of which stands for all
endpoints of the service there. Where regions are prescribed the others are left out, so that nothing falls back to them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from xdsd.compile.endpoints import TLS_MODE_LABEL
from xdsd.compile.networks import is_gateway
from xdsd.compile.upstream_tls import MUTUAL_MODE
from xdsd.model.catalog import (
    BEHIND,
    UNDATED,
    Endpoint,
    Health,
    Location,
    Port,
    Resolution,
    Service,
    ServiceKey,
)
from xdsd.model.global_names import global_host
from xdsd.peering.values import Gateway, Shared, SharedKey, Summary

NEWEST = f"{UNDATED}~"
"""The time of creation of what peers have, which is after every other, and after what is here of which none is known:
what is said here counts, and no peer's service takes a port from one of the mesh.
"""

Regions = Collection[str] | None
"""The regions in which a service may be served; None is everywhere."""


def global_key(key: SharedKey) -> ServiceKey:
    """The catalog's key of a global name."""
    return ServiceKey(key.namespace, global_host(key.namespace, key.name))


def local_part(key: SharedKey, service: Service, endpoints: Iterable[Endpoint], regions: Regions) -> Service:
    """The global name of a service that is here."""
    kept = (each for each in endpoints if not is_gateway(each) and _inside(each.locality, regions))
    return replace(
        service,
        hostname=global_key(key).hostname,
        addresses=(),
        export_to=(),
        selector=None,
        endpoints=tuple(kept),
        subject_alt_names=(),
        source="",
    )


def peer_part(
    peer: str, shared: Shared, gateways: Sequence[Gateway], regions: Regions, source: str
) -> Service:
    """The global name of a service that a peer has."""
    ports = tuple(Port(each.number, each.name, each.protocol, each.number) for each in shared.ports)
    return Service(
        shared.key.namespace,
        global_key(shared.key).hostname,
        ports,
        resolution=Resolution.STATIC,
        location=Location.MESH_INTERNAL,
        endpoints=through(peer, shared, gateways, regions),
        created=NEWEST,
        source=source,
    )


def through(peer: str, shared: Shared, gateways: Sequence[Gateway], regions: Regions) -> tuple[Endpoint, ...]:
    """A peer's gateways as the endpoints of a service that it has. A gateway leads to all of them, so where one of them is
    outside of the prescribed regions it is not used at all. Without identities nobody could be told from an impostor.
    """
    there = [each for each in shared.summaries if each.total]
    if not there or not shared.identities or not all(_inside(each.locality, regions) for each in there):
        return ()
    weight = max(1, sum(each.weight for each in there) // max(1, len(gateways)))
    health = Health.HEALTHY if shared.healthy else Health.UNHEALTHY
    place = max(there, key=_most).locality
    labels = {TLS_MODE_LABEL: MUTUAL_MODE, BEHIND: peer}
    return tuple(
        Endpoint(
            gateway.address,
            {port.name: gateway.port for port in shared.ports},
            labels,
            gateway.locality or place,
            weight,
            health=health,
            identities=shared.identities,
        )
        for gateway in gateways
    )


def _most(summary: Summary) -> tuple[int, int, str]:
    return summary.weight, summary.total, summary.locality


def _inside(locality: str, regions: Regions) -> bool:
    return regions is None or locality.partition("/")[0] in regions
