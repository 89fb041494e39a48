"""Mutual TLS between real Envoys that proved who they are, over the TLS port of a control plane."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from cryptography import x509
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from tests.e2e.village import Village, account, identity_in, peer_of, village
from tests.lab.echo import first_line, tcp_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from tests.server.client import DELTA, Call
from tests.server.secure import connected
from xdsd.snapshot import SECRET

pytestmark = pytest.mark.e2e

WEB, ALICE, LEGACY = "127.0.0.41", "127.0.0.42", "127.0.0.43"
CART = "cart.default.svc.cluster.local"

UNREACHED = {"503"}
"""What a request is answered whose retries found no peer either."""


def services(http: int, tcp: int, web: int, legacy: int, *, account: str = "alice") -> str:
    """``cart``: a program behind a sidecar and one without, over HTTP; and ``any``, whose protocols are not declared."""
    label = "{app: alice, security.istio.io/tlsMode: istio}"
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
    - {{address: {ALICE}, ports: {{http: {http}}}, serviceAccount: {account}, labels: {label}}}
    - {{address: {LEGACY}, ports: {{http: {legacy}}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: any, namespace: default}}
spec:
  hosts: [any.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {tcp}, name: any}}, {{number: {web}, name: other}}]
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


@dataclass
class Scene:
    """What ``scene`` sets up: ports of alice's programs, and what they were asked."""

    made: Village
    http: int
    tcp: int
    auto: int
    legacy_port: int
    alice: Site
    legacy: Site
    undeclared: Site

    async def declare(self, account: str) -> None:
        """Says whose account alice's is."""
        ports = (self.http, self.tcp, self.auto, self.legacy_port)
        await self.made.apply(services(*ports, account=account))

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

    async def all_other(self, before: Mapping[str, set[str]]) -> Mapping[str, set[str]]:
        """The serial numbers of the certificates that each proxy uses now, once each has one beyond these."""
        found = {name: await serials(envoy) for name, envoy in self.made.envoys.items()}
        assert all(used - before.get(name, set()) for name, used in found.items())
        return found

    async def answers(self, wanted: set[str], requests: int = 10, *, at_most: set[str] | None = None) -> None:
        """Waits until just these programs (or statuses) answer web's requests, and perhaps some of ``at_most`` too."""

        async def holds() -> None:
            found = set()
            for _ in range(requests):
                status, text = await self.made.get("web", f"http://{CART}/")
                found.add(text if status == 200 else str(status))
            assert wanted <= found <= wanted | (at_most or set()), found

        await eventually(holds, f"{wanted} answer")


@asynccontextmanager
async def scene(folder: Path, **options: Any) -> AsyncIterator[Scene]:
    """``web`` calls ``cart``, which is ``alice`` behind a sidecar and ``legacy`` without one."""
    http, tcp, auto, legacy_port = free_ports(4)
    async with (
        Site("alice", "127.0.0.1", http) as alice,
        Site("undeclared", "127.0.0.1", auto) as undeclared,
        Site("legacy", LEGACY, legacy_port) as legacy,
        tcp_server("opaque", "127.0.0.1", tcp),
        village(folder, **options) as made,
    ):
        here = Scene(made, http, tcp, auto, legacy_port, alice, legacy, undeclared)
        await here.declare("alice")
        await asyncio.gather(made.sidecar("web", WEB), made.sidecar("alice", ALICE))
        yield here


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


async def test_who_answers_must_be_whom_the_service_consists_of(tmp_path: Path) -> None:
    """A peer with a certificate of another account is no peer, and plaintext is no way around: requests go elsewhere."""
    async with scene(tmp_path) as here:
        await here.answers({"alice", "legacy"})
        await here.declare("mallory")
        await here.answers({"legacy"}, at_most=UNREACHED)
        await here.made.apply(rule("ISTIO_MUTUAL", f"[{account('alice')}]"))
        await here.answers({"alice"}, at_most=UNREACHED)
        await here.made.apply(rule("DISABLE"))
        await here.answers({"alice", "legacy"})
        await here.made.apply(peers("STRICT"))
        await here.answers({"legacy"}, at_most=UNREACHED)
        await here.legacy.stop()
        await here.answers({"503"})


async def test_peers_are_of_the_trust_domain_or_one_of_its_aliases(tmp_path: Path) -> None:
    """A certificate of another domain is no peer's, whoever signed it, until the mesh calls that domain its own."""
    async with scene(tmp_path) as here:
        await here.made.apply(peers("STRICT"))
        await here.answers({"alice", "legacy"})
        former = await here.made.client("bob", domain="old.example.com")
        assert await here.shown(former) == []
        await here.made.apply(
            """
apiVersion: mesh.xdsd.io/v1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {trustDomainAliases: [old.example.com]}
"""
        )

        async def believed() -> bool:
            return await here.shown(former) == [str(account("alice"))]

        await eventually(believed, "the alias is believed")
        await here.answers({"alice", "legacy"})


