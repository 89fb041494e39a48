"""What is known of a peer: taken from its stream, kept for a time without one, then gone.

Pure: ``now`` comes in, in seconds, and what changed comes out. A lie is a remark that stays until the next stream begins;
what was known of a service before it stays too, so that a peer that errs does not take away what works.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cryptography import x509

from xdsd.ca.reading import Unreadable
from xdsd.peering.judging import (
    MAX_GATEWAYS,
    gateway_fault,
    key_fault,
    read_roots,
    shared_fault,
    summaries_fault,
)
from xdsd.peering.values import Begin, Gateway, Hello, Shared, SharedKey, Summary, Update, Wanted

MAX_REMARKS = 20
PORTS_EACH = 3
"""Ports that services have on average at most: it is for ports that sidecars have clusters."""


class PeerState(StrEnum):
    """How a peer is."""

    WAITING = "WAITING"
    """Nothing of it is known yet."""
    CONNECTED = "CONNECTED"
    KEPT = "KEPT"
    """Its stream is gone; what it said last holds."""
    EXPIRED = "EXPIRED"
    """Its stream is gone, and so is what it said."""
    REFUSED = "REFUSED"
    """It is not whom the Peer names."""


class Refused(Exception):  # noqa: N818 - it is named after what is the matter
    """The stream is not to go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the Peer object says, as far as it is for the intake; ``keep_for`` in seconds, ``most`` services at once.
    ``near``: it is called on this machine's loopback.
    """

    name: str
    trust_domain: str
    wanted: tuple[Wanted, ...]
    keep_for: float
    most: int
    near: bool = False

    @property
    def most_ports(self) -> int:
        return self.most * PORTS_EACH


@dataclass(frozen=True, slots=True)
class News:
    """What changed: services (gone ones too), all of them where ``whole`` (a gateway did), and the authorities."""

    services: frozenset[SharedKey] = frozenset()
    whole: bool = False
    roots: bool = False

    def __bool__(self) -> bool:
        return bool(self.services or self.whole or self.roots)


@dataclass(slots=True)
class _Stream:
    """What a stream said so far."""

    begin: Begin
    named: set[SharedKey] = field(default_factory=set)
    complete: bool = False


class Intake:
    """One peer; ``mesh`` is what our own is called."""

    def __init__(self, mesh: str, terms: Terms) -> None:
        self._mesh = mesh
        self.terms = terms
        self.state = PeerState.WAITING
        self.services: dict[SharedKey, Shared] = {}
        self.gateways: tuple[Gateway, ...] = ()
        self.roots: tuple[x509.Certificate, ...] = ()
        self.remarks: list[str] = []
        self.why = ""
        self._epoch = ""
        self._generation = 0
        self._stream: _Stream | None = None
        self._lost: float | None = None
        self._over = False
        self._left_out = False
        self._ports = 0

    @property
    def synced(self) -> bool:
        """Whether the stream that is there has told everything once."""
        return self._stream is not None and self._stream.complete

    @property
    def is_lost(self) -> bool:
        """Whether no stream has told everything since the last one was lost, or none could be had."""
        return self._lost is not None

    @property
    def due(self) -> float | None:
        """When what is known goes; None while the peer is heard, and once it is gone."""
        return None if self._lost is None or self._over else self._lost + self.terms.keep_for

    def hello(self) -> Hello:
        """How to subscribe, from where the last stream ended; from the beginning if there was no room for all it told."""
        if self._left_out:
            return Hello(self._mesh, self.terms.wanted)
        return Hello(self._mesh, self.terms.wanted, self._epoch, self._generation)

    def begins(self, begin: Begin) -> None:
        """A stream begins. Raises Refused where it is not the peer's."""
        if begin.mesh == self._mesh:
            raise self._refuse(f"the mesh calls itself {begin.mesh}, as we do: is that our own address?")
        if begin.mesh != self.terms.name:
            raise self._refuse(f"the mesh calls itself {begin.mesh[:63]!r}, not {self.terms.name}")
        if begin.trust_domain != self.terms.trust_domain:
            said = begin.trust_domain[:255]
            raise self._refuse(f"it says that its trust domain is {said!r}, not {self.terms.trust_domain}")
        if begin.resumed and begin.epoch != self._epoch:
            raise self._refuse("it goes on with what it never began")
        self._stream = _Stream(begin, set(self.services) if begin.resumed else set())
        self._over = False
        self._epoch, self.remarks = begin.epoch, []
        if not begin.resumed:
            self._generation, self._left_out = 0, False
        self.state, self.why = PeerState.CONNECTED, ""

    def takes(self, update: Update) -> News:
        """The stream says something. Raises Refused for what no peer says."""
        stream = self._stream
        if stream is None:
            raise Refused("it speaks before it begins")
        changed = {key for shared in update.services if (key := self._take(stream, shared)) is not None}
        changed |= {key for key, health in update.health if self._take_health(key, health)}
        for key in update.removed:
            stream.named.discard(key)
            changed |= self._drop((key,))
        whole = self._take_gateways(update.gateways) if update.gateways is not None else False
        roots = self._take_bundle(update.bundle) if update.bundle is not None else False
        if update.complete:
            self._generation = update.generation
            if not stream.complete:
                stream.complete, self._lost = True, None
                changed |= self._drop(key for key in list(self.services) if key not in stream.named)
        return News(frozenset(changed), whole, roots)

    def lost(self, why: str, now: float) -> None:
        """The stream ended, or cannot be had."""
        self._stream = None
        if self._lost is None:
            self._lost = now
        self.why = why
        if self.state is PeerState.CONNECTED:
            self.state = PeerState.KEPT

    def expires(self, now: float) -> News:
        """What is known goes if its time is over."""
        due = self.due
        if due is None or now < due:
            return News()
        self._over = True
        if self.state is PeerState.KEPT:
            self.state = PeerState.EXPIRED
        self._epoch, self._generation = "", 0
        return News(frozenset(self._drop(list(self.services))))

    def change(self, terms: Terms) -> News:
        """Other terms from now on; what they do not take goes. The stream has to begin anew."""
        before, self.terms = self.terms, terms
        self._epoch, self._generation = "", 0
        if before.trust_domain != terms.trust_domain:
            self.roots = ()
            return News(frozenset(self._drop(list(self.services))), roots=True)
        gone = self._drop([key for key in self.services if key_fault(key, terms.wanted) is not None])
        return News(
            frozenset(gone | self._drop(list(self.services)[terms.most :]) | self._drop(self._wide()))
        )

    def forget_roots(self) -> None:
        """Others are given; those that the peer told count no more, until it tells them again."""
        self.roots = ()
        self._epoch, self._generation = "", 0

    def recall(
        self, services: Iterable[Shared], gateways: Sequence[Gateway], bundle: bytes, lost: float
    ) -> None:
        """What was known before this daemon started, from a stream that was lost then; it is judged as it was then."""
        stream = _Stream(Begin(self.terms.name, self.terms.trust_domain, ""))
        for shared in services:
            self._take(stream, shared)
        self._take_gateways(tuple(gateways))
        if bundle:
            self._take_bundle(bundle)
        self.state, self._lost, self.why = PeerState.KEPT, lost, "not connected since the start"

    def _take(self, stream: _Stream, shared: Shared) -> SharedKey | None:
        key = shared.key
        fault = key_fault(key, self.terms.wanted) or shared_fault(shared, self.terms.trust_domain)
        if fault is None and (fault := self._room_fault(shared)) is not None:
            self._left_out = True
        if fault is not None:
            self._remark(fault)
            if key in self.services:
                stream.named.add(key)
            return None
        stream.named.add(key)
        if self.services.get(key) == shared:
            return None
        self._ports += len(shared.ports) - self._ports_of(key)
        self.services[key] = shared
        return key

    def _room_fault(self, shared: Shared) -> str | None:
        """Why there is no room for a service, or for what it is now."""
        if shared.key not in self.services and len(self.services) >= self.terms.most:
            return f"it offers more than the {self.terms.most} services that spec.maxServices takes from it"
        more = len(shared.ports) - self._ports_of(shared.key)
        if more > 0 and self._ports + more > self.terms.most_ports:
            each = f"{PORTS_EACH} for each service that spec.maxServices takes from it"
            return f"it offers more than {self.terms.most_ports} ports, which are {each}"
        return None

    def _ports_of(self, key: SharedKey) -> int:
        known = self.services.get(key)
        return len(known.ports) if known is not None else 0

    def _wide(self) -> Iterator[SharedKey]:
        """Those of whose ports there are too many, the newest first."""
        over = self._ports - self.terms.most_ports
        for key in reversed(self.services):
            if over <= 0:
                return
            over -= self._ports_of(key)
            yield key

    def _take_health(self, key: SharedKey, summaries: tuple[Summary, ...]) -> bool:
        known = self.services.get(key)
        if known is None:
            self._remark(f"it tells how {str(key)[:140]} is, which is not known of it")
            return False
        if fault := summaries_fault(summaries):
            self._remark(f"of {key} it says what cannot be: {fault}")
            return False
        self.services[key] = replace(known, summaries=summaries)
        return known.summaries != summaries

    def _take_gateways(self, gateways: tuple[Gateway, ...]) -> bool:
        taken = []
        for each in gateways[:MAX_GATEWAYS]:
            if fault := gateway_fault(each, near=self.terms.near):
                self._remark(fault)
            else:
                taken.append(each)
        if len(gateways) > MAX_GATEWAYS:
            self._remark(f"it has {len(gateways)} gateways; the first {MAX_GATEWAYS} are taken")
        if gateways and not taken:
            return False
        before, self.gateways = self.gateways, tuple(taken)
        return before != self.gateways

    def _take_bundle(self, bundle: bytes) -> bool:
        try:
            roots = read_roots(bundle)
        except Unreadable as error:
            self._remark(str(error))
            return False
        changed, self.roots = roots != self.roots, roots
        return changed

    def _drop(self, keys: Iterable[SharedKey]) -> set[SharedKey]:
        gone = {key: found for key in list(keys) if (found := self.services.pop(key, None)) is not None}
        self._ports -= sum(len(found.ports) for found in gone.values())
        return set(gone)

    def _remark(self, text: str) -> None:
        if len(self.remarks) < MAX_REMARKS and text not in self.remarks:
            self.remarks.append(text)

    def _refuse(self, why: str) -> Refused:
        self.state, self.why = PeerState.REFUSED, why
        return Refused(why)
