"""xdsctl against the daemon as a process, with a real Envoy: bootstrap, proxies, config, metrics."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.lab.daemon import Daemon
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_port

SHOP = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{address: 127.0.0.1, ports: {http: 9081}}]
"""

DOOR = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec:
  selector: {app: gateway}
  servers: [{port: {number: PORT, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: ["*"]
  gateways: [door]
  http:
  - match: [{headers: {user: {exact: jason}}}]
    directResponse: {status: 418}
  - route: [{destination: {host: shop, port: {number: 80}}}]
"""


async def states(daemon: Daemon) -> dict[str, Any]:
    """The states of the only proxy's types."""
    proxies = json.loads(await daemon.xdsctl("proxies", "-o", "json"))["proxies"]
    assert len(proxies) == 1
    (proxy,) = proxies
    return {name: about["state"] for name, about in proxy["types"].items()}


@pytest.mark.e2e
async def test_an_operator_sees_what_an_envoy_runs(tmp_path: Path) -> None:
    """From a bootstrap to a proxy in sync, its config in tables, and metrics that counted it."""
    port = free_port()
    async with Daemon(tmp_path) as daemon:
        words = ("--type", "router", "--name", "gateway", "--labels", "app=gateway", "-o", "json")
        bootstrap = json.loads(await daemon.xdsctl("bootstrap", *words, "--xds-address", daemon.xds_address))
        await daemon.xdsctl("apply", "-f", "-", text=f"{SHOP}---\n{DOOR.replace('PORT', str(port))}")
        async with Envoy(bootstrap, tmp_path), aiohttp.ClientSession() as session:

            async def in_sync() -> None:
                assert await states(daemon) == dict.fromkeys(("cds", "eds", "ecds", "lds", "rds"), "SYNCED")

            async def by_route() -> None:
                async with session.get(f"http://127.0.0.1:{port}/", headers={"user": "jason"}) as response:
                    assert response.status == 418

            await eventually(in_sync, "the gateway is in sync")
            await eventually(by_route, "it routes")
            routes = (await daemon.xdsctl("config", "route", "gateway", "-o", "wide")).splitlines()
            assert routes[0].split()[:2] == ["NAME", "VHOST"]
            assert "header user" in routes[1]
            assert "spec.http[0].match[0]" in routes[1]
            assert "outbound|80||shop.default.svc.cluster.local" in routes[2]
            clusters = await daemon.xdsctl("config", "cluster", "gateway.default")
            assert "shop.default.svc.cluster.local   80     -        outbound    EDS" in clusters
            assert f"Route: http.{port}" in await daemon.xdsctl("config", "listener", "gateway")
            assert "127.0.0.1:9081   HEALTHY" in await daemon.xdsctl("config", "endpoint", "gateway")
            assert (await daemon.xdsctl("status")).startswith("xdsd ")
            metrics = await daemon.metrics()
        assert "xdsd_connected_proxies 1.0" in metrics
        assert 'xdsd_nacks_total{type="rds"} 0.0' in metrics
        assert 'xdsd_pushes_total{type="cds"} 0.0' not in metrics

        async def gone() -> None:
            assert json.loads(await daemon.xdsctl("proxies", "-o", "json")) == {"proxies": []}

        await eventually(gone, "the gateway is gone")
