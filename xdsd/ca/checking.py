"""Whether a CA may sign for us, and whether a certificate proves an identity. Pure: ``now`` comes in as a value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from xdsd.ca.issuer import Ca, Svid, pem
from xdsd.ca.keys import public_der, weakness
from xdsd.ca.reading import is_signed_by
from xdsd.model.identity import InvalidIdentity, SpiffeID, parse_identity, shown

E = TypeVar("E", bound=x509.ExtensionType)

_TOLERANCE = timedelta(minutes=5)
"""How far the beginning of a CA's certificate may lie ahead: the clock that made it may be ahead of ours."""


Others = tuple[Sequence[str], Sequence[IPv4Address | IPv6Address]]
"""DNS names and addresses."""


class NotProven(Exception):  # noqa: N818 - it is named after what is the matter
    """A certificate that proves no identity here; the message says why."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a certificate says of who has its key."""

    identity: SpiffeID
    serial: int
    issuer: str
    begins: datetime
    expires: datetime


def faults(ca: Ca, roots: Sequence[x509.Certificate], trust_domain: str, now: datetime) -> Iterator[str]:
    """All that keeps a CA from signing for a trust domain whose workloads trust ``roots``; nothing where it may."""
    if public_der(ca.key.public_key()) != _public(ca.certificate):
        yield "the key is of another certificate; give the key of the first certificate of the chain"
    for place, each in enumerate(ca.chain):
        for fault in _faults(each, place, now):
            yield f"{_name(each)} {fault}"
    for lower, upper in pairwise(ca.chain):
        if not is_signed_by(lower, upper):
            yield (
                f"{_name(lower)} is not signed by {_name(upper)}, which stands next; "
                "write the certificate that signs first, then each that signed the one before it"
            )
    if not any(root == ca.chain[-1] or is_signed_by(ca.chain[-1], root) for root in roots):
        yield f"{_name(ca.chain[-1])} is not signed by any root that is trusted"
    yield from _wrong_domain(ca.certificate, trust_domain)


def prove(certificate: x509.Certificate, trust_domain: str, now: datetime) -> Proof:
    """The identity that a certificate proves, once it is known that a trusted root signed it. Raises NotProven."""
    try:
        identity = _identity(certificate)
        usage = _extension(certificate, x509.KeyUsage)
        constraints = _extension(certificate, x509.BasicConstraints)
        uses = _extension(certificate, x509.ExtendedKeyUsage)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotProven(f"the certificate cannot be read: {error}") from error
    if identity.trust_domain != trust_domain:
        raise NotProven(
            f"the certificate is of the trust domain {identity.trust_domain}; this mesh is {trust_domain}"
        )
    if constraints is not None and constraints.ca:
        raise NotProven("the certificate is a CA's; it signs others and is nobody's own")
    if usage is None or not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise NotProven("the certificate's key usage is not digitalSignature alone of the signatures")
    if uses is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        raise NotProven("the certificate is not for clients: its extended key usage lacks clientAuth")
    if certificate.serial_number <= 0:
        raise NotProven("the certificate's serial is not positive, so nobody could revoke it")
    begins, expires = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        raise NotProven(f"the certificate is valid from {begins.isoformat()} on; check the clocks")
    if now >= expires:
        raise NotProven(f"the certificate expired at {expires.isoformat()}; issue another")
    return Proof(identity, certificate.serial_number, certificate.issuer.rfc4514_string(), begins, expires)


def check_issued(
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    key: bytes,
    identity: SpiffeID,
    now: datetime,
    others: Others = ((), ()),
) -> Svid:
    """What somebody else signed for us, if it is what was asked for. ``key`` is the DER of the public key, ``others`` are
    names and addresses beside the identity: no others are taken. Raises NotProven.
    """
    if not chain:
        raise NotProven("there is no certificate")
    proof = prove(chain[0], identity.trust_domain, now)
    if proof.identity != identity:
        raise NotProven(f"the certificate is of {proof.identity}, and {identity} was asked for")
    if _public(chain[0]) != key:
        raise NotProven("the certificate is of another key than was asked for")
    _check_names(chain[0], others)
    for lower, upper in pairwise(chain):
        if not is_signed_by(lower, upper):
            raise NotProven("the certificates are no chain: each must be signed by the next")
    if not any(root == chain[-1] or is_signed_by(chain[-1], root) for root in roots):
        raise NotProven("no root that is trusted signed the certificate")
    carried = [each for each in chain if each.subject != each.issuer]
    return Svid(identity, chain[0], b"".join(map(pem, carried)))


