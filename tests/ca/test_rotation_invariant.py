"""Whatever happens to a rotation, nobody holds a certificate that somebody else does not trust.

Proxies and daemons are played; who reports, who steps and who decides is the real thing, on a real store.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.base import Put
from storage.memory import MemoryStore
from tests.ca.making import NOW, root
from xdsd.ca.plan import Step
from xdsd.ca.reporting import Reporter
from xdsd.ca.roots import Root, RootSet, RootState, decode, encode
from xdsd.ca.rotating import Rotations
from xdsd.ca.rotation import CannotRotate
from xdsd.ca.standing import Answer, Standing
from xdsd.ca.stored import ROOTS
from xdsd.server.standings import joined

DAEMONS, PROXIES = ("north", "south"), ("ann", "bob", "cat")
LIFE = timedelta(hours=4)


@cache
def made(number: int) -> Root:
    """A root; they are the same in each example, as keys take their time."""
    del number
    return Root(root().certificate, RootState.TRUSTED, "sealed")


@dataclass(frozen=True)
class Secrets:
    """What a proxy is given at once."""

    turn: int
    trusts: tuple[str, ...]
    leaf: str
    until: datetime


@dataclass
class Proxy:
    """``has`` is what it lives by; ``coming`` is on its way to it. ``given`` is what its stream was given last."""

    name: str
    daemon: str = ""
    has: Secrets | None = None
    given: Secrets | None = None
    coming: list[Secrets] = field(default_factory=list)
    refuses: bool = False

    def leave(self) -> None:
        """Its stream is over; what it has it goes on with."""
        self.daemon, self.given, self.coming = "", None, []


@dataclass
class Daemon:
    """``roots`` are those that it knows; ``reporter`` tells what its streams told."""

    name: str
    roots: RootSet
    reporter: Reporter | None = None


class World:
    """All of it, and its clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = MemoryStore()
        self.count = 0
        self.proxies = {name: Proxy(name) for name in PROXIES}
        self.daemons: dict[str, Daemon] = {}
        self.members: set[str] = set()
        self.rotations = Rotations(
            self.store,
            self,  # type: ignore[arg-type]  # it makes roots, which is all that is asked of it
            self._members,
            structlog.get_logger(),
            now=lambda: self.now,
        )

    async def root(self) -> tuple[None, Root]:
        self.count += 1
        return None, made(self.count)

    async def _members(self) -> list[str]:
        return sorted(self.members)

    async def start(self) -> None:
        first = RootSet((replace(made(0), state=RootState.ISSUING),))
        await self.store.txn((), [Put(ROOTS, encode(first))])
        for name in DAEMONS:
            await self.up(name)

    async def kept(self) -> RootSet:
        found = await self.store.get(ROOTS)
        assert found is not None
        return decode(found.value)

    def streams(self, daemon: str, turn: int) -> Iterator[Standing]:
        """As the server tells of them."""
        for proxy in self.proxies.values():
            if proxy.daemon != daemon:
                continue
            base = Standing(daemon, proxy.name, proxy.name, turn)
            if proxy.given is None:
                yield replace(base, answer=Answer.WAITING)
                continue
            held, heard = proxy.given, not proxy.coming
            answer = Answer.ACKNOWLEDGED if heard else Answer.REFUSED if proxy.refuses else Answer.WAITING
            yield replace(
                base,
                seen=held.turn,
                answer=answer,
                trusts=held.trusts if heard else (),
                leaf=held.leaf if heard else "",
                until=held.until,
            )

    # What can happen

    async def up(self, name: str) -> None:
        if name in self.daemons:
            return
        world = self

        class Authority:
            turn = property(lambda _: world.daemons[name].roots.turn)

            def now(self) -> datetime:
                return world.now

            def root_of(self, issuer: str) -> str:
                return issuer

        daemon = self.daemons[name] = Daemon(name, await self.kept())
        daemon.reporter = Reporter(
            self.store,
            name,
            Authority(),
            self.streams,
            joined,
            structlog.get_logger(),
        )
        self.members.add(name)
        await daemon.reporter.tell()

    async def killed(self, name: str) -> None:
        self.daemons.pop(name, None)
        for proxy in self.proxies.values():
            if proxy.daemon == name:
                proxy.leave()

    async def forgotten(self, name: str) -> None:
        """Its lease runs out, because it is dead or cannot reach the store."""
        self.members.discard(name)

    async def takes(self, name: str) -> None:
        """A daemon hears of the roots in the store, and tells its proxies at once."""
        daemon = self.daemons.get(name)
        if daemon is None:
            return
        self.members.add(name)
        daemon.roots = await self.kept()
        for proxy in self.proxies.values():
            if proxy.daemon == name and proxy.given is not None:
                self._give(proxy, daemon.roots, proxy.given.leaf, proxy.given.until)

    async def told(self, name: str) -> None:
        daemon = self.daemons.get(name)
        if daemon is not None and daemon.reporter is not None:
            await daemon.reporter.tell()

    async def comes(self, proxy: str, name: str) -> None:
        if self.proxies[proxy].daemon or name not in self.daemons:
            return
        self.proxies[proxy].daemon = name

    async def renews(self, proxy: str) -> None:
        """It is given a certificate of the root that issues, as its daemon knows it; the first is reported at once."""
        found = self.proxies[proxy]
        if found.daemon:
            first = found.given is None
            roots = self.daemons[found.daemon].roots
            self._give(found, roots, roots.issuing.id, self.now + LIFE)
            if first:
                await self.told(found.daemon)

    def _give(self, proxy: Proxy, roots: RootSet, leaf: str, until: datetime) -> None:
        proxy.given = Secrets(roots.turn, tuple(each.id for each in roots.trusted), leaf, until)
        proxy.coming.append(proxy.given)

    async def applies(self, proxy: str) -> None:
        """It takes up what came, and acknowledges it if it was the last."""
        found = self.proxies[proxy]
        if found.coming and not found.refuses:
            found.has = found.coming.pop(0)

    async def refuses(self, proxy: str) -> None:
        self.proxies[proxy].refuses = not self.proxies[proxy].refuses

    async def leaves(self, proxy: str) -> None:
        self.proxies[proxy].leave()

    async def passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    async def begins(self) -> None:
        await self.rotations.begin("ann")

    async def aborts(self) -> None:
        await self.rotations.abort("ann")

    async def given_roots(self) -> None:
        await self.rotations.roots_given("ann")

    async def steps(self) -> None:
        await self.rotations.step()

    async def swept(self) -> None:
        await self.rotations.sweep()

    # What must hold

    def check(self) -> None:
        """Every certificate that holds is trusted by everybody who has one."""
        living = [each for each in self.proxies.values() if each.has and each.has.until > self.now]
        for one in living:
            for other in living:
                assert one.has
                assert other.has
                assert one.has.leaf in other.has.trusts, f"{other.name} does not trust {one.name}"

    async def settle(self) -> RootSet:
        """Everybody who was away comes back and does what is asked; the rotation ends."""
        for proxy in self.proxies.values():
            proxy.refuses = False
        for _ in range(8):
            for name in DAEMONS:
                await self.up(name)
                await self.takes(name)
            for guest in PROXIES:
                await self.comes(guest, DAEMONS[0])
                await self.renews(guest)
                while self.proxies[guest].coming:
                    await self.applies(guest)
                    self.check()
            for name in DAEMONS:
                await self.told(name)
            await self.steps()
            self.check()
        return await self.kept()


