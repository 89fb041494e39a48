"""Traffic to what a cluster runs: kubectl writes, the daemon watches, an Envoy carries.

The tests are the cluster's controllers and kubelets: they write the pods and slices that those would. Its pods are machines
with addresses of their own.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from api.client import Client
from tests.e2e.asking import accepted, ask, encoded, thing
from tests.e2e.fleet import bootstrap
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.kube import KubeServer, running_cluster
from tests.lab.load import Load
from tests.lab.netns import Machine
from tests.lab.ports import free_port
from tests.lab.relay import Relay
from tests.lab.switch import switched
from tests.registry.kubernetes.cluster import SLICES, backed_by, endpoint_slice, node, pod, service
from xdsd.registry.kubernetes.spread import ANNOTATION

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
RBAC = Path(__file__).parents[2] / "deploy" / "kubernetes" / "rbac.yaml"
HOST = "shop.default.svc.cluster.local"
CALLER = "127.0.0.9"
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"


@dataclass
class Shop:
    """A cluster with a service of two pods, v1 and v2, and a sidecar without redirection that calls it.

    What proves to the cluster who the daemon is, a certificate, outlives the cluster's data.
    """

    kube: KubeServer
    daemon: Daemon
    machines: Sequence[Machine]
    proxy: str

    async def serve(self, *numbers: int) -> None:
        """The endpoint controller finds these pods ready."""
        backends = [backed_by(f"shop-v{each}", self.machines[each - 1].address) for each in numbers]
        path = f"{SLICES}/namespaces/default/endpointslices"
        await self.kube.put(path, "shop-x", endpoint_slice("shop-x", "shop", backends))

    async def who(self, host: str = HOST) -> str:
        """Which pod answers; the status if none does."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://{host}/", proxy=self.proxy) as response,
        ):
            return (
                (await response.text()).partition("\n")[0] if response.status == 200 else str(response.status)
            )

    async def answers(self, *names: str, host: str = HOST) -> None:
        """Waits until these pods answer, and no other does."""

        async def holds() -> None:
            assert {await self.who(host) for _ in range(10)} == set(names)

        await eventually(holds, f"{names} answer")

    async def is_in(self, state: str) -> None:
        """Waits until the source is in this state."""

        async def holds() -> bool:
            listed = await self.daemon.xdsctl("registries", "kubernetes", "-o", "json", check=False)
            return f'"state": "{state}"' in listed

        await eventually(holds, f"the source is {state}", every=0.2)

    def load(self) -> Load:
        return Load(f"http://{HOST}/", rate=100, proxy=self.proxy)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    async with AsyncExitStack() as stack:
        machines = stack.enter_context(switched(2)).machines
        kube = await stack.enter_async_context(running_cluster(tmp_path_factory.mktemp("cluster")))
        kubeconfig = kube.certify(folder / "kubeconfig")
        for number, machine in enumerate(machines, 1):
            with machine.entered():
                await stack.enter_async_context(http_server(f"v{number}", machine.address, 8080))
        await fill(kube, machines)
        daemon = Daemon(folder, {"registry": f"kubernetes:{kubeconfig}?name=east"})
        await stack.enter_async_context(daemon)
        port = free_port()
        words = ("--type", "sidecar", "--name", "caller", "--address", CALLER)
        config = await bootstrap([daemon], *words, "--interception", "none", "--http-proxy-port", str(port))
        await stack.enter_async_context(Envoy(config, folder))
        yield Shop(kube, daemon, machines, f"http://127.0.0.1:{port}")


async def fill(kube: KubeServer, machines: Sequence[Machine]) -> None:
    """The cluster's people apply the service, and its nodes run the pods."""
    await kube.apply(node("one", "here", "a"), service("shop"))
    for number, machine in enumerate(machines, 1):
        await run_pod(kube, pod(f"shop-v{number}", machine.address, {"app": "shop", "version": f"v{number}"}))


async def run_pod(kube: KubeServer, made: Any) -> None:
    """The kubelet of a node runs a pod."""
    await kube.request("POST", PODS, made)
    await kube.request("PATCH", f"{PODS}/{made['metadata']['name']}/status", {"status": made["status"]})


async def test_a_service_is_called_by_its_name(shop: Shop) -> None:
    """In full, and by the short ones that the cluster's own programs use."""
    await shop.serve(1)
    for host in (HOST, "shop.default", "shop.default.svc", "shop"):
        await shop.answers("v1", host=host)


