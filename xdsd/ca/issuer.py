"""From a CA and a request to an X.509-SVID, and from a key to a root of its own; as X509-SVID, sections 2 to 5, wants them.

Pure: the clock, the serial and the keys come in as values. A request gives its public key alone: names, times and usages
are ours to say. The subject is empty, so the name is a critical extension (RFC 5280, 4.2.1.6).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from xdsd.ca.keys import PrivateKey, PublicKey
from xdsd.model.identity import SpiffeID, check_trust_domain

CLOCK_SKEW = timedelta(minutes=65)
"""How far a certificate's beginning lies back: a machine whose clock is an hour behind takes it all the same."""

SHORTEST_LIFETIME = timedelta(minutes=1)

_LONGEST_ORGANIZATION = 64  # RFC 5280, ub-organization-name and ub-common-name
_NOTHING = x509.Name([])
_LEAF = x509.BasicConstraints(ca=False, path_length=None)
_LEAF_USES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


class CannotIssue(Exception):  # noqa: N818 - it is named after what is the matter
    """The CA cannot sign this now; the message says why."""


def _usage(*, certificates: bool, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


_EC_USAGE = _usage(certificates=False)
_RSA_USAGE = _usage(certificates=False, encipherment=True)


@dataclass(frozen=True)
class Ca:
    """``chain``: the certificate that signs, then those above it, each signed by the next, without or with the root."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @cached_property
    def key_id(self) -> x509.AuthorityKeyIdentifier:
        """What names the signing key in what it signs."""
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    @cached_property
    def intermediates(self) -> bytes:
        """PEM of what goes with a certificate, so that whoever trusts the root can follow."""
        return b"".join(pem(each) for each in self.chain if each.subject != each.issuer)


@dataclass(frozen=True, slots=True)
class Request:
    """``names`` and ``addresses`` are for servers that are called by them; workloads have none."""

    public_key: PublicKey
    identity: SpiffeID
    lifetime: timedelta
    now: datetime
    serial: int
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Svid:
    """A certificate of an identity; ``chain`` is its PEM and that of the intermediates above it."""

    identity: SpiffeID
    certificate: x509.Certificate
    chain: bytes

    @property
    def expires(self) -> datetime:
        return self.certificate.not_valid_after_utc


def issue(ca: Ca, request: Request) -> Svid:
    """Signs. The certificate ends when the CA's does, if that is earlier. Raises CannotIssue."""
    now = request.now.replace(microsecond=0)
    if request.lifetime < SHORTEST_LIFETIME:
        raise CannotIssue("a certificate lives for a minute at least")
    end = min(now + request.lifetime, *(each.not_valid_after_utc for each in ca.chain))
    if end <= now:
        raise CannotIssue(f"the CA's certificate expired at {end.isoformat()}")
    others: list[x509.GeneralName] = [x509.DNSName(name) for name in request.names]
    others += [x509.IPAddress(address) for address in request.addresses]
    uri = x509.UniformResourceIdentifier(str(request.identity))
    key = request.public_key
    usage = _EC_USAGE if isinstance(key, ec.EllipticCurvePublicKey) else _RSA_USAGE
    builder = _builder(ca.certificate.subject, _NOTHING, key, request.serial, now, end)
    made = (
        builder.add_extension(x509.SubjectAlternativeName([uri, *others]), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_LEAF_USES, critical=False)
        .add_extension(_LEAF, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(ca.key_id, critical=False)
        .sign(ca.key, digest(ca.key))
    )
    return Svid(request.identity, made, pem(made) + ca.intermediates)


def make_root(key: PrivateKey, trust_domain: str, lifetime: timedelta, now: datetime, serial: int) -> Ca:
    """A CA that signs itself, and certificates of workloads: no CA stands below it.

    It has the trust domain as its SPIFFE id. The serial in its name tells roots apart where names alone are compared.
    """
    check_trust_domain(trust_domain)
    now = now.replace(microsecond=0)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:_LONGEST_ORGANIZATION]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"xdsd root {serial:x}"[:_LONGEST_ORGANIZATION]),
        ]
    )
    public = key.public_key()
    uri = x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    made = (
        _builder(name, name, public, serial, now, now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        .sign(key, digest(key))
    )
    return Ca((made,), key)


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate's PEM."""
    return certificate.public_bytes(Encoding.PEM)


def bundle(certificates: Iterable[x509.Certificate]) -> bytes:
    """The PEM of several, each once, in their order."""
    return b"".join(dict.fromkeys(map(pem, certificates)))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 in hexadecimal digits, as ``openssl x509 -fingerprint -sha256`` has it between its colons."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def serial_of(randomness: bytes) -> int:
    """A serial of 20 random bytes: positive, and of at most 159 bits (RFC 5280, 4.1.2.2)."""
    return (int.from_bytes(randomness[:20]) >> 1) | 1


def digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """What a key signs with: SHA-384 where the curve is as strong."""
    strong = isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256
    return hashes.SHA384() if strong else hashes.SHA256()


def _builder(
    issuer: x509.Name, subject: x509.Name, key: PublicKey, serial: int, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
    )
