"""A mesh made by hand: a snapshot that a test changes as it likes, with real Envoy resources."""

from collections.abc import Callable, Iterable

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from xdsd.model.node import Node
from xdsd.snapshot import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    ROUTE,
    LayerChange,
    LayerId,
    Resource,
    Snapshot,
    SnapshotChange,
)

VIEW = LayerId("view")


class HandMesh:
    """Serves every node from one layer. ``tell`` hears of every change, as the server's ``published`` does."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self.snapshot = Snapshot()
        self.tell: Callable[[SnapshotChange], None] = lambda change: None
        self.attached: list[Node] = []
        self.detached: list[Node] = []
        self.refused: list[tuple[str, str, str, str, str]] = []
        self.put(*resources)

    async def attach(self, node: Node) -> None:
        self.attached.append(node)
        if node.key not in self.snapshot.assigned:
            self._publish(SnapshotChange(self.snapshot.generation + 1, assigned={node.key: (VIEW,)}))

    def rejected(self, node: Node, type_url: str, name: str, version: str, message: str) -> None:
        self.refused.append((node.id, type_url, name, version, message))

    def detach(self, node: Node) -> None:
        self.detached.append(node)

    def put(self, *resources: Resource) -> None:
        self.change(resources, ())

    def remove(self, type_url: str, *names: str) -> None:
        self.change((), [(type_url, name) for name in names])

    def change(self, upserts: Iterable[Resource], removed: Iterable[tuple[str, str]]) -> None:
        """Both in one generation."""
        part = LayerChange(VIEW, tuple(upserts), tuple(removed))
        self._publish(SnapshotChange(self.snapshot.generation + 1, (part,)))

    def _publish(self, change: SnapshotChange) -> None:
        self.snapshot.apply(change)
        self.tell(change)


def cluster(name: str, timeout: float = 2.0) -> Resource:
    """An EDS cluster; another ``timeout`` (seconds to connect) is another content."""
    made = Cluster(name=name, type=Cluster.EDS)
    made.connect_timeout.FromMilliseconds(round(timeout * 1000))
    made.eds_cluster_config.eds_config.ads.SetInParent()
    made.eds_cluster_config.eds_config.resource_api_version = 2
    return Resource.of(CLUSTER, name, made.SerializeToString(deterministic=True))


def endpoints(name: str, *ports: int) -> Resource:
    """Endpoints on loopback."""
    made = ClusterLoadAssignment(cluster_name=name)
    locality = made.endpoints.add()
    for port in ports:
        address = locality.lb_endpoints.add().endpoint.address.socket_address
        address.address, address.port_value = "127.0.0.1", port
    return Resource.of(ENDPOINT, name, made.SerializeToString(deterministic=True))


def listener(name: str, port: int, route: str) -> Resource:
    """An HTTP listener on loopback whose routes come by RDS."""
    manager = HttpConnectionManager(stat_prefix=name)
    manager.rds.route_config_name = route
    manager.rds.config_source.ads.SetInParent()
    manager.rds.config_source.resource_api_version = 2
    router = manager.http_filters.add(name="envoy.filters.http.router")
    router.typed_config.Pack(Router())
    made = Listener(name=name)
    made.address.socket_address.address = "127.0.0.1"
    made.address.socket_address.port_value = port
    made.filter_chains.add().filters.add(name="hcm").typed_config.Pack(manager)
    return Resource.of(LISTENER, name, made.SerializeToString(deterministic=True))


def route(name: str, to: str, note: str = "") -> Resource:
    """All requests go to one cluster; ``note`` comes back in a header and makes the content differ."""
    made = RouteConfiguration(name=name)
    host = made.virtual_hosts.add(name="all", domains=["*"])
    entry = host.routes.add()
    entry.match.prefix = "/"
    entry.route.cluster = to
    if note:
        header = host.response_headers_to_add.add().header
        header.key, header.value = "x-note", note
    return Resource.of(ROUTE, name, made.SerializeToString(deterministic=True))


def broken_listener(name: str) -> Resource:
    """A listener that every Envoy refuses: it has no address."""
    made = Listener(name=name)
    made.filter_chains.add()
    return Resource.of(LISTENER, name, made.SerializeToString(deterministic=True))
