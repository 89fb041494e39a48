"""What a cluster says beyond services, as a whole daemon and a gateway take it: Ingresses, Secrets and custom resources.

One cluster, daemon and gateway are for all tests, in order: the gateway listens on 80 and 443 of an address of its own.
"""

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from tests.e2e.test_secrecy import forms, read_all
from tests.lab.certificates import Authority, Pair
from tests.lab.daemon import Daemon, xdsctl
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.etcd import run
from tests.lab.eventually import eventually
from tests.lab.kube import KubeServer, running_cluster
from tests.lab.load import Load
from tests.lab.ports import free_ports
from tests.registry.kubernetes.cluster import SLICES, endpoint_slice, service

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
DEPLOY = Path(__file__).parents[2] / "deploy" / "kubernetes"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
SECRETS = "/api/v1/namespaces/istio-ingress/secrets"
OPTIONS = (
    "name=east&intent=all&ingress=all&ingress-address=192.0.2.7"
    "&secrets=istio-ingress/shop-tls,istio-ingress/bank-tls"
)
SHOP, BANK, OTHER = "shop.example", "bank.example", "other.example"
LATER = 60.0


@dataclass
class Edge:
    """A cluster with Ingresses and a program, a daemon that takes them, and a gateway."""

    kube: KubeServer
    daemon: Daemon
    envoy: Envoy
    authority: Authority
    address: str

    async def shown(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind, as data."""
        return list(json.loads(await self.daemon.xdsctl("get", kind, "-A", "-o", "json"))["items"])

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.cert))

    async def ask(self, host: str, path: str = "/") -> tuple[str, list[str]]:
        """The first line that is answered over TLS, and the names in the certificate that is shown."""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(
                self.address, 443, ssl=self.trusting(), server_hostname=host
            )
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
                answer = (await reader.read()).decode()
                shown = writer.get_extra_info("peercert")
            finally:
                writer.close()
        assert answer.startswith("HTTP/1.1 200"), answer or "the gateway closed without a word"
        body = answer.partition("\r\n\r\n")[2]
        return next(each for each in ("web", "routed") if each in body), [
            name for _, name in shown["subjectAltName"]
        ]

    async def closed(self, host: str) -> bool:
        """Whether nobody is let in under a name."""
        try:
            await self.ask(host)
        except (OSError, AssertionError, ssl.SSLError):
            return True
        return False

    async def plain(self, host: str, path: str = "/") -> tuple[int, str]:
        """The status and the first line that is answered without TLS."""
        url = f"http://{self.address}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"host": host}) as response:
            return response.status, (await response.text()).partition("\n")[0]

    async def secret(self, name: str, pair: Pair) -> None:
        data = {"tls.crt": pair.cert, "tls.key": pair.key}
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(file.read_bytes()).decode() for key, file in data.items()},
        }
        await self.kube.put(SECRETS, name, body)

    async def says(self, resource: str, status: str, message: str) -> None:
        """Waits until the status of a custom resource says so, by our condition, with these words in some message."""
        path = f"/apis/networking.istio.io/v1/namespaces/default/{resource}"

        async def holds() -> None:
            said = (await self.kube.request("GET", path)).get("status", {})
            conditions = [(each["type"], each["status"]) for each in said.get("conditions", ())]
            assert conditions == [("Accepted", status)], said
            assert message in str(said), said

        await eventually(holds, f"{resource} is accepted: {status}", timeout=LATER, every=0.2)


def custom(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": dict(spec),
    }


def ingress(name: str, host: str) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {
            "ingressClassName": "xdsd",
            "rules": [rule],
            "tls": [{"hosts": [host], "secretName": f"{name}-tls"}],
        },
    }


async def own_address() -> str:
    """An address of this machine that is not of loopback, which an API server takes for an endpoint's."""
    return (await run("hostname", "-I")).split()[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    xds, program = free_ports(2)
    authority, here = Authority(folder / "pki"), await own_address()
    address = f"127.88.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(running_cluster(tmp_path_factory.mktemp("cluster")))
        await kube.namespace("istio-ingress")
        manifests = ("rbac.yaml", "rbac-intent.yaml", "rbac-ingress.yaml", "rbac-secrets.yaml", "crds.yaml")
        await kube.kubectl("apply", *(word for each in manifests for word in ("-f", DEPLOY / each)))
        kubeconfig = kube.write_kubeconfig(folder / "kubeconfig", await kube.account("xdsd", "xdsd"))
        await stack.enter_async_context(http_server("web", here, program))
        ports = [{"name": "http", "port": program}]
        await kube.put(
            f"{SLICES}/namespaces/default/endpointslices",
            "web",
            endpoint_slice("web", "web", [here], ports=ports),
        )
        await kube.put("/api/v1/namespaces/default/services", "web", service("web"))
        for name, host in (("shop", SHOP), ("bank", BANK), ("other", OTHER)):
            await kube.put(INGRESSES, name, ingress(name, host))
        daemon = Daemon(
            folder,
            {"registry": f"kubernetes:{kubeconfig}?{OPTIONS}", "xds-tls-address": f"127.0.0.1:{xds}"},
        )
        await stack.enter_async_context(daemon)
        token, root, who = (
            folder / "token",
            folder / "root.pem",
            ("-n", "istio-ingress", "--service-account", "gateway"),
        )
        await daemon.xdsctl("ca", "bundle", "--out", root)
        await daemon.xdsctl("token", "create", *who, "--ttl", "1h", "--out", token)
        boot = await daemon.xdsctl(
            *("bootstrap", "--type", "router", "--name", "edge", *who, "--labels", "istio=ingressgateway"),
            *("--root", root, "--join-token-file", token, "--xds-address", f"127.0.0.1:{xds}"),
            *("--outbound-bind", address, "-o", "json"),
        )
        envoy = await stack.enter_async_context(Envoy(json.loads(boot), folder))
        yield Edge(kube, daemon, envoy, authority, address)


async def test_an_ingress_is_shown_as_what_it_means_with_its_source(edge: Edge) -> None:
    """A Gateway and a VirtualService, once; the Ingress says where it is served."""
    made = [
        each
        for kind in ("gateways", "virtualservices")
        for each in await edge.shown(kind)
        if each["metadata"]["annotations"]["xdsd.io/ingress"] == "default/shop"
    ]
    assert [each["kind"] for each in made] == ["Gateway", "VirtualService"]
    assert {each["metadata"]["annotations"]["xdsd.io/source"] for each in made} == {"kubernetes:east"}
    route = made[1]["spec"]["http"][0]["route"][0]["destination"]
    assert route["host"] == "web.default.svc.cluster.local"

    async def said() -> bool:
        found = await edge.kube.request("GET", f"{INGRESSES}/shop")
        return bool(found["status"]["loadBalancer"] == {"ingress": [{"ip": "192.0.2.7"}]})

    await eventually(said, "the Ingress says where it is served", timeout=LATER)


async def test_a_secret_of_the_cluster_opens_its_server_and_no_other(edge: Edge) -> None:
    """Without TLS the host is served from the start; by the Secret also with it. One that may not be read, and one that is
    not among those that may be given, leave their servers closed, which is told.
    """

    async def served() -> None:
        assert await edge.plain(SHOP) == (200, "web")

    await eventually(served, "the host is served without TLS", timeout=LATER)
    assert await edge.closed(SHOP)
    for name, host in (("shop", SHOP), ("bank", BANK), ("other", OTHER)):
        await edge.secret(f"{name}-tls", edge.authority.issue(name, f"DNS:{host}"))

    async def opened() -> None:
        assert await edge.ask(SHOP) == ("web", [SHOP])

    await eventually(opened, "the host is served with TLS", timeout=LATER)
    assert await edge.closed(BANK)
    assert await edge.closed(OTHER)
    assert await edge.plain(OTHER) == (200, "web")
    told = await edge.daemon.xdsctl("problems")
    assert "there is no secret istio-ingress/other-tls" in told
    assert "there is no secret istio-ingress/bank-tls" in told
    assert 'cannot list resource "secrets"' in told
    assert "there is no secret istio-ingress/shop-tls" not in told


async def test_a_secret_that_is_replaced_reaches_the_gateway_and_drops_nothing(edge: Edge) -> None:
    """Neither a request on a connection that stays nor a new one fails, and no listener is made anew; what cannot be used is
    told, and the one before goes on.
    """
    await edge.secret("shop-tls", edge.authority.issue("first", f"DNS:{SHOP}", "DNS:first.example"))

    async def opened() -> None:
        assert "first.example" in (await edge.ask(SHOP))[1]

    await eventually(opened, "the host is served with TLS", timeout=LATER)
    url, updates = f"https://{edge.address}/", "listener_manager.lds.update_success"
    before = await edge.envoy.stat(updates)
    loads = [
        Load(
            url,
            headers={"host": SHOP},
            tls=edge.trusting(),
            server_name=SHOP,
            keep_alive=keep_alive,
            rate=40,
            concurrency=2,
        )
        for keep_alive in (True, False)
    ]
    async with loads[0], loads[1]:
        for number in range(2):
            again = f"again{number}.example"
            await edge.secret(
                "shop-tls", edge.authority.issue(f"again{number}", f"DNS:{SHOP}", f"DNS:{again}")
            )

            async def renewed(again: str = again) -> None:
                assert again in (await edge.ask(SHOP))[1]

            await eventually(renewed, "the new certificate is shown", timeout=LATER)
            await loads[1].more(5)
        await edge.kube.request("PATCH", f"{SECRETS}/shop-tls", {"data": {"tls.key": "bm9uZQ=="}})

        async def told() -> None:
            assert "Secret istio-ingress/shop-tls" in await edge.daemon.xdsctl("problems")

        await eventually(told, "it is told", timeout=LATER, every=0.5)
        await loads[1].more(5)
        assert "again1.example" in (await edge.ask(SHOP))[1]
    assert [each.tally.failed for each in loads] == [0, 0], [str(each.tally) for each in loads]
    assert await edge.envoy.stat(updates) == before


async def test_a_secret_is_shown_without_its_key_and_its_key_is_nowhere(edge: Edge) -> None:
    """Operators see what it is and whose; no answer, log or file of the daemon has anything of the key."""
    pair = edge.authority.issue("last", f"DNS:{SHOP}", "DNS:last.example")
    await edge.secret("shop-tls", pair)

    async def shown() -> None:
        assert "last.example" in (await edge.ask(SHOP))[1]

    await eventually(shown, "it is given", timeout=LATER)
    asked = (
        ("secret", "list", "-o", "json"),
        ("secret", "describe", "shop-tls", "-n", "istio-ingress"),
        ("config", "secret", "edge.istio-ingress", "-o", "json"),
        ("problems",),
        ("kv", "get", "--prefix", "/"),
    )
    said = [await edge.daemon.xdsctl(*words) for words in asked]
    (listed,) = json.loads(said[0])["secrets"]
    assert (listed["namespace"], listed["name"], listed["author"]) == (
        "istio-ingress",
        "shop-tls",
        "kubernetes:east",
    )
    assert "last.example" in said[1]
    assert "shop-tls" in said[2]
    code, told = await xdsctl(edge.daemon.endpoint, "secret", "delete", "shop-tls", "-n", "istio-ingress")
    assert code == 1
    assert "kubernetes:east declares it" in told
    said += [edge.daemon.program.log.read_text(), await edge.daemon.metrics()]
    said += [data.decode(errors="replace") for data in read_all(edge.daemon.state_dir, set()).values()]
    assert [form for form in forms(pair.key.read_bytes()) for each in said if form in each] == []


async def test_what_kubectl_applies_is_compiled_and_its_status_says_so(edge: Edge) -> None:
    """A host of the cluster's own Gateway and VirtualService is answered; a mistake leaves them as they were, and stands in
    the status, as does a reference to nothing.
    """
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["routed.example"]}
    answer = {"directResponse": {"status": 200, "body": {"string": "routed"}}}
    route = {"hosts": ["routed.example"], "gateways": ["own"], "http": [answer]}
    lost = {"hosts": ["lost.example"], "gateways": ["none"], "http": [answer]}
    await edge.kube.apply(
        custom("Gateway", "own", {"selector": {"istio": "ingressgateway"}, "servers": [server]}),
        custom("VirtualService", "routed", route),
        custom("VirtualService", "lost", lost),
    )

    async def answered() -> None:
        assert await edge.plain("routed.example") == (200, "routed")

    await eventually(answered, "the route is compiled", timeout=LATER)
    await edge.says("virtualservices/routed", "True", "")
    await edge.says("virtualservices/lost", "True", "there is no Gateway default/none")
    assert "kubernetes:east: VirtualService default/lost" in await edge.daemon.xdsctl("problems")
    wrong = {**route, "http": [{"directRespone": answer["directResponse"]}]}
    await edge.kube.apply(custom("VirtualService", "routed", wrong))
    await edge.says("virtualservices/routed", "False", "spec.http[0].directRespone: unknown field")
    await answered()
    await edge.kube.kubectl("delete", "virtualservices", "lost", "routed")

    async def gone() -> None:
        assert (await edge.plain("routed.example"))[0] == 404

    await eventually(gone, "it goes with the object", timeout=LATER)


async def test_the_store_holds_against_the_cluster(edge: Edge) -> None:
    """The cluster's object has no effect, which its status and the problems say, until the store's is deleted."""
    made = custom("DestinationRule", "web", {"host": "web"})
    await edge.daemon.xdsctl("apply", "-f", "-", text=json.dumps(made))
    await edge.kube.apply(made)
    await edge.says("destinationrules/web", "False", "has no effect: the store has one")
    assert "kubernetes:east: DestinationRule default/web" in await edge.daemon.xdsctl("problems")
    await edge.daemon.xdsctl("delete", "destinationrule", "web")
    await edge.says("destinationrules/web", "True", "")
    assert "xdsd.io/source" in str(await edge.shown("destinationrules"))


async def test_it_is_changed_where_it_is_and_nowhere_else(edge: Edge, tmp_path: Path) -> None:
    """Neither applied nor deleted here; with the Ingress it goes."""
    made = [each for each in await edge.shown("virtualservices") if each["spec"]["hosts"] == [SHOP]]
    name = made[0]["metadata"]["name"]
    file = tmp_path / "route.yaml"
    file.write_text(yaml.safe_dump(made[0]))
    for words in (("apply", "-f", str(file)), ("delete", "vs", name)):
        code, told = await xdsctl(edge.daemon.endpoint, *words)
        assert code == 1
        assert "kubernetes:east declares it: change or delete it there" in told
    code, told = await xdsctl(edge.daemon.endpoint, "delete", "vs", "--all", "-n", "default")
    assert (code, "No resources found" in told) == (0, True)
    await edge.kube.delete(f"{INGRESSES}/shop")

    async def gone() -> bool:
        return not [each for each in await edge.shown("virtualservices") if each["spec"]["hosts"] == [SHOP]]

    await eventually(gone, "it is gone with the Ingress", timeout=LATER)
