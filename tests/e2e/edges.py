"""A gateway of the namespace ``edge`` that proved who it is, for tests of its servers."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.asking import thing
from tests.lab.certificates import Authority, Pair
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.ports import free_ports

EDGE = "127.0.0.51"
WHO = ("-n", "edge", "--service-account", "gateway")


def server(number: int, name: str, hosts: list[str], protocol: str = "HTTPS", **tls: Any) -> dict[str, Any]:
    return {"port": {"number": number, "name": name, "protocol": protocol}, "hosts": hosts, "tls": tls}


@dataclass
class Edge:
    """A daemon, a gateway of the namespace ``edge``, and a program that answers for every host."""

    daemon: Daemon
    envoy: Envoy
    folder: Path
    authority: Authority
    https: int
    http: int
    xds: int

    async def secret(self, name: str, pair: Pair, *words: str | Path, namespace: str = "edge") -> str:
        files = ("--cert", pair.cert, "--key", pair.key)
        return await self.daemon.xdsctl("secret", "create", "tls", name, "-n", namespace, *files, *words)

    async def servers(self, *servers: dict[str, Any]) -> None:
        spec = {"selector": {"app": "edge"}, "servers": list(servers)}
        made = {**thing("Gateway", "edge", spec)}
        made["metadata"]["namespace"] = "edge"
        await self.daemon.xdsctl("apply", "-f", "-", text=json.dumps(made))

    async def ask(self, host: str, own: Pair | None = None) -> tuple[int, list[str], str]:
        """The status, the names in the certificate that was shown, and the text; raises what is in the way."""
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        if own is not None:
            context.load_cert_chain(own.cert, own.key)
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection(
                EDGE, self.https, ssl=context, server_hostname=host
            )
            try:
                writer.write(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
                text = (await reader.read()).decode()
                shown = writer.get_extra_info("peercert")
            finally:
                writer.close()
        assert text, "the gateway closed without a word"
        return int(text.split()[1]), [name for _, name in shown["subjectAltName"]], text

    async def refused(self, host: str, own: Pair | None = None) -> bool:
        """Whether no answer is to be had."""
        try:
            await self.ask(host, own)
        except (OSError, AssertionError, ssl.SSLError):
            return True
        return False


async def gateway_bootstrap(daemon: Daemon, name: str, address: str, xds: int, *words: str) -> dict[str, Any]:
    """That of a gateway which listens on an address and joins by the token of the folder."""
    folder = daemon.state_dir.parent
    made = await daemon.xdsctl(
        *("bootstrap", "--type", "router", "--name", name, *WHO, "--labels", "app=edge", "-o", "json"),
        *("--root", folder / "root.pem", "--join-token-file", folder / "edge.token"),
        *("--xds-address", f"127.0.0.1:{xds}", "--outbound-bind", address, *words),
    )
    return dict[str, Any](json.loads(made))


@asynccontextmanager
async def edge(folder: Path, **settings: str) -> AsyncIterator[Edge]:
    xds, https, http, program = free_ports(4)
    said = {name.replace("_", "-"): value for name, value in settings.items()}
    daemon = Daemon(folder, {"xds-tls-address": f"127.0.0.1:{xds}", "settle-quiet": "5ms", **said})
    async with daemon, http_server("shop", "127.0.0.1", program):
        await daemon.xdsctl("ca", "bundle", "--out", folder / "root.pem")
        token = folder / "edge.token"
        await daemon.xdsctl("token", "create", *WHO, "--ttl", "1h", "--out", token)
        boot = await gateway_bootstrap(daemon, "edge", EDGE, xds)
        service = {
            "hosts": ["shop.internal"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "resolution": "STATIC",
            "endpoints": [{"address": "127.0.0.1", "ports": {"http": program}}],
        }
        route = {
            "hosts": ["*"],
            "gateways": ["edge/edge"],
            "http": [{"route": [{"destination": {"host": "shop.internal"}}]}],
        }
        things = (thing("ServiceEntry", "shop", service), thing("VirtualService", "shop", route))
        for each in things:
            await daemon.xdsctl("apply", "-f", "-", text=json.dumps(each))
        async with Envoy(boot, folder, name="edge") as envoy:
            yield Edge(daemon, envoy, folder, Authority(folder / "pki"), https, http, xds)
