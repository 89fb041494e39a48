"""Real Envoys on two networks: what is behind a gateway is called through it, by mutual TLS from end to end.

The networks are machines of their own, and what is on the far one listens on its loopback: nobody else can reach it.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.village import Village, account, village
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.netns import Machine, two_machines
from tests.lab.ports import free_ports
from tests.lab.sites import Site

pytestmark = pytest.mark.e2e

WEB, NEAR, FAR = "127.0.0.51", "127.0.0.52", "127.0.0.53"
CART = "cart.default.svc.cluster.local"
WAY = f"outbound_.80_._.{CART}"


def objects(near: int, far: int, plain: int) -> str:
    """A service with an endpoint on each network, and one on the far one that takes no mutual TLS."""
    label = "security.istio.io/tlsMode: istio"
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: cart, namespace: default}}
spec:
  hosts: [{CART}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
    - {{address: {NEAR}, ports: {{http: {near}}}, serviceAccount: near, network: west, labels: {{{label}}}}}
    - {{address: {FAR}, ports: {{http: {far}}}, serviceAccount: far, network: east, weight: 3, labels: {{{label}}}}}
    - {{address: {FAR}, ports: {{http: {plain}}}, network: east}}
"""


def crossing(address: str, port: int) -> str:
    """The gateway of the far network, and its server."""
    return f"""
apiVersion: mesh.xdsd.io/v1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec:
  networks:
    east: {{gateways: [{{address: {address}, port: {port}}}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: cross, namespace: default}}
spec:
  selector: {{app: door}}
  servers:
    - port: {{number: {port}, name: tls, protocol: TLS}}
      bind: {address}
      hosts: ["*.local"]
      tls: {{mode: AUTO_PASSTHROUGH}}
"""


@dataclass
class Scene:
    """``web`` calls ``cart``, of which ``near`` is on its network and ``far`` behind ``door``."""

    mesh: Village
    east: Machine
    door: Envoy
    far: Site
    port: int

    async def answers(self, requests: int = 40) -> Counter[str]:
        """Who answers web's requests, and how often; what fails by its status."""
        found: Counter[str] = Counter()
        for _ in range(requests):
            status, text = await self.mesh.get("web", f"http://{CART}/")
            found[text if status == 200 else str(status)] += 1
        return found

    async def asks(self, server_name: str) -> bool:
        """Whether the gateway lets a caller of the mesh through to that name."""
        tls = await self.mesh.client("near")
        opened = asyncio.open_connection(self.east.address, self.port, ssl=tls, server_hostname=server_name)
        try:
            async with asyncio.timeout(10):
                _, writer = await opened
        except (OSError, ssl.SSLError):
            return False
        writer.close()
        return True


@asynccontextmanager
async def scene(folder: Path, *, sotw: bool) -> AsyncIterator[Scene]:
    """This thread is on the near network."""
    near, far, plain, port = free_ports(4)
    with two_machines() as (west, east), west.entered():
        names = ("web", "near", "far", "door") if sotw else ()
        async with village(folder, sotw=names, host=west.address) as mesh, Site("near", "127.0.0.1", near):
            await mesh.apply(objects(near, far, plain))
            await mesh.apply(crossing(east.address, port))
            with east.entered():
                sites = (Site("far", "127.0.0.1", far), Site("unprotected", FAR, plain))
                for site in sites:
                    await site.start()
                await mesh.sidecar("far", FAR, network="east")
                door = await mesh.gateway("door", east.address, network="east")
            try:
                await mesh.sidecar("near", NEAR, network="west")
                await mesh.sidecar("web", WEB, network="west")
                yield Scene(mesh, east, door, sites[0], port)
            finally:
                for site in sites:
                    await site.stop()


@pytest.mark.parametrize("sotw", [False, True], ids=["delta", "sotw"])
async def test_another_network_is_called_through_its_gateway(tmp_path: Path, sotw: bool) -> None:
    """Endpoints have their shares wherever they are, callers prove who they are, and what takes no TLS is left out."""
    async with scene(tmp_path, sotw=sotw) as here:

        async def both() -> bool:
            return set(await here.answers(20)) == {"near", "far"}

        await eventually(both, "both networks answer")
        found = await here.answers(120)
        assert set(found) == {"near", "far"}
        assert 70 <= found["far"] <= 110  # 3 of 4
        assert f"URI={account('web')}" in here.far.asked["x-forwarded-client-cert"]
        with here.east.entered():
            assert await here.door.stat(f"cluster.{WAY};.upstream_cx_total") > 0
        warnings = [each.message for each in here.mesh.mesh.problems()]
        assert any(
            "1 endpoint on network east cannot be called from network west" in each for each in warnings
        )


async def test_a_name_that_is_made_up_leads_nowhere(tmp_path: Path) -> None:
    """The gateway knows names of services alone, not what else its clusters are called; and traffic goes on without it."""
    async with scene(tmp_path, sotw=False) as here:
        await eventually(lambda: here.asks(WAY), "the gateway lets through")
        for name in (CART, f"outbound_.81_._.{CART}", "outbound_.80_._.nobody.default.svc.cluster.local"):
            assert not await here.asks(name)
        await here.door.stop()

        async def near_alone() -> bool:
            return set(await here.answers(20)) == {"near"}

        await eventually(near_alone, "the near network answers alone")
