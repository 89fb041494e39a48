"""A small snapshot of a proxy's config, made of Envoy's own messages."""

from datetime import UTC, datetime
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf import json_format

from api.decode import lazy_pool
from xdsd.model.node import Node
from xdsd.protocol.watch import Rejection, State, TypeStatus
from xdsd.server import ProxyStatus
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

NODE = "sidecar~10.0.0.1~productpage-v1.default~default.svc.cluster.local"
OTHER = "sidecar~10.0.0.2~productpage-v1.other~other.svc.cluster.local"
REVIEWS = "outbound|9080|v1|reviews.default.svc.cluster.local"
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


def cluster(name: str, kind: str = "EDS") -> Any:
    return json_format.ParseDict({"name": name, "type": kind}, Cluster())


def listener(name: str, address: str, port: int, *chains: dict[str, Any]) -> Any:
    where = {"socketAddress": {"address": address, "portValue": port}}
    value = {"name": name, "address": where, "filterChains": list(chains)}
    return json_format.ParseDict(value, Listener(), descriptor_pool=lazy_pool())


def chain(filter_type: str, config: dict[str, Any], match: dict[str, Any] | None = None) -> dict[str, Any]:
    part = {"name": "f", "typedConfig": {"@type": filter_type, **config}}
    return {"filters": [part], "filterChainMatch": match or {}}


def routes() -> Any:
    metadata = {
        "filterMetadata": {
            "istio": {"config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"},
            "xdsd": {"field": "spec.http[0]"},
        }
    }
    weighted = {"clusters": [{"name": REVIEWS, "weight": 80}, {"name": "b", "weight": 20}]}
    return json_format.ParseDict(
        {
            "name": "9080",
            "virtualHosts": [
                {
                    "name": "reviews.default.svc.cluster.local:9080",
                    "domains": ["reviews", "reviews.default"],
                    "routes": [
                        {
                            "match": {"prefix": "/", "headers": [{"name": "end-user"}]},
                            "route": {"cluster": REVIEWS},
                            "metadata": metadata,
                        },
                        {"match": {"safeRegex": {"regex": "/a+"}}, "route": {"weightedClusters": weighted}},
                        {"match": {"path": "/old"}, "redirect": {"hostRedirect": "x"}},
                        {"match": {"path": "/no"}, "directResponse": {"status": 503}},
                    ],
                },
                {"name": "empty", "domains": ["*"]},
            ],
        },
        RouteConfiguration(),
    )


def assignment() -> Any:
    def host(address: str, health: str = "UNKNOWN", weight: int = 0) -> dict[str, Any]:
        where = {"socketAddress": {"address": address, "portValue": 9080}}
        more = {"loadBalancingWeight": weight} if weight else {}
        return {"endpoint": {"address": where}, "healthStatus": health, **more}

    return json_format.ParseDict(
        {
            "clusterName": REVIEWS,
            "endpoints": [
                {
                    "locality": {"region": "eu", "zone": "a"},
                    "lbEndpoints": [host("10.0.1.1"), host("fd00::1", "DRAINING", 3)],
                },
                {
                    "priority": 1,
                    "lbEndpoints": [
                        {"endpoint": {"address": {"pipe": {"path": "/run/x"}}}, "healthStatus": "UNHEALTHY"}
                    ],
                },
            ],
        },
        ClusterLoadAssignment(),
    )


def listeners() -> list[Any]:
    inline = {"routeConfig": {"name": "inbound|9080||", "virtualHosts": [{"name": "in", "domains": ["*"]}]}}
    return [
        listener("0.0.0.0_9080", "0.0.0.0", 9080, chain(HCM, {"rds": {"routeConfigName": "9080"}})),
        listener(
            "virtualInbound",
            "0.0.0.0",
            15006,
            chain(HCM, inline, {"destinationPort": 9080, "applicationProtocols": ["http/1.1", "h2c"]}),
            chain(
                TCP,
                {"cluster": "InboundPassthroughCluster"},
                {"prefixRanges": [{"addressPrefix": "10.0.0.0", "prefixLen": 8}]},
            ),
        ),
    ]


def snapshot() -> Snapshot:
    found = Snapshot()
    items = [
        (CLUSTER, cluster(REVIEWS)),
        (CLUSTER, cluster("inbound|9080||", "STATIC")),
        (CLUSTER, cluster("BlackHoleCluster", "STATIC")),
        (ENDPOINT, assignment()),
        (ROUTE, routes()),
        *((LISTENER, each) for each in listeners()),
    ]
    resources = tuple(
        Resource.of(kind, each.cluster_name if kind == ENDPOINT else each.name, each.SerializeToString())
        for kind, each in items
    )
    layer = LayerId("outbound")
    assigned = {NODE: (layer,), OTHER: (layer,)}
    found.apply(SnapshotChange(7, (LayerChange(layer, resources),), assigned=assigned))
    return found


def status(node: str = NODE) -> ProxyStatus:
    """A stream that is fine with clusters, behind with endpoints, not sent listeners, and rejects routes."""

    def kind(type_url: str, state: State, error: str = "", *rejected: Rejection) -> TypeStatus:
        return TypeStatus(
            type_url, state, 1.0, 1.0, error, rejected, 2, wildcard=type_url in {CLUSTER, LISTENER}
        )

    return ProxyStatus(
        node=Node(node, version="1.40.0"),
        dialect="delta",
        aggregated=True,
        peer="ipv4:127.0.0.1:4711",
        since=(datetime.now(UTC) - datetime(2026, 1, 2, tzinfo=UTC)).total_seconds(),
        types=(
            kind(CLUSTER, State.SYNCED),
            kind(ENDPOINT, State.STALE),
            kind(LISTENER, State.NOT_SENT),
            kind(ROUTE, State.NACKED, "bad", Rejection("9080", "v", "duplicate domain")),
        ),
    )
