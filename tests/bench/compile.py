"""The compiler alone: a whole mesh, one endpoint that flips, one VirtualService that changes.

The comparison for a whole mesh builds and encodes the same clusters, assignments and virtual hosts in a bare loop, and the
one for a flip the one assignment: what Envoy's messages cost in Python without any mesh around them.
"""

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.bench import material
from tests.bench.summary import figure, ratio
from xdsd.compile.clusters import outbound_cluster
from xdsd.compile.compiler import Compiler
from xdsd.compile.endpoints import load_assignment
from xdsd.compile.layers.base import resource
from xdsd.compile.proxies import proxy_of
from xdsd.compile.routes import default_http_route
from xdsd.compile.virtual_hosts import encoded, service_domains, virtual_host
from xdsd.model.intent import Metadata, Object, VirtualService
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node
from xdsd.snapshot import CLUSTER, ENDPOINT, Snapshot

REPETITIONS = 5
FLIPS = 200
EDITS = 20


def compile_bench(sizes: tuple[int, ...] = (100, 1000, 10_000)) -> dict[str, Any]:
    """All sizes, and how a flip in the largest mesh compares with one in the smallest."""
    found = [_measured(services) for services in sizes]
    first, last = found[0]["flip_us"], found[-1]["flip_us"]
    return {"meshes": found, "flip_ratio": ratio(last, first)}


def _measured(services: int) -> dict[str, Any]:
    repetitions = REPETITIONS if services <= 1000 else 3
    full = [_timed(lambda: _full(services)) for _ in range(repetitions)]
    bare = [_timed(lambda: _bare(services)) for _ in range(repetitions)]
    compiler, snapshot = _full(services)
    gc.collect()
    gc.freeze()
    flips = [_timed(partial(_flip, compiler, snapshot, turn)) for turn in range(1, FLIPS + 1)]
    alone = [_timed(partial(_bare_flip, turn)) for turn in range(1, FLIPS + 1)]
    edits = [_timed(partial(_edit, compiler, snapshot, turn)) for turn in range(1, EDITS + 1)]
    gc.unfreeze()
    result: dict[str, Any] = {
        "services": services,
        "full_ms": figure([1e3 * seconds for seconds in full]),
        "bare_full_ms": figure([1e3 * seconds for seconds in bare]),
        "flip_us": figure([1e6 * seconds for seconds in flips]),
        "bare_flip_us": figure([1e6 * seconds for seconds in alone]),
        "virtual_service_ms": figure([1e3 * seconds for seconds in edits], 2),
    }
    return {**result, "full_ratio": ratio(result["full_ms"], result["bare_full_ms"])}


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _full(services: int) -> tuple[Compiler, Snapshot]:
    compiler, snapshot = Compiler(MeshSettings()), Snapshot()
    material.fill(compiler, services)
    compiler.attach(proxy_of(Node(material.node_id(0))))
    material.publish(compiler, snapshot)
    return compiler, snapshot


def _bare(services: int) -> None:
    for number in range(services):
        name, service = material.name(number), material.service(number)
        resource(CLUSTER, name, outbound_cluster(name, service, material.PORT))
        resource(ENDPOINT, name, load_assignment(name, material.PORT, material.endpoints(number)))
        domains = service_domains(service.hostname, material.PORT.number, "default", "cluster.local")
        encoded(virtual_host(service.hostname, domains, [default_http_route(name)]))


def _flip(compiler: Compiler, snapshot: Snapshot, turn: int) -> None:
    compiler.world.put_endpoints(material.service(0).key, material.endpoints(0, turn))
    material.publish(compiler, snapshot)


def _bare_flip(turn: int) -> None:
    name = material.name(0)
    resource(ENDPOINT, name, load_assignment(name, material.PORT, material.endpoints(0, turn)))


def _edit(compiler: Compiler, snapshot: Snapshot, turn: int) -> None:
    host = material.hostname(0)
    rule = {"timeout": f"{turn}s", "route": [{"destination": {"host": host}}]}
    spec = VirtualService.model_validate({"hosts": [host], "http": [rule]})
    compiler.world.put_object(
        Object("networking.istio.io/v1", "VirtualService", Metadata("default", "bench"), spec)
    )
    material.publish(compiler, snapshot)
