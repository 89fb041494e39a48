"""Of several processes one works."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from storage.base import Compare, Operation, Store, TxnResult, Unavailable
from storage.election import hold
from storage.memory import MemoryStore
from tests.fleet.conftest import Away
from tests.lab.etcd import EtcdServer
from tests.lab.eventually import eventually
from tests.lab.hourglass import timeless

KEY = b"/singleton"


class Candidates:
    """Names of those that work now; never more than one. ``begun``: of all that ever began to."""

    def __init__(self) -> None:
        self.working: list[str] = []
        self.begun: list[str] = []
        self.most = 0

    def job(self, name: str) -> Callable[[], Awaitable[None]]:
        """Works until it is cancelled."""

        async def work() -> None:
            self.working.append(name)
            self.begun.append(name)
            self.most = max(self.most, len(self.working))
            try:
                await asyncio.Event().wait()
            finally:
                self.working.remove(name)

        return work


@asynccontextmanager
async def standing(
    store: Store, name: str, candidates: Candidates, ttl: int = 3
) -> AsyncIterator[asyncio.Task[None]]:
    """A candidate that stands until the end of the block."""
    task = asyncio.create_task(hold(store, KEY, name.encode(), ttl, candidates.job(name)))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def away(kind: type[Away] = Away) -> AsyncIterator[Away]:
    """A store whose leases end by the loop's clock."""
    store = kind(asyncio.get_running_loop().time)
    try:
        yield store
    finally:
        await store.close()


@timeless
async def test_one_of_three_works() -> None:
    """Of three candidates one works; when it goes, another does, and in the end none."""
    candidates = Candidates()
    async with away() as store:
        async with standing(store, "b", candidates):
            await eventually(lambda: candidates.working == ["b"])
            async with standing(store, "c", candidates):
                async with standing(store, "a", candidates) as first:
                    await passes(60)
                    assert candidates.working == ["b"]
                    assert not first.done()
                assert candidates.working == ["b"]
        assert candidates.working == []
        assert candidates.most == 1
        assert await store.get(KEY) is None


async def passes(seconds: float) -> None:
    """So much of the loop's time."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    await eventually(lambda: clock() >= end)


@timeless
async def test_another_takes_over_when_the_holder_leaves() -> None:
    """The key is let go by whoever leaves, and taken at once by one who waits."""
    candidates = Candidates()
    async with away() as store, standing(store, "a", candidates) as first:
        await eventually(lambda: candidates.working == ["a"])
        async with standing(store, "b", candidates):
            await passes(1)
            left = asyncio.get_running_loop().time()
            first.cancel()
            await eventually(lambda: candidates.working == ["b"])
            assert asyncio.get_running_loop().time() - left < 0.1
    assert candidates.most == 1


@timeless
async def test_another_takes_over_from_the_dead() -> None:
    """A holder that died without a word is followed by another once its lease has run out."""
    candidates = Candidates()
    async with away() as store:
        await store.put(KEY, b"dead", lease=await store.grant(10))
        async with standing(store, "b", candidates):
            await passes(9.9)
            assert candidates.working == []
            await passes(1)
            assert candidates.working == ["b"]


@timeless
async def test_the_holder_steps_down_before_its_lease_ends() -> None:
    """Whoever cannot renew its lease stops with a fifth of its time left, and works again when the store is back."""
    candidates, clock = Candidates(), asyncio.get_running_loop().time
    async with away() as store, standing(store, "a", candidates, ttl=4):
        await passes(60)
        assert candidates.working == ["a"]
        store.away, gone = True, clock()
        await eventually(lambda: candidates.working == [])
        assert clock() - gone < 0.8 * 4
        assert await MemoryStore.leases(store), "the lease had ended before"
        store.away = False
        await eventually(lambda: candidates.working == ["a"])
        assert candidates.most == 1


@timeless
async def test_whose_store_is_away_for_a_moment_goes_on() -> None:
    """Whatever is back before the lease is in danger interrupts nobody."""
    candidates = Candidates()
    async with away() as store, standing(store, "a", candidates, ttl=12):
        await passes(60)
        store.away = True
        await passes(3.9)
        store.away = False
        await passes(60)
        assert candidates.begun == ["a"]


@timeless
async def test_a_key_that_came_too_late() -> None:
    """Whoever is told of its key only when its lease may have ended does not begin to work."""
    candidates = Candidates()
    most: list[int] = []

    class Slow(Away):
        async def txn(
            self, compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation] = ()
        ) -> TxnResult:
            most.append(candidates.most)
            result = await super().txn(compare, success, failure)
            if len(most) == 1:
                await eventually(lambda: loop.time() > began + 0.9)
            return result

    loop = asyncio.get_running_loop()
    began = loop.time()
    async with away(Slow) as slow, standing(slow, "a", candidates, ttl=1):
        await eventually(lambda: candidates.working == ["a"] and len(most) > 1)
        assert most == [0, 0]


@timeless
async def test_work_that_fails_says_so() -> None:
    """An error of the work is raised, and the key let go."""

    async def work() -> None:
        raise ValueError("broken")

    async with away() as store:
        with pytest.raises(ValueError, match="broken"):
            await hold(store, KEY, b"a", 3, work)
        assert await store.get(KEY) is None


@pytest.mark.e2e
async def test_on_a_real_etcd(tmp_path: Path) -> None:
    """On a real etcd one works too; when etcd hangs it steps down, and one works again afterwards."""
    candidates = Candidates()
    async with (
        EtcdServer(tmp_path) as etcd,
        etcd.store(deadline=1.0) as one,
        etcd.store() as other,
        standing(one, "a", candidates),
        standing(other, "b", candidates),
    ):
        await eventually(lambda: len(candidates.working) == 1)
        etcd.pause()
        await eventually(lambda: not candidates.working)
        etcd.resume()
        await eventually(lambda: len(candidates.working) == 1)
    assert candidates.most == 1


@timeless
async def test_a_store_that_is_gone_when_it_lets_go() -> None:
    """The key runs out by itself then; an answer that comes too late to be waited for is nobody's error."""
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    candidates, asked, answer = Candidates(), asyncio.Event(), asyncio.Event()

    class Slow(Away):
        async def revoke(self, lease: int) -> None:
            asked.set()
            await answer.wait()
            raise Unavailable(f"no etcd answers for {lease}")

    async with away(Slow) as slow:
        async with standing(slow, "one", candidates) as task:
            await eventually(lambda: candidates.working == ["one"])
            task.cancel()
            await asked.wait()
            await asyncio.wait({task})
        answer.set()
        await eventually(lambda: not [each for each in asyncio.all_tasks() if "let_go" in repr(each)])
        gc.collect()
        assert faults == []
