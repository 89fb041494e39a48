"""What operators get wrong is told by file, line and field, and never by an Envoy that refuses it first."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from api.client import Client
from tests.e2e.asking import accepted, ask, encoded, service, thing
from tests.e2e.fleet import bootstrap
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

HEAD = "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
ROUTED = "  hosts: [shop.example.com]\n  http:\n"
TO_SHOP = "    route: [{destination: {host: shop.example.com}}]\n"
MARK = " # here"

REFUSED: Mapping[str, tuple[str, str, str]] = {
    "weightless": (
        "VirtualService",
        (
            f"{ROUTED}  - route:{MARK}\n    - {{destination: {{host: a.example.com}}, weight: 0}}\n"
            "    - {destination: {host: b.example.com}, weight: 0}\n"
        ),
        "spec.http[0].route: the weights add up to 0",
    ),
    "negative": (
        "VirtualService",
        f"{ROUTED}  - route:\n    - {{destination: {{host: a.example.com}}, weight: -5}}{MARK}\n",
        "spec.http[0].route[0].weight: -5 is below 0",
    ),
    "invalid-regex": (
        "VirtualService",
        f'{ROUTED}  - match: [{{uri: {{regex: "("}}}}]{MARK}\n{TO_SHOP}',
        "spec.http[0].match[0].uri.regex: '(' is no RE2 expression",
    ),
    "exploding-regex": (
        "VirtualService",
        f'{ROUTED}  - match: [{{uri: {{regex: "((a{{1,100}}){{1,100}}){{1,100}}"}}}}]{MARK}\n{TO_SHOP}',
        "is no RE2 expression: invalid repetition size",
    ),
    "large-regex": (
        "VirtualService",
        f'{ROUTED}  - match: [{{uri: {{regex: "{"|".join(f"{n:05}" for n in range(20_000))}"}}}}]{MARK}\n{TO_SHOP}',
        "spec.http[0].match[0].uri.regex",
    ),
    "above-all": (
        "VirtualService",
        f"{ROUTED}  - fault: {{abort: {{httpStatus: 503, percentage: {{value: 101}}}}}}{MARK}\n{TO_SHOP}",
        "spec.http[0].fault.abort.percentage.value: 101 is above 100",
    ),
    "before-time": (
        "VirtualService",
        f"{ROUTED}  - timeout: -1s{MARK}\n{TO_SHOP}",
        "spec.http[0].timeout: -1s is below",
    ),
    "unicode": (
        "VirtualService",
        f"  hosts: [bücher.example.com]{MARK}\n  http:\n  -\n{TO_SHOP}",
        "spec.hosts[0]: 'bücher.example.com' is no host name",
    ),
    "unicode-service": (
        "ServiceEntry",
        (
            f"  hosts: [bücher.example.com]{MARK}\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n"
            "  resolution: STATIC\n"
        ),
        "spec.hosts[0]: 'bücher.example.com' is no host name",
    ),
    "no-such-number": (
        "VirtualService",
        f"{ROUTED}  - route: [{{destination: {{host: shop.example.com, port: {{number: 70000}}}}}}]{MARK}\n",
        "spec.http[0].route[0].destination.port.number: 70000 is above 65535",
    ),
    "chain": (
        "VirtualService",
        f"  http:\n  - delegate: {{name: chain}}{MARK}\n",
        "spec.http[0].delegate: a delegate (an object without hosts) cannot delegate on",
    ),
    "nameless": (
        "DestinationRule",
        f"  host: shop.example.com\n  subsets: [{{labels: {{version: v1}}}}]{MARK}\n",
        "spec.subsets[0].name: is missing",
    ),
}


@dataclass(frozen=True, slots=True)
class House:
    """A daemon and a sidecar's Envoy, which is the HTTP proxy ``proxy``; ``port`` is a server's."""

    daemon: Daemon
    envoy: Envoy
    proxy: str
    port: int

    async def apply(self, *objects: Mapping[str, Any]) -> list[str]:
        """Applies objects; what is remarked."""
        response = accepted(await ask(self.daemon, partial(Client.apply, objects=encoded(objects))))
        return [f"{each.path}: {each.message}" for each in response.problems]

    async def status(self, url: str) -> int:
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, proxy=self.proxy) as response,
        ):
            return response.status

    async def answers(self, url: str, status: int) -> None:
        async def holds() -> bool:
            return await self.status(url) == status

        await eventually(holds, f"{url} answers {status}")

    def served(self, name: str) -> dict[str, Any]:
        made = service(name)
        made["spec"]["endpoints"] = [
            {"address": "127.0.0.1", "ports": {"http": self.port}, "labels": {"v": "1"}}
        ]
        return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("house")
    port, proxy = free_ports(2)
    words = ("--address", "127.0.0.9", "--interception", "none", "--http-proxy-port", str(proxy))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(http_server("shop", "127.0.0.1", port))
        daemon = await stack.enter_async_context(Daemon(folder))
        config = await bootstrap([daemon], "--type", "sidecar", "--name", "one", *words)
        envoy = await stack.enter_async_context(Envoy(config, folder))
        made = House(daemon, envoy, f"http://127.0.0.1:{proxy}", port)
        await made.apply(made.served("shop"))
        yield made
        rejected = await envoy.stats("update_rejected$")
        assert not any(rejected.values()), rejected


async def test_each_mistake_is_told_with_its_file_line_and_field(house: House, tmp_path: Path) -> None:
    """All of them at once, and nothing of the file is kept."""
    file = tmp_path / "wrong.yaml"
    documents = [HEAD.format(kind=kind, name=name) + spec for name, (kind, spec, _) in REFUSED.items()]
    text = "---\n".join(documents)
    file.write_text(text)
    output = await house.daemon.xdsctl("apply", "-f", file, check=False)
    places = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith(MARK)]
    for place, (name, (kind, _, sentence)) in zip(places, REFUSED.items(), strict=True):
        told = [
            line for line in output.splitlines() if line.startswith(f"{file}:{place}: {kind} default/{name} ")
        ]
        assert any(sentence in line for line in told), (name, place, output[:5000])
    listed = await ask(house.daemon, lambda client: client.list(""))
    assert not {json.loads(each.json)["metadata"]["name"] for each in listed.objects} & set(REFUSED)


async def test_what_is_odd_but_means_something_is_done_and_remarked(house: House) -> None:
    """Weights are shares of their sum, a subset without labels is the whole service, the older of two objects for a host
    wins, and what is not there answers 503.
    """
    split = [{"destination": {"host": "shop.example.com"}, "weight": weight} for weight in (30, 30)]
    subset = {"destination": {"host": "shop.example.com", "subset": "all"}}
    nowhere = {"destination": {"host": "shop.example.com", "port": {"number": 81}}}
    remarks = await house.apply(
        thing("DestinationRule", "shop", {"host": "shop.example.com", "subsets": [{"name": "all"}]}),
        _routed("split", split),
        _routed("whole", [subset]),
        _routed("nowhere", [nowhere]),
        {**_routed("split", [nowhere]), "metadata": {"name": "zz-younger"}},
    )
    assert any("shop.example.com has no port 81" in each for each in remarks)
    assert any("split.example.com" in each and "older" in each for each in remarks), remarks
    await house.answers("http://split.example.com/", 200)
    await house.answers("http://whole.example.com/", 200)
    await house.answers("http://nowhere.example.com/", 503)


async def test_two_thousand_routes_are_served_first_and_last(house: House) -> None:
    """The result is bounded and right, and an edit of it too."""
    for status in (201, 202):
        http = [
            {
                "match": [{"uri": {"exact": f"/{number}"}, "headers": {"x": {"regex": f".*{number}"}}}],
                "directResponse": {"status": 500},
            }
            for number in range(1998)
        ]
        http.insert(0, {"match": [{"uri": {"exact": "/first"}}], "directResponse": {"status": status}})
        http.append({"match": [{"uri": {"exact": "/last"}}], "directResponse": {"status": status}})
        await house.apply(thing("VirtualService", "large", {"hosts": ["large.example.com"], "http": http}))
        await house.answers("http://large.example.com/first", status)
        await house.answers("http://large.example.com/last", status)
        assert await house.status("http://large.example.com/1000") == 404


def _routed(name: str, route: list[dict[str, Any]]) -> dict[str, Any]:
    return thing("VirtualService", name, {"hosts": [f"{name}.example.com"], "http": [{"route": route}]})
