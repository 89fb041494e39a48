"""What is asked of machines whose group has no probe: whether somebody still listens on the ports of their services. Pure.

The machine's own Envoy connects to its program, every second, so it costs nobody else anything; the daemon hears of it
every few seconds. Programs that never listened there (of UDP, or on another address) are none of its business: only
one that did, and does not any more, is deaf. Callers leave endpoints that fail for longer than that takes to be known,
so that no request has to find out whether one is back.
"""

from datetime import timedelta
from typing import Any, NamedTuple

from envoy.config.core.v3 import health_check_pb2
from envoy.service.health.v3 import hds_pb2

from xdsd.model.registered import ProbeResult

CLUSTER = "listening"
PERIOD = timedelta(seconds=1)
REPORTS = timedelta(seconds=3)
FAILURES = SUCCESSES = 2
_HEALTHY = 1

Message = Any  # of Envoy's


class Listening(NamedTuple):
    """The TCP ports on which the programs of a machine are expected to listen."""

    ports: tuple[int, ...]


class Ears:
    """What is known of a machine's ports over one stream: who is deaf has listened before, and is well again once all that
    listened before do.
    """

    def __init__(self) -> None:
        self._listened: set[int] = set()
        self._deaf = False

    def found(self, response: Message) -> ProbeResult | None:
        """What Envoy (``EndpointHealthResponse``) says of all of them; None where it has nothing of ours."""
        states = {
            endpoint.endpoint.address.socket_address.port_value: endpoint.health_status == _HEALTHY
            for cluster in response.cluster_endpoints_health
            if cluster.cluster_name == CLUSTER
            for locality in cluster.locality_endpoints_health
            for endpoint in locality.endpoints_health
        }
        if not states:
            return None
        self._listened.update(port for port, listens in states.items() if listens)
        if any(port in self._listened for port, listens in states.items() if not listens):
            self._deaf = True
            return ProbeResult.DEAF
        # A machine that is known as deaf may have said so on an earlier stream, by a port that is silent still.
        return ProbeResult.HEALTHY if self._deaf or all(states.values()) else None


def listening_specifier(asked: Listening, host: str, nanoseconds: int) -> Message:
    """What the Envoy of a machine is to check. ``host`` is where its programs are; ``nanoseconds``, below a millisecond,
    tell specifiers apart.
    """
    made = hds_pb2.HealthCheckSpecifier()
    made.interval.FromTimedelta(REPORTS)
    made.interval.nanos += nanoseconds
    cluster = made.cluster_health_checks.add(cluster_name=CLUSTER)
    group = cluster.locality_endpoints.add()
    for port in asked.ports:
        socket = group.endpoints.add().address.socket_address
        socket.address, socket.port_value = host, port
    cluster.health_checks.append(_check())
    return made


def _check() -> Message:
    check = health_check_pb2.HealthCheck()
    fields = (check.interval, check.no_traffic_interval, check.no_traffic_healthy_interval)
    for field in (check.timeout, check.unhealthy_interval, *fields):
        field.FromTimedelta(PERIOD)
    check.healthy_threshold.value, check.unhealthy_threshold.value = SUCCESSES, FAILURES
    check.reuse_connection.value = False
    check.tcp_health_check.SetInParent()
    return check
