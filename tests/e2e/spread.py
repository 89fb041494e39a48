"""Bookinfo spread over three platforms: productpage and details on Kubernetes, reviews on Consul, ratings and their database
on machines of a list.

Each program is on a machine of its own, whose traffic the kernel redirects to the Envoy there, and calls the others by name.
Only who has to is let in. Between the daemon and the API servers of platforms are wires that can be cut.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from api.bootstrap import BootstrapOptions, bootstrap_json
from api.daemon_tls import XdsTls
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import accepted, ask, encoded, thing
from tests.lab.bookshop import DATABASE, DATABASE_PORT
from tests.lab.consul import ConsulAgent
from tests.lab.daemon import Daemon, plain_environment
from tests.lab.envoy import Envoy
from tests.lab.etcd import EtcdServer
from tests.lab.eventually import eventually
from tests.lab.kube import KubeServer
from tests.lab.load import Load
from tests.lab.netns import CapturingEnvoy, Machine, capture, capture_dns
from tests.lab.ports import free_ports
from tests.lab.relay import Relay
from tests.lab.switch import switched
from tests.registry.kubernetes.cluster import SLICES, backed_by, endpoint_slice, node, pod, service
from xdsd.demo.program import Program
from xdsd.model.mesh import Interception, Role
from xdsd.settings import TcpAddress

PORT = 9080
NAMESERVER = "192.0.2.53"
"""The one that programs know. There is none: their sidecars answer."""
KUBERNETES, CONSUL, MACHINES = "kubernetes", "consul", "machines"
INSTANCES = (
    ("productpage", "v1"),
    ("productpage", "v2"),
    ("details", "v1"),
    ("reviews", "v2"),
    ("reviews", "v3"),
    ("ratings", "v1"),
    ("ratings", "v2"),
    (DATABASE, "v1"),
)
CALLERS: Mapping[str, tuple[str, ...]] = {
    "productpage": ("visitor",),
    "details": ("productpage",),
    "reviews": ("productpage",),
    "ratings": ("productpage", "reviews"),
    DATABASE: ("ratings",),
}
"""Who calls whom, and nobody else may."""

_RBAC = Path(__file__).parents[2] / "deploy" / "kubernetes" / "rbac.yaml"
_SERVER = "spiffe://cluster.local/ns/istio-system/sa/xdsd"
_TLS = {"security.istio.io/tlsMode": "istio"}
_PAGE = f"http://productpage:{PORT}/productpage"
_PODS = "/api/v1/namespaces/default/pods"


@dataclass
class Spread:
    """What runs. ``wires`` are between the daemon and what it asks, by platform; ``proxy`` is the visitor's."""

    folder: Path
    daemon: Daemon
    etcd: EtcdServer
    kube: KubeServer
    consul: ConsulAgent
    agent: ConsulAgent
    wires: Mapping[str, Relay]
    homes: Mapping[str, Machine]
    programs: dict[str, Program] = field(default_factory=dict)
    proxy: str = ""

    async def on_kubernetes(self, *ready: str) -> None:
        """The endpoint controller finds these pods ready, of all that their service has."""
        name = ready[0].partition("-")[0]
        ports = [{"name": "http", "port": PORT, "protocol": "TCP"}]
        backends = [
            backed_by(each, home.address, conditions={"ready": each in ready})
            for each, home in self.homes.items()
            if each.startswith(f"{name}-")
        ]
        made = endpoint_slice(f"{name}-x", name, backends, ports=ports)
        await self.kube.put(f"{SLICES}/namespaces/default/endpointslices", f"{name}-x", made)

    async def on_consul(self, instance: str) -> None:
        """Registers a program with the agent beside it, or ends its maintenance."""
        name, _, version = instance.partition("-")
        who = {"service-account": name, "app": name, "version": version}
        meta = {"protocol": "http", "tls-mode": "istio", **who}
        address = self.homes[instance].address
        body = {"ID": instance, "Name": name, "Address": address, "Port": PORT, "Meta": meta}
        await self.agent.put("/v1/agent/service/register", body)
        await self.agent.put(f"/v1/agent/service/maintenance/{instance}?enable=false")

    async def off_consul(self, instance: str) -> None:
        """Its program is to be maintained, and gets no more requests."""
        await self.agent.put(f"/v1/agent/service/maintenance/{instance}?enable=true")

    def on_machines(self, *instances: str, account: str = "") -> None:
        """Writes the list of the machines of a service, as a script would: beside it, then renamed."""
        name = instances[0].partition("-")[0]
        file = self.daemon.machines / f"{name}.yaml"
        new = file.with_suffix(".new")
        new.write_text(self.listed(*instances, account=account))
        new.rename(file)

    def listed(self, *instances: str, account: str = "") -> str:
        """The list of a service's machines."""
        name = instances[0].partition("-")[0]
        port = {"number": PORT, "name": "http", "protocol": "HTTP"}
        if name == DATABASE:
            port = {"number": DATABASE_PORT, "name": "tcp", "protocol": "TCP"}
        spec = {
            "hosts": [f"{name}.default.svc.cluster.local"],
            "ports": [port],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "workloadSelector": {"labels": {"app": name}},
        }
        entries = [
            {
                "address": self.homes[each].address,
                "labels": {"app": name, "version": each.partition("-")[2], **_TLS},
                "serviceAccount": account or name,
            }
            for each in instances
        ]
        workloads = [
            thing("WorkloadEntry", each, entry) for each, entry in zip(instances, entries, strict=True)
        ]
        return yaml.safe_dump_all([thing("ServiceEntry", name, spec), *workloads])

    async def get(self, url: str) -> tuple[int, str, str]:
        """What the visitor is answered: the status, the text, and by whom."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, proxy=self.proxy) as response,
        ):
            return response.status, await response.text(), response.headers.get("served-by", "")

    async def serving(self) -> set[str]:
        """Which instances of productpage, reviews and ratings serve a number of visits."""
        found = set()
        for _ in range(6):
            status, text, by = await self.get(_PAGE)
            assert not wrong(status, text), wrong(status, text)
            reviews = re.search(r"<code>(reviews-v\d)</code>", text)
            assert reviews is not None
            found |= {by, reviews[1]}
            status, text, _ = await self.get(f"http://productpage:{PORT}/api/v1/products/0/ratings")
            assert status == 200, text
            found.add(str(yaml.safe_load(text)["podname"]))
        return found

    async def served_by(self, *instances: str) -> None:
        """Waits until just these serve."""

        async def holds() -> None:
            assert await self.serving() == set(instances)

        await eventually(holds, f"{instances} serve", every=0.1)

    async def is_stale(self, source: str, *, stale: bool = True) -> None:
        """Waits until the daemon says so of a source, or that it is not."""

        async def holds() -> None:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.daemon.http_url}/readyz") as response,
            ):
                checks = (await response.json())["checks"]
            states = {each["state"] for each in checks if source in each["name"]}
            assert states == {"stale" if stale else "ok"}, checks

        await eventually(holds, f"{source} is {'stale' if stale else 'back'}", every=0.1)

    def load(self) -> Load:
        """Visits that do not stop; each takes a call of every program."""
        return Load(_PAGE, proxy=self.proxy, rate=15, concurrency=3, judge=wrong, timeout=60)

    def heard(self, instance: str) -> set[tuple[str, str]]:
        """The identities, of callers and its own, that a program was told of by its sidecar."""
        text = self.programs[instance].log.read_text()
        assert "heard nobody" not in text
        return {(by, uri) for by, uri in re.findall(r"^heard By=([^;]*);.*URI=([^;\n]*)", text, re.MULTILINE)}


def wrong(status: int, body: str) -> str:
    """What is wrong with a page: it is none, or a part of it is missing."""
    whole = 'class="stars"' in body and 'class="error"' not in body
    return "" if status == 200 and whole else f"status {status}: {body[-600:]}"


def identity(account: str) -> str:
    """As certificates say it."""
    return f"spiffe://cluster.local/ns/default/sa/{account}"


@asynccontextmanager
async def spread(folder: Path) -> AsyncIterator[Spread]:
    """The first instance of each service serves; the page is there."""
    async with AsyncExitStack() as stack:
        switch = stack.enter_context(switched(len(INSTANCES)))
        homes = {
            f"{name}-{version}": each
            for (name, version), each in zip(INSTANCES, switch.machines, strict=True)
        }
        etcd = await stack.enter_async_context(EtcdServer(folder))
        kube = await stack.enter_async_context(KubeServer(folder / "kube", etcd))
        consul = await stack.enter_async_context(ConsulAgent(folder, name="server"))
        agent = await stack.enter_async_context(ConsulAgent(folder, name="client", join=consul))
        wires = {
            KUBERNETES: await stack.enter_async_context(Relay(kube.port)),
            CONSUL: await stack.enter_async_context(Relay(agent.port)),
        }
        daemon = await _daemon(folder, kube, wires, switch.machines[0])
        made = Spread(folder, daemon, etcd, kube, consul, agent, wires, homes)
        await _fill(made)
        await stack.enter_async_context(daemon)
        await _declare(made)
        await _run(made, stack)
        await made.served_by("productpage-v1", "reviews-v2", "ratings-v1")
        yield made


async def _daemon(folder: Path, kube: KubeServer, wires: Mapping[str, Relay], neighbour: Machine) -> Daemon:
    """It is where machines reach it: at the router."""
    here = f"{neighbour.address.rpartition('.')[0]}.1"
    (port,) = free_ports(1)
    await kube.kubectl("apply", "-f", _RBAC)
    token = await kube.account("xdsd", "xdsd")
    kubeconfig = kube.write_kubeconfig(folder / "kubeconfig", token, port=wires[KUBERNETES].port)
    sources = (
        f"kubernetes:{kubeconfig}?name=east",
        f"consul:http://127.0.0.1:{wires[CONSUL].port}?hosts=mesh",
    )
    return Daemon(folder, {"xds-tls-address": f"{here}:{port}"}, sources)


async def _fill(made: Spread) -> None:
    """Each platform's own people bring its programs in."""
    ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
    await made.kube.apply(
        node("one", "here", "a"), *(service(each, ports=ports) for each in ("productpage", "details"))
    )
    for instance in ("productpage-v1", "productpage-v2", "details-v1"):
        name, _, version = instance.partition("-")
        labels = {"app": name, "version": version, **_TLS}
        given = pod(instance, made.homes[instance].address, labels, account=name)
        await made.kube.request("POST", _PODS, given)
        await made.kube.request("PATCH", f"{_PODS}/{instance}/status", {"status": given["status"]})
    await made.on_kubernetes("productpage-v1")
    await made.on_kubernetes("details-v1")
    await made.on_consul("reviews-v2")
    made.on_machines("ratings-v1")
    made.on_machines(f"{DATABASE}-v1")


