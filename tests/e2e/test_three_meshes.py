"""Three data centres, each a mesh of its own: a service that fails in one is served from the others, and comes back."""

import asyncio
import ssl
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from tests.e2e.data_centres import INGRESS, PEERING, Mesh, Scene, data_centres
from tests.e2e.leaving import ELSE, HTTP, OUTSIDE, asked
from tests.e2e.village import identity_in
from tests.lab.caller import FAILED, WORKERS
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e


def share(distribution: str) -> str:
    """A rule that divides the requests of the first mesh between localities, by percent."""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: service1, namespace: foo}}
spec:
  host: service1.foo.global
  trafficPolicy:
    loadBalancer:
      localityLbSetting:
        distribute: [{{from: eu/west/*, to: {{{distribution}}}}}]
"""


PATIENCE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: service1, namespace: foo}
spec:
  hosts: [service1.foo.global]
  http:
    - route: [{destination: {host: service1.foo.global}}]
      retries:
        attempts: 3
        perTryTimeout: 1s
        retryOn: connect-failure,reset-before-request,retriable-headers,gateway-error
        retryRemoteLocalities: true
"""

STAYS = """
apiVersion: mesh.xdsd.io/v1
kind: Residency
metadata: {name: stays, namespace: foo}
spec: {regions: [eu]}
"""


async def test_three_data_centres_serve_one_name(tmp_path: Path) -> None:
    """Whatever fails, programs are answered by who is left, and by their own data centre again once it is well."""
    async with data_centres(tmp_path) as scene:
        await _is_known(scene)
        await _is_left_by_its_gate(scene)
        await _chooses(scene)
        await _loses_a_program(scene)
        await _loses_a_machine(scene)
        await _loses_a_wire(scene)
        await _stays_in_its_region(scene)
        await _loses_a_daemon(scene)
        await _loses_a_data_centre(scene)


async def _is_known(scene: Scene) -> None:
    """The others are heard, daemons prove who they are, and who is near answers a program and the world."""

    async def heard() -> None:
        for other in ("east", "north"):
            assert await scene.west.status(other) == "SYNCED"

    await eventually(heard, "the others are heard")
    assert await _shown(scene.west, scene.east) == ["spiffe://east.example/ns/istio-system/sa/xdsd"]
    await scene.calls.settle("west")  # before, its sidecar may know nothing yet
    assert (await scene.calls.settle("west")).failed == 0
    assert await _asked_from_outside(scene.west) == "west"


async def _is_left_by_its_gate(scene: Scene) -> None:
    """In each data centre: one host outside is reached, and through the gateway; other hosts and ports are not."""
    for mesh in scene.meshes.values():
        gate = mesh.centre.machines["exit"].address
        await eventually(partial(_left_by, mesh, gate), f"{mesh.name} is left by its gate")
        for host, port in (("other.example.com", HTTP), (OUTSIDE, ELSE)):
            assert await asked(mesh.centre, host, port) in ("", "404", "502"), (mesh.name, host, port)


async def _left_by(mesh: Mesh, gate: str) -> bool:
    return await asked(mesh.centre, OUTSIDE) == gate


async def _chooses(scene: Scene) -> None:
    """By percent across meshes, and elsewhere alone, as a rule says."""
    await scene.west.apply(share("eu/west/*: 50, us/north/*: 50"))
    assert (await scene.calls.settle("west", "north")).failed == 0
    await scene.west.apply(share("us/north/*: 100"))
    assert (await scene.calls.settle("north")).failed == 0
    await scene.west.delete("destinationrule", "service1", "-n", "foo")
    assert (await scene.calls.settle("west")).failed == 0


async def _loses_a_program(scene: Scene) -> None:
    """The nearest mesh answers, and sees who calls; there is no to and fro when the program is back."""
    await scene.west.stop()
    passage = await scene.calls.settle("east")
    assert passage.failed <= WORKERS, passage
    assert passage.seconds < 30, passage
    assert "URI=spiffe://west.example/ns/foo/sa/door" in await _asked_from_outside(scene.west, whole=True)
    await scene.west.comes()
    passage = await scene.calls.settle("west")
    assert passage.failed == 0, passage
    assert passage.turns <= WORKERS, passage


async def _loses_a_machine(scene: Scene) -> None:
    """With its sidecar; it is not back for the time being."""
    await scene.west.envoys["service1"].program.kill()
    passage = await scene.calls.settle("east")
    assert passage.failed <= WORKERS, passage
    assert passage.seconds < 30, passage


async def _loses_a_wire(scene: Scene) -> None:
    """Slow at first, where a route says how slow is too slow, and then cut: nobody is told that, and yet it is found out."""
    wire = scene.centres.wires["west", "east"]
    await scene.west.apply(PATIENCE)
    wire.delay = 1.5
    passage = await scene.calls.settle("north")
    assert passage.failed <= WORKERS, passage
    wire.delay = 0
    assert (await scene.calls.settle("east")).failed == 0
    await scene.west.delete("virtualservice", "service1", "-n", "foo")
    wire.cut()
    passage = await scene.calls.settle("north")
    assert passage.failed <= WORKERS * 2, passage
    wire.mend()
    assert (await scene.calls.settle("east")).failed == 0


async def _stays_in_its_region(scene: Scene) -> None:
    """A peer whose gateway is lost is left for another region, but not where a Residency says otherwise."""
    await scene.west.apply(STAYS)
    await eventually(lambda: _leads(scene.west, "north", False), "the other region is left out")
    await scene.east.envoys["door"].program.kill()
    await scene.calls.settle(FAILED)
    await scene.west.delete("residency", "stays", "-n", "foo")
    await scene.calls.settle("north")
    await scene.east.proxy_comes("door")
    assert (await scene.calls.settle("east")).failed == 0


async def _loses_a_daemon(scene: Scene) -> None:
    """What a peer said last holds for its time, and traffic with it; then its endpoints go, until it is back."""
    await scene.west.peers_with(scene.east, keep_for="12s")
    await scene.east.daemon.kill()

    async def stale() -> None:
        assert await scene.west.status("east") == "STALE"

    await eventually(stale, "the daemon is missed")
    assert (await scene.calls.settle("east")).failed == 0
    assert (await scene.calls.settle("north")).failed == 0
    assert "cannot be heard, what it said last is gone" in await scene.west.daemon.xdsctl("problems")
    await scene.east.daemon_comes()
    assert (await scene.calls.settle("east")).failed == 0


async def _loses_a_data_centre(scene: Scene) -> None:
    """All of it at once; and then the own one is well again."""
    east = scene.east
    for each in (east.daemon.program, east.program, *(envoy.program for envoy in east.envoys.values())):
        await each.kill()
    passage = await scene.calls.settle("north")
    assert passage.failed <= WORKERS, passage
    await scene.west.proxy_comes("service1")
    assert (await scene.calls.settle("west")).failed == 0


async def _leads(mesh: Mesh, peer: str, expected: bool) -> None:
    found = await mesh.daemon.xdsctl("global", "service1", "-o", "json")
    assert (f'"peer": "{peer}"' in found) is expected


async def _shown(caller: Mesh, peer: Mesh) -> list[str]:
    """As whom a daemon shows itself to those who call it from another data centre."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with caller.centre.core.entered():
        _, writer = await asyncio.open_connection(peer.centre.core.address, PEERING, ssl=tls)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return identity_in(x509.load_der_x509_certificate(shown))


async def _asked_from_outside(mesh: Mesh, *, whole: bool = False) -> str:
    """Who answers a stranger at the gateway; all that is answered."""
    url = f"http://{mesh.centre.core.address}:{INGRESS}/"
    with mesh.centre.core.entered():
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
            session.get(url, headers={"host": "shop.example.com"}) as response,
        ):
            text = await response.text()
    return text if whole else text.splitlines()[0]
