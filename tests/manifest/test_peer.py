"""Peers and Residencies as they are written."""

from datetime import timedelta
from typing import Any

import pytest

from xdsd.manifest import parse_object
from xdsd.model.intent import Peer, Residency


def written(kind: str, spec: dict[str, Any]) -> Any:
    """The object, or its problems as text."""
    return parse_object(
        {
            "apiVersion": "mesh.xdsd.io/v1",
            "kind": kind,
            "metadata": {"name": "east", "namespace": "istio-system"},
            "spec": spec,
        }
    )


@pytest.mark.parametrize(
    ("kind", "spec", "told"),
    [
        ("Peer", {}, "trustDomain"),
        ("Peer", {"trustDomain": "East"}, "is no name of a trust domain"),
        ("Peer", {"trustDomain": "e", "addresses": ["192.0.2.1"]}, "write HOST:PORT"),
        ("Peer", {"trustDomain": "e", "addresses": ["192.0.2.1:0"]}, "write HOST:PORT"),
        ("Peer", {"trustDomain": "e", "addresses": ["a_b:15016"]}, "write HOST:PORT"),
        ("Peer", {"trustDomain": "e", "caCertificates": "x"}, "holds no certificates in PEM"),
        ("Peer", {"trustDomain": "e", "exports": [{"names": ["a.b"]}]}, "is no name"),
        ("Peer", {"trustDomain": "e", "keepFor": "-1s"}, "is below 0s"),
        (
            "Peer",
            {"trustDomain": "e", "gateways": [{"address": "east.example", "port": 1}]},
            "is no IP address",
        ),
        (
            "Peer",
            {"trustDomain": "e", "gateways": [{"address": "192.0.2.1", "port": 1}] * 2},
            "is listed twice",
        ),
        ("Residency", {"regions": []}, "give at least one region"),
        ("Residency", {"regions": ["eu/a"]}, "is no region"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(kind: str, spec: dict[str, Any], told: str) -> None:
    """No such object is taken."""
    assert told in str(written(kind, spec))


def test_what_is_left_out_shares_nothing() -> None:
    """Neither is anything offered nor taken; what was heard is kept for a day."""
    peer = Peer.model_validate({"trustDomain": "east.example"})
    assert not peer.offers("shop", "cart")
    assert not peer.takes("shop", "cart")
    assert peer.kept_for == timedelta(hours=24)
    assert Peer.model_validate({"trustDomain": "e", "keepFor": "0s"}).kept_for == timedelta()


def test_services_are_named_by_namespace_and_name() -> None:
    """An asterisk, or nothing, is all; several entries are joined."""
    exports = [{"namespaces": ["shop"], "names": ["cart"]}, {"namespaces": ["open"]}, {"names": ["status"]}]
    peer = Peer.model_validate({"trustDomain": "e", "exports": exports})
    assert peer.offers("shop", "cart")
    assert not peer.offers("shop", "till")
    assert peer.offers("open", "anything")
    assert peer.offers("bank", "status")
    assert Residency.model_validate({"regions": ["eu"], "names": ["cart"]}).covers("cart")
    assert not Residency.model_validate({"regions": ["eu"], "names": ["cart"]}).covers("till")
