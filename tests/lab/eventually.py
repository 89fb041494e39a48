"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

import aiohttp

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], what: str = ..., *, timeout: float = ..., every: float = ...
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T], what: str = ..., *, timeout: float = ..., every: float = ...
) -> T: ...


async def eventually(
    condition: Callable[[], T | Awaitable[T]], what: str = "", *, timeout: float = 60.0, every: float = 0.02
) -> T:
    """Asks ``condition`` until it answers with something true, and returns that.

    An AssertionError or an error of a connection means "not yet", so a condition may be a group of assertions;
    one that returns None has held once it raises nothing.

    Raises:
        AssertionError: it did not hold within ``timeout`` seconds; says what was seen last.
    """
    deadline = time.monotonic() + timeout
    while True:
        seen: object
        try:
            answer = condition()
            value: T = await answer if inspect.isawaitable(answer) else answer
            if value or value is None:
                return value
            seen = value
        except (AssertionError, OSError, aiohttp.ClientError) as error:
            seen = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or condition} did not hold within {timeout} s; seen last: {seen!r}")
        await asyncio.sleep(every)
