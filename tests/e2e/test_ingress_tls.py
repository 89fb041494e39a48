"""TLS that a sidecar takes off before its program."""

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


SHOP = "spiffe://mesh/ns/default/sa/shop"


def trusting(
    authority: Authority, own: Pair | None = None, highest: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """What a client verifies the server with, and shows of itself."""
    context = ssl.create_default_context(cafile=str(authority.cert))
    if own is not None:
        context.load_cert_chain(own.cert, own.key)
    if highest is not None:
        context.maximum_version = highest
    return context


async def test_callers_show_certificates_where_a_sidecar_asks_for_them(tmp_path: Path) -> None:
    """Who has one of the authority with the right name is let through to the program; who has none, another's, one of
    another name, or too old a TLS, is not.
    """
    program, port = free_ports(2)
    authority, stranger = Authority(tmp_path / "pki"), Authority(tmp_path / "other", "other CA")
    server, client = authority.issue("server", "IP:127.0.0.1"), authority.issue("client", f"URI:{SHOP}")
    tls = {
        "mode": "MUTUAL",
        "tlsCertificates": [{"serverCertificate": str(server.cert), "privateKey": str(server.key)}],
        "subjectAltNames": [SHOP],
        "caCertificates": str(authority.cert),
        "minProtocolVersion": "TLSV1_3",
    }
    listener = {
        "port": {"number": port, "protocol": "HTTPS", "name": "secure"},
        "bind": "127.0.0.1",
        "captureMode": "NONE",
        "defaultEndpoint": f"127.0.0.1:{program}",
        "tls": tls,
    }
    async with http_server("program", "127.0.0.1", program), Daemon(tmp_path) as daemon:
        scope = thing("Sidecar", "default", {"ingress": [listener]})
        accepted(await ask(daemon, lambda api: api.apply(encoded([scope]))))
        words = ("--name", "a", "--address", "127.0.0.9", "--interception", "none", "-o", "json")
        bootstrap = json.loads(await daemon.xdsctl("bootstrap", *words, "--xds-address", daemon.xds_address))
        async with Envoy(bootstrap, tmp_path), aiohttp.ClientSession() as session:

            async def answers(context: ssl.SSLContext) -> str:
                async with session.get(f"https://127.0.0.1:{port}/", ssl=context) as response:
                    return (await response.text()).split("\n")[0]

            async def is_served() -> bool:
                return await answers(trusting(authority, client)) == "program"

            await eventually(is_served, "the program answers")
            foreign, other = stranger.issue("client", f"URI:{SHOP}"), authority.issue("other")
            for refused in (
                trusting(authority),
                trusting(authority, foreign),
                trusting(authority, other),
                trusting(authority, client, ssl.TLSVersion.TLSv1_2),
            ):
                with pytest.raises(aiohttp.ClientError):
                    await answers(refused)
