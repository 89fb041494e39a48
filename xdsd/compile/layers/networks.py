"""What of the mesh's networks matters to a service: queries over ``xdsd.compile.networks``."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from xdsd.compile.endpoints import Takes
from xdsd.compile.graph import Graph
from xdsd.compile.layers.defaults import cluster_nearness, cluster_policy
from xdsd.compile.layers.peers import is_on
from xdsd.compile.locality import Place, ranking
from xdsd.compile.names import resolve_host
from xdsd.compile.networks import Networks, is_gateway, left_out, seen_from
from xdsd.compile.resolve import settings
from xdsd.compile.upstream_tls import is_automatic, uses_mesh
from xdsd.compile.world import (
    mesh_config_ref,
    read_endpoints,
    read_mesh_default,
    read_service,
    read_service_keys,
)
from xdsd.model.catalog import Endpoint, Location, Port, Resolution, ServiceKey
from xdsd.model.intent.mesh_networks import Network, NetworkGateway
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity


def networks(graph: Graph) -> Networks | None:
    """The networks of the mesh; None where none is declared."""
    declared: dict[str, Network] | None = read_mesh_default(graph, "networks")
    if not declared:
        return None
    gateways = tuple((name, tuple(_addresses(graph, name, each))) for name, each in sorted(declared.items()))
    ranges = tuple(
        (ip_network(each.from_cidr), name)
        for name, network in sorted(declared.items())
        for each in network.endpoints
        if each.from_cidr
    )
    return Networks(gateways, ranges)


def crosses(graph: Graph, key: ServiceKey) -> bool:
    """Whether proxies of different networks see the endpoints of a service differently."""
    known = graph.ask(networks)
    service = read_service(graph, key) if known else None
    if known is None or service is None or service.resolution is not Resolution.STATIC:
        return False
    return any(known.through(known.of(each)) for each in read_endpoints(graph, key))


def across(
    graph: Graph,
    key: ServiceKey,
    port: Port,
    subset: str,
    rules: tuple[ObjectRef, ...],
    endpoints: Iterable[Endpoint],
    mutual: Takes,
    place: Place,
) -> tuple[tuple[Endpoint, ...], Takes]:
    """The endpoints of a cluster as proxies at a place call them, and which of these take mutual TLS."""
    known = graph.ask(networks)
    if known is None:
        return tuple(endpoints), mutual
    chosen = tuple(endpoints)
    takes = mutual if place.mutual and speaks_mutual(graph, key, rules, port.number, subset) else None
    nearness = cluster_nearness(graph, rules, port.number, subset, key)
    rank = ranking(nearness, place) if nearness else None
    missed = left_out(chosen, known, place.network, takes) if not subset else {}
    for network, count in sorted(missed.items()):
        graph.report(_left_out(key, network, count, place))
    found = tuple(seen_from(chosen, known, place.network, port, takes, rank))
    return found, lambda each: is_gateway(each) or mutual(each)


def speaks_mutual(
    graph: Graph, key: ServiceKey, rules: tuple[ObjectRef, ...], number: int, subset: str
) -> bool:
    """Whether clients that have a certificate speak mutual TLS to those who take it."""
    tls = cluster_policy(graph, rules, number, subset).tls
    if uses_mesh(tls):
        return True
    service = read_service(graph, key)
    internal = service is not None and service.location is Location.MESH_INTERNAL
    return is_automatic(tls) and internal and is_on(graph)


def _addresses(graph: Graph, name: str, network: Network) -> Iterator[tuple[str, int]]:
    for index, gateway in enumerate(network.gateways):
        if gateway.address:
            yield gateway.address, gateway.port
            continue
        found = list(_service_addresses(graph, gateway))
        if not found:
            message = f"{gateway.registry_service_name} has no endpoint at port {gateway.port}, so nobody is let in by it"
            path = f"spec.networks[{name}].gateways[{index}].registryServiceName"
            ref = mesh_config_ref(settings(graph))
            graph.report(Problem(Reason.BROKEN_REFERENCE, message, ref, path, severity=Severity.WARNING))
        yield from found


def _service_addresses(graph: Graph, gateway: NetworkGateway) -> Iterator[tuple[str, int]]:
    """Where the endpoints of a service listen for the port."""
    found = settings(graph)
    host = resolve_host(gateway.registry_service_name or "", found.root_namespace, found.domain)
    for key in read_service_keys(graph, "services-of-host", host):
        service = read_service(graph, key)
        port = service.port(gateway.port) if service else None
        if port is not None:
            yield from ((each.address, each.port_for(port)) for each in read_endpoints(graph, key))


def _left_out(key: ServiceKey, network: str, count: int, place: Place) -> Problem:
    what = "1 endpoint" if count == 1 else f"{count} endpoints"
    why = (
        "they take no mutual TLS, or clients are told not to speak it"
        if place.mutual
        else "clients have no certificate, as they proved no identity"
    )
    message = (
        f"{what} on network {network} cannot be called from network {place.network}: what is behind a gateway is called by"
        f" mutual TLS of the mesh alone, and {why}"
    )
    return Problem(Reason.UNAVAILABLE, message, ObjectRef("Service", *key), severity=Severity.WARNING)
