"""Every leaf of a Gateway that decides who is let in and where that leads, on a real Envoy.

One gateway has all of it, on servers of one port that are told apart by host, so that a leaf which reached another server
would show.
"""

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.asking import thing
from tests.e2e.edges import EDGE, Edge, edge, server
from tests.lab.certificates import Authority, Pair
from tests.lab.echo import http_server, tcp_server
from tests.lab.etcd import run
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e


def files(own: Pair) -> dict[str, str]:
    return {"serverCertificate": str(own.cert), "privateKey": str(own.key)}


def pins(own: Pair) -> tuple[str, str]:
    """The hash of a certificate, in hexadecimal with colons, and that of its key, in base64."""
    read = x509.load_pem_x509_certificate(own.cert.read_bytes())
    key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    whole = hashlib.sha256(read.public_bytes(Encoding.DER)).hexdigest()
    colons = ":".join(whole[at : at + 2] for at in range(0, len(whole), 2))
    return colons, base64.b64encode(hashlib.sha256(key).digest()).decode()


async def handshake(gate: Edge, host: str, *words: str) -> str:
    """What ``openssl s_client`` says of a connection to a host."""
    where = ("-connect", f"{EDGE}:{gate.https}", "-servername", f"{host}.example.com")
    return await run("openssl", "s_client", *where, *words, check=False)


async def test_servers_let_in_whom_their_settings_say(tmp_path: Path) -> None:
    """By names, hashes of certificates and of keys, lists of revoked ones and authorities of their own; and with the
    versions, suites, curves and certificates that are named.
    """
    async with edge(tmp_path) as gate:
        own = gate.authority.issue("own", "DNS:*.example.com")
        rsa = gate.authority.issue("rsa", "DNS:*.example.com", rsa=True)
        friend, other = (
            gate.authority.issue(name, f"URI:spiffe://partner/{name}") for name in ("friend", "other")
        )
        strangers = Authority(tmp_path / "strangers", "strangers")
        stranger = strangers.issue("stranger")
        whole, key = pins(friend)
        await gate.secret("own", own)
        await gate.secret("rsa", rsa)
        words = ("secret", "create", "generic", "strangers", "-n", "edge")
        await gate.daemon.xdsctl(*words, f"--from-file=ca.crt={strangers.cert}")
        mutual = {"mode": "MUTUAL", **files(own), "caCertificates": str(gate.authority.cert)}
        both = [{**files(each), "caCertificates": str(gate.authority.cert)} for each in (own, rsa)]
        said: dict[str, dict[str, Any]] = {
            "names": {**mutual, "subjectAltNames": ["spiffe://partner/friend"]},
            "hash": {**mutual, "verifyCertificateHash": [whole]},
            "key": {**mutual, "verifyCertificateSpki": [key]},
            "revoked": {**mutual, "caCrl": str(gate.authority.revoke(other))},
            "anybody": {**mutual, "insecureSkipVerify": True},
            "theirs": {"mode": "MUTUAL", "credentialName": "own", "caCertCredentialName": "strangers"},
            "old": {
                "mode": "SIMPLE",
                **files(own),
                "maxProtocolVersion": "TLSV1_2",
                "cipherSuites": ["ECDHE-ECDSA-AES256-GCM-SHA384"],
            },
            "new": {"mode": "SIMPLE", **files(own), "minProtocolVersion": "TLSV1_3", "ecdhCurves": ["P-384"]},
            "pairs": {"mode": "SIMPLE", "tlsCertificates": both},
            "secrets": {"mode": "SIMPLE", "credentialNames": ["own", "rsa"]},
        }
        servers = [server(gate.https, name, [f"{name}.example.com"], **tls) for name, tls in said.items()]
        servers[0]["port"]["targetPort"] = 8443
        await gate.servers(*servers)

        async def opened() -> None:
            for name in ("names", "hash", "key", "revoked"):
                assert (await gate.ask(f"{name}.example.com", friend))[0] == 200, name
            assert (await gate.ask("anybody.example.com", stranger))[0] == 200
            assert (await gate.ask("theirs.example.com", stranger))[0] == 200

        await eventually(opened, "each lets in whom it should")
        for name in ("names", "hash", "key", "revoked"):
            for each in (other, stranger, None):
                assert await gate.refused(f"{name}.example.com", each), (name, each)
        assert await gate.refused("anybody.example.com")
        assert await gate.refused("theirs.example.com", friend)
        await _speaks_as_told(gate)
        told = await gate.daemon.xdsctl("problems")
        assert told.count("has no effect") == 2, told
        for path in (
            "spec.servers[0].port.targetPort",
            "spec.servers[8].tls.tlsCertificates[0].caCertificates",
        ):
            assert f"warning: Gateway edge/edge {path}: has no effect" in told, told


async def _speaks_as_told(gate: Edge) -> None:
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in await handshake(gate, "old")
    assert "handshake failure" in await handshake(
        gate, "old", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"
    )
    assert "alert" in await handshake(gate, "old", "-tls1_3")
    assert "TLSv1.3" in await handshake(gate, "new", "-groups", "P-384")
    assert "alert" in await handshake(gate, "new", "-groups", "P-256")
    assert "alert" in await handshake(gate, "new", "-tls1_2")
    for alpn in ("h2", "http/1.1"):
        assert f"ALPN protocol: {alpn}" in await handshake(gate, "pairs", "-alpn", alpn)
    for host in ("pairs", "secrets"):
        for algorithm, shown in (("RSA-PSS+SHA256", "RSA-PSS"), ("ECDSA+SHA256", "ECDSA")):
            said = await handshake(gate, host, "-sigalgs", algorithm)
            assert f"Peer signature type: {shown}" in said, (host, said)


