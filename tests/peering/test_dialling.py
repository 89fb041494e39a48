"""How often a peer is called that cannot be heard, and where."""

import asyncio
from random import Random
from typing import Any

import pytest
import structlog

from api.peering import dialling
from api.peering.dialling import FIRST_PAUSE, LONGEST_PAUSE, Dialler

CALLS = 10


class Nothing(float):
    """Times which a pause is none; notes the pause."""

    def __new__(cls, noted: list[float]) -> "Nothing":
        made = super().__new__(cls, 0.0)
        made.noted = noted
        return made

    noted: list[float]

    def __rmul__(self, pause: float) -> float:
        self.noted.append(pause)
        return 0.0


class Noting(Random):
    """Chooses no pause at all, and notes what it chose from."""

    def __init__(self) -> None:
        super().__init__(1)
        self.pauses: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        return Nothing(self.pauses)


class Called(Dialler):
    """Its streams begin and end at once."""

    def __init__(self, random: Random) -> None:
        hearer: Any = None
        super().__init__(lambda: ("one", "two"), hearer, structlog.get_logger(), random)
        self.called: list[str] = []
        self.enough = asyncio.Event()

    async def _call(self, address: str) -> None:
        self.called.append(address)
        if len(self.called) == CALLS:
            self.enough.set()
            await asyncio.Event().wait()
        self._heard = True


async def calls(random: Random) -> list[str]:
    """Where it calls."""
    dialler = Called(random)
    task = asyncio.create_task(dialler.run())
    async with asyncio.timeout(60):
        await dialler.enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return dialler.called


async def test_who_ends_what_has_just_begun_is_called_ever_less_often() -> None:
    """And at its other address."""
    random = Noting()
    assert (await calls(random))[:4] == ["one", "two", "one", "two"]
    assert random.pauses[:3] == [2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert random.pauses[-1] == LONGEST_PAUSE


async def test_whose_stream_held_for_a_while_is_called_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was."""
    monkeypatch.setattr(dialling, "STEADY", 0.0)
    random = Noting()
    assert set(await calls(random)) == {"one"}
    assert set(random.pauses) == {FIRST_PAUSE}
