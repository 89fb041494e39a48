"""The CA of a mesh at work: what is trusted now, and who signs.

Where the CA comes from is its *source*: roots in the store (``stored``), an intermediate in files (``files``), or a signer
elsewhere (``vault``). A source says, whenever that changes, what to trust and who signs; what was last known holds while
a source is away. Everybody who hands certificates out asks the one ``Authority``.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from xdsd.ca import issuer
from xdsd.ca.crl import Revoked, make_crl
from xdsd.ca.expiry import Expiry, expiries
from xdsd.ca.issuer import Ca, CannotIssue, Request, Svid, serial_of
from xdsd.ca.keys import PrivateKey, PublicKey, new_key, private_pem
from xdsd.ca.lists import signs_lists
from xdsd.ca.roots import ID_LENGTH
from xdsd.ca.telling import tell_all
from xdsd.model.identity import SpiffeID

Address = IPv4Address | IPv6Address


class CaError(Exception):
    """The CA cannot be had; the message says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a signer is asked for. ``request`` makes the signing request (PEM), for those who want it."""

    public_key: PublicKey
    identity: SpiffeID
    lifetime: timedelta
    request: Callable[[], bytes] = field(repr=False)
    names: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()


class Signer(Protocol):
    """Who signs."""

    async def sign(self, asked: Asked) -> Svid:
        """Raises CannotIssue."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What everybody trusts, and who signs. ``cas`` are those whose keys are here: they can sign lists of revoked ones.

    ``issuer`` tells signers apart: while it is the same, what was signed before need not be signed again. ``server`` signs
    the daemon's own certificate (None: who signs all), and ``turn`` counts steps of rotations. Where keys are ``alone`` with
    this daemon, others need the lists that it signs. ``issuers`` are others who sign for us, whose ``lists`` (PEM) come
    from elsewhere, where certificates are revoked by ``revoke``.
    """

    roots: tuple[x509.Certificate, ...]
    signer: Signer
    cas: tuple[Ca, ...] = ()
    issuer: str = ""
    server: Signer | None = None
    turn: int = 0
    alone: bool = False
    issuers: tuple[x509.Certificate, ...] = ()
    lists: tuple[bytes, ...] = ()
    revoke: Callable[[int], Awaitable[None]] | None = None


class Source(Protocol):
    """Where the CA comes from."""

    async def run(self, take: Callable[[Trust], None]) -> None:
        """Tells what to trust, first soon and then on each change, until cancelled. Raises CaError at the start alone."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its key in PEM, which stays in memory."""

    svid: Svid
    key: bytes = field(repr=False)


