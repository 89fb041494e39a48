"""The process under test: the registry of a platform before the real loop, compiler and server."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import structlog
from envoy.config.core.v3.health_check_pb2 import HealthStatus
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from tests.bench import material
from tests.bench.control import Order, obey, prepare, settle, usage
from tests.bench.registries.platform import address
from tests.bench.serving import Counts
from xdsd.compile.compiler import Compiler
from xdsd.housekeeping import keep_house
from xdsd.model.mesh import MeshSettings
from xdsd.reconcile import Reconciler, Settling
from xdsd.registry.base import Registry
from xdsd.registry.consul import ConsulOptions, Hosts
from xdsd.registry.consul.registry import ConsulRegistry
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry
from xdsd.registry.machines import MachinesRegistry
from xdsd.server import XdsServer
from xdsd.snapshot import ENDPOINT, Resource, Snapshot
from xdsd.turns import new_loop

DOMAIN = "cluster.local"
_BEAT = 0.005


def registry(options: dict[str, Any]) -> Registry:
    """As the daemon makes it."""
    where = options["where"]
    match options["kind"]:
        case "kubernetes":
            return KubernetesRegistry(Cluster(kubeconfig=Path(where), name="bench"), DOMAIN, "istio-system")
        case "consul":
            asked = ConsulOptions(connections=options["connections"], hosts=Hosts.MESH)
            return ConsulRegistry(where, asked, DOMAIN)
        case "machines":
            return MachinesRegistry(Path(where), DOMAIN)
        case other:
            raise ValueError(other)


class Rounds(Counts):
    """Knows how long each round of the loop took, too."""

    def __init__(self, rounds: list[float]) -> None:
        super().__init__()
        self._rounds = rounds

    def compiled(self, seconds: float) -> None:
        self._rounds.append(seconds)


class Lag:
    """How late the loop runs what is due, and for how long it computes until then: the second knows nothing of what else
    runs on the machine.
    """

    def __init__(self) -> None:
        self._late: list[float] = []
        self._spent: list[float] = []

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, before = clock() + _BEAT, time.thread_time()
            await asyncio.sleep(_BEAT)
            self._late.append(max(0.0, clock() - due))
            self._spent.append(time.thread_time() - before)

    def take(self) -> dict[str, dict[str, float]]:
        """Milliseconds since it was last asked."""
        late, spent, self._late, self._spent = self._late, self._spent, [], []
        return {"lag_ms": _quantiles(late), "computed_ms": _quantiles(spent)}


class Served:
    """What the streams are served: of each service which of its endpoints take requests, as ``platform.state`` says it."""

    def __init__(self, snapshot: Snapshot, services: int) -> None:
        self._snapshot = snapshot
        self._services = services
        self._read: dict[str, tuple[Resource | None, str]] = {}

    def states(self) -> list[str]:
        """Of all services; what is as it was when it was last asked is not read again."""
        layers = [
            self._snapshot.layers[each].resources(ENDPOINT)
            for each in next(iter(self._snapshot.assigned.values()), ())
        ]
        served = {name: resource for layer in layers for name, resource in layer.items()}
        return [self._state(number, served.get(material.name(number))) for number in range(self._services)]

    def _state(self, number: int, resource: Resource | None) -> str:
        name = material.name(number)
        known = self._read.get(name)
        if known is None or known[0] is not resource:
            known = self._read[name] = resource, _state_of(number, resource)
        return known[1]


def _state_of(number: int, resource: Resource | None) -> str:
    alive: set[str] = set()
    if resource is not None:
        for group in ClusterLoadAssignment.FromString(resource.body).endpoints:
            alive.update(
                each.endpoint.address.socket_address.address
                for each in group.lb_endpoints
                if each.health_status in (HealthStatus.UNKNOWN, HealthStatus.HEALTHY)
            )
    return "".join("1" if address(number, each) in alive else "0" for each in range(material.ENDPOINTS))


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {word: round(1000 * ordered[int(share * last)], 1) for word, share in at.items()}


async def main(options: dict[str, Any]) -> None:
    prepare(options["core"])
    loop = asyncio.get_running_loop()
    rounds: list[float] = []
    counts, lag = Rounds(rounds), Lag()
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))  # what is ordered is answered on stdout
    # What settles is left out: it is a setting, not a cost.
    settling = Settling(quiet=0, longest=0, linger=600)
    mesh = Reconciler(Compiler(MeshSettings()), DOMAIN, counts, log, loop.time, settling)
    server = XdsServer(mesh, log, counts)
    watched = registry(options)
    sink = mesh.expect(watched.name)
    port = server.listen("127.0.0.1:0")
    await server.start()
    settle()
    before = usage()["resident"]
    house = keep_house(lambda: not mesh.busy, lambda: None)
    tasks = [asyncio.ensure_future(each) for each in (mesh.run(server.published), lag.run(), house)]

    served = Served(mesh.snapshot, options["services"])

    async def perform(order: Order) -> Any:
        match order["order"]:
            case "port":
                return port
            case "sync":
                started, spent = loop.time(), usage()["cpu"]
                tasks.append(asyncio.ensure_future(watched.run(sink)))
                await mesh.until_ready()
                synced = loop.time() - started
                while mesh.busy or not rounds:  # noqa: ASYNC110 - it is only known by looking
                    await asyncio.sleep(_BEAT)
                taken = loop.time() - started
                used, stalls = usage()["cpu"] - spent, lag.take()
                await asyncio.sleep(_BEAT)
                endpoints = sum(item.endpoints for item in mesh.sources())
                mib = (usage()["resident"] - before) / 1024
                return {
                    "services": len(mesh.catalog.services()),
                    "endpoints": endpoints,
                    "synced_s": round(synced, 2),
                    "published_s": round(taken, 2),
                    "cpu_s": round(used, 2),
                    **stalls,
                    "memory_MiB": round(mib, 1),
                }
            case "states":
                return served.states()
            case "lag":
                return lag.take()
            case "usage":
                return usage()
            case other:
                raise ValueError(other)

    await obey(perform)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(json.loads(sys.argv[1])))
