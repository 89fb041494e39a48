"""The endpoints behind one cluster, as a ClusterLoadAssignment.

This is what one flipped endpoint costs the daemon, so nothing here is done twice: one pass filters, one sort
makes the bytes independent of the order of the input (their hash is the version), one pass builds.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from envoy.config.core.v3.health_check_pb2 import HealthStatus
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from xdsd.model.catalog import Endpoint, Health, Port

UNIX_SCHEME = "unix://"
MAX_WEIGHT = 0xFFFFFFFF

_HEALTH = {
    Health.HEALTHY: HealthStatus.Value("UNKNOWN"),
    Health.UNHEALTHY: HealthStatus.Value("UNHEALTHY"),
    Health.DRAINING: HealthStatus.Value("DRAINING"),
}

_Row = tuple[str, str, int, int, int]


def load_assignment(
    cluster_name: str,
    port: Port,
    endpoints: Iterable[Endpoint],
    subset_labels: Mapping[str, str] | None = None,
) -> ClusterLoadAssignment:
    """The endpoints that have all of ``subset_labels``, by locality; none is an assignment without endpoints.

    A locality weighs what its endpoints weigh together. An address and port given twice counts once, with
    the smaller weight. A healthy endpoint has no health status: Envoy takes that for healthy unless its own
    checks say otherwise.
    """
    rows = _rows(port, endpoints, subset_labels)
    total = sum(row[3] for row in rows)
    if total > MAX_WEIGHT:
        rows = [(*row[:3], max(1, row[3] * (MAX_WEIGHT // 2) // total), row[4]) for row in rows]
    assignment = ClusterLoadAssignment(cluster_name=cluster_name)
    for locality, members in groupby(rows, key=_locality):
        group = assignment.endpoints.add()
        if locality:
            _set_locality(group.locality, locality)
        weight = 0
        add = group.lb_endpoints.add
        for _, address, number, load, health in members:
            weight += load
            item = add()
            item.load_balancing_weight.value = load
            if health:
                item.health_status = health
            set_address(item.endpoint.address, address, number)
        group.load_balancing_weight.value = weight
    return assignment


def selected(endpoint: Endpoint, labels: Mapping[str, str] | None) -> bool:
    """True if the endpoint has all of ``labels``."""
    return not labels or labels.items() <= endpoint.labels.items()


def set_address(target: Any, address: str, port: int) -> None:
    """Fills an ``envoy.config.core.v3.Address``: a socket, or a pipe for ``unix:///path``."""
    if address.startswith(UNIX_SCHEME):
        target.pipe.path = address[len(UNIX_SCHEME) :]
        return
    socket = target.socket_address
    socket.address = address
    socket.port_value = port


def _rows(port: Port, endpoints: Iterable[Endpoint], labels: Mapping[str, str] | None) -> list[_Row]:
    """What each selected endpoint puts on the wire, in an order that depends on that alone."""
    rows = sorted(
        (item.locality, item.address, item.port_for(port), item.weight or 1, _HEALTH[item.health])
        for item in endpoints
        if selected(item, labels)
    )
    if len({row[1:3] for row in rows}) == len(rows):
        return rows
    return list({row[1:3]: row for row in reversed(rows)}.values())[::-1]


def _locality(row: _Row) -> str:
    return row[0]


def _set_locality(target: Any, locality: str) -> None:
    region, _, rest = locality.partition("/")
    zone, _, sub_zone = rest.partition("/")
    target.region = region
    if zone:
        target.zone = zone
    if sub_zone:
        target.sub_zone = sub_zone
