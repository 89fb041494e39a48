"""The endpoints behind one cluster, as a ClusterLoadAssignment.

This is what one flipped endpoint costs the daemon, so nothing here is done twice: one pass filters, one sort
makes the bytes independent of the order of the input (their hash is the version), one pass builds.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import groupby
from typing import Any

from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.core.v3.health_check_pb2 import HealthStatus
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from xdsd.compile.locality import NOWHERE, Nearness, Place, ranking, shares_from, split, weights
from xdsd.compile.upstream_tls import MUTUAL_MODE, TLS_MODE
from xdsd.model.catalog import NOT_SERVED, Endpoint, Health, Port

UNIX_SCHEME = "unix://"
MAX_WEIGHT = 0xFFFFFFFF

_HEALTH = {
    Health.HEALTHY: HealthStatus.Value("UNKNOWN"),
    Health.UNHEALTHY: HealthStatus.Value("UNHEALTHY"),
    Health.DRAINING: HealthStatus.Value("DRAINING"),
    Health.AWAY: HealthStatus.Value("DEGRADED"),
}

MAX_PRIORITY = 128

TLS_MODE_LABEL = "security.istio.io/tlsMode"

Takes = Callable[[Endpoint], bool]
"""Whether an endpoint takes mutual TLS of the mesh."""

Row = tuple[int, str, str, int, int, int, bool]
"""Preference, locality, address, port, weight, health and whether by mutual TLS."""


def load_assignment(
    cluster_name: str,
    port: Port,
    endpoints: Iterable[Endpoint],
    subset_labels: Mapping[str, str] | None = None,
    nearness: Nearness | None = None,
    place: Place = NOWHERE,
    check_port: int = 0,
    mutual: Takes | None = None,
    through: Collection[str] = (),
) -> ClusterLoadAssignment:
    """The endpoints that have all of ``subset_labels``, by locality; none is an assignment without endpoints.

    ``nearness`` orders them as a proxy at ``place`` prefers them. A locality weighs what its endpoints weigh
    together, unless ``nearness`` gives it a share. An address and port given twice counts once, the first in
    order of preference, locality and weight. ``check_port`` is where endpoints are asked whether they are well, 0 if
    where they serve; those on Unix sockets have no other, nor have gateways, whose addresses are in ``through``.
    ``mutual`` says which take mutual TLS of the mesh; without it those do whose labels say so. What Envoy assumes anyway
    is left out: the weight 1, and healthy.
    """
    assignment = ClusterLoadAssignment(cluster_name=cluster_name)
    rank = ranking(nearness, place) if nearness else None
    rows = _within(rows_of(port, endpoints, subset_labels, rank, mutual or takes_mutual_tls))
    shared = shared_weights(((row[1], row[4]) for row in rows), nearness, place)
    mesh = mesh_metadata() if any(row[6] for row in rows) else None
    priorities = Priorities()
    for (preference, locality), members in groupby(rows, key=by_place):
        if shared is not None and locality not in shared:
            continue
        group = assignment.endpoints.add()
        set_place(group, priorities.of(preference), locality)
        total = add_endpoints(group, members, mesh, check_port, through)
        group.load_balancing_weight.value = total if shared is None else shared[locality]
    return assignment


class Priorities:
    """Envoy's priorities of preferences, asked for in their order: without gaps, and no more than it takes."""

    def __init__(self) -> None:
        self._priority = self._last = -1

    def of(self, preference: int) -> int:
        if preference != self._last:
            self._priority, self._last = min(self._priority + 1, MAX_PRIORITY), preference
        return self._priority


def add_endpoints(
    group: Any, members: Iterable[Row], mesh: Any, check_port: int, through: Collection[str]
) -> int:
    """Adds endpoints to a ``LocalityLbEndpoints``; returns what they weigh together."""
    add = group.lb_endpoints.add
    total = 0
    for _, _, address, number, weight, health, is_mutual in members:
        item = add()
        if is_mutual:
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
            if check_port and address not in through:
                item.endpoint.health_check_config.port_value = check_port
    return total


def mesh_metadata() -> Any:
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


def rows_of(
    port: Port,
    endpoints: Iterable[Endpoint],
    labels: Mapping[str, str] | None,
    rank: Callable[[Endpoint], int] | None,
    mutual: Takes,
) -> list[Row]:
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
            mutual(item),
        )
        for item in endpoints
        if item.ports.get(name, target) != NOT_SERVED and (not labels or selected(item, labels))
    )
    if len({row[2:4] for row in rows}) != len(rows):
        first: dict[tuple[str, int], Row] = {}
        for row in rows:
            first.setdefault(row[2:4], row)
        rows = list(first.values())
    return rows


def _within(rows: list[Row]) -> list[Row]:
    """The rows with weights whose sum Envoy can hold."""
    total = sum(row[4] for row in rows)
    return rows if total <= MAX_WEIGHT else [_scaled(row, total) for row in rows]


def _scaled(row: Row, total: int) -> Row:
    """The row with its share of the largest sum that Envoy can hold, leaving room for what is rounded up."""
    rank, locality, address, number, weight, health, mutual = row
    return rank, locality, address, number, max(1, weight * (MAX_WEIGHT // 2) // total), health, mutual


def shared_weights(
    weighed: Iterable[tuple[str, int]], nearness: Nearness | None, place: Place
) -> Mapping[str, int] | None:
    """What localities weigh for a proxy at a place; None if nothing is said of its locality. ``weighed`` are localities with
    what endpoints there weigh.
    """
    shares = shares_from(nearness, place.locality) if nearness and nearness.shares else None
    if shares is None:
        return None
    totals: dict[str, int] = {}
    for locality, weight in weighed:
        totals[locality] = totals.get(locality, 0) + weight
    return weights(shares, totals)


def by_place(row: Row) -> tuple[int, str]:
    """What rows are grouped by."""
    return row[:2]


def set_place(group: Any, priority: int, locality: str) -> None:
    """Says of a ``LocalityLbEndpoints`` where it is."""
    if priority:
        group.priority = priority
    if not locality:
        return
    region, zone, sub_zone = split(locality)
    group.locality.region = region
    if zone:
        group.locality.zone = zone
    if sub_zone:
        group.locality.sub_zone = sub_zone
