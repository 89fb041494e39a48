"""When Consul is asked."""

import random

from xdsd.registry.consul.client import next_index
from xdsd.registry.consul.timing import Pace, Timing, jittered, pause_after


def test_a_burst_is_let_through_and_then_so_many_a_second() -> None:
    """What is asked faster waits, and a pause makes room again."""
    now = 0.0
    pace = Pace(Timing(rate=10.0, burst=3), lambda: now)
    assert [pace.delay() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert pace.delay() == 0.1
    now = 10.0
    assert [pace.delay() for _ in range(3)] == [0.0, 0.0, 0.0]


def test_pauses_grow_to_a_limit() -> None:
    """Spread by chance, never without a pause."""
    chance = random.Random(1)
    timing = Timing(first_pause=0.2, longest_pause=5.0)
    pauses = [pause_after(failures, timing, chance) for failures in range(1, 2000)]
    assert 0.1 <= pauses[0] <= 0.2
    assert all(2.5 <= each <= 5.0 for each in pauses[10:])
    assert len(set(pauses)) > 1000


def test_waits_are_spread() -> None:
    """By a tenth to both sides."""
    chance = random.Random(1)
    waits = [jittered(100.0, chance) for _ in range(1000)]
    assert 90.0 <= min(waits) < 91.0
    assert 109.0 < max(waits) <= 110.0


def test_an_index_that_goes_backwards_is_forgotten() -> None:
    """As Consul's documentation demands."""
    assert next_index(7, 9) == 9
    assert next_index(7, 7) == 7
    assert next_index(7, 5) == 0
