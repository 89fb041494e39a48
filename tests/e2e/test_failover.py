"""All that a service has in its own mesh dies, each in its own way: callers go elsewhere, and nothing is tried in vain."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.test_peers import NAME, Installation, ask, door, group, installation, peer
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from xdsd.demo.program import Program

pytestmark = pytest.mark.e2e

FIRST, SECOND, FAR, CROSSING, CALLER = (f"127.0.0.{number}" for number in (84, 85, 81, 82, 83))
CONNECTING = 81
HTTP, TCP = "outbound|80||cart.shop.global", f"outbound|{CONNECTING}||cart.shop.global"
SELECTED = "workloadSelector: {labels: {app: cart}}"
TAKES = "labels: {app: cart, security.istio.io/tlsMode: istio}"
LISTED = f"endpoints: [{{address: {FAR}, locality: us/east, serviceAccount: cart, {TAKES}}}]"
UNTRIED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.shop.global]
  http: [{route: [{destination: {host: cart.shop.global}}], retries: {attempts: 0}}]
"""


@dataclass(slots=True)
class Scene:
    """Two machines here, whose sidecars stand before the same programs, one a port; and one there."""

    west: Installation
    programs: tuple[Program, ...]
    proxy: str

    async def flags(self, cluster: str) -> dict[str, set[str]]:
        """Why endpoints of this mesh are not called, by address."""
        text = await self.west.envoys["web"].get("/clusters")
        found = [line.split("::") for line in text.splitlines() if "::health_flags::" in line]
        return {
            parts[1].split(":")[0]: set(parts[3].split("/")) - {"", "healthy"}
            for parts in found
            if parts[0] == cluster and parts[1].startswith((FIRST, SECOND))
        }

    async def are(self, first: set[str], second: set[str]) -> None:
        """Waits until it is known of both machines how they are, and no ejection holds any more."""

        async def holds() -> None:
            for cluster in (HTTP, TCP):
                assert await self.flags(cluster) == {FIRST: first, SECOND: second}

        await eventually(holds, f"{first or 'well'} and {second or 'well'}", every=0.2)

    async def connected(self) -> str:
        """Who answers on a connection of its own, whose bytes nobody reads on the way."""
        reader, writer = await asyncio.open_connection(CALLER, CONNECTING)
        try:
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            text = await reader.read()
        except ConnectionError as error:
            return f"failed: {error}"
        finally:
            writer.close()
        return text.decode().partition("\r\n\r\n")[2].split("\n")[0]

    async def answers(self, count: int) -> Counter[str]:
        """Who answers requests."""
        return Counter([(await ask(self.proxy))[1].split("\n")[0] for _ in range(count)])

    async def connections(self, count: int) -> Counter[str]:
        return Counter([await self.connected() for _ in range(count)])


async def test_nothing_tries_in_vain_whether_the_dead_are_back(tmp_path: Path) -> None:
    """One machine is lost with its sidecar, which costs no connection; then of the other the programs alone. Requests that
    nobody may try again fail until callers see it, and then no more, also when ejections are over. Whoever comes back is
    called again when it takes requests.
    """
    async with _scene(tmp_path) as scene, Load(NAME, rate=60, proxy=scene.proxy) as load:
        assert await scene.connections(10) == {"west": 10}
        machine = scene.west.envoys["first"].program
        await machine.kill()
        assert set(await scene.connections(20)) <= {"west", "east"}
        for program in scene.programs:
            await program.kill()
        await scene.are({"degraded_eds_health"}, {"failed_eds_health"})
        await load.more(60)  # those that were under way are counted
        failed = load.tally.failed
        await load.more(60)
        assert await scene.connections(20) == {"east": 20}
        assert await scene.answers(20) == {"east": 20}
        for program in scene.programs:
            await program.start()
        await scene.are({"degraded_eds_health"}, set())
        await load.more(60)
        assert "west" in await scene.answers(
            20
        )  # with half of its endpoints, Envoy leaves some to the other mesh
        await machine.start()
        await scene.are(set(), set())
        await load.more(60)
        assert await scene.connections(10) == {"west": 10}
        assert load.tally.failed == failed, load.tally


@asynccontextmanager
async def _scene(folder: Path) -> AsyncIterator[Scene]:
    here, behind, there, beyond, http, crossing = free_ports(6)
    async with (
        installation("west", folder / "west") as west,
        installation("east", folder / "east") as east,
        AsyncExitStack() as stack,
    ):
        programs = [_program(*each, folder) for each in (("west", here), ("west", behind))]
        others = [_program(*each, folder) for each in (("east", there), ("east", beyond))]
        for program in (*programs, *others):
            await program.start()
            stack.push_async_callback(_ended, program)
        await west.apply(group("eu/west") + "---" + _service(here, behind, SELECTED))
        await east.apply(_service(there, beyond, LISTED) + "---" + door(CROSSING, crossing))
        await peer(west, east)
        await peer(east, west, f"{{address: {CROSSING}, port: {crossing}}}")
        explicit = ("--interception", "none", "--outbound-bind")
        await east.proxy("cart", FAR, *explicit, FAR)
        await east.proxy("door", CROSSING, "--type", "router")
        for name, address in (("first", FIRST), ("second", SECOND)):
            await west.proxy(name, address, *explicit, address, "--group", "cart", account="cart")
        await west.apply(UNTRIED)
        await west.proxy("web", CALLER, *explicit, CALLER, "--http-proxy-port", str(http))
        scene = Scene(west, tuple(programs), f"http://{CALLER}:{http}")
        await scene.are(set(), set())
        await eventually(lambda: _known(scene), "both meshes are called")
        yield scene


async def _known(scene: Scene) -> None:
    """The caller has the other mesh's gateway, and is served by its own."""
    found = await scene.west.envoys["web"].get("/clusters")
    for cluster in (HTTP, TCP):
        assert f"{cluster}::{CROSSING}:" in found
    assert (await ask(scene.proxy))[1].startswith("west")
    assert await scene.connected() == "west"


def _program(name: str, port: int, folder: Path) -> Program:
    command = (sys.executable, "-m", "tests.lab.speaker", name, str(port), "127.0.0.1")
    return Program(f"{name}-{port}", command, folder / f"{name}-{port}.log")


async def _ended(program: Program) -> None:
    if program.running:
        await program.kill()


def _service(port: int, connecting: int, where: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: cart, namespace: shop}}
spec:
  hosts: [cart.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - {{number: 80, name: http, protocol: HTTP, targetPort: {port}}}
    - {{number: {CONNECTING}, name: tcp, protocol: TCP, targetPort: {connecting}}}
  {where}
"""