async def test_a_revoked_certificate_opens_no_connection(tmp_path: Path) -> None:
    """Once it is on the list, whoever shows it is refused; peers with others go on, and no certificate is renewed for it."""
    async with scene(tmp_path) as here:
        await here.made.apply(peers("STRICT"))
        await here.answers({"alice", "legacy"})
        stolen, good = await here.made.client("mallory"), await here.made.client("bob")
        assert await here.shown(stolen) == await here.shown(good) == [str(account("alice"))]
        issued = here.made.issued
        await here.made.revoke(here.made.shown["mallory"])

        async def refused() -> bool:
            return await here.shown(stolen) == []

        await eventually(refused, "the stolen certificate is refused")
        assert await here.shown(good) == [str(account("alice"))]
        await here.answers({"alice", "legacy"})
        assert here.made.issued == issued


async def test_protocols_that_nobody_declared_are_found_inside(tmp_path: Path) -> None:
    """Requests and opaque connections go to ports of an undeclared protocol in mutual TLS, and are told apart there."""
    async with scene(tmp_path) as here:
        await here.made.apply(peers("STRICT"))
        await here.answers({"alice", "legacy"})
        await eventually(lambda: _not(here.plain), "plaintext is refused")
        host = "any.default.svc.cluster.local"
        assert await here.made.get("web", f"http://{host}:{here.auto}/") == (200, "undeclared")
        assert f"URI={account('web')}" in here.undeclared.asked["x-forwarded-client-cert"]
        assert (await first_line(WEB, here.tcp, b"hello\n")).startswith("opaque")
        assert await first_line(ALICE, here.tcp, b"hello\n") == ""


async def test_ten_rotations_fail_no_request(tmp_path: Path) -> None:
    """Certificates that are replaced ten times, with a handshake for each request: not one fails, whether a proxy is told
    what changed (alice) or the state of the world (web).
    """
    pace = 0.7
    short = timedelta(minutes=1)
    async with scene(tmp_path, lifetime=short, pace=lambda _life, _chance: pace, sotw=["web"]) as here:
        await here.made.apply(rule("", pool="{http: {maxRequestsPerConnection: 1}}"))
        await here.answers({"alice", "legacy"})
        before = await here.all_other({})
        async with Load(f"http://{CART}/", proxy=here.made.proxies["web"], rate=60) as load:
            for _ in range(10):
                before = await eventually(partial(here.all_other, before), "both have another certificate")
            await load.more(60)
        assert load.tally.failed == 0, load.tally


async def test_a_daemon_that_is_away_when_certificates_should_be_renewed_is_not_missed(
    tmp_path: Path,
) -> None:
    """Proxies keep what they have; a daemon that comes back gives each a new one, and no request fails meanwhile."""
    async with scene(tmp_path, lifetime=timedelta(minutes=1), pace=lambda _life, _chance: 1.0) as here:
        await here.answers({"alice", "legacy"})
        async with Load(f"http://{CART}/", proxy=here.made.proxies["web"], rate=60) as load:
            await here.made.leaves()
            sent = here.made.issued
            await load.more(120)
            assert here.made.issued == sent
            await here.made.comes()
            await eventually(lambda: here.made.issued >= sent + 2, "both proxies are given new certificates")
            await load.more(60)
        assert load.tally.failed == 0, load.tally


async def test_every_identity_asks_for_every_others_secret_and_is_refused(tmp_path: Path) -> None:
    """Over the wire: each stream gets its own certificate under the one name, and nothing under any other."""
    names = ("alice", "bob", "carol")
    others = [str(account(name)) for name in names] + ["default~bob", "bob", "kubernetes://bob"]
    async with village(tmp_path) as made:
        trusted = grpc.ssl_channel_credentials(made.authority.bundle)
        keys = set()
        for name in names:
            token, _ = await made.tokens.create(account(name), datetime.now(UTC), timedelta(hours=1))
            node = f"sidecar~10.0.0.1~{name}.default~default.svc.cluster.local"
            async with connected(made.port, trusted) as channel:
                call = Call(channel, DELTA, node, metadata=(("authorization", f"Bearer {token}"),))
                await call.asks(SECRET, "default", *others)
                heard = await call.hears()
                (own,) = heard.resources
                assert sorted(heard.removed_resources) == sorted(others)
                message = Secret.FromString(own.resource.value)
                chain = message.tls_certificate.certificate_chain.inline_bytes
                assert identity_in(x509.load_pem_x509_certificate(chain)) == [str(account(name))]
                keys.add(message.tls_certificate.private_key.inline_bytes)
        assert len(keys) == len(names)
        counted = made.metrics.registry.get_sample_value("xdsd_refused_secrets_total")
        assert counted == len(names) * len(others)


def rule(mode: str, names: str = "[]", *, pool: str = "") -> str:
    """How web is to speak to cart, and who is to answer."""
    tls = f"{{mode: {mode}, subjectAltNames: {names}}}" if mode == "ISTIO_MUTUAL" else f"{{mode: {mode}}}"
    policy = f"    connectionPool: {pool}" if pool else f"    tls: {tls}"
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: cart, namespace: default}}
spec:
  host: {CART}
  trafficPolicy:
{policy}
"""


async def serials(envoy: Envoy) -> set[str]:
    """The serial numbers of the certificates that a proxy uses."""
    page = json.loads(await envoy.get("/certs"))
    return {chain["serial_number"] for each in page["certificates"] for chain in each.get("cert_chain", ())}


async def _not(condition: Callable[[], Awaitable[bool]]) -> bool:
    return not await condition()
