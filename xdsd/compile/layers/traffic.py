"""Where traffic for a service would go now from some place, as a proxy there would be told."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from envoy.config.core.v3.health_check_pb2 import HealthStatus

from xdsd.compile.endpoints import load_assignment
from xdsd.compile.graph import Graph
from xdsd.compile.layers.defaults import cluster_nearness
from xdsd.compile.locality import Place
from xdsd.compile.resolve import rules_for
from xdsd.compile.shares import Row, shares
from xdsd.compile.world import read_endpoints, read_service
from xdsd.model.catalog import BEHIND, ServiceKey

NEVER = -1
_WELL = HealthStatus.Value("UNKNOWN")


class Way(NamedTuple):
    """Endpoints of a locality: here, where ``behind`` is empty, else gateways of a peer.

    ``healthy`` of ``total`` are well by what platforms say; ``weight`` is what those weigh, a gateway as much as what is
    behind it. With the ``priority`` ``NEVER`` they get nothing whatever happens. ``percent`` is their share now.
    """

    behind: str
    locality: str
    healthy: int
    total: int
    weight: int
    priority: int
    percent: float


def traffic(graph: Graph, key: ServiceKey, namespace: str, locality: str) -> tuple[Way, ...]:
    """The ways to a service's first port, the preferred first, for clients of a namespace that are at a locality and have a
    certificate.
    """
    service = read_service(graph, key)
    if service is None or not service.ports:
        return ()
    port, rules = service.ports[0], graph.ask(rules_for, namespace, (), key)
    nearness = cluster_nearness(graph, rules, port.number, "", key)
    endpoints = read_endpoints(graph, key)
    message = load_assignment("", port, endpoints, {}, nearness, Place(locality, mutual=True))
    behind = {(each.address, each.port_for(port)): each.labels.get(BEHIND, "") for each in endpoints}
    found: dict[tuple[int, str, str], list[tuple[Row, float]]] = {}
    listed = list(_rows(message, by_locality=nearness is not None and bool(nearness.shares)))
    percents = shares([row for _, row in listed])
    for (at, row), percent in zip(listed, percents, strict=True):
        found.setdefault((row.priority, behind.get(at, ""), row.locality), []).append((row, percent))
    ways = [_way(where, rows) for where, rows in sorted(found.items())]
    told = {(way.behind, way.locality) for way in ways}
    left = {(each.labels.get(BEHIND, ""), each.locality) for each in endpoints} - told
    return (*ways, *(Way(mesh, place, 0, 0, 0, NEVER, 0.0) for mesh, place in sorted(left)))


def _rows(message: Any, *, by_locality: bool) -> Iterator[tuple[tuple[str, int], Row]]:
    """The endpoints of an assignment (a generated message), with their addresses."""
    for group in message.endpoints:
        parts = (group.locality.region, group.locality.zone, group.locality.sub_zone)
        place = "/".join(each for each in parts if each)
        weight = group.load_balancing_weight.value if by_locality else 0
        for item in group.lb_endpoints:
            socket = item.endpoint.address.socket_address
            well = item.health_status == _WELL
            row = Row(group.priority, place, item.load_balancing_weight.value or 1, well, weight)
            yield (socket.address, socket.port_value), row


def _way(where: tuple[int, str, str], rows: list[tuple[Row, float]]) -> Way:
    priority, behind, locality = where
    well = [row for row, _ in rows if row.is_well]
    percent = sum(each for _, each in rows)
    return Way(behind, locality, len(well), len(rows), sum(row.weight for row in well), priority, percent)
