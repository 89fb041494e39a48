"""Makes and renews what streams are given.

Work waits in one line: who has nothing yet comes first, then what is due for renewal. A few workers take from it, so that
a thousand proxies that renew at once cost the event loop short steps and nothing else; keys are made in threads. The
source of certificates is asked for one at a time, and may take its time: a signer may be far away.
"""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from cryptography import x509

from xdsd.ca.authority import CaError, signing_request
from xdsd.ca.issuer import CannotIssue, Svid, fingerprint
from xdsd.ca.keys import PrivateKey, PublicKey, new_key, private_pem
from xdsd.model.identity import SpiffeID
from xdsd.model.secret import SecretStatus
from xdsd.secrets import schedule
from xdsd.secrets.messages import OWN, TRUST, own_secret, trust_secret
from xdsd.snapshot import Resource

WORKERS = 4
SPREAD = 30.0
"""Seconds within which everything is renewed once somebody else signs."""

Deliver = Callable[[tuple[Resource, ...]], None]


class Issuing(Protocol):
    """As much of ``xdsd.ca.authority.Authority`` as is needed here."""

    @property
    def roots(self) -> tuple[x509.Certificate, ...]: ...

    @property
    def bundle(self) -> bytes: ...

    @property
    def next_change(self) -> asyncio.Event: ...

    def now(self) -> datetime: ...

    async def issue(
        self, public_key: PublicKey, identity: SpiffeID, request: Callable[[], bytes]
    ) -> Svid: ...


