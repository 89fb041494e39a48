"""All endpoints that a service has in its own mesh die under load: requests that fail, and how long some do.

Two installations on loopback, with Envoys before callers and callees and at the crossing. The endpoints are machines that
registered themselves. What dies are the machines (their sidecars with them) or the programs alone, and it comes back under
load; requests are tried again as names of all meshes are by default, or not at all.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.bench.summary import figure
from tests.e2e.test_peers import NAME, Installation, ask, cart, door, group, installation, peer, selecting
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_ports
from xdsd.demo.program import Program

RATE = 200.0
CALLERS = 16
BEFORE, AFTER = 200, 3000
"""Requests before the endpoints die, and those that are watched then: for longer than endpoints that fail are left out."""
REPETITIONS = 2
HERE = ("127.0.0.64", "127.0.0.65")
THERE, CROSSING, CALLER = "127.0.0.61", "127.0.0.62", "127.0.0.63"


@dataclass(slots=True)
class Scene:
    west: Installation
    programs: list[Program]
    proxy: str

    @property
    def machines(self) -> list[Program]:
        return [self.west.envoys[f"cart-{number}"].program for number in range(len(HERE))]

    async def answers(self, who: str) -> None:
        """Waits until all of many requests have this answer."""

        async def alike() -> None:
            found = [await ask(self.proxy) for _ in range(20)]
            assert {(status, text.split("\n")[0]) for status, text in found} == {(200, who)}

        await eventually(alike, f"{who} answers", timeout=90)


def failover() -> dict[str, Any]:
    """For each way to die, with retries and without: what failed, until when, and who answers again how soon."""
    return asyncio.run(_measured())


async def _measured() -> dict[str, Any]:
    found: dict[str, Any] = {"requests_a_second": RATE, "endpoints": len(HERE)}
    with tempfile.TemporaryDirectory(prefix="xdsd-bench-") as folder:
        async with _scene(Path(folder)) as scene:
            for retries in (True, False):
                if not retries:
                    await scene.west.apply(_UNTRIED)
                    await scene.answers("west")
                for what, dying in (("machines", scene.machines), ("programs", scene.programs)):
                    runs = [await _run(scene, dying) for _ in range(REPETITIONS)]
                    name = f"{what}_{'tried_again' if retries else 'tried_once'}"
                    found[name] = {each: figure([run[each] for run in runs], 3) for each in runs[0]}
    return found


async def _run(scene: Scene, dying: Sequence[Program]) -> dict[str, float]:
    failed: list[float] = []
    last_here = 0.0

    def judge(status: int, body: str) -> str:
        nonlocal last_here
        if status != 200:
            failed.append(time.monotonic())
            return f"status {status}"
        if body.startswith("west"):
            last_here = time.monotonic()
        return ""

    async with Load(NAME, concurrency=CALLERS, rate=RATE, proxy=scene.proxy, judge=judge) as load:
        await load.more(BEFORE)
        died = time.monotonic()
        for each in dying:
            await each.kill()
        await load.more(AFTER)
        elsewhere, begun = last_here, time.monotonic()
        for each in dying:
            await each.start()
        await scene.answers("west")
        back = time.monotonic()
    return {
        "failed": float(load.tally.failed),
        "failed_later": float(sum(each <= begun for each in failed[_wave(failed) :])),
        "seconds_until_all_succeed": (failed[_wave(failed) - 1] - died) if failed else 0.0,
        "seconds_until_all_are_elsewhere": max(0.0, elsewhere - died),
        "failed_on_return": float(sum(each > begun for each in failed)),
        "seconds_until_it_is_back": back - begun,
        "slowest_ms": 1000 * load.tally.latency(1.0),
    }


def _wave(failed: Sequence[float]) -> int:
    """How many requests failed before a second in which none did; Envoy tries later on whether the endpoints are back."""
    gaps = (number for number, (one, other) in enumerate(pairwise(failed), 1) if other - one > 1)
    return next(gaps, len(failed))


@asynccontextmanager
async def _scene(folder: Path) -> AsyncIterator[Scene]:
    here, there, http, crossing = free_ports(4)
    async with (
        installation("west", folder / "west") as west,
        installation("east", folder / "east") as east,
        AsyncExitStack() as stack,
    ):
        programs = [_program(name, port, folder) for name, port in (("west", here), ("east", there))]
        for program in programs:
            await program.start()
            stack.push_async_callback(_ended, program)
        await west.apply(group("eu/west") + "---" + selecting(here))
        await east.apply(cart(THERE, there, "us/east") + "---" + door(CROSSING, crossing))
        await peer(west, east)
        await peer(east, west, f"{{address: {CROSSING}, port: {crossing}}}")
        explicit = ("--interception", "none", "--outbound-bind")
        await east.proxy("cart", THERE, *explicit, THERE)
        await east.proxy("door", CROSSING, "--type", "router")
        for number, address in enumerate(HERE):
            await west.proxy(f"cart-{number}", address, *explicit, address, "--group", "cart", account="cart")
        await west.proxy("web", CALLER, *explicit, CALLER, "--http-proxy-port", str(http))
        scene = Scene(west, programs[:1], f"http://{CALLER}:{http}")
        await scene.answers("west")
        await eventually(lambda: _knows(west), "the other mesh is heard")
        yield scene


def _program(name: str, port: int, folder: Path) -> Program:
    command = (sys.executable, "-m", "tests.lab.speaker", name, str(port), "127.0.0.1")
    return Program(name, command, folder / f"{name}.log")


async def _ended(program: Program) -> None:
    if program.running:
        await program.kill()


async def _knows(west: Installation) -> None:
    assert "SYNCED" in await west.daemon.xdsctl("registries", "peer:east")


_UNTRIED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.shop.global]
  http: [{route: [{destination: {host: cart.shop.global}}], retries: {attempts: 0}}]
"""
