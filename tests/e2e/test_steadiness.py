"""Traffic does not notice what happens to its control plane: changes, a kill, a restart, a bad resource."""

import asyncio
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from api.client import Client
from tests.e2e.shop import Visitor
from tests.lab.admin import Admin
from tests.lab.bookinfo import Bookinfo
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_port
from xdsd.settings import parse_address

pytestmark = pytest.mark.e2e

CHANGES = 200
# What an Envoy counts when config changes, and when routes or endpoints arrive, changed or not. Clusters and listeners
# are wildcards, whose resumption is answered even if there is nothing to say; so their arrivals tell nothing.
UPDATES = (
    r"(^cluster[.]outbound|rds).*update_success$|update_rejected$|"
    r"cluster_(added|modified|removed)|listener_(added|modified|removed)|config_reload$"
)
UNWELCOME_GATEWAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "elsewhere", "namespace": "default"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        # TEST-NET-1: no machine has this address, which only the Envoy that tries to bind it finds out.
        "servers": [
            {
                "port": {"number": 8099, "name": "http", "protocol": "HTTP"},
                "bind": "192.0.2.1",
                "hosts": ["*"],
            }
        ],
    },
}


def whole(status: int, body: str) -> str:
    """What is wrong with a page: it must have all its parts, not only a good status."""
    if status != 200:
        return f"status {status}: {body[:200]}"
    return "a part is missing" if "currently unavailable" in body or "Reviews served by" not in body else ""


def route(host: str, weights: Mapping[str, int]) -> dict[str, Any]:
    """A VirtualService that splits a host's traffic by subset; Any: objects nest freely."""
    destinations = [
        {"destination": {"host": host, "subset": subset}, "weight": weight}
        for subset, weight in weights.items()
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": host, "namespace": "default"},
        "spec": {"hosts": [host], "http": [{"route": destinations}]},
    }


