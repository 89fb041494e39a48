"""A shop behind a gateway and a sidecar's HTTP proxy, for tests that patch what their Envoys run."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

TYPES = "type.googleapis.com"
LUA = f"{TYPES}/envoy.extensions.filters.http.lua.v3.Lua"
HTTP = "envoy.filters.network.http_connection_manager"
HOST = "shop.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names are in lower case."""

    status: int
    text: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shop:
    """A running mesh: a gateway on ``port``, and a sidecar that is an HTTP proxy on ``proxy_port``."""

    daemon: Daemon
    gateway: Envoy
    sidecar: Envoy
    port: int
    proxy_port: int
    service_port: int

    async def apply(self, *objects: dict[str, Any]) -> str:
        """Applies objects; what xdsctl printed. Refused ones are a failure."""
        return await self.daemon.xdsctl("apply", "-f", "-", text=yaml.safe_dump_all(objects))

    async def through_gateway(self, path: str = "/") -> Reply:
        return await _get(f"http://127.0.0.1:{self.port}{path}")

    async def at(self, port: int) -> Reply:
        """What another port of the gateway answers."""
        return await _get(f"http://127.0.0.1:{port}/")

    async def through_sidecar(self, path: str = "/") -> Reply:
        return await _get(
            f"http://{HOST}:{self.service_port}{path}", proxy=f"http://127.0.0.1:{self.proxy_port}"
        )

    async def problems(self) -> list[str]:
        """What the daemon tells of EnvoyFilters now, a line each."""
        _, printed = 0, await self.daemon.xdsctl("analyze", check=False)
        return [line for line in printed.splitlines() if "EnvoyFilter" in line]


async def _get(url: str, proxy: str | None = None) -> Reply:
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, proxy=proxy) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, await response.text(), headers)


def envoy_filter(name: str, *patches: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """An EnvoyFilter with these patches."""
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name},
        "spec": {**spec, "configPatches": list(patches)},
    }


def http_filter(
    name: str, code: str, context: str = "GATEWAY", operation: str = "ADD", **match: Any
) -> dict[str, Any]:
    """A patch that adds a filter that runs Lua."""
    config = {"@type": LUA, "default_source_code": {"inline_string": code}}
    return {
        "applyTo": "HTTP_FILTER",
        "match": {"context": context, **match},
        "patch": {"operation": operation, "value": {"name": name, "typed_config": config}},
    }


def adds_header(name: str, value: str) -> str:
    """Lua that adds a header to responses."""
    return f'function envoy_on_response(h) h:headers():add("{name}", "{value}") end'


def _objects(port: int, program: int, service_port: int) -> list[dict[str, Any]]:
    api = "networking.istio.io/v1"
    ports = [{"number": service_port, "name": "http", "protocol": "HTTP"}]
    endpoint = {"address": "127.0.0.1", "ports": {"http": program}}
    server = {
        "port": {"number": port, "name": "http", "protocol": "HTTP"},
        "bind": "127.0.0.1",
        "hosts": ["*"],
    }
    route = {"name": "front", "route": [{"destination": {"host": "shop"}}]}
    specs: dict[str, dict[str, Any]] = {
        "ServiceEntry": {
            "hosts": [HOST],
            "ports": ports,
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "endpoints": [endpoint],
        },
        "Gateway": {"selector": {"app": "gateway"}, "servers": [server]},
        "VirtualService": {"hosts": ["*"], "gateways": ["shop"], "http": [route]},
    }
    return [
        {"apiVersion": api, "kind": kind, "metadata": {"name": "shop"}, "spec": spec}
        for kind, spec in specs.items()
    ]


@asynccontextmanager
async def running_shop(folder: Path) -> AsyncIterator[Shop]:
    """Starts all of it, and waits until both ways lead to the program."""
    port, proxy_port, program, service_port = free_ports(4)
    words = {
        "gateway": ("--type", "router", "--labels", "app=gateway", "--address", "127.0.0.1"),
        "client": ("--interception", "none", "--http-proxy-port", str(proxy_port), "--address", "127.0.0.9"),
    }
    async with http_server("shop", "127.0.0.1", program), Daemon(folder) as daemon:
        bootstraps = {
            name: json.loads(
                await daemon.xdsctl(
                    "bootstrap", "--name", name, *own, "-o", "json", "--xds-address", daemon.xds_address
                )
            )
            for name, own in words.items()
        }
        await daemon.xdsctl(
            "apply", "-f", "-", text=yaml.safe_dump_all(_objects(port, program, service_port))
        )
        async with (
            Envoy(bootstraps["gateway"], folder, name="gateway") as gateway,
            Envoy(bootstraps["client"], folder, name="client") as sidecar,
        ):
            shop = Shop(daemon, gateway, sidecar, port, proxy_port, service_port)
            for ask in (shop.through_gateway, shop.through_sidecar):
                await eventually(partial(_is_served, ask), "the shop is served")
            yield shop


async def _is_served(ask: Any) -> bool:
    return bool((await ask()).status == 200)
