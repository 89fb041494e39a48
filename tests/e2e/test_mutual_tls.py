"""Mutual TLS between real Envoys that proved who they are, over the TLS port of a control plane."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.village import Village, account, identity_in, peer_of, village
from tests.lab.echo import tcp_server
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.sites import Site

pytestmark = pytest.mark.e2e

WEB, ALICE, LEGACY = "127.0.0.41", "127.0.0.42", "127.0.0.43"
CART = "cart.default.svc.cluster.local"


def services(http: int, tcp: int, legacy: int, *, able: bool = True) -> str:
    """``cart``: a program behind a sidecar and one without, over HTTP; and ``any``, whose protocol is not declared."""
    label = "{app: alice, security.istio.io/tlsMode: istio}" if able else "{app: alice}"
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
    - {{address: {ALICE}, ports: {{http: {http}}}, serviceAccount: alice, labels: {label}}}
    - {{address: {LEGACY}, ports: {{http: {legacy}}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: any, namespace: default}}
spec:
  hosts: [any.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {tcp}, name: any}}]
  endpoints: [{{address: {ALICE}, serviceAccount: alice, labels: {label}}}]
"""


def peers(mode: str, *, ports: str = "") -> str:
    """A PeerAuthentication for alice."""
    more = f"\n  portLevelMtls: {ports}" if ports else ""
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: alice, namespace: default}}
spec:
  selector: {{matchLabels: {{app: alice}}}}
  mtls: {{mode: {mode}}}{more}
"""


class Scene:
    """Ports of what ``scene`` sets up, and its programs."""

    def __init__(self, made: Village, http: int, tcp: int, alice: Site, legacy: Site) -> None:
        self.made, self.http, self.tcp, self.alice, self.legacy = made, http, tcp, alice, legacy

    async def plain(self) -> bool:
        """Whether alice's sidecar takes plaintext."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{ALICE}:{self.http}/") as response,
            ):
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def shown(self, tls: ssl.SSLContext) -> list[str]:
        """Who alice's sidecar says it is to a caller; nobody if it does not take the caller."""
        try:
            return identity_in(await peer_of(ALICE, self.http, tls))
        except (OSError, AssertionError):
            return []

    async def answers(self, wanted: set[str], requests: int = 10) -> None:
        """Waits until just these programs (or statuses) answer web's requests."""

        async def holds() -> None:
            found = set()
            for _ in range(requests):
                status, text = await self.made.get("web", f"http://{CART}/")
                found.add(text if status == 200 else str(status))
            assert found == wanted, found

        await eventually(holds, f"{wanted} answer")


@asynccontextmanager
async def scene(folder: Path, *, able: bool = True, **options: object) -> AsyncIterator[Scene]:
    """``web`` calls ``cart``, which is ``alice`` behind a sidecar and ``legacy`` without one."""
    http, tcp, legacy_port = free_ports(3)
    async with (
        Site("alice", "127.0.0.1", http) as alice,
        Site("legacy", LEGACY, legacy_port) as legacy,
        tcp_server("opaque", "127.0.0.1", tcp),
        village(folder, **options) as made,  # type: ignore[arg-type]
    ):
        await made.apply(services(http, tcp, legacy_port, able=able))
        await asyncio.gather(made.sidecar("web", WEB), made.sidecar("alice", ALICE))
        yield Scene(made, http, tcp, alice, legacy)


async def test_sidecars_speak_mutual_tls_and_legacy_plaintext_in_one_cluster(tmp_path: Path) -> None:
    """Who called is proved to the one and not to the other; STRICT turns plaintext away and DISABLE turns TLS away."""
    async with scene(tmp_path) as here:
        await here.answers({"alice", "legacy"})
        assert f"URI={account('web')}" in here.alice.asked["x-forwarded-client-cert"]
        assert "x-forwarded-client-cert" not in here.legacy.asked
        mesh, stranger = await here.made.client("bob"), await here.made.client()
        assert await here.plain()
        assert await here.shown(mesh) == [str(account("alice"))]
        assert await here.shown(stranger) == []
        await here.made.apply(peers("STRICT"))
        await eventually(lambda: _not(here.plain), "plaintext is refused")
        assert await here.shown(mesh) == [str(account("alice"))]
        assert await here.shown(await here.made.client("bob", alpn="http/1.1")) == [str(account("alice"))]
        assert await here.shown(stranger) == []
        await here.answers({"alice", "legacy"})
        await here.made.apply(peers("STRICT", ports=f"{{{here.http}: {{mode: DISABLE}}}}"))
        await eventually(here.plain, "plaintext is taken")
        assert await here.shown(mesh) == []


async def _not(condition: object) -> bool:
    return not await condition()  # type: ignore[operator]
