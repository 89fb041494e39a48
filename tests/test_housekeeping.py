"""The daemon tidies up when it has time, and before there is so much that it would take long."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from xdsd.housekeeping import PLENTY, keep_house


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The collector belongs to the whole process, so it is given back as it was."""
    yield
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


async def chores_done(nights: int, *, idle: bool) -> list[int]:
    """After which nights the chores were done, with ten nights to a round."""
    clock, done = Nights(nights), list[int]()
    with pytest.raises(asyncio.CancelledError):
        await keep_house(
            lambda: idle, lambda: done.append(clock.slept), every=10.0, glance=1.0, sleep=clock.sleep
        )
    return done


async def test_chores_are_done_every_so_often() -> None:
    """Each round, when there is nothing else to do."""
    assert await chores_done(30, idle=True) == [10, 20, 30]


async def test_busy_daemons_do_chores_too() -> None:
    """They wait six rounds for an idle moment, and then do not."""
    assert await chores_done(130, idle=False) == [60, 120]


@pytest.mark.parametrize("count", [PLENTY // 2, PLENTY * 2])
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
        await keep_house(lambda: False, lambda: None, every=10.0, glance=1.0, sleep=sleep)
    grown = frozen[1] - frozen[0]
    assert (grown >= count) == (count >= PLENTY)
