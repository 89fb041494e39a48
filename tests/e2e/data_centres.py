"""Three data centres with an installation in each, as unlike each other as they may be, and one service that all have.

Each has a daemon with a store, an authority and a trust domain of its own, a gateway by which it is entered, another by
which alone it is left, a server of the world outside, and a machine with the program ``service1`` of the namespace ``foo``
behind a sidecar; all traffic of that machine is captured. In the first one a caller is on a machine of its own.
"""

import json
import os
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent

import yaml

from api.bootstrap import BootstrapOptions, bootstrap_json
from api.client import Client
from api.daemon_tls import XdsTls
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import accepted, ask
from tests.e2e.leaving import leaving, world
from tests.lab.caller import Calls
from tests.lab.centres import Centre, Centres, centres
from tests.lab.daemon import Daemon
from tests.lab.envoy import Envoy
from tests.lab.etcd import EtcdServer
from tests.lab.netns import CapturingEnvoy, capture, capture_dns
from xdsd.demo.program import Program
from xdsd.model.identity import SpiffeID
from xdsd.model.mesh import Role
from xdsd.setting_values import TcpAddress

NAMES = ("west", "east", "north")
GATEWAYS = ("door", "exit")
LOCALITIES = {"west": "eu/west", "east": "eu/east", "north": "us/north"}
URL = "http://service1.foo.global/"
PORT = 8080
XDS, PEERING, CROSSING, INGRESS = 15012, 15016, 15443, 8080


