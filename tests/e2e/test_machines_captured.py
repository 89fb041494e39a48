"""Two machines from a list, their traffic redirected by the kernel: programs call each other, unaware of the
mesh.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGHUP
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

from tests.lab.daemon import Daemon
from tests.lab.echo import first_line, http_server, tcp_server
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.netns import CapturingEnvoy, Machine, capture, two_machines

pytestmark = pytest.mark.e2e

REVIEWS_ADDRESS = "10.96.0.10"  # virtual: routed nowhere, only the proxies can make sense of it
MYSQL_ADDRESS = "10.96.0.7"
REVIEWS = f"http://{REVIEWS_ADDRESS}:9080/"
PORTS = {"v1": 9080, "v2": 9081}
STRANGER = 7777


@dataclass(slots=True)
class World:
    """``inside`` calls, ``outside`` serves; this thread is inside. ``lists`` is the folder of machines."""

    daemon: Daemon
    inside: Machine
    outside: Machine
    proxies: Mapping[str, CapturingEnvoy] = field(default_factory=dict)

    def list_reviews(self, *versions: str) -> None:
        """Writes the list of the machines that serve reviews, as a script would: beside it, then renamed."""
        self.write("reviews.json", [reviews(), *(self.review_machine(version) for version in versions)])

    def review_machine(self, version: str) -> dict[str, Any]:
        labels = {"app": "reviews", "version": version}
        spec = {"address": self.outside.address, "ports": {"http": PORTS[version]}, "labels": labels}
        return thing("WorkloadEntry", f"reviews-{version}", spec)

    def write(self, name: str, objects: Sequence[Mapping[str, Any]]) -> None:
        file = self.daemon.machines / name
        new = file.with_suffix(".new")
        new.write_text("\n---\n".join(json.dumps(each, indent=2) for each in objects))
        new.rename(file)

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        await self.daemon.xdsctl("apply", "-f", "-", text="\n---\n".join(map(json.dumps, objects)))


def thing(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An object of the default namespace; Any: objects nest freely."""
    version = "networking.istio.io/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def reviews() -> dict[str, Any]:
    spec = {
        "hosts": ["reviews.default.svc.cluster.local"],
        "addresses": [REVIEWS_ADDRESS],
        "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "workloadSelector": {"labels": {"app": "reviews"}},
    }
    return thing("ServiceEntry", "reviews", spec)


