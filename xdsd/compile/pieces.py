"""A ClusterLoadAssignment of very many endpoints, made in pieces.

Endpoints are divided by their addresses, so that one that changes concerns one piece; each piece is encoded by itself, and
what is encoded is only put together. The endpoints of a locality stand in the order of pieces, and within one as elsewhere:
an order that depends on the endpoints alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from envoy.config.endpoint.v3.endpoint_components_pb2 import LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from xdsd.compile.endpoints import (
    MAX_WEIGHT,
    Priorities,
    Takes,
    add_endpoints,
    by_place,
    mesh_metadata,
    rows_of,
    set_place,
    shared_weights,
)
from xdsd.compile.locality import Nearness, Place, ranking
from xdsd.model.catalog import Endpoint, Port
from xdsd.snapshot import field_bytes

_ENDPOINTS = 2
"""The number of the field ``endpoints``."""


class Piece(NamedTuple):
    """Endpoints of one preference and locality: what they weigh together, and how they are encoded."""

    preference: int
    locality: str
    weight: int
    body: bytes


def pieces_of(
    port: Port,
    endpoints: Iterable[Endpoint],
    labels: Mapping[str, str],
    nearness: Nearness | None,
    place: Place,
    check_port: int,
    mutual: Takes,
) -> tuple[Piece, ...]:
    """One of the parts, as ``xdsd.compile.endpoints.load_assignment`` takes the whole."""
    rank = ranking(nearness, place) if nearness else None
    rows = rows_of(port, endpoints, labels, rank, mutual)
    mesh = mesh_metadata() if any(row[6] for row in rows) else None
    found = []
    for (preference, locality), members in groupby(rows, key=by_place):
        group = LocalityLbEndpoints()
        weight = add_endpoints(group, members, mesh, check_port, ())
        found.append(Piece(preference, locality, weight, group.SerializeToString(deterministic=True)))
    return tuple(found)


def put_together(
    cluster_name: str, pieces: Sequence[Piece], nearness: Nearness | None, place: Place
) -> bytes | None:
    """The encoded message; None where endpoints weigh more together than Envoy can hold."""
    if sum(piece.weight for piece in pieces) > MAX_WEIGHT:
        return None
    shared = shared_weights(((each.locality, each.weight) for each in pieces), nearness, place)
    body = [ClusterLoadAssignment(cluster_name=cluster_name).SerializeToString()]
    priorities = Priorities()
    ordered = sorted(pieces, key=lambda piece: piece[:2])
    for (preference, locality), members in groupby(ordered, key=lambda piece: piece[:2]):
        if shared is not None and locality not in shared:
            continue
        here = list(members)
        head, tail = LocalityLbEndpoints(), LocalityLbEndpoints()
        set_place(head, 0, locality)
        set_place(tail, priorities.of(preference), "")
        weight = sum(each.weight for each in here) if shared is None else shared[locality]
        tail.load_balancing_weight.value = weight
        parts = (head.SerializeToString(), *(each.body for each in here), tail.SerializeToString())
        body.append(field_bytes(_ENDPOINTS, b"".join(parts)))
    return b"".join(body)
