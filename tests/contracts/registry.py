"""The contract of ``xdsd.registry.base``, as tests that any registry runs.

A subclass says with a fixture ``platform`` how things are declared on its platform; the tests look at what a catalog makes
of the reports, so that each registry may say them in its own way: endpoints in services, or workloads that are selected.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.lab.eventually import eventually
from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import ObjectRef, Problem
from xdsd.registry.base import AnyObject, CatalogChange, ObjectsChange, Registry
from xdsd.registry.catalog import Catalog

DEADLINE = 60.0


class Platform(Protocol):
    """A platform that a registry watches, as its operators handle it.

    While it has left, what they declare and withdraw is found once it comes back: registries are cut off, not operators.
    """

    def registry(self) -> Registry:
        """A registry that watches this platform; each call makes another one."""

    def key(self, name: str) -> ServiceKey:
        """The service that ``name`` means."""

    async def declare(self, name: str, addresses: Sequence[str]) -> None:
        """From now on the service has endpoints at these addresses; it is created if it is not there."""

    async def withdraw(self, name: str) -> None:
        """Removes the service and its endpoints."""

    async def spoil(self, name: str) -> None:
        """Makes a mistake where the service is declared."""

    async def touch(self) -> None:
        """Does what operators do without changing anything, such as saving again."""

    async def leave(self) -> None:
        """The platform cannot be asked any more."""

    async def come(self) -> None:
        """The platform can be asked (again), and holds what was declared last."""


@dataclass
class Recorder:
    """A sink that keeps what it was told, in order, and the catalog that follows from it; ``known`` is what that held each
    time when all was said to be there.
    """

    log: list[str] = field(default_factory=list)
    states: list[dict[ServiceKey, list[str]]] = field(default_factory=list)
    known: list[dict[ServiceKey, list[str]]] = field(default_factory=list)
    changes: list[CatalogChange] = field(default_factory=list)
    found: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    catalog: Catalog = field(default_factory=Catalog)
    declared: dict[ObjectRef, AnyObject] = field(default_factory=dict)

    def change(self, change: CatalogChange) -> None:
        self.log.append("change")
        self.changes.append(change)
        self.catalog.apply("source", change)
        self.states.append(self.services())

    def objects(self, change: ObjectsChange) -> None:
        self.log.append("objects")
        for ref in change.removed:
            del self.declared[ref]
        self.declared.update((obj.ref, obj) for obj in change.upserts)

    def synced(self) -> None:
        self.log.append("synced")
        self.known.append(self.services())

    def stale(self, why: str) -> None:
        assert why
        self.log.append("stale")

    def problems(self, scope: str, problems: Sequence[Problem]) -> None:
        self.found[scope] = tuple(problems)

    @property
    def mistakes(self) -> list[Problem]:
        return [problem for group in self.found.values() for problem in group]

    def services(self) -> dict[ServiceKey, list[str]]:
        return {
            key: sorted(item.address for item in self.catalog.endpoints(key))
            for key in self.catalog.services()
        }

    async def told(self, word: str, times: int = 1) -> None:
        """Waits until ``word`` was said so often."""
        await eventually(
            lambda: self.log.count(word) >= times, f"{word} is said {times} times", timeout=DEADLINE
        )

    async def sees(self, expected: Mapping[ServiceKey, Sequence[str]]) -> None:
        """Waits until the catalog holds these services at these addresses."""
        wanted = {key: sorted(addresses) for key, addresses in expected.items()}

        def holds() -> None:
            assert self.services() == wanted

        await eventually(holds, f"the catalog holds {wanted}", timeout=DEADLINE)


@contextlib.asynccontextmanager
async def running(registry: Registry) -> AsyncIterator[Recorder]:
    """The reports of a registry that runs meanwhile; fails if the registry fails."""
    recorder = Recorder()
    task = asyncio.create_task(registry.run(recorder))
    try:
        yield recorder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class RegistryContract:
    """The tests; a subclass gives the fixture ``platform``, which starts empty and reachable."""

    async def test_everything_is_listed_before_it_is_synced(self, platform: Platform) -> None:
        """What was there at the start is reported before the word that all is."""
        await platform.declare("a", ["10.0.0.1", "10.0.0.2"])
        await platform.declare("b", ["10.0.0.3"])
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            assert sink.known[0] == {
                platform.key("a"): ["10.0.0.1", "10.0.0.2"],
                platform.key("b"): ["10.0.0.3"],
            }
            assert sink.mistakes == []

    async def test_an_empty_platform_is_synced(self, platform: Platform) -> None:
        """Nothing to list is a list too."""
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            assert sink.log == ["synced"]

    async def test_endpoints_come_and_go(self, platform: Platform) -> None:
        """A service that changes is reported as it becomes."""
        await platform.declare("a", ["10.0.0.1"])
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            await platform.declare("a", ["10.0.0.1", "10.0.0.2"])
            await sink.sees({platform.key("a"): ["10.0.0.1", "10.0.0.2"]})
            await platform.declare("a", ["10.0.0.2"])
            await sink.sees({platform.key("a"): ["10.0.0.2"]})
            await platform.declare("a", [])
            await sink.sees({platform.key("a"): []})

    async def test_services_come_and_go(self, platform: Platform) -> None:
        """A service that is withdrawn is gone, and the others are not touched."""
        await platform.declare("a", ["10.0.0.1"])
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            await platform.declare("b", ["10.0.0.2"])
            await sink.sees({platform.key("a"): ["10.0.0.1"], platform.key("b"): ["10.0.0.2"]})
            reported = len(sink.changes)
            await platform.withdraw("b")
            await sink.sees({platform.key("a"): ["10.0.0.1"]})
            later = sink.changes[reported:]
            assert platform.key("a") not in {item.key for change in later for item in change.services}

    async def test_only_differences_are_reported(self, platform: Platform) -> None:
        """Saving the same again says nothing; the next report is of the next difference."""
        await platform.declare("a", ["10.0.0.1"])
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            said = list(sink.log)
            await platform.touch()
            await platform.declare("a", ["10.0.0.1"])
            await platform.declare("b", ["10.0.0.2"])
            await sink.sees({platform.key("a"): ["10.0.0.1"], platform.key("b"): ["10.0.0.2"]})
            changed = [
                item.key for change in sink.changes[said.count("change") :] for item in change.services
            ]
            assert changed == [platform.key("b")]

    async def test_an_outage_is_said_and_keeps_what_was_known(self, platform: Platform) -> None:
        """A platform that leaves is stale and takes nothing with it; when it is back it is synced again."""
        await platform.declare("a", ["10.0.0.1"])
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            await platform.leave()
            await sink.told("stale")
            assert sink.services() == {platform.key("a"): ["10.0.0.1"]}
            await platform.come()
            await sink.told("synced", 2)
            await platform.declare("b", ["10.0.0.2"])
            await sink.sees({platform.key("a"): ["10.0.0.1"], platform.key("b"): ["10.0.0.2"]})
            words = [word for word in sink.log if word != "change"]
            # A platform that has just come back may leave once more.
            assert words == ["synced", *["stale", "synced"] * (len(words) // 2)]

    async def test_what_changed_during_an_outage_is_told_before_the_word_that_all_is(
        self, platform: Platform
    ) -> None:
        """A gap ends in what differs from before it, and in nothing else: what stayed is not touched."""
        for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")):
            await platform.declare(name, [address])
        a, b, c, d = (platform.key(name) for name in "abcd")
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            await platform.leave()
            await sink.told("stale")
            await platform.declare("a", ["10.0.0.1"])
            await platform.declare("b", ["10.0.0.2", "10.0.0.4"])
            await platform.withdraw("c")
            await platform.declare("d", ["10.0.0.5"])
            assert sink.services() == {a: ["10.0.0.1"], b: ["10.0.0.2"], c: ["10.0.0.3"]}
            before = len(sink.changes)
            await platform.come()
            await sink.told("synced", 2)
            expected = {a: ["10.0.0.1"], b: ["10.0.0.2", "10.0.0.4"], d: ["10.0.0.5"]}
            assert sink.known[1] == expected
            later = sink.changes[before:]
            touched = {item.key for change in later for item in change.services}
            touched |= {key for change in later for key in (*change.endpoints, *change.removed_services)}
            assert a not in touched
            assert all(state.get(a) == ["10.0.0.1"] for state in sink.states[before:])

    async def test_changes_arrive_in_their_order(self, platform: Platform) -> None:
        """Steps may be told together, and never one after a later one."""
        addresses = [f"10.0.0.{number}" for number in range(1, 21)]
        key = platform.key("a")
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            for count in range(1, len(addresses) + 1):
                await platform.declare("a", addresses[:count])
            await sink.sees({key: addresses})
            counts = [len(state.get(key, ())) for state in sink.states]
            assert counts == sorted(counts)

    async def test_a_platform_that_is_not_there_yet_is_waited_for(self, platform: Platform) -> None:
        """Starting first is no error; nothing counts as synced before the platform was asked."""
        await platform.declare("a", ["10.0.0.1"])
        await platform.leave()
        async with running(platform.registry()) as sink:
            await sink.told("stale")
            assert sink.log == ["stale"]
            await platform.come()
            await sink.told("synced")
            assert sink.known[0] == {platform.key("a"): ["10.0.0.1"]}

    async def test_a_mistake_hurts_nobody(self, platform: Platform) -> None:
        """What cannot be read is a problem and stays as it was; the rest is served, and mending clears the problem."""
        await platform.declare("a", ["10.0.0.1"])
        await platform.declare("b", ["10.0.0.2"])
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            await platform.spoil("a")
            await eventually(lambda: sink.mistakes, "the mistake is reported", timeout=DEADLINE)
            await platform.declare("b", ["10.0.0.3"])
            await sink.sees({platform.key("a"): ["10.0.0.1"], platform.key("b"): ["10.0.0.3"]})
            await platform.declare("a", ["10.0.0.4"])
            await sink.sees({platform.key("a"): ["10.0.0.4"], platform.key("b"): ["10.0.0.3"]})
            await eventually(lambda: not sink.mistakes, "the mistake is cleared", timeout=DEADLINE)

    async def test_many_changes_end_in_what_is_there(self, platform: Platform) -> None:
        """However fast things change, the last state is the one that is reported."""
        chance = random.Random(20240607)
        wanted: dict[str, list[str]] = {}
        async with running(platform.registry()) as sink:
            await sink.told("synced")
            for _ in range(60):
                name = chance.choice("abcd")
                if name in wanted and chance.random() < 0.3:
                    del wanted[name]
                    await platform.withdraw(name)
                else:
                    wanted[name] = [
                        f"10.0.0.{number}" for number in chance.sample(range(1, 9), chance.randint(0, 4))
                    ]
                    await platform.declare(name, wanted[name])
            await sink.sees({platform.key(name): addresses for name, addresses in wanted.items()})
            assert sink.mistakes == []

    async def test_a_cancelled_registry_says_no_more(self, platform: Platform) -> None:
        """Cancelling ends it at once, whatever happens on the platform afterwards."""
        await platform.declare("a", ["10.0.0.1"])
        async with running(platform.registry()) as sink:
            await sink.told("synced")
        said = list(sink.log)
        await platform.declare("a", ["10.0.0.2"])
        async with running(platform.registry()) as other:
            await other.sees({platform.key("a"): ["10.0.0.2"]})
        assert sink.log == said

    async def test_its_name_tells_it_apart(self, platform: Platform) -> None:
        """Registries of the same platform have the same name, which is not empty."""
        assert platform.registry().name == platform.registry().name != ""
