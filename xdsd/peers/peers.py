"""What is known of all peers, and what the mesh has to do with them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import grpc
from cryptography import x509
from structlog.typing import FilteringBoundLogger

from api.peering.dialling import SERVED, Heard, Shown
from api.peering.serving import Offered, PeeringService, Unwelcome
from xdsd.ca.authority import Credential
from xdsd.ca.checking import NotProven
from xdsd.ca.issuer import bundle
from xdsd.ca.proving import daemon_name, identity_of_server
from xdsd.ca.reading import read_certificates
from xdsd.intents.watching import IntentChange
from xdsd.model.catalog import ServiceKey
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import Peer, Residency
from xdsd.model.problem import ObjectRef
from xdsd.peering.book import Book, Here
from xdsd.peering.values import Hello
from xdsd.peering.vouching import read_chain, vouched
from xdsd.peers.link import Catalogued, Link, say
from xdsd.registry.base import Sink
from xdsd.registry.last_good import LastGood

Roots = tuple[x509.Certificate, ...]
Revoked = Callable[[SpiffeID, int, datetime], object | None]
AT_ONCE = 100
"""Services of which is said at once what follows in the catalog, and what a peer is offered."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """What our own mesh is called, and where its names are."""

    name: str
    trust_domain: str
    domain: str
    root_namespace: str


class Own(Protocol):
    """How the daemon shows itself."""

    @property
    def current(self) -> Credential | None: ...


class Nothing:
    """A daemon that has nothing to show."""

    @property
    def current(self) -> None:
        return None


class Peers:
    """Made within a running event loop. ``trusted`` says whom the mesh itself trusts, ``bring`` takes authorities of others'
    trust domains, by who says so; ``copies`` keep what peers said for the next start, and ``lead`` is told what is
    offered to some peer, so that gateways lead there. ``revoked`` says who is shut out, by identity and serial.
    """

    def __init__(
        self,
        mesh: Mesh,
        here: Here,
        sources: Catalogued,
        own: Own,
        trusted: Callable[[], Roots],
        bring: Callable[[str, Mapping[str, Roots]], None],
        logger: FilteringBoundLogger,
        copies: LastGood | None = None,
        lead: Callable[[frozenset[ServiceKey]], None] = lambda _: None,
        revoked: Revoked = lambda _, __, ___: None,
    ) -> None:
        self._lead = lead
        self._revoked = revoked
        self._all_roots = b""
        self._here = mesh
        self._book = Book(mesh.name, mesh.trust_domain, mesh.domain, here)
        self._sources = sources
        self._own = own
        self._trusted = trusted
        self.bring = bring
        self._logger = logger
        self._copies = copies
        self._clock = asyncio.get_running_loop().time
        self._offered: dict[str, Offered] = {}
        self._links: dict[str, Link] = {}
        self._local: Sink | None = None
        self._changed = asyncio.Event()
        self._next: asyncio.Handle | None = None
        self._settling = False

    @property
    def mesh(self) -> str:
        return self._here.name

    @property
    def trust_domain(self) -> str:
        return self._here.trust_domain

    @property
    def root_namespace(self) -> str:
        return self._here.root_namespace

    @property
    def book(self) -> Book:
        """What is known of peers."""
        return self._book

    @property
    def heard(self) -> Mapping[str, Heard]:
        """What came from each peer since the start."""
        return {name: link.heard for name, link in self._links.items()}

    @property
    def service(self) -> PeeringService:
        """To be served to peers."""
        return PeeringService(self, self._logger)

    # What arrives.

    def objects(self, change: IntentChange) -> None:
        """Objects of the store changed."""
        upserts = {obj.ref: obj for obj in change.upserts}
        for ref in (*(self._declared() if change.complete else ()), *change.removed):
            if ref not in upserts:
                self._drop(ref)
        for ref, obj in upserts.items():
            if isinstance(obj.spec, Residency):
                self._book.put_residency(ref, obj.spec)
            elif isinstance(obj.spec, Peer) and ref.namespace == self._here.root_namespace:
                self._put(ref.name, obj.spec)
        self.settle(None if change.complete else AT_ONCE)  # what the store says at first is published whole

    def services_changed(self, keys: frozenset[ServiceKey]) -> None:
        """Services of the catalog changed, or their endpoints."""
        before = {name: offer.generation for name, offer in self._book.offers.items()}
        self._book.here_changed(keys)
        for name, generation in before.items():
            if self._book.offers[name].generation != generation:
                self._offered[name].changed()
        self.settle()

    def trust_changed(self) -> None:
        """The mesh's own authorities changed."""
        self._book.set_bundle(bundle(self._trusted()))
        for offered in self._offered.values():
            offered.changed()
        for link in self._links.values():
            link.tell_roots()

    # What is asked.

    def welcome(self, hello: Hello, chain: bytes) -> Offered:
        """Raises Unwelcome."""
        peer = self._book.peers.get(hello.mesh)
        if peer is None:
            raise Unwelcome(f"the mesh {self._here.name} has no Peer {hello.mesh[:63]!r}")
        if self._book.is_beginning(hello.mesh):
            raise Unwelcome(f"the mesh {self._here.name} finds out what it offers; ask again")
        daemon, now = identity_of_server(peer.trust_domain, self._here.root_namespace), datetime.now(UTC)
        try:
            shown = read_chain(chain)
            vouched(shown, self.roots(hello.mesh), daemon, now)
        except NotProven as error:
            raise Unwelcome(f"the caller is not the peer {hello.mesh}: {error}") from error
        if self._revoked(daemon, shown[0].serial_number, now) is not None:
            raise Unwelcome(f"the certificate or the identity of the peer {hello.mesh} is revoked")
        return self._offered[hello.mesh]

    def roots(self, name: str) -> Roots:
        """The authorities that vouch for a peer: those that it told, else those that its Peer holds to begin with."""
        peer = self._book.peers[name]
        if peer.trust_domain == self._here.trust_domain:
            return self._trusted()
        given = peer.ca_certificates
        return self._book.intakes[name].roots or (
            read_certificates(given.encode(), "caCertificates") if given else ()
        )

    def all_roots(self) -> bytes:
        """Whom callers may be vouched for by (PEM); who exactly is looked at in ``welcome``. May be asked by any thread."""
        return self._all_roots

    def roots_changed(self) -> None:
        """Those of some peer did."""
        found = dict.fromkeys(root for name in self._book.peers for root in self.roots(name))
        self._all_roots = bundle(found) if found else b""

    def shown(self, name: str) -> Shown | str:
        """What a peer is shown, and as whom it is believed; or why it cannot be called."""
        credential, roots = self._own.current, self.roots(name)
        if credential is None:
            return "the daemon has no certificate to show yet; it gets one where xds-tls-address is set"
        if not roots:
            return "nobody vouches for it; write its authorities to spec.caCertificates"
        daemon = daemon_name(self._book.peers[name].trust_domain)
        return Shown(credential.key, credential.svid.chain, bundle(roots), daemon)

    # The tasks.

    async def run(self) -> None:
        """Keeps a stream to each peer, until cancelled."""
        running: dict[Link, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                changed = self._changed
                for link in running.keys() - self._links.values():
                    running.pop(link).cancel()
                for link in self._links.values():
                    if link not in running:
                        running[link] = tasks.create_task(link.run(), name=link.source)
                await changed.wait()

    async def follow_revocations(self, next_change: Callable[[], asyncio.Event]) -> None:
        """Looks anew at who hears what is offered when somebody is revoked, until cancelled."""
        while True:
            await next_change().wait()
            for name, offered in self._offered.items():
                self._offered[name] = Offered(offered.offer)
                offered.end()

    async def follow_trust(self, next_change: Callable[[], asyncio.Event]) -> None:
        """Tells peers of the mesh's own authorities as they change, until cancelled."""
        while True:
            changed = next_change()
            self.trust_changed()
            await changed.wait()

    @asynccontextmanager
    async def listening(self, credentials: grpc.ServerCredentials, address: str) -> AsyncIterator[int]:
        """Takes peers at a port, which it says. Raises OSError where it cannot listen."""
        try:
            server, port = self.server(credentials, address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}; set another --peer-address") from error
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)

    def server(self, credentials: grpc.ServerCredentials, address: str) -> tuple[grpc.aio.Server, int]:
        """A server that takes peers, not started yet, and its port. Raises RuntimeError where it cannot listen."""
        server = grpc.aio.server(options=SERVED)
        server.add_generic_rpc_handlers((self.service.handler(),))
        return server, server.add_secure_port(address, credentials)

    def _declared(self) -> Iterator[ObjectRef]:
        yield from (ObjectRef("Peer", self._here.root_namespace, name) for name in self._book.peers)
        yield from self._book.residencies

    def _put(self, name: str, spec: Peer) -> None:
        before = self._book.peers.get(name)
        if self._local is None:
            self._local = self._sources.expect(f"mesh:{self._here.name}")
            self._local.synced()
        self._book.set_bundle(bundle(self._trusted()) if self._trusted() else b"")
        self._book.put_peer(name, spec, secrets.token_hex(8))
        link = self._links.get(name)
        if link is None:
            self._offered[name] = Offered(self._book.offers[name])
            link = self._links[name] = Link(
                self, name, self._sources, self._logger, self._clock, self._copies
            )
            self._wake()
        else:
            self._offered[name].changed()
        if before is not None and _trust(before) != _trust(spec):
            self._offered[name].end()
            self._offered[name] = Offered(self._book.offers[name])
        if before is not None and _called(before) != _called(spec):
            link.renew(given=before.ca_certificates != spec.ca_certificates)

    def _drop(self, ref: ObjectRef) -> None:
        if ref.kind == "Residency":
            self._book.put_residency(ref, None)
        elif ref.kind == "Peer" and ref.namespace == self._here.root_namespace and ref.name in self._links:
            self._links.pop(ref.name).end(self._book.drop_peer(ref.name))
            self.roots_changed()
            self._offered.pop(ref.name).end()
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def settle(self, most: int | None = AT_ONCE) -> None:
        """Says what follows in the catalog, of much a part at a time: others have their turn between them."""
        if self._settling:  # what is said now is heard here too; it has its turn
            return
        self._settling = True
        try:
            self._settle(most)
        finally:
            self._settling = False
        if self._book.left and self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._next = None
        self.settle()

    def _settle(self, most: int | None) -> None:
        """Says what follows in the catalog, and to gateways and peers."""
        for name in self._book.offer_some(most):
            self._offered[name].changed()
        offered = self._book.take_offered()
        if offered is not None:
            self._lead(offered)
        if self._local is not None:
            say(self._local, self._book.drain_local(most))
        for link in self._links.values():
            link.settle(most)


def _trust(spec: Peer) -> object:
    """What of a Peer says whom to believe."""
    return spec.trust_domain, spec.ca_certificates


def _called(spec: Peer) -> object:
    """What of a Peer matters for the stream on which it is heard."""
    return _trust(spec), spec.addresses, spec.imports, spec.most
