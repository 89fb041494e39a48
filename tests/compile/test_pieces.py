"""Assignments of very many endpoints, which are made in pieces."""

from dataclasses import replace

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compile.worlds import Sandbox, proxy, service
from xdsd.compile.dividing import SIZE, count_of, divided
from xdsd.compile.endpoints import load_assignment, takes_mutual_tls
from xdsd.compile.layers.assignments import piece
from xdsd.compile.locality import NOWHERE, Nearness, Place, Tiers
from xdsd.compile.pieces import pieces_of, put_together
from xdsd.model.catalog import Endpoint, Health, Port, Protocol
from xdsd.snapshot import ENDPOINT

PORT = Port(80, "http", Protocol.HTTP, 8080)
NAME = "outbound|9080||a.default.svc.cluster.local"
MUTUAL = {"security.istio.io/tlsMode": "istio"}

ENDPOINTS = st.lists(
    st.builds(
        Endpoint,
        address=st.integers(1, 40).map("10.0.0.{}".format),
        ports=st.sampled_from([{}, {"http": 9000}, {"http": 0}]),
        labels=st.sampled_from([{}, {"version": "v1"}, MUTUAL]),
        locality=st.sampled_from(["", "eu/a", "eu/b", "us/a/1"]),
        weight=st.sampled_from([0, 1, 7]),
        health=st.sampled_from(list(Health)),
    ),
    max_size=40,
)
NEARNESS = st.sampled_from(
    [
        None,
        Nearness(tiers=Tiers.LOCALITY),
        Nearness(shares=(("eu/*", (("eu/a", 30), ("us/*", 70))),)),
    ]
)
PLACES = st.sampled_from([NOWHERE, Place("eu/a"), Place("us/a/1")])


def in_order(message: ClusterLoadAssignment) -> ClusterLoadAssignment:
    for group in message.endpoints:
        found = sorted(group.lb_endpoints, key=lambda each: each.SerializeToString(deterministic=True))
        del group.lb_endpoints[:]
        group.lb_endpoints.extend(found)
    return message


@settings(max_examples=200, deadline=None)
@given(
    ENDPOINTS,
    st.sampled_from([{}, {"version": "v1"}]),
    NEARNESS,
    PLACES,
    st.sampled_from([1, 2, 4]),
    st.sampled_from([0, 99]),
)
def test_pieces_make_what_is_made_in_one_go(
    endpoints: list[Endpoint],
    labels: dict[str, str],
    nearness: Nearness | None,
    place: Place,
    count: int,
    check: int,
) -> None:
    """But for the order of endpoints of one locality; and that depends on the endpoints alone."""

    def made(found: list[Endpoint]) -> bytes | None:
        pieces = [
            each
            for some in divided(found, count)
            for each in pieces_of(PORT, some, labels, nearness, place, check, takes_mutual_tls)
        ]
        return put_together("c", pieces, nearness, place)

    body = made(endpoints)
    assert body is not None
    whole = load_assignment("c", PORT, endpoints, labels, nearness, place, check)
    assert in_order(ClusterLoadAssignment.FromString(body)) == in_order(whole)
    assert made(endpoints[::-1]) == body


def test_more_weight_than_envoy_holds_is_made_in_one_go() -> None:
    """Then each endpoint gets its share of all, which only the whole can tell."""
    heavy = [Endpoint(f"10.0.0.{number}", weight=3_000_000_000) for number in (1, 2)]
    pieces = [
        each
        for some in divided(heavy, 2)
        for each in pieces_of(PORT, some, {}, None, NOWHERE, 0, takes_mutual_tls)
    ]
    assert put_together("c", pieces, None, NOWHERE) is None


@pytest.mark.parametrize(
    ("endpoints", "pieces"), [(0, 0), (999, 0), (1000, 2), (3999, 4), (4000, 8), (50_000, 64)]
)
def test_how_many_pieces_there_are_changes_seldom(endpoints: int, pieces: int) -> None:
    """By doubling, and none has more than about a thousand endpoints."""
    assert count_of(endpoints) == pieces


def many(count: int) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(
            f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            locality=f"eu/{number % 3}",
            labels=MUTUAL,
        )
        for number in range(count)
    )


def test_one_of_very_many_endpoints_concerns_one_piece() -> None:
    """The others are not made again, nor is anything where nothing differs; and each piece is made in a step of its own."""
    made = Sandbox()
    endpoints = many(5 * SIZE)
    made.put_service(service("a"), *endpoints)
    node = made.attach(proxy("10.9.0.1"))
    made.settle()
    assert sum(len(group.lb_endpoints) for group in made.message(node, ENDPOINT, NAME).endpoints) == 5 * SIZE
    graph = made.compiler.graph
    ahead = [cell for cell in graph._queries.values() if cell.compute is piece]
    assert len(ahead) == 8
    assert all(cell.watched for cell in ahead)
    before = [cell.value for cell in ahead]
    made.put_service(service("a"), replace(endpoints[0], health=Health.UNHEALTHY), *endpoints[1:])
    made.settle()
    assert sum(one is not cell.value for one, cell in zip(before, ahead, strict=True)) == 1
    made.put_service(service("a"), *endpoints[: SIZE // 2])
    made.settle()
    assert not any(cell.compute is piece for cell in graph._queries.values())
    assert sum(len(group.lb_endpoints) for group in made.message(node, ENDPOINT, NAME).endpoints) == SIZE // 2
