"""Whatever comes and goes in one apply, no request falls in between: the same with virtual hosts inside route
configurations and with hosts that proxies discover.

A gateway and a sidecar are under load all the while. Each change puts a number into a header of the answers, so that it is
known when a proxy lives by it.
"""

import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from api.client import Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import accepted, ask, encoded, metric, service, thing
from tests.e2e.fleet import HOST, bootstrap, says
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from xdsd.model.problem import ObjectRef
from xdsd.settings import VirtualHosts

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ROUNDS = 8
STATS = r"^listener_manager.*(draining|listener_(modified|removed|in_place_updated))|update_rejected$"


@dataclass(slots=True)
class Shop:
    """What runs; ``port`` is that of the servers behind ``shop`` and whatever else is declared."""

    daemon: Daemon
    settings: Path
    port: int
    gateway: str
    proxy: str
    envoys: Sequence[Envoy]
    number: int = 0

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        accepted(await ask(self.daemon, partial(Client.apply, objects=encoded(objects))))

    async def delete(self, kind: str, name: str) -> None:
        ref = ObjectRef(kind, "default", name)
        response = await ask(self.daemon, lambda client: client.delete([ref]))
        assert response.accepted, response.problems

    async def routes(self, host: str, subset: str = "", beside: Sequence[Mapping[str, Any]] = ()) -> None:
        """Sends the shop's requests elsewhere, in one apply with other objects, and waits until both proxies do."""
        self.number += 1
        target = {"host": host, **({"subset": subset} if subset else {})}
        rule = {
            "route": [{"destination": target}],
            "headers": {"response": {"set": {"x-number": str(self.number)}}},
            "retries": {"attempts": 0},
        }
        spec = {"hosts": [HOST], "gateways": ["door", "mesh"], "http": [rule]}
        await self.apply(*beside, thing("VirtualService", "shop", spec))
        await self.lives_by(self.number)

    async def lives_by(self, number: int) -> None:
        for url, proxy in ((self.gateway, None), (f"http://{HOST}/", self.proxy)):
            await eventually(
                partial(says, url, proxy, str(number)), f"{url} lives by change {number}", timeout=30
            )

    def served(self, name: str) -> dict[str, Any]:
        """A service whose endpoint is there."""
        made = service(name)
        made["spec"]["endpoints"] = [{"address": "127.0.0.1", "ports": {"http": self.port}}]
        return made

    async def status(self, host: str) -> int:
        """What the sidecar's program hears from a host."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://{host}/", proxy=self.proxy) as response,
        ):
            return response.status

    async def reload(self, virtual_hosts: VirtualHosts) -> None:
        """The daemon reads its settings again."""
        self.settings.write_text(f"virtual-hosts: {virtual_hosts}\n")
        self.daemon.program.signal(signal.SIGHUP)

    async def stats(self) -> int:
        """Listeners that were disturbed and responses that were refused so far, by all proxies."""
        return sum([sum((await envoy.stats(STATS)).values()) for envoy in self.envoys])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(VirtualHosts))
async def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    settings = folder / "xdsd.yaml"
    settings.write_text(f"virtual-hosts: {request.param}\n")
    port, gate, proxy = free_ports(3)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(http_server("shop", "127.0.0.1", port))
        daemon = await stack.enter_async_context(Daemon(folder, {"config": str(settings)}))
        envoys: list[Envoy] = []
        made = Shop(daemon, settings, port, f"http://127.0.0.1:{gate}/", f"http://127.0.0.1:{proxy}", envoys)
        server = {
            "port": {"number": gate, "name": "http", "protocol": "HTTP"},
            "hosts": ["*"],
            "bind": "127.0.0.1",
        }
        door = thing("Gateway", "door", {"selector": {"app": "gateway"}, "servers": [server]})
        await made.apply(made.served("shop"), door)
        sidecar = ("--address", "127.0.0.9", "--interception", "none", "--http-proxy-port", str(proxy))
        for words in (
            ("--type", "router", "--name", "gateway", "--labels", "app=gateway"),
            ("--type", "sidecar", "--name", "sidecar", *sidecar),
        ):
            config = await bootstrap([daemon], *words)
            envoys.append(await stack.enter_async_context(Envoy(config, folder, name=words[3])))
        await made.routes(HOST)
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def under_load(shop: Shop) -> AsyncIterator[Shop]:
    """The shop with requests through both proxies, none of which may fail, while no listener is disturbed."""
    before = await shop.stats()
    loads = [
        Load(shop.gateway, rate=150, headers={"host": HOST}),
        Load(f"http://{HOST}/", rate=150, proxy=shop.proxy),
    ]
    async with AsyncExitStack() as stack:
        for load in loads:
            await stack.enter_async_context(load)
        yield shop
        for load in loads:
            await load.more(30)
    assert [str(load.tally) for load in loads if load.tally.failed] == []
    assert await shop.stats() == before


async def test_a_subset_comes_in_one_apply_with_the_route_that_uses_it(under_load: Shop) -> None:
    """And the subset that the route used before goes in the same apply."""
    for number in range(ROUNDS):
        rule = thing(
            "DestinationRule", "shop", {"host": HOST, "subsets": [{"name": f"s{number}", "labels": {}}]}
        )
        await under_load.routes(HOST, f"s{number}", [rule])
    await under_load.routes(HOST, "", [thing("DestinationRule", "shop", {"host": HOST})])
    await under_load.delete("DestinationRule", "shop")


async def test_a_service_comes_in_one_apply_with_the_route_to_it(under_load: Shop) -> None:
    """And the service to which the route led before is removed right after."""
    for number in range(ROUNDS):
        await under_load.routes(f"new-{number}.example.com", "", [under_load.served(f"new-{number}")])
        if number:
            await under_load.delete("ServiceEntry", f"new-{number - 1}")
    await under_load.routes(HOST)
    await under_load.delete("ServiceEntry", f"new-{ROUNDS - 1}")


async def test_changes_that_nobody_waits_for_overtake_each_other_and_nothing_else(under_load: Shop) -> None:
    """Routes to services of which each exists only as long as it is routed to, as fast as they are taken."""
    for number in range(3 * ROUNDS):
        under_load.number += 1
        name = f"brief-{number}"
        rule = {
            "route": [{"destination": {"host": f"{name}.example.com"}}],
            "headers": {"response": {"set": {"x-number": str(under_load.number)}}},
            "retries": {"attempts": 0},
        }
        spec = {"hosts": [HOST], "gateways": ["door", "mesh"], "http": [rule]}
        await under_load.apply(under_load.served(name), thing("VirtualService", "shop", spec))
        if number:
            await under_load.delete("ServiceEntry", f"brief-{number - 1}")
    await under_load.lives_by(under_load.number)
    await under_load.routes(HOST)
    await under_load.delete("ServiceEntry", f"brief-{3 * ROUNDS - 1}")


async def test_b47_a_service_whose_endpoints_go_and_come_is_away_meanwhile(under_load: Shop) -> None:
    """Without endpoints it answers 503 at once, with one again 200; nobody else notices, and its listener stays."""
    full = under_load.served("side")
    empty = {**full, "spec": {**full["spec"], "endpoints": []}}
    for _ in range(2):
        for object_, status in ((full, 200), (empty, 503)):
            await under_load.apply(object_)
            await eventually(partial(_answers, under_load, status), f"side answers {status}")
    await under_load.delete("ServiceEntry", "side")


async def _answers(shop: Shop, status: int) -> bool:
    return await shop.status("side.example.com") == status


async def test_a_daemon_that_was_away_goes_on_where_it_was(under_load: Shop) -> None:
    """What changed meanwhile (a route to a service that is new, and the old one gone) arrives in the same order."""
    await under_load.routes("first.example.com", "", [under_load.served("first")])
    await under_load.daemon.kill()
    await under_load.daemon.start()
    await eventually(partial(_synced, under_load), "both proxies are back")
    assert await metric(under_load.daemon, "xdsd_pushed_resources_total") == 0
    await under_load.routes("second.example.com", "", [under_load.served("second")])
    await under_load.delete("ServiceEntry", "first")
    await under_load.daemon.restart()
    await under_load.routes(HOST)
    await under_load.delete("ServiceEntry", "second")


async def _synced(shop: Shop) -> bool:
    proxies = await ask(shop.daemon, lambda client: client.proxies())
    states = {each.state for proxy in proxies for each in proxy.types}
    return len(proxies) == 2 and states == {pb.SYNC_STATE_SYNCED}


async def test_proxies_learn_to_discover_hosts_and_unlearn_it(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    """The setting is read again under load; listeners are replaced for it, after the new routes are there."""
    own: VirtualHosts = request.node.callspec.params["shop"]
    (other,) = set(VirtualHosts) - {own}
    load = Load(f"http://{HOST}/", rate=150, proxy=shop.proxy)
    async with load:
        for turn in (other, own):
            await shop.reload(turn)
            await eventually(partial(_discovers, shop, turn), f"virtual hosts are {turn}")
            await shop.routes(HOST)
            await load.more(50)
    assert str(load.tally).endswith(" 0 failed")


async def _discovers(shop: Shop, virtual_hosts: VirtualHosts) -> bool:
    """Whether the sidecar has its route configuration under the name that it has then, and no other."""
    name = "http_proxy.vhds" if virtual_hosts is VirtualHosts.DISCOVERED else "http_proxy"
    return await shop.envoys[1].names("routes") == {name}
