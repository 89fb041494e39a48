"""A real API server, whose etcd is filled behind its back, since nobody has the time to create 50,000 pods one by one.

In a storm, too, changes are put into etcd: an API server on two cores takes some hundreds of them a second, and its
watches carry thousands.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from storage.base import Put
from storage.etcd import EtcdStore
from tests.bench.material import ENDPOINTS
from tests.bench.registries.platform import NAMESPACE, PORT_NUMBER, Bare, Flip, address, give_way, name
from tests.lab.etcd import EtcdServer
from tests.lab.kube import KubeServer

NODES = 200
_SLICES = f"/apis/discovery.k8s.io/v1beta1/namespaces/{NAMESPACE}/endpointslices"
_AT_ONCE = 100
_CREATED = "2026-01-01T00:00:00Z"


class KubernetesPlatform:
    """With pods behind all endpoints."""

    at_once = neighbours = 1

    def __init__(self, services: int, kube: KubeServer, store: EtcdStore) -> None:
        self.services = services
        self._kube = kube
        self._store = store

    @property
    def options(self) -> Mapping[str, Any]:
        return {"kind": "kubernetes", "where": str(self._kube.kubeconfig)}

    @property
    def pids(self) -> Sequence[int]:
        return (self._kube.program.pid,)

    async def read(self) -> None:
        for path in (
            _SLICES,
            f"/api/v1/namespaces/{NAMESPACE}/services",
            f"/api/v1/namespaces/{NAMESPACE}/pods",
        ):
            more = ""
            while True:
                answer = await self._kube.request("GET", f"{path}?limit=500&continue={more}")
                more = answer["metadata"].get("continue", "")
                if not more:
                    break

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[Bare]:
        listed = await self._kube.request("GET", f"{_SLICES}?limit=1")
        watching = _Watching(self._kube, listed["metadata"]["resourceVersion"])
        task = asyncio.create_task(watching.run())
        try:
            yield watching
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def write(self, flipped: Sequence[Flip], ill: Set[Flip]) -> None:
        for number in {number for number, _ in flipped}:
            await self._kube.request("PUT", f"{_SLICES}/{name(number)}", _slice(number, ill))

    async def storm(self, flipped: Sequence[Flip], ill: Set[Flip]) -> None:
        # Each in a revision of its own, as an API server writes them: a watch may be taken up after any of them.
        changed = [
            (_key("endpointslices", name(each)), _slice(each, ill)) for each in {each for each, _ in flipped}
        ]
        await asyncio.gather(*(self._store.put(key, json.dumps(value).encode()) for key, value in changed))


class _Watching:
    """Watches slices, and reads their JSON."""

    def __init__(self, kube: KubeServer, revision: str) -> None:
        self._kube = kube
        self._revision = revision
        self._expected: dict[str, asyncio.Future[float]] = {}

    async def run(self) -> None:
        while True:  # an API server ends watches that do not keep up
            async with self._kube.watch(_SLICES, self._revision) as response:
                rest = b""
                async for data in response.content.iter_any():
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._take(json.loads(line))

    def _take(self, event: Any) -> None:
        found = event["object"]["metadata"]
        self._revision = found["resourceVersion"]
        expected = self._expected.pop(found["name"], None)
        if expected is not None:
            expected.set_result(asyncio.get_running_loop().time())

    async def expect(self, number: int) -> "_Heard":
        future = self._expected[name(number)] = asyncio.get_running_loop().create_future()
        return _Heard(future)


class _Heard:
    def __init__(self, future: "asyncio.Future[float]") -> None:
        self._future = future

    async def at(self) -> float:
        return await self._future


@asynccontextmanager
async def kubernetes(folder: Path, services: int) -> AsyncIterator[KubernetesPlatform]:
    """Filled before it starts."""
    async with AsyncExitStack() as stack:
        etcd = await stack.enter_async_context(EtcdServer(folder))
        store = await stack.enter_async_context(etcd.store())
        await _put(store, _objects(services))
        kube = await stack.enter_async_context(KubeServer(folder / "kube", etcd))
        give_way(etcd.program.pid, kube.program.pid)
        yield KubernetesPlatform(services, kube, store)


def _objects(services: int) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    for number in range(NODES):
        labels = {"topology.kubernetes.io/region": "here", "topology.kubernetes.io/zone": f"z{number % 3}"}
        yield _key("minions", f"node-{number}", ""), _object("v1", "Node", f"node-{number}", "", labels)
    for number in range(services):
        yield _key("services/specs", name(number)), _service(number)
        yield _key("endpointslices", name(number)), _slice(number, frozenset())
        for each in range(ENDPOINTS):
            yield _key("pods", _pod_name(number, each)), _pod(number, each)


async def _put(store: EtcdStore, objects: Iterator[tuple[bytes, Mapping[str, Any]]]) -> None:
    waiting = [Put(key, json.dumps(value).encode()) for key, value in objects]
    for start in range(0, len(waiting), _AT_ONCE):
        await store.txn((), waiting[start : start + _AT_ONCE], ())


def _key(plural: str, named: str, namespace: str = NAMESPACE) -> bytes:
    return "/".join(part for part in ("/registry", plural, namespace, named) if part).encode()


def _object(version: str, kind: str, named: str, namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    metadata = {
        "name": named,
        "uid": f"{kind}-{named}",
        "creationTimestamp": _CREATED,
        "labels": dict(labels),
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _service(number: int) -> dict[str, Any]:
    ports = [{"name": "http", "port": PORT_NUMBER, "targetPort": PORT_NUMBER, "protocol": "TCP"}]
    virtual = f"10.96.{1 + number // 250}.{1 + number % 250}"
    spec = {"type": "ClusterIP", "clusterIP": virtual, "clusterIPs": [virtual], "ports": ports}
    return {**_object("v1", "Service", name(number), NAMESPACE, {}), "spec": spec}


def _slice(number: int, ill: Set[Flip]) -> dict[str, Any]:
    endpoints = [
        {
            "addresses": [address(number, each)],
            "conditions": {"ready": (number, each) not in ill},
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": _pod_name(number, each)},
        }
        for each in range(ENDPOINTS)
    ]
    labels = {"kubernetes.io/service-name": name(number)}
    made = _object("discovery.k8s.io/v1beta1", "EndpointSlice", name(number), NAMESPACE, labels)
    ports = [{"name": "http", "port": PORT_NUMBER, "protocol": "TCP"}]
    return {**made, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}


def _pod(number: int, each: int) -> dict[str, Any]:
    made = _object(
        "v1", "Pod", _pod_name(number, each), NAMESPACE, {"app": name(number), "version": f"v{each % 3}"}
    )
    made["spec"] = {
        "nodeName": f"node-{(number * ENDPOINTS + each) % NODES}",
        "serviceAccountName": name(number),
        "containers": [{"name": "main", "image": "registry.example.com/program:1.0"}],
    }
    where = address(number, each)
    ready = [{"type": "Ready", "status": "True"}]
    made["status"] = {"phase": "Running", "podIP": where, "podIPs": [{"ip": where}], "conditions": ready}
    return made


def _pod_name(number: int, each: int) -> str:
    return f"{name(number)}-{each}"