def mysql(address: str) -> dict[str, Any]:
    spec = {
        "hosts": ["mysql.example.com"],
        "addresses": [MYSQL_ADDRESS],
        "ports": [{"number": 3306, "name": "tcp", "protocol": "TCP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [{"address": address}],
    }
    return thing("ServiceEntry", "mysql", spec)


@asynccontextmanager
async def world(
    folder: Path, *versions: str, settings: Mapping[str, str] | None = None, bootstrap: Sequence[str] = ()
) -> AsyncIterator[World]:
    """A daemon out of reach of both machines but for its socket, and a proxy on each of them."""
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(TemporaryDirectory(prefix="xdsd-"))  # a socket's path must be short
        xds = f"unix:{sockets}/xds.sock"
        inside, outside = stack.enter_context(two_machines())
        daemon = Daemon(
            folder, {"xds-address": xds, "admin-address": f"unix:{sockets}/admin.sock", **(settings or {})}
        )
        daemon.endpoint = f"unix:{sockets}/admin.sock"
        made = World(daemon, inside, outside)
        made.list_reviews(*versions)
        made.write("mysql.json", [mysql(outside.address)])
        places = {"reviews": outside, "shop": inside}
        _, *bootstraps = await asyncio.gather(
            stack.enter_async_context(daemon),
            *(_bootstrap(daemon, name, machine, xds, bootstrap) for name, machine in places.items()),
        )
        proxies = {}
        for (name, machine), made_for in zip(places.items(), bootstraps, strict=True):
            capture(machine)
            proxies[name] = CapturingEnvoy(made_for, folder, name=name)
            with machine.entered():
                await stack.enter_async_context(proxies[name])
        made.proxies = proxies
        with outside.entered():
            for version, port in PORTS.items():
                await stack.enter_async_context(http_server(version, "0.0.0.0", port))
            await stack.enter_async_context(tcp_server("mysql", "0.0.0.0", 3306))
            await stack.enter_async_context(tcp_server("stranger", "0.0.0.0", STRANGER))
        stack.enter_context(inside.entered())
        yield made


async def _bootstrap(
    daemon: Daemon, name: str, machine: Machine, xds: str, more: Sequence[str]
) -> dict[str, Any]:
    words = ("--name", name, "--address", machine.address, "--labels", f"app={name}", "--xds-address", xds)
    made: dict[str, Any] = json.loads(await daemon.xdsctl("bootstrap", *words, *more, "-o", "json"))
    return made


async def who(url: str = REVIEWS, host: str = "reviews", **headers: str) -> str:
    """Who answers a call of a program inside, or the status if none does."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, headers={"host": host, **headers}) as response,
    ):
        text = await response.text()
        return text.split("\n", maxsplit=1)[0] if response.status == 200 else str(response.status)


async def everyone(calls: int = 40) -> set[str]:
    """Who answers a number of calls, of which one of two is missed once in 2^39 times."""
    return {await who() for _ in range(calls)}


async def test_calls_are_routed_by_host_header_and_address(tmp_path: Path) -> None:
    """HTTP goes where the VirtualService says, TCP by the service's address; both proxies see it, no program does."""
    rule = {
        "host": "reviews",
        "subsets": [{"name": version, "labels": {"version": version}} for version in PORTS],
    }
    routes = {
        "hosts": ["reviews"],
        "http": [
            {
                "match": [{"headers": {"end-user": {"exact": "jason"}}}],
                "route": [{"destination": {"host": "reviews", "subset": "v2"}}],
            },
            {"route": [{"destination": {"host": "reviews", "subset": "v1"}}]},
        ],
    }
    async with world(tmp_path, "v1", "v2") as mesh:
        assert await everyone() == {"v1", "v2"}
        await mesh.apply(
            thing("DestinationRule", "reviews", rule), thing("VirtualService", "reviews", routes)
        )
        await eventually(lambda: _answers({"v1"}))
        for host in ("reviews", "reviews.default.svc.cluster.local", REVIEWS_ADDRESS):
            assert await who(host=host) == "v1"
            assert await who(host=host, **{"end-user": "jason"}) == "v2"
        assert await first_line(MYSQL_ADDRESS, 3306) == "mysql 127.0.0.6"
        shop = await mesh.proxies["shop"].stats("upstream_rq_total")
        subset = "cluster.outbound|9080|v2|reviews.default.svc.cluster.local;.upstream_rq_total"
        assert shop[subset] == 3
        with mesh.outside.entered():
            inbound = await mesh.proxies["reviews"].stats("inbound.*(rq|cx)_total")
        assert inbound["cluster.inbound|9081||;.upstream_rq_total"] >= shop[subset]
        assert inbound["cluster.inbound|3306||;.upstream_cx_total"] == 1


async def test_a_sidecar_decides_over_unknown_destinations(tmp_path: Path) -> None:
    """Connections and hosts are let through until a Sidecar says REGISTRY_ONLY; what is known stays served."""
    only = {
        "workloadSelector": {"labels": {"app": "shop"}},
        "egress": [{"hosts": ["*/*"]}],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }
    async with world(tmp_path, "v1") as mesh:
        meant = f"http://{mesh.outside.address}:9080/"
        assert await _stranger(mesh) == "stranger 127.0.0.6"
        assert await who(meant, host="nobody.example.com") == "v1"
        await mesh.apply(thing("Sidecar", "shop", only))
        await eventually(lambda: _turned_away(mesh))
        await eventually(lambda: _refused(meant))
        assert await everyone(3) == {"v1"}
        assert (await first_line(MYSQL_ADDRESS, 3306)).startswith("mysql ")
        await mesh.daemon.xdsctl("delete", "sidecar", "shop")
        await eventually(lambda: _reached(mesh))


async def test_a_setting_decides_over_unknown_destinations(tmp_path: Path) -> None:
    """The mesh's own policy changes with SIGHUP, for proxies that stay connected meanwhile."""
    config = tmp_path / "xdsd.yaml"
    config.write_text("outbound-traffic-policy: REGISTRY_ONLY\n")
    async with world(tmp_path, "v1", settings={"config": str(config)}) as mesh:
        assert await _stranger(mesh) == ""
        assert await everyone(3) == {"v1"}
        config.write_text("outbound-traffic-policy: ALLOW_ANY\n")
        mesh.daemon.program.signal(SIGHUP)
        await eventually(lambda: _reached(mesh))
        config.write_text("outbound-traffic-policy: REGISTRY_ONLY\n")
        mesh.daemon.program.signal(SIGHUP)
        await eventually(lambda: _turned_away(mesh))
        stats = await mesh.proxies["shop"].stats("xds-grpc.*upstream_cx_total")
        assert list(stats.values()) == [1]


async def test_machines_come_and_go_with_their_list(tmp_path: Path) -> None:
    """A machine that is listed gets traffic, one that is struck off gets none, and no call fails meanwhile."""
    async with world(tmp_path, "v1") as mesh:
        assert await everyone() == {"v1"}
        async with Load(REVIEWS, headers={"host": "reviews"}, keep_alive=False) as load:
            mesh.list_reviews("v1", "v2")
            await eventually(lambda: _answers({"v1", "v2"}))
            await load.more(20)
            mesh.list_reviews("v2")
            await eventually(lambda: _answers({"v2"}))
            await load.more(20)
        assert load.tally.failed == 0, load.tally
        assert await everyone() == {"v2"}


async def test_a_broken_list_keeps_its_last_good_content(tmp_path: Path) -> None:
    """A slip of the pen takes no machine out of service and is a problem until it is mended."""
    async with world(tmp_path, "v1", "v2") as mesh:
        file = mesh.daemon.machines / "reviews.json"
        good = file.read_text()
        line = good[: good.index('"address"')].count("\n") + 1
        file.write_text(good.replace('"address"', '"adress"'))
        problems = await eventually(lambda: _problems(mesh, "reviews.json"))
        assert f"reviews.json:{line}: WorkloadEntry default/reviews-v1 spec.adress: unknown field" in problems
        assert await everyone() == {"v1", "v2"}
        file.write_text("{" * 9)
        problems = await eventually(lambda: _problems(mesh, "not YAML"))
        assert "reviews.json" in problems
        assert await everyone() == {"v1", "v2"}
        mesh.list_reviews("v2")
        await eventually(lambda: _answers({"v2"}))
        assert await mesh.daemon.xdsctl("problems") == "No problems found.\n"


async def _answers(expected: set[str]) -> bool:
    return await everyone() == expected


async def _stranger(mesh: World) -> str:
    return await first_line(mesh.outside.address, STRANGER)


async def _reached(mesh: World) -> bool:
    return await _stranger(mesh) == "stranger 127.0.0.6"


async def _turned_away(mesh: World) -> bool:
    return await _stranger(mesh) == ""


async def _refused(url: str) -> bool:
    return await who(url, host="nobody.example.com") == "502"


async def _problems(mesh: World, part: str) -> str:
    problems = await mesh.daemon.xdsctl("problems")
    return problems if part in problems else ""
