"""A root that follows another under load, through real Envoys, deaths of the daemon and a proxy that lags."""

import asyncio
import json
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from api.commands.cert.asking import Asker
from api.commands.cert.asking import ask as certificate_for
from api.commands.cert.folder import write
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import ask
from tests.e2e.village import peer_of
from tests.lab.daemon import Daemon
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.settings import TcpAddress

pytestmark = pytest.mark.e2e

WEB, CART, IDLE = "127.0.0.51", "127.0.0.52", "127.0.0.53"
Action = pb.RotateRequest.Action
HOST = "cart.default.svc.cluster.local"


def service(port: int) -> str:
    """``cart`` behind its sidecar, which takes mutual TLS alone; each request to it is a handshake."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: cart}}
spec:
  hosts: [{HOST}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
    - address: {CART}
      ports: {{http: {port}}}
      serviceAccount: cart
      labels: {{app: cart, security.istio.io/tlsMode: istio}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: cart}}
spec:
  host: {HOST}
  trafficPolicy: {{connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default}}
spec: {{mtls: {{mode: STRICT}}}}
"""


@dataclass
class Mesh:
    """A daemon, its sidecars, the port of ``cart``, and the HTTP proxy of ``web``."""

    folder: Path
    daemon: Daemon
    tls: str
    port: int
    stack: AsyncExitStack
    proxy: str
    envoys: dict[str, Envoy] = field(default_factory=dict)

    async def token(self, account: str) -> str:
        """A join token."""
        request = pb.CreateJoinTokenRequest(namespace="default", service_account=account, ttl_seconds=900)
        return (await ask(self.daemon, lambda client: JoiningClient(client).create_token(request))).token

    async def sidecar(self, name: str, address: str, *words: str) -> None:
        """With a token of the service account of its name."""
        token, root = self.folder / f"{name}.token", self.folder / "root.pem"
        token.write_text(await self.token(name))
        said = ("--name", name, "--service-account", name, "--address", address, "--labels", f"app={name}")
        tls = ("--root", root, "--join-token-file", token, "--xds-address", self.tls)
        boot = await self.daemon.xdsctl(
            "bootstrap", *said, "--interception", "none", *words, *tls, "-o", "json"
        )
        self.envoys[name] = Envoy(json.loads(boot), self.folder, name=name)
        await self.stack.enter_async_context(self.envoys[name])

    async def rotation(self) -> pb.Rotation:
        """How far it is."""
        return await ask(self.daemon, lambda client: JoiningClient(client).rotation())

    async def rotate(self, action: pb.RotateRequest.Action) -> None:
        """Says something of the rotation."""
        request = pb.RotateRequest(action=action)
        await ask(self.daemon, lambda client: JoiningClient(client).rotate(request))

    async def done(self, *, back: bool = False) -> None:
        """Returns at the end of the rotation."""

        async def over() -> None:
            found = await self.rotation()
            assert (found.step, found.back) == ("done", back), found

        await eventually(over, "the rotation is done", every=0.1)

    async def waits_at(self, step: str, *names: str, why: str = "") -> pb.Rotation:
        """How far it is, once this step waits for just these, and for each because of that."""

        async def there() -> pb.Rotation:
            found = await self.rotation()
            assert found.step == step, found
            assert [each.name for each in found.holds] == sorted(names), found.holds
            assert all(why in each.why for each in found.holds), found.holds
            return found

        return await eventually(there, f"{step} waits for {names}", every=0.1)

    async def dies(self) -> None:
        """The daemon is killed, and starts again."""
        await self.daemon.kill()
        await self.daemon.start()

    async def issuer(self) -> str:
        """Who signed the certificate that cart's sidecar shows to a program which has one of its own."""
        roots = (await ask(self.daemon, lambda client: JoiningClient(client).trust())).bundle
        asker = Asker(roots, await self.token("probe"))
        files = await asyncio.to_thread(certificate_for, [parse_tcp(self.tls)], asker, 0)
        folder = self.folder / "probe"
        write(folder, files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(folder / "root.pem")
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        shown = await peer_of(CART, self.port, context)
        return shown.issuer.rfc4514_string()

    async def roots(self) -> list[str]:
        """The names of those that are trusted."""
        made = (await ask(self.daemon, lambda client: JoiningClient(client).trust())).bundle
        return [each.subject.rfc4514_string() for each in x509.load_pem_x509_certificates(made)]


def parse_tcp(text: str) -> TcpAddress:
    host, _, port = text.partition(":")
    return TcpAddress(host, int(port))


@asynccontextmanager
async def mesh(folder: Path) -> AsyncIterator[Mesh]:
    """``web`` calls ``cart``; ``idle`` is there."""
    tls, port, proxy = free_ports(3)
    settings = {"xds-tls-address": f"127.0.0.1:{tls}"}
    async with Site("cart", "127.0.0.1", port), Daemon(folder, settings) as daemon, AsyncExitStack() as stack:
        made = Mesh(folder, daemon, settings["xds-tls-address"], port, stack, f"http://{WEB}:{proxy}")
        await daemon.xdsctl("apply", "-f", "-", text=service(port))
        await daemon.xdsctl("ca", "bundle", "--out", folder / "root.pem")
        words = ("--http-proxy-port", str(proxy), "--outbound-bind", WEB)
        await asyncio.gather(
            made.sidecar("web", WEB, *words), made.sidecar("cart", CART), made.sidecar("idle", IDLE)
        )
        yield made


async def test_roots_follow_each_other_and_no_request_fails(tmp_path: Path) -> None:
    """Though the daemon is killed on the way, a proxy that does not answer holds it until it does, and a rotation is
    aborted when certificates are of the new root already: it returns to the old one.
    """
    async with mesh(tmp_path) as made:
        (old,) = await made.roots()
        assert await made.issuer() == old
        idle = made.envoys["idle"].program
        everybody = ("cart.default", "idle.default", "web.default")
        async with Load(f"http://{HOST}/", proxy=made.proxy, rate=40) as load:
            idle.signal(signal.SIGSTOP)
            await made.rotate(Action.BEGIN)
            await made.waits_at("trust", "idle.default", why="has not acknowledged")
            await made.dies()
            held = await made.waits_at(
                "trust", "idle.default", why="is away, and its certificate holds until"
            )
            assert held.holds[0].away
            assert await made.issuer() == old
            idle.signal(signal.SIGCONT)
            await made.waits_at("issue", *everybody, why="knows the roots from a file")
            assert await made.issuer() not in (old, "")
            await made.rotate(Action.ABORT)
            await made.rotate(Action.ROOTS_GIVEN)
            await made.done(back=True)
            assert await made.roots() == [old]
            assert await made.issuer() == old
            await made.rotate(Action.BEGIN)
            await made.waits_at("issue", *everybody, why="knows the roots from a file")
            assert len(await made.roots()) == 2
            await made.rotate(Action.ROOTS_GIVEN)
            await made.done()
            await load.more(40)
        assert load.tally.failed == 0, load.tally
        (new,) = await made.roots()
        assert new != old
        assert await made.issuer() == new
