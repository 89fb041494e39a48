"""Looks at when the CA's certificates expire, and tells those who should know, also why its source is not used."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from xdsd.ca.authority import Authority
from xdsd.ca.expiry import Expiry, problems, sentence
from xdsd.health import Check
from xdsd.model.problem import Problem, Reason, Severity

EVERY = 3600.0
"""Seconds between two looks while nothing changes."""
NAME = "certificate authority"


class Observer(Protocol):
    """Who counts: metrics, in the daemon."""

    def ca_expires(self, found: Iterable[tuple[str, str, float]]) -> None:
        """These are all certificates of the CA: place, id, and the Unix time at which each expires."""


class ExpiryWatch:
    """``ours`` are roots that the daemon makes; ``tell`` hears what is wrong now, each time."""

    def __init__(
        self,
        authority: Authority,
        observer: Observer,
        tell: Callable[[Sequence[Problem]], None],
        *,
        ours: bool,
    ) -> None:
        self._authority = authority
        self._observer = observer
        self._tell = tell
        self._ours = ours
        self._fault = ""

    def faulty(self, why: str) -> None:
        """Why what the CA's source holds is not used; empty: it is."""
        self._fault = why
        self._look()

    async def run(self) -> None:
        """Looks until cancelled: at each change, and every hour."""
        while True:
            change = self._authority.next_change
            self._look()
            try:
                async with asyncio.timeout(EVERY):
                    await change.wait()
            except TimeoutError:
                continue

    def checks(self) -> Sequence[Check]:
        """How the CA is: well, with what expires next, or with a certificate that expired (what was known is served)."""
        found, now = self._authority.expiries, self._authority.now()
        if not found:
            return ()
        gone = [each for each in found if each.gone(now)]
        return (Check(NAME, not gone, sentence((gone or [_first(found)])[0], now), stale=bool(gone)),)

    def _look(self) -> None:
        found = self._authority.expiries
        self._observer.ca_expires((each.place.value, each.id, each.expires.timestamp()) for each in found)
        fault = (Problem(Reason.UNAVAILABLE, self._fault, severity=Severity.WARNING),) if self._fault else ()
        self._tell((*fault, *problems(found, self._authority.now(), ours=self._ours)))


def _first(found: Sequence[Expiry]) -> Expiry:
    return min(found, key=lambda each: each.expires)
