"""Which patches a proxy gets, in which order."""

from typing import Any

import pytest

from tests.compile.envoy_filters.patching import envoy_filter
from tests.compile.worlds import proxy, router
from xdsd.compile.envoy_filters.choosing import GATEWAY_NAME, chosen_patches, outline_of
from xdsd.compile.envoy_filters.matching import proxy_matches
from xdsd.model.intent import EnvoyFilter, Object, ProxyMatch
from xdsd.model.mesh import Proxy

ROOT = "istio-system"


def to(context: str = "ANY", **more: Any) -> dict[str, Any]:
    """A patch for a context."""
    change = {"operation": "MERGE", "value": {"connect_timeout": "1s"}}
    return {"applyTo": "CLUSTER", "match": {"context": context, **more}, "patch": change}


def chosen(proxy: Proxy, *objects: Object[EnvoyFilter]) -> list[tuple[str, int]]:
    """Names of objects and places of patches, in order."""
    found = chosen_patches(map(outline_of, objects), proxy, ROOT)
    return [(ref.filter.name, ref.place) for ref in found]


def test_the_order() -> None:
    """The root namespace first, in each the lowest priority, then the oldest, then by name; patches as they stand."""
    objects = [
        envoy_filter(to(), name="young", created="2026-02-01"),
        envoy_filter(to(), to(), name="old", created="2026-01-01"),
        envoy_filter(to(), name="b", created="2026-03-01"),
        envoy_filter(to(), name="a", created="2026-03-01"),
        envoy_filter(to(), name="first", created="2026-09-01", priority=-10),
        envoy_filter(to(), name="last", priority=10),
        envoy_filter(to(), name="root-late", namespace=ROOT, priority=20),
        envoy_filter(to(), name="root", namespace=ROOT, created="2026-09-01"),
    ]
    assert chosen(proxy(), *objects) == [
        ("root", 0),
        ("root-late", 0),
        ("first", 0),
        ("old", 0),
        ("old", 1),
        ("young", 0),
        ("a", 0),
        ("b", 0),
        ("last", 0),
    ]


def test_selectors() -> None:
    """Without a selector an object is for all proxies, with one for those that carry its labels."""
    everyone = envoy_filter(to(), name="everyone")
    edge = envoy_filter(to(), name="edge", workloadSelector={"labels": {"istio": "ingressgateway"}})
    other = envoy_filter(to(), name="other", workloadSelector={"labels": {"istio": "egressgateway"}})
    assert chosen(router(), everyone, edge, other) == [("edge", 0), ("everyone", 0)]
    assert chosen(proxy(), everyone, edge, other) == [("everyone", 0)]


def test_contexts() -> None:
    """A sidecar gets patches of both of its sides, a gateway its own, and BOOTSTRAP is for neither."""
    contexts = ("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY")
    boot = {"applyTo": "BOOTSTRAP", "patch": {"operation": "MERGE", "value": {}}}
    obj = envoy_filter(*map(to, contexts), boot)
    assert [place for _, place in chosen(proxy(), obj)] == [0, 1, 2]
    assert [place for _, place in chosen(router(), obj)] == [0, 3]


def test_gateways_of_the_gateway_api() -> None:
    """Who refers to one is for its proxies alone, and only in its own namespace."""
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
    obj = envoy_filter(to(), targetRefs=[target])
    elsewhere = envoy_filter(to(), name="elsewhere", namespace=ROOT, targetRefs=[target])
    named = Proxy(**{**_fields(router()), "labels": {GATEWAY_NAME: "edge"}})
    assert chosen(named, obj, elsewhere) == [("f", 0)]
    assert chosen(router(), obj) == []
    service = envoy_filter(to(), targetRefs=[{"group": "", "kind": "Service", "name": "edge"}])
    assert chosen(named, service) == []


def _fields(of: Proxy) -> dict[str, Any]:
    return {name: getattr(of, name) for name in Proxy.__dataclass_fields__}


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"proxyVersion": "^1\\.2.*"}, True),
        ({"proxyVersion": "23"}, True),
        ({"proxyVersion": "^1\\.3.*"}, False),
        ({"metadata": {"CLUSTER_ID": "east"}}, True),
        ({"metadata": {"CLUSTER_ID": "east", "NETWORK": "n"}}, False),
        ({"metadata": {"CLUSTER_ID": "west"}}, False),
        ({"proxyVersion": "^1", "metadata": {"CLUSTER_ID": "east"}}, True),
    ],
)
def test_proxies_are_told_by_what_their_bootstraps_say(match: dict[str, Any], *, fits: bool) -> None:
    """By an expression that is found in the version, and by text that is equal; what is not said matches nothing."""
    metadata = {"ISTIO_VERSION": "1.23.4", "CLUSTER_ID": "east"}
    assert proxy_matches(ProxyMatch.model_validate(match), metadata) is fits
    if "proxyVersion" in match:
        assert not proxy_matches(ProxyMatch.model_validate(match), {"CLUSTER_ID": "east"})
