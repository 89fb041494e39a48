"""An Envoy's bootstrap: who the proxy is, where its config comes from, and how it can be watched.

The messages are ``envoy-data-plane``'s, which check types and names as they are made. What stands here
outlives every config that the proxy gets later:

- xDS is one incremental ADS stream over HTTP/2 with keepalive, so that a dead peer is noticed in half a
  minute, and with a short backoff, because a restarted daemon comes back in seconds.
- Clusters and listeners are waited for without a limit (a proxy that has no config yet must not report
  itself ready); all other types keep Envoy's own limit of 15 seconds, so that one missing resource cannot
  hold a proxy back.
- Statistics are named for Prometheus with the tags that dashboards for Istio expect; names that may hold
  dots end in a semicolon, which is what the tag expressions look for.
- The admin page listens on loopback alone and stays reachable when the connection limit is hit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from betterproto2 import Message
from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    Bootstrap,
    BootstrapDynamicResources,
    BootstrapStaticResources,
    ClusterManager,
    LayeredRuntime,
    RuntimeLayer,
    RuntimeLayerAdminLayer,
)
from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
    UpstreamConnectionOptions,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    AggregatedConfigSource,
    ApiConfigSource,
    ApiConfigSourceApiType,
    ApiVersion,
    BackoffStrategy,
    ConfigSource,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    Http2ProtocolOptions,
    KeepaliveSettings,
    Locality,
    Node,
    Pipe,
    RetryPolicy,
    RoutingPriority,
    SocketAddress,
    TcpKeepalive,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.metrics.v3 import StatsConfig, TagSpecifier
from envoy_data_plane.envoy.config.overload.v3 import OverloadManager, ResourceMonitor
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import (
    DownstreamConnectionsConfig,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.google.protobuf import Any as AnyMessage
from envoy_data_plane.google.protobuf import Struct

from api.bootstrap_tls import filters, secrets, transport_socket
from api.daemon_tls import XdsTls
from xdsd.model.role import Interception, Role
from xdsd.model.started import DEFAULT_ADMIN_PORT, METADATA
from xdsd.setting_values import Address as ListenAddress
from xdsd.setting_values import UnixAddress

XDS_CLUSTER = "xds-grpc"
LOCAL_CLUSTER = "local_cluster"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MAX_CONNECTIONS = 50_000
_PLENTY = 100_000
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_TRUTH: Mapping[str, bool] = MappingProxyType({"true": True, "false": False})
_TAGS = {
    "cluster_name": r"^cluster\.((.+?);\.)",
    "http_conn_manager_prefix": r"^http\.((.+?);\.)",
    "rds_route_config": r"\.rds\.((.+?)\.)(?:config_reload|init_fetch|update_|version|warming_)",
    "tcp_prefix": r"^tcp\.((.+?);?\.)(?:downstream_|upstream_|idle_timeout|max_downstream_|on_demand_)",
    "listener_address": r"^listener\.(((?:admin|[0-9.]+|\[[0-9a-fA-F_:]+\])(?:_[0-9]+)?)\.)",
    "worker_id": r"\.(worker_(\d+)\.)",
    "response_code": r"_rq(_(\d{3}))$",
    "response_code_class": r"_rq(_(\dxx))$",
}


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """What tells proxies apart.

    ``xds_addresses`` are of daemons that share a store: any of them serves the proxy, another one when it is gone.
    ``http_proxy_port`` needs ``Interception.NONE``. ``outbound_bind`` is where a sidecar without redirection listens for its
    program, and a gateway for everybody (``0.0.0.0`` if left out). With ``zone_aware`` it asks for its like, without which
    Envoy balances no zones. With ``dns_capture`` a sidecar answers DNS, at ``dns_address`` or on port 15053 of loopback.
    ``runtime`` is Envoy's, and takes out what is empty; ``start`` is what objects said of the proxy when this was written.
    ``xds_tls`` is how the daemon is reached over TLS, None: in plaintext. ``group`` is the WorkloadGroup of which the proxy
    is a machine that registers itself, and reports what its probe finds.
    """

    role: Role
    name: str
    namespace: str
    address: str
    xds_addresses: tuple[ListenAddress, ...]
    domain: str = "cluster.local"
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""
    interception: Interception = Interception.REDIRECT
    http_proxy_port: int = 0
    outbound_bind: str = ""
    cluster_id: str = ""
    network: str = ""
    locality: str = ""
    zone_aware: bool = False
    dns_capture: bool = False
    dns_address: str = ""
    admin_port: int = DEFAULT_ADMIN_PORT
    metadata: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)
    xds_tls: XdsTls | None = None
    group: str = ""

    @property
    def node_id(self) -> str:
        """``sidecar~10.0.0.1~reviews-v1.default~default.svc.cluster.local``."""
        pod = f"{self.name}.{self.namespace}"
        return f"{self.role}~{self.address}~{pod}~{self.namespace}.svc.{self.domain}"

    @property
    def service_cluster(self) -> str:
        """What traces and access logs call the workload: ``reviews.default``."""
        return f"{self.labels.get('app', self.name)}.{self.namespace}"


def bootstrap(options: BootstrapOptions) -> Bootstrap:
    """The whole bootstrap of one proxy."""
    return Bootstrap(
        node=_node(options),
        admin=Admin(
            address=_socket("127.0.0.1", options.admin_port),
            ignore_global_conn_limit=True,
        ),
        dynamic_resources=BootstrapDynamicResources(
            ads_config=_ads(), cds_config=_from_ads(), lds_config=_from_ads()
        ),
        hds_config=_hds() if options.group else None,
        static_resources=BootstrapStaticResources(
            clusters=[
                _xds_cluster(options.xds_addresses, options.xds_tls),
                *([_local_cluster()] if options.zone_aware else ()),
            ],
            secrets=secrets(options.xds_tls) if options.xds_tls is not None else [],
        ),
        cluster_manager=ClusterManager(local_cluster_name=LOCAL_CLUSTER) if options.zone_aware else None,
        stats_config=StatsConfig(
            use_all_default_tags=False,
            stats_tags=[TagSpecifier(tag_name=name, regex=regex) for name, regex in _TAGS.items()],
        ),
        layered_runtime=LayeredRuntime(
            layers=[
                RuntimeLayer(
                    name="static",
                    static_layer=Struct.from_dict(_runtime(options.runtime)),
                ),
                RuntimeLayer(name="admin", admin_layer=RuntimeLayerAdminLayer()),
            ]
        ),
        overload_manager=_overload(),
    )


def bootstrap_json(options: BootstrapOptions) -> dict[str, Any]:
    """The bootstrap as the JSON value that Envoy reads; Any, because JSON nests freely."""
    made: dict[str, Any] = _whole(bootstrap(options).to_dict())
    return made


def _whole(value: Any) -> Any:
    """Whole numbers without a fraction: a Struct has doubles alone, which Envoy reads from YAML as text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole(each) for key, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value