@asynccontextmanager
async def grpc_server(port: int) -> AsyncIterator[None]:
    """One that says what it hears."""

    async def say(heard: bytes, _: Any) -> bytes:
        return heard

    made = grpc.aio.server()
    methods = {"Say": grpc.unary_unary_rpc_method_handler(say)}
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("lab.Echo", methods),))
    made.add_insecure_port(f"127.0.0.1:{port}")
    await made.start()
    try:
        yield
    finally:
        await made.stop(None)


async def call(port: int) -> str:
    """What is heard back by gRPC, or why nothing is."""
    async with grpc.aio.insecure_channel(f"{EDGE}:{port}") as channel:
        try:
            heard = await channel.unary_unary("/lab.Echo/Say", bytes, bytes)(b"hello", timeout=20)
        except grpc.aio.AioRpcError as error:
            return str(error.code())
    return bytes(heard).decode()


@asynccontextmanager
async def behind(gate: Edge) -> AsyncIterator[tuple[int, int, Path]]:
    """A program for requests and one for connections on the gateway's machine, and the path of a socket for the gateway."""
    web, raw = free_ports(2)
    async with http_server("local", "127.0.0.1", web), tcp_server("raw", "127.0.0.1", raw):
        yield web, raw, gate.folder / "edge.sock"


async def test_what_no_rule_leads_elsewhere_goes_to_the_default_endpoint(tmp_path: Path) -> None:
    """Of requests, calls of gRPC and connections, in plaintext and out of TLS; rules come first, and hosts that a server
    keeps to another namespace have none. A server may listen on a Unix socket.
    """
    tcp, tls, rpc, program = free_ports(4)
    async with edge(tmp_path) as gate, behind(gate) as (web, raw, socket), grpc_server(program):
        own = gate.authority.issue("own", "DNS:*.example.com")
        plain = {"port": {"number": gate.http, "name": "plain", "protocol": "HTTP"}}
        local = f"127.0.0.1:{web}"
        await gate.servers(
            {**plain, "hosts": ["edge/in.example.com", "other/out.example.com"], "name": "apart"},
            {
                "port": {"number": 0, "name": "socket", "protocol": "HTTP"},
                "bind": f"unix://{socket}",
                "hosts": ["*"],
                "defaultEndpoint": local,
            },
            {
                **plain,
                "port": {**plain["port"], "name": "rest"},
                "hosts": ["any.example.com"],
                "defaultEndpoint": local,
            },
            {
                **server(gate.https, "https", ["*.example.com"], mode="SIMPLE", **files(own)),
                "defaultEndpoint": local,
            },
            {
                **server(tls, "tls", ["*.example.com"], "TLS", mode="SIMPLE", **files(own)),
                "defaultEndpoint": f"127.0.0.1:{raw}",
            },
            {
                "port": {"number": tcp, "name": "tcp", "protocol": "TCP"},
                "hosts": ["*"],
                "defaultEndpoint": f"127.0.0.1:{raw}",
            },
            {
                "port": {"number": rpc, "name": "grpc", "protocol": "GRPC"},
                "hosts": ["*"],
                "defaultEndpoint": f"127.0.0.1:{program}",
            },
        )
        rule = {
            "match": [{"uri": {"prefix": "/shop"}}],
            "route": [{"destination": {"host": "shop.internal"}}],
        }
        await _replace_rules(gate, rule)

        async def leads() -> None:
            assert await _asked(f"http://{EDGE}:{gate.http}/shop", "in.example.com") == "shop"
            assert await _asked(f"http://{EDGE}:{gate.http}/else", "in.example.com") == "404"
            assert await _asked(f"http://{EDGE}:{gate.http}/shop", "out.example.com") == "404"
            assert await _asked(f"http://{EDGE}:{gate.http}/else", "any.example.com") == "local"
            assert await _asked(f"http://{EDGE}:{gate.http}/shop", "any.example.com") == "shop"
            assert await _asked("http://socket/else", "any.example.com", str(socket)) == "local"
            assert "\r\n\r\nlocal\n" in (await gate.ask("a.example.com"))[2]
            assert await call(rpc) == "hello"
            assert await _first(tcp) == "raw 127.0.0.1"
            assert await _first(tls, gate.authority) == "raw 127.0.0.1"

        await eventually(leads, "rules come first, the rest goes to the programs")
        assert "No problems found." in await gate.daemon.xdsctl("problems")


async def _replace_rules(gate: Edge, rule: dict[str, Any]) -> None:
    spec = {"hosts": ["*"], "gateways": ["edge/edge"], "http": [rule]}
    made = thing("VirtualService", "shop", spec)
    await gate.daemon.xdsctl("delete", "virtualservice", "shop")
    made["metadata"]["namespace"] = "edge"
    await gate.daemon.xdsctl("apply", "-f", "-", text=json.dumps(made))


async def _asked(url: str, host: str, socket: str = "") -> str:
    """The name of who answered, else the status."""
    connector = aiohttp.UnixConnector(socket) if socket else None
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, headers={"host": host}) as response,
    ):
        text = await response.text()
        return text.splitlines()[0] if response.status == 200 else str(response.status)


async def _first(port: int, authority: Authority | None = None) -> str:
    """The first line that is said on a connection, inside of TLS where an authority is given."""
    context = ssl.create_default_context(cafile=str(authority.cert)) if authority else None
    name = "a.example.com" if authority else None
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(EDGE, port, ssl=context, server_hostname=name)
        try:
            return (await reader.readline()).decode().strip()
        finally:
            writer.close()
