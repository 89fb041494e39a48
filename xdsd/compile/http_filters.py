"""The one ordering of HTTP filters, for every HTTP connection manager that this project builds.

A request passes the filters from first to last, a response from last to first. The order is a promise:
what a filter may rely on stands with it. Filters that only act where a route asks for them (fault,
CORS) are in every chain, so that a route update alone turns them on: adding a filter would change the
listener, and a changed listener drains connections.

0. ``grpc_web`` translates what browsers speak into gRPC, for all that comes after; routes switch it on.
1. ``grpc_stats`` counts calls by their gRPC status; ahead of what may refuse them, so that refused calls count too.
2. An external authorizer of CUSTOM policies: before anything spends work on the request, and able to put in a token.
3. JWT authentication: proves who asks, which authorization and rate limits refer to.
4. RBAC: authorization by peer and by request. 2 to 4 only where listeners are guarded (``xdsd.compile.authorization``).
5. ``cors`` answers preflight requests; before faults, so that a browser sees an injected abort for what it is.
6. ``fault`` delays and aborts; after authorization, so that nobody learns of a route by its faults.
7. Rate limits, local ones first; after all that refuses, so that they count what would really be sent; only in listeners
   that have some (``xdsd.compile.limits``).
8. The caller's deadline, on inbound sides (``xdsd.compile.deadlines``): what the router reads.
9. ``router`` sends the request; always last, Envoy refuses it elsewhere.
"""

from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.filters.http.grpc_stats.v3.config_pb2 import FilterConfig as GrpcStats
from envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2 import GrpcWeb
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue

from xdsd.compile.authorization.heads import UNGUARDED, Guarding
from xdsd.compile.deadlines import restore_expected_timeout
from xdsd.compile.limits.limiting import NO_LIMITS, Limiting

# Names are keys: a route's ``typed_per_filter_config`` refers to a filter by them.
CORS = "envoy.filters.http.cors"
FAULT = "envoy.filters.http.fault"
GRPC_STATS = "envoy.filters.http.grpc_stats"
GRPC_WEB = "envoy.filters.http.grpc_web"
DEADLINE = "envoy.filters.http.header_mutation|deadline"
ROUTER = "envoy.filters.http.router"


def http_filters(
    limiting: Limiting = NO_LIMITS, guarding: Guarding = UNGUARDED, *, inbound: bool = False
) -> list[HttpFilter]:
    """The filters of an HTTP connection manager, in the order above; rate limits and guards only where there are any.

    ``inbound`` sides keep the deadline that the caller's proxy told.
    """
    web = _filter(GRPC_WEB, GrpcWeb())
    web.disabled = True
    return [
        web,
        _filter(GRPC_STATS, GrpcStats(emit_filter_state=True, stats_for_all_methods=BoolValue(value=False))),
        *guarding.http,
        _filter(CORS, Cors()),
        _filter(FAULT, HTTPFault()),
        *limiting.filters,
        *([_filter(DEADLINE, restore_expected_timeout())] if inbound else []),
        _filter(ROUTER, Router(respect_expected_rq_timeout=inbound)),
    ]


def _filter(name: str, config: Message) -> HttpFilter:
    typed_config = Any()
    typed_config.Pack(config)
    return HttpFilter(name=name, typed_config=typed_config)
