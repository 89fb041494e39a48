"""Hosts of a wildcard that are looked up when a program names them."""

import asyncio
import json
import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.asking import accepted, ask, encoded, thing
from tests.lab.certificates import Authority, Pair
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

PROXY = "127.0.0.2"
"""Where the sidecar listens; ``*.localhost`` is 127.0.0.1 to every resolver, where the programs are."""


async def tls_server(pair: Pair, port: int) -> asyncio.Server:
    """A server that says the name that its client asked for, encrypted."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    asked: list[str] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name or "")

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{asked[-1]}\n".encode())
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)


async def test_hosts_are_looked_up_as_programs_name_them(tmp_path: Path) -> None:
    """Each by its own name, over HTTP and over TLS that is passed through; a host's other ports are not reached unless
    a VirtualService says so, and a name that is nowhere is answered with 503.
    """
    plain, alone, secure, behind = free_ports(4)
    authority = Authority(tmp_path / "pki")
    spec = {
        "hosts": ["*.localhost"],
        "ports": [
            {"number": plain, "name": "http", "protocol": "HTTP"},
            {"number": secure, "name": "tls", "protocol": "TLS", "targetPort": behind},
        ],
        "resolution": "DYNAMIC_DNS",
    }
    nowhere = {**spec, "hosts": ["*.invalid"]}
    words = (
        *("--name", "a", "--address", "127.0.0.9", "--interception", "none"),
        *("--outbound-bind", PROXY, "-o", "json"),
    )
    async with (
        http_server("plain", "127.0.0.1", plain),
        http_server("alone", "127.0.0.1", alone),
        await tls_server(authority.issue("server", "DNS:*.localhost", "DNS:a.localhost"), behind),
        Daemon(tmp_path) as daemon,
    ):
        entries = [thing("ServiceEntry", "dynamic", spec), thing("ServiceEntry", "nowhere", nowhere)]
        accepted(await ask(daemon, lambda api: api.apply(encoded(entries))))
        bootstrap = json.loads(await daemon.xdsctl("bootstrap", *words, "--xds-address", daemon.xds_address))
        async with Envoy(bootstrap, tmp_path), aiohttp.ClientSession() as session:

            async def answers(host: str, path: str = "") -> str:
                url = f"http://{PROXY}:{plain}/{path}"
                async with session.get(url, headers={"host": host}) as response:
                    text = await response.text()
                    return " ".join(text.split("\n")[:2]) if response.status == 200 else str(response.status)

            async def first_is_found() -> bool:
                return await answers(f"a.localhost:{plain}") == f"plain a.localhost:{plain}"

            await eventually(first_is_found)
            assert await answers(f"b.c.localhost:{plain}") == f"plain b.c.localhost:{plain}"
            assert await answers(f"a.localhost:{alone}") == "404"
            assert await answers(f"a.invalid:{plain}") == "503"
            rewrite = {
                "match": [{"uri": {"prefix": "/fixed"}}],
                "rewrite": {"authority": f"b.localhost:{alone}"},
                "route": [{"destination": {"host": "*.localhost", "port": {"number": plain}}}],
            }
            rest = {"route": rewrite["route"]}
            routes = thing("VirtualService", "dynamic", {"hosts": ["*.localhost"], "http": [rewrite, rest]})
            accepted(await ask(daemon, lambda api: api.apply(encoded([routes]))))

            async def fixed_is_followed() -> bool:
                return await answers(f"a.localhost:{plain}", "fixed") == f"alone b.localhost:{alone}"

            await eventually(fixed_is_followed)
            assert await answers(f"a.localhost:{plain}") == f"plain a.localhost:{plain}"
            assert await answers(f"a.localhost:{alone}") == "404"
            trusting = ssl.create_default_context(cafile=str(authority.cert))
            reader, writer = await asyncio.open_connection(
                PROXY, secure, ssl=trusting, server_hostname="a.localhost"
            )
            assert await reader.readline() == b"a.localhost\n"
            writer.close()
