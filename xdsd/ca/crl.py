"""Lists of revoked certificates (RFC 5280, section 5), as a CA signs them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from xdsd.ca.issuer import CLOCK_SKEW, Ca, digest


@dataclass(frozen=True, slots=True)
class Revoked:
    """One certificate, by its serial."""

    serial: int
    since: datetime


def make_crl(ca: Ca, revoked: Iterable[Revoked], number: int, now: datetime, lifetime: timedelta) -> bytes:
    """PEM of the list that holds for ``lifetime``. ``number`` is greater than that of any list of the CA's before."""
    now = now.replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.certificate.subject)
        .last_update(now - CLOCK_SKEW)
        .next_update(now + lifetime)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(ca.key_id, critical=False)
    )
    for each in sorted(revoked, key=lambda each: each.serial):
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(each.since)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(ca.key, digest(ca.key)).public_bytes(Encoding.PEM)
