"""A group's probe in the words of Envoy's health discovery service, and what it found. Pure.

Envoy (1.40) answers nothing on a new stream to a specifier that it had on an earlier one, so each is made different: its
interval has nanoseconds of its own. What it checks stays the same then, and goes on. It knows no check of gRPC here, so that
is written as the request over HTTP/2 that it is. It takes an answer that is not expected as the end, unless it may be
tried again: the threshold would not count.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from envoy.config.core.v3 import health_check_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.service.health.v3 import hds_pb2
from envoy.type.v3 import range_pb2

from xdsd.model.intent import GRPCProbe, HTTPProbe, ReadinessProbe
from xdsd.model.registered import ProbeResult

CLUSTER = "readiness"
TIMEOUT, PERIOD, SUCCESSES, FAILURES = 1, 10, 1, 3
_QUICK, _SLOW = timedelta(seconds=1), timedelta(seconds=5)
_TLS = "tls"
_HEALTHY = 1
_SERVING = b"\x08\x01"

Specifier = Any  # a message of Envoy's
Check = Any


def period(probe: ReadinessProbe) -> timedelta:
    """Between two probes."""
    return timedelta(seconds=probe.period_seconds or PERIOD)


def timeout(probe: ReadinessProbe) -> timedelta:
    """How long one may take."""
    return timedelta(seconds=probe.timeout_seconds or TIMEOUT)


def reports_every(probe: ReadinessProbe) -> timedelta:
    """Between two reports of what probes found: no later than they do, and not too many."""
    return min(max(period(probe) / 2, _QUICK), _SLOW)


def specifier(probe: ReadinessProbe, host: str, nanoseconds: int) -> Specifier:
    """What the Envoy of a machine is to check. ``host`` is where its program is, unless the probe says; ``nanoseconds``,
    below a millisecond, tell specifiers apart.
    """
    asked = next(each for each in (probe.http_get, probe.tcp_socket, probe.grpc) if each is not None)
    named = None if isinstance(asked, GRPCProbe) else asked.host
    address = "127.0.0.1" if named == "localhost" else named or host
    made = hds_pb2.HealthCheckSpecifier()
    made.interval.FromTimedelta(reports_every(probe))
    made.interval.nanos += nanoseconds
    cluster = made.cluster_health_checks.add(cluster_name=CLUSTER)
    endpoint = cluster.locality_endpoints.add().endpoints.add()
    endpoint.address.socket_address.address = address
    endpoint.address.socket_address.port_value = asked.port
    check = _check(probe)
    if isinstance(asked, HTTPProbe):
        _http(check, asked, address)
        if asked.scheme == "HTTPS":
            _over_tls(check, cluster)
    elif isinstance(asked, GRPCProbe):
        _grpc(check, asked, address)
    else:
        check.tcp_health_check.SetInParent()
    cluster.health_checks.append(check)
    return made


def found(response: Any) -> ProbeResult | None:
    """What Envoy (``EndpointHealthResponse``) says; None where it has nothing of ours."""
    states = [
        endpoint.health_status
        for cluster in response.cluster_endpoints_health
        if cluster.cluster_name == CLUSTER
        for locality in cluster.locality_endpoints_health
        for endpoint in locality.endpoints_health
    ]
    if not states:
        return None
    well = all(state == _HEALTHY for state in states)
    return ProbeResult.HEALTHY if well else ProbeResult.UNHEALTHY


def _check(probe: ReadinessProbe) -> Check:
    check = health_check_pb2.HealthCheck()
    check.timeout.FromTimedelta(timeout(probe))
    for field in (check.interval, check.no_traffic_interval, check.unhealthy_interval):
        field.FromTimedelta(period(probe))
    check.no_traffic_healthy_interval.FromTimedelta(period(probe))
    check.healthy_threshold.value = probe.success_threshold or SUCCESSES
    check.unhealthy_threshold.value = probe.failure_threshold or FAILURES
    check.reuse_connection.value = False
    return check


def _http(check: Check, asked: HTTPProbe, address: str) -> None:
    http = check.http_health_check
    http.path = asked.path or "/"
    hosts = [each.value or "" for each in asked.http_headers if each.name.lower() == "host"]
    http.host = hosts[0] if hosts and hosts[0] else _authority(address, asked.port)
    http.expected_statuses.append(_range(200, 400))
    http.retriable_statuses.extend((_range(100, 200), _range(400, 600)))
    for each in asked.http_headers:
        if each.name.lower() != "host":
            header = http.request_headers_to_add.add(append_action="OVERWRITE_IF_EXISTS_OR_ADD")
            header.header.key, header.header.value = each.name, each.value or ""
            header.keep_empty_value = True


def _grpc(check: Check, asked: GRPCProbe, address: str) -> None:
    http = check.http_health_check
    http.host = _authority(address, asked.port)
    http.path = "/grpc.health.v1.Health/Check"
    http.method = "POST"
    http.codec_client_type = "HTTP2"
    for name, value in (("content-type", "application/grpc"), ("te", "trailers")):
        header = http.request_headers_to_add.add().header
        header.key, header.value = name, value
    service = (asked.service or "").encode()
    message = b"\x0a" + _varint(len(service)) + service if service else b""
    http.send.text = (b"\0" + len(message).to_bytes(4, "big") + message).hex()
    http.receive.add(text=(b"\0" + len(_SERVING).to_bytes(4, "big") + _SERVING).hex())
    http.expected_statuses.append(_range(200, 201))
    http.retriable_statuses.extend((_range(100, 200), _range(201, 600)))


def _over_tls(check: Check, cluster: Any) -> None:
    """With whatever certificate: the program is the machine's own."""
    check.transport_socket_match_criteria[_TLS] = "true"
    match = cluster.transport_socket_matches.add(name=_TLS)
    match.match[_TLS] = "true"
    match.transport_socket.name = "envoy.transport_sockets.tls"
    match.transport_socket.typed_config.Pack(tls_pb2.UpstreamTlsContext())


def _range(start: int, end: int) -> Any:
    return range_pb2.Int64Range(start=start, end=end)


def _authority(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _varint(number: int) -> bytes:
    return bytes(_digits(number))


def _digits(number: int) -> Iterator[int]:
    while number > 0x7F:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number
