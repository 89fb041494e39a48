"""What an operator's edit costs in a large mesh: time to compile, and what is pushed to how many proxies."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.bench import material
from tests.bench.summary import figure
from xdsd.compile.compiler import Compiler
from xdsd.compile.proxies import proxy_of
from xdsd.manifest import AnyObject, parse_object
from xdsd.model.intent import KINDS
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node
from xdsd.snapshot import Snapshot, SnapshotChange

SIZES = (500, 5000)
PROXIES = 100
TURNS = 20
ALONE = "alone"
"""A namespace of which one proxy is, and nothing else."""

Edit = Callable[[int], Mapping[str, Any]]


def edit_bench(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """The same edits in a small and in a large mesh, with virtual hosts inside their route configurations and apart."""
    return {
        "proxies": PROXIES,
        "meshes": [_measured(services, vhds=vhds) for services in sizes for vhds in (False, True)],
    }


def _measured(services: int, *, vhds: bool) -> dict[str, Any]:
    compiler, snapshot = Compiler(MeshSettings(vhds=vhds)), Snapshot()
    material.fill(compiler, services)
    nodes = [material.node_id(number) for number in range(PROXIES - 1)]
    for node in (*nodes, f"sidecar~10.98.0.1~one.{ALONE}~{ALONE}.svc.cluster.local"):
        compiler.attach(proxy_of(Node(node, user_agent="envoy", version="1.40.0", incremental=True)))
    material.publish(compiler, snapshot)
    gc.collect()
    gc.freeze()
    found: dict[str, Any] = {"services": services, "vhds": vhds}
    for name, make in _EDITS.items():
        _apply(compiler, snapshot, make(0))
        found[name] = _costs(compiler, snapshot, make)
    gc.unfreeze()
    return found


def _costs(compiler: Compiler, snapshot: Snapshot, make: Edit) -> dict[str, Any]:
    """Each turn changes the object a little; the first one made it."""
    times, change = [], None
    for turn in range(1, TURNS + 1):
        started = time.perf_counter()
        change = _apply(compiler, snapshot, make(turn))
        times.append(1000 * (time.perf_counter() - started))
    return {"compile_ms": figure(times, 2), **_pushed(snapshot, change)}


def _apply(compiler: Compiler, snapshot: Snapshot, value: Mapping[str, Any]) -> SnapshotChange | None:
    compiler.world.put_object(_parsed(value))
    for _ in compiler.steps():
        pass
    change = compiler.take(snapshot)
    if change is not None:
        snapshot.apply(change)
    return change


def _pushed(snapshot: Snapshot, change: SnapshotChange | None) -> dict[str, int]:
    """Resources and their bytes, each counted once however many proxies get it, and these proxies."""
    if change is None:
        return {"resources": 0, "bytes": 0, "removed": 0, "proxies": 0}
    layers = {each.layer for each in change.layers}
    touched = {node for node, served in snapshot.assigned.items() if layers & set(served)}
    upserts = [resource for each in change.layers for resource in each.upserts]
    return {
        "resources": len(upserts),
        "bytes": sum(len(resource.encoded) for resource in upserts),
        "removed": sum(len(each.removed) for each in change.layers),
        "proxies": len(touched | set(change.assigned)),
    }


def _virtual_service(turn: int) -> Mapping[str, Any]:
    host = material.hostname(7)
    route = [{"destination": {"host": host}}]
    return _thing("VirtualService", {"hosts": [host], "http": [{"timeout": f"{turn + 1}s", "route": route}]})


def _destination_rule(turn: int) -> Mapping[str, Any]:
    pool = {"tcp": {"maxConnections": turn + 1}}
    return _thing(
        "DestinationRule", {"host": material.hostname(7), "trafficPolicy": {"connectionPool": pool}}
    )


def _sidecar(turn: int) -> Mapping[str, Any]:
    """The scope of one namespace: ten services, each turn other ones."""
    hosts = [f"default/{material.hostname(number)}" for number in range(turn, turn + 10)]
    return _thing("Sidecar", {"egress": [{"hosts": hosts}]}, ALONE)


def _envoy_filter(turn: int) -> Mapping[str, Any]:
    """A limit on the connections of one cluster."""
    name = f"outbound|9080||{material.hostname(7)}"
    value = {"connect_timeout": f"{turn + 1}s"}
    patch = {
        "applyTo": "CLUSTER",
        "match": {"context": "SIDECAR_OUTBOUND", "cluster": {"name": name}},
        "patch": {"operation": "MERGE", "value": value},
    }
    return _thing("EnvoyFilter", {"configPatches": [patch]})


def _mesh_config(turn: int) -> Mapping[str, Any]:
    """A value that no more than the listeners read."""
    return _thing("MeshConfig", {"protocolDetectionTimeout": f"{turn + 1}s"}, "istio-system", name="default")


def _thing(
    kind: str, spec: Mapping[str, Any], namespace: str = "default", name: str = "edited"
) -> Mapping[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": KINDS[kind].preferred, "kind": kind, "metadata": metadata, "spec": spec}


def _parsed(value: Mapping[str, Any]) -> AnyObject:
    found = parse_object(value)
    assert not isinstance(found, list), found
    return found


_EDITS: Mapping[str, Edit] = {
    "virtual_service": _virtual_service,
    "destination_rule": _destination_rule,
    "sidecar": _sidecar,
    "envoy_filter": _envoy_filter,
    "mesh_config": _mesh_config,
}