def subsets(host: str, versions: Sequence[str]) -> dict[str, Any]:
    """A DestinationRule that has these versions alone; Any: objects nest freely."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": host, "namespace": "default"},
        "spec": {
            "host": host,
            "subsets": [{"name": version, "labels": {"version": version}} for version in versions],
        },
    }


def changes() -> Iterator[list[dict[str, Any]]]:
    """Half of them change weights; the other half make a cluster and drop another while the route moves over."""
    for number in range(CHANGES // 4):
        first = 10 + number
        yield [route("reviews", {"v1": first, "v2": 100 - first})]
        yield [route("reviews", {"v3": first, "v1": 100 - first})]
        yield [subsets("reviews", ["v3"]), route("reviews", {"v3": 100})]
        yield [subsets("reviews", ["v1", "v2", "v3"]), route("reviews", {"v1": 100})]


async def apply(mesh: Bookinfo, objects: Sequence[Mapping[str, Any]]) -> None:
    """Applies objects in one transaction, without the start of a process."""

    def call() -> None:
        with Client(parse_address(mesh.endpoint)) as client:
            response = client.apply([json.dumps(each).encode() for each in objects])
            assert response.accepted, response.problems

    await asyncio.to_thread(call)


async def update_counters(mesh: Bookinfo) -> list[dict[str, int]]:
    """What each Envoy has counted of its updates."""
    return [await envoy.stats(UPDATES) for envoy in mesh.envoys()]


def grown(before: list[dict[str, int]], after: list[dict[str, int]]) -> dict[str, int]:
    """By how much which counter of any Envoy grew."""
    pairs = enumerate(zip(before, after, strict=True))
    changes = (
        (f"{number} {name}", new[name] - old.get(name, 0)) for number, (old, new) in pairs for name in new
    )
    return {name: change for name, change in changes if change}


async def settled(mesh: Bookinfo) -> list[dict[str, int]]:
    """The same, once every Envoy has what it should have and it has stopped growing."""
    await mesh.xdsctl("wait", "--for=synced")
    before = await update_counters(mesh)

    async def is_still() -> bool:
        nonlocal before
        last, before = before, await update_counters(mesh)
        return last == before

    await eventually(is_still, "the Envoys have all their updates", every=1.0)
    return before


async def test_two_hundred_route_changes_fail_no_request(mesh: Bookinfo) -> None:
    """Routes, weights and clusters change all the time, and every visitor gets every page whole."""
    async with Load(f"{mesh.url}/productpage", rate=40, concurrency=4, judge=whole) as load:
        await load.more(20)
        for change in changes():
            await apply(mesh, change)
            await load.more(2)
        async with Visitor(mesh) as visitor:
            await eventually(lambda: _shows(visitor, "reviews-v1"))
        await load.more(20)
    assert load.tally.failed == 0, load.tally
    assert load.tally.requests >= 2 * CHANGES


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_daemon_that_ends_is_not_missed_and_changes_nothing_when_it_is_back(
    mesh: Bookinfo, number: signal.Signals
) -> None:
    """Killed or stopped under load: no request fails, and the Envoys that come back get nothing they have already."""
    before = await settled(mesh)
    async with Load(f"{mesh.url}/productpage", rate=40, concurrency=4, judge=whole) as load:
        await load.more(20)
        await mesh.end_daemon(number)
        await load.more(80)
        assert grown(before, await settled(mesh)) == {}
        # It does not only live: it takes changes and passes them on.
        await mesh.apply("reviews-v3.yaml")
        async with Visitor(mesh) as visitor:
            await eventually(lambda: _shows(visitor, "reviews-v3"))
    assert load.tally.failed == 0, load.tally


async def test_a_refused_listener_disturbs_nothing_else(mesh: Bookinfo) -> None:
    """One resource that Envoy refuses is reported as its own; all others go on being served and changed."""
    gateway = mesh.envoys()[-1]
    rejected = await gateway.stat("listener_manager.lds.update_rejected")
    good = free_port()
    async with Load(f"{mesh.url}/productpage", rate=40, concurrency=4, judge=whole) as load:
        await apply(mesh, [UNWELCOME_GATEWAY])
        try:
            await eventually(lambda: _rejected_since(gateway, rejected), "the gateway refuses the listener")
            await eventually(lambda: _is_nacked(mesh), "the refusal is reported")
            await mesh.apply("reviews-v3.yaml")
            await apply(mesh, [_second_gateway(good), _second_route()])
            async with Visitor(mesh) as visitor:
                await eventually(lambda: _shows(visitor, "reviews-v3"))
                await eventually(
                    lambda: _answers(visitor, f"http://{mesh.layout.options.address}:{good}/static/style.css")
                )
        finally:
            for words in (("gateway", "elsewhere"), ("gateway", "second"), ("virtualservice", "second")):
                await mesh.xdsctl("delete", *words, "--ignore-not-found")
        await eventually(lambda: _is_synced(mesh), "nothing is refused any more")
        await load.more(20)
    assert load.tally.failed == 0, load.tally


def _second_gateway(port: int) -> Mapping[str, Any]:
    server = {
        "port": {"number": port, "name": "http", "protocol": "HTTP"},
        "bind": "127.0.0.1",
        "hosts": ["*"],
    }
    return {
        **UNWELCOME_GATEWAY,
        "metadata": {"name": "second", "namespace": "default"},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": [server]},
    }


def _second_route() -> Mapping[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "second", "namespace": "default"},
        "spec": {
            "hosts": ["*"],
            "gateways": ["second"],
            "http": [{"route": [{"destination": {"host": "productpage", "port": {"number": 9080}}}]}],
        },
    }


async def _shows(visitor: Visitor, instance: str) -> bool:
    return (await visitor.page()).reviews == instance


async def _answers(visitor: Visitor, url: str) -> bool:
    async with visitor.session.get(url) as response:
        return response.status == 200


async def _rejected_since(gateway: Admin, count: int) -> bool:
    return await gateway.stat("listener_manager.lds.update_rejected") > count


async def _is_nacked(mesh: Bookinfo) -> bool:
    return "NACKED" in await mesh.xdsctl("proxies")


async def _is_synced(mesh: Bookinfo) -> bool:
    return "NACKED" not in await mesh.xdsctl("proxies")
