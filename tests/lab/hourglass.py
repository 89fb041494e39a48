"""An event loop whose time passes at once when nothing is left to do, and else not at all.

What waits for minutes takes no time under it, and a machine that stands still makes nothing late: what is told about time is
exact. It has no use for sockets and threads, whose time is the world's.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class _Selector(selectors.DefaultSelector):
    """Lets the time pass that it would have to wait."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """What happened already; where nothing did, the time is over."""
        if timeout is None:
            raise RuntimeError("nothing is left to wait for")
        found = super().select(0)
        if not found:
            self.passed += max(timeout, 0)
        return found


class Hourglass(asyncio.SelectorEventLoop):
    """The loop; its time begins at 0."""

    def __init__(self) -> None:
        self._hourglass = _Selector()
        super().__init__(self._hourglass)

    def time(self) -> float:
        return self._hourglass.passed


def timeless(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that runs on such a loop; its fixtures may not be coroutines."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=Hourglass) as runner:
            runner.run(test(*args, **kwargs))

    return run
