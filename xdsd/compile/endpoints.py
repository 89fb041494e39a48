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

    A locality weighs what its endpoints weigh together. An address and port given twice counts once, the
    first in order of locality and weight. What Envoy assumes anyway is left out: the weight 1, and healthy.
    """
    assignment = ClusterLoadAssignment(cluster_name=cluster_name)
    for locality, members in groupby(_rows(port, endpoints, subset_labels), key=_locality):
        group = assignment.endpoints.add()
        if locality:
            _set_locality(group.locality, locality)
        add = group.lb_endpoints.add
        total = 0
        for _, address, number, weight, health in members:
            item = add()
            total += weight
            if weight != 1:
                item.load_balancing_weight.value = weight
            if health:
                item.health_status = health
            if address.startswith(UNIX_SCHEME):
                set_address(item.endpoint.address, address, number)
            else:
                socket = item.endpoint.address.socket_address
                socket.address = address
                socket.port_value = number
        group.load_balancing_weight.value = total
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
    name, target = port.name, port.target
    rows = sorted(
        (item.locality, item.address, item.ports.get(name, target), item.weight or 1, _HEALTH[item.health])
        for item in endpoints
        if not labels or selected(item, labels)
    )
    if len({row[1:3] for row in rows}) != len(rows):
        first: dict[tuple[str, int], _Row] = {}
        for row in rows:
            first.setdefault(row[1:3], row)
        rows = list(first.values())
    total = sum(row[3] for row in rows)
    return rows if total <= MAX_WEIGHT else [_scaled(row, total) for row in rows]


def _scaled(row: _Row, total: int) -> _Row:
    """The row with its share of the largest sum that Envoy can hold, leaving room for what is rounded up."""
    locality, address, number, weight, health = row
    return locality, address, number, max(1, weight * (MAX_WEIGHT // 2) // total), health


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
