"""Proxies that were started with other values than objects say now."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.compile.worlds import Sandbox, proxy
from xdsd.model.intent import MeshConfig, Metadata, Object, ProxyConfig
from xdsd.snapshot import SnapshotChange


def config(
    name: str, namespace: str = "default", labels: Mapping[str, str] | None = None, **spec: Any
) -> Object[Any]:
    if labels:
        spec["selector"] = {"matchLabels": dict(labels)}
    made = ProxyConfig.model_validate(spec)
    return Object("networking.istio.io/v1beta1", "ProxyConfig", Metadata(namespace, name), made)


def mesh_config(**proxies: Any) -> Object[Any]:
    spec = MeshConfig.model_validate({"defaultConfig": proxies})
    return Object("mesh.xdsd.io/v1", "MeshConfig", Metadata("istio-system", "default"), spec)


def told(sandbox: Sandbox) -> list[str]:
    sandbox.settle()
    return [f"{problem.object} {problem.path}" for problem in sandbox.compiler.problems()]


def test_a_proxy_that_was_started_otherwise_is_told_of_at_who_decided() -> None:
    """At the closest object that says a value; once the proxy has it, nothing is told."""
    sandbox = Sandbox()
    started = proxy()
    sandbox.attach(started)
    assert told(sandbox) == []
    sandbox.put_object(mesh_config(concurrency=4, drainDuration="5s"))
    sandbox.put_object(config("own", concurrency=2, environmentVariables={"A": "b"}))
    assert told(sandbox) == [
        "ProxyConfig default/own spec",
        "MeshConfig istio-system/default spec.defaultConfig",
    ]
    known = {
        "concurrency": 2.0,
        "drainDuration": "5s",
        "proxyMetadata": {"A": "b", "C": "more"},
        "statusPort": 15020,
    }
    sandbox.attach(replace(started, start=known))
    assert told(sandbox) == []
    sandbox.put_object(config("own", concurrency=2, environmentVariables={"A": "c"}))
    assert told(sandbox) == ["ProxyConfig default/own spec"]


def test_proxies_of_others_are_no_matter() -> None:
    """Neither other namespaces' nor those whose labels are not selected."""
    sandbox = Sandbox()
    sandbox.attach(proxy())
    sandbox.put_object(config("a", "shop", concurrency=2))
    sandbox.put_object(config("b", labels={"app": "x"}, concurrency=2))
    assert told(sandbox) == []


def test_what_proxies_are_started_with_changes_no_resource() -> None:
    """Nothing is published for it."""
    sandbox = Sandbox()
    sandbox.attach(proxy())
    sandbox.settle()
    sandbox.put_object(config("own", concurrency=2))
    sandbox.put_object(mesh_config(proxyMetadata={"A": "b"}))
    assert sandbox.settle() == SnapshotChange(sandbox.snapshot.generation)


def test_rivals_are_told_of() -> None:
    """Of two for the same workloads the younger has no effect, in whole or on some."""
    sandbox = Sandbox()
    known = {"concurrency": 1}
    sandbox.attach(replace(proxy(), labels={"app": "x", "tier": "y"}, start=known))
    sandbox.put_object(config("a", concurrency=1))
    sandbox.put_object(config("b", concurrency=2))
    sandbox.put_object(config("c", labels={"app": "x"}, concurrency=1))
    sandbox.put_object(config("d", labels={"tier": "y"}, concurrency=3))
    assert sorted(told(sandbox)) == ["ProxyConfig default/b spec", "ProxyConfig default/d spec.selector"]
