"""Services that are told of requests, as Envoy's messages name them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.http_service_pb2 import HttpService

from xdsd.model.intent.telemetry_provider import HttpHeader

TIMEOUT = timedelta(seconds=5)
"""How long a service that is told over HTTP has to answer, unless told otherwise."""


class Collecting(NamedTuple):
    """A service that is told: its host, and the cluster that leads there."""

    host: str
    cluster: str


def grpc_service(
    to: Collecting, timeout: timedelta | None = None, headers: Iterable[HttpHeader] = ()
) -> GrpcService:
    """A service that is told over gRPC."""
    made = GrpcService(initial_metadata=[HeaderValue(key=each.name, value=each.value) for each in headers])
    made.envoy_grpc.cluster_name = to.cluster
    made.envoy_grpc.authority = to.host
    if timeout is not None:
        made.timeout.FromTimedelta(timeout)
    return made


def http_service(
    to: Collecting, path: str, timeout: timedelta | None = None, headers: Iterable[HttpHeader] = ()
) -> HttpService:
    """A service that is told over HTTP."""
    made = HttpService()
    made.http_uri.uri = f"http://{to.host}{path}"
    made.http_uri.cluster = to.cluster
    made.http_uri.timeout.FromTimedelta(timeout or TIMEOUT)
    for each in headers:
        made.request_headers_to_add.add(
            header=HeaderValue(key=each.name, value=each.value),
            append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
    return made
