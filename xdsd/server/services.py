"""The gRPC methods that are served, and which dialect and type each of them speaks."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import grpc

# Importing a service's module is what makes reflection know it.
from envoy.service.cluster.v3 import cds_pb2
from envoy.service.discovery.v3 import ads_pb2
from envoy.service.endpoint.v3 import eds_pb2
from envoy.service.extension.v3 import config_discovery_pb2 as ecds_pb2
from envoy.service.listener.v3 import lds_pb2
from envoy.service.route.v3 import rds_pb2
from envoy.service.secret.v3 import sds_pb2

from xdsd.protocol.sender import Dialect
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET

Serve = Callable[["Method", Any], Awaitable[None]]


class Method(NamedTuple):
    """``type_url`` is empty on the aggregated service."""

    service: str
    name: str
    dialect: Dialect
    type_url: str


def methods() -> Iterator[Method]:
    """All methods that are served."""
    table = (
        (ads_pb2, "AggregatedDiscoveryService", "AggregatedResources", ""),
        (cds_pb2, "ClusterDiscoveryService", "Clusters", CLUSTER),
        (eds_pb2, "EndpointDiscoveryService", "Endpoints", ENDPOINT),
        (lds_pb2, "ListenerDiscoveryService", "Listeners", LISTENER),
        (rds_pb2, "RouteDiscoveryService", "Routes", ROUTE),
        (sds_pb2, "SecretDiscoveryService", "Secrets", SECRET),
        (ecds_pb2, "ExtensionConfigDiscoveryService", "ExtensionConfigs", EXTENSION),
    )
    for module, service, noun, type_url in table:
        full_name = module.DESCRIPTOR.services_by_name[service].full_name
        yield Method(full_name, f"Stream{noun}", Dialect.SOTW, type_url)
        yield Method(full_name, f"Delta{noun}", Dialect.DELTA, type_url)


def handlers(serve: Serve) -> "list[grpc.GenericRpcHandler[bytes, bytes]]":
    """gRPC handlers that hand raw bytes to ``serve``."""
    by_service: dict[str, dict[str, Any]] = {}
    for method in methods():
        by_service.setdefault(method.service, {})[method.name] = grpc.stream_stream_rpc_method_handler(
            _bound(serve, method)
        )
    return [grpc.method_handlers_generic_handler(name, found) for name, found in by_service.items()]


def _bound(serve: Serve, method: Method) -> Any:
    async def handler(_: Any, context: Any) -> None:
        await serve(method, context)

    return handler