def _runtime(values: Mapping[str, str]) -> dict[str, Any]:
    """Ours and others' values; true and false are no texts to Envoy, nor are numbers."""
    found: dict[str, Any] = {"re2.max_program_size.error_level": 32768}
    for key, text in values.items():
        if text:
            found[key] = _TRUTH.get(text, float(text) if _NUMBER.fullmatch(text) else text)
        else:
            found.pop(key, None)
    return found


def _node(options: BootstrapOptions) -> Node:
    metadata: dict[str, Any] = {  # a Struct holds any JSON
        "NAME": options.name,
        "NAMESPACE": options.namespace,
        "LABELS": dict(options.labels),
        "SERVICE_ACCOUNT": options.service_account,
        "CLUSTER_ID": options.cluster_id,
        "NETWORK": options.network,
        "OUTBOUND_BIND": options.outbound_bind,
        "ENABLE_SELF_DISCOVERY": "true" if options.zone_aware else "",
        "AUTO_REGISTER_GROUP": options.group,
    }
    if options.role is Role.SIDECAR:
        metadata["INTERCEPTION_MODE"] = options.interception.value
        if options.http_proxy_port:
            metadata["HTTP_PROXY_PORT"] = str(options.http_proxy_port)
        metadata["DNS_CAPTURE"] = "true" if options.dns_capture else ""
        metadata["DNS_PROXY_ADDR"] = options.dns_address if options.dns_capture else ""
    metadata[METADATA] = dict(options.start)
    said = {key: value for key, value in metadata.items() if value not in ("", {})}
    region, zone, sub_zone = (*options.locality.split("/"), "", "", "")[:3]
    return Node(
        id=options.node_id,
        cluster=options.service_cluster,
        metadata=Struct.from_dict({**options.metadata, **said}),
        locality=Locality(region=region, zone=zone, sub_zone=sub_zone) if options.locality else None,
    )


