"""A real cluster: the rights that it takes, and what it does on its own that a registry has to live with."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contracts.registry import DEADLINE, Recorder, running
from tests.lab.eventually import eventually
from tests.lab.kube import KubeServer
from tests.lab.relay import Relay
from tests.registry.kubernetes.cluster import (
    DOMAIN,
    SLICES,
    ClusterPlatform,
    backed_by,
    endpoint_slice,
    is_answered,
    node,
    pod,
    service,
)
from xdsd.model.catalog import Endpoint, ServiceKey, WorkloadKey
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("kubernetes"),
]
RBAC = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac.yaml"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/xdsd-registry"
LISTS = {"services": "/api/v1", "endpointslices": SLICES}


def registry(kubeconfig: Path, *namespaces: str, **options: Any) -> KubernetesRegistry:
    return KubernetesRegistry(Cluster(kubeconfig, namespaces=namespaces, **options), DOMAIN)


async def account(kube: KubeServer, folder: Path) -> Path:
    """The kubeconfig of the service account of the manifest, with its rights."""
    await kube.kubectl("apply", "-f", RBAC)
    return kube.write_kubeconfig(folder / "account.yaml", await kube.account("xdsd", "xdsd"))


async def shop(kube: KubeServer, namespace: str) -> ServiceKey:
    """A service with a pod on a node that stands somewhere."""
    await kube.put("/api/v1/nodes", "one", node("one", "r", "z"))
    made = pod("a-1", "10.1.0.1", {"app": "a"}, namespace, account="web")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await kube.request("POST", pods, made)
    await kube.request("PATCH", f"{pods}/a-1/status", {"status": made["status"]})
    await kube.put(f"/api/v1/namespaces/{namespace}/services", "a", service("a", namespace))
    slices = f"{SLICES}/namespaces/{namespace}/endpointslices"
    behind = endpoint_slice("a-x", "a", [backed_by("a-1", "10.1.0.1", namespace)], namespace)
    await kube.put(slices, "a-x", behind)
    return ServiceKey(namespace, f"a.{namespace}.svc.{DOMAIN}")


def warnings(sink: Recorder) -> str:
    return "\n".join(map(str, sink.mistakes))


async def test_the_rights_of_the_manifest_are_enough(
    kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """A service account with exactly these reads everything of every namespace, without a word of complaint."""
    kubeconfig = await account(kube, tmp_path)
    key = await shop(kube, namespace)
    async with running(registry(kubeconfig, name="east", network="net")) as sink:
        await sink.told("synced")
        labels = {"app": "a", "topology.istio.io/cluster": "east"}
        assert sink.catalog.endpoints(key) == (
            Endpoint("10.1.0.1", {}, labels, "r/z", 1, "net", "web", node="east/one"),
        )
        found = {item.key: item for change in sink.changes for item in change.workloads}
        assert found[WorkloadKey(namespace, "a-1")].endpoint.address == "10.1.0.1"
        described = sink.catalog.service(key)
        assert described is not None
        assert described.addresses[0].startswith("10.96.")
        assert described.source == "kubernetes:east"
        assert described.created.startswith("20")
        assert sink.mistakes == []


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("pods", Endpoint("10.1.0.1", locality="r/z", node="one")),
        ("nodes", Endpoint("10.1.0.1", labels={"app": "a"}, service_account="web", node="one")),
        (
            "namespaces",
            Endpoint("10.1.0.1", labels={"app": "a"}, locality="r/z", service_account="web", node="one"),
        ),
    ],
)
async def test_a_right_less_is_said_and_the_rest_served(
    kube: KubeServer, namespace: str, tmp_path: Path, resource: str, expected: Endpoint
) -> None:
    """The problem names the right; what does not need it is there, and all of it once the right is given."""
    kubeconfig = await account(kube, tmp_path)
    key = await shop(kube, namespace)
    rules = next(
        each["rules"] for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "ClusterRole"
    )
    less = [rule for rule in rules if rule["resources"] != [resource]]
    assert len(less) == len(rules) - 1
    await kube.request("PATCH", ROLE, {"rules": less})
    await is_answered(kube, kubeconfig, f"/api/v1/{resource}", 403)
    # The slice names the node itself, as a controller would: then it is known without the pod.
    slices = f"{SLICES}/namespaces/{namespace}/endpointslices"
    behind = backed_by("a-1", "10.1.0.1", namespace, topology={"kubernetes.io/hostname": "one"})
    await kube.put(slices, "a-x", endpoint_slice("a-x", "a", [behind], namespace))
    try:
        async with running(registry(kubeconfig)) as sink:
            await sink.told("synced")
            assert f'cannot list resource "{resource}"' in warnings(sink)
            assert sink.mistakes[0].file == registry(kubeconfig).name
            assert sink.catalog.endpoints(key) == (expected,)
            await kube.request("PATCH", ROLE, {"rules": rules})
            await eventually(lambda: not warnings(sink), "the right is used", timeout=DEADLINE)
            (whole,) = await eventually(
                lambda: sink.catalog.endpoints(key)[:1], "the endpoint is there", timeout=DEADLINE
            )
            await eventually(
                lambda: all(each.labels and each.locality for each in sink.catalog.endpoints(key)),
                f"{whole} is whole",
                timeout=DEADLINE,
            )
    finally:
        await kube.request("PATCH", ROLE, {"rules": rules})


@pytest.mark.parametrize("resource", ["services", "endpointslices"])
async def test_without_services_nothing_is_published(kube: KubeServer, tmp_path: Path, resource: str) -> None:
    """A cluster whose services may not be read is not one without services."""
    kubeconfig = await account(kube, tmp_path)
    rules = next(
        each["rules"] for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "ClusterRole"
    )
    await kube.request("PATCH", ROLE, {"rules": [rule for rule in rules if rule["resources"] != [resource]]})
    await is_answered(kube, kubeconfig, f"{LISTS[resource]}/{resource}", 403)
    try:
        async with running(registry(kubeconfig)) as sink:
            await sink.told("stale")
            await eventually(lambda: "cannot list" in warnings(sink), "it says why", timeout=DEADLINE)
            assert sink.log == ["stale"]
            await kube.request("PATCH", ROLE, {"rules": rules})
            await sink.told("synced")
            await eventually(lambda: not warnings(sink), "nothing is missing", timeout=DEADLINE)
    finally:
        await kube.request("PATCH", ROLE, {"rules": rules})


async def test_rights_in_a_namespace_are_enough_for_it(
    kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """Of nodes and namespaces, which are the cluster's, a warning says that they may not be read."""
    key = await shop(kube, namespace)
    rules = next(
        each["rules"] for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "ClusterRole"
    )
    group = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    role = {"kind": "Role", "metadata": {"name": "reader"}, "rules": rules}
    await kube.request("POST", f"{group}/roles", role)
    account = {"kind": "ServiceAccount", "name": "narrow", "namespace": namespace}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    binding = {"kind": "RoleBinding", "metadata": {"name": "reader"}, "roleRef": ref, "subjects": [account]}
    await kube.request("POST", f"{group}/rolebindings", binding)
    kubeconfig = kube.write_kubeconfig(tmp_path / "narrow", await kube.account(namespace, "narrow"))
    async with running(registry(kubeconfig, namespace)) as sink:
        await sink.told("synced")
        assert sink.catalog.endpoints(key) == (
            Endpoint("10.1.0.1", labels={"app": "a"}, service_account="web", node="one"),
        )
        assert sorted(str(each).partition(": ")[2].partition(":")[0] for each in sink.mistakes) == [
            "namespaces",
            "nodes",
        ]


