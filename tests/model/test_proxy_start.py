"""Whose word counts of what a proxy is started with."""

from datetime import timedelta
from typing import Any

from xdsd.model.intent import MeshProxyConfig, Metadata, Object, ProxyConfig
from xdsd.model.proxy_start import applying, idle, overruled, proxy_start
from xdsd.model.started import ProxyStart

ROOT = "root"


def config(
    name: str, namespace: str = "shop", *, day: int = 1, labels: dict[str, str] | None = None, **spec: Any
) -> Object[ProxyConfig]:
    selector = {"selector": {"matchLabels": labels}} if labels is not None else {}
    made = ProxyConfig.model_validate({"concurrency": 1, **selector, **spec})
    metadata = Metadata(namespace, name, creation_timestamp=f"2026-01-0{day}T00:00:00Z")
    return Object("networking.istio.io/v1beta1", "ProxyConfig", metadata, made)


def names(configs: list[Object[ProxyConfig]], labels: dict[str, str] | None = None) -> list[str]:
    return [obj.metadata.name for obj in applying(configs, "shop", labels or {}, ROOT)]


def test_the_closest_comes_last() -> None:
    """Root namespace, namespace, selector; other namespaces and other workloads count for nobody."""
    configs = [
        config("selecting", labels={"app": "a"}),
        config("mesh", ROOT),
        config("namespace"),
        config("other", "elsewhere"),
        config("selecting-in-root", ROOT, labels={"app": "a"}),
    ]
    assert names(configs, {"app": "a", "version": "v1"}) == ["mesh", "namespace", "selecting"]
    assert names(configs, {"app": "b"}) == ["mesh", "namespace"]
    assert [obj.metadata.name for obj in applying(configs, ROOT, {"app": "a"}, ROOT)] == [
        "mesh",
        "selecting-in-root",
    ]


def test_of_equals_the_oldest_counts() -> None:
    """However they are named; an empty selector is none."""
    assert names([config("a", day=2), config("b", day=1)]) == ["b"]
    assert names([config("a", day=2, labels={}), config("b", day=1)]) == ["b"]
    both = [config("a", day=2, labels={"app": "a"}), config("b", day=1, labels={"tier": "front"})]
    assert names(both, {"app": "a", "tier": "front"}) == ["b"]


def test_each_value_is_decided_for_itself() -> None:
    """A closer object replaces what it says and leaves the rest, variable by variable."""
    defaults = MeshProxyConfig.model_validate(
        {
            "concurrency": 4,
            "proxyMetadata": {"A": "mesh", "B": "mesh"},
            "drainDuration": "5s",
            "proxyAdminPort": 99,
        }
    )
    over = ProxyConfig.model_validate({"environmentVariables": {"B": "own", "ISTIO_META_TEAM": "x"}})
    start = proxy_start(defaults, [over])
    assert start == ProxyStart(
        4,
        {"A": "mesh", "B": "own", "ISTIO_META_TEAM": "x"},
        {},
        timedelta(seconds=5),
        99,
    )
    assert start.metadata == {"TEAM": "x"}
    assert proxy_start(defaults, [ProxyConfig(concurrency=0)]).concurrency == 0


def test_a_node_says_what_was_decided() -> None:
    """In the words of Istio's ProxyConfig, and nothing of what nobody decided."""
    assert ProxyStart().written() == {}
    start = ProxyStart(0, {"A": "b"}, {"c": "true"}, timedelta(seconds=5), 15001)
    assert start.written() == {
        "concurrency": 0,
        "drainDuration": "5s",
        "proxyAdminPort": 15001,
        "proxyMetadata": {"A": "b"},
        "runtimeValues": {"c": "true"},
    }


def test_what_has_no_effect_is_told() -> None:
    """Of objects with the same selector all but the oldest, and on some workloads those that select them too."""
    one, two, three = config("a", day=2), config("b", day=1), config("c", day=3, labels={"app": "a"})
    (found,) = idle([one, two, three])
    assert (found.object, found.path) == (one.ref, "spec")
    assert found.message == "has no effect: ProxyConfig shop/b is older and for the same workloads"
    older = config("d", day=1, labels={"tier": "front"})
    (found,) = overruled(
        [three, older], applying([three, older], "shop", {"app": "a", "tier": "front"}, ROOT)
    )
    assert (found.object, found.path) == (three.ref, "spec.selector")
