"""What leaves through a gateway of the mesh, and what tries to; and how programs' connections leave the company."""

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
from tests.e2e.edges import EDGE, Edge, edge, server
from tests.lab.certificates import Authority, Pair
from tests.lab.echo import ended
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

TILL = "127.0.0.55"
"""Where the proxy of the program ``till`` listens."""


def made(kind: str, name: str, spec: dict[str, Any], namespace: str = "edge") -> dict[str, Any]:
    found = thing(kind, name, spec)
    found["metadata"]["namespace"] = namespace
    return found


async def apply(gate: Edge, *objects: dict[str, Any]) -> None:
    await gate.daemon.xdsctl("apply", "-f", "-", text="\n---\n".join(map(json.dumps, objects)))


async def certificate(gate: Edge, name: str) -> Pair:
    """That of a service account of the namespace ``shop``, from the mesh's authority."""
    token, folder = gate.folder / f"{name}.token", gate.folder / name
    who = ("-n", "shop", "--service-account", name)
    await gate.daemon.xdsctl("token", "create", *who, "--ttl", "1h", "--out", token)
    asked = (
        "--server",
        f"127.0.0.1:{gate.xds}",
        "--root",
        gate.folder / "root.pem",
        "--join-token-file",
        token,
    )
    await gate.daemon.xdsctl("cert", "issue", "--out", folder, *asked)
    return Pair(folder / "cert.pem", folder / "key.pem")


async def says(gate: Edge, own: Pair | None, name: str | None, *lines: str, plain: bool = False) -> int:
    """The status of an answer to these lines under a server name; 0 if the gateway closes without one."""
    context = ssl.create_default_context(cafile=str(gate.folder / "root.pem"))
    context.check_hostname = False
    if own is not None:
        context.load_cert_chain(own.cert, own.key)
    try:
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection(
                EDGE,
                gate.https,
                ssl=None if plain else context,
                server_hostname=None if plain else name or "",
            )
            writer.write("".join(f"{line}\r\n" for line in (*lines, "connection: close", "")).encode())
            line = (await reader.readline()).decode()
            writer.close()
    except (OSError, ssl.SSLError):
        return 0
    return int(line.split()[1]) if line else 0


async def test_an_egress_gateway_lets_out_what_is_declared_for_those_who_may(tmp_path: Path) -> None:
    """Whatever server name, host, method or certificate is tried; and each request leaves a line with who asked, for what,
    where it went and why not.
    """
    async with edge(tmp_path) as gate:
        till, batch = await certificate(gate, "till"), await certificate(gate, "batch")
        mesh = made("MeshConfig", "default", {"accessLogEncoding": "JSON"}, "istio-system")
        principal = {"source": {"principals": ["cluster.local/ns/shop/sa/till"]}}
        to = {"operation": {"hosts": ["bank.example.com"]}}
        allowed = {"action": "ALLOW", "rules": [{"from": [principal], "to": [to]}]}
        await apply(gate, mesh, made("AuthorizationPolicy", "till", allowed))
        await gate.servers(server(gate.https, "bank", ["bank.example.com"], mode="ISTIO_MUTUAL"))
        get, bank = "GET /balance HTTP/1.1", "host: bank.example.com"

        async def answers() -> None:
            assert await says(gate, till, "bank.example.com", get, bank) == 200
            assert await says(gate, batch, "bank.example.com", get, bank) == 403

        await eventually(answers, "who may is let out, and nobody else")
        stranger = Authority(tmp_path / "strangers").issue(
            "till", "URI:spiffe://cluster.local/ns/shop/sa/till"
        )
        for own, name, lines in (
            (till, "bank.example.com", (get, "host: other.example.com")),
            (till, "bank.example.com", ("GET http://other.example.com/ HTTP/1.1", bank)),
            (
                till,
                "bank.example.com",
                ("CONNECT bank.example.com:443 HTTP/1.1", "host: bank.example.com:443"),
            ),
            (till, "bank.example.com", ("CONNECT other.example.com:443 HTTP/1.1", bank)),
            (till, "other.example.com", (get, bank)),
            (till, None, (get, bank)),
            (None, "bank.example.com", (get, bank)),
            (stranger, "bank.example.com", (get, bank)),
        ):
            assert await says(gate, own, name, *lines) in (0, 403, 404), (own, name, lines)
        assert await says(gate, till, None, get, bank, plain=True) == 0
        await gate.envoy.stop()
        log = gate.envoy.program.log.read_text()
        _holds_audit([json.loads(line) for line in log.splitlines() if line.startswith("{")])


def _holds_audit(lines: list[dict[str, Any]]) -> None:
    """That it is known who asked for what, where that went, and why others were turned away."""
    account = "spiffe://cluster.local/ns/shop/sa"
    let = [line for line in lines if line["response_code"] == 200]
    assert let
    for line in let:
        assert line["downstream_peer_uri_san"] == f"{account}/till"
        assert (line["method"], line["authority"], line["path"]) == ("GET", "bank.example.com", "/balance")
        assert line["requested_server_name"] == "bank.example.com"
        assert line["upstream_cluster"] == "outbound|80||shop.internal"
        assert line["upstream_host"].startswith("127.0.0.1:")
    refused = [line for line in lines if line["downstream_peer_uri_san"] == f"{account}/batch"]
    assert refused[-1]["response_code_details"] == "rbac_access_denied_matched_policy[none]"
    assert refused[-1]["upstream_host"] is None
    other = [line for line in lines if line["authority"] == "other.example.com"]
    assert {line["response_code"] for line in other} <= {403, 404}
    assert any(line["downstream_peer_uri_san"] == f"{account}/till" for line in other)