async def _declare(made: Spread) -> None:
    strict = thing("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}})
    strict["metadata"]["namespace"] = "istio-system"
    objects = [strict, *_guards()]
    accepted(await ask(made.daemon, lambda client: client.apply(encoded(objects))))


def _guards() -> Iterator[dict[str, Any]]:
    for name, callers in CALLERS.items():
        principals = [identity(each).removeprefix("spiffe://") for each in callers]
        spec = {
            "selector": {"matchLabels": {"app": name}},
            "action": "ALLOW",
            "rules": [{"from": [{"source": {"principals": principals}}]}],
        }
        yield thing("AuthorizationPolicy", name, spec)


async def _run(made: Spread, stack: AsyncExitStack) -> None:
    """The programs, each with its Envoy, and the visitor's Envoy."""
    resolv = made.folder / "resolv.conf"
    resolv.write_text(f"nameserver {NAMESERVER}\noptions timeout:5 attempts:3\n")
    trust = await ask(made.daemon, lambda client: JoiningClient(client).trust())
    (made.folder / "root.pem").write_bytes(trust.bundle)
    for instance, machine in made.homes.items():
        name, _, version = instance.partition("-")
        words = [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            f'mount --bind {resolv} /etc/resolv.conf && exec "$@"',
            "program",
        ]
        words += ["python", "-m", "tests.lab.bookshop", name, "--version", version]
        words += ["--port", str(DATABASE_PORT if name == DATABASE else PORT)]
        program = Program(instance, words, made.folder / f"{instance}-program.log", plain_environment())
        made.programs[instance] = program
        stack.push_async_callback(program.kill)
        capture(machine)
        capture_dns(machine)
        config = await _bootstrap(made, name, instance, machine.address, dns_capture=True)
        with machine.entered():
            await program.start()
            await stack.enter_async_context(CapturingEnvoy(config, made.folder, name=instance, ready=False))
    (port,) = free_ports(1)
    bare = {"interception": Interception.NONE, "http_proxy_port": port, "outbound_bind": "127.0.0.1"}
    config = await _bootstrap(made, "visitor", "visitor", "127.0.0.9", **bare)
    await stack.enter_async_context(Envoy(config, made.folder, name="visitor"))
    made.proxy = f"http://127.0.0.1:{port}"


async def _bootstrap(made: Spread, account: str, name: str, address: str, **more: Any) -> dict[str, Any]:
    request = pb.CreateJoinTokenRequest(namespace="default", service_account=account, ttl_seconds=3600)
    token = await ask(made.daemon, lambda client: JoiningClient(client).create_token(request))
    file = made.folder / f"{name}.token"
    file.write_text(token.token)
    host, _, port = made.daemon.tls_address.rpartition(":")
    options = BootstrapOptions(
        role=Role.SIDECAR,
        name=name,
        namespace="default",
        address=address,
        xds_addresses=(TcpAddress(host, int(port)),),
        labels={"app": account},
        service_account=account,
        xds_tls=XdsTls(_SERVER, root=made.folder / "root.pem", token=file),
        **more,
    )
    return bootstrap_json(options)