async def test_services_of_every_kind_are_called(shop: Shop) -> None:
    """One without addresses, and one that stands for another host, which is looked up; the others here have no selector."""
    await shop.serve(1)
    headless, pods = service("bare", clusterIP="None"), [backed_by("shop-v2", shop.machines[1].address)]
    await shop.kube.put(
        f"{SLICES}/namespaces/default/endpointslices", "bare", endpoint_slice("bare", "bare", pods)
    )
    port = free_port()
    ports = [{"name": "http", "port": port}]
    outside = service("outside", type="ExternalName", externalName="localhost", ports=ports)
    await shop.kube.apply(headless, outside)
    await shop.answers("v2", host="bare.default")
    async with http_server("elsewhere", "127.0.0.1", port):
        await shop.answers("elsewhere", host=f"outside.default:{port}")
    for path in (SERVICES, f"{SLICES}/namespaces/default/endpointslices"):
        for name in ("bare", "outside"):
            await shop.kube.delete(f"{path}/{name}")


async def test_a_slice_that_flips_fails_no_request(shop: Shop) -> None:
    """Pods come and go as the controller finds them ready."""
    await shop.serve(1)
    await shop.answers("v1")
    async with shop.load() as load:
        for _ in range(2):
            for numbers in ((1, 2), (2,), (1, 2), (1,)):
                await shop.serve(*numbers)
                await shop.answers(*(f"v{each}" for each in numbers))
    assert load.tally.failed == 0, str(load.tally)


async def test_labels_of_pods_are_subsets(shop: Shop) -> None:
    """A route by version reaches the pods of that version."""
    await shop.serve(1, 2)
    rule = {
        "host": HOST,
        "subsets": [{"name": "v2", "labels": {"version": "v2", "topology.istio.io/cluster": "east"}}],
    }
    route = {"hosts": [HOST], "http": [{"route": [{"destination": {"host": HOST, "subset": "v2"}}]}]}
    objects = encoded([thing("DestinationRule", "shop", rule), thing("VirtualService", "shop", route)])
    accepted(await ask(shop.daemon, partial(Client.apply, objects=objects)))
    await shop.answers("v2")
    for kind in ("virtualservice", "destinationrule"):
        await shop.daemon.xdsctl("delete", kind, "shop")
    await shop.answers("v1", "v2")


async def test_callers_prefer_their_own_node(shop: Shop) -> None:
    """While the service says so: all as long as no node of the caller is known, then what is there. The annotation stands
    for the field, which servers of this age do not have.
    """
    slices = f"{SLICES}/namespaces/default/endpointslices"
    behind = [
        backed_by(f"shop-v{number}", machine.address, topology={"kubernetes.io/hostname": f"node-{number}"})
        for number, machine in enumerate(shop.machines, 1)
    ]
    await shop.kube.put(slices, "near", endpoint_slice("near", "near", behind))
    await shop.kube.put(SERVICES, "near", service("near", annotations={ANNOTATION: "PreferSameNode"}))
    await shop.answers("v1", "v2", host="near.default")
    for number in (2, 1):
        await run_pod(shop.kube, pod(f"caller-{number}", CALLER, node=f"node-{number}"))
        await shop.answers(f"v{number}", host="near.default")
        await shop.kube.delete(f"{PODS}/caller-{number}")
        await shop.answers("v1", "v2", host="near.default")
    for path in (f"{SERVICES}/near", f"{slices}/near"):
        await shop.kube.delete(path)


_AS_A_POD = """
mount -t tmpfs none /run
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
mount --bind "$1" /var/run/secrets/kubernetes.io/serviceaccount
shift
exec env "$@"
"""


def put_token(folder: Path, token: str) -> None:
    """As kubelets do: beside the one that is there, by a link that is turned."""
    fresh = folder / f"..{len(list(folder.iterdir()))}"
    fresh.mkdir()
    (fresh / "token").write_text(token)
    (folder / "..new").symlink_to(fresh.name)
    (folder / "..new").rename(folder / "..data")


@pytest_asyncio.fixture(loop_scope="module")
async def mounted(shop: Shop, tmp_path: Path) -> Path:
    """What a pod of the account of the manifest is given: its token, and who signed the server's certificate."""
    await shop.kube.kubectl("apply", "-f", RBAC)
    folder = tmp_path / "mounted"
    folder.mkdir()
    put_token(folder, await shop.kube.account("xdsd", "xdsd"))
    (folder / "token").symlink_to("..data/token")
    (folder / "ca.crt").write_bytes(shop.kube.ca.read_bytes())
    return folder


