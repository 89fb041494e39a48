"""Revocation on real Envoys: what happens to connections that are open, in both directions."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.village import Village, account, village
from tests.lab.echo import first_line, tcp_server
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.manifest import parse_manifest

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

WEB, ALICE, DORA = "127.0.0.46", "127.0.0.47", "127.0.0.48"
DRAIN = 2.0
"""Seconds that Envoys of the tests drain; 45 is the default of the mesh."""
BOUND = DRAIN + 3.0
"""Seconds, beside a busy machine: what the daemon and Envoy take is told by the page."""


def services(http: int, tcp: int, other: int, dora_speaks: str) -> str:
    """``alice`` over HTTP and TCP, and ``dora`` over what it speaks, each behind a sidecar."""
    label = "security.istio.io/tlsMode: istio"
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: alice, namespace: default}}
spec:
  hosts: [alice.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {http}, name: http, protocol: HTTP}}, {{number: {tcp}, name: tcp, protocol: TCP}}]
  endpoints: [{{address: {ALICE}, serviceAccount: alice, labels: {{app: alice, {label}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: dora, namespace: default}}
spec:
  hosts: [dora.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {other}, name: other, protocol: {dora_speaks}}}]
  endpoints: [{{address: {DORA}, serviceAccount: dora, labels: {{app: dora, {label}}}}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: STRICT}}}}
"""


@dataclass(slots=True)
class Open:
    """A connection that stays open until the other side ends it; ``ended`` is when."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeted: str = ""
    ended: float = 0.0
    watch: "asyncio.Task[None] | None" = field(default=None)

    async def ask(self, http: bool) -> str:
        """What it is answered: the name that the program greeted with over TCP, a status over HTTP."""
        self.writer.write(b"GET / HTTP/1.1\r\nhost: alice\r\n\r\n" if http else b"hello\n")
        await self.writer.drain()
        line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
        if not http:
            if not self.greeted:
                self.greeted = line.partition(" ")[0]
                line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            return self.greeted if line == "hello\n" else ""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(
            (int(each.split(":")[1]) for each in head.splitlines() if each.startswith("content-le")), 0
        )
        await self.reader.readexactly(length)
        return line.split()[1]

    def follow(self) -> None:
        """Notes when it ends."""
        self.watch = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        try:
            while await self.reader.read(1000):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        self.ended = time.monotonic()

    @property
    def is_open(self) -> bool:
        return not self.ended


@dataclass(slots=True)
class Scene:
    """The ports of alice's and dora's programs."""

    made: Village
    http: int
    tcp: int
    other: int
    opened: list[Open] = field(default_factory=list)

    async def open(self, address: str, port: int, tls: ssl.SSLContext | None = None) -> Open:
        reader, writer = await asyncio.open_connection(address, port, ssl=tls)
        self.opened.append(Open(reader, writer))
        return self.opened[-1]

    async def changes(self, name: str) -> int:
        """How often a sidecar took another listener."""
        told = await self.made.envoys[name].get("/stats?filter=listener_manager.listener_modified")
        return int(told.rpartition(":")[2])

    async def taken(self, tls: ssl.SSLContext, port: int) -> bool:
        """Whether alice's sidecar takes a new connection."""
        try:
            made = await self.open(ALICE, port, tls)
            return await made.ask(port == self.http) in {"200", "opaque"}
        except (OSError, asyncio.IncompleteReadError, IndexError):
            return False


@asynccontextmanager
async def scene(folder: Path, dora_speaks: str = "TCP") -> AsyncIterator[Scene]:
    """Sidecars of web, alice and dora, and their programs."""
    http, tcp, other = free_ports(3)
    async with (
        Site("alice", "127.0.0.1", http),
        tcp_server("opaque", "127.0.0.1", tcp),
        Site("dora", "127.0.0.1", other) if dora_speaks == "HTTP" else tcp_server("dora", "127.0.0.1", other),
        village(folder) as made,
    ):
        await made.apply(services(http, tcp, other, dora_speaks))
        here = Scene(made, http, tcp, other)
        await asyncio.gather(
            made.sidecar("web", WEB), made.sidecar("alice", ALICE), made.sidecar("dora", DORA)
        )
        try:
            yield here
        finally:
            for each in here.opened:
                each.writer.close()
                if each.watch is not None:
                    each.watch.cancel()


