"""Ingresses and Secrets of a real cluster, with the rights of the manifests."""

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contracts.registry import DEADLINE, Recorder
from tests.lab.eventually import eventually
from tests.lab.kube import KubeServer
from tests.registry.kubernetes.cluster import DOMAIN, is_answered, service
from xdsd.model.credential import CredentialName
from xdsd.model.intent import Gateway, PortSelector, VirtualService
from xdsd.model.problem import Severity
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("kubernetes"),
]
DEPLOY = Path(__file__).parents[3] / "deploy" / "kubernetes"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces"


class Taken:
    """Who is given secrets."""

    def __init__(self) -> None:
        self.held: dict[CredentialName, Mapping[str, bytes]] = {}

    def put(self, _source: str, name: CredentialName, data: Mapping[str, bytes]) -> None:
        self.held[name] = data

    def drop(self, _source: str, name: CredentialName) -> None:
        self.held.pop(name, None)


async def account(kube: KubeServer, folder: Path, *manifests: str) -> Path:
    """The kubeconfig of the service account, with the rights of these manifests."""
    for manifest in ("rbac.yaml", *manifests):
        await kube.kubectl("apply", "-f", DEPLOY / manifest)
    return kube.write_kubeconfig(folder / "account.yaml", await kube.account("xdsd", "xdsd"))


def ingress(namespace: str, port: Mapping[str, Any]) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": dict(port)}}
    rule = {
        "host": "shop.example",
        "http": {"paths": [{"path": "/a", "pathType": "Prefix", "backend": backend}]},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {
            "ingressClassName": "xdsd",
            "rules": [rule],
            "tls": [{"hosts": ["shop.example"], "secretName": "shop-tls"}],
        },
    }


async def test_an_ingress_is_a_gateway_and_says_where_it_is_served(
    kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """It follows the service whose port it names, and goes when it is deleted."""
    kubeconfig = await account(kube, tmp_path, "rbac-ingress.yaml")
    cluster = Cluster(kubeconfig, name="east", ingress=(namespace,), ingress_address=("192.0.2.7",))
    registry, recorder = KubernetesRegistry(cluster, DOMAIN), Recorder()
    running = asyncio.create_task(registry.run(recorder))
    telling = asyncio.create_task(registry.tell(lambda: recorder.mistakes))
    try:
        await recorder.told("synced")
        await kube.put(f"{INGRESSES}/{namespace}/ingresses", "shop", ingress(namespace, {"name": "http"}))
        await eventually(lambda: len(recorder.declared) == 2, "it is a gateway and a route", timeout=DEADLINE)
        (problem,) = recorder.mistakes
        assert "has no port 'http'" in problem.message
        specs = {type(each.spec): each.spec for each in recorder.declared.values()}
        assert [each.port.number for each in specs[Gateway].servers] == [80, 443]
        assert specs[VirtualService].http[0].direct_response.status == 503
        await kube.put(f"/api/v1/namespaces/{namespace}/services", "web", service("web", namespace))

        def routed() -> bool:
            (route,) = (
                each.spec for each in recorder.declared.values() if isinstance(each.spec, VirtualService)
            )
            to = route.http[0].route
            return [(each.destination.host, each.destination.port) for each in to] == [
                (f"web.{namespace}.svc.{DOMAIN}", PortSelector(number=80))
            ]

        await eventually(routed, "it leads to the service", timeout=DEADLINE)
        assert recorder.mistakes == []

        async def said() -> bool:
            found = await kube.request("GET", f"{INGRESSES}/{namespace}/ingresses/shop")
            return bool(found["status"]["loadBalancer"] == {"ingress": [{"ip": "192.0.2.7"}]})

        await eventually(said, "it says where it is served", timeout=DEADLINE)
        await kube.delete(f"{INGRESSES}/{namespace}/ingresses/shop")
        await eventually(lambda: not recorder.declared, "it is gone", timeout=DEADLINE)
    finally:
        for task in (telling, running):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_without_a_right_to_ingresses_it_is_told_which(
    kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """One whose Ingresses may not be read does not come to be one without; one whose statuses may not be written lacks these
    alone.
    """
    kubeconfig = await account(kube, tmp_path, "rbac-ingress.yaml")
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/xdsd-ingress"
    whole = (await kube.request("GET", role))["rules"]
    resources = [each["resources"] for each in whole]
    assert resources == [["ingresses", "ingressclasses"], ["ingresses/status"]]
    await kube.put(f"{INGRESSES}/{namespace}/ingresses", "shop", ingress(namespace, {"number": 80}))
    cluster = Cluster(kubeconfig, name="east", ingress=(namespace,), ingress_address=("192.0.2.7",))
    registry, recorder = KubernetesRegistry(cluster, DOMAIN), Recorder()
    await kube.request("PATCH", role, {"rules": []})
    await is_answered(kube, kubeconfig, f"{INGRESSES}/{namespace}/ingresses", 403)
    running = asyncio.create_task(registry.run(recorder))
    telling = asyncio.create_task(registry.tell(lambda: recorder.mistakes))

    def said(words: str) -> bool:
        return any(words in each.message for each in recorder.mistakes)

    try:
        await recorder.told("stale")
        await eventually(lambda: said('cannot list resource "ingresses"'), "it is told", timeout=DEADLINE)
        assert "synced" not in recorder.log
        await kube.request("PATCH", role, {"rules": whole[:1]})
        await recorder.told("synced")
        why = "the status of ingresses is not written"
        await eventually(lambda: said(why), "it is told", timeout=DEADLINE)
        assert len(recorder.declared) == 2
        assert not said("cannot list")
    finally:
        for task in (telling, running):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await kube.request("PATCH", role, {"rules": whole})


async def test_a_right_to_one_secret_is_enough_to_give_that_one(
    kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """It follows the Secret; without the right to another, that one alone is missing, and is told."""
    await kube.namespace("istio-ingress")
    assert next(yaml.safe_load_all((DEPLOY / "rbac-secrets.yaml").read_text()))["rules"][0]["resourceNames"]
    kubeconfig = await account(kube, tmp_path, "rbac-secrets.yaml")
    secrets = "/api/v1/namespaces/istio-ingress/secrets"
    for name in ("shop-tls", "other"):
        made = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(b"one").decode() for key in ("tls.crt", "tls.key")},
        }
        await kube.put(secrets, name, made)
    cluster = Cluster(kubeconfig, name="east", secrets=("istio-ingress/shop-tls", "istio-ingress/other"))
    taken, recorder = Taken(), Recorder()
    running = asyncio.create_task(KubernetesRegistry(cluster, DOMAIN, secrets=taken).run(recorder))
    shop = CredentialName("istio-ingress", "shop-tls")
    try:
        await recorder.told("synced")
        assert list(taken.held) == [shop]
        (problem,) = recorder.mistakes
        assert problem.severity is Severity.WARNING
        assert "secrets istio-ingress/other" in problem.message
        assert "the servers that need it stay closed" in problem.message
        await kube.request("PATCH", f"{secrets}/shop-tls", {"data": {"tls.crt": "dHdv"}})
        await eventually(lambda: taken.held[shop]["tls.crt"] == b"two", "it follows", timeout=DEADLINE)
        await kube.delete(f"{secrets}/shop-tls")
        await eventually(lambda: not taken.held, "it is gone", timeout=DEADLINE)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