async def test_a_daemon_in_a_pod_needs_no_kubeconfig(shop: Shop, mounted: Path, tmp_path: Path) -> None:
    """It finds the server by what every pod is given, and goes on by the next token once the server refuses the first."""
    await shop.serve(1)
    async with Relay(shop.kube.port) as wire:
        daemon = Daemon(tmp_path / "pod", {"registry": "kubernetes"})
        server = ("KUBERNETES_SERVICE_HOST=127.0.0.1", f"KUBERNETES_SERVICE_PORT={wire.port}")
        daemon.program.command[:0] = [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            _AS_A_POD,
            "pod",
            str(mounted),
            *server,
        ]

        async def knows(number: int) -> None:
            listed = await daemon.xdsctl("get", "endpoints", "shop.default", "--no-headers")
            assert [line.split()[1] for line in listed.splitlines()] == [shop.machines[number - 1].address]

        async with daemon:
            await eventually(lambda: knows(1), "it knows what the cluster has", every=0.2)
            first = (mounted / "token").read_text()
            await shop.kube.delete("/api/v1/namespaces/xdsd/serviceaccounts/xdsd")
            put_token(mounted, await shop.kube.account("xdsd", "xdsd"))

            async def refused() -> bool:
                return await shop.kube.status("/api/v1/services", first) == 401

            await eventually(refused, "the server remembers for ten seconds", every=0.5)
            await wire.cut()
            await wire.mend()
            await shop.serve(2)
            await eventually(lambda: knows(2), "it goes on by the other token", every=0.2)
            assert "does not take what proves who we are" not in daemon.program.tail(200)


async def test_an_apiserver_that_restarts_fails_no_request(shop: Shop) -> None:
    """While it is away all stays as it was; what it says when it is back counts."""
    await shop.serve(1)
    await shop.answers("v1")
    async with shop.load() as load:
        known = len(shop.daemon.events("unavailable"))
        await shop.kube.stop()
        await eventually(lambda: len(shop.daemon.events("unavailable")) > known, "the daemon notices")
        await load.more(50)
        await shop.kube.start()
        await shop.serve(2)
        await shop.answers("v2")
    assert load.tally.failed == 0, str(load.tally)


async def test_a_cluster_that_is_restored_from_a_backup_fails_no_request(shop: Shop, tmp_path: Path) -> None:
    """Its revisions go back. What it says then is served beside what was known since, until a controller says more."""
    await shop.serve(1)
    await shop.answers("v1")
    backup = tmp_path / "backup"
    await shop.kube.etcd.etcdctl("snapshot", "save", str(backup))
    await shop.serve(2)
    await shop.answers("v2")
    async with shop.load() as load:
        await shop.kube.stop()
        await shop.kube.etcd.restore(backup)
        await shop.kube.start()
        await shop.is_in("HOLDING")
        await shop.answers("v1", "v2")
        await shop.serve(2)
        await shop.answers("v2")
        await shop.is_in("SYNCED")
    assert load.tally.failed == 0, str(load.tally)


async def test_a_cluster_that_is_made_anew_fails_no_request(shop: Shop) -> None:
    """It is another one, without anything; what it is told of again is what it is then, and nothing is kept any more."""
    await shop.serve(1, 2)
    await shop.answers("v1", "v2")
    async with shop.load() as load:
        await shop.kube.empty()
        await shop.is_in("HOLDING")

        async def told() -> None:
            said = await shop.daemon.xdsctl("problems", check=False)
            assert "the cluster came back as another one, without them: they are let go at 20" in said

        await eventually(told, "it is told what is kept", every=0.2)
        await load.more(50)
        await shop.answers("v1", "v2")
        # As controllers do, which name slices by chance.
        made = endpoint_slice("shop-y", "shop", [backed_by("shop-v1", shop.machines[0].address)])
        await shop.kube.request("POST", f"{SLICES}/namespaces/default/endpointslices", made)
        await fill(shop.kube, shop.machines)
        await shop.kube.kubectl("apply", "-f", RBAC)  # its namespace may have been there
        await shop.answers("v1", "v2")
        await shop.serve(2)
        await shop.is_in("SYNCED")
        await shop.answers("v1", "v2")
        await shop.kube.delete(f"{SLICES}/namespaces/default/endpointslices/shop-y")
        await shop.answers("v2")
    assert load.tally.failed == 0, str(load.tally)