DAEMON, PROXY = st.sampled_from(DAEMONS), st.sampled_from(PROXIES)
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(("takes", "told", "takes", "told", "up", "killed", "forgotten")), DAEMON),
    st.tuples(st.sampled_from(("renews", "applies", "applies", "renews", "leaves", "refuses")), PROXY),
    st.tuples(st.just("comes"), PROXY, DAEMON),
    st.tuples(st.just("passes"), st.integers(1, 3)),
    st.tuples(st.sampled_from(("steps", "steps", "steps", "begins", "aborts", "swept"))),
    st.tuples(st.just("all_do")),
)


async def _all_do(world: World) -> None:
    """A round in which everybody does what is asked, and the plan goes on if it can."""
    for name in DAEMONS:
        await world.takes(name)
    for proxy in PROXIES:
        await world.renews(proxy)
        while world.proxies[proxy].coming and not world.proxies[proxy].refuses:
            await world.applies(proxy)
            world.check()
    for name in DAEMONS:
        await world.told(name)
    await world.steps()


async def play(actions: Iterable[tuple[object, ...]]) -> None:
    """Does these things one after another, and looks after each."""
    world = World()
    await world.start()
    for proxy, daemon in zip(PROXIES, (*DAEMONS, DAEMONS[0]), strict=True):
        await world.comes(proxy, daemon)
        await world.renews(proxy)
        await world.applies(proxy)
        await world.told(daemon)
    await world.begins()
    for name, *arguments in actions:
        try:
            if name == "all_do":
                await _all_do(world)
            else:
                await getattr(world, str(name))(*arguments)
        except CannotRotate:
            assert name in ("begins", "aborts")
        world.check()
    roots = await world.settle()
    assert roots.rotation is not None
    assert roots.rotation.step is Step.DONE
    assert [each.id for each in roots.roots] == [roots.rotation.goal]
    await world.store.close()


@settings(max_examples=300, deadline=None)
@example(
    2,
    [
        *(("takes", "north"), ("applies", "ann"), ("told", "north"), ("aborts",)),
        *(("takes", "south"), ("applies", "bob"), ("renews", "bob"), ("applies", "bob"), ("applies", "bob")),
    ],
)
@given(st.integers(0, 2), st.lists(ACTIONS, max_size=40))
def test_nobody_ever_holds_a_certificate_that_another_does_not_trust(
    rounds: int, actions: list[tuple[object, ...]]
) -> None:
    """From any step, over deaths, lags, refusals, aborts and expiries in any order; in the end one root stands alone."""
    asyncio.run(play([("all_do",)] * rounds + actions))