def _ads() -> ApiConfigSource:
    return ApiConfigSource(
        api_type=ApiConfigSourceApiType.DELTA_GRPC,
        transport_api_version=ApiVersion.V3,
        set_node_on_first_message_only=True,
        grpc_services=[_daemon()],
    )


def _hds() -> ApiConfigSource:
    """Health discovery: what to ask the program, and what it answered."""
    return ApiConfigSource(
        api_type=ApiConfigSourceApiType.GRPC,
        transport_api_version=ApiVersion.V3,
        grpc_services=[_daemon()],
    )


def _daemon() -> GrpcService:
    back_off = BackoffStrategy(base_interval=timedelta(seconds=0.5), max_interval=timedelta(seconds=10))
    return GrpcService(
        envoy_grpc=GrpcServiceEnvoyGrpc(
            cluster_name=XDS_CLUSTER, retry_policy=RetryPolicy(retry_back_off=back_off)
        )
    )


def _from_ads() -> ConfigSource:
    return ConfigSource(
        ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3, initial_fetch_timeout=timedelta()
    )


def _xds_cluster(addresses: Sequence[ListenAddress], tls: XdsTls | None) -> Cluster:
    http2 = Http2ProtocolOptions(
        connection_keepalive=KeepaliveSettings(interval=timedelta(seconds=30), timeout=timedelta(seconds=10))
    )
    protocol = HttpProtocolOptions(
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=http2),
        http_filters=filters(tls) if tls is not None else [],
    )
    thresholds = [
        CircuitBreakersThresholds(
            priority=priority,
            max_connections=_PLENTY,
            max_pending_requests=_PLENTY,
            max_requests=_PLENTY,
        )
        for priority in (RoutingPriority.DEFAULT, RoutingPriority.HIGH)
    ]
    endpoints = [LbEndpoint(endpoint=Endpoint(address=_address(each))) for each in addresses]
    named = any(_is_name(each) for each in addresses)
    return Cluster(
        name=XDS_CLUSTER,
        alt_stat_name=f"{XDS_CLUSTER};",
        type=ClusterDiscoveryType.STRICT_DNS if named else ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=5),
        circuit_breakers=CircuitBreakers(thresholds=thresholds),
        upstream_connection_options=UpstreamConnectionOptions(
            tcp_keepalive=TcpKeepalive(keepalive_time=30, keepalive_interval=10, keepalive_probes=3)
        ),
        typed_extension_protocol_options={_HTTP_OPTIONS: _any(protocol)},
        transport_socket=transport_socket(tls) if tls is not None else None,
        load_assignment=ClusterLoadAssignment(
            cluster_name=XDS_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
        ),
    )


def _local_cluster() -> Cluster:
    """The proxy's like: nothing is sent there, but how they are spread over zones decides where the rest goes."""
    return Cluster(
        name=LOCAL_CLUSTER,
        alt_stat_name=f"{LOCAL_CLUSTER};",
        type=ClusterDiscoveryType.EDS,
        connect_timeout=timedelta(seconds=5),
        eds_cluster_config=ClusterEdsClusterConfig(eds_config=_from_ads()),
    )


def _overload() -> OverloadManager:
    """Connections beyond the limit are turned away before they use up the machine."""
    limit = DownstreamConnectionsConfig(max_active_downstream_connections=_MAX_CONNECTIONS)
    monitor = ResourceMonitor(
        name="envoy.resource_monitors.global_downstream_max_connections", typed_config=_any(limit)
    )
    return OverloadManager(refresh_interval=timedelta(seconds=0.25), resource_monitors=[monitor])


def _any(message: Message) -> AnyMessage:
    return AnyMessage.pack(message)


def _is_name(address: ListenAddress) -> bool:
    if isinstance(address, UnixAddress):
        return False
    try:
        ip_address(address.host)
    except ValueError:
        return True
    return False


def _address(address: ListenAddress) -> Address:
    if isinstance(address, UnixAddress):
        return Address(pipe=Pipe(path=str(address.path)))
    return _socket(address.host, address.port)


def _socket(host: str, port: int) -> Address:
    return Address(socket_address=SocketAddress(address=host, port_value=port))
