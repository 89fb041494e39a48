"""Certificates by which sidecars stand in for servers outside, towards their own programs: Inspections.

One identity has one certificate, of all hosts that are inspected for it, and shares it between its streams. It is made when
a stream of that identity is there, renewed as others are, and forgotten when its last stream is over. Programs know roots
from files, so it is signed as the daemon's own certificate is: below a root that was there when they were given these.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from xdsd.ca.authority import CaError, Credential
from xdsd.ca.issuer import CannotIssue, fingerprint
from xdsd.model.identity import SpiffeID
from xdsd.model.inspected import SECRET, Inspected, names_for
from xdsd.secrets import schedule
from xdsd.secrets.messages import own_secret
from xdsd.snapshot import Resource

MOST_NAMES = 200
"""Hosts in one certificate; of more, the first of the alphabet have their place."""


class Issuing(Protocol):
    """As much of ``xdsd.ca.authority.Authority`` as is needed here."""

    @property
    def next_change(self) -> asyncio.Event: ...

    def now(self) -> datetime: ...

    async def own_credential(self, identity: SpiffeID, names: Sequence[str]) -> Credential: ...


class Logger(Protocol):
    """The few words of a structlog logger that are used here."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...


@dataclass(slots=True, eq=False)
class _Held:
    """What an identity has: a certificate for ``names``, made anew at ``due`` by the clock."""

    names: tuple[str, ...]
    due: float = 0.0
    resource: Resource | None = field(default=None, repr=False)
    failures: int = 0


class Inspector:
    """``tell`` is told of namespaces in which some identity has another certificate now (None: in any); ``clock`` counts
    seconds, ``chance`` is from 0 to below 1.
    """

    def __init__(
        self,
        authority: Issuing,
        clock: Callable[[], float],
        chance: Callable[[], float],
        logger: Logger,
        tell: Callable[[Iterable[str] | None], None],
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._chance = chance
        self._logger = logger
        self._tell = tell
        self._inspected: tuple[Inspected, ...] = ()
        self._held: dict[SpiffeID, _Held] = {}
        self._wake = asyncio.Event()

    def inspect(self, inspected: tuple[Inspected, ...]) -> None:
        """These Inspections count from now on."""
        if inspected == self._inspected:
            return
        self._inspected = inspected
        for identity, held in list(self._held.items()):
            names = self._names(identity)
            if names != held.names:
                del self._held[identity]
                if names:
                    self._held[identity] = _Held(names, resource=held.resource)
        self._wake.set()
        self._tell(None)

    def given(self, identity: SpiffeID) -> tuple[Resource, ...]:
        """What an identity has, as far as it is made; what is not is made soon."""
        held = self._held.get(identity)
        if held is None:
            names = self._names(identity)
            if not names:
                return ()
            held = self._held[identity] = _Held(names)
            self._wake.set()
        return (held.resource,) if held.resource is not None else ()

    def release(self, identity: SpiffeID, left: Collection[tuple[SpiffeID, bool]] = ()) -> None:
        """A stream of an identity is over, and of its namespace these are ``left``. Of one without streams nothing is kept,
        and nothing is made.
        """
        if all(each != identity for each, _ in left):
            self._held.pop(identity, None)

    def look(self) -> None:
        """Looks at the clock now, as after one that was set ahead."""
        self._wake.set()

    async def run(self) -> None:
        """Makes certificates and renews them, all anew when the authority changes, until cancelled."""
        changed = self._authority.next_change
        while True:
            self._wake.clear()
            due = min((held.due for held in self._held.values()), default=None)
            pause = None if due is None else max(due - self._clock(), 0.0)
            waits = [asyncio.ensure_future(each.wait()) for each in (self._wake, changed)]
            try:
                await asyncio.wait(waits, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
            if changed.is_set():
                changed = self._authority.next_change
                for held in self._held.values():
                    held.due = 0.0
            for identity, held in list(self._held.items()):
                if held.due <= self._clock() and self._held.get(identity) is held:
                    await self._make(identity, held)

    async def _make(self, identity: SpiffeID, held: _Held) -> None:
        try:
            made = await self._authority.own_credential(identity, held.names)
        except (CannotIssue, CaError) as error:
            held.failures += 1
            held.due = self._clock() + schedule.retry(held.failures, 0.0, self._chance())
            if held.failures == 1:
                self._logger.warning("no certificate to inspect with", identity=str(identity), why=str(error))
            return
        if self._held.get(identity) is not held:
            return
        life = (made.svid.expires - self._authority.now()).total_seconds()
        held.due, held.failures = self._clock() + schedule.renewal(life, self._chance()), 0
        held.resource = own_secret(made.svid.chain, made.key, fingerprint(made.svid.certificate), SECRET)
        self._tell({identity.namespace})

    def _names(self, identity: SpiffeID) -> tuple[str, ...]:
        return names_for(self._inspected, identity.namespace, identity.service_account)[:MOST_NAMES]
