"""What a HealthCheck makes of a cluster: how Envoy asks endpoints whether they are well.

Envoy replaces a cluster whose checks change, and keeps the old one serving until every endpoint was asked once. What
else is set here keeps a check from hurting where it is not its business:

- An endpoint that discovery adds does not count, neither as well nor as ill, until it was asked: without this a dozen
  new ones would push requests to the next locality for a moment.
- An endpoint that discovery takes away is gone at once. Envoy alone would keep it while it answers, and the address may
  be another service's by then.
- If none is well all are used, unless told otherwise: then the check is more likely wrong than all endpoints.
- Failures count up to the threshold whatever the status; Envoy alone would leave an endpoint at the first 503.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import RequestMethod
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from envoy.type.v3.http_pb2 import CodecClientType

from xdsd.compile.load_balancing import LAST_RESORT_PERCENT
from xdsd.compile.policy import Policy
from xdsd.compile.upstream import HTTP_OPTIONS, speaks_http2
from xdsd.model.catalog import Protocol
from xdsd.model.intent import HealthCheck, HTTPHealthCheck, TCPHealthCheck

INTERVAL = timedelta(seconds=10)
NO_TRAFFIC_INTERVAL = timedelta(seconds=60)
TIMEOUT = timedelta(seconds=1)
UNHEALTHY_THRESHOLD = 3
HEALTHY_THRESHOLD = 2
JITTER_PERCENT = 10
OK = 200
_STATUSES = range(100, 600)


def why_unchecked(cluster: Any, check: HealthCheck, protocol: Protocol, policy: Policy) -> str:
    """Why the endpoints of a cluster cannot be asked so; empty if they can."""
    if cluster.type == Cluster.ORIGINAL_DST:
        return "connections go where clients send them, so there are no endpoints to ask"
    if check.grpc is None or not protocol.carries_http or _may_speak_http2(protocol, policy):
        return ""
    return "it asks by gRPC, and the port speaks HTTP/1.1; declare it as GRPC or HTTP2, or ask by http or tcp"


def asked_host(check: HealthCheck, host: str) -> str:
    """The host that endpoints of a service are asked for."""
    if check.http is not None:
        return check.http.host or host
    return (check.grpc.authority if check.grpc else None) or host


def _may_speak_http2(protocol: Protocol, policy: Policy) -> bool:
    http = policy.connection_pool.http if policy.connection_pool else None
    return protocol.is_auto or bool(http and http.use_client_protocol) or speaks_http2(protocol, policy)


def apply_health_check(
    cluster: Any, check: HealthCheck, host: str, protocol: Protocol, policy: Policy
) -> None:
    """Has a cluster's endpoints checked. ``host`` is the service's, for which the endpoints are asked.

    The check must be one that ``why_unchecked`` has nothing against.
    """
    made = cluster.health_checks.add()
    made.interval.FromTimedelta(check.interval or INTERVAL)
    made.interval_jitter_percent = JITTER_PERCENT
    idle = check.no_traffic_interval or max(NO_TRAFFIC_INTERVAL, check.interval or INTERVAL)
    made.no_traffic_interval.FromTimedelta(idle)
    made.timeout.FromTimedelta(check.timeout or TIMEOUT)
    made.unhealthy_threshold.value = check.unhealthy_threshold or UNHEALTHY_THRESHOLD
    made.healthy_threshold.value = check.healthy_threshold or HEALTHY_THRESHOLD
    if check.http is not None:
        _ask_http(
            made.http_health_check, check.http, asked_host(check, host), http2=speaks_http2(protocol, policy)
        )
    elif check.grpc is not None:
        made.grpc_health_check.service_name = check.grpc.service or ""
        made.grpc_health_check.authority = asked_host(check, host)
        if not protocol.carries_http:
            _speak_http2(cluster)
    elif check.tcp is not None:
        _ask_tcp(made.tcp_health_check, check.tcp)
    cluster.ignore_health_on_host_removal = True
    cluster.common_lb_config.ignore_new_hosts_until_first_hc = True
    _set_last_resort(cluster.common_lb_config.healthy_panic_threshold, check, policy)


def _set_last_resort(panic: Any, check: HealthCheck, policy: Policy) -> None:
    outliers = policy.outlier_detection
    least = check.min_health_percent
    if least is None and outliers is not None:
        least = outliers.min_health_percent
    panic.value = LAST_RESORT_PERCENT if least is None else least


def _ask_http(made: Any, check: HTTPHealthCheck, host: str, *, http2: bool) -> None:
    made.host = host
    made.path = check.path
    if check.method is not None:
        made.method = RequestMethod.Value(check.method)
    if http2:
        made.codec_client_type = CodecClientType.HTTP2
    for name, value in check.headers.items():
        header = made.request_headers_to_add.add().header
        header.key, header.value = name, value.replace("%", "%%")
    expected = frozenset(check.expected_statuses) or {OK}
    for start, end in _spans(sorted(expected)):
        made.expected_statuses.add(start=start, end=end)
    for start, end in _spans(status for status in _STATUSES if status not in expected):
        made.retriable_statuses.add(start=start, end=end)


def _spans(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as spans without their ends."""
    start, end = -1, -1
    for number in numbers:
        if number != end:
            if start >= 0:
                yield start, end
            start = number
        end = number + 1
    if start >= 0:
        yield start, end


def _ask_tcp(made: Any, check: TCPHealthCheck) -> None:
    made.SetInParent()
    if check.send is not None:
        made.send.text = check.send.content.hex()
    for each in check.receive:
        made.receive.add(text=each.content.hex())


def _speak_http2(cluster: Any) -> None:
    """Lets a cluster that carries connections unread speak HTTP/2 for its checks; Envoy insists."""
    packed = cluster.typed_extension_protocol_options[HTTP_OPTIONS]
    options = HttpProtocolOptions()
    packed.Unpack(options)
    options.explicit_http_config.http2_protocol_options.SetInParent()
    packed.Pack(options, deterministic=True)
