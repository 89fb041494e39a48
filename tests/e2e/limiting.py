"""A gateway and a workload whose requests are limited: one daemon, one program, an Envoy for each."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.asking import accepted, ask, encoded, thing
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

WORKLOAD = "127.0.0.2"
CALLER = "127.0.0.3"
"""Where the sidecar takes in what is sent to the workload, and what it sends itself."""
NIGHT = 180.0
"""Seconds: longer than any test counts."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(slots=True)
class Lab:
    """The gateway and the workload's sidecar by their ports, and a session of a client."""

    daemon: Daemon
    gateway: int
    workload: int
    session: aiohttp.ClientSession
    envoys: list[Envoy] = field(default_factory=list)

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        """Applies objects; the proxies hear of them soon after."""
        accepted(await ask(self.daemon, lambda client: client.apply(encoded(objects))))

    async def close(self) -> None:
        await self.session.close()

    async def settled(self) -> None:
        """Returns once the proxies have taken all that was applied."""
        await self.daemon.xdsctl("wait", "--for=synced", "--timeout", "60s")

    async def reconnect(self) -> None:
        """Closes connections: those of a listener that was replaced are served by the old one until they end."""
        await self.session.close()
        self.session = aiohttp.ClientSession()

    async def at_gateway(self, host: str, path: str = "/", method: str = "GET", **headers: str) -> Reply:
        """A request to a host of the gateway; ``_`` in a header's name stands for ``-``."""
        return await self.request(self.gateway, path, method, {"host": host, **named(headers)})

    async def at_workload(self, path: str = "/", method: str = "GET", **headers: str) -> Reply:
        """A request to the workload, as another proxy would send it."""
        return await self.request(self.workload, path, method, named(headers), address=WORKLOAD)

    async def request(
        self, port: int, path: str, method: str, headers: Mapping[str, str], address: str = "127.0.0.1"
    ) -> Reply:
        url = f"http://{address}:{port}{path}"
        async with self.session.request(method, url, headers=headers) as response:
            return Reply(response.status, response.headers, await response.text())


def named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def limit(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A RateLimit. Its limiter may take as long as a busy machine does: what it does not answer within the default's 100 ms
    passes.
    """
    if "global" in spec:
        spec = {**spec, "global": {"timeout": "20s", **spec["global"]}}
    return {
        "apiVersion": "policy.xdsd.io/v1",
        "kind": "RateLimit",
        "metadata": {"name": name},
        "spec": dict(spec),
    }


def host(name: str, *rules: Mapping[str, Any]) -> dict[str, Any]:
    """A VirtualService that shows the workload as NAME.example.com at the gateway."""
    to = {"route": [{"destination": {"host": "app.default.svc.cluster.local"}}]}
    spec = {
        "hosts": [f"{name}.example.com"],
        "gateways": ["edge"],
        "http": [{**rule, **to} for rule in rules or ({},)],
    }
    return thing("VirtualService", name, spec)


def on(name: str, section: str = "") -> list[dict[str, str]]:
    """The targets of a limit for a VirtualService."""
    target = {"kind": "VirtualService", "name": name}
    return [{**target, "sectionName": section} if section else target]


@contextlib.asynccontextmanager
async def limited_mesh(
    folder: Path, settings: Mapping[str, str] | None = None, *, sidecar: bool = False
) -> AsyncIterator[Lab]:
    """A gateway in front of a program, and with ``sidecar`` the workload's own proxy."""
    app, edge = free_ports(2)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(http_server("app", "127.0.0.1", app))
        daemon = await stack.enter_async_context(Daemon(folder, settings))
        lab = Lab(daemon, edge, app, aiohttp.ClientSession())
        stack.push_async_callback(lab.close)
        gateway = {
            "selector": {"istio": "edge"},
            "servers": [{"port": {"number": edge, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        }
        await lab.apply(_app(app, WORKLOAD if sidecar else "127.0.0.1"), thing("Gateway", "edge", gateway))
        words = ["--type", "router", "--name", "edge", "--labels", "istio=edge"]
        lab.envoys.append(await stack.enter_async_context(await _envoy(daemon, folder, "edge", words)))
        if sidecar:
            words = ["--name", "app", "--address", WORKLOAD, "--labels", "app=app", "--interception", "none"]
            words += ["--outbound-bind", CALLER]
            lab.envoys.append(await stack.enter_async_context(await _envoy(daemon, folder, "app", words)))
        await day_goes_on()
        yield lab


async def day_goes_on() -> None:
    """Returns where no test sees the day end, with which what is counted by the day begins anew: at most minutes later."""
    length = timedelta(days=1).total_seconds()
    await eventually(lambda: time.time() % length < length - NIGHT, "another day", timeout=2 * NIGHT, every=1)


def _app(port: int, address: str) -> dict[str, Any]:
    spec = {
        "hosts": ["app.default.svc.cluster.local"],
        "ports": [{"number": port, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [{"address": address, "labels": {"app": "app"}}],
    }
    return thing("ServiceEntry", "app", spec)


async def _envoy(daemon: Daemon, folder: Path, name: str, words: Sequence[str]) -> Envoy:
    printed = await daemon.xdsctl("bootstrap", *words, "--xds-address", daemon.xds_address, "-o", "json")
    return Envoy(json.loads(printed), folder, name=name)
