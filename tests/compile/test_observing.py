"""Telemetry reaches the listeners of the proxies that it is for, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from tests.compile.test_patched_layers import Mesh
from tests.compile.worlds import proxy
from xdsd.model.intent import MeshConfig, Metadata, Object, Telemetry
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.snapshot import CLUSTER, LISTENER

API = "telemetry.istio.io/v1"
ROOT = "istio-system"
OFF = {"accessLogging": [{"disabled": True}]}
TRACED = {"tracing": [{"providers": [{"name": "zipkin"}]}]}
PORT = "0.0.0.0_9080"


def telemetry(
    spec: dict[str, Any], name: str = "a", namespace: str = "default", created: str = ""
) -> Object[Any]:
    metadata = Metadata(namespace, name, creation_timestamp=created)
    return Object(API, "Telemetry", metadata, Telemetry.model_validate(spec))


def config(**spec: Any) -> Object[Any]:
    return Object("mesh.xdsd.io/v1", "MeshConfig", Metadata(ROOT, "default"), MeshConfig.model_validate(spec))


def listeners(mesh: Mesh, node: str) -> dict[str, Listener]:
    return {
        name: Listener.FromString(each.body)
        for layer in mesh.snapshot.assigned[node]
        for name, each in mesh.snapshot.layers[layer].resources(LISTENER).items()
    }


def managers(listener: Listener) -> list[Any]:
    return [
        HttpConnectionManager.FromString(each.typed_config.value)
        for chain in (*listener.filter_chains, listener.default_filter_chain)
        for each in chain.filters
        if each.typed_config.Is(HttpConnectionManager.DESCRIPTOR)
    ]


def logging(mesh: Mesh, node: str) -> set[str]:
    """The names of listeners that log anything."""
    return {
        name for name, each in listeners(mesh, node).items() if b"access_loggers" in each.SerializeToString()
    }


def drop(mesh: Mesh, name: str, namespace: str = "default") -> None:
    mesh.compiler.world.drop_object(ObjectRef("Telemetry", namespace, name))
    mesh.settle()


def problems(mesh: Mesh) -> list[Problem]:
    return [each for each in mesh.compiler.problems() if each.object and each.object.kind == "Telemetry"]


@pytest.fixture
def mesh() -> Mesh:
    """The mesh, whose proxy of ratings has a label."""
    made = Mesh()
    made.ratings = made.attach(replace(proxy("10.1.0.3", name="ratings-1"), labels={"app": "ratings"}))
    made.settle()
    return made


def nodes(mesh: Mesh) -> tuple[str, ...]:
    return (mesh.one, mesh.two, mesh.ratings, mesh.other, mesh.edge)


def test_the_meshs_own_is_for_all(mesh: Mesh) -> None:
    """In the root namespace and without a selector; once it is gone, all is as it was."""
    before = {node: mesh.versions(node) for node in nodes(mesh)}
    assert all(logging(mesh, node) for node in nodes(mesh))
    mesh.put(telemetry(OFF, namespace=ROOT))
    assert not any(logging(mesh, node) for node in nodes(mesh))
    drop(mesh, "a", ROOT)
    assert {node: mesh.versions(node) for node in nodes(mesh)} == before


def test_one_for_a_workload_leaves_all_others_as_they_were(mesh: Mesh) -> None:
    """Nothing is made anew for proxies that it does not select, and of theirs only listeners."""
    before = {node: mesh.versions(node) for node in nodes(mesh)}
    mesh.compiler.encoded.clear()
    mesh.put(telemetry({**OFF, "selector": {"matchLabels": {"app": "ratings"}}}))
    assert logging(mesh, mesh.ratings) == set()
    assert {node for node in nodes(mesh) if mesh.versions(node) != before[node]} == {mesh.ratings}
    assert set(mesh.compiler.encoded) == {LISTENER}
    changed = mesh.versions(mesh.ratings)
    assert {key[0] for key in changed if changed[key] != before[mesh.ratings].get(key)} == {LISTENER}


def test_a_side_can_be_switched_off_alone(mesh: Mesh) -> None:
    """CLIENT is the way out and gateways, SERVER the way in."""
    mesh.put(telemetry({"accessLogging": [{"match": {"mode": "SERVER"}, "disabled": True}]}, namespace=ROOT))
    assert "virtualInbound" not in logging(mesh, mesh.one)
    assert "virtualOutbound" in logging(mesh, mesh.one)
    assert logging(mesh, mesh.edge)


def test_spans_are_made_where_there_is_somebody_to_be_told(mesh: Mesh) -> None:
    """Until a service is there nobody is told, and its owner knows; proxies have its cluster with the spans."""
    provider = {"name": "zipkin", "zipkin": {"service": "reviews.default.svc.cluster.local", "port": 9411}}
    mesh.put(config(extensionProviders=[provider]))
    mesh.put(telemetry(TRACED, namespace=ROOT))
    assert not any(
        m.HasField("tracing") for each in listeners(mesh, mesh.one).values() for m in managers(each)
    )
    told = [str(each) for each in mesh.compiler.problems()]
    assert any("has a port 9411, so nothing is told there" in each for each in told)
    provider["zipkin"] = {"service": "reviews.default.svc.cluster.local", "port": 9080}
    mesh.put(config(extensionProviders=[provider]))
    for node in (mesh.one, mesh.edge):
        found = [m for each in listeners(mesh, node).values() for m in managers(each)]
        assert [m.HasField("tracing") for m in found] == [True] * len(found) != []
        assert (CLUSTER, "outbound|9080||reviews.default.svc.cluster.local") in mesh.versions(node)


def test_the_oldest_holds_and_the_others_are_told(mesh: Mesh) -> None:
    """Of two for the mesh, for a namespace, and for a workload; the younger takes its place once the older is gone."""
    chosen = {"selector": {"matchLabels": {"app": "ratings"}}}
    on = {"accessLogging": [{"disabled": False}]}
    mesh.put(telemetry({**on, **chosen}, "old", created="2026-01-01T00:00:00Z"))
    mesh.put(telemetry({**OFF, **chosen}, "young", created="2026-01-02T00:00:00Z"))
    assert logging(mesh, mesh.ratings)
    (problem,) = problems(mesh)
    assert str(problem.object) == "Telemetry default/young"
    assert "Telemetry default/old is older" in problem.message
    drop(mesh, "old")
    assert not logging(mesh, mesh.ratings)
    assert problems(mesh) == []
    mesh.put(telemetry(on, "wide", created="2026-01-01T00:00:00Z"))
    mesh.put(telemetry(OFF, "wider", created="2026-01-02T00:00:00Z"))
    assert [str(each.object) for each in problems(mesh)] == ["Telemetry default/wider"]


def test_an_edit_reaches_listeners_and_nothing_else(mesh: Mesh) -> None:
    """Neither clusters nor routes nor endpoints are made again."""
    mesh.put(telemetry({"accessLogging": [{"filter": {"expression": "response.code >= 500"}}]}))
    mesh.compiler.encoded.clear()
    mesh.put(telemetry({"accessLogging": [{"filter": {"expression": "response.code >= 400"}}]}))
    assert set(mesh.compiler.encoded) == {LISTENER}


def test_one_that_says_nothing_changes_nothing(mesh: Mesh) -> None:
    """Statistics are there anyway."""
    before = {node: mesh.versions(node) for node in nodes(mesh)}
    mesh.put(telemetry({"metrics": [{"providers": [{"name": "prometheus"}]}]}, namespace=ROOT))
    assert {node: mesh.versions(node) for node in nodes(mesh)} == before
    assert problems(mesh) == []


def test_who_cannot_open_the_log_still_goes_without(mesh: Mesh) -> None:
    """A listener of Telemetry's is one that a proxy may refuse for its log, as all others."""
    path = "/no/such/dir/x"
    mesh.put(config(accessLogFile=path))
    mesh.put(
        telemetry({"accessLogging": [{"filter": {"expression": "response.code >= 500"}}]}, namespace=ROOT)
    )
    assert PORT in logging(mesh, mesh.one)
    mesh.refuses(mesh.one, LISTENER, PORT, f"unable to open file '{path}': No such file or directory")
    assert not logging(mesh, mesh.one)
    assert logging(mesh, mesh.two)


