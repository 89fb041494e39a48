"""Guessing is slow, whoever guesses together; knowing is not."""

import asyncio

import pytest

from xdsd.throttle import FORGIVEN, LONGEST, MOST, PATIENCE, Throttle, TooManyAttempts


class Clock:
    """Time that passes when a test says so; whoever sleeps is told when it would have been woken."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock, clock.sleep)


async def test_each_failure_doubles_the_wait_of_the_next(throttle: Throttle, clock: Clock) -> None:
    """The first attempt waits for nothing; the wait has a longest."""
    for _ in range(10):
        await throttle.attempt(["from x"])
        clock.now += clock.slept[-1] if clock.slept else 0
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST, LONGEST]


async def test_attempts_that_come_at_once_take_turns(throttle: Throttle, clock: Clock) -> None:
    """Each waits for those before it, from the very first on, and when that takes too long it is refused."""
    answers = await asyncio.gather(
        *(throttle.attempt(["from x"]) for _ in range(100)), return_exceptions=True
    )
    refused = [each for each in answers if isinstance(each, TooManyAttempts)]
    assert clock.slept == [0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7, 22.7]
    assert len(refused) == 100 - 9
    assert str(refused[0]) == "too many failed attempts; try again in 33 seconds"
    assert max(clock.slept) <= PATIENCE


async def test_one_name_is_guessed_slowly_from_many_origins(throttle: Throttle, clock: Clock) -> None:
    """What is guessed at counts, wherever the attempts come from."""
    for number in range(4):
        await throttle.attempt([f"from {number}", "as alice"])
    assert clock.slept == [0.1, 0.3, 0.7]
    await throttle.attempt(["from 9", "as bob"])
    assert len(clock.slept) == 3


async def test_a_right_answer_is_forgiven(throttle: Throttle, clock: Clock) -> None:
    """Whoever mistyped and then did not waits for nothing the next time."""
    keys = ["from x", "as alice"]
    await throttle.attempt(keys)
    throttle.held("as alice", "x", keys)
    await throttle.attempt(keys)
    assert clock.slept == []


async def test_one_known_password_does_not_pay_for_others(throttle: Throttle, clock: Clock) -> None:
    """Between two guesses at alice, mallory's own password forgives nothing that was tried from there."""
    for _ in range(3):
        await throttle.attempt(["from x", "as alice"])
        await throttle.attempt(["from x", "as mallory"])
        throttle.held("as mallory", "x", ["from x", "as mallory"])
    waits = clock.slept.copy()
    await throttle.attempt(["from x"])
    assert clock.slept[-1] > max(waits) - 0.001
    assert clock.slept[-1] >= 0.4


async def test_where_a_name_was_proved_others_guesses_do_not_count(throttle: Throttle, clock: Clock) -> None:
    """Whoever guesses at alice elsewhere does not keep her out; what is tried from her own place does."""
    await throttle.attempt(["from x", "as alice"])
    throttle.held("as alice", "x", ["from x", "as alice"])
    for number in range(6):
        await throttle.attempt([f"from {number}", "as alice"])
    assert throttle.trusts("as alice", "x")
    assert not throttle.trusts("as alice", "y")
    assert not throttle.trusts("as bob", "x")
    clock.slept.clear()
    await throttle.attempt(["from x"])
    assert clock.slept == []


async def test_failures_are_forgotten_in_time(throttle: Throttle, clock: Clock) -> None:
    """After ten minutes an origin is as new."""
    for _ in range(5):
        await throttle.attempt(["from x"])
    clock.now += FORGIVEN + 2
    clock.slept.clear()
    await throttle.attempt(["from x"])
    assert clock.slept == []


async def test_what_is_remembered_is_bounded(throttle: Throttle, clock: Clock) -> None:
    """However many origins there are, and the one that goes on is not forgotten for them."""
    for number in range(MOST + 100):
        await throttle.attempt([f"from {number}"])
    assert len(throttle._failures) == MOST
    clock.slept.clear()
    await throttle.attempt([f"from {MOST + 99}"])
    assert clock.slept == [0.1]
