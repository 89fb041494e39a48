"""Two datacenters of Consul, joined over their WAN and asked by one daemon, called through real Envoys in each."""

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
from tests.lab.ports import free_port, free_ports
from tests.lab.sites import Site
from xdsd.model.mesh import Interception, Role
from xdsd.settings import TcpAddress

pytestmark = pytest.mark.e2e

COMMON = "http://web.service.consul/"
EAST, WEST = (f"http://web.service.{datacenter}.consul/" for datacenter in ("east", "west"))


@dataclass(slots=True)
class Places:
    """Two Consuls, a site that each knows, and callers' HTTP proxies: by datacenter."""

    consuls: dict[str, ConsulAgent]
    daemon: Daemon
    sites: dict[str, Site]
    proxies: dict[str, str]

    async def register(self, datacenter: str) -> None:
        site = self.sites[datacenter]
        await self.consuls[datacenter].register(
            "web",
            "web-1",
            address=site.address,
            port=site.port,
            Meta={"protocol": "http", "service-port": "80"},
        )

    async def answers(self, url: str, caller: str, *names: str) -> None:
        """Waits until just these sites answer a caller."""

        async def holds() -> None:
            found = set()
            async with aiohttp.ClientSession() as session:
                for _ in range(24):
                    async with session.get(url, proxy=self.proxies[caller]) as response:
                        found.add(await response.text() if response.status == 200 else "")
            assert found == set(names), found

        await eventually(holds, f"{names} answer {caller} at {url}")

    async def problems(self, said: str) -> None:
        """Waits until ``xdsctl problems`` says this."""

        async def holds() -> None:
            text = await self.daemon.xdsctl("problems", check=False)
            assert said in text, text

        await eventually(holds, f"a problem says {said}", every=0.2)


@asynccontextmanager
async def places(folder: Path) -> AsyncIterator[Places]:
    """The datacenters east and west. The caller in the east says where it is, that in the west is registered there."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        east = await enter(ConsulAgent(folder, name="one", datacenter="east", forgetful=True, wan=()))
        west = await enter(ConsulAgent(folder, name="two", datacenter="west", forgetful=True, wan=(east,)))
        sites = {name: await enter(Site(name, "127.0.0.1", free_port())) for name in ("east", "west")}
        sources = [f"consul:{east.url}?datacenter={name}" for name in ("east", "west")]
        daemon = await enter(Daemon(folder, {"registry": sources[0], "settle-quiet": "1ms"}, sources[1:]))
        proxies: dict[str, str] = {}
        for name, address, locality in (("east", "127.0.0.10", "east"), ("west", "127.0.0.11", "")):
            proxy, admin = free_ports(2)
            options = BootstrapOptions(
                role=Role.SIDECAR,
                name=f"caller-{name}",
                namespace="default",
                address=address,
                locality=locality,
                xds_addresses=(TcpAddress("127.0.0.1", daemon.xds_port),),
                interception=Interception.NONE,
                http_proxy_port=proxy,
                outbound_bind=address,
                admin_port=admin,
            )
            await enter(Envoy(bootstrap_json(options), folder, name=f"envoy-{name}"))
            proxies[name] = f"http://{address}:{proxy}"
        await west.register("caller", "caller-1", address="127.0.0.11", port=7, Meta={"protocol": "tcp"})
        yield Places({"east": east, "west": west}, daemon, sites, proxies)


async def test_each_datacenter_is_called_first_by_its_own(tmp_path: Path) -> None:
    """The common name leads to the own datacenter, to the other only when the own one's instances are ill or gone, and the
    name of a datacenter leads there alone. A Consul that is lost takes nothing with it.
    """
    async with places(tmp_path) as made:
        await made.register("east")
        await made.register("west")
        await made.answers(COMMON, "east", "east")
        await made.answers(COMMON, "west", "west")
        for caller in ("east", "west"):
            await made.answers(EAST, caller, "east")
            await made.answers(WEST, caller, "west")
        async with Load(COMMON, proxy=made.proxies["east"], rate=100) as load:
            await load.more(30)
            await made.consuls["east"].check("web-1", "critical")
            await made.answers(COMMON, "east", "west")
            await load.more(30)
            await made.consuls["east"].check("web-1", "passing")
            await made.answers(COMMON, "east", "east")
            await made.consuls["east"].deregister("web-1")
            await made.answers(COMMON, "east", "west")
            await made.consuls["west"].stop()
            await made.problems("?datacenter=west cannot be asked, what it said last holds")
            await load.more(30)
            await made.answers(COMMON, "east", "west")
            await made.register("east")
            await made.answers(COMMON, "east", "east")
            await load.more(30)
        assert load.tally.failed == 0, load.tally
        assert (await made.daemon.xdsctl("get", "services", "-A")).count(".consul") == 5
