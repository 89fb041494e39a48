"""gRPC-Web: what browsers speak instead of gRPC, translated for servers of gRPC by the first proxy on the way.

The translating filter is in every HTTP connection manager, switched off; routes to ports that are declared as GRPC-WEB
switch it on. Elsewhere the same words pass untouched: some programs understand them by themselves.
"""

from envoy.config.route.v3.route_components_pb2 import FilterConfig, Route

from xdsd.compile.http_filters import GRPC_WEB


def translate_grpc_web(route: Route) -> None:
    """Switches the translation on for a route."""
    on = FilterConfig()
    on.config.SetInParent()
    route.typed_per_filter_config[GRPC_WEB].Pack(on, deterministic=True)
