"""Who speaks what with whom: each pair of sidecar, gateway and program without a proxy, in each mode, at the wire."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.test_mutual_tls import peers
from tests.e2e.village import Village, account, identity_in, peer_of, village
from tests.lab.echo import ended
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.tap import Tap

pytestmark = pytest.mark.e2e

WEB, ALICE, EDGE, INNER, LEGACY, WIRE = (f"127.0.0.{number}" for number in range(61, 67))
CALLERS = ("web", "edge", "legacy")
"""A sidecar, a gateway, and a program without a proxy."""
SERVERS = ("alice", "inner", "plain-inner", "old", "witness")
"""A sidecar, a gateway's ports in mutual TLS and in plaintext, a program without a proxy, and one that speaks mutual TLS."""
ABLE = "security.istio.io/tlsMode: istio"


class Heard(NamedTuple):
    """Whether a request was answered, what was spoken on the wire, and who called in the eyes of who answered."""

    answered: bool
    wire: str
    caller: str = ""


REFUSED_TLS, REFUSED_PLAIN, PLAIN = Heard(False, "tls"), Heard(False, "plain"), Heard(True, "plain")


def mutual(caller: str) -> Heard:
    return Heard(True, "tls", str(account(caller)))


def expected(caller: str, server: str, mode: str, rule: str) -> Heard:
    """What should be heard: ``mode`` is what alice takes, ``rule`` how callers with a proxy are told to speak."""
    takes_tls = {"alice": mode != "DISABLE", "inner": True, "witness": True}.get(server, False)
    takes_plain = {"alice": mode != "STRICT", "inner": False, "witness": False}.get(server, True)
    sends_tls = caller != "legacy" and (rule == "ISTIO_MUTUAL" or (rule == "" and takes_tls))
    if sends_tls:
        return mutual(caller) if takes_tls else REFUSED_TLS
    return PLAIN if takes_plain else REFUSED_PLAIN


@dataclass
class Scene:
    """The mesh, with a wire before each server by which callers reach it, and the port of the gateway that calls."""

    made: Village
    taps: dict[str, Tap]
    ports: dict[str, int]
    door: int
    alice: int
    inner: int

    async def ask(self, caller: str, server: str) -> Heard:
        """What one request makes heard."""
        tap = self.taps[server]
        before = len(tap.heard)
        host = f"{server}.default.svc.cluster.local"
        try:
            if caller == "web":
                status, text = await self.made.get("web", f"http://{host}/")
            elif caller == "edge":
                status, text = await _get(f"http://{EDGE}:{self.door}/", host)
            else:
                status, text = await _get(f"http://{WIRE}:{self.ports[server]}/", host)
        except (aiohttp.ClientError, OSError):
            status, text = 0, ""
        wires = set(tap.heard[before:])
        assert len(wires) == 1, f"{caller} to {server}: {status} {text}, heard {wires}"
        return Heard(status == 200, wires.pop(), text.partition("URI=")[2].partition(";")[0])

    def is_foretold(self, caller: str, server: str, found: Heard) -> None:
        """What is said of who may reach whom is what was heard."""
        verdict = self.made.judged("anonymous" if caller == "legacy" else f"default/{caller}", server)
        assert verdict.allowed == found.answered, f"{caller} to {server}: {found}, said {verdict}"
        assert not found.answered or verdict.source.peer == found.caller, f"{found}, said {verdict}"

    async def hear(self, mode: str, rule: str) -> None:
        """Waits until every pair does what it should."""
        pairs = [(caller, server) for caller in CALLERS for server in SERVERS]

        async def holds() -> None:
            for caller, server in pairs:
                found = await self.ask(caller, server)
                wanted = expected(caller, server, mode, rule)
                assert found == wanted, f"{mode}, rule {rule!r}, {caller} to {server}: {found}, not {wanted}"
                if server == "alice" or (server == "old" and rule != "ISTIO_MUTUAL"):
                    self.is_foretold(caller, server, found)

        await eventually(holds)


async def _get(url: str, host: str) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, headers={"host": host}) as response,
    ):
        return response.status, await response.text()


@asynccontextmanager
async def tell_caller(address: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """A program that answers with the identity of its caller: as the proxy before it says, or as the handshake proved."""

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert") or {}
        names = [f"URI={name}" for kind, name in shown.get("subjectAltName", ()) if kind == "URI"]
        forwarded = request.headers.get("x-forwarded-client-cert", "")
        return web.Response(text=";".join([*names, forwarded]))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, ssl_context=tls).start()
        yield
    finally:
        await ended(runner)