class Logger(Protocol):
    """The few words of a structlog logger that are used here."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...


class Observer(Protocol):
    """Who counts: metrics, in the daemon."""

    def certificate_issued(self) -> None: ...

    def certificate_failed(self) -> None: ...

    def leases(self, count: int) -> None: ...


@dataclass(slots=True, eq=False)
class Lease:
    """What one stream is given. ``own`` is its key and certificate; it is delivered and dropped with the lease."""

    identity: SpiffeID
    deliver: Deliver = field(repr=False)
    keeper: "Keeper" = field(repr=False)
    own: Resource | None = field(default=None, repr=False)
    certificate: x509.Certificate | None = None
    due: float = 0.0
    ends: float = 0.0
    renewal: datetime | None = None
    failures: int = 0
    queued: bool = False
    closed: bool = False

    def close(self) -> None:
        """The stream is over: nothing of what it was given is kept."""
        self.closed = True
        self.own = None
        self.deliver = _nobody
        self.keeper.forget(self)

    def status(self) -> tuple[SecretStatus, ...]:
        """What may be known of what it was given."""
        return self.keeper.status(self)


def _nobody(resources: tuple[Resource, ...]) -> None:
    """Takes what is delivered to a stream that is over."""


class Keeper:
    """``clock`` counts seconds, ``chance`` is from 0 to below 1. ``run`` does the work; ``open`` may come before it.

    ``revoked`` gives the lists of revoked certificates (PEM).
    ``pace`` says after how long one is renewed, from its life in seconds and chance.
    """

    def __init__(
        self,
        authority: Issuing,
        clock: Callable[[], float],
        chance: Callable[[], float],
        logger: Logger,
        observer: Observer,
        *,
        revoked: Callable[[], bytes] = bytes,
        pace: Callable[[float, float], float] = schedule.renewal,
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._chance = chance
        self._logger = logger
        self._observer = observer
        self._revoked = revoked
        self._pace = pace
        self._leases: dict[Lease, None] = {}
        self._due: list[tuple[float, int, Lease]] = []
        self._count = 0
        self._line: asyncio.PriorityQueue[tuple[float, int, Lease]] = asyncio.PriorityQueue()
        self._wake = asyncio.Event()
        self._trust: Resource | None = None
        self._trust_touched = asyncio.Event()

    def open(self, identity: SpiffeID, deliver: Deliver) -> Lease:
        """A stream of this identity asks for its secrets; ``deliver`` is told all of them, soon and on each change."""
        lease = Lease(identity, deliver, self)
        self._leases[lease] = None
        self._observer.leases(len(self._leases))
        self._enqueue(lease)
        return lease

    def forget(self, lease: Lease) -> None:
        """Its stream is over."""
        self._leases.pop(lease, None)
        self._observer.leases(len(self._leases))
        if len(self._due) > 2 * len(self._leases) + 64:
            self._due = [entry for entry in self._due if entry[2] in self._leases]
            heapq.heapify(self._due)

    def status(self, lease: Lease) -> tuple[SecretStatus, ...]:
        """What may be known of the secrets that a stream was given."""
        own = () if lease.certificate is None else (_status(OWN, lease.certificate, lease.renewal),)
        roots = self._authority.roots if lease.own is not None else ()
        return (*own, *(_status(TRUST, root) for root in roots))

    def revocations_changed(self) -> None:
        """The lists of revoked certificates are others now."""
        self._trust_touched.set()

    def look(self) -> None:
        """Looks at the clock now, as after one that was set ahead."""
        self._wake.set()

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_trust(), name="trust of proxies")
            tasks.create_task(self._follow_revocations(), name="revocations of proxies")
            tasks.create_task(self._watch_times(), name="renewals")
            for number in range(WORKERS):
                tasks.create_task(self._work(), name=f"certificates {number}")

    # When

    def _enqueue(self, lease: Lease) -> None:
        if lease.queued or lease.closed:
            return
        lease.queued = True
        self._count += 1
        self._line.put_nowait((lease.ends, self._count, lease))

    def _plan(self, lease: Lease, wait: float) -> None:
        lease.due = self._clock() + wait
        self._count += 1
        heapq.heappush(self._due, (lease.due, self._count, lease))
        self._wake.set()

    async def _watch_times(self) -> None:
        while True:
            now = self._clock()
            while self._due and self._due[0][0] <= now:
                due, _, lease = heapq.heappop(self._due)
                if due == lease.due:
                    self._enqueue(lease)
            pause = self._due[0][0] - now if self._due else None
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    # What

    async def _work(self) -> None:
        while True:
            _, _, lease = await self._line.get()
            lease.queued = False
            if lease.closed:
                continue
            try:
                await self._renew(lease)
            except (CannotIssue, CaError) as error:
                self._failed(lease, error)

    async def _renew(self, lease: Lease) -> None:
        key: PrivateKey = await asyncio.to_thread(new_key)
        request = partial(signing_request, key, lease.identity)
        svid = await self._authority.issue(key.public_key(), lease.identity, request)
        text = await asyncio.to_thread(private_pem, key)
        if lease.closed:
            return
        lease.own = own_secret(svid.chain, text, fingerprint(svid.certificate))
        life = (svid.expires - self._authority.now()).total_seconds()
        wait = self._pace(life, self._chance())
        lease.certificate = svid.certificate
        lease.ends = self._clock() + life
        lease.renewal = self._authority.now() + timedelta(seconds=wait)
        if lease.failures:
            self._logger.info("certificate issued again", identity=str(lease.identity))
        lease.failures = 0
        self._plan(lease, wait)
        self._observer.certificate_issued()
        self._deliver(lease)

    def _failed(self, lease: Lease, error: Exception) -> None:
        lease.failures += 1
        self._observer.certificate_failed()
        if lease.failures == 1:
            self._logger.warning(
                "certificate not issued; trying again", identity=str(lease.identity), why=str(error)
            )
        self._plan(lease, schedule.retry(lease.failures, lease.ends - self._clock(), self._chance()))

    def _deliver(self, lease: Lease) -> None:
        if lease.own is not None and not lease.closed:
            lease.deliver((lease.own, self._trusted()))

    # Whom to trust

    def _trusted(self) -> Resource:
        if self._trust is None:
            self._trust = trust_secret(self._authority.bundle, self._revoked())
        return self._trust

    async def _follow_trust(self) -> None:
        """Tells all streams of other roots, and renews their certificates: somebody else may sign."""
        changed = self._authority.next_change
        while True:
            await changed.wait()
            changed = self._authority.next_change
            await self._tell_trust()
            for lease in list(self._leases):
                if lease.certificate is None:
                    self._enqueue(lease)
                else:
                    self._plan(lease, schedule.spread(len(self._leases), SPREAD, self._chance()))

    async def _follow_revocations(self) -> None:
        while True:
            await self._trust_touched.wait()
            self._trust_touched.clear()
            await self._tell_trust()

    async def _tell_trust(self) -> None:
        self._trust = None
        for number, lease in enumerate(list(self._leases), 1):
            self._deliver(lease)
            if not number % 10:
                await asyncio.sleep(0)


def _status(name: str, certificate: x509.Certificate, renewal: datetime | None = None) -> SecretStatus:
    names: list[str] = []
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = found.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        names = []
    return SecretStatus(
        name,
        ", ".join(names) or certificate.subject.rfc4514_string(),
        f"{certificate.serial_number:x}",
        fingerprint(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        renewal,
    )
