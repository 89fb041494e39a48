"""The daemon tidies up when it has time, and before there is so much that it would take long."""

import asyncio
import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from xdsd.housekeeping import PLENTY, SHORTEST, SWITCH, keep_house, next_pause, walk_young

MANY = 2_500
"""Objects that take as long to walk as is plenty, in a collector of these tests' own."""


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The collector and the threads' turns are the whole process's, so they are given back as they were."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()
    gc.enable()


class Nights:
    """Sleeps without waiting, ``most`` times."""

    def __init__(self, most: int) -> None:
        self.slept = 0
        self._most = most

    async def sleep(self, seconds: float) -> None:
        if self.slept == self._most:
            raise asyncio.CancelledError
        self.slept += 1


def counted() -> float:
    """Walks what is young, and takes as long for each object on every machine."""
    young = len(gc.get_objects(generation=0))
    walk_young()
    return young * PLENTY / MANY


async def chores_done(nights: int, *, idle: bool) -> list[int]:
    """After which nights the chores were done, with ten nights to a round."""
    clock, done = Nights(nights), list[int]()
    with pytest.raises(asyncio.CancelledError):
        await keep_house(
            lambda: idle,
            lambda: done.append(clock.slept),
            every=10.0,
            glance=1.0,
            sleep=clock.sleep,
            walk=lambda: 0.0,
        )
    return done


async def test_chores_are_done_every_so_often() -> None:
    """Each round, when there is nothing else to do."""
    assert await chores_done(30, idle=True) == [10, 20, 30]


async def test_busy_daemons_do_chores_too() -> None:
    """They wait six rounds for an idle moment, and then do not."""
    assert await chores_done(130, idle=False) == [60, 120]


@pytest.mark.parametrize("count", [MANY // 2, MANY * 2])
async def test_what_came_is_collected_before_it_is_too_much(count: int) -> None:
    """At the next glance, busy or not; what is little is left for the round."""
    made: list[list[int]] = []
    frozen: list[int] = []

    async def sleep(seconds: float) -> None:
        frozen.append(gc.get_freeze_count())
        if len(frozen) == 2:
            raise asyncio.CancelledError
        made.extend([number] for number in range(count))

    with pytest.raises(asyncio.CancelledError):
        await keep_house(lambda: False, lambda: None, every=10.0, glance=1.0, sleep=sleep, walk=counted)
    grown = frozen[1] - frozen[0]
    assert (grown >= count) == (count >= MANY)


async def test_what_replaces_others_counts_as_much() -> None:
    """Where old objects go as new ones come, the collector's own count stays low, and yet all that is new is walked."""
    held = [[number] for number in range(2 * MANY)]
    frozen: list[int] = []

    async def sleep(seconds: float) -> None:
        frozen.append(gc.get_freeze_count())
        if len(frozen) == 2:
            raise asyncio.CancelledError
        for number in range(len(held)):
            held[number] = [number]

    with pytest.raises(asyncio.CancelledError):
        await keep_house(lambda: False, lambda: None, every=10.0, glance=1.0, sleep=sleep, walk=counted)
    assert frozen[1] > frozen[0] - MANY


@pytest.mark.parametrize(
    ("took", "expected"),
    [(0, 0.1), (PLENTY, 0.1), (2 * PLENTY, 0.05), (4 * PLENTY, 0.025), (1000 * PLENTY, 0.1 * SHORTEST)],
)
def test_the_more_comes_the_sooner_it_is_looked_again(took: float, expected: float) -> None:
    """So that never much more than plenty is walked at once; looking all the time would be work, too."""
    assert next_pause(0.1, took, 0.1) == pytest.approx(expected)


def test_once_little_comes_it_is_looked_as_seldom_as_ever() -> None:
    """A flood that is over costs nothing any more."""
    assert next_pause(0.1 * SHORTEST, PLENTY / 100, 0.1) == 0.1


async def test_threads_that_compute_give_way_to_the_loop() -> None:
    """Sooner than Python has them do; one that parses a long file would hold up every answer."""
    assert await chores_done(1, idle=True) == []
    assert sys.getswitchinterval() == pytest.approx(SWITCH)


async def test_what_little_stays_adds_up() -> None:
    """So that what is left of many glances is frozen before it is too much, too."""
    frozen: list[int] = []
    held: list[list[int]] = []

    async def sleep(seconds: float) -> None:
        frozen.append(gc.get_freeze_count())
        if len(frozen) == 5:
            raise asyncio.CancelledError
        held.extend([number] for number in range(MANY // 2))

    with pytest.raises(asyncio.CancelledError):
        await keep_house(lambda: False, lambda: None, every=100.0, glance=1.0, sleep=sleep, walk=counted)
    assert frozen[-1] - frozen[0] >= len(held) - MANY


async def test_threads_make_their_tuples_meanwhile() -> None:
    """A tuple that somebody else has hold of while it grows cannot be finished, and whatever its thread did has failed."""
    over = threading.Event()
    failed: list[SystemError] = []

    def make() -> None:
        while not over.is_set():
            try:
                tuple([number] for number in range(30))
            except SystemError as error:
                failed.append(error)

    young: list[list[int]] = []
    rounds = 0

    async def sleep(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 200:
            raise asyncio.CancelledError
        young[:] = ([number] for number in range(20_000))

    thread = threading.Thread(target=make)
    thread.start()
    try:
        with pytest.raises(asyncio.CancelledError):
            await keep_house(lambda: False, lambda: None, every=1000.0, glance=1.0, sleep=sleep)
    finally:
        over.set()
        thread.join()
    assert failed == []
