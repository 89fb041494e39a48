"""How long is kept what a platform forgot, and how it is written down."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.eventually import eventually
from xdsd.registry.holding import FILE, Holding
from xdsd.registry.last_good import LastGood
from xdsd.registry.lines import Unreadable

NOW = 1000.0


@dataclass
class Words:
    """What was written down: until when, and words."""

    until: float
    words: list[str]


class Memory:
    """Remembers words."""

    def __init__(self, *words: str) -> None:
        self.words = list(words)
        self.losses = 1
        self.gone = 0
        self.why = ""

    def lack(self, *words: str) -> None:
        """These are missing now."""
        self.words = list(words)
        self.losses += 1

    def written(self, until: float) -> Iterator[bytes]:
        if self.words:
            yield f"{until}".encode()
            yield from (f" {word}".encode() for word in self.words)

    def read(self, data: bytes) -> Words:
        until, *words = data.decode().split()
        if words == ["wrong"]:
            raise Unreadable("it is wrong")
        return Words(float(until), words)

    async def recall(self, held: Words, until: float) -> None:
        self.words = [*held.words, f"until {until}"]
        self.losses += 1

    def unread(self, why: str) -> None:
        self.why = why

    def let_go(self) -> None:
        self.gone += 1


@pytest.fixture
def copies(tmp_path: Path) -> LastGood:
    return LastGood(tmp_path)


def holding(memory: Memory, copies: LastGood | None, hold: float = 60.0) -> Holding[Words]:
    return Holding(memory, hold, copies, lambda: NOW)


async def passed(seconds: float) -> None:
    """Timers that were set before for less than this have run."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await over.wait()


@asynccontextmanager
async def keeping(held: Holding[Words]) -> AsyncIterator[None]:
    """It is written down meanwhile."""
    task = asyncio.create_task(held.keep())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_is_written_down_whenever_it_is_otherwise(
    copies: LastGood, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its copy is gone when nothing is missing."""
    monkeypatch.setattr("xdsd.registry.holding._EVERY", 0.01)
    memory = Memory("a", "b")
    held = holding(memory, copies)
    async with keeping(held):
        held.begin(held.renew())
        await eventually(lambda: copies.load(FILE) == b"1060.0 a b", "it is written down")
        memory.lack("b")
        await eventually(lambda: copies.load(FILE) == b"1060.0 b", "it is written down again")
        memory.lack()
        await eventually(lambda: copies.load(FILE) is None, "nothing is missing")


async def test_it_is_written_down_when_the_daemon_ends(copies: LastGood) -> None:
    """At once, however long ago it was written; nothing is let go after that."""
    memory = Memory("a")
    held = holding(memory, copies, hold=0.2)
    async with keeping(held):
        held.begin(held.renew())
    assert copies.load(FILE) == b"1000.2 a"
    await passed(0.3)
    assert memory.gone == 0


async def test_what_is_missing_later_is_never_written_over(copies: LastGood) -> None:
    """By a thread that was slower than the end of the daemon."""
    held = holding(Memory(), copies)
    held._save([b"later"], 7)
    held._save([b"sooner"], 6)
    assert copies.load(FILE) == b"later"


async def test_nothing_is_let_go_between_two_losses(copies: LastGood) -> None:
    """The time runs from the second, once all that is lost is known."""
    memory = Memory("a")
    held = holding(memory, copies, hold=0.1)
    held.begin(held.renew())
    until = held.renew()
    await passed(0.2)
    assert not held.is_on
    assert memory.gone == 0
    held.begin(until)
    await eventually(lambda: memory.gone == 1, "it is let go")


@pytest.mark.parametrize(("until", "held_until"), [(1030.0, 1030.0), (5000.0, 1060.0)])
async def test_it_is_recalled_until_it_would_have_been_let_go(
    copies: LastGood, until: float, held_until: float
) -> None:
    """By a clock that was set back no longer than from now."""
    memory = Memory()
    copies.save(FILE, f"{until} a".encode())
    held = holding(memory, copies)
    await held.recall()
    assert memory.words == ["a", f"until {held_until}"]
    assert held.is_on
    held.renew()


async def test_what_is_over_is_forgotten(copies: LastGood) -> None:
    """With its copy."""
    memory = Memory()
    copies.save(FILE, b"999 a")
    held = holding(memory, copies)
    await held.recall()
    assert memory.words == []
    assert not held.is_on
    assert copies.load(FILE) is None


async def test_what_cannot_be_read_is_told_for_as_long_as_it_would_be_held(copies: LastGood) -> None:
    """Then it is over."""
    memory = Memory()
    copies.save(FILE, b"999 wrong")
    held = holding(memory, copies, hold=0.1)
    await held.recall()
    assert memory.why == "it is wrong"
    await eventually(lambda: memory.gone == 1, "it is over")
    assert copies.load(FILE) is None


async def test_nothing_outlives_a_daemon_without_copies() -> None:
    """It is held and let go all the same."""
    memory = Memory("a")
    held = holding(memory, None, hold=0.1)
    await held.recall()
    async with keeping(held):
        held.begin(held.renew())
        await eventually(lambda: memory.gone == 1, "it is let go")
