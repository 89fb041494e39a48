"""What a sink is told of one Consul: nothing twice."""

import asyncio
from collections.abc import Sequence

from xdsd.model.problem import Problem
from xdsd.registry.base import CatalogChange, Sink
from xdsd.registry.consul.book import NOTHING


class Telling:
    """``again`` is for how many seconds a Consul is away before it is told that this is for another reason now."""

    def __init__(self, sink: Sink, again: float) -> None:
        self._sink = sink
        self._again = again
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._away: str | None = ""
        self._since = 0.0

    def is_away(self, why: str) -> None:
        """Consul cannot be asked."""
        now = asyncio.get_running_loop().time()
        if not self._away or (why != self._away and now - self._since > self._again):
            self._away, self._since = why, now
            self._sink.stale(why)

    def is_there(self) -> None:
        """All that Consul has was told."""
        if self._away is not None:
            self._away = None
            self._sink.synced()

    def change(self, change: CatalogChange) -> None:
        """The catalog is otherwise."""
        if change != NOTHING:
            self._sink.change(change)

    def say(self, scope: str, problems: Sequence[Problem]) -> None:
        """These are the problems of a scope now."""
        found = tuple(problems)
        if self._problems.get(scope, ()) == found:
            return
        if found:
            self._problems[scope] = found
        else:
            del self._problems[scope]
        self._sink.problems(scope, found)
