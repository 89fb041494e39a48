"""Certificates that live for a minute, renewed as the daemon itself thinks right, under load for ten rotations.

The daemon is a process with the setting ``workload-cert-lifetime``; each request comes with a handshake of mutual TLS. Once
in between, the daemon is away from soon after a rotation until two thirds of the certificates' life are over.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.test_mutual_tls import serials
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports

ROTATIONS = 10
LIFETIME = 60
AWAY = 40.0
"""Seconds after a rotation at which a daemon that left comes back."""
CALLER, CALLEE = "127.0.0.71", "127.0.0.72"
HOST = "shop.default.svc.cluster.local"


def lifetimes(rotations: int = ROTATIONS) -> dict[str, Any]:
    """What became of the requests; ``apart_seconds`` is how long the caller used each certificate."""
    return asyncio.run(_measured(rotations))


async def _measured(rotations: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="xdsd-bench-") as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            program, tls, proxy = free_ports(3)
            await stack.enter_async_context(http_server("shop", "127.0.0.1", program))
            flags = {"xds-tls-address": f"127.0.0.1:{tls}", "workload-cert-lifetime": f"{LIFETIME}s"}
            daemon = await stack.enter_async_context(Daemon(folder, flags))
            await daemon.xdsctl("apply", "-f", "-", text=_objects(program))
            await daemon.xdsctl("ca", "bundle", "--out", folder / "root.pem")
            words = {
                "caller": ("--http-proxy-port", str(proxy), "--outbound-bind", CALLER, "--address", CALLER),
                "callee": ("--address", CALLEE),
            }
            envoys = [
                await stack.enter_async_context(await _sidecar(daemon, folder, each, tls, *more))
                for each, more in words.items()
            ]
            load = Load(f"http://{HOST}/", rate=40, proxy=f"http://{CALLER}:{proxy}")
            return await _rotated(daemon, envoys, load, rotations)


async def _rotated(daemon: Daemon, envoys: list[Envoy], load: Load, rotations: int) -> dict[str, Any]:
    used = [await eventually(partial(serials, envoy)) for envoy in envoys]
    apart: list[float] = []
    back = 0.0
    async with load:
        for number in range(rotations):
            started = time.monotonic()
            if number == rotations // 2:
                await daemon.stop()
                await asyncio.sleep(AWAY)
                assert [await serials(envoy) for envoy in envoys] == used, "nobody else renews them"
                await daemon.start()
                came = time.monotonic()
            for index, envoy in enumerate(envoys):
                used[index] = await eventually(partial(_other, envoy, used[index]), timeout=LIFETIME)
            apart.append(round(time.monotonic() - started, 1))
            if number == rotations // 2:
                back = round(time.monotonic() - came, 1)
        await load.more(100)
    upstream = await envoys[0].stats(f"^cluster.*{HOST}.*[.](ssl[.]handshake|upstream_rq_retry)$")
    return {
        "rotations": rotations,
        "requests": load.tally.requests,
        "failed": load.tally.failed,
        "reasons": str(load.tally),
        "apart_seconds": " ".join(map(str, apart)),
        "renewed_after_return_seconds": back,
        "handshakes": sum(value for name, value in upstream.items() if "handshake" in name),
        "retries": sum(value for name, value in upstream.items() if "retry" in name),
    }


async def _other(envoy: Envoy, before: set[str]) -> set[str]:
    found = await serials(envoy)
    assert found
    assert not found & before
    return found


async def _sidecar(daemon: Daemon, folder: Path, name: str, tls: int, *words: str) -> Envoy:
    token = folder / f"{name}.token"
    await daemon.xdsctl("token", "create", "--service-account", name, "--ttl", "1h", "--out", token)
    said = ("--name", name, "--service-account", name, "--interception", "none", "-o", "json", *words)
    said += ("--root", str(folder / "root.pem"), "--join-token-file", str(token))
    printed = await daemon.xdsctl("bootstrap", *said, "--xds-address", f"127.0.0.1:{tls}")
    return Envoy(json.loads(printed), folder, name=name)


def _objects(program: int) -> str:
    endpoint: Mapping[str, Any] = {
        "address": CALLEE,
        "serviceAccount": "callee",
        "labels": {"app": "shop", "security.istio.io/tlsMode": "istio"},
    }
    service = {
        "hosts": [HOST],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": program}],
        "endpoints": [endpoint],
    }
    pool = {"http": {"maxRequestsPerConnection": 1}}
    specs: dict[tuple[str, str], Mapping[str, Any]] = {
        ("networking.istio.io/v1", "ServiceEntry"): service,
        ("networking.istio.io/v1", "DestinationRule"): {
            "host": HOST,
            "trafficPolicy": {"connectionPool": pool},
        },
        ("security.istio.io/v1", "PeerAuthentication"): {"mtls": {"mode": "STRICT"}},
    }
    return "---\n".join(
        json.dumps(
            {
                "apiVersion": version,
                "kind": kind,
                "metadata": {"name": "shop", "namespace": "default"},
                "spec": spec,
            }
        )
        + "\n"
        for (version, kind), spec in specs.items()
    )
