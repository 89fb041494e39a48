"""Counters in memory and in Redis."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.contracts.counters import LONG, CountersContract
from tests.lab.redis import RedisServer
from xdsd.ratelimit import CountersUnavailableError, Hit, MemoryCounters, RedisAddress, RedisCounters


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis on a busy machine may take longer to answer than a proxy waits for a verdict."""
    monkeypatch.setattr("xdsd.ratelimit.redis_counters.SECONDS", 120.0)


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestMemory(CountersContract):
    @pytest.fixture
    def counters(self) -> MemoryCounters:
        return MemoryCounters(Clock())


@pytest.mark.e2e
class TestRedis(CountersContract):
    @pytest.fixture
    async def counters(self, tmp_path: Path) -> AsyncIterator[RedisCounters]:
        async with RedisServer(tmp_path) as server:
            counters = RedisCounters(RedisAddress("127.0.0.1", server.port))
            yield counters
            await counters.close()


async def test_a_window_that_is_over_begins_anew() -> None:
    """The number is forgotten with its window, and memory with it."""
    clock = Clock()
    counters = MemoryCounters(clock)
    assert await counters.add([Hit("a", 1, 10), Hit("b", 1, 100)]) == [1, 1]
    clock.now += 10
    assert await counters.add([Hit("c", 1, 10)]) == [1]
    assert len(counters) == 2
    assert await counters.add([Hit("a", 1, 10)]) == [1]


async def test_memory_has_bounds() -> None:
    """Beyond the most there may be, what was used least lately goes first."""
    counters = MemoryCounters(Clock(), most=10)
    for number in range(100):
        await counters.add([Hit("kept", 1, LONG), Hit(f"{number}", 1, LONG)])
    assert len(counters) <= 11
    assert await counters.add([Hit("kept", 1, LONG)]) == [101]
    assert await counters.add([Hit("1", 1, LONG)]) == [1]


@pytest.mark.e2e
async def test_what_is_kept_in_redis_ends_with_its_window(tmp_path: Path) -> None:
    """Each key is ours by its name and goes by itself, soon after its window."""
    async with RedisServer(tmp_path, password="s3cret") as server:
        counters = RedisCounters(RedisAddress("127.0.0.1", server.port, database=3), "s3cret")
        started = time.monotonic()
        await counters.add([Hit("a", 1, LONG / 2 - 0.5), Hit("b", 1, LONG)])
        await counters.close()
        async with Redis(port=server.port, password="s3cret", db=3) as client:
            assert sorted(await client.keys()) == [b"xdsd:limit:a", b"xdsd:limit:b"]
            left = [await client.pttl(f"xdsd:limit:{key}") / 1000 for key in "ab"]
        passed = time.monotonic() - started
        for ends, found in zip((LONG / 2, LONG), left, strict=True):
            assert ends + 5 - passed - 0.1 <= found <= ends + 5  # Redis has a clock of its own


@pytest.mark.e2e
async def test_several_share_what_redis_keeps(tmp_path: Path) -> None:
    """What one adds, the other finds."""
    async with RedisServer(tmp_path) as server:
        one, other = (RedisCounters(RedisAddress("127.0.0.1", server.port)) for _ in range(2))
        sums = [await counters.add([Hit("a", 1, LONG)]) for counters in (one, other, one)]
        await one.close()
        await other.close()
    assert sums == [[1], [2], [3]]


@pytest.mark.e2e
async def test_a_redis_that_is_away_is_told_and_found_again(tmp_path: Path) -> None:
    """While it is gone, or takes no password, nothing is counted and the reason is said; afterwards it goes on."""
    async with RedisServer(tmp_path, password="right") as server:
        counters = RedisCounters(RedisAddress("127.0.0.1", server.port), "right")
        wrong = RedisCounters(RedisAddress("127.0.0.1", server.port), "wrong")
        assert await counters.add([Hit("a", 1, LONG)]) == [1]
        with pytest.raises(CountersUnavailableError, match="password"):
            await wrong.add([Hit("a", 1, LONG)])
        await server.stop()
        with pytest.raises(CountersUnavailableError, match="Redis cannot count"):
            await counters.add([Hit("a", 1, LONG)])
        await server.start()
        assert await counters.add([Hit("a", 1, LONG)]) == [1]
        await counters.close()
        await wrong.close()
