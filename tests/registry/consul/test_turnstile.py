"""How much of Consul's answers is worked on in one turn of the loop."""

import asyncio

from xdsd.registry.consul.turnstile import Turnstile


async def passed(sizes: list[int], most: int) -> list[list[int]]:
    """Which answers were let through in each turn, all of which came at once."""
    turnstile = Turnstile(most)
    turns: list[list[int]] = [[]]

    async def come(size: int) -> None:
        await turnstile.enter(size)
        turns[-1].append(size)

    tasks = [asyncio.create_task(come(size)) for size in sizes]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        turns.append([])
    return [turn for turn in turns if turn]


async def test_answers_that_come_at_once_have_a_turn_each() -> None:
    """In their order, so many bytes at a time, and one that has more alone."""
    assert await passed([4, 4, 4, 4, 4, 30, 1, 1], most=8) == [[4, 4], [4, 4], [4, 30], [1, 1]]


async def test_one_that_comes_alone_waits_for_nobody() -> None:
    """There is nothing to be ordered."""
    turnstile = Turnstile(8)
    coming = turnstile.enter(100)
    try:
        coming.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


async def test_who_gives_up_holds_nobody_up() -> None:
    """Those behind have its turn."""
    turnstile = Turnstile(1)
    tasks = [asyncio.create_task(turnstile.enter(5)) for _ in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(tasks[0], tasks[2], tasks[3])
    assert tasks[1].cancelled()