@dataclass
class Mesh:
    """One installation. ``program`` is its service1, ``envoys`` are by name: service1, door, exit, and web where it is."""

    centre: Centre
    daemon: Daemon
    folder: Path
    stack: AsyncExitStack
    program: Program
    envoys: dict[str, Envoy] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.centre.name

    @property
    def trust_domain(self) -> str:
        return f"{self.name}.example"

    async def apply(self, text: str) -> None:
        """Objects, as YAML."""
        objects = [json.dumps(each).encode() for each in yaml.safe_load_all(text)]
        accepted(await ask(self.daemon, lambda client: client.apply(objects)))

    async def delete(self, *words: str) -> None:
        await self.daemon.xdsctl("delete", *words)

    async def status(self, peer: str) -> str:
        """The state of what is known of a peer."""

        def asked(client: Client) -> str:
            return next((each.state for each in client.registries() if each.name == f"peer:{peer}"), "")

        return str(await ask(self.daemon, asked))

    async def begins(self) -> None:
        """The daemon and the program are started."""
        with self.centre.core.entered():
            await self.daemon.program.start()
        self.stack.push_async_exit(self.daemon.__aexit__)
        self.stack.push_async_callback(self.stop)
        await self.comes()

    async def stands(self) -> None:
        """The daemon is ready, and knows its service."""
        with self.centre.core.entered():
            await self.daemon.ready()
        await self.apply(f"{service1(self.centre)}---{leaving(self.centre)}")
        await self.stack.enter_async_context(world(self.centre))

    async def proxies(self) -> None:
        """A gateway on the core, one to the outside, and a sidecar on each other machine, whose traffic is captured."""
        inside = {name: machine for name, machine in self.centre.machines.items() if name != "world"}
        places = {"door": self.centre.core, **inside}
        tokens = await ask(self.daemon, lambda client: self._credentials(client, places))
        for name, machine in places.items():
            boot = bootstrap_json(self._options(name, machine.address, tokens[name]))
            envoy = Envoy if name in GATEWAYS else CapturingEnvoy
            if name not in GATEWAYS:
                capture(machine)
                capture_dns(machine)
            self.envoys[name] = envoy(boot, self.folder, name=f"{self.name}-{name}")
            with machine.entered():
                await self.stack.enter_async_context(self.envoys[name])

    async def stop(self) -> None:
        """The program ends."""
        if self.program.running:
            await self.program.kill()

    async def comes(self) -> None:
        """The program runs again."""
        with self.centre.machines["service1"].entered():
            await self.program.start()

    async def proxy_comes(self, name: str) -> None:
        """A proxy that ended runs again."""
        machine = self.centre.core if name == "door" else self.centre.machines[name]
        with machine.entered():
            await self.envoys[name].start()

    async def daemon_comes(self) -> None:
        """The daemon runs again."""
        with self.centre.core.entered():
            await self.daemon.start()

    async def peers_with(self, other: "Mesh", keep_for: str = "60s") -> None:
        """Takes from the other, and offers everything of foo to it behind the own gateway."""
        root = (other.folder / "root.pem").read_text()
        await self.apply(f"""
apiVersion: mesh.xdsd.io/v1
kind: Peer
metadata: {{name: {other.name}, namespace: istio-system}}
spec:
  addresses: ["{other.centre.core.address}:{PEERING}"]
  trustDomain: {other.trust_domain}
  exports: [{{namespaces: [foo]}}]
  imports: [{{namespaces: [foo]}}]
  gateways: [{{address: {self.centre.core.address}, port: {CROSSING}}}]
  keepFor: {keep_for}
  caCertificates: |
{indent(root, "    ")}
""")

    def _credentials(self, client: Client, names: Iterable[str]) -> dict[str, Path]:
        joining, found = JoiningClient(client), {}
        (self.folder / "root.pem").write_bytes(joining.trust().bundle)
        for name in names:
            asked = pb.CreateJoinTokenRequest(namespace="foo", service_account=name, ttl_seconds=3600)
            found[name] = self.folder / f"{name}.token"
            found[name].write_text(joining.create_token(asked).token)
        return found

    def _options(self, name: str, address: str, token: Path) -> BootstrapOptions:
        server = SpiffeID(self.trust_domain, "istio-system", "xdsd")
        return BootstrapOptions(
            role=Role.ROUTER if name in GATEWAYS else Role.SIDECAR,
            name=name,
            namespace="foo",
            address=address,
            xds_addresses=(TcpAddress(self.centre.core.address, XDS),),
            labels={"app": name},
            service_account=name,
            locality=LOCALITIES[self.name],
            dns_capture=name not in GATEWAYS,
            xds_tls=XdsTls(str(server), root=self.folder / "root.pem", token=token),
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """The meshes by name, the wires between them, and a program in the first that calls service1 all the time."""

    meshes: Mapping[str, Mesh]
    centres: Centres
    calls: Calls

    @property
    def west(self) -> Mesh:
        return self.meshes["west"]

    @property
    def east(self) -> Mesh:
        return self.meshes["east"]

    @property
    def north(self) -> Mesh:
        return self.meshes["north"]


def service1(centre: Centre) -> str:
    """The service of a mesh, and its gateway: for callers of other meshes, and for the world."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: service1, namespace: foo}}
spec:
  hosts: [service1.foo.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {PORT}}}]
  endpoints:
    - address: {centre.machines["service1"].address}
      locality: {LOCALITIES[centre.name]}
      serviceAccount: service1
      labels: {{app: service1, security.istio.io/tlsMode: istio}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: door, namespace: foo}}
spec:
  selector: {{app: door}}
  servers:
    - port: {{number: {CROSSING}, name: tls, protocol: TLS}}
      hosts: ["*.global"]
      tls: {{mode: AUTO_PASSTHROUGH}}
    - port: {{number: {INGRESS}, name: http, protocol: HTTP}}
      hosts: [shop.example.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop, namespace: foo}}
spec:
  hosts: [shop.example.com]
  gateways: [door]
  http: [{{route: [{{destination: {{host: service1.foo.global}}}}]}}]
"""


@asynccontextmanager
async def data_centres(folder: Path) -> AsyncIterator[Scene]:
    """All of them, peered; east's store is an etcd."""
    common = ("service1", "exit", "world")
    machines = {name: (*common, "web") if name == "west" else common for name in NAMES}
    async with centres(**machines) as lab, AsyncExitStack() as stack:
        sockets = stack.enter_context(TemporaryDirectory(prefix="xdsd-"))  # a socket's path must be short
        meshes = {name: await _mesh(lab.of[name], folder / name, Path(sockets), stack) for name in NAMES}
        for mesh in meshes.values():
            await mesh.begins()
        for mesh in meshes.values():
            await mesh.stands()
            await mesh.proxies()
        for one in meshes.values():
            for other in meshes.values():
                if one is not other:
                    await one.peers_with(other)
        web = lab.of["west"].machines["web"]
        calls = await stack.enter_async_context(Calls(web, URL, folder))
        yield Scene(meshes, lab, calls)


async def _mesh(centre: Centre, folder: Path, sockets: Path, stack: AsyncExitStack) -> Mesh:
    folder.mkdir()  # noqa: ASYNC240 - nobody waits for it
    core = centre.core.address
    settings = {
        "admin-address": f"unix:{sockets}/{centre.name}.sock",
        "xds-tls-address": f"{core}:{XDS}",
        "peer-address": f"{core}:{PEERING}",
        "mesh-name": centre.name,
        "trust-domain": f"{centre.name}.example",
    }
    if centre.name == "east":
        with centre.core.entered():
            etcd = await stack.enter_async_context(EtcdServer(folder))
        key = folder / "sealing.key"
        key.write_text(b64encode(os.urandom(32)).decode())
        key.chmod(0o600)
        settings |= {"store": f"etcd://127.0.0.1:{etcd.port}", "ca-sealing-key-file": str(key)}
    command = [sys.executable, "-m", "tests.lab.speaker", centre.name, str(PORT)]
    program = Program("service1", command, folder / "service1.log")
    return Mesh(centre, Daemon(folder, settings), folder, stack, program)
