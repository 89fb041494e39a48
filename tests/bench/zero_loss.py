"""A thousand edits under load through three Envoys: how many requests failed, how many listeners were drained."""

import asyncio
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from api.client import Client
from tests.e2e.asking import accepted, ask, encoded, service, thing
from tests.e2e.fleet import HOST, bootstrap, says
from tests.lab.daemon import Daemon
from tests.lab.echo import http_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from xdsd.model.problem import ObjectRef
from xdsd.settings import VirtualHosts

EDITS = 1000
RATE = 150.0
"""Requests a second through each Envoy."""
SEED = 7
STATS = r"^listener_manager.*(draining|listener_(modified|removed|in_place_updated))|update_rejected$"

Edit = tuple[Sequence[Mapping[str, Any]], Sequence[ObjectRef]]
"""Objects to apply, then objects to delete."""


def zero_loss(edits: int = EDITS) -> dict[str, Any]:
    """What became of the requests, and of the listeners, for each way in which sidecars get virtual hosts."""
    return {each.value: asyncio.run(_measured(edits, each)) for each in VirtualHosts}


async def _measured(count: int, virtual_hosts: VirtualHosts) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="xdsd-bench-") as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            ports = free_ports(5)
            for version, port in zip(("v1", "v2"), ports[:2], strict=True):
                await stack.enter_async_context(http_server(version, "127.0.0.1", port))
            daemon = await stack.enter_async_context(Daemon(folder, {"virtual-hosts": virtual_hosts}))
            await _declare(daemon, ports[:2], ports[2])
            envoys, loads = [], []
            for words, url, through in _proxies(ports[2:]):
                made = Envoy(await bootstrap([daemon], *words), folder, name=words[3])
                envoys.append(await stack.enter_async_context(made))
                await eventually(partial(says, url, through, "0"), f"{words[3]} answers")
                headers = {"host": HOST}
                loads.append(Load(url, rate=RATE, headers=headers, proxy=through, timeout=60))
            before = [await envoy.stats(STATS) for envoy in envoys]
            for load in loads:
                await stack.enter_async_context(load)
            for number, (objects, gone) in enumerate(_edits(count), 1):
                await _do(daemon, objects, gone)
                if number % 10 == 0:
                    await loads[number // 10 % 3].more(2)
            await asyncio.gather(*(load.more(50) for load in loads))
            after = [await envoy.stats(STATS) for envoy in envoys]
            tallies = [load.tally for load in loads]
    return {
        "edits": count,
        "requests": sum(tally.requests for tally in tallies),
        "failed": sum(tally.failed for tally in tallies),
        "reasons": "; ".join(str(tally) for tally in tallies if tally.failed) or "none",
        "listeners": _grown(before, after, "listener"),
        "rejected": _grown(before, after, "rejected"),
        "slowest_ms": round(1000 * max(tally.latency(1.0) for tally in tallies), 1),
    }


def _grown(before: Sequence[Mapping[str, int]], after: Sequence[Mapping[str, int]], part: str) -> int:
    """By how much counters of all Envoys grew."""
    return sum(
        value - old.get(name, 0)
        for old, new in zip(before, after, strict=True)
        for name, value in new.items()
        if part in name
    )


def _proxies(ports: Sequence[int]) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """A gateway and two sidecars: words for the bootstrap, the URL, and the proxy to go through."""
    gate, *proxies = ports
    yield (
        ("--type", "router", "--name", "gateway", "--labels", "app=gateway"),
        f"http://127.0.0.1:{gate}/",
        None,
    )
    for name, port in zip(("one", "two"), proxies, strict=True):
        words = ("--type", "sidecar", "--name", name, "--address", "127.0.0.9", "--interception", "none")
        yield (*words, "--http-proxy-port", str(port)), f"http://{HOST}/", f"http://127.0.0.1:{port}"


async def _declare(daemon: Daemon, ports: Sequence[int], gate: int) -> None:
    shop = service("shop")
    shop["spec"]["endpoints"] = [
        {"address": "127.0.0.1", "ports": {"http": port}, "labels": {"version": version}}
        for version, port in zip(("v1", "v2"), ports, strict=True)
    ]
    server = {
        "port": {"number": gate, "name": "http", "protocol": "HTTP"},
        "hosts": ["*"],
        "bind": "127.0.0.1",
    }
    door = thing("Gateway", "door", {"selector": {"app": "gateway"}, "servers": [server]})
    accepted(
        await ask(
            daemon,
            partial(Client.apply, objects=encoded([shop, door, _subsets("v1", "v2"), _route({"v1": 100})])),
        )
    )


async def _do(daemon: Daemon, objects: Sequence[Mapping[str, Any]], gone: Sequence[ObjectRef]) -> None:
    def work(client: Client) -> None:
        if objects:
            accepted(client.apply(encoded(objects)))
        if gone:
            assert client.delete(gone).accepted

    await ask(daemon, work)


def _edits(count: int) -> Iterator[Edit]:
    """Weights, subsets that come and go with the route that uses them, services, timeouts, faults; in a fixed disorder."""
    chance = random.Random(SEED)
    there: set[str] = set()
    kinds = (_weights, _fresh_subset, partial(_service, there), _timeout, _fault)
    for number in range(count):
        yield chance.choice(kinds)(number)


def _weights(number: int) -> Edit:
    share = number % 101
    return [_subsets("v1", "v2"), _route({"v1": share, "v2": 100 - share})], ()


def _fresh_subset(number: int) -> Edit:
    """All traffic moves to a subset that is new in the same apply, and off those that go in it."""
    return [_subsets(f"s{number}"), _route({f"s{number}": 100})], ()


def _service(there: set[str], number: int) -> Edit:
    """Another service comes, or goes if it is there."""
    name = f"extra-{number % 20}"
    if name in there:
        there.remove(name)
        return (), [ObjectRef("ServiceEntry", "default", name)]
    there.add(name)
    return [service(name)], ()


def _timeout(number: int) -> Edit:
    return [_subsets("v1", "v2"), _route({"v1": 50, "v2": 50}, timeout=f"{5 + number % 20}s")], ()


def _fault(number: int) -> Edit:
    """Faults for a path that nobody asks for, on and off."""
    fault = {"abort": {"httpStatus": 503, "percentage": {"value": 100}}} if number % 2 else None
    return [_subsets("v1", "v2"), _route({"v1": 50, "v2": 50}, fault=fault)], ()


def _subsets(*names: str) -> dict[str, Any]:
    """``v1`` and ``v2`` by their label, any other name for all of the service."""
    subsets = [{"name": name, "labels": {"version": name} if name in ("v1", "v2") else {}} for name in names]
    return thing("DestinationRule", "shop", {"host": HOST, "subsets": subsets})


def _route(
    weights: Mapping[str, int], timeout: str = "15s", fault: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    split = [
        {"destination": {"host": HOST, "subset": name}, "weight": weight} for name, weight in weights.items()
    ]
    rule = {
        "route": split,
        "timeout": timeout,
        "headers": {"response": {"set": {"x-number": "0"}}},
        "retries": {"attempts": 0},
    }
    broken = {
        "match": [{"uri": {"prefix": "/broken"}}],
        "route": split,
        **({"fault": fault} if fault else {}),
    }
    return thing(
        "VirtualService", "shop", {"hosts": [HOST], "gateways": ["door", "mesh"], "http": [broken, rule]}
    )