def _services(ports: dict[str, int], rule: str) -> str:
    """Each server's service, whose only endpoint is the wire before it, and how callers are told to speak to it."""
    tls = f", tls: {{mode: {rule}}}" if rule else ""
    found = []
    for name, port in ports.items():
        owner = name.removeprefix("plain-")
        labels = (
            ""
            if name in ("plain-inner", "old")
            else f", serviceAccount: {owner}, labels: {{app: {owner}, {ABLE}}}"
        )
        found.append(f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  endpoints: [{{address: {WIRE}{labels}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: default}}
spec:
  host: {name}.default.svc.cluster.local
  trafficPolicy: {{connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}{tls}}}
""")
    return "---".join(found)


def _doors(door: int, mutual_port: int, plain: int, own: int, program: int) -> str:
    """The ports of both gateways and where they lead, and what alice's sidecar stands before."""
    hosts = [f"{name}.default.svc.cluster.local" for name in SERVERS]
    routes = "---".join(
        f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {host.partition(".")[0]}, namespace: default}}
spec: {{hosts: [{host}], gateways: [edge], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}
"""
        for host in hosts
    )
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: default}}
spec:
  selector: {{app: edge}}
  servers: [{{port: {{number: {door}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: inner, namespace: default}}
spec:
  selector: {{app: inner}}
  servers:
    - {{port: {{number: {mutual_port}, name: https, protocol: HTTPS}}, hosts: ["*"], tls: {{mode: ISTIO_MUTUAL}}}}
    - {{port: {{number: {plain}, name: http, protocol: HTTP}}, hosts: ["*"]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: behind-inner, namespace: default}}
spec:
  hosts: ["*"]
  gateways: [inner]
  http: [{{route: [{{destination: {{host: program.default.svc.cluster.local}}}}]}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: program, namespace: default}}
spec:
  hosts: [program.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {program}}}]
  endpoints: [{{address: {LEGACY}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: own, namespace: default}}
spec:
  hosts: [own.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {own}}}]
  endpoints: [{{address: {ALICE}, serviceAccount: alice, labels: {{app: alice, {ABLE}}}}}]
---{routes}"""


async def _witness(made: Village) -> ssl.SSLContext:
    """What a program shows and demands that is its own proxy, so that nobody else tells it who calls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=made.authority.bundle.decode())
    own = await made.authority.credential(account("witness"))
    file = made.folder / "witness.pem"
    file.write_bytes(own.key + own.svid.chain)
    context.load_cert_chain(file)
    return context


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Four Envoys, of which one caller is told the state of the world and the others what changes."""
    door, mutual_port, plain, own, program, seen = free_ports(6)
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(village(folder, sotw=["web"]))
        tls = await _witness(made)
        for address, port, context in (
            ("127.0.0.1", own, None),
            (LEGACY, program, None),
            (LEGACY, seen, tls),
        ):
            await stack.enter_async_context(tell_caller(address, port, context))
        targets = {
            "alice": (ALICE, own),
            "inner": (INNER, mutual_port),
            "plain-inner": (INNER, plain),
            "old": (LEGACY, program),
            "witness": (LEGACY, seen),
        }
        ports = dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
        taps = {
            name: await stack.enter_async_context(Tap(WIRE, ports[name], *target))
            for name, target in targets.items()
        }
        await made.apply(_doors(door, mutual_port, plain, own, program) + "---" + _services(ports, ""))
        await asyncio.gather(
            made.sidecar("web", WEB),
            made.sidecar("alice", ALICE),
            made.gateway("edge", EDGE),
            made.gateway("inner", INNER),
        )
        yield Scene(made, taps, ports, door, own, mutual_port)


async def test_every_pair_speaks_what_both_sides_declare(tmp_path: Path) -> None:
    """Each mode of a workload under each rule of its callers: who is answered, in what, and as whom; servers show the
    identity that callers expect.
    """
    async with scene(tmp_path) as here:
        for mode in ("PERMISSIVE", "STRICT", "DISABLE"):
            await here.made.apply(peers(mode))
            for rule in ("", "ISTIO_MUTUAL", "DISABLE"):
                await here.made.apply(_services(here.ports, rule))
                await here.hear(mode, rule)
            if mode != "DISABLE":
                tls = await here.made.client("probe")
                for name, address, port in (("alice", ALICE, here.alice), ("inner", INNER, here.inner)):
                    assert identity_in(await peer_of(address, port, tls)) == [str(account(name))]
