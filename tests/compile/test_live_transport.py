"""TLS, the PROXY protocol and tunnels, on connections that a real Envoy makes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.compile.fronting import Fronts, get
from tests.lab.certificates import Authority, Pair
from tests.lab.envoy import Envoy
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.model.catalog import Endpoint, Protocol

pytestmark = pytest.mark.e2e


def server_context(pair: Pair, clients: Path | None = None) -> ssl.SSLContext:
    """TLS of a server; with ``clients`` it asks for certificates of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


async def test_tls_trusts_and_shows_what_it_is_told(tmp_path: Path) -> None:
    """Authorities, names, server names, own certificates and revocations hold as they are set, and only so."""
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    own = authority.issue("shop", "DNS:shop.example.com", "URI:spiffe://mesh/shop")
    client = authority.issue("client", "DNS:client.example.com")
    one_port, both_port = free_ports(2)
    open_to_all = Site("open", "127.0.0.1", one_port, server_context(own))
    known_only = Site("known", "127.0.0.1", both_port, server_context(own, authority.cert))
    to_open, to_known = (Endpoint("127.0.0.1", {"p": port}) for port in (one_port, both_port))
    ca = {"caCertificates": str(authority.cert)}
    simple, crl = {"mode": "SIMPLE", **ca}, authority.revoke(own)
    shown = {"clientCertificate": str(client.cert), "privateKey": str(client.key)}
    fronts = Fronts()

    def front(
        tls: Mapping[str, object], endpoint: Endpoint = to_open, system_ca: Path = stranger.cert
    ) -> int:
        return fronts.add({"tls": tls}, [endpoint], system_ca=str(system_ca))

    host, named = front(simple), front({**simple, "sni": "named.example.com"})
    alternative = front({**simple, "subjectAltNames": ["a.example.com", "spiffe://mesh/shop"]})
    mismatch = front({**simple, "subjectAltNames": ["spiffe://mesh/other"]})
    system, distrusted = front({"mode": "SIMPLE"}, system_ca=authority.cert), front({"mode": "SIMPLE"})
    skipped = front({"mode": "SIMPLE", "insecureSkipVerify": True})
    revoked, plain = front({**simple, "caCrl": str(crl)}), front({"mode": "DISABLE"})
    mutual = front({"mode": "MUTUAL", **ca, **shown}, to_known)
    unknown = front(simple, to_known)

    async with open_to_all, known_only, Envoy(fronts.bootstrap(), tmp_path):
        assert await get(host) == (200, "open")
        assert open_to_all.server_name == "shop.example.com"
        assert (await get(host, "other.example.com"))[0] == 503
        assert open_to_all.server_name == "other.example.com"
        assert await get(named, "other.example.com") == (200, "open")
        assert open_to_all.server_name == "named.example.com"
        assert await get(alternative, "other.example.com") == (200, "open")
        assert await get(system) == (200, "open")
        assert await get(skipped, "other.example.com") == (200, "open")
        assert await get(mutual) == (200, "known")
        for refused in (mismatch, distrusted, revoked, plain, unknown):
            assert (await get(refused))[0] != 200, refused


@asynccontextmanager
async def listening(port: int, until: bytes, answer: bytes) -> AsyncIterator[list[bytes]]:
    """A TCP server that answers each connection once it has read ``until``; yields what it has read from each."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readuntil(until)
            own = len(heard)
            heard.append(first)
            writer.write(answer)
            rest = await reader.read(100)
            heard[own] += rest
            writer.write(answer)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield heard


async def say(port: int, words: bytes) -> bytes:
    """What comes back first for these words."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(words)
            return await reader.read(100)
        finally:
            writer.close()


async def test_the_proxy_protocol_tells_who_calls(tmp_path: Path) -> None:
    """Either version of the header stands ahead of the client's bytes, with the client's address."""
    (behind,) = free_ports(1)
    fronts = Fronts()
    endpoint = Endpoint("127.0.0.1", {"p": behind})
    first, second = (
        fronts.add({"proxyProtocol": {"version": version}}, [endpoint], protocol=Protocol.TCP)
        for version in ("V1", "V2")
    )
    async with listening(behind, b"hello\n", b"done\n") as heard, Envoy(fronts.bootstrap(), tmp_path):
        assert await say(first, b"hello\n") == b"done\n"
        words = heard[0].split(b" ")
        assert words[:4] == [b"PROXY", b"TCP4", b"127.0.0.1", b"127.0.0.1"]
        assert words[-1].endswith(b"\r\nhello\n")
        assert await say(second, b"hello\n") == b"done\n"
        assert heard[1].startswith(b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01")


async def test_connections_go_through_a_tunnel(tmp_path: Path) -> None:
    """The proxy at its other end is asked for the target, by either method, and then carries the client's bytes."""
    ends = free_ports(2)
    fronts = Fronts()
    ports = {
        method: fronts.add(
            {"tunnel": {"protocol": method, "targetHost": "db.example.com", "targetPort": 5432}},
            [Endpoint("127.0.0.1", {"p": end})],
            protocol=Protocol.TCP,
        )
        for method, end in zip(("CONNECT", "POST"), ends, strict=True)
    }
    answer = b"HTTP/1.1 200 OK\r\n\r\n"
    async with (
        listening(ends[0], b"\r\n\r\n", answer) as connected,
        listening(ends[1], b"\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n") as posted,
        Envoy(fronts.bootstrap(), tmp_path),
    ):
        assert (
            await say(ports["CONNECT"], b"hello\n") == answer
        )  # the second time it is said within the tunnel
        head, _, body = connected[0].partition(b"\r\n\r\n")
        assert head.startswith(b"CONNECT db.example.com:5432 HTTP/1.1\r\n")
        assert body == b"hello\n"
        await say(ports["POST"], b"hello\n")
        head, _, body = posted[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST / HTTP/1.1\r\nhost: db.example.com:5432\r\n")
        assert b"hello\n" in body
