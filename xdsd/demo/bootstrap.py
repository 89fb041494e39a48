"""What each Envoy of the demo is started with: who it is, and where the daemon is."""

from collections.abc import Mapping
from typing import Any

from xdsd.demo.layout import GATEWAY, NAMESPACE, Instance, Layout
from xdsd.demo.manifests import labels

Bootstrap = Mapping[str, Any]  # Envoy's Bootstrap message as JSON


def sidecar_bootstrap(layout: Layout, instance: Instance) -> Bootstrap:
    """The Envoy beside an instance: without redirection, all its listeners on the instance's address."""
    metadata = {
        "INTERCEPTION_MODE": "NONE",
        "HTTP_PROXY_PORT": str(layout.options.proxy_port),
        "OUTBOUND_BIND": instance.address,
        "LABELS": labels(instance),
    }
    return _bootstrap(layout, "sidecar", instance.address, instance.name, metadata)


def gateway_bootstrap(layout: Layout) -> Bootstrap:
    """The Envoy that browsers talk to."""
    metadata = {"LABELS": {"istio": GATEWAY}, "OUTBOUND_BIND": layout.options.address}
    return _bootstrap(layout, "router", layout.gateway_address, GATEWAY, metadata)


def _bootstrap(
    layout: Layout, role: str, address: str, name: str, metadata: Mapping[str, object]
) -> Bootstrap:
    return {
        "node": {
            "id": f"{role}~{address}~{name}.{NAMESPACE}~{NAMESPACE}.svc.cluster.local",
            "cluster": f"{name}.{NAMESPACE}",
            "metadata": {"NAMESPACE": NAMESPACE, **metadata},
        },
        "admin": {"address": _address(address, layout.options.envoy_port)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
            "cds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
            "lds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
        },
        "static_resources": {"clusters": [_daemon_cluster(layout)]},
    }


def _daemon_cluster(layout: Layout) -> Mapping[str, Any]:
    endpoint = {"endpoint": {"address": _address("127.0.0.1", layout.options.xds_port)}}
    http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": "xds-grpc",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
    }


def _address(address: str, port: int) -> Mapping[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
