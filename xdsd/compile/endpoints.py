"""The endpoints behind one cluster, as a ClusterLoadAssignment.

This is what one flipped endpoint costs the daemon, so nothing here is done twice: one pass filters, one sort
makes the bytes independent of the order of the input (their hash is the version), one pass builds.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.core.v3.health_check_pb2 import HealthStatus
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from xdsd.compile.locality import NOWHERE, Nearness, Place, ranking, shares_from, split, weights
from xdsd.compile.upstream_tls import MUTUAL_MODE, TLS_MODE
from xdsd.model.catalog import Endpoint, Health, Port

UNIX_SCHEME = "unix://"
MAX_WEIGHT = 0xFFFFFFFF

_HEALTH = {
    Health.HEALTHY: HealthStatus.Value("UNKNOWN"),
    Health.UNHEALTHY: HealthStatus.Value("UNHEALTHY"),
    Health.DRAINING: HealthStatus.Value("DRAINING"),
}

MAX_PRIORITY = 128

TLS_MODE_LABEL = "security.istio.io/tlsMode"

_Row = tuple[int, str, str, int, int, int, bool]


def load_assignment(
    cluster_name: str,
    port: Port,
    endpoints: Iterable[Endpoint],
    subset_labels: Mapping[str, str] | None = None,
    nearness: Nearness | None = None,
    place: Place = NOWHERE,
    check_port: int = 0,
) -> ClusterLoadAssignment:
    """The endpoints that have all of ``subset_labels``, by locality; none is an assignment without endpoints.

    ``nearness`` orders them as a proxy at ``place`` prefers them. A locality weighs what its endpoints weigh
    together, unless ``nearness`` gives it a share. An address and port given twice counts once, the first in
    order of preference, locality and weight. ``check_port`` is where endpoints are asked whether they are well, 0 if
    where they serve; those on Unix sockets have no other. What Envoy assumes anyway is left out: the weight 1, and healthy.
    """
    assignment = ClusterLoadAssignment(cluster_name=cluster_name)
    rows = _rows(port, endpoints, subset_labels, ranking(nearness, place) if nearness else None)
    shared = _shared(rows, nearness, place) if nearness and nearness.shares else None
    mesh = _mesh_metadata() if any(row[6] for row in rows) else None
    priority, last = -1, -1
    for (rank, locality), members in groupby(rows, key=_group):
        if shared is not None and locality not in shared:
            continue
        group = assignment.endpoints.add()
        if rank != last:
            priority, last = min(priority + 1, MAX_PRIORITY), rank
        if priority:
            group.priority = priority
        if locality:
            _set_locality(group.locality, locality)
        add = group.lb_endpoints.add
        total = 0
        for _, _, address, number, weight, health, mutual in members:
            item = add()
            if mutual:
                item.metadata.CopyFrom(mesh)
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
                if check_port:
                    item.endpoint.health_check_config.port_value = check_port
        group.load_balancing_weight.value = total if shared is None else shared[locality]
    return assignment


def _mesh_metadata() -> Any:
    """By this a cluster knows endpoints that take mutual TLS of the mesh."""
    metadata: Any = Metadata()
    metadata.filter_metadata["envoy.transport_socket_match"].update({TLS_MODE: MUTUAL_MODE})
    return metadata


def takes_mutual_tls(endpoint: Endpoint) -> bool:
    """True if a proxy is known to stand before the endpoint that takes mutual TLS of the mesh.

    That is declared, and not guessed from who is connected: while a control stream is away nothing else may change.
    """
    return endpoint.labels.get(TLS_MODE_LABEL) == MUTUAL_MODE


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


def _rows(
    port: Port,
    endpoints: Iterable[Endpoint],
    labels: Mapping[str, str] | None,
    rank: Callable[[Endpoint], int] | None,
) -> list[_Row]:
    """What each selected endpoint puts on the wire, in an order that depends on that alone."""
    name, target = port.name, port.target
    rows = sorted(
        (
            rank(item) if rank else 0,
            item.locality,
            item.address,
            item.ports.get(name, target),
            item.weight or 1,
            _HEALTH[item.health],
            takes_mutual_tls(item),
        )
        for item in endpoints
        if not labels or selected(item, labels)
    )
    if len({row[2:4] for row in rows}) != len(rows):
        first: dict[tuple[str, int], _Row] = {}
        for row in rows:
            first.setdefault(row[2:4], row)
        rows = list(first.values())
    total = sum(row[4] for row in rows)
    return rows if total <= MAX_WEIGHT else [_scaled(row, total) for row in rows]


def _scaled(row: _Row, total: int) -> _Row:
    """The row with its share of the largest sum that Envoy can hold, leaving room for what is rounded up."""
    rank, locality, address, number, weight, health, mutual = row
    return rank, locality, address, number, max(1, weight * (MAX_WEIGHT // 2) // total), health, mutual


def _shared(rows: Iterable[_Row], nearness: Nearness, place: Place) -> Mapping[str, int] | None:
    """What localities weigh for a proxy at a place; None if nothing is said of its locality."""
    shares = shares_from(nearness, place.locality)
    if shares is None:
        return None
    totals: dict[str, int] = {}
    for row in rows:
        totals[row[1]] = totals.get(row[1], 0) + row[4]
    return weights(shares, totals)


def _group(row: _Row) -> tuple[int, str]:
    return row[:2]


def _set_locality(target: Any, locality: str) -> None:
    region, zone, sub_zone = split(locality)
    target.region = region
    if zone:
        target.zone = zone
    if sub_zone:
        target.sub_zone = sub_zone
