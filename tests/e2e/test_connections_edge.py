"""Gateways carry opaque connections, and TLS that they do not open, where tcp and tls rules say."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.asking import thing
from tests.lab.certificates import Authority
from tests.lab.daemon import Daemon
from tests.lab.echo import ended, first_line, tcp_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.hello import client_hello
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e


def service(name: str, port: int, protocol: str) -> dict[str, Any]:
    return thing(
        "ServiceEntry",
        name,
        {
            "hosts": [f"{name}.internal"],
            "ports": [{"number": 1, "name": "main", "protocol": protocol}],
            "resolution": "STATIC",
            "endpoints": [{"address": "127.0.0.1", "ports": {"main": port}}],
        },
    )


def gateway(tcp: int, tls: int) -> dict[str, Any]:
    servers = [
        {"port": {"number": tcp, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]},
        {
            "port": {"number": tls, "name": "tls", "protocol": "TLS"},
            "hosts": ["*.example.com"],
            "tls": {"mode": "PASSTHROUGH"},
        },
    ]
    return thing("Gateway", "edge", {"selector": {"app": "edge"}, "servers": servers})


def routes(name: str, host: str, section: str, *rules: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Rules to services by name, each with its one match."""
    listed = [
        {"match": [match], "route": [{"destination": {"host": f"{to}.internal"}}]} for to, match in rules
    ]
    return thing("VirtualService", name, {"hosts": [host], "gateways": ["edge"], section: listed})


@asynccontextmanager
async def secure_server(name: str, port: int, authority: Authority) -> AsyncIterator[None]:
    """An HTTPS server that tells its name."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=name)

    pair = authority.issue(name, f"DNS:{name}.example.com")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        yield
    finally:
        await ended(runner)


async def https(port: int, name: str, authority: Authority) -> str:
    """What a client that trusts the authority gets from a name at a port of this machine; empty if turned away."""
    context = ssl.create_default_context(cafile=str(authority.cert))
    url = f"https://127.0.0.1:{port}/"
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, ssl=context, server_hostname=f"{name}.example.com") as response,
        ):
            return await response.text()
    except aiohttp.ClientError:
        return ""


async def test_a_gateway_carries_what_it_does_not_read(tmp_path: Path) -> None:
    """TLS by server name, end to end between client and service; opaque connections by where they come from."""
    authority = Authority(tmp_path / "ca")
    tcp, tls, one, two, db = free_ports(5)
    async with AsyncExitStack() as stack:
        for name, port in (("one", one), ("two", two)):
            await stack.enter_async_context(secure_server(name, port, authority))
        await stack.enter_async_context(tcp_server("db", "127.0.0.1", db))
        daemon = await stack.enter_async_context(Daemon(tmp_path))

        async def apply(*objects: dict[str, Any]) -> str:
            return await daemon.xdsctl("apply", "-f", "-", text="\n---\n".join(map(json.dumps, objects)))

        await apply(
            service("one", one, "HTTPS"),
            service("two", two, "HTTPS"),
            service("db", db, "TCP"),
            gateway(tcp, tls),
            routes("one", "one.example.com", "tls", ("one", {"sniHosts": ["one.example.com"], "port": tls})),
            routes("rest", "*.example.com", "tls", ("two", {"sniHosts": ["*.example.com"]})),
            routes("db", "*", "tcp", ("db", {"port": tcp, "sourceSubnet": "127.0.0.0/8"})),
        )
        words = ("--type", "router", "--name", "edge", "--labels", "app=edge", "-o", "json")
        text = await daemon.xdsctl("bootstrap", *words, "--xds-address", daemon.xds_address)
        bootstrap = json.loads(text)
        await stack.enter_async_context(Envoy(bootstrap, tmp_path))
        await eventually(lambda: _is(https(tls, "one", authority), "one"))
        assert await https(tls, "two", authority) == "two"
        assert await first_line("127.0.0.1", tls, client_hello("example.org")) == ""
        assert await first_line("127.0.0.1", tls, b"GET / HTTP/1.1\r\n\r\n") == ""
        assert await first_line("127.0.0.1", tcp) == "db 127.0.0.1"
        await apply(routes("db", "*", "tcp", ("db", {"port": tcp, "sourceSubnet": "10.0.0.0/8"})))
        await eventually(lambda: _is(first_line("127.0.0.1", tcp), ""))
        await daemon.xdsctl("delete", "virtualservice", "db")
        await eventually(lambda: _is_closed(tcp))
        assert await https(tls, "one", authority) == "one"


async def _is(asked: Any, expected: str) -> bool:
    return bool(await asked == expected)


async def _is_closed(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
