"""Mutual TLS between machines whose traffic the kernel redirects: no program knows of it, and nothing gets around it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

from tests.e2e.asking import accepted, ask, encoded, thing
from tests.lab.daemon import Daemon
from tests.lab.echo import first_line, tcp_server
from tests.lab.eventually import eventually
from tests.lab.netns import PROXY_GROUP, CapturingEnvoy, Machine, capture, two_machines
from tests.lab.sites import Site

pytestmark = pytest.mark.e2e

REVIEWS_ADDRESS, MYSQL_ADDRESS = "10.96.0.10", "10.96.0.7"  # virtual: only the proxies can make sense of them
XDS_PORT = 15012
STRANGER = 7777


def service(name: str, address: str, number: int, protocol: str, server: Machine) -> dict[str, Any]:
    """A service on the serving machine, whose proxy takes mutual TLS."""
    endpoint = {
        "address": server.address,
        "serviceAccount": "reviews",
        "labels": {"app": "reviews", "security.istio.io/tlsMode": "istio"},
    }
    spec = {
        "hosts": [f"{name}.default.svc.cluster.local"],
        "addresses": [address],
        "ports": [{"number": number, "name": protocol.lower(), "protocol": protocol}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [endpoint],
    }
    return thing("ServiceEntry", name, spec)


@dataclass(slots=True)
class World:
    """``inside`` calls and ``outside`` serves, the daemon too; this thread is inside."""

    daemon: Daemon
    inside: Machine
    outside: Machine
    reviews: Site

    async def mode(self, mode: str) -> None:
        """What the mesh takes from now on."""
        metadata = {"name": "default", "namespace": "istio-system"}
        made = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": metadata}
        declared = [{**made, "spec": {"mtls": {"mode": mode}}}]
        accepted(await ask(self.daemon, lambda client: client.apply(encoded(declared))))

    async def calls(self) -> str:
        """Who a program inside is in the eyes of the program that answers it: an identity, or ``plaintext``."""
        headers = {"host": "reviews"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{REVIEWS_ADDRESS}:9080/", headers=headers) as response,
        ):
            assert response.status == 200
        shown = self.reviews.asked.get("x-forwarded-client-cert", "")
        return shown.partition("URI=")[2].partition(";")[0] or "plaintext"

    async def gets_around(self, port: int = 9080) -> bool:
        """Whether somebody on the machine inside who is not redirected is told anything in plaintext."""
        around = ("setpriv", f"--regid={PROXY_GROUP}", "--clear-groups")
        # Any word counts, of a server that speaks first and keeps the connection, too.
        curl = ("curl", "-sN", "--http0.9", "--max-time", "60", f"http://{self.outside.address}:{port}/")
        process = await asyncio.create_subprocess_exec(
            *around, *curl, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert process.stdout is not None
        told = await process.stdout.read(1)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return bool(told)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(TemporaryDirectory(prefix="xdsd-"))  # a socket's path must be short
        inside, outside = stack.enter_context(two_machines())
        endpoint = f"unix:{sockets}/admin.sock"
        xds = f"{outside.address}:{XDS_PORT}"
        daemon = Daemon(folder, {"admin-address": endpoint, "xds-tls-address": xds})
        with outside.entered():
            await stack.enter_async_context(daemon)
        await daemon.xdsctl("ca", "bundle", "--out", folder / "root.pem")
        # Before the proxies are there: what connects to a port before it is declared stays with bytes that nobody reads.
        services = (
            service("reviews", REVIEWS_ADDRESS, 9080, "HTTP", outside),
            service("mysql", MYSQL_ADDRESS, 3306, "MYSQL", outside),
        )
        accepted(await ask(daemon, lambda client: client.apply(encoded(services))))
        for name, machine in (("reviews", outside), ("shop", inside)):
            made = await _bootstrap(daemon, folder, name, machine, xds)
            capture(machine)
            # Whoever asks for config is no caller of the mesh.
            machine.run(
                *("iptables", "--wait", "-t", "nat", "-I", "PREROUTING"),
                *("-p", "tcp", "--dport", str(XDS_PORT), "-j", "RETURN"),
            )
            with machine.entered():
                await stack.enter_async_context(CapturingEnvoy(made, folder, name=name))
        reviews = Site("reviews", "0.0.0.0", 9080)
        with outside.entered():
            await stack.enter_async_context(reviews)
            await stack.enter_async_context(tcp_server("mysql", "0.0.0.0", 3306))
            await stack.enter_async_context(tcp_server("stranger", "0.0.0.0", STRANGER))
        stack.enter_context(inside.entered())
        yield World(daemon, inside, outside, reviews)


async def _bootstrap(daemon: Daemon, folder: Path, name: str, machine: Machine, xds: str) -> dict[str, Any]:
    token = folder / f"{name}.token"
    said = ("--service-account", name)
    await daemon.xdsctl("token", "create", *said, "--ttl", "1h", "--out", token)
    words = ("--name", name, "--address", machine.address, "--labels", f"app={name}", "--xds-address", xds)
    trust = ("--root", folder / "root.pem", "--join-token-file", token)
    made: dict[str, Any] = json.loads(await daemon.xdsctl("bootstrap", *said, *words, *trust, "-o", "json"))
    return made


async def test_redirected_programs_speak_mutual_tls_and_nobody_gets_around_it(tmp_path: Path) -> None:
    """Requests, connections in which servers speak first, and ports that nobody declared: in each mode what it says."""
    shop = "spiffe://cluster.local/ns/default/sa/shop"
    async with world(tmp_path) as here:

        async def calls_as(expected: str) -> None:
            assert await here.calls() == expected

        async def is_closed() -> None:
            assert not await here.gets_around()
            assert not await here.gets_around(STRANGER)

        await eventually(lambda: calls_as(shop), "mutual TLS where both are taken")
        assert await here.gets_around()
        assert await here.gets_around(STRANGER)
        assert await first_line(here.outside.address, STRANGER, b"hello\n") == "stranger 127.0.0.6"
        await here.mode("STRICT")
        await eventually(is_closed, "plaintext is refused, declared or not")
        assert await here.calls() == shop
        assert await first_line(MYSQL_ADDRESS, 3306) == "mysql 127.0.0.6"
        assert await first_line(here.outside.address, STRANGER, b"hello\n") == ""
        await here.mode("DISABLE")
        await eventually(lambda: calls_as("plaintext"), "callers follow")
        assert await here.gets_around()
        assert await first_line(MYSQL_ADDRESS, 3306) == "mysql 127.0.0.6"