def _check_names(certificate: x509.Certificate, others: Others) -> None:
    """A name that nobody asked for would let its owner pass for a host."""
    names, addresses = others
    found = _extension(certificate, x509.SubjectAlternativeName)
    uris = [each for each in found or () if isinstance(each, x509.UniformResourceIdentifier)]
    asked = {*map(x509.DNSName, names), *map(x509.IPAddress, addresses), *uris}
    if set(found or ()) != asked:
        raise NotProven("the certificate has other names than were asked for")


def _identity(certificate: x509.Certificate) -> SpiffeID:
    names = _extension(certificate, x509.SubjectAlternativeName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []
    if len(uris) != 1:
        raise NotProven(f"the certificate has {len(uris)} URI names; one that is a SPIFFE id is wanted")
    try:
        return parse_identity(uris[0])
    except InvalidIdentity as error:
        raise NotProven(f"the certificate's name is refused: {error}") from error


def _faults(certificate: x509.Certificate, place: int, now: datetime) -> Iterator[str]:
    """``place`` counts the CAs below it in its chain."""
    try:
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
        key: object = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        yield "cannot be read"
        return
    if weak := weakness(key):
        yield f"has a key that {weak}"
    if constraints is None or not constraints.ca:
        yield "is no CA's: its basic constraints say so; give one made with CA:TRUE"
    elif constraints.path_length is not None and constraints.path_length < place:
        yield f"allows {constraints.path_length} CAs below it (pathlen), and there are {place}"
    if usage is not None and not usage.key_cert_sign:
        yield "may not sign certificates: its key usage lacks keyCertSign"
    if now >= certificate.not_valid_after_utc:
        yield f"expired at {certificate.not_valid_after_utc.isoformat()}"
    if now + _TOLERANCE < certificate.not_valid_before_utc:
        yield f"is valid from {certificate.not_valid_before_utc.isoformat()} on; check the clocks"


def _wrong_domain(certificate: x509.Certificate, trust_domain: str) -> Iterator[str]:
    """A CA's own SPIFFE id is its trust domain's (X509-SVID, 3.2); the constraints on names (RFC 5280, 4.2.1.10) hold."""
    try:
        names = _extension(certificate, x509.SubjectAlternativeName)
        constraints = _extension(certificate, x509.NameConstraints)
    except (ValueError, UnsupportedAlgorithm):
        return
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else ():
        if uri.startswith("spiffe://") and uri.removeprefix("spiffe://").partition("/")[0] != trust_domain:
            yield (
                f"{_name(certificate)} is of the trust domain {shown(uri)}; set trust-domain to it, or give "
                f"a CA of spiffe://{trust_domain}"
            )
    permitted = [
        each.value
        for each in (constraints.permitted_subtrees if constraints is not None else None) or ()
        if isinstance(each, x509.UniformResourceIdentifier)
    ]
    if permitted and not any(_within(trust_domain, each) for each in permitted):
        yield f"{_name(certificate)} may only name hosts in {', '.join(map(shown, permitted))}, not {trust_domain}"


def _within(host: str, constraint: str) -> bool:
    return host.endswith(constraint) if constraint.startswith(".") else host == constraint


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except x509.DuplicateExtension as error:
        raise ValueError(str(error)) from error


def _public(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return public_der(key) if not weakness(key) else b""  # type: ignore[arg-type]  # weakness lets no other kinds through


def _name(certificate: x509.Certificate) -> str:
    """As openssl shows a name; without one, by its fingerprint's beginning."""
    try:
        name = certificate.subject.rfc4514_string()
    except ValueError:
        name = ""
    return f"the certificate {shown(name)}" if name else "the certificate without a name"
