"""What a proxy claims beside what its stream proved."""

from typing import Any

import pytest

from xdsd.compile.proxies import proxy_of
from xdsd.model.identity import SpiffeID
from xdsd.model.node import ClaimRefused, Node

REVIEWS = SpiffeID("cluster.local", "shop", "reviews")
ID = "sidecar~10.0.0.1~reviews-v1.shop~shop.svc.cluster.local"


def test_a_proxy_is_who_it_proved_to_be() -> None:
    """A proxy has the identity of its stream, whether or not its node says the same."""
    for metadata in ({}, {"NAMESPACE": "shop", "SERVICE_ACCOUNT": "reviews"}):
        assert proxy_of(Node(ID, metadata=metadata, identity=REVIEWS)).identity == REVIEWS
    assert proxy_of(Node(ID)).identity is None


@pytest.mark.parametrize(
    ("node_id", "metadata", "claimed"),
    [
        (ID, {"SERVICE_ACCOUNT": "ratings"}, "service account 'ratings'"),
        (ID, {"NAMESPACE": "bank"}, "namespace 'bank'"),
        (ID.replace(".shop~", ".bank~"), {}, "namespace 'bank'"),
        (ID.replace(".shop~", ".bank~"), {"NAMESPACE": "shop"}, "namespace 'bank'"),
        (ID.replace("sidecar", "router").replace(".shop~", ".bank~"), {}, "namespace 'bank'"),
    ],
)
def test_who_claims_to_be_another_is_refused(node_id: str, metadata: dict[str, Any], claimed: str) -> None:
    """A namespace or service account other than the proven one is refused, in the id or the metadata, by name."""
    with pytest.raises(ClaimRefused, match=claimed) as refused:
        proxy_of(Node(node_id, metadata=metadata, identity=REVIEWS))
    assert str(REVIEWS) in str(refused.value)


def test_another_identity_is_another_proxy() -> None:
    """Whoever proves another identity, or none, is not taken for a proxy whose node id it claims."""
    ratings = SpiffeID("cluster.local", "shop", "ratings")
    keys = {Node(ID, identity=identity).key for identity in (REVIEWS, ratings, None)}
    assert len(keys) == 3
    assert proxy_of(Node(ID, identity=REVIEWS)).node_id in keys
