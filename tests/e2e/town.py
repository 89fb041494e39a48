"""A mesh over regions and zones, all of them on loopback: servers, and Envoys that are their callers' HTTP proxies."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp

from api.bootstrap import BootstrapOptions, bootstrap_json
from tests.e2e.asking import accepted, ask, encoded, thing
from tests.lab.daemon import Daemon
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.sites import Site
from xdsd.model.mesh import Interception, Role
from xdsd.settings import TcpAddress

HOST = "cart.example.com"
CLUSTER = f"outbound|80||{HOST}"


@dataclass(frozen=True, slots=True)
class Home:
    """Where callers of a place live: an Envoy and its HTTP proxy."""

    envoy: Envoy
    proxy: str


@dataclass(slots=True)
class Town:
    """``sites`` by name and ``homes`` by locality. The service of all sites is ``cart.example.com``, port 80."""

    daemon: Daemon
    sites: dict[str, Site]
    homes: dict[str, Home] = field(default_factory=dict)

    async def apply(self, *objects: Mapping[str, Any]) -> list[str]:
        """Applies objects; the remarks that come with them."""
        response = accepted(await ask(self.daemon, lambda client: client.apply(encoded(objects))))
        return [f"{each.path}: {each.message}" for each in response.problems]

    async def rule(self, policy: Mapping[str, Any], **more: Any) -> list[str]:
        """Applies the service's DestinationRule."""
        spec = {"host": HOST, "trafficPolicy": policy, **more}
        return await self.apply(thing("DestinationRule", "cart", spec))

    async def ask(
        self, home: str, requests: int = 1, headers: Mapping[str, str] | None = None, path: str = "/"
    ) -> Counter[str]:
        """Who answered so many requests of a home's callers; answers that are not 200 count by their status."""
        found: Counter[str] = Counter()
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for _ in range(requests):
                async with session.get(
                    f"http://{HOST}{path}", proxy=self.homes[home].proxy, headers=headers
                ) as response:
                    text = await response.text()
                    found[text if response.status == 200 else str(response.status)] += 1
        return found

    async def reaches(self, home: str, *sites: str, requests: int = 12) -> None:
        """Waits until just these answer a home's callers."""

        async def holds() -> None:
            assert set(await self.ask(home, requests)) == set(sites)

        await eventually(holds, f"callers at {home} reach {sites}")


@asynccontextmanager
async def town(
    folder: Path,
    places: Mapping[str, str],
    homes: Sequence[str],
    *,
    zone_aware: bool = False,
    labels: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> AsyncIterator[Town]:
    """A site for each name in ``places``, at its locality, and an Envoy in each of ``homes``.

    ``labels`` are those of sites, by name; those of the first home are called ``home-0``. The homes are the service
    ``home.example.com``.
    """
    ports = free_ports(len(places) + 2 * len(homes) + 1)
    async with AsyncExitStack() as stack:
        sites: dict[str, Site] = {}
        for number, name in enumerate(places):
            sites[name] = await stack.enter_async_context(Site(name, f"127.0.0.{number + 20}", ports.pop()))
        daemon = await stack.enter_async_context(Daemon(folder, {"settle-quiet": "1ms"}))
        made = Town(daemon, sites)
        await made.apply(service(places, sites, labels), neighbourhood(homes, ports.pop()))
        for number, home in enumerate(homes):
            proxy, admin = ports.pop(), ports.pop()
            options = BootstrapOptions(
                role=Role.SIDECAR,
                name=f"home-{number}",
                namespace="default",
                address=f"127.0.0.{number + 10}",
                xds_addresses=(TcpAddress("127.0.0.1", daemon.xds_port),),
                labels=labels.get(f"home-{number}", {}),
                interception=Interception.NONE,
                http_proxy_port=proxy,
                outbound_bind=f"127.0.0.{number + 10}",
                locality=home,
                zone_aware=zone_aware,
                admin_port=admin,
            )
            envoy = Envoy(bootstrap_json(options), folder, name=f"envoy-{number}")
            await stack.enter_async_context(envoy)
            made.homes[home] = Home(envoy, f"http://127.0.0.{number + 10}:{proxy}")
        yield made


def service(
    places: Mapping[str, str], sites: Mapping[str, Site], labels: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """The ServiceEntry of all sites."""
    endpoints = [
        {
            "address": sites[name].address,
            "ports": {"http": sites[name].port},
            "locality": locality,
            "labels": dict(labels.get(name, {})),
        }
        for name, locality in places.items()
    ]
    spec = {
        "hosts": [HOST],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": endpoints,
    }
    return thing("ServiceEntry", "cart", spec)


def neighbourhood(homes: Sequence[str], port: int) -> dict[str, Any]:
    """The ServiceEntry of all homes; another test's Envoy may have the same address, so the port is this town's own."""
    endpoints = [{"address": f"127.0.0.{number + 10}", "locality": home} for number, home in enumerate(homes)]
    spec = {
        "hosts": ["home.example.com"],
        "ports": [{"number": 81, "name": "http", "protocol": "HTTP", "targetPort": port}],
        "resolution": "STATIC",
        "endpoints": endpoints,
    }
    return thing("ServiceEntry", "home", spec)