class LocalSigner:
    """Signs with a key that is here."""

    def __init__(
        self, ca: Ca, now: Callable[[], datetime], randomness: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._ca = ca
        self._now = now
        self._randomness = randomness

    async def sign(self, asked: Asked) -> Svid:
        serial = serial_of(self._randomness(20))
        request = Request(
            asked.public_key,
            asked.identity,
            asked.lifetime,
            self._now(),
            serial,
            asked.names,
            asked.addresses,
        )
        return await asyncio.to_thread(issuer.issue, self._ca, request)


class Authority:
    """``lifetime`` is that of certificates of which nothing else is said; ``record`` is told of each that is issued."""

    def __init__(
        self,
        source: Source,
        trust_domain: str,
        lifetime: timedelta,
        now: Callable[[], datetime] | None = None,
        record: Callable[[Svid], None] = lambda _: None,
    ) -> None:
        self._record = record
        self.trust_domain = trust_domain
        self.lifetime = lifetime
        self._source = source
        self._now = now or (lambda: datetime.now(UTC))
        self._trust: Trust | None = None
        self._bundle = b""
        self._named: Mapping[str, str] = {}
        self._known = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follows the source until cancelled. Raises CaError where it cannot begin."""
        await self._source.run(self._take)

    async def known(self) -> None:
        """Returns once it is known whom to trust and who signs."""
        await self._known.wait()

    @property
    def is_known(self) -> bool:
        return self._trust is not None

    @property
    def next_change(self) -> asyncio.Event:
        """Is set when the trust or the signer changes; each change has an event of its own."""
        return self._changed

    @property
    def roots(self) -> tuple[x509.Certificate, ...]:
        """All roots that are trusted now; none before it is known."""
        return self._trust.roots if self._trust else ()

    @property
    def bundle(self) -> bytes:
        """The same in PEM."""
        return self._bundle

    @property
    def expiries(self) -> tuple[Expiry, ...]:
        """When the roots expire, and those who sign below them; as far as they are known here."""
        return expiries(self.roots, self.issuers)

    @property
    def issuer(self) -> str:
        """Changes when somebody else signs."""
        return self._trust.issuer if self._trust else ""

    @property
    def turn(self) -> int:
        """The step of a rotation that is gone by."""
        return self._trust.turn if self._trust else -1

    @property
    def root_ids(self) -> tuple[str, ...]:
        """The ids of the roots that are trusted."""
        return tuple(map(id_of, self.roots))

    def root_of(self, issuer: str) -> str:
        """The id of the root above an issuer's name (RFC 4514), empty for one that is not known here."""
        return self._named.get(issuer, "")

    def now(self) -> datetime:
        """The clock that certificates are made by."""
        return self._now()

    async def issue(
        self,
        public_key: PublicKey,
        identity: SpiffeID,
        request: Callable[[], bytes],
        lifetime: timedelta | None = None,
        names: Sequence[str] = (),
        addresses: Sequence[Address] = (),
    ) -> Svid:
        """A certificate for a key that is somebody else's; ``request`` gives their signing request. Raises CannotIssue."""
        asked = self._asked(public_key, identity, request, lifetime, names, addresses)
        return await self._signed(self._trust.signer if self._trust else None, asked)

    def _asked(
        self,
        public_key: PublicKey,
        identity: SpiffeID,
        request: Callable[[], bytes],
        lifetime: timedelta | None,
        names: Sequence[str],
        addresses: Sequence[Address],
    ) -> Asked:
        if identity.trust_domain != self.trust_domain:
            raise CannotIssue(f"{identity} is not of the trust domain {self.trust_domain}")
        life = self.lifetime if lifetime is None else min(lifetime, self.lifetime)
        return Asked(public_key, identity, life, request, tuple(names), tuple(addresses))

    async def _signed(self, signer: Signer | None, asked: Asked) -> Svid:
        if signer is None:
            raise CannotIssue("the CA is not known yet; try again")
        svid = await signer.sign(asked)
        self._record(svid)
        return svid

    async def credential(
        self,
        identity: SpiffeID,
        lifetime: timedelta | None = None,
        names: Sequence[str] = (),
        addresses: Sequence[Address] = (),
    ) -> Credential:
        """A fresh key (P-256) and its certificate. Raises CannotIssue."""
        key = new_key()
        svid = await self.issue(
            key.public_key(), identity, lambda: signing_request(key, identity), lifetime, names, addresses
        )
        return Credential(svid, private_pem(key))

    async def own_credential(
        self, identity: SpiffeID, names: Sequence[str] = (), addresses: Sequence[Address] = ()
    ) -> Credential:
        """The same for the daemon itself: of a root that those who connect know from their files. Raises CannotIssue."""
        key, trust = new_key(), self._trust
        asked = self._asked(
            key.public_key(), identity, lambda: signing_request(key, identity), None, names, addresses
        )
        svid = await self._signed((trust.server or trust.signer) if trust else None, asked)
        return Credential(svid, private_pem(key))

    @property
    def cas(self) -> tuple[Ca, ...]:
        """Those whose keys are here and who may sign lists."""
        return tuple(ca for ca in self._trust.cas if signs_lists(ca.certificate)) if self._trust else ()

    @property
    def is_alone(self) -> bool:
        """Whether other daemons may not have their keys."""
        return self._trust is not None and self._trust.alone

    @property
    def issuers(self) -> tuple[x509.Certificate, ...]:
        """Who may have signed certificates that are about, as far as the source knows."""
        return (*(ca.certificate for ca in self._trust.cas), *self._trust.issuers) if self._trust else ()

    @property
    def lists(self) -> tuple[bytes, ...]:
        """Lists of revoked certificates (PEM) that others signed."""
        return self._trust.lists if self._trust else ()

    def crls(self, revoked: Sequence[Revoked], number: int, lifetime: timedelta) -> tuple[bytes, ...]:
        """PEM of the list of each CA whose key is here; a serial is only ever of one of them, and does no harm in others."""
        return tuple(make_crl(ca, revoked, number, self._now(), lifetime) for ca in self.cas)

    async def revoke(self, serials: Sequence[int]) -> None:
        """Tells whoever else keeps lists. Raises CannotIssue."""
        revoke = self._trust.revoke if self._trust else None
        if revoke is not None:
            await tell_all(revoke, serials)

    def _take(self, trust: Trust) -> None:
        self._trust = trust
        self._bundle = issuer.bundle(trust.roots)
        self._named = root_names(trust)
        self._known.set()
        self._changed.set()
        self._changed = asyncio.Event()


def id_of(root: x509.Certificate) -> str:
    """What tells roots apart: the beginning of its fingerprint."""
    return issuer.fingerprint(root)[:ID_LENGTH]


def root_names(trust: Trust) -> Mapping[str, str]:
    """The roots' ids by the names of those who issue below them."""
    found = {root.subject.rfc4514_string(): id_of(root) for root in trust.roots}
    for ca in trust.cas:
        for each in reversed(ca.chain):
            above = found.get(each.issuer.rfc4514_string())
            if above is not None:
                found.setdefault(each.subject.rfc4514_string(), above)
    return found


def signing_request(key: PrivateKey, identity: SpiffeID | None = None) -> bytes:
    """PEM of a request that is signed by its key, with an identity's name where one is known."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if identity is not None:
        name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))])
        builder = builder.add_extension(name, critical=True)
    return builder.sign(key, issuer.digest(key)).public_bytes(Encoding.PEM)
