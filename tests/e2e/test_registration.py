"""Machines that register themselves, with real Envoys: they come, are probed, leave, and move to another daemon."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from api.bootstrap import BootstrapOptions, bootstrap_json
from api.daemon_tls import XdsTls
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import ask, thing
from tests.lab.certificates import Authority
from tests.lab.daemon import Daemon
from tests.lab.echo import ended, http_server, tcp_server
from tests.lab.envoy import Envoy
from tests.lab.etcd import EtcdServer
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from xdsd.model.mesh import Interception, Role
from xdsd.settings import parse_address

pytestmark = pytest.mark.e2e

SERVER = "spiffe://cluster.local/ns/istio-system/sa/xdsd"
HOST = "reviews.default.svc.cluster.local"
GROUP, HEALTH = "istio.io/autoRegistrationGroup", "registration.xdsd.io/health"


@dataclass(slots=True)
class Town:
    """A daemon, and a token of the machines of one group. ``port`` is where their programs are."""

    daemon: Daemon
    folder: Path
    tls: str
    port: int
    proxy: int
    service: int
    sidecars: int = 0

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        given = [json.dumps(each).encode() for each in objects]
        done = await ask(self.daemon, lambda client: client.apply(given))
        assert done.accepted, done.problems

    async def probe(self, **probe: Any) -> None:
        """Has the machines probed so, every second; a program that answers late on a busy machine is well."""
        quick = {"periodSeconds": 1, "timeoutSeconds": 30, "failureThreshold": 2, **probe}
        await self.apply(thing("WorkloadGroup", "reviews", {**self.group(), "probe": quick}))

    def group(self) -> dict[str, Any]:
        template = {"ports": {"http": self.port}, "serviceAccount": "reviews"}
        return {"metadata": {"labels": {"app": "reviews"}}, "template": template}

    async def trust(self) -> None:
        """Writes the files of the mesh's roots, and of a token of the machines."""
        request = pb.CreateJoinTokenRequest(
            namespace="default", service_account="reviews", ttl_seconds=900, networks=["127.0.0.0/8"]
        )
        token = await ask(self.daemon, lambda client: JoiningClient(client).create_token(request))
        (self.folder / "token").write_text(token.token)
        trust = await ask(self.daemon, lambda client: JoiningClient(client).trust())
        (self.folder / "root.pem").write_bytes(trust.bundle)

    def sidecar(self, name: str, address: str, **more: Any) -> dict[str, Any]:
        """A bootstrap of a sidecar that programs are pointed at."""
        self.sidecars += 1
        bind = {"interception": Interception.NONE, "outbound_bind": f"127.0.1.{self.sidecars}"}
        daemon = {"xds_addresses": (parse_address(self.tls),)}
        who = {"role": Role.SIDECAR, "name": name, "namespace": "default", "address": address}
        return bootstrap_json(BootstrapOptions(**{**who, **bind, **daemon, **more}))

    def machine(self, name: str, address: str, group: str = "reviews", *, ready: bool = True) -> Envoy:
        tls = XdsTls(SERVER, root=self.folder / "root.pem", token=self.folder / "token")
        boot = self.sidecar(name, address, group=group, xds_tls=tls)
        return Envoy(boot, self.folder, name=name, ready=ready)

    async def entries(self) -> dict[str, dict[str, str]]:
        """The annotations of entries by name."""
        listed = await ask(self.daemon, lambda client: client.list("WorkloadEntry"))
        found = (json.loads(each.json)["metadata"] for each in listed.objects)
        return {each["name"]: each["annotations"] for each in found}

    async def health(self, address: str) -> str:
        found = await self.entries()
        return found.get(f"reviews-{address}", {}).get(HEALTH, "")

    async def is_(self, address: str, *states: str) -> bool:
        return await self.health(address) in states

    async def answer(self) -> str:
        """Who answers a client of the mesh, or the status where none does."""
        url, proxy = f"http://{HOST}:{self.service}/", f"http://127.0.0.1:{self.proxy}"
        async with aiohttp.ClientSession() as session, session.get(url, proxy=proxy) as response:
            text = await response.text()
            return text.split("\n")[0] if response.status == 200 else str(response.status)

    async def answers(self) -> set[str]:
        return {await self.answer() for _ in range(12)}


