"""Three meshes that share their services: an endpoint changes in one, and a proxy of another hears of it.

Each is a daemon with a store and an authority of its own, on loopback. The proxy proves who it is, or it would not be told
of gateways. What is timed begins when the change is sent to the daemon to which it belongs (so it is admitted, stored,
compiled, told to the peers and compiled there within that time) and ends when its bytes are read at the proxy.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from api.client import Client
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import accepted, metric
from tests.e2e.subscriber import DELTA_ADS
from tests.e2e.test_peers import Installation, installation, peer
from tests.lab.eventually import eventually
from xdsd.ca.proving import daemon_name
from xdsd.setting_values import parse_address
from xdsd.snapshot import ENDPOINT

NAMES = ("west", "east", "north")
SERVICES, FEW = 2000, 20
FLIPS = 100
AT_ONCE = 250


def peer_bench() -> dict[str, Any]:
    """With many services and with few: how late the proxy hears of a flip, and what a flip costs on the peer's stream."""
    return {str(count): asyncio.run(_measured(count)) for count in (FEW, SERVICES)}


async def _measured(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="xdsd-bench-") as folder:
        async with AsyncExitStack() as stack:
            meshes = [
                await stack.enter_async_context(installation(name, Path(folder) / name)) for name in NAMES
            ]
            # One channel for all calls: what is timed is the daemons' work, not that of new connections.
            clients = [stack.enter_context(Client(parse_address(mesh.daemon.endpoint))) for mesh in meshes]
            for mesh, client in zip(meshes, clients, strict=True):
                await _declare(client, mesh.name, count)
            for one in meshes:
                for number, other in enumerate(meshes, 1):
                    if one is not other:
                        await peer(one, other, f"{{address: 192.0.2.{number}, port: 15443}}")
            begun = time.monotonic()
            await eventually(lambda: _known(meshes, count), "all is known everywhere", timeout=120)
            joined = time.monotonic() - begun
            cluster = f"outbound|80||{_name('east', 0)}.shop.global"
            async with _proxy(meshes[0], clients[0], cluster) as heard:
                before = await metric(meshes[0].daemon, 'xdsd_peer_received_bytes_total{peer="east"}')
                late = [await _flip(clients[1], heard, turn) for turn in range(FLIPS)]
                after = await metric(meshes[0].daemon, 'xdsd_peer_received_bytes_total{peer="east"}')
    late.sort()
    return {
        "services_a_mesh": count,
        "seconds_until_all_are_known": round(joined, 2),
        "flips": FLIPS,
        "median_ms": round(median(late) * 1000, 1),
        "p99_ms": round(late[int(len(late) * 0.99)] * 1000, 1),
        "bytes_a_flip": round((after - before) / FLIPS, 1),
    }


async def _flip(client: Client, heard: "asyncio.Queue[float]", turn: int) -> float:
    """The first service of a mesh has one endpoint, or two; seconds until the proxy has it."""
    made = [_encoded("east", 0, endpoints=1 + (turn + 1) % 2)]
    begun = time.monotonic()
    accepted(await asyncio.to_thread(client.apply, made))
    async with asyncio.timeout(20):
        return await heard.get() - begun


async def _declare(client: Client, mesh: str, count: int) -> None:
    for first in range(0, count, AT_ONCE):
        made = [_encoded(mesh, number) for number in range(first, min(first + AT_ONCE, count))]
        accepted(await asyncio.to_thread(client.apply, made))


async def _known(meshes: Sequence[Installation], count: int) -> None:
    for mesh in meshes:
        assert await metric(mesh.daemon, "xdsd_peer_services{") == count * (len(meshes) - 1)


def _name(mesh: str, number: int) -> str:
    return f"{mesh}-{number:05}"


def _encoded(mesh: str, number: int, endpoints: int = 1) -> bytes:
    name, place = _name(mesh, number), NAMES.index(mesh)
    spec = {
        "hosts": [f"{name}.shop.svc.cluster.local"],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [
            {
                "address": f"10.{place * 10 + each}.{number >> 8}.{number & 255}",
                "locality": f"{mesh}/a",
                "serviceAccount": "shop",
                "labels": {"security.istio.io/tlsMode": "istio"},
            }
            for each in range(endpoints)
        ],
    }
    metadata = {"name": name, "namespace": "shop"}
    version = "networking.istio.io/v1"
    return json.dumps(
        {"apiVersion": version, "kind": "ServiceEntry", "metadata": metadata, "spec": spec}
    ).encode()


@asynccontextmanager
async def _proxy(mesh: Installation, client: Client, cluster: str) -> AsyncIterator["asyncio.Queue[float]"]:
    """A proxy that wants one service's endpoints; when it heard of them, after the first time."""
    joining = JoiningClient(client)
    asked = pb.CreateJoinTokenRequest(namespace="shop", service_account="web", ttl_seconds=3600)
    token = (await asyncio.to_thread(joining.create_token, asked)).token
    root = (await asyncio.to_thread(joining.trust)).bundle
    heard: asyncio.Queue[float] = asyncio.Queue()
    options = (("grpc.ssl_target_name_override", daemon_name(f"{mesh.name}.example")),)
    credentials = grpc.ssl_channel_credentials(root)
    async with grpc.aio.secure_channel(mesh.tls, credentials, options=options) as channel:
        stream: Any = channel.stream_stream(DELTA_ADS, _as_it_is, _as_it_is)
        call = stream(metadata=(("authorization", f"Bearer {token}"),))
        first = DeltaDiscoveryRequest(type_url=ENDPOINT, resource_names_subscribe=[cluster])
        first.node.id = "sidecar~127.0.0.63~web.shop~shop.svc.cluster.local"
        first.node.metadata.update({"NAMESPACE": "shop", "SERVICE_ACCOUNT": "web", "LABELS": {"app": "web"}})
        await call.write(first.SerializeToString())
        reading = asyncio.create_task(_read(call, heard))
        try:
            async with asyncio.timeout(60):
                await heard.get()
            yield heard
        finally:
            reading.cancel()
            call.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(call: Any, heard: "asyncio.Queue[float]") -> None:
    while True:
        data = await call.read()
        came = time.monotonic()
        response = DeltaDiscoveryResponse.FromString(data)
        if response.resources:
            heard.put_nowait(came)
        ack = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        await call.write(ack.SerializeToString())


def _as_it_is(message: bytes) -> bytes:
    return message
