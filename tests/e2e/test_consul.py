"""Services of a real Consul, called by name through a real Envoy, whatever becomes of that Consul."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from api.bootstrap import BootstrapOptions, bootstrap_json
from tests.lab.consul import ConsulAgent
from tests.lab.daemon import Daemon
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.model.mesh import Interception, Role
from xdsd.settings import TcpAddress

pytestmark = pytest.mark.e2e

URL = "http://web.service.consul/"


@dataclass(slots=True)
class Place:
    """A Consul, a daemon that watches it, the sites that it knows, and a caller's HTTP proxy."""

    consul: ConsulAgent
    daemon: Daemon
    sites: dict[str, Site]
    proxy: str

    async def register(self, name: str, status: str = "passing") -> None:
        site = self.sites[name]
        await self.consul.register(
            "web",
            name,
            address=site.address,
            port=site.port,
            status=status,
            Meta={"protocol": "http", "service-port": "80"},
        )

    async def answers(self, *names: str) -> None:
        """Waits until just these sites answer; with none, until nothing does."""

        async def holds() -> None:
            found = set()
            async with aiohttp.ClientSession() as session:
                for _ in range(24):
                    async with session.get(URL, proxy=self.proxy) as response:
                        found.add(await response.text() if response.status == 200 else "")
            assert found == set(names or ("",))

        await eventually(holds, f"{names} answer")

    async def problems(self, said: str) -> None:
        """Waits until ``xdsctl problems`` says this."""

        async def holds() -> None:
            text = await self.daemon.xdsctl("problems", check=False)
            assert said in text, text

        await eventually(holds, f"a problem says {said}", every=0.2)


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """Two sites, of which Consul knows none yet."""
    proxy, one, two, admin = free_ports(4)
    async with AsyncExitStack() as stack:
        consul = await stack.enter_async_context(ConsulAgent(folder))
        sites = {
            "one": await stack.enter_async_context(Site("one", "127.0.0.1", one)),
            "two": await stack.enter_async_context(Site("two", "127.0.0.1", two)),
        }
        settings = {"registry": f"consul:{consul.url}", "settle-quiet": "1ms"}
        daemon = await stack.enter_async_context(Daemon(folder, settings))
        options = BootstrapOptions(
            role=Role.SIDECAR,
            name="caller",
            namespace="default",
            address="127.0.0.10",
            xds_addresses=(TcpAddress("127.0.0.1", daemon.xds_port),),
            interception=Interception.NONE,
            http_proxy_port=proxy,
            outbound_bind="127.0.0.10",
            admin_port=admin,
        )
        await stack.enter_async_context(Envoy(bootstrap_json(options), folder))
        yield Place(consul, daemon, sites, f"http://127.0.0.10:{proxy}")


async def test_what_consul_knows_is_served_by_name(tmp_path: Path) -> None:
    """Registered it is called, critical it is not, and all that may become of Consul fails no request: stopped, restarted,
    emptied, restored from a snapshot, and emptied while the daemon is restarted too, under traffic.
    """
    async with place(tmp_path) as made:
        consul = made.consul
        await made.register("one")
        await made.answers("one")
        await made.register("two")
        await made.answers("one", "two")
        await consul.check("two", "critical")
        await made.answers("one")
        await consul.check("two", "passing")
        await made.answers("one", "two")
        snapshot = tmp_path / "snapshot"
        await consul.deregister("two")
        await consul.save(snapshot)
        await made.register("two")
        await made.answers("one", "two")
        async with Load(URL, proxy=made.proxy, rate=200) as load:
            await load.more(100)
            await consul.stop()
            await made.problems("cannot be asked, what it said last holds")
            await load.more(100)
            await consul.start()
            await eventually(lambda: made.daemon.events("available again"), "it is back")
            await consul.empty()
            await made.problems("2 instances of web are served as they were")
            await load.more(100)
            await consul.restore(snapshot)
            await made.problems("1 instances of web are served as they were")
            await load.more(100)
            await made.register("one")
            await made.register("two")
            await made.problems("No problems found.")
            await made.answers("one", "two")
            await load.more(100)
            await consul.deregister("two")
            await made.answers("one")
            await load.more(100)
            await consul.empty()
            await made.problems("1 instances of web are served as they were")
            await made.daemon.restart()
            await made.problems("1 instances of web are served as they were")
            await load.more(100)
            await made.register("one")
            await made.problems("No problems found.")
            await load.more(100)
        assert load.tally.failed == 0, load.tally


async def test_a_daemon_that_starts_without_its_consul_waits(tmp_path: Path) -> None:
    """It says for what; proxies that it served before go on, and get what Consul says when it is back."""
    async with place(tmp_path) as made:
        await made.register("one")
        await made.answers("one")
        await made.consul.stop()
        await made.daemon.stop()
        await made.daemon.program.start()
        await eventually(lambda: made.daemon.events(f"waiting for consul:{made.consul.url}"), "it says so")
        await made.answers("one")
        await made.consul.start()
        await made.register("two")
        await made.answers("one", "two")
