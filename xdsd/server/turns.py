"""Calls that are counted by the second for each who makes them: whoever goes beyond is told so, and counted."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from xdsd.server.quotas import Limit, OverLimit, Rates


class Turns:
    """``limit`` is the setting that says how much of ``what``; ``exceeded`` is told it for each call that is turned away."""

    def __init__(
        self,
        limit: Limit,
        what: str,
        rates: Rates,
        logger: FilteringBoundLogger,
        exceeded: Callable[[str], None],
    ) -> None:
        self._limit = limit
        self._what = what
        self._rates = rates
        self._logger = logger
        self._exceeded = exceeded
        self._over: set[str] = set()

    def refusal(self, who: str) -> str:
        """Why ``who`` has no turn now; empty where it had one. Logged when somebody begins to go beyond."""
        if self._rates.take(who):
            self._over.discard(who)
            return ""
        self._exceeded(self._limit)
        over = OverLimit(
            self._limit,
            f"{who} asks for more than {self._rates.rate:g} {self._what} a second; try again later",
        )
        if who not in self._over:
            if len(self._over) >= _MOST:
                self._over.clear()
            self._over.add(who)
            self._logger.warning("a proxy is over a limit", limit=over.limit, why=str(over))
        return str(over)


_MOST = 10_000
"""Of whom it is remembered that they were told of."""
