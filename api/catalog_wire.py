"""Services, endpoints and workloads of the catalog as messages, each fact with who says it."""

from collections.abc import Iterable, Iterator, Sequence

from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.catalog import NOT_SERVED, Endpoint, Health, Port, Service, ServiceKey, WorkloadKey
from xdsd.registry.catalog import Catalog
from xdsd.registry.ports import agree
from xdsd.registry.reported import Reported


def service_to_wire(catalog: Catalog, service: Service, given: Iterable[str]) -> pb.CatalogService:
    """A service; ``given`` are the addresses that it has of the mesh."""
    parts = catalog.parts(service.key)
    endpoints = catalog.endpoints(service.key)
    return pb.CatalogService(
        namespace=service.namespace,
        host=service.hostname,
        ports=[_port(port, parts) for port in service.ports],
        addresses=[*_addresses(service, parts), *(pb.CatalogAddress(address=each) for each in given)],
        resolution=service.resolution.value,
        location=service.location.value,
        export_to=service.export_to,
        selector=service.selector or {},
        created=service.created,
        sources=[source for source, _ in parts],
        endpoints=len(endpoints),
        healthy=sum(each.health is Health.HEALTHY for each in endpoints),
        subject_alt_names=service.subject_alt_names,
        spread=service.spread.value,
    )


def endpoints_to_wire(catalog: Catalog, service: Service) -> Iterator[pb.CatalogEndpoint]:
    """The endpoints of a service."""
    for endpoint, reports in catalog.sourced(service.key):
        yield pb.CatalogEndpoint(
            namespace=service.namespace,
            host=service.hostname,
            address=endpoint.address,
            ports=_served(endpoint, service.ports),
            labels=endpoint.labels,
            locality=endpoint.locality,
            weight=endpoint.weight,
            network=endpoint.network,
            service_account=endpoint.service_account,
            health=endpoint.health.value,
            workload=next((each.workload for each in reports if each.workload), ""),
            sources=list(dict.fromkeys(each.source for each in reports)),
            health_sources=_ill(endpoint, reports),
            node=endpoint.node,
        )


def workload_to_wire(
    catalog: Catalog, source: str, key: WorkloadKey, endpoint: Endpoint
) -> pb.CatalogWorkload:
    """A workload as its source reports it."""
    return pb.CatalogWorkload(
        namespace=key.namespace,
        name=key.name,
        source=source,
        address=endpoint.address,
        ports=endpoint.ports,
        labels=endpoint.labels,
        locality=endpoint.locality,
        weight=endpoint.weight,
        network=endpoint.network,
        service_account=endpoint.service_account,
        health=endpoint.health.value,
        services=sorted(each.hostname for each in catalog.services_of(source, key)),
        node=endpoint.node,
    )


def matching(catalog: Catalog, namespace: str, host: str, domain: str) -> list[ServiceKey]:
    """The services of a namespace, or of all; with ``host`` those that it names: in full, or in the short forms of hosts
    of the mesh, and if there are none, those whose first labels it is (``web`` for ``web.service.consul``).
    """
    known = sorted(key for key in catalog.services() if namespace in {"", key.namespace})
    if not host:
        return known
    named = [key for key in known if is_named(key, host, domain)]
    return named or [key for key in known if key.hostname.startswith(f"{host}.")]


def is_named(key: ServiceKey, host: str, domain: str) -> bool:
    """True for a host whole, and of ``reviews.default.svc.cluster.local`` for ``reviews``, ``reviews.default`` and so on."""
    rest = key.hostname.removeprefix(host) if key.hostname.startswith(host) else None
    if rest is None:
        return False
    return rest in {"", f".{domain}", f".svc.{domain}", f".{key.namespace}.svc.{domain}"}


def _port(port: Port, parts: Sequence[tuple[str, Service]]) -> pb.CatalogPort:
    known = [source for source, part in parts if any(agree(each, port) for each in part.ports)]
    return pb.CatalogPort(
        number=port.number,
        name=port.name,
        protocol=port.protocol.value,
        basis=port.basis,
        target=port.target,
        sources=known,
    )


def _addresses(service: Service, parts: Sequence[tuple[str, Service]]) -> Iterator[pb.CatalogAddress]:
    for address in service.addresses:
        known = [source for source, part in parts if address in part.addresses]
        yield pb.CatalogAddress(address=address, sources=known)


def _served(endpoint: Endpoint, ports: Iterable[Port]) -> dict[str, int]:
    numbers = ((port.name, endpoint.port_for(port)) for port in ports)
    return {name: number for name, number in numbers if number != NOT_SERVED}


def _ill(endpoint: Endpoint, reports: Sequence[Reported]) -> list[str]:
    if endpoint.health is Health.HEALTHY:
        return []
    return [each.source for each in reports if each.endpoint.health is endpoint.health]
