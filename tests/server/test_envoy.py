"""What a real Envoy makes of what the server sends, under traffic where it matters."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_port, free_ports
from tests.server.hand import HandMesh, cluster, endpoints, listener, route
from tests.server.serving import serving
from xdsd.protocol.watch import State
from xdsd.server import XdsServer
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE

pytestmark = pytest.mark.e2e
BOTH = pytest.mark.parametrize("api_type", ["DELTA_GRPC", "GRPC"])


def bootstrap(xds_port: int, api_type: str = "DELTA_GRPC") -> dict[str, Any]:
    """An Envoy that gets everything from the server over ADS."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": xds_port}}
    return {
        "node": {"id": f"sidecar~127.0.0.1~{api_type}.default~default.svc.cluster.local", "cluster": "lab"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": api_type,
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
                "set_node_on_first_message_only": True,
            },
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "2s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": {"http2_protocol_options": {}},
                        }
                    },
                    "load_assignment": {
                        "cluster_name": "xds",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
                    },
                }
            ]
        },
    }


@asynccontextmanager
async def backends(*names: str) -> AsyncIterator[tuple[int, ...]]:
    """HTTP servers that answer with their names, and their ports."""
    ports = free_ports(len(names))
    async with AsyncExitStack() as stack:
        for name, port in zip(names, ports, strict=True):
            await stack.enter_async_context(http_server(name, "127.0.0.1", port))
        yield tuple(ports)


async def answer(port: int) -> str:
    """Who answers there, or the status."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://127.0.0.1:{port}/") as response,
    ):
        text = await response.text()
        return text.split("\n", maxsplit=1)[0] if response.status == 200 else str(response.status)


def states(server: XdsServer) -> dict[str, State]:
    """The state of each type of the newest stream."""
    return {each.type_url: each.state for each in server.status()[-1].types} if server.status() else {}


async def synced(server: XdsServer) -> None:
    """Waits until the proxy has accepted everything."""
    every = dict.fromkeys((CLUSTER, ENDPOINT, LISTENER, ROUTE), State.SYNCED)
    await eventually(lambda: states(server) == every, f"all synced: {states(server)}")


@BOTH
async def test_b17_an_envoy_starts_from_nothing(tmp_path: Path, api_type: str) -> None:
    """A fresh Envoy gets clusters, endpoints, a listener and its routes, and serves."""
    port = free_port()
    async with backends("one") as (one,):
        mesh = HandMesh([cluster("a"), endpoints("a", one), listener("l", port, "r"), route("r", "a")])
        async with serving(mesh) as (server, xds), Envoy(bootstrap(xds, api_type), tmp_path):
            assert await eventually(lambda: answer(port)) == "one"
            await synced(server)
