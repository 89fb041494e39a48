"""Rotations in a store: over deaths at each step, by several daemons, by operators who disagree."""

import asyncio
from datetime import timedelta

import pytest
import structlog

from storage.base import Put, Store
from tests.ca.making import DOMAIN, NOW
from tests.lab.eventually import eventually
from xdsd.ca.authority import Trust
from xdsd.ca.plan import Step
from xdsd.ca.reporting import Reporter
from xdsd.ca.roots import RootSet, RootState, decode
from xdsd.ca.rotating import Progress, Rotations
from xdsd.ca.rotation import CannotRotate
from xdsd.ca.sealing import Sealer
from xdsd.ca.standing import Answer, Standing, encode, prefix_of
from xdsd.ca.standing import decode as decode_standing
from xdsd.ca.stored import ROOTS, StoredRoots
from xdsd.model.key_type import KeyType
from xdsd.server.standings import joined

LOG = structlog.get_logger()


def source(store: Store) -> StoredRoots:
    return StoredRoots(store, Sealer(b"k" * 32), DOMAIN, KeyType.ECDSA_P256, LOG)


async def begun(store: Store) -> list[Trust]:
    """What a daemon is told of the roots, over time; the first are there."""
    told: list[Trust] = []
    running = asyncio.ensure_future(source(store).run(told.append))
    await eventually(lambda: told, "the roots are known")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return told


async def members() -> list[str]:
    return ["north"]


def rotations(store: Store, observed: list[Progress] | None = None) -> Rotations:
    """A daemon's part in it, which knows nothing from before."""
    seen = observed if observed is not None else []
    return Rotations(store, source(store), members, LOG, now=lambda: NOW, observe=seen.append)


async def kept(store: Store) -> RootSet:
    found = await store.get(ROOTS)
    assert found is not None
    return decode(found.value)


async def all_ready(store: Store) -> None:
    """The daemon and its proxy do what the step asks."""
    roots = await kept(store)
    trusts = tuple(each.id for each in roots.trusted)
    for standing in (
        Standing("north", "", "north", roots.turn),
        Standing(
            "north",
            "bob~1",
            "bob",
            roots.turn,
            trusts=trusts,
            leaf=roots.issuing.id,
            until=NOW + timedelta(hours=1),
        ),
    ):
        await store.txn((), [Put(standing.key.encode(), encode(standing))])


async def test_a_daemon_that_dies_at_any_step_is_followed_by_another(any_store: Store) -> None:
    """Each step is taken by a daemon that knows nothing but the store, and once."""
    await begun(any_store)
    old = (await kept(any_store)).issuing.id
    await rotations(any_store).begin("ann")
    steps = []
    for _ in range(3):
        assert not await rotations(any_store).step()
        await all_ready(any_store)
        assert sorted(await asyncio.gather(rotations(any_store).step(), rotations(any_store).step())) == [
            False,
            True,
        ]
        rotation = (await kept(any_store)).rotation
        assert rotation is not None
        steps.append(rotation.step)
    assert steps == [Step.ISSUE, Step.RETIRE, Step.DONE]
    roots = await kept(any_store)
    assert [each.state for each in roots.roots] == [RootState.ISSUING]
    assert roots.issuing.id != old


async def test_two_operators_who_begin_at_once_begin_one(store: Store) -> None:
    """The second is told that one goes on."""
    await begun(store)
    done = await asyncio.gather(
        rotations(store).begin("ann"), rotations(store).begin("bob"), return_exceptions=True
    )
    assert sorted(isinstance(each, CannotRotate) for each in done) == [False, True]
    assert len((await kept(store)).roots) == 2


async def test_daemons_hear_of_steps_and_not_of_words_within_them(store: Store) -> None:
    """What an operator says changes neither trust nor who signs."""
    told: list[Trust] = []
    running = asyncio.ensure_future(source(store).run(told.append))
    await eventually(lambda: told, "the roots are known")
    await rotations(store).begin("ann")
    await rotations(store).roots_given("ann")
    await rotations(store).abort("ann")
    await eventually(lambda: told[-1].turn == 2, "the way back is known")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [(len(each.roots), each.turn) for each in told] == [(1, 0), (2, 1), (1, 2)]
    assert len({each.issuer for each in told}) == 1


async def test_only_who_is_away_can_be_left_behind(store: Store) -> None:
    """A name that nothing waits for, or that is connected, is refused."""
    await begun(store)
    found = rotations(store)
    await all_ready(store)
    await found.begin("ann")
    with pytest.raises(CannotRotate, match="nothing waits for carl; waited for are bob, north"):
        await found.leave(["carl"], "ann")
    with pytest.raises(CannotRotate, match="bob is connected"):
        await found.leave(["bob"], "ann")
    roots = await kept(store)
    away = Standing("north", "bob~1", "bob", 0, until=NOW + timedelta(hours=1), here=False)
    north = Standing("north", "", "north", roots.turn)
    for each in (away, north):
        await store.txn((), [Put(each.key.encode(), encode(each))])
    assert not await found.step()
    await found.leave(["bob"], "ann")
    assert await found.step()


async def test_whoever_watches_is_told_how_far_it_is(store: Store) -> None:
    """The step, and how many it waits for."""
    await begun(store)
    seen: list[Progress] = []
    found = rotations(store, seen)
    await found.step()
    await found.begin("ann")
    await found.step()
    assert [(each.rotation and each.rotation.step, len(each.held)) for each in seen] == [
        (None, 0),
        (Step.TRUST, 1),
    ]


class Roots:
    """A daemon's roots."""

    turn = 3

    def now(self) -> object:
        return NOW

    def root_of(self, issuer: str) -> str:
        return {"CN=a": "aa"}.get(issuer, "")


async def test_what_a_proxy_holds_is_told_for_as_long_as_it_holds(store: Store) -> None:
    """Also when it left, when it is back and has acknowledged nothing yet, and when its daemon began again."""
    hour = NOW + timedelta(hours=1)
    good = Standing("north", "bob~1", "bob", 3, trusts=("aa",), leaf="aa", until=hour, file="CN=a")
    streams = [good]

    def reporter() -> Reporter:
        return Reporter(store, "north", Roots(), lambda *_: list(streams), joined, LOG)  # type: ignore[arg-type]

    async def told() -> Standing | None:
        found = await store.get(f"{prefix_of('north')}bob~1".encode())
        return decode_standing(found.value) if found is not None else None

    one = reporter()
    await one.tell()
    first = await told()
    assert first is not None
    assert (first.file, first.leaf, first.here) == ("aa", "aa", True)
    streams.clear()
    await one.tell()
    left = await told()
    assert left is not None
    assert (left.here, left.leaf, left.until) == (False, "aa", hour)
    other = reporter()
    await other.tell()
    assert await told() == left
    streams.append(Standing("north", "bob~1", "bob", 3, given=False, token=True))
    await other.tell()
    back = await told()
    assert back is not None
    assert (back.here, back.given, back.answer, back.until) == (True, True, Answer.WAITING, hour)
    before = await store.revision()
    await other.tell()
    assert await store.revision() == before