def test_who_cannot_open_a_providers_file_goes_without(mesh: Mesh) -> None:
    """So does one that cannot open the mesh's own too; each is told at its field, and offered again once it is another."""
    own, path = "/no/such/dir/x", "/no/such/dir/y"
    file = {"name": "file", "envoyFileAccessLog": {"path": path}}
    mesh.put(config(accessLogFile=own, extensionProviders=[{"name": "prom", "prometheus": {}}, file]))
    mesh.put(
        telemetry({"accessLogging": [{"providers": [{"name": "file"}, {"name": "envoy"}]}]}, namespace=ROOT)
    )
    for each in (own, path):
        mesh.refuses(mesh.one, LISTENER, PORT, f"unable to open file '{each}': No such file or directory")
    assert not logging(mesh, mesh.one)
    assert logging(mesh, mesh.two)
    told = {each.path for each in mesh.compiler.problems() if each.reason is Reason.REJECTED_BY_PROXY}
    assert told == {"spec.accessLogFile", "spec.extensionProviders[1].envoyFileAccessLog.path"}
    file["envoyFileAccessLog"] = {"path": "/dev/stderr"}
    mesh.put(config(accessLogFile=own, extensionProviders=[file]))
    (listener,) = {name for name in logging(mesh, mesh.one) if name == PORT}
    found = listeners(mesh, mesh.one)[listener].SerializeToString()
    assert b"/dev/stderr" in found
    assert own.encode() not in found
