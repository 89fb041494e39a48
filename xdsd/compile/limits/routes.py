"""What the RateLimits that target a route put there: which filters it switches on, and what it asks the limiter."""

from collections.abc import Sequence
from typing import Any

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimitPerRoute

from xdsd.compile.limits.actions import ROUTE_METADATA
from xdsd.compile.limits.filters import rate_limits
from xdsd.compile.limits.terms import Side, global_filters, local_filters
from xdsd.model.intent import Object, RateLimit


def limit_route(route: Any, objects: Sequence[Object[RateLimit]], side: Side, *, external: bool) -> None:
    """Adds to an Envoy route what these objects ask for."""
    for local in local_filters(objects, side):
        switched_on = FilterConfig()
        switched_on.config.SetInParent()
        route.typed_per_filter_config[local.name].Pack(switched_on, deterministic=True)
        for owner in sorted({limit.owner for limit in local.limits}):
            route.metadata.filter_metadata[ROUTE_METADATA].update({owner: owner})
    for shared in global_filters(objects, side, external=external):
        asked = RateLimitPerRoute(rate_limits=rate_limits(shared.limits))
        route.typed_per_filter_config[shared.name].Pack(asked, deterministic=True)