@asynccontextmanager
async def origin(port: int, authority: Authority) -> AsyncIterator[None]:
    """A server outside, which tells each caller by which certificate it knows him."""

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert") or {}
        names = [value for entry in shown.get("subject", ()) for _, value in entry]
        return web.Response(text=f"{request.host} knows {' '.join(names) or 'nobody'}")

    pair = authority.issue("outside", "DNS:bank.example.com", "DNS:docs.example.com")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.cert))
    context.verify_mode = ssl.CERT_OPTIONAL
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


@asynccontextmanager
async def company_proxy(port: int, to: int) -> AsyncIterator[list[str]]:
    """An HTTP proxy that knows CONNECT alone and leads to one port of this machine; what it was asked for."""
    asked: list[str] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(head.splitlines()[0])
            up, down = await asyncio.open_connection("127.0.0.1", to)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(carry(reader, down), carry(up, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield asked


def outside(host: str, number: int, protocol: str, port: int) -> dict[str, Any]:
    return {
        "hosts": [host],
        "ports": [{"number": number, "name": "main", "protocol": protocol}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"main": port}}],
    }


async def docs(address: str, port: int, authority: Authority) -> str:
    """What the server outside says to a program that speaks TLS to it, end to end."""
    context = ssl.create_default_context(cafile=str(authority.cert))
    url = f"https://{address}:{port}/"
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            url, ssl=context, server_hostname="docs.example.com", headers={"host": "docs.example.com"}
        ) as answer,
    ):
        return await answer.text()


async def bank(proxy_port: int) -> str:
    """What the bank says to a program that speaks plain HTTP to its proxy."""
    async with (
        aiohttp.ClientSession() as session,
        session.get("http://bank.example.com/", proxy=f"http://{TILL}:{proxy_port}") as answer,
    ):
        return await answer.text()


async def test_connections_leave_by_the_proxy_of_the_company_and_with_certificates(tmp_path: Path) -> None:
    """TLS of programs through a proxy that is asked to CONNECT, from a sidecar and from a gateway; and plain requests by TLS
    with a certificate that the sidecar's account alone is given.
    """
    tls, secure, company, http = free_ports(4)
    async with AsyncExitStack() as stack:
        gate = await stack.enter_async_context(edge(tmp_path))
        await stack.enter_async_context(origin(secure, gate.authority))
        asked = await stack.enter_async_context(company_proxy(company, secure))
        await stack.enter_async_context(Envoy(await sidecar(gate, http), tmp_path, name="till"))
        own = gate.authority.issue("till")
        await gate.secret("till", own, "--ca", gate.authority.cert, "--service-account", "till")
        origination = {
            "mode": "MUTUAL",
            "credentialName": "till",
            "sni": "bank.example.com",
            "subjectAltNames": ["bank.example.com"],
        }
        rule = {
            "host": "bank.example.com",
            "workloadSelector": {"matchLabels": {"app": "till"}},
            "trafficPolicy": {"tls": origination},
        }
        tunnel = {"tunnel": {"protocol": "CONNECT", "targetHost": "docs.example.com", "targetPort": 443}}
        route = [{"destination": {"host": "company.internal", "port": {"number": 3128}}}]
        led = {
            "hosts": ["docs.example.com"],
            "gateways": ["mesh", "edge/edge"],
            "tls": [{"match": [{"sniHosts": ["docs.example.com"]}], "route": route}],
        }
        await apply(
            gate,
            made("ServiceEntry", "bank", outside("bank.example.com", 80, "HTTP", secure)),
            made("DestinationRule", "bank", rule),
            made("ServiceEntry", "docs", outside("docs.example.com", tls, "TLS", secure)),
            made("ServiceEntry", "company", outside("company.internal", 3128, "TCP", company)),
            made("DestinationRule", "company", {"host": "company.internal", "trafficPolicy": tunnel}),
            made("VirtualService", "docs", led),
        )
        await gate.servers(server(gate.https, "docs", ["docs.example.com"], "TLS", mode="PASSTHROUGH"))

        async def leave() -> None:
            assert await bank(http) == "bank.example.com knows till"
            for address, port in ((TILL, tls), (EDGE, gate.https)):
                asked.clear()
                assert await docs(address, port, gate.authority) == "docs.example.com knows nobody"
                assert asked == ["CONNECT docs.example.com:443 HTTP/1.1"]

        await eventually(leave, "each leaves as it should")


async def sidecar(gate: Edge, http: int) -> dict[str, Any]:
    """The bootstrap of one beside ``till``, to which the program is pointed."""
    token = gate.folder / "till.token"
    who = ("-n", "edge", "--service-account", "till")
    await gate.daemon.xdsctl("token", "create", *who, "--ttl", "1h", "--out", token)
    text = await gate.daemon.xdsctl(
        *("bootstrap", "--name", "till", *who, "--labels", "app=till", "-o", "json", "--address", TILL),
        *("--interception", "none", "--outbound-bind", TILL, "--http-proxy-port", str(http)),
        *("--root", gate.folder / "root.pem", "--join-token-file", token),
        *("--xds-address", f"127.0.0.1:{gate.xds}"),
    )
    return dict[str, Any](json.loads(text))