@asynccontextmanager
async def town(folder: Path, **settings: str) -> AsyncIterator[Town]:
    """A daemon with a group and a service of it, and a client's proxy."""
    tls_port, port, proxy, service = free_ports(4)
    tls = f"127.0.0.1:{tls_port}"
    async with AsyncExitStack() as stack:
        more = {"xds-tls-address": tls, "machine-grace": "2s", **settings}
        daemon = await stack.enter_async_context(Daemon(folder, more))
        made = Town(daemon, folder, tls, port, proxy, service)
        await made.trust()
        spec = {
            "hosts": [HOST],
            "ports": [{"number": service, "name": "http", "protocol": "HTTP"}],
            "resolution": "STATIC",
            "location": "MESH_INTERNAL",
            "workloadSelector": {"labels": {"app": "reviews"}},
        }
        await made.apply(
            thing("ServiceEntry", "reviews", spec), thing("WorkloadGroup", "reviews", made.group())
        )
        plain = {"xds_addresses": (parse_address(daemon.xds_address),), "http_proxy_port": proxy}
        client = made.sidecar("client", "127.0.0.9", outbound_bind="", **plain)
        await stack.enter_async_context(Envoy(client, folder, name="client"))
        yield made


async def test_machines_come_are_probed_and_leave(tmp_path: Path) -> None:
    """A machine gets an entry, and requests once its program is up; a restart of the daemon changes nothing of that. Of one
    that leaves the entry says so.
    """
    async with town(tmp_path, **{"machine-grace": "5m"}) as made, AsyncExitStack() as stack:
        await made.probe(httpGet={"path": "/well", "port": made.port})
        one = await stack.enter_async_context(made.machine("vm-1", "127.0.0.5"))
        await eventually(lambda: made.is_("127.0.0.5", "unhealthy"), "nothing answers its probe")
        assert (await made.entries())["reviews-127.0.0.5"][GROUP] == "reviews"
        async with http_server("one", "127.0.0.1", made.port):
            await eventually(lambda: made.is_("127.0.0.5", "healthy"), "its program is up")
            await eventually(lambda: _all(made, {"one"}), "it gets requests")
            await made.daemon.program.stop()
            await made.daemon.start()
            await eventually(lambda: _turn(made, "2"), "it came back")
            assert await made.is_("127.0.0.5", "healthy")
            assert await made.answers() == {"one"}
        await eventually(lambda: made.is_("127.0.0.5", "unhealthy"), "its program is down")
        await one.stop()
        await eventually(lambda: _left(made), "it left")


async def test_a_broken_program_loses_its_requests_to_its_like(tmp_path: Path) -> None:
    """Each machine speaks for itself alone: of two, the one whose program fails gets no requests until it is mended, and one
    that leaves is gone after the grace period. A third claims an address that is not its own.
    """
    async with town(tmp_path) as made, AsyncExitStack() as stack:
        await made.probe(httpGet={"path": "/", "port": made.port})
        await stack.enter_async_context(http_server("one", "127.0.0.1", made.port))
        await stack.enter_async_context(made.machine("vm-1", "127.0.0.5"))
        other = free_ports(1)[0]
        template = {"ports": {"http": other}, "serviceAccount": "reviews"}
        labels = {"labels": {"app": "reviews"}}
        quick = {
            "periodSeconds": 1,
            "timeoutSeconds": 30,
            "failureThreshold": 2,
            "tcpSocket": {"port": other},
        }
        await made.apply(
            thing("WorkloadGroup", "others", {"metadata": labels, "template": template, "probe": quick})
        )
        two = await stack.enter_async_context(made.machine("vm-2", "127.0.0.6", "others"))
        await stack.enter_async_context(made.machine("thief", "10.9.9.9", ready=False))
        await eventually(lambda: _told(made, "it claims the address 10.9.9.9"), "the thief is told of")
        async with http_server("two", "127.0.0.1", other):
            await eventually(lambda: _all(made, {"one", "two"}), "both get requests")
        await eventually(lambda: _all(made, {"one"}), "the broken one gets none")
        async with http_server("two", "127.0.0.1", other):
            await eventually(lambda: _all(made, {"one", "two"}), "it is mended")
            await two.stop()
            await eventually(lambda: _all(made, {"one"}), "it left")
            await eventually(lambda: _alone(made), "its entry is gone")


