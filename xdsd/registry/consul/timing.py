"""When Consul is asked: waits that are spread by chance, and no more often than somebody can use."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, and how many.

    ``names`` and ``service`` are how long blocking queries wait; the first is short, since it is also how a Consul is
    noticed that has gone without a word. After errors, pauses grow from ``first_pause`` to ``longest_pause``; why a
    Consul is away is told anew after ``again``, where that changed. ``parallel`` services are read at once,
    and one query is asked at most ``burst`` times at once, and ``rate`` times a second in the long run.
    """

    names: float = 30.0
    service: float = 110.0
    first_pause: float = 0.25
    longest_pause: float = 3.0
    again: float = 15.0
    parallel: int = 32
    rate: float = 20.0
    burst: int = 20
    oldest: float = 30.0
    """An answer of a server that heard from its leader longer ago is told as a problem."""
    token: float = 1.0
    """How often is looked whether the token's file says another one."""


def jittered(seconds: float, chance: random.Random) -> float:
    """The time, up to a tenth shorter or longer."""
    return seconds * chance.uniform(0.9, 1.1)


def pause_after(failures: int, timing: Timing, chance: random.Random) -> float:
    """How long to wait after so many failures in a row, at least one: doubled each time, half of it by chance."""
    grown = timing.first_pause * float(1 << min(failures - 1, 16))
    return min(grown, timing.longest_pause) * chance.uniform(0.5, 1.0)


class Pace:
    """Lets a burst through and then ``rate`` a second; ``clock`` tells seconds."""

    def __init__(self, timing: Timing, clock: Callable[[], float]) -> None:
        self._rate = timing.rate
        self._burst = timing.burst
        self._clock = clock
        self._left = float(timing.burst)
        self._at = clock()

    def delay(self) -> float:
        """How long to wait before the next one."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._rate, self._burst) - 1
        self._at = now
        return max(-self._left / self._rate, 0.0)