async def test_a_revoked_client_is_cut_off_from_healthy_servers(tmp_path: Path) -> None:
    """Requests over its open connection are refused at once, its connections end within the bound though they are idle, and
    no new one is taken; others' requests succeed, as their connections are closed between two of them.
    """
    async with scene(tmp_path) as here:
        mallory, carol = await here.made.client("mallory"), await here.made.client("carol")
        await eventually(lambda: here.taken(carol, here.http), "alice serves HTTP")
        await eventually(lambda: here.taken(carol, here.tcp), "alice serves TCP")
        asking, idle, plain = [
            await here.open(ALICE, port, mallory) for port in (here.http, here.http, here.tcp)
        ]
        assert await asking.ask(True) == await idle.ask(True) == "200"
        assert await plain.ask(False) == "opaque"
        url = f"http://alice.default.svc.cluster.local:{here.http}/"
        async with Load(url, proxy=here.made.proxies["web"], rate=40) as load:
            await load.more(20)
            began = time.monotonic()
            for each in (idle, plain):
                each.follow()
            await here.made.shut_out(account("mallory"))
            said = await eventually(lambda: _refused(asking), "a request over an open connection is refused")
            refused = time.monotonic() - began
            await eventually(lambda: not idle.is_open and not plain.is_open, "the connections are closed")
            assert not await here.taken(mallory, here.http)
            assert not await here.taken(mallory, here.tcp)
            await load.more(40)
        took = {"refused": refused, "idle": idle.ended - began, "tcp": plain.ended - began}
        print(said, took)
        assert max(took.values()) < BOUND, took
        assert load.tally.failed == 0, load.tally
        assert await here.taken(carol, here.http)
        assert await here.taken(carol, here.tcp)


async def _refused(asking: Open) -> str:
    """The status of a request that is refused, or that it found its connection closed."""
    try:
        said = await asking.ask(True)
    except (OSError, IndexError, asyncio.IncompleteReadError):
        return "closed"
    assert said == "403", said
    return said


async def test_healthy_clients_leave_a_revoked_server(tmp_path: Path) -> None:
    """Requests go nowhere at once rather than to it, and a connection that carries no requests ends within the bound; others
    are reached as before.
    """
    async with scene(tmp_path) as here:
        url = f"http://alice.default.svc.cluster.local:{here.http}/"

        async def answers(status: int) -> None:
            assert (await here.made.get("web", url))[0] == status

        await eventually(lambda: answers(200), "alice answers web")
        to_alice = await here.open(WEB, here.tcp)
        assert await to_alice.ask(False) == "opaque"
        began = time.monotonic()
        to_alice.follow()
        await here.made.shut_out(account("alice"))
        await eventually(lambda: answers(503), "alice is not asked")
        refused = time.monotonic() - began
        await eventually(lambda: not to_alice.is_open, "the connection is closed")
        took = {"requests": refused, "tcp": to_alice.ended - began}
        print(took)
        assert max(took.values()) < BOUND, took
        assert (await first_line(WEB, here.other)).startswith("dora ")


async def test_connections_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    """Nobody's connection ends; what is asked over an open one is refused all the same, even of certificates on no list."""
    async with scene(tmp_path) as here:
        mallory, carol = await here.made.client("mallory"), await here.made.client("carol")
        await eventually(lambda: here.taken(carol, here.http), "alice serves HTTP")
        theirs, hers = await here.open(ALICE, here.http, mallory), await here.open(ALICE, here.tcp, carol)
        assert await theirs.ask(True) == "200"
        assert await hers.ask(False) == "opaque"
        drained = await here.made.envoys["alice"].get("/stats?filter=total_filter_chains_draining")
        await here.made.shut_out(account("mallory"), listed=False, keep=True)
        assert await eventually(lambda: _refused(theirs), "a request is refused") == "403"
        assert await theirs.ask(True) == "403"
        assert not await here.taken(mallory, here.tcp)
        assert await hers.ask(False) == "opaque"
        assert await here.made.envoys["alice"].get("/stats?filter=total_filter_chains_draining") == drained


ONLY_CAROL = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-carol, namespace: default}
spec:
  selector: {matchLabels: {app: dora}}
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/carol, cluster.local/ns/default/sa/web]}}]}]
"""


async def test_workloads_that_never_let_it_in_lose_no_connection(tmp_path: Path) -> None:
    """Where policies keep out who is revoked nothing is drained and no request fails; where they let it in it is cut off."""
    async with scene(tmp_path, dora_speaks="HTTP") as here:
        await here.made.apply(ONLY_CAROL)
        mallory, carol = await here.made.client("mallory"), await here.made.client("carol")
        await eventually(lambda: here.taken(carol, here.http), "alice serves HTTP")

        async def is_kept_out() -> None:
            asking = await here.open(DORA, here.other, mallory)
            assert await asking.ask(True) == "403"

        await eventually(is_kept_out, "dora refuses mallory")
        hers, theirs = await here.open(DORA, here.other, carol), await here.open(ALICE, here.http, mallory)
        assert await hers.ask(True) == await theirs.ask(True) == "200"
        before = await here.changes("dora"), await here.changes("alice")
        (policy,) = parse_manifest(ONLY_CAROL.encode(), "policy.yaml").objects
        url = f"http://dora.default.svc.cluster.local:{here.other}/"
        async with Load(url, proxy=here.made.proxies["web"], rate=40) as load:
            await load.more(20)
            began = time.monotonic()
            theirs.follow()
            await here.made.shut_out(account("mallory"), policies=[policy.object])
            await eventually(lambda: not theirs.is_open, "its connection to alice is closed")
            took = theirs.ended - began
            await load.more(40)
        assert took < BOUND, took
        assert load.tally.failed == 0, load.tally
        assert await hers.ask(True) == "200"
        after = await here.changes("dora"), await here.changes("alice")
        assert after[0] == before[0]
        assert after[1] > before[1]
