"""Loads compiled resources into a real Envoy, which knows better than we do what is valid.

Starting Envoy costs a second, so tests gather many cases in one call. Names and listener addresses that
repeat are made unique first: cases may share them, one static configuration may not.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext

from tests.lab.envoy import envoy_binary

ADS_CLUSTER = "validate-ads"
_FILTERS = (("envoy.filters.http.cors", Cors), ("envoy.filters.http.fault", HTTPFault))


class RejectedByEnvoyError(AssertionError):
    """Envoy refused the configuration; the message is what it logged."""


def validate_with_envoy(
    clusters: Iterable[Any] = (),
    listeners: Iterable[Any] = (),
    routes: Iterable[Any] = (),
    assignments: Iterable[Any] = (),
) -> str:
    """Has ``envoy --mode validate`` load the messages; returns its log, or raises what Envoy has against
    them.

    A RouteConfiguration is put behind a listener of its own; clusters that its routes name need not be
    there. A ClusterLoadAssignment becomes that of a static cluster, so its addresses must be IPs or pipes.
    """
    bootstrap = _bootstrap()
    static = bootstrap.static_resources
    static.clusters.extend(map(_with_secrets_by_grpc, clusters))
    static.clusters.extend(_static_cluster(assignment) for assignment in assignments)
    static.listeners.extend(listeners)
    static.listeners.extend(_route_listener(route) for route in routes)
    _make_unique(static.clusters, lambda item: item.name, _rename)
    _make_unique(static.listeners, lambda item: item.name, _rename)
    _make_unique(static.listeners, _address_key, _move)
    return _run(bootstrap)


def _bootstrap() -> Any:
    bootstrap = Bootstrap()
    bootstrap.node.id = "sidecar~127.0.0.1~validate.default~default.svc.cluster.local"
    bootstrap.node.cluster = "validate"
    ads = bootstrap.dynamic_resources.ads_config
    ads.api_type = ads.DELTA_GRPC
    ads.transport_api_version = 2
    ads.grpc_services.add().envoy_grpc.cluster_name = ADS_CLUSTER
    cluster = bootstrap.static_resources.clusters.add(name=ADS_CLUSTER)
    cluster.connect_timeout.seconds = 1
    cluster.type = Cluster.STATIC
    return bootstrap


def _with_secrets_by_grpc(cluster: Any) -> Any:
    """The cluster with its secrets by a stream of their own: a static one (unlike those by CDS) is made before ADS is."""
    copy = Cluster.FromString(cluster.SerializeToString())
    sockets = [copy.transport_socket] if copy.HasField("transport_socket") else []
    for socket in [*sockets, *(each.transport_socket for each in copy.transport_socket_matches)]:
        _rewrite(socket)
    return copy


def _rewrite(socket: Any) -> None:
    header, context = ProxyProtocolUpstreamTransport(), UpstreamTlsContext()
    if socket.typed_config.Unpack(header):
        _rewrite(header.transport_socket)
        socket.typed_config.Pack(header)
    elif socket.typed_config.Unpack(context):
        common = context.common_tls_context
        secrets = list(common.tls_certificate_sds_secret_configs)
        if common.HasField("combined_validation_context"):
            secrets.append(common.combined_validation_context.validation_context_sds_secret_config)
        for secret in secrets:
            source = secret.sds_config.api_config_source
            source.api_type, source.transport_api_version = source.GRPC, 2
            source.grpc_services.add().envoy_grpc.cluster_name = ADS_CLUSTER
        socket.typed_config.Pack(context)


def _static_cluster(assignment: Any) -> Any:
    cluster = Cluster(name=assignment.cluster_name, type=Cluster.STATIC)
    cluster.load_assignment.CopyFrom(ClusterLoadAssignment.FromString(assignment.SerializeToString()))
    return cluster


def _route_listener(route: Any) -> Any:
    manager = HttpConnectionManager(stat_prefix="validate")
    manager.route_config.CopyFrom(RouteConfiguration.FromString(route.SerializeToString()))
    if not manager.route_config.HasField("validate_clusters"):
        manager.route_config.validate_clusters.value = False
    for name, message in _FILTERS:
        manager.http_filters.add(name=name).typed_config.Pack(message())
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(Router())
    listener = Listener(name=f"route {route.name}")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = 1
    chain = listener.filter_chains.add()
    chain.filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    return listener


def _address_key(listener: Any) -> bytes:
    key: bytes = listener.address.SerializeToString()
    return key


def _rename(item: Any, number: int) -> None:
    item.name = f"{item.name} #{number}"


def _move(listener: Any, number: int) -> None:
    if listener.address.HasField("pipe"):
        listener.address.pipe.path += f".{number}"
    else:
        listener.address.socket_address.port_value = 40000 + number


def _make_unique(items: Any, key: Callable[[Any], Any], change: Callable[[Any, int], None]) -> None:
    """Changes each item whose key stood earlier, by its place among all."""
    seen: set[Any] = set()
    for place, item in enumerate(items):
        at = key(item)
        if at in seen:
            change(item, place)
        seen.add(at)


def _run(bootstrap: Any) -> str:
    with tempfile.TemporaryDirectory(prefix="validate-") as folder:
        config = Path(folder) / "bootstrap.pb"
        config.write_bytes(bootstrap.SerializeToString())
        done = subprocess.run(
            [
                envoy_binary(),
                "--mode",
                "validate",
                "-c",
                config,
                "--disable-hot-restart",
                "--log-level",
                "warning",
            ],
            capture_output=True,
            text=True,
            timeout=580,  # many resources at once take a busy machine minutes
            check=False,
        )
    log = done.stderr + done.stdout
    if done.returncode != 0:
        raise RejectedByEnvoyError(log)
    return log
