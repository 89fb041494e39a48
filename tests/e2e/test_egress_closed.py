"""REGISTRY_ONLY: what a program, unaware of its proxy, tries to reach without being allowed to, is closed."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.test_machines_captured import STRANGER, World, thing, who, world
from tests.lab.certificates import Authority
from tests.lab.echo import first_line
from tests.lab.eventually import eventually
from tests.lab.netns import Machine

pytestmark = pytest.mark.e2e

HTTP, TLS = 8081, 8443
ELSEWHERE = "198.51.100.9"
"""An address that leads to the machine outside as well."""


@asynccontextmanager
async def servers(machine: Machine, authority: Authority) -> AsyncIterator[None]:
    """One that answers TLS of any name, and one that answers any request, also on addresses that nobody declared."""
    pair = authority.issue("any", "DNS:allowed.example.com", "DNS:other.example.com")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\n")
            body = b"outside"
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    with machine.entered():
        plain = await asyncio.start_server(greet, None, HTTP)
        secure = await asyncio.start_server(greet, None, TLS, ssl=context)
    async with plain, secure:
        yield


async def by_tls(address: str, name: str | None, port: int = TLS) -> str:
    """What is said inside of TLS to an address under a server name; empty if it is turned away."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=name or ""
            )
            writer.write(b"GET / HTTP/1.1\r\nhost: other.example.com\r\n\r\n")
            said = await reader.read()
            writer.close()
    except (OSError, ssl.SSLError, TimeoutError):
        return ""
    return said.decode().rpartition("\r\n")[2]


async def raw(address: str, port: int, *lines: str) -> str:
    """The first line of the answer to a request in these words; empty if it is turned away."""
    try:
        return await first_line(address, port, "".join(f"{line}\r\n" for line in (*lines, "")).encode())
    except OSError:
        return ""


async def declare(mesh: World) -> None:
    """One host for requests and one for TLS, each at one address, and nothing else."""
    for name, port, protocol in (("plain", HTTP, "HTTP"), ("allowed", TLS, "TLS")):
        spec = {
            "hosts": [f"{name}.example.com"],
            "ports": [{"number": port, "name": protocol.lower(), "protocol": protocol}],
            "resolution": "STATIC",
            "endpoints": [{"address": mesh.outside.address}],
        }
        await mesh.apply(thing("ServiceEntry", name, spec))
    await mesh.apply(thing("Sidecar", "default", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}))


async def test_nothing_leaves_but_what_is_declared(tmp_path: Path) -> None:
    """Not by address, IPv4 or IPv6, not by a declared name on another port or an undeclared name on a declared one, not by a
    server name without a host nor a host without a server name, not by CONNECT; and a declared name leads to its own
    endpoints, whatever address was meant.
    """
    authority = Authority(tmp_path / "pki")
    async with world(tmp_path) as mesh, servers(mesh.outside, authority):
        outside, six = mesh.outside.address, mesh.outside.ipv6
        await declare(mesh)

        async def is_served() -> None:
            assert await by_tls(ELSEWHERE, "allowed.example.com") == "outside"
            assert await who(f"http://{ELSEWHERE}:{HTTP}/", host="plain.example.com") == "outside"

        await eventually(is_served, "what is allowed is served, and by its own endpoint")

        async def is_closed() -> None:
            assert await raw(outside, STRANGER) == ""
            # Routes come after listeners.
            assert is_refused(await raw(outside, HTTP, "GET / HTTP/1.1", "host: other.example.com"))

        await eventually(is_closed, "an address and a host are closed")
        assert await raw(six, STRANGER) == ""
        for address in (outside, six, ELSEWHERE):
            assert await by_tls(address, "other.example.com") == ""
            assert await by_tls(address, None) == ""
            assert await by_tls(address, "allowed.example.com", HTTP) == ""
            for host in ("other.example.com", address, "allowed.example.com", "plain.example.com.evil"):
                assert is_refused(await raw(address, HTTP, "GET / HTTP/1.1", f"host: {host}")), (
                    address,
                    host,
                )
            for line in (
                "GET http://other.example.com/ HTTP/1.1",
                "CONNECT other.example.com:443 HTTP/1.1",
            ):
                assert is_refused(await raw(address, HTTP, line, "host: plain.example.com")), (address, line)
            for port, host in ((TLS, "allowed.example.com"), (STRANGER, "plain.example.com")):
                assert is_refused(await raw(address, port, "GET / HTTP/1.1", f"host: {host}")), (
                    address,
                    port,
                )


def is_refused(line: str) -> bool:
    """True if a connection was closed without a word, or a request answered by the proxy that there is no such host."""
    return not line or line.split()[1] in ("404", "502")
