"""What nobody declared goes through the service that a Sidecar names, or where its host says."""

import json
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.asking import accepted, ask, encoded, service, thing
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e


async def test_unknown_hosts_are_reached_through_the_egress_proxy(tmp_path: Path) -> None:
    """And without it by an HTTP proxy itself, which looks them up, and sees when a host leads back to it."""
    known, egress, stranger, port = free_ports(4)
    async with (
        http_server("known", "127.0.0.1", known),
        http_server("egress", "127.0.0.1", egress),
        http_server("stranger", "127.0.0.1", stranger),
        Daemon(tmp_path) as daemon,
    ):
        shop, gate = service("known"), service("egress")
        for each, number in ((shop, known), (gate, egress)):
            each["spec"]["endpoints"] = [{"address": "127.0.0.1", "ports": {"http": number}}]
        proxy = {"host": "egress.example.com", "port": {"number": 80}}
        policy = {"mode": "ALLOW_ANY", "egressProxy": proxy}
        hosts = {"egress": [{"hosts": ["./known.example.com"]}]}
        scope = thing("Sidecar", "default", {**hosts, "outboundTrafficPolicy": policy})
        accepted(await ask(daemon, lambda client: client.apply(encoded([shop, gate, scope]))))
        words = (
            "--name",
            "a",
            "--address",
            "127.0.0.9",
            "--interception",
            "none",
            "--http-proxy-port",
            str(port),
            "-o",
            "json",
        )
        bootstrap = json.loads(await daemon.xdsctl("bootstrap", *words, "--xds-address", daemon.xds_address))
        async with Envoy(bootstrap, tmp_path), aiohttp.ClientSession() as session:

            async def answers(host: str) -> str:
                async with session.get(f"http://{host}/", proxy=f"http://127.0.0.1:{port}") as response:
                    text = await response.text()
                    return text.split("\n")[0] if response.status == 200 else str(response.status)

            async def is_told(host: str, name: str) -> bool:
                return await answers(host) == name

            await eventually(lambda: is_told("stranger.example.org", "egress"), "the egress proxy answers")
            assert await answers("known.example.com") == "known"
            plain = thing("Sidecar", "default", {**hosts, "outboundTrafficPolicy": {"mode": "ALLOW_ANY"}})
            accepted(await ask(daemon, lambda client: client.apply(encoded([plain]))))
            await eventually(lambda: is_told(f"a.localhost:{stranger}", "stranger"), "it is looked up")
            assert await answers(f"127.0.0.1:{stranger}") == "stranger"
            assert await answers("known.example.com") == "known"
            assert await answers("stranger.invalid") == "503"
            assert await answers(f"a.localhost:{port}") == "508"
            closed = thing(
                "Sidecar", "default", {**hosts, "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
            )
            accepted(await ask(daemon, lambda client: client.apply(encoded([closed]))))
            await eventually(lambda: is_told(f"a.localhost:{stranger}", "502"), "strangers are refused")
