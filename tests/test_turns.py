"""The daemon's event loop."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from xdsd import turns
from xdsd.turns import Loop, Pace, ShortTurns, new_loop

SOME = 50


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connected sockets that do not block."""
    made = [socket.socketpair() for _ in range(SOME)]
    for pair in made:
        for each in pair:
            each.setblocking(False)
    yield made
    for pair in made:
        for each in pair:
            each.close()


def test_what_is_ready_has_its_turn_after_what_others_were_told(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """However many are readable at once, what reading woke runs before more than a few others are read."""
    order: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def read(end: socket.socket) -> None:
            end.recv(1)
            loop.remove_reader(end)
            order.append("read")
            loop.call_soon(woken)

        def woken() -> None:
            order.append("woken")
            if order.count("woken") == SOME:
                done.set_result(None)

        for ours, theirs in pairs:
            theirs.send(b"x")
            loop.add_reader(ours, read, ours)
        await done

    with asyncio.Runner(loop_factory=lambda: Loop(ShortTurns(8))) as runner:
        runner.run(main())
    assert order.count("read") == SOME
    longest = max(map(len, "".join(each[0] for each in order).split("w")))
    assert longest <= 16


def test_who_is_not_registered_any_more_is_not_told_of(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """Nor who was registered anew since it was seen; that one is seen at the next look."""
    selector = ShortTurns(1)
    (first, one), (second, two), (third, three) = pairs[:3]
    for end in (one, two, three):
        end.send(b"x")
    for end in (first, second, third):
        selector.register(end, 1, "before")
    told = selector.select(0)[0][0].fileobj
    others = [end for end in (first, second, third) if end is not told]
    selector.unregister(told)
    selector.unregister(others[0])
    selector.modify(others[1], 1, "after")
    assert selector.select(0) == []
    assert selector.select(0) == []
    found = selector.select(0)
    assert [(key.fileobj, key.data) for key, _ in found] == [(others[1], "after")]
    selector.close()


def test_the_loop_is_one_of_asyncio() -> None:
    """Whatever asyncio does on its own loop it does on this one."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(asyncio.sleep(0, "done")) == "done"


@pytest.mark.parametrize("workers", [1, 4])
def test_a_turn_is_as_short_with_many_who_have_much_to_do(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its step in a turn; whoever would take another one after the turn's time waits for the next."""
    step = turns.TURN / 3
    taken: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        now = loop.turns.began = loop.time()
        monkeypatch.setattr(time, "monotonic", lambda: now)

        async def work() -> None:
            nonlocal now
            pace = Pace()
            for _ in range(12):
                now += step
                taken.append(now - loop.turns.began)
                await pace.step()

        await asyncio.gather(*(work() for _ in range(workers)))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert len(taken) == 12 * workers
    assert max(taken) == pytest.approx(turns.TURN + (workers - 1) * step)


async def test_on_another_loop_each_looks_at_its_own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets others have the loop whenever its own have taken long enough, no sooner."""
    loop = asyncio.get_running_loop()
    pace, now = Pace(), loop.time()
    monkeypatch.setattr(pace, "_clock", lambda: now)
    monkeypatch.setattr(pace, "_began", now)
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await pace.step()
    assert others == 0
    now += 2 * turns.TURN
    await pace.step()
    assert others == 1
    await pace.step()
    assert others == 1
    task.cancel()