async def test_every_probe_is_asked_by_a_real_envoy(tmp_path: Path) -> None:
    """HTTPS with its headers, TCP and gRPC's health protocol; a change of the probe is taken up without a restart."""
    async with town(tmp_path) as made, AsyncExitStack() as stack:
        await stack.enter_async_context(made.machine("vm-1", "127.0.0.5"))
        is_, port = partial(made.is_, "127.0.0.5"), made.port
        await eventually(lambda: _there(made), "it is registered")
        async with tcp_server("tcp", "127.0.0.1", port):
            await made.probe(tcpSocket={"port": port})
            await eventually(lambda: is_("healthy"), "a connection")
        await eventually(lambda: is_("unhealthy"), "no connection")
        async with picky_server(port, tmp_path):
            asked = {"port": port, "path": "/well?really", "scheme": "HTTPS"}
            headers = [{"name": "Host", "value": "me.example"}, {"name": "x-why", "value": "probe"}]
            await made.probe(httpGet={**asked, "httpHeaders": headers})
            await eventually(lambda: is_("healthy"), "HTTPS with all headers")
            await made.probe(httpGet={**asked, "httpHeaders": headers[:1]})
            await eventually(lambda: is_("unhealthy"), "a header is missing")
        async with health_server(port) as servicer:
            await made.probe(grpc={"port": port, "service": "reviews.Reviews"})
            await eventually(lambda: is_("healthy"), "serving")
            await servicer.set("reviews.Reviews", health_pb2.HealthCheckResponse.NOT_SERVING)
            await eventually(lambda: is_("unhealthy"), "not serving")
            await made.probe(grpc={"port": port})
            await eventually(lambda: is_("healthy"), "the whole server")
        await made.apply(thing("WorkloadGroup", "reviews", made.group()))
        await eventually(lambda: is_(""), "no probe, no word")


async def test_a_machine_whose_daemon_dies_stays_with_another(tmp_path: Path) -> None:
    """Of two daemons on one etcd the one that has the machine is killed; the entry is there all the time, and the other's at
    last.
    """
    key = tmp_path / "sealing.key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    async with EtcdServer(tmp_path) as server, AsyncExitStack() as stack:
        shared = {"store": f"etcd://{server.host}:{server.port}", "ca-sealing-key-file": str(key)}
        towns = {name: await _member(stack, tmp_path / name, name, shared) for name in ("one", "other")}
        one = towns["one"]
        await one.trust()
        await one.apply(thing("WorkloadGroup", "reviews", one.group()))
        tls = XdsTls(SERVER, root=one.folder / "root.pem", token=one.folder / "token")
        both = tuple(parse_address(each.tls) for each in towns.values())
        boot = one.sidecar("vm-1", "127.0.0.5", group="reviews", xds_tls=tls, xds_addresses=both)
        async with Envoy(boot, tmp_path, name="vm-1"):
            await eventually(lambda: _there(one), "it is registered")
            before = await _controller(one)
            (rest,) = [each for name, each in towns.items() if name != before]
            await towns[before].daemon.kill()
            await eventually(lambda: _moved(rest, before), "the other has it")


async def _member(stack: AsyncExitStack, folder: Path, name: str, shared: Mapping[str, str]) -> Town:
    """A daemon of several on one store."""
    port, service = free_ports(2)
    tls = f"127.0.0.1:{port}"
    daemon = Daemon(folder, {"xds-tls-address": tls, "name": name, **shared})
    return Town(await stack.enter_async_context(daemon), folder, tls, service, 0, service)


async def _controller(made: Town) -> str:
    """The name of the daemon that has the machine; that it is registered is what must never end."""
    found = (await made.entries()).get("reviews-127.0.0.5")
    if found is None:
        raise RuntimeError("the entry is gone")
    return found["istio.io/workloadController"].partition("/")[0]


async def _moved(made: Town, before: str) -> bool:
    return await _controller(made) != before


@asynccontextmanager
async def picky_server(port: int, folder: Path) -> AsyncIterator[None]:
    """Answers well only what the probe is to ask, over TLS."""

    async def answer(request: web.Request) -> web.Response:
        right = (request.host, request.path_qs, request.headers.get("x-why"))
        return web.Response(status=204 if right == ("me.example", "/well?really", "probe") else 500)

    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=_tls(folder)).start()
        yield
    finally:
        await ended(runner)


def _tls(folder: Path) -> ssl.SSLContext:
    pair = Authority(folder / "tls").issue("me.example", "DNS:me.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    return context


@asynccontextmanager
async def health_server(port: int) -> AsyncIterator[Any]:
    """A gRPC server that says how it is."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack it
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    for service in ("", "reviews.Reviews"):
        await servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield servicer
    finally:
        await server.stop(0)


async def _all(made: Town, expected: set[str]) -> bool:
    return await made.answers() == expected


async def _told(made: Town, why: str) -> bool:
    problems = await ask(made.daemon, lambda client: client.problems())
    return any(why in each.message and "thief" in each.message for each in problems)


async def _alone(made: Town) -> bool:
    return list(await made.entries()) == ["reviews-127.0.0.5"]


async def _left(made: Town) -> bool:
    return "istio.io/disconnectedAt" in (await made.entries())["reviews-127.0.0.5"]


async def _there(made: Town) -> bool:
    return bool(await made.entries())


async def _turn(made: Town, turn: str) -> bool:
    found = (await made.entries()).get("reviews-127.0.0.5", {})
    return found.get("registration.xdsd.io/turn") == turn