async def test_clusters_are_watched_side_by_side(kube: KubeServer, namespace: str, tmp_path: Path) -> None:
    """Each says what it has under its own name and network, and one that is away stops no other."""
    async with KubeServer(tmp_path / "west", kube.etcd, prefix="/west") as west:
        await west.namespace(namespace)
        found = []
        async with AsyncExitStack() as stack:
            for number, (cluster, name) in enumerate(((kube, "east"), (west, "west")), 1):
                slices = f"{SLICES}/namespaces/{namespace}/endpointslices"
                made = endpoint_slice("a", "a", [f"10.{number}.0.1"], namespace)
                await cluster.put(slices, "a", made)
                await cluster.put(f"/api/v1/namespaces/{namespace}/services", "a", service("a", namespace))
                source = registry(cluster.kubeconfig, namespace, name=name, network=f"net-{name}")
                assert source.name == f"kubernetes:{name}"
                found.append(await stack.enter_async_context(running(source)))
            here, there = found
            key = ServiceKey(namespace, f"a.{namespace}.svc.{DOMAIN}")
            for sink, name, number in ((here, "east", 1), (there, "west", 2)):
                await sink.told("synced")
                labels = {"topology.istio.io/cluster": name}
                assert sink.catalog.endpoints(key) == (
                    Endpoint(f"10.{number}.0.1", labels=labels, network=f"net-{name}"),
                )
            await west.stop()
            await there.told("stale")
            await kube.put(slices, "a", endpoint_slice("a", "a", ["10.1.0.2"], namespace))
            await here.sees({key: ["10.1.0.2"]})
            assert there.services() == {key: ["10.2.0.1"]}
            assert "stale" not in here.log


