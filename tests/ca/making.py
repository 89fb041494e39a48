"""CAs and certificates of tests, good or wrong in one way."""

import base64
from datetime import UTC, datetime, timedelta
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from xdsd.ca.issuer import Ca, Request, Svid, issue, make_root
from xdsd.ca.keys import PrivateKey, new_key
from xdsd.model.identity import SpiffeID

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
DAY, YEAR = timedelta(days=1), timedelta(days=365)
DOMAIN = "cluster.local"
REVIEWS = SpiffeID(DOMAIN, "default", "reviews")
_SERIALS = count(1000)
_SIGNS = (False, False, False, False, False, True, True, False, False)


def root(
    key: PrivateKey | None = None,
    *,
    domain: str = DOMAIN,
    now: datetime = NOW,
    lifetime: timedelta = 10 * YEAR,
) -> Ca:
    """A root of its own."""
    return make_root(key or new_key(), domain, lifetime, now, next(_SERIALS))


def issued(
    ca: Ca,
    identity: SpiffeID = REVIEWS,
    *,
    key: PrivateKey | None = None,
    lifetime: timedelta = DAY,
    now: datetime = NOW,
    serial: int | None = None,
) -> Svid:
    """A certificate that the CA issues."""
    public = (key or new_key()).public_key()
    return issue(ca, Request(public, identity, lifetime, now, serial or next(_SERIALS)))


def intermediate(
    above: Ca,
    *,
    name: str = "intermediate",
    constraints: x509.BasicConstraints | None = x509.BasicConstraints(ca=True, path_length=0),  # noqa: B008 - immutable
    usage: bool | None = True,
    begins: datetime = NOW - DAY,
    ends: datetime = NOW + YEAR,
    key: PrivateKey | None = None,
    others: tuple[x509.ExtensionType, ...] = (),
) -> Ca:
    """A CA below another. ``usage`` says whether it may sign certificates; None leaves the extension out."""
    own = key or new_key()
    builder = (
        x509.CertificateBuilder()
        .issuer_name(above.certificate.subject)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(own.public_key())
        .serial_number(next(_SERIALS))
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(above.key_id, critical=False)
    )
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    if usage is not None:
        uses = [not usage, False, False, False, False, usage, usage, False, False]
        builder = builder.add_extension(x509.KeyUsage(*uses), critical=True)
    for each in others:
        builder = builder.add_extension(each, critical=False)
    return Ca((builder.sign(above.key, hashes.SHA256()), *above.chain), own)


def organisation(path_length: int | None = None) -> Ca:
    """The root of an organisation: a CA that lets others stand below it."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "organisation")])
    made = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(next(_SERIALS))
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 10 * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(x509.KeyUsage(*_SIGNS), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Ca((made,), key)


def request(key: PrivateKey, **names: str) -> bytes:
    """A signing request in PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in names.values()])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM)


def of_no_known_curve(certificate: x509.Certificate) -> bytes:
    """The same in PEM, with a P-256 key that says that it is of a curve which nobody knows."""
    return _other(certificate, "06082a8648ce3d030107", "06082a8648ce3d03017f")


def of_no_known_version(certificate: x509.Certificate) -> bytes:
    """The same in PEM, of a version that X.509 does not have."""
    return _other(certificate, "a003020102", "a003020107")


def _other(certificate: x509.Certificate, these: str, those: str) -> bytes:
    der = certificate.public_bytes(Encoding.DER)
    changed = der.replace(bytes.fromhex(these), bytes.fromhex(those), 1)
    assert changed != der
    text = base64.encodebytes(changed).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()
