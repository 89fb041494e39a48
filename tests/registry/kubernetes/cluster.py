"""Objects of a cluster as tests write them, and a cluster that is handled as the contract of registries wants it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.lab.eventually import eventually
from tests.lab.kube import KubeServer
from tests.lab.relay import Relay
from xdsd.model.catalog import ServiceKey
from xdsd.registry.base import Registry
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry

DOMAIN = "mesh.local"
EXPORT_TO = "networking.istio.io/exportTo"
SLICES = "/apis/discovery.k8s.io/v1beta1"


def named(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    """The metadata of an object."""
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def service(
    name: str, namespace: str = "default", *, annotations: Mapping[str, str] | None = None, **spec: Any
) -> Any:
    """A Service with the port 80 (http, target 8080) unless ``spec`` says otherwise."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": named(name, namespace, annotations=dict(annotations or {})),
        "spec": {"ports": ports, **spec},
    }


def endpoint_slice(
    name: str,
    of: str,
    endpoints: Sequence[Any],
    namespace: str = "default",
    family: str = "IPv4",
    **more: Any,
) -> Any:
    """An EndpointSlice; an endpoint is an address, or all of itself."""
    listed = [each if isinstance(each, dict) else {"addresses": [each]} for each in endpoints]
    return {
        "apiVersion": "discovery.k8s.io/v1beta1",
        "kind": "EndpointSlice",
        "metadata": named(name, namespace, labels={"kubernetes.io/service-name": of}),
        "addressType": family,
        "endpoints": listed,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        **more,
    }


def backed_by(pod: str, address: str, namespace: str = "default", **more: Any) -> dict[str, Any]:
    """An endpoint that is a pod's."""
    return {"addresses": [address], "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace}, **more}


def pod(
    name: str,
    address: str,
    labels: Mapping[str, str] | None = None,
    namespace: str = "default",
    *,
    account: str = "default",
    node: str = "one",
    ready: bool = True,
    phase: str = "Running",
) -> Any:
    """A Pod that runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": named(name, namespace, labels=dict(labels or {})),
        "spec": {
            "nodeName": node,
            "serviceAccountName": account,
            "containers": [{"name": "main", "image": "none"}],
        },
        "status": {
            "phase": phase,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def node(name: str, region: str = "", zone: str = "", **labels: str) -> Any:
    """A Node that stands somewhere."""
    found = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone, **labels}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": named(name, labels={key: value for key, value in found.items() if value}),
    }


async def is_answered(kube: KubeServer, kubeconfig: Path, path: str, status: int) -> None:
    """Waits until the user of a kubeconfig gets this status: rights hold a moment after they were changed."""
    token = _token(kubeconfig)

    async def holds() -> None:
        assert await kube.status(f"{path}?limit=1", token) == status

    await eventually(holds, f"{path} is answered with {status}")


def _token(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


class ClusterPlatform:
    """A namespace of a real cluster. The tests are its endpoint controller."""

    def __init__(self, kube: KubeServer, namespace: str, relay: Relay, kubeconfig: Path) -> None:
        self.kube = kube
        self.namespace = namespace
        self._relay = relay
        self._kubeconfig = kubeconfig
        self._services = f"/api/v1/namespaces/{namespace}/services"
        self._slices = f"{SLICES}/namespaces/{namespace}/endpointslices"

    def registry(self) -> Registry:
        cluster = Cluster(kubeconfig=self._kubeconfig, namespaces=(self.namespace,))
        return KubernetesRegistry(cluster, DOMAIN)

    def key(self, name: str) -> ServiceKey:
        return ServiceKey(self.namespace, f"{name}.{self.namespace}.svc.{DOMAIN}")

    async def declare(self, name: str, addresses: Sequence[str]) -> None:
        # Endpoints first: a service that is created is then whole at once, as the contract asks.
        await self.kube.put(self._slices, name, endpoint_slice(name, name, addresses, self.namespace))
        whole = service(name, self.namespace)
        whole["metadata"]["annotations"] = {EXPORT_TO: None}
        await self.kube.put(self._services, name, whole)

    async def withdraw(self, name: str) -> None:
        await self.kube.delete(f"{self._services}/{name}")
        await self.kube.delete(f"{self._slices}/{name}")

    async def spoil(self, name: str) -> None:
        broken = {"metadata": {"annotations": {EXPORT_TO: "no namespace!"}}}
        await self.kube.request("PATCH", f"{self._services}/{name}", broken)

    async def touch(self) -> None:
        listed = await self.kube.request("GET", self._services)
        for item in listed["items"]:
            path = f"{self._services}/{item['metadata']['name']}"
            stamp = {"metadata": {"annotations": {"touched": item["metadata"]["resourceVersion"]}}}
            await self.kube.request("PATCH", path, stamp)

    async def leave(self) -> None:
        await self._relay.cut()

    async def come(self) -> None:
        await self._relay.mend()
