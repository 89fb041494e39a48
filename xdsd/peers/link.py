"""The link to one peer: its stream, its source of the catalog, and what is wrong with it."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from random import SystemRandom
from typing import Protocol

from cryptography import x509
from structlog.typing import FilteringBoundLogger

from api.peering.dialling import Dialler, Heard, Shown
from api.peering.wire import Unreadable, read_update, update_message
from api.proto.xdsd.peer.v1 import peering_pb2 as pb
from xdsd.ca.issuer import bundle
from xdsd.model.intent import Peer
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.peering.book import Book
from xdsd.peering.intake import News, PeerState, Refused
from xdsd.peering.values import Begin, Hello, Update
from xdsd.registry.base import CatalogChange, Sink
from xdsd.registry.last_good import LastGood

Roots = tuple[x509.Certificate, ...]
_LOST = "~lost"
"""How the name of the note ends that says when a peer was lost; no peer is called so."""

_NAMED = ("spec.caCertificates", "spec.trustDomain")
"""Fields of a Peer that may be what keeps it from being heard, where that is said; else its addresses are."""

_GONE = "its Peer is gone"

COPY_EVERY = 60.0
"""Seconds between two copies of what peers said, if it changed."""


class Catalogued(Protocol):
    """Where sources of the catalog report; the reconciler."""

    def expect(self, source: str) -> Sink: ...

    def forget(self, source: str) -> None: ...


class House(Protocol):
    """What the links have in common; ``Peers``."""

    @property
    def book(self) -> Book: ...

    @property
    def trust_domain(self) -> str: ...

    @property
    def root_namespace(self) -> str: ...

    @property
    def bring(self) -> Callable[[str, Mapping[str, Roots]], None]: ...

    def roots(self, name: str) -> Roots:
        """The authorities that vouch for a peer."""

    def roots_changed(self) -> None:
        """Those of some peer did."""

    def shown(self, name: str) -> Shown | str:
        """What a peer is shown, or why it cannot be called."""

    def settle(self) -> None:
        """Says what follows in the catalog."""


class Link:
    """One peer: its stream, its source of the catalog, and what is wrong with it."""

    def __init__(
        self,
        peers: House,
        name: str,
        sources: Catalogued,
        logger: FilteringBoundLogger,
        clock: Callable[[], float],
        copies: LastGood | None,
    ) -> None:
        self.source = f"peer:{name}"
        self._peers = peers
        self._name = name
        self._sources = sources
        self._clock = clock
        self._copies = copies
        self._intake = peers.book.intakes[name]
        self._ended = False
        self._dialler = Dialler(self._addresses, self, logger.bind(peer=name), SystemRandom())
        self._timed = asyncio.Event()
        self._copied = True
        self._sink = sources.expect(self.source)
        self._recall()
        self._sink.synced()  # a peer that is away keeps nobody from what is here
        self.tell_roots()

    @property
    def heard(self) -> Heard:
        """What came from the peer since the start."""
        return self._dialler.heard

    @property
    def _spec(self) -> Peer:
        return self._peers.book.peers[self._name]

    def _addresses(self) -> tuple[str, ...]:
        return () if self._ended else self._spec.addresses

    async def run(self) -> None:
        """Hears the peer and lets go what is over, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._dialler.run(), name=f"{self.source} stream")
                tasks.create_task(self._expire(), name=f"{self.source} keeping")
                tasks.create_task(self._copy(), name=f"{self.source} copies")
        finally:
            self._save()

    def hello(self) -> Hello:
        """How to subscribe."""
        return self._intake.hello()

    def shown(self) -> Shown | str:
        """What the peer is shown."""
        return _GONE if self._ended else self._peers.shown(self._name)

    def begins(self, begin: Begin) -> None:
        """The stream begins. Raises Refused."""
        self._must_be()
        try:
            self._intake.begins(begin)
        finally:
            self._tell()

    def takes(self, update: Update) -> None:
        """The peer says something. Raises Refused."""
        self._must_be()
        intake = self._intake
        synced = intake.synced
        news = intake.takes(update)
        self._peers.book.touch(self._name, news)
        self._copied = self._copied and not news
        self._peers.settle()
        if news.roots:
            self.tell_roots()
        if intake.synced and not synced:
            self._note_loss(b"")
            self._sink.synced()
        self._tell()

    def lost(self, why: str) -> None:
        """There is no stream."""
        if self._ended:
            return
        if not self._intake.is_lost:
            self._note_loss(f"{time.time():.0f}".encode())
        self._intake.lost(why, self._clock())
        if self._spec.addresses:
            self._sink.stale(why)
        self._timed.set()
        self._tell()

    def renew(self, *, given: bool) -> None:
        """The Peer is another; ``given``: its authorities too, which count from now on."""
        if given:
            self._intake.forget_roots()
        self.tell_roots()
        self._timed.set()
        self._dialler.renew()

    def end(self, change: CatalogChange) -> None:
        """The Peer is gone, with what it had in the catalog. The stream ends soon; what it says until then is refused."""
        self._ended = True
        say(self._sink, change)
        self._peers.bring(self.source, {})
        self._sources.forget(self.source)
        if self._copies is not None:
            self._copies.save(self._name, b"")
        self._note_loss(b"")

    def settle(self, most: int | None) -> None:
        """Says what follows in the catalog, of so many services at most."""
        say(self._sink, self._peers.book.drain(self._name, self.source, most))

    def tell_roots(self) -> None:
        """Says who vouches for the peer's workloads."""
        domain, roots = self._spec.trust_domain, self._peers.roots(self._name)
        own = domain == self._peers.trust_domain
        self._peers.roots_changed()
        self._peers.bring(self.source, {domain: roots} if roots and not own else {})

    def _must_be(self) -> None:
        if self._ended:
            raise Refused(_GONE)

    def _tell(self) -> None:
        """Says what is wrong."""
        ref = ObjectRef("Peer", self._peers.root_namespace, self._name)
        intake, found = self._intake, []
        if intake.state is PeerState.REFUSED:
            found.append(Problem(Reason.CONFLICT, f"is refused: {intake.why}", ref, "spec"))
        elif intake.why and self._spec.addresses:
            kept = (
                "what it said last is gone"
                if intake.state is PeerState.EXPIRED
                else "what it said last holds"
            )
            message = f"cannot be heard, {kept}: {intake.why}"
            path = next((each for each in _NAMED if each in intake.why), "spec.addresses")
            found.append(Problem(Reason.UNAVAILABLE, message, ref, path, severity=Severity.WARNING))
        found += self._misnamed(ref)
        found += (
            Problem(Reason.INVALID_VALUE, f"is refused what it says: {each}", ref, "spec")
            for each in intake.remarks
        )
        self._sink.problems("", found)

    def _misnamed(self, ref: ObjectRef) -> Iterator[Problem]:
        """What of the Peer's own words is not so, or not any more."""
        if self._name == self._peers.book.mesh:
            why = "is what our own mesh is called (mesh-name); a Peer is named as the other mesh calls itself"
            yield Problem(Reason.CONFLICT, why, ref, "metadata.name")
        given, told = self._spec.ca_certificates, self._intake.roots
        if given and told and not set(x509.load_pem_x509_certificates(given.encode())) & set(told):
            why = (
                "are none of those that vouch for it now. It told us the others, which are believed until this Peer is made"
                " anew; write down those that `xdsctl ca bundle` prints there"
            )
            yield Problem(Reason.INVALID_VALUE, why, ref, "spec.caCertificates", severity=Severity.WARNING)

    async def _expire(self) -> None:
        while True:
            self._timed.clear()
            due = self._intake.due
            pause = None if due is None else due - self._clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._timed.wait()
            if self._ended:
                return
            news = self._intake.expires(self._clock())
            if news:
                self._peers.book.touch(self._name, news)
                self._peers.settle()
                self._tell()

    async def _copy(self) -> None:
        while True:
            await asyncio.sleep(COPY_EVERY)
            await asyncio.to_thread(self._save)

    def _save(self) -> None:
        if self._copied or self._copies is None or self._ended:
            return
        intake = self._intake
        known = Update(
            0,
            True,
            tuple(intake.services.values()),
            gateways=intake.gateways,
            bundle=bundle(intake.roots) if intake.roots else None,
        )
        self._copied = True
        self._copies.save(self._name, update_message(known).SerializeToString())

    def _note_loss(self, moment: bytes) -> None:
        """Keeps when the stream was lost (Unix time in seconds), for the next start: ``keepFor`` begins there."""
        if self._copies is not None:
            self._copies.save(f"{self._name}{_LOST}", moment)

    def _lost_for(self) -> float:
        """Seconds since the stream was lost, before this start; 0 if it was there until the end: then it is lost now."""
        noted = self._copies.load(f"{self._name}{_LOST}") if self._copies is not None else None
        if not noted or not noted.isdigit():
            self._note_loss(f"{time.time():.0f}".encode())
            return 0.0
        return max(0.0, time.time() - float(noted))

    def _recall(self) -> None:
        data = self._copies.load(self._name) if self._copies is not None else None
        if not data:
            return
        try:
            known = read_update(pb.SubscribeResponse.FromString(data), sys.maxsize)
        except (Unreadable, ValueError):  # as good as none
            return
        ago = self._lost_for()
        if ago < self._intake.terms.keep_for:
            lost = self._clock() - ago
            self._intake.recall(known.services, known.gateways or (), known.bundle or b"", lost)
        self._peers.book.touch(self._name, News(whole=True))
        self.settle(None)


def say(sink: Sink, change: CatalogChange) -> None:
    """Tells a source of a change, if it is one."""
    if change.services or change.removed_services or change.endpoints:
        sink.change(change)
