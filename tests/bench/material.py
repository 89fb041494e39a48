"""The mesh that is served: so many services of ten endpoints, and the requests for it."""

from collections.abc import Iterable, Mapping

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from xdsd.compile.compiler import Compiler
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.proxies import proxy_of
from xdsd.model.catalog import Endpoint, Location, Port, Protocol, Service
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node
from xdsd.registry.base import CatalogChange
from xdsd.snapshot import TYPES, Resource, Snapshot, field_bytes

ENDPOINTS = 10
PORT = Port(9080, "http", Protocol.HTTP, 9080)


def name(number: int) -> str:
    """The cluster of a service."""
    return outbound_cluster_name(PORT.number, "", hostname(number))


def hostname(number: int) -> str:
    return f"service-{number:05}.default.svc.cluster.local"


def node_id(number: int) -> str:
    return f"sidecar~10.99.{number >> 8}.{number & 255}~p{number}.default~default.svc.cluster.local"


def service(number: int) -> Service:
    return Service("default", hostname(number), (PORT,), location=Location.MESH_INTERNAL)


def endpoints(number: int, turn: int = 0) -> tuple[Endpoint, ...]:
    """Ten endpoints; another ``turn`` moves the first one to another port."""
    first = Endpoint(f"10.{number >> 8 & 63}.{number & 255}.1", {PORT.name: PORT.target + turn})
    others = (Endpoint(f"10.{number >> 8 & 63}.{number & 255}.{index}") for index in range(2, ENDPOINTS + 1))
    return (first, *others)


def declared(services: int) -> CatalogChange:
    """The whole mesh as a registry would report it."""
    found = [service(number) for number in range(services)]
    return CatalogChange(tuple(found), endpoints={each.key: endpoints(n) for n, each in enumerate(found)})


def flip(turn: int) -> CatalogChange:
    """One endpoint of the first service moves."""
    return CatalogChange(endpoints={service(0).key: endpoints(0, turn)})


def fill(compiler: Compiler, services: int) -> None:
    """Puts the whole mesh into a compiler."""
    for number in range(services):
        each = service(number)
        compiler.world.put_service(each.key, each)
        compiler.world.put_endpoints(each.key, endpoints(number))


def publish(compiler: Compiler, snapshot: Snapshot) -> None:
    """Compiles what changed and takes it into the snapshot."""
    for _ in compiler.steps():
        pass
    change = compiler.take(snapshot)
    if change is not None:
        snapshot.apply(change)


def compiled(services: int) -> Mapping[str, Mapping[str, Resource]]:
    """What a proxy is served, by type and name: the same bytes for every server that is compared."""
    compiler, snapshot = Compiler(MeshSettings()), Snapshot()
    fill(compiler, services)
    compiler.attach(proxy_of(Node(node_id(0))))
    publish(compiler, snapshot)
    layers = [snapshot.layers[layer] for layer in snapshot.assigned[node_id(0)]]
    return {url: {n: r for layer in layers for n, r in layer.resources(url).items()} for url in TYPES}


def request(type_url: str, node: str = "", names: int = 0, known: Mapping[str, str] | None = None) -> bytes:
    """A delta request; the first one of a stream introduces its node, a resumed one says what it has."""
    message = DeltaDiscoveryRequest(
        type_url=type_url,
        resource_names_subscribe=map(name, range(names)),
        initial_resource_versions=known or {},
    )
    if node:
        message.node.id = node
        message.node.cluster = "bench"
        message.node.metadata.update({"NAMESPACE": "default", "LABELS": {"app": "bench"}})
    data: bytes = message.SerializeToString()
    return data


def versions(responses: Iterable[bytes]) -> dict[str, str]:
    """The versions by name that responses brought."""
    return {r.name: r.version for raw in responses for r in DeltaDiscoveryResponse.FromString(raw).resources}


def ack(type_url: str, response: bytes) -> bytes:
    """The ACK of a response, whose last field is its nonce, as in both servers."""
    for size in range(1, 21):
        if response[-size - 1] == size and response[-size - 2] == 0x2A:
            return field_bytes(2, type_url.encode()) + field_bytes(6, response[-size:])
    raise ValueError("the response does not end with a nonce")
