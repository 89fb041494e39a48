"""Makes and renews what streams are given.

Work waits in one line: who has nothing yet comes first, then what is due for renewal. A few workers take from it, so that
a thousand proxies that renew at once cost the event loop short steps and nothing else; keys are made in threads. The
source of certificates is asked for one at a time, and may take its time: a signer may be far away.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from cryptography import x509

from xdsd.ca.authority import CaError, signing_request
from xdsd.ca.issuer import CannotIssue, Svid, bundle, fingerprint
from xdsd.ca.keys import PrivateKey, PublicKey, new_key, private_pem
from xdsd.model.identity import SpiffeID
from xdsd.model.pem import certificates_of
from xdsd.model.secret import HeldSecrets, SecretStatus
from xdsd.secrets import schedule
from xdsd.secrets.messages import OWN, TRUST, own_secret, shown_in, trust_secret
from xdsd.snapshot import Resource

WORKERS = 4
SPREAD = 30.0
"""Seconds within which everything is renewed once somebody else signs."""

Deliver = Callable[[tuple[Resource, ...]], None]

Holder = tuple[SpiffeID, bool]
"""Whose streams there are; the flag tells gateways."""

Credentials = Callable[[SpiffeID, bool], tuple[Resource, ...]]
"""What an identity may use of what operators keep for it; the flag tells gateways."""


class Issuing(Protocol):
    """As much of ``xdsd.ca.authority.Authority`` as is needed here."""

    @property
    def roots(self) -> tuple[x509.Certificate, ...]: ...

    @property
    def bundle(self) -> bytes: ...

    @property
    def issuer(self) -> str: ...

    @property
    def turn(self) -> int: ...

    @property
    def root_ids(self) -> tuple[str, ...]: ...

    def root_of(self, issuer: str) -> str: ...

    @property
    def next_change(self) -> asyncio.Event: ...

    def now(self) -> datetime: ...

    async def issue(
        self, public_key: PublicKey, identity: SpiffeID, request: Callable[[], bytes]
    ) -> Svid: ...


class Federated(Protocol):
    """As much of ``xdsd.ca.federation.Federation`` as is needed here."""

    @property
    def own_domains(self) -> tuple[str, ...]: ...

    def own(self) -> tuple[x509.Certificate, ...]: ...

    def foreign(self) -> Mapping[str, bytes]: ...


class _Alone:
    """Nobody beside."""

    own_domains: tuple[str, ...] = ()

    def own(self) -> tuple[x509.Certificate, ...]:
        return ()

    def foreign(self) -> Mapping[str, bytes]:
        return {}


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
    """What one stream is given. ``own`` is its key and certificate; it is delivered and dropped with the lease.

    ``issuer`` tells signers apart, ``signed_by`` is the name of who signed, ``until`` when that expires; ``turn`` and
    ``trusts`` are of the roots that were delivered last.
    """

    identity: SpiffeID
    deliver: Deliver = field(repr=False)
    keeper: "Keeper" = field(repr=False)
    gateway: bool = False
    own: Resource | None = field(default=None, repr=False)
    certificate: x509.Certificate | None = None
    due: float = 0.0
    ends: float = 0.0
    renewal: datetime | None = None
    issuer: str = ""
    signed_by: str = ""
    until: datetime | None = None
    turn: int = -1
    trusts: tuple[str, ...] = ()
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

    def held(self) -> HeldSecrets | None:
        """The same for programs; None before anything was delivered."""
        return self.keeper.held(self)


def _none(identity: SpiffeID, gateway: bool) -> tuple[Resource, ...]:
    """Credentials of nobody."""
    del identity, gateway
    return ()


def _nobody(resources: tuple[Resource, ...]) -> None:
    """Takes what is delivered to a stream that is over."""


class Keeper:
    """``clock`` counts seconds, ``chance`` is from 0 to below 1. ``run`` does the work; ``open`` may come before it.

    ``federated`` says whom to trust beside the mesh's own authority.
    ``credentials`` says what each may use beside its own key and the roots, ``revoked`` gives the lists of revoked
    certificates (PEM). ``unused`` is told of an identity when its last stream as a gateway, or as
    another proxy, is over, with those of its namespace that are left.
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
        federated: Federated | None = None,
        credentials: Credentials = _none,
        unused: Callable[[SpiffeID, Collection[Holder]], None] = lambda _, __: None,
        pace: Callable[[float, float], float] = schedule.renewal,
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._chance = chance
        self._logger = logger
        self._observer = observer
        self._revoked = revoked
        self._federated = federated or _Alone()
        self._credentials = credentials
        self._unused = unused
        self._open: dict[str, Counter[Holder]] = {}
        self._renewed: set[str] = set()
        self._credentials_touched = asyncio.Event()
        self._pace = pace
        self._leases: dict[Lease, None] = {}
        self._due: list[tuple[float, int, Lease]] = []
        self._count = 0
        self._line: asyncio.PriorityQueue[tuple[float, int, Lease]] = asyncio.PriorityQueue()
        self._wake = asyncio.Event()
        self._trust: Resource | None = None
        self._turn, self._trusts = -1, tuple[str, ...]()
        self._trust_touched = asyncio.Event()

    def open(self, identity: SpiffeID, deliver: Deliver, *, gateway: bool = False) -> Lease:
        """A stream of this identity asks for its secrets; ``deliver`` is told all of them, soon and on each change."""
        lease = Lease(identity, deliver, self, gateway)
        self._leases[lease] = None
        self._open.setdefault(identity.namespace, Counter())[identity, gateway] += 1
        self._observer.leases(len(self._leases))
        self._enqueue(lease)
        return lease

    def forget(self, lease: Lease) -> None:
        """Its stream is over."""
        if lease not in self._leases:
            return
        del self._leases[lease]
        self._observer.leases(len(self._leases))
        holder = (lease.identity, lease.gateway)
        left = self._open[lease.identity.namespace]
        left[holder] -= 1
        if not left[holder]:
            del left[holder]
            if not left:
                del self._open[lease.identity.namespace]
            self._unused(lease.identity, left.keys())
        if len(self._due) > 2 * len(self._leases) + 64:
            self._due = [entry for entry in self._due if entry[2] in self._leases]
            heapq.heapify(self._due)

    def status(self, lease: Lease) -> tuple[SecretStatus, ...]:
        """What may be known of the secrets that a stream was given."""
        own = () if lease.certificate is None else (_status(OWN, lease.certificate, lease.renewal),)
        trusted = self._authorities() if lease.own is not None else ()
        given = self._credentials(lease.identity, lease.gateway) if lease.own is not None else ()
        kept = (_status(name, each) for secret in given for name, each in _certificates(secret))
        return (*own, *trusted, *kept)

    def held(self, lease: Lease) -> HeldSecrets | None:
        """What a stream was delivered last."""
        if lease.until is None:
            return None
        return HeldSecrets(lease.turn, lease.trusts, self._authority.root_of(lease.signed_by), lease.until)

    def revocations_changed(self) -> None:
        """The lists of revoked certificates are others now, or whom to trust beside the mesh's own authority."""
        self._trust_touched.set()

    async def tell_revocations(self) -> None:
        """The same; returns when all streams are told."""
        await self._tell_trust()

    def credentials_changed(self, namespaces: Iterable[str] | None) -> None:
        """What identities of these namespaces (None: of any) may use is something else now."""
        self._renewed.update(self._open if namespaces is None else namespaces)
        self._credentials_touched.set()

    def look(self) -> None:
        """Looks at the clock now, as after one that was set ahead."""
        self._wake.set()

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_trust(), name="trust of proxies")
            tasks.create_task(self._follow_revocations(), name="revocations of proxies")
            tasks.create_task(self._follow_credentials(), name="credentials of proxies")
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
        issuer = self._authority.issuer
        key: PrivateKey = await asyncio.to_thread(new_key)
        request = partial(signing_request, key, lease.identity)
        svid = await self._authority.issue(key.public_key(), lease.identity, request)
        text = await asyncio.to_thread(private_pem, key)
        if lease.closed:
            return
        if issuer != self._authority.issuer:  # nobody is given a certificate of a root that no longer issues
            self._enqueue(lease)
            return
        lease.issuer = issuer
        lease.own = own_secret(svid.chain, text, fingerprint(svid.certificate))
        life = (svid.expires - self._authority.now()).total_seconds()
        wait = self._pace(life, self._chance())
        lease.certificate = svid.certificate
        lease.signed_by, lease.until = svid.certificate.issuer.rfc4514_string(), svid.expires
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
            trusted = self._trusted()
            lease.turn, lease.trusts = self._turn, self._trusts
            credentials = self._credentials(lease.identity, lease.gateway)
            lease.deliver((lease.own, trusted, *credentials))

    # Whom to trust

    def _trusted(self) -> Resource:
        if self._trust is None:
            own, foreign = self._others()
            roots = bundle((*self._authority.roots, *own))
            self._trust = trust_secret(roots, self._revoked(), self._federated.own_domains, foreign)
            self._turn, self._trusts = self._authority.turn, self._authority.root_ids
        return self._trust

    def _authorities(self) -> Iterator[SecretStatus]:
        """All whom streams are told to trust, the mesh's own first."""
        own, foreign = self._others()
        for root in dict.fromkeys((*self._authority.roots, *own)):
            yield _status(TRUST, root)
        for domain, pem in foreign.items():
            for each in certificates_of(pem) if pem else ():
                yield replace(_status(TRUST, each), trust_domain=domain)

    def _others(self) -> tuple[tuple[x509.Certificate, ...], Mapping[str, bytes]]:
        """Whom to trust beside; where that cannot be told nobody, so that the mesh keeps its own roots."""
        try:
            return self._federated.own(), self._federated.foreign()
        except ValueError as error:
            self._logger.warning("nobody is trusted beside the mesh's own authority", why=str(error))
            return (), {}

    async def _follow_trust(self) -> None:
        """Tells all streams of other roots, and renews their certificates where somebody else signs."""
        changed = self._authority.next_change
        while True:
            await changed.wait()
            changed = self._authority.next_change
            await self._tell_trust()
            for lease in list(self._leases):
                if lease.certificate is None:
                    self._enqueue(lease)
                elif lease.issuer != self._authority.issuer:
                    self._plan(lease, schedule.spread(len(self._leases), SPREAD, self._chance()))

    async def _follow_revocations(self) -> None:
        while True:
            await self._trust_touched.wait()
            self._trust_touched.clear()
            await self._tell_trust()

    async def _follow_credentials(self) -> None:
        while True:
            await self._credentials_touched.wait()
            self._credentials_touched.clear()
            namespaces, self._renewed = self._renewed, set()
            await self._tell([each for each in self._leases if each.identity.namespace in namespaces])

    async def _tell_trust(self) -> None:
        self._trust = None
        await self._tell(list(self._leases))

    async def _tell(self, leases: Sequence[Lease]) -> None:
        for number, lease in enumerate(leases, 1):
            self._deliver(lease)
            if not number % 10:
                await asyncio.sleep(0)


def _certificates(secret: Resource) -> Iterator[tuple[str, x509.Certificate]]:
    """Those of a credential: its own one, or all of its authorities."""
    data, authorities = shown_in(secret)
    found = certificates_of(data) if data else ()
    yield from ((secret.name, each) for each in (found if authorities else found[:1]))


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
