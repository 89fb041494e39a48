"""Finding out whose a stream is, by what it shows: a join token, or a certificate whose chain the transport verified.

What a node says of itself is not looked at here: that is held against what is found here. A refusal is a sentence for
whoever runs the proxy, and a word for counting; neither has anything of what was shown. Guesses are slowed down by where
they come from and what they are at; what holds is never slowed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from xdsd.ca.authority import Authority
from xdsd.ca.checking import NotProven, prove
from xdsd.ca.registers import Tokens
from xdsd.ca.revoked import Revocations
from xdsd.ca.service_accounts import Cluster, InvalidAccountToken, is_account_token, verify
from xdsd.ca.token_review import ReviewUnavailable, TokenReviewer
from xdsd.ca.tokens import JoinToken, token_id
from xdsd.model.identity import InvalidIdentity, Proof, SpiffeID, StreamIdentity
from xdsd.throttle import Throttle, TooManyAttempts

_LARGEST_CERTIFICATE = 64 << 10


class Unproven(Exception):  # noqa: N818 - it is named after what is the matter
    """Nothing was proved. ``reason`` is a word for counting; the message says what to do. For the log, ``identity`` is whose
    it would have been and ``credential`` names what was shown (``token ID``, ``certificate SERIAL``), as far as is known.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        tried: str | None = None,
        identity: SpiffeID | None = None,
        credential: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.tried = tried
        self.identity = str(identity) if identity is not None else ""
        self.credential = credential


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client shows. ``address`` is where it calls from; ``authorization`` the metadata of that name."""

    address: str
    authorization: str | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)


class Identifier:
    """Who streams are of. ``now`` is the wall clock; ``cluster`` knows who signs service account tokens, if anybody does,
    and ``reviewer`` asks whose they are. ``server`` is the daemon itself, whom nobody can prove to be.
    """

    def __init__(
        self,
        authority: Authority,
        tokens: Tokens,
        revocations: Revocations,
        throttle: Throttle,
        now: Callable[[], datetime],
        cluster: Callable[[], Cluster | None] = lambda: None,
        reviewer: TokenReviewer | None = None,
        server: SpiffeID | None = None,
    ) -> None:
        self._server = server
        self._reviewer = reviewer
        self._cluster = cluster
        self._authority = authority
        self._tokens = tokens
        self._revocations = revocations
        self._throttle = throttle
        self._now = now

    async def identify(self, shown: Shown, *, lasting: bool = False) -> StreamIdentity:
        """Raises Unproven; for what is ``lasting`` also where a token is for a single use."""
        try:
            found = await self._reviewed(shown) or self._prove(shown)
        except Unproven as unproven:
            if unproven.tried is not None:
                await self._turn(_keys(shown.address, unproven.tried))
            raise
        if found.identity == self._server:
            raise Unproven(
                "reserved",
                f"{found.identity} is the daemon's own; let the workload be of another service account",
                identity=found.identity,
                credential=f"{found.proof} {found.credential}",
            )
        if (why := self._shut_out(found)) is not None:
            raise why
        token = self.token(found)
        if lasting and token is not None and token.single_use:
            raise Unproven(
                "single use",
                f"the join token {token.id} is for one certificate: get it with xdsctl cert issue, and connect by it",
                identity=token.identity,
                credential=f"token {token.id}",
            )
        return found

    def lapsed(self, identity: StreamIdentity) -> str:
        """Why a stream that began by this is no longer its; empty while it is."""
        if identity.expires is not None and self._now() >= identity.expires:
            return (
                f"the {identity.proof} that this stream began with has expired; connect again with a new one"
            )
        if identity.proof is Proof.TOKEN and self._tokens.get(identity.credential) is None:
            return f"the join token {identity.credential} was revoked"
        shut = self._shut_out(identity)
        return str(shut) if shut is not None else ""

    def token(self, identity: StreamIdentity) -> JoinToken | None:
        """The token that an identity was proved by."""
        return self._tokens.get(identity.credential) if identity.proof is Proof.TOKEN else None

    async def _turn(self, keys: Sequence[str]) -> None:
        try:
            await self._throttle.attempt(keys)
        except TooManyAttempts as error:
            raise Unproven("too many attempts", str(error)) from error

    def _prove(self, shown: Shown) -> StreamIdentity:
        if shown.certificate is not None:
            return self._by_certificate(shown.certificate)
        if shown.authorization is not None:
            return self._by_token(shown.authorization, shown.address)
        raise Unproven(
            "no credentials",
            "who asks is not known: send a join token as the metadata authorization: Bearer TOKEN (an admin makes one "
            "with xdsctl token create), or use a certificate at the xds-mtls-address",
        )

    def _by_certificate(self, pem: bytes) -> StreamIdentity:
        if len(pem) > _LARGEST_CERTIFICATE:
            raise Unproven("bad certificate", "the certificate is too large")
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            proof = prove(certificate, self._authority.trust_domain, self._now())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Unproven("bad certificate", "the certificate cannot be read") from error
        except NotProven as error:
            raise Unproven("bad certificate", str(error)) from error
        return StreamIdentity(
            proof.identity, Proof.CERTIFICATE, f"{proof.serial:x}", proof.expires, proof.issuer
        )

    def _by_token(self, authorization: str, address: str) -> StreamIdentity:
        scheme, _, text = authorization.partition(" ")
        cluster = self._cluster()
        if cluster is not None and scheme.lower() == "bearer" and is_account_token(text.strip()):
            return self._by_account(text.strip(), cluster)
        identity = token_id(text.strip())
        if scheme.lower() != "bearer" or not identity:
            raise Unproven(
                "malformed token",
                "the authorization metadata is not Bearer and a join token, as xdsctl token create prints it",
                tried="",
            )
        if not self._tokens.is_known:
            raise Unproven(
                "tokens unknown", "the join tokens are not known yet, as the store did not answer; try again"
            )
        token = self._tokens.get(identity)
        if token is None or not token.is_of(text.strip()):
            raise Unproven(
                "unknown token",
                "the join token is not known, or was revoked; make another with xdsctl token create",
                tried=f"token {identity}",
                credential=f"token {identity}",
            )
        if self._now() >= token.expires:
            raise Unproven(
                "expired token",
                f"the join token expired at {token.expires.isoformat()}; make another with xdsctl token create",
                identity=token.identity,
                credential=f"token {token.id}",
            )
        if not token.allows(address):
            raise Unproven(
                "wrong network",
                f"the join token is bound to {', '.join(token.networks)}, and this is {address}",
                identity=token.identity,
                credential=f"token {token.id}",
            )
        return StreamIdentity(token.identity, Proof.TOKEN, token.id, token.expires)

    async def _reviewed(self, shown: Shown) -> StreamIdentity | None:
        """By a service account token that the cluster itself looks at; None where that is not to be asked."""
        if self._reviewer is None or shown.certificate is not None:
            return None
        scheme, _, text = (shown.authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not is_account_token(text.strip()):
            return None
        try:
            account = await self._reviewer.review(text.strip(), self._now())
            identity = SpiffeID(self._authority.trust_domain, account.namespace, account.name)
        except ReviewUnavailable as error:
            raise Unproven("accounts unknown", f"{error}; try again") from error
        except InvalidAccountToken as error:
            raise Unproven("bad service account token", str(error), tried="") from error
        except InvalidIdentity as error:
            raise Unproven("bad service account token", str(error)) from error
        return StreamIdentity(identity, Proof.ACCOUNT, account.credential, account.expires)

    def _by_account(self, text: str, cluster: Cluster) -> StreamIdentity:
        try:
            account = verify(text, cluster, self._now())
            identity = SpiffeID(self._authority.trust_domain, account.namespace, account.name)
        except InvalidAccountToken as error:
            raise Unproven("bad service account token", str(error), tried="") from error
        except InvalidIdentity as error:
            raise Unproven("bad service account token", str(error)) from error
        return StreamIdentity(identity, Proof.ACCOUNT, account.credential, account.expires)

    def _shut_out(self, found: StreamIdentity) -> Unproven | None:
        serial = int(found.credential, 16) if found.proof is Proof.CERTIFICATE else 0
        revoked = self._revocations.of(found.identity, serial, self._now())
        if revoked is None:
            return None
        what = f"the certificate {revoked.name}" if revoked.serial else f"the identity {revoked.name}"
        return Unproven(
            "revoked",
            f"{what} is revoked until {revoked.until.isoformat()}",
            identity=found.identity,
            credential=f"{found.proof} {found.credential}",
        )


def identity_of_server(trust_domain: str, root_namespace: str) -> SpiffeID:
    """Who the daemon is to its proxies."""
    return SpiffeID(trust_domain, root_namespace, SERVER_ACCOUNT)


def daemon_name(trust_domain: str) -> str:
    """The DNS name that certificates of a trust domain's daemons have, for those that compare such names alone."""
    return f"{SERVER_ACCOUNT}.{trust_domain}"


SERVER_ACCOUNT = "xdsd"
"""The daemon's service account in the root namespace; nobody else gets it."""


def _keys(address: str, tried: str) -> tuple[str, ...]:
    """For the throttle: where an attempt comes from, and what it is at, if there is such a thing."""
    found: Iterable[str] = (f"join from {_network(address)}", f"join {tried}" if tried else "")
    return tuple(each for each in found if each)


def _network(address: str) -> str:
    """Of an IPv6 address the network, as whoever has one address has them all."""
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or IPv6Network((found, 64), strict=False))