async def test_a_server_that_hangs_is_stale_until_it_answers(
    kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """Connections that stay open and say nothing are found out, and what was missed meanwhile is told."""
    async with Relay(kube.port) as relay:
        kubeconfig = kube.write_kubeconfig(tmp_path / "kubeconfig", "admin-of-the-lab", port=relay.port)
        platform = ClusterPlatform(kube, namespace, relay, kubeconfig)
        await platform.declare("a", ["10.0.0.1"])
        cluster = Cluster(kubeconfig, namespaces=(namespace,))
        async with running(KubernetesRegistry(cluster, DOMAIN, probe=0.5)) as sink:
            await sink.told("synced")
            told = sink.log.count("stale"), sink.log.count("synced")
            relay.hang()
            await sink.told("stale", told[0] + 1)
            await platform.declare("a", ["10.0.0.2"])
            await relay.mend()
            await sink.told("synced", told[1] + 1)
            await sink.sees({platform.key("a"): ["10.0.0.2"]})


async def test_a_watch_is_taken_up_where_it_was(kube: KubeServer, namespace: str, tmp_path: Path) -> None:
    """A connection that ends is no outage while there is another: nothing is said but what changed."""
    async with Relay(kube.port) as relay:
        kubeconfig = kube.write_kubeconfig(tmp_path / "kubeconfig", "admin-of-the-lab", port=relay.port)
        platform = ClusterPlatform(kube, namespace, relay, kubeconfig)
        await platform.declare("a", ["10.0.0.1"])
        cluster = Cluster(kubeconfig, namespaces=(namespace,))
        async with running(KubernetesRegistry(cluster, DOMAIN, brief=0.0)) as sink:
            await sink.told("synced")
            await relay.drop()
            await platform.declare("a", ["10.0.0.2"])
            await sink.sees({platform.key("a"): ["10.0.0.2"]})
            assert sink.log == ["change", "synced", "change"]


async def test_a_token_that_is_over_is_read_again_from_its_file(
    kube: KubeServer, namespace: str, tmp_path: Path
) -> None:
    """The server does not take the one any more that was there at the start; the file has another, and that is no outage."""
    await kube.kubectl("apply", "-f", RBAC)
    async with Relay(kube.port) as relay:
        token = await kube.account("xdsd", "xdsd")
        path = kube.write_kubeconfig(tmp_path / "kubeconfig", "", port=relay.port)
        config = yaml.safe_load(path.read_text())
        config["users"][0]["user"] = {"tokenFile": "token"}
        path.write_text(yaml.safe_dump(config))
        (tmp_path / "token").write_text(token)
        platform = ClusterPlatform(kube, namespace, relay, path)
        await platform.declare("a", ["10.0.0.1"])
        cluster = Cluster(path, namespaces=(namespace,))
        async with running(KubernetesRegistry(cluster, DOMAIN, probe=60, brief=0.0)) as sink:
            await sink.told("synced")
            await kube.delete("/api/v1/namespaces/xdsd/serviceaccounts/xdsd")
            (tmp_path / "token").write_text(await kube.account("xdsd", "xdsd"))

            async def refused() -> bool:
                return await kube.status("/api/v1/namespaces/default", token) == 401

            await eventually(refused, "the server remembers for ten seconds", every=0.5)
            await relay.drop()
            await platform.declare("a", ["10.0.0.2"])
            await sink.sees({platform.key("a"): ["10.0.0.2"]})
            assert "stale" not in sink.log


async def test_long_lists_come_in_chunks(kube: KubeServer, namespace: str) -> None:
    """All of them are one list, whatever happens between the chunks."""
    names = [f"s{number}" for number in range(300)]
    objects = [service(name, namespace, clusterIP="None") for name in names]
    await kube.apply(*objects)
    async with running(registry(kube.kubeconfig, namespace)) as sink:
        await sink.told("synced")
        assert {key.hostname.partition(".")[0] for key in sink.services()} == set(names)
