"""Custom resources on a real API server: the manifest of kinds, the rights, what is read, and what is written back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.contracts.registry import DEADLINE, Recorder
from tests.lab.eventually import eventually
from tests.lab.kube import KubeServer
from tests.registry.kubernetes.cluster import DOMAIN, is_answered
from xdsd.manifest import object_to_dict, parse_manifest
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("kubernetes"),
]
DEPLOY = Path(__file__).parents[3] / "deploy" / "kubernetes"
NETWORKING = "/apis/networking.istio.io/v1beta1"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def kinds(kube: KubeServer) -> KubeServer:
    """The cluster with the kinds of the manifest."""
    await kube.kubectl("apply", "-f", DEPLOY / "crds.yaml")

    async def served() -> bool:
        listed = await kube.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        return len(listed["items"]) == len(KINDS) and all(
            {"type": "Established", "status": "True"}
            in [{key: each[key] for key in ("type", "status")} for each in item["status"]["conditions"]]
            for item in listed["items"]
        )

    await eventually(served, "every kind is served", timeout=DEADLINE)
    return kube


def rule(name: str, host: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "DestinationRule",
        "metadata": {"name": name},
        "spec": {"host": host},
    }


@contextlib.asynccontextmanager
async def watched(kubeconfig: Path, *intent: str) -> AsyncIterator[tuple[KubernetesRegistry, Recorder]]:
    """A registry that brings intent, synced."""
    registry = KubernetesRegistry(Cluster(kubeconfig, name="east", intent=intent), DOMAIN)
    recorder = Recorder()
    task = asyncio.create_task(registry.run(recorder))
    try:
        await recorder.told("synced")
        yield registry, recorder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def account(kube: KubeServer, folder: Path) -> Path:
    """The kubeconfig of the service account of the manifests, with its rights."""
    await kube.kubectl("apply", "-f", DEPLOY / "rbac.yaml", "-f", DEPLOY / "rbac-intent.yaml")
    return kube.write_kubeconfig(folder / "account.yaml", await kube.account("xdsd", "xdsd"))


async def accepted(kube: KubeServer, path: str) -> tuple[str, int]:
    """What the condition of ours says, and of which generation; empty and 0 while it is not there."""
    found = await kube.request("GET", path)
    conditions = found.get("status", {}).get("conditions", [])
    own: dict[str, Any] = next((each for each in conditions if each["type"] == "Accepted"), {})
    return own.get("status", ""), own.get("observedGeneration", 0)


def without_empty(value: Any) -> Any:
    """A server of this age that a compiler of today made takes an empty text for null, which its own did not."""
    if isinstance(value, dict):
        return {key: without_empty(each) for key, each in value.items() if each != ""}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


async def test_without_a_kind_there_is_none_of_it_and_nothing_is_missing(
    kube: KubeServer, namespace: str
) -> None:
    """A cluster that knows no custom resources is one without intent; this stands first, before the kinds are applied."""
    async with watched(kube.kubeconfig, namespace) as (_, recorder):
        assert recorder.declared == {}
        assert recorder.mistakes == []


async def test_what_kubectl_applies_is_intent_and_its_status_says_what_became_of_it(
    kinds: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """With the rights of the manifest: an object comes, is mended, and goes; a mistake stands in its status, and is written
    once.
    """
    path = f"{NETWORKING}/namespaces/{namespace}/destinationrules"
    async with watched(await account(kinds, tmp_path), namespace) as (registry, recorder):
        ref, odd = (ObjectRef("DestinationRule", namespace, name) for name in ("a", "odd"))
        telling = asyncio.create_task(registry.tell(lambda: recorder.mistakes))
        try:
            await kinds.put(path, "a", rule("a", "shop"))
            misspelled = {**rule("odd", "shop"), "spec": {"host": "shop", "hots": ["shop"]}}
            await kinds.put(path, "odd", misspelled)
            await eventually(lambda: ref in recorder.declared, "it is intent", timeout=DEADLINE)

            async def said(name: str, status: str, generation: int) -> None:
                async def holds() -> bool:
                    return await accepted(kinds, f"{path}/{name}") == (status, generation)

                await eventually(holds, f"{name} is accepted: {status}", timeout=DEADLINE)

            await said("a", "True", 1)
            await said("odd", "False", 1)
            (problem,) = recorder.mistakes
            assert (problem.object, problem.path, problem.file) == (odd, "spec.hots", "kubernetes:east")
            assert odd not in recorder.declared
            before = (await kinds.request("GET", f"{path}/a"))["metadata"]["resourceVersion"]
            await kinds.request("PATCH", f"{path}/odd", {"spec": {"hots": None}})
            await said("odd", "True", 2)
            assert recorder.mistakes == []
            assert (await kinds.request("GET", f"{path}/a"))["metadata"]["resourceVersion"] == before
            assert recorder.declared[ref].metadata.creation_timestamp
            quiet = {
                "kind": "Telemetry",
                "metadata": {"name": "quiet"},
                "spec": {"accessLogging": [{"disabled": True}]},
            }
            telemetries = f"/apis/telemetry.istio.io/v1alpha1/namespaces/{namespace}/telemetries"
            await kinds.put(telemetries, "quiet", {"apiVersion": "telemetry.istio.io/v1alpha1", **quiet})
            also = ObjectRef("Telemetry", namespace, "quiet")
            await eventually(lambda: also in recorder.declared, "another group's is intent", timeout=DEADLINE)

            async def taken() -> bool:
                return await accepted(kinds, f"{telemetries}/quiet") == ("True", 1)

            await eventually(taken, "its status says so", timeout=DEADLINE)
            await kinds.delete(f"{path}/a")
            await eventually(lambda: ref not in recorder.declared, "it is gone", timeout=DEADLINE)
        finally:
            telling.cancel()


async def test_each_right_of_the_manifest_is_used_and_without_one_to_read_nothing_is_said_to_be_known(
    kinds: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """A cluster whose policies may not be read does not come to be one without policies."""
    kubeconfig = await account(kinds, tmp_path)
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles/xdsd-intent"
    whole = next(yaml.safe_load_all((DEPLOY / "rbac-intent.yaml").read_text()))
    rules = [item for item in whole["rules"] if "authorizationpolicies" not in item["resources"]]
    await kinds.request("PATCH", roles, {"rules": rules})
    policies = f"/apis/{KINDS['AuthorizationPolicy'].preferred}/authorizationpolicies"
    await is_answered(kinds, kubeconfig, policies, 403)
    registry = KubernetesRegistry(Cluster(kubeconfig, name="east", intent=(namespace,)), DOMAIN)
    recorder = Recorder()
    task = asyncio.create_task(registry.run(recorder))
    try:
        await recorder.told("stale")
        assert "synced" not in recorder.log
        await eventually(
            lambda: any(
                'cannot list resource "authorizationpolicies"' in each.message for each in recorder.mistakes
            ),
            "it is told which right is missing",
            timeout=DEADLINE,
        )
        await kinds.request(
            "PATCH", roles, {"rules": [each for each in whole["rules"] if "list" in each["verbs"]]}
        )
        await recorder.told("synced")
        await kinds.put(f"{NETWORKING}/namespaces/{namespace}/destinationrules", "mute", rule("mute", "a"))
        telling = asyncio.create_task(registry.tell(lambda: recorder.mistakes))
        try:
            await eventually(
                lambda: (
                    [each.message.partition(":")[0] for each in recorder.mistakes]
                    == ["the status of destinationrules is not written"]
                ),
                "it is told that statuses may not be written",
                timeout=DEADLINE,
            )
        finally:
            telling.cancel()
        assert [ref.name for ref in recorder.declared] == ["mute"]
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await kinds.request("PATCH", roles, {"rules": whole["rules"]})


async def test_every_kind_is_served_by_a_structural_schema(kinds: KubeServer) -> None:
    """The server finds nothing wrong with the manifest."""
    listed = await kinds.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    names = {item["metadata"]["name"] for item in listed["items"]}
    assert {f"{kind.plural}.{kind.group}" for kind in KINDS.values()} <= names
    wrong = [
        (item["metadata"]["name"], each["type"], each.get("message"))
        for item in listed["items"]
        for each in item["status"]["conditions"]
        if (each["type"], each["status"]) not in {("Established", "True"), ("NamesAccepted", "True")}
    ]
    assert wrong == []


async def test_a_field_that_nobody_knows_is_kept_for_the_daemon_to_tell(
    kinds: KubeServer, namespace: str
) -> None:
    """The server drops nothing without a word, at no depth."""
    made = await kinds.request(
        "POST",
        f"{NETWORKING}/namespaces/{namespace}/destinationrules",
        {**rule("kept", "a"), "spec": {"host": "a", "trafficPolicy": {"tils": {"mode": "SIMPLE"}}}},
    )
    assert made["spec"]["trafficPolicy"] == {"tils": {"mode": "SIMPLE"}}


async def test_every_sample_that_the_daemon_takes_the_server_takes_too(
    kinds: KubeServer, namespace: str
) -> None:
    """The schemas refuse nothing that is valid."""
    folder = Path(__file__).parents[2] / "manifest" / "data" / "full"
    parsed = [
        each
        for path in sorted(folder.glob("*.yaml"))
        for each in parse_manifest(path.read_bytes(), "").objects
    ]
    assert len({each.object.kind for each in parsed}) > 5
    for number, each in enumerate(parsed):
        kind, made = KINDS[each.object.kind], object_to_dict(each.object)
        made["metadata"] = {"name": f"sample-{number}"}
        made["spec"] = without_empty(made["spec"])
        await kinds.request("POST", f"/apis/{kind.preferred}/namespaces/{namespace}/{kind.plural}", made)
