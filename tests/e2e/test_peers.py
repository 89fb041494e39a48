"""Two installations, each a daemon with a store and an authority of its own: a name that means the same service in both."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

import aiohttp
import pytest

from tests.lab.daemon import Daemon
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.sites import Site

pytestmark = pytest.mark.e2e

NAME = "http://cart.shop.global/"


@dataclass
class Installation:
    """A daemon, and the proxies that it serves. Its mesh has a trust domain of its own."""

    name: str
    daemon: Daemon
    folder: Path
    tls: str
    peering: str
    stack: AsyncExitStack
    envoys: dict[str, Envoy] = field(default_factory=dict)

    async def root(self) -> str:
        return await self.daemon.xdsctl("ca", "bundle")

    async def apply(self, text: str) -> None:
        await self.daemon.xdsctl("apply", "-f", "-", text=text)

    async def proxy(self, name: str, address: str, *words: str, account: str = "") -> None:
        """An Envoy that proves a service account, that of its name by default."""
        account = account or name
        token, root = self.folder / f"{name}.token", self.folder / "root.pem"
        await self.daemon.xdsctl("ca", "bundle", "--out", root)
        await self.daemon.xdsctl(
            "token", "create", "-n", "shop", "--service-account", account, "--out", token
        )
        said: tuple[str, ...] = (
            "--name",
            name,
            "-n",
            "shop",
            "--service-account",
            account,
            "--address",
            address,
        )
        said += ("--root", str(root), "--join-token-file", str(token), "--xds-address", self.tls)
        said += ("--trust-domain", f"{self.name}.example")
        boot = await self.daemon.xdsctl(
            "bootstrap", *said, "--labels", f"app={account}", "-o", "json", *words
        )
        self.envoys[name] = Envoy(json.loads(boot), self.folder, name=name)
        await self.stack.enter_async_context(self.envoys[name])


@asynccontextmanager
async def installation(name: str, folder: Path) -> AsyncIterator[Installation]:
    """A mesh of this name."""
    folder.mkdir()  # noqa: ASYNC240 - nobody waits for it
    tls, peering = (f"127.0.0.1:{port}" for port in free_ports(2))
    settings = {
        "xds-tls-address": tls,
        "peer-address": peering,
        "mesh-name": name,
        "trust-domain": f"{name}.example",
        "machine-networks": "127.0.0.0/8",
    }
    async with Daemon(folder, settings) as daemon, AsyncExitStack() as stack:
        yield Installation(name, daemon, folder, tls, peering, stack)


async def peer(one: Installation, other: Installation, gateway: str = "") -> None:
    """One takes from the other and offers everything, behind its gateway."""
    gateways = f"[{gateway}]" if gateway else "[]"
    await one.apply(f"""
apiVersion: mesh.xdsd.io/v1
kind: Peer
metadata: {{name: {other.name}, namespace: istio-system}}
spec:
  addresses: ["{other.peering}"]
  trustDomain: {other.name}.example
  exports: [{{namespaces: [shop]}}]
  imports: [{{namespaces: [shop]}}]
  gateways: {gateways}
  keepFor: 60s
  caCertificates: |
{indent(await other.root(), "    ")}
""")


def cart(address: str, port: int, locality: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: cart, namespace: shop}}
spec:
  hosts: [cart.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  endpoints:
    - address: {address}
      locality: {locality}
      serviceAccount: cart
      labels: {{app: cart, security.istio.io/tlsMode: istio}}
"""


def group(locality: str) -> str:
    """Of machines that register themselves."""
    return f"""
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {{name: cart, namespace: shop}}
spec:
  metadata: {{labels: {{app: cart}}}}
  template: {{serviceAccount: cart, locality: {locality}}}
"""


def selecting(port: int) -> str:
    """The service of these machines."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: cart, namespace: shop}}
spec:
  hosts: [cart.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  workloadSelector: {{labels: {{app: cart}}}}
"""


def door(address: str, port: int) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: door, namespace: shop}}
spec:
  selector: {{app: door}}
  servers:
    - port: {{number: {port}, name: tls, protocol: TLS}}
      bind: {address}
      hosts: ["*.global"]
      tls: {{mode: AUTO_PASSTHROUGH}}
"""


async def ask(proxy: str, method: str = "GET") -> tuple[int, str]:
    """What a program is answered through the sidecar beside it."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(method, NAME, proxy=proxy) as response,
    ):
        return response.status, await response.text()


async def _has(envoy: Envoy, endpoint: str) -> bool:
    return f"::{endpoint}::" in await envoy.get("/clusters")


async def test_a_service_that_is_down_here_is_served_from_there(tmp_path: Path) -> None:
    """By its own mesh first, then through the gateway of the other, with mutual TLS from end to end; and the same as long as
    the other mesh's daemon is away. What a program had when it broke off is asked there again if it changes nothing.
    """
    here, there, http, crossing = free_ports(4)
    async with (
        installation("west", tmp_path / "west") as west,
        installation("east", tmp_path / "east") as east,
        Site("west", "127.0.0.1", here) as near,
        Site("east", "127.0.0.1", there) as far,
    ):
        await west.apply(cart("127.0.0.64", here, "eu/west"))
        await east.apply(cart("127.0.0.61", there, "us/east") + "---" + door("127.0.0.62", crossing))
        await peer(west, east)
        await peer(east, west, f"{{address: 127.0.0.62, port: {crossing}}}")
        explicit = ("--interception", "none", "--outbound-bind")
        await east.proxy("cart", "127.0.0.61", *explicit, "127.0.0.61")
        await east.proxy("door", "127.0.0.62", "--type", "router")
        await west.proxy("cart", "127.0.0.64", *explicit, "127.0.0.64")
        await west.proxy("web", "127.0.0.63", *explicit, "127.0.0.63", "--http-proxy-port", str(http))
        proxy = f"http://127.0.0.63:{http}"

        async def answers(status: int, text: str) -> None:
            assert await ask(proxy) == (status, text)

        await eventually(lambda: answers(200, "west"), "this mesh answers")
        assert {await ask(proxy) for _ in range(10)} == {(200, "west")}

        async def known() -> None:
            assert "SYNCED" in await west.daemon.xdsctl("registries", "peer:east")

        await eventually(known, "the other mesh is heard")
        # Its gateway is told to proxies after it is known to the daemon.
        await eventually(lambda: _has(west.envoys["web"], f"127.0.0.62:{crossing}"), "its gateway is known")
        near.breaks_off = True
        assert (await ask(proxy, "POST"))[0] == 503
        assert await ask(proxy) == (200, "east")
        near.breaks_off = False
        await west.envoys["cart"].stop()
        found = [await ask(proxy) for _ in range(30)]
        assert found == [(200, "east")] * 30
        assert "URI=spiffe://west.example/ns/shop/sa/web" in far.asked["x-forwarded-client-cert"]
        await east.daemon.stop()

        async def stale() -> None:
            assert "STALE" in await west.daemon.xdsctl("registries", "peer:east", check=False)

        await eventually(stale, "the other daemon is missed")
        assert {await ask(proxy) for _ in range(10)} == {(200, "east")}
