"""The registrar writes what the roll decides to a store, by leases, over outages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import structlog

from storage.base import Store, Unavailable
from storage.memory import MemoryStore
from tests.intents.objects import NOW, apply, made
from tests.lab.eventually import eventually
from tests.registration.making import group, node, probed, proof
from xdsd.intents import Intents
from xdsd.manifest import AnyObject
from xdsd.model.catalog import Port, Protocol
from xdsd.model.problem import ObjectRef, Problem
from xdsd.model.registered import DISCONNECTED_AT, GROUP
from xdsd.registration import registrar as module
from xdsd.registration.judging import Rules
from xdsd.registration.listening import Listening
from xdsd.registration.registrar import Registrar
from xdsd.registration.roll import Roll

FIRST = ObjectRef("WorkloadEntry", "default", "reviews-10.0.0.1")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """A store with its objects, and a registrar that follows them."""

    store: "Flaky"
    intents: Intents
    clock: Clock
    registrar: Registrar
    problems: list[Problem] = field(default_factory=list)

    async def entry(self, ref: ObjectRef = FIRST) -> AnyObject | None:
        return await self.intents.get(ref)

    async def registered(self) -> AnyObject:
        async def there() -> AnyObject:
            found = await self.entry()
            assert found is not None
            return found

        return await eventually(there, "the machine is registered")

    async def lease(self) -> int:
        key = b"/xdsd/objects/workloadentries.networking.istio.io/default/reviews-10.0.0.1"
        found = await self.store.get(key)
        return found.lease if found else 0


@asynccontextmanager
async def house(grace: int = 30) -> AsyncIterator[House]:
    """While it lasts."""
    clock = Clock()
    store = Flaky(clock=clock)
    intents = Intents(store)
    problems: list[Problem] = []

    def tell(found: Sequence[Problem]) -> None:
        problems[:] = found

    async with running(store, intents, "one", grace, tell) as registrar:
        yield House(store, intents, clock, registrar, problems)
    await store.close()


@asynccontextmanager
async def following(here: House, name: str) -> AsyncIterator[Registrar]:
    """Another daemon on the same store."""
    async with running(here.store, Intents(here.store), name, 30, lambda _: None) as registrar:
        yield registrar


@asynccontextmanager
async def running(
    store: Store, intents: Intents, name: str, grace: int, tell: Callable[[Sequence[Problem]], None]
) -> AsyncIterator[Registrar]:
    """A registrar at work, told of what the store has."""
    registrar = Registrar(
        store,
        Roll(name, Rules()),
        structlog.get_logger(),
        grace=grace,
        tell=tell,
        networks=lambda _: ("10.0.0.0/24",),
    )

    async def follow() -> None:
        async for change in intents.watch():
            registrar.objects(change)

    tasks = [asyncio.create_task(registrar.run()), asyncio.create_task(follow())]
    try:
        yield registrar
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Flaky(MemoryStore):
    """A store that can be away."""

    away = False
    asked = 0

    async def grant(self, ttl: int, lease: int = 0) -> int:
        if self.away:
            self.asked += 1
            raise Unavailable("it is away")
        return await super().grant(ttl, lease)


async def test_a_machine_is_registered_while_it_is_there() -> None:
    """Its entry is an object as any other, marked as what it is, and goes with its lease."""
    async with house() as here:
        await apply(here.intents, group())
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        entry = await here.registered()
        assert entry.metadata.annotations[GROUP] == "reviews"
        assert entry.spec.address == "10.0.0.1"
        ours = await here.lease()
        here.registrar.left(node())
        await eventually(lambda: _left(here), "it left")
        assert await here.lease() not in (0, ours)
        here.clock.now += 31
        await eventually(lambda: _gone(here), "it is gone")


async def test_what_is_wrong_is_told_until_it_is_not() -> None:
    """A node that names a group wrongly, and one that may not be of it."""
    async with house() as here:
        await apply(here.intents, group())
        wrong = node(address="0.0.0.0", name="vm-0")
        here.registrar.arrived(wrong, proof(), "10.0.0.7")
        here.registrar.arrived(node(), proof("ratings"), "10.0.0.1")
        await eventually(lambda: len(here.problems) == 2, "both are told")
        texts = sorted(problem.message for problem in here.problems)
        assert "is no address of a machine" in texts[0]
        assert "which its token does not cover" in texts[1]
        here.registrar.left(wrong)
        here.registrar.arrived(node(), proof(), "192.0.2.9")
        await eventually(lambda: not here.problems, "nothing is wrong any more")
        await here.registered()


async def test_a_proxy_that_names_no_group_is_left_alone() -> None:
    """Also one that did before."""
    async with house() as here:
        await apply(here.intents, group())
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await here.registered()
        here.registrar.arrived(node(AUTO_REGISTER_GROUP=""), proof(), "10.0.0.1")
        await eventually(lambda: _left(here), "it left")


async def test_an_outage_of_the_store_is_waited_out() -> None:
    """Machines that come meanwhile are registered when it is over."""
    async with house() as here:
        await apply(here.intents, group())
        here.store.away = True
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await eventually(lambda: here.store.asked > 1, "it was tried again")
        here.store.away = False
        await here.registered()


async def test_an_operator_may_take_the_name() -> None:
    """What they apply holds from then on."""
    async with house() as here:
        await apply(here.intents, group())
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await here.registered()
        await apply(here.intents, made("WorkloadEntry", FIRST.name, {"address": "192.0.2.1"}), now=NOW)
        await eventually(lambda: bool(here.problems), "it is told")
        entry = await here.registered()
        assert (entry.spec.address, await here.lease()) == ("192.0.2.1", 0)


async def _left(here: House) -> bool:
    entry = await here.entry()
    return entry is not None and DISCONNECTED_AT in entry.metadata.annotations


async def _known_to_have_left(here: House) -> bool:
    """The registrar, too, knows what stands in the store."""
    return await _left(here) and here.registrar.roll.registered == 0


async def _gone(here: House) -> bool:
    return await here.entry() is None


async def test_another_daemon_on_the_store_takes_a_machine_over() -> None:
    """With its own lease, before the first one knows; what the first hears later changes nothing."""
    async with house() as here:
        await apply(here.intents, group())
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await here.registered()
        first = await here.lease()
        async with following(here, "two") as other:
            other.arrived(node(), proof(), "10.0.0.1")
            await eventually(lambda: _by(here, "two"), "it is taken over")
            assert await here.lease() not in (0, first)
            here.registrar.left(node())
            await eventually(lambda: not here.registrar._leaving, "the first hears that it is gone")
            await apply(here.intents, group("other"))
            await eventually(
                lambda: here.registrar.roll.group(group("other").ref) is not None, "all is heard"
            )
            assert not await _left(here)
            assert await _by(here, "two")


async def _by(here: House, name: str) -> bool:
    entry = await here.entry()
    return entry is not None and entry.metadata.annotations["istio.io/workloadController"] == name


async def test_a_stream_that_is_lost_for_a_moment_is_nobodys_business() -> None:
    """Only one that does not come back in time has left."""
    async with house() as here:
        await apply(here.intents, group())
        for each in ("vm-1", "vm-2"):
            here.registrar.arrived(node(each, f"10.0.0.{each[-1]}"), proof(), f"10.0.0.{each[-1]}")
        await eventually(lambda: here.registrar.roll.registered == 2, "both are registered")
        here.registrar.left(node())
        here.registrar.left(node("vm-2", "10.0.0.2"))
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await eventually(lambda: here.registrar.roll.registered == 1, "the other left")
        assert not await _left(here)


async def test_who_comes_back_is_there_when_it_has_its_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then it takes no requests. One that is sent none has kept them, which is believed after a while."""
    monkeypatch.setattr(module, "RETURNING", 3600)
    async with house() as here:
        await apply(here.intents, group())
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await here.registered()
        here.registrar.left(node())
        await eventually(lambda: _known_to_have_left(here), "it left")
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await apply(here.intents, group("other"))
        await eventually(lambda: here.registrar.roll.group(group("other").ref) is not None, "all is heard")
        assert await _left(here)
        here.registrar.listens(node())
        await eventually(lambda: _is_back(here), "it listens")
        monkeypatch.setattr(module, "RETURNING", 0)
        here.registrar.left(node())
        await eventually(lambda: _left(here), "it left again")
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        await eventually(lambda: _is_back(here), "it is believed")


async def _is_back(here: House) -> bool:
    return not await _left(here)


async def test_a_group_without_a_probe_has_its_services_ports_asked() -> None:
    """Those that the machine has there, as the group's template says; its own probe takes their place."""
    ports = [Port(80, "http", Protocol.HTTP, 8080), Port(81, "tcp", Protocol.TCP, 8081)]
    async with house() as here:
        here.registrar._ports = lambda address: ports if address == "10.0.0.1" else ()
        await apply(here.intents, group())
        here.registrar.arrived(node(), proof(), "10.0.0.1")
        who = (node().id, str(proof().identity))
        await eventually(lambda: here.registrar.probe_of(*who) is not None, "the machine is registered")
        assert here.registrar.probe_of(*who) == (Listening((8081, 9080)), "10.0.0.1")
        await apply(here.intents, probed(), now=NOW)

        def asked() -> bool:
            found = here.registrar.probe_of(*who)
            return found is not None and not isinstance(found[0], Listening)

        await eventually(asked, "its own is asked")
