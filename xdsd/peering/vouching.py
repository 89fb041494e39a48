"""Which trust domain's daemon shows a certificate: its own authorities signed it, and no one else's. Pure.

The transport knows only that some authority of some peer did. So what it was shown is looked at again here.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from xdsd.ca.checking import NotProven, prove
from xdsd.model.identity import SpiffeID

MAX_CHAIN = 10
_LARGEST = 256 << 10


def read_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates that a caller showed, its own first. Raises NotProven."""
    if not pem or len(pem) > _LARGEST:
        raise NotProven("there is no certificate, or it is too large")
    try:
        found = tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotProven("the certificate cannot be read") from error
    if len(found) > MAX_CHAIN:
        raise NotProven(f"the chain has {len(found)} certificates; {MAX_CHAIN} are allowed")
    return found


def vouched(
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    daemon: SpiffeID,
    now: datetime,
) -> None:
    """Raises NotProven unless this is a daemon's certificate, of whose trust domain ``roots`` are the authorities."""
    proof = prove(chain[0], daemon.trust_domain, now)
    if proof.identity != daemon:
        raise NotProven(f"the certificate is of {proof.identity}; the peer's daemon is {daemon}")
    signed = chain[0]
    for each in (*chain[1:], None):
        if any(_signed(signed, root) and _holds(root, now) for root in roots):
            return
        if each is None or not (_signed(signed, each) and _is_authority(each) and _holds(each, now)):
            break
        signed = each
    raise NotProven(f"no authority of {daemon.trust_domain} that is known signed the certificate")


def _signed(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _holds(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False
