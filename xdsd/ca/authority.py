"""The CA of a mesh at work: what is trusted now, and who signs.

Where the CA comes from is its *source*: roots in the store (``stored``), an intermediate in files (``files``), or a signer
elsewhere (``vault``). A source says, whenever that changes, what to trust and who signs; what was last known holds while
a source is away. Everybody who hands certificates out asks the one ``Authority``.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from xdsd.ca import issuer
from xdsd.ca.crl import Revoked, make_crl
from xdsd.ca.issuer import Ca, CannotIssue, Request, Svid, serial_of
from xdsd.ca.keys import PrivateKey, PublicKey, new_key, private_pem
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
    """What everybody trusts, and who signs. ``cas`` are those whose keys are here: they can sign lists of revoked ones."""

    roots: tuple[x509.Certificate, ...]
    signer: Signer
    cas: tuple[Ca, ...] = ()


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
        if identity.trust_domain != self.trust_domain:
            raise CannotIssue(f"{identity} is not of the trust domain {self.trust_domain}")
        if self._trust is None:
            raise CannotIssue("the CA is not known yet; try again")
        life = self.lifetime if lifetime is None else min(lifetime, self.lifetime)
        asked = Asked(public_key, identity, life, request, tuple(names), tuple(addresses))
        svid = await self._trust.signer.sign(asked)
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

    def crls(self, revoked: Sequence[Revoked], number: int, lifetime: timedelta) -> tuple[bytes, ...]:
        """PEM of the list of each CA whose key is here; a serial is only ever of one of them, and does no harm in others."""
        cas = self._trust.cas if self._trust else ()
        return tuple(make_crl(ca, revoked, number, self._now(), lifetime) for ca in cas)

    def _take(self, trust: Trust) -> None:
        self._trust = trust
        self._bundle = issuer.bundle(trust.roots)
        self._known.set()
        self._changed.set()
        self._changed = asyncio.Event()


def signing_request(key: PrivateKey, identity: SpiffeID | None = None) -> bytes:
    """PEM of a request that is signed by its key, with an identity's name where one is known."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if identity is not None:
        name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))])
        builder = builder.add_extension(name, critical=True)
    return builder.sign(key, issuer.digest(key)).public_bytes(Encoding.PEM)
