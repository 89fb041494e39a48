"""Certificates in PEM, read the same way by all that admit them and all that use them. Pure."""

import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

MOST_CERTIFICATES = 100

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for certificates that cannot be read."""


_OTHERS = re.compile(r"-{2,} ?BEGIN\b(?! (?:X509 )?CERTIFICATE-----)", re.IGNORECASE)
_KEY = re.compile(r"PRIVATE KEY", re.IGNORECASE)


class InvalidPem(ValueError):  # noqa: N818 - it is named after what is the matter
    """A text that holds no certificates that can be used; the message says why, to follow what names the text."""


def certificates_of(data: bytes) -> tuple[x509.Certificate, ...]:
    """One certificate or more, each of them readable in all its parts. Raises InvalidPem."""
    try:
        found = tuple(x509.load_pem_x509_certificates(data))
        for each in found:
            look_through(each)
    except UNREADABLE as error:
        raise InvalidPem("holds no certificates in PEM that can be read") from error
    if len(found) > MOST_CERTIFICATES:
        raise InvalidPem(f"holds {len(found)} certificates; at most {MOST_CERTIFICATES} are taken")
    return found


def others_beside(text: str) -> str | None:
    """Says what a text of certificates holds beside them, to follow it, or None. Nothing of it is repeated."""
    found = _OTHERS.search(text)
    if found is None:
        return None
    line = text[found.end() :].split("\n", 1)[0]
    if _KEY.search(line):
        return "holds a private key; take it out, and have another made if others could read it"
    return "holds something else than certificates; take it out"


def look_through(certificate: x509.Certificate) -> None:
    """Reads what is otherwise read late. Raises one of UNREADABLE."""
    certificate.extensions  # noqa: B018 - raises where they cannot be read
    certificate.subject, certificate.issuer, certificate.not_valid_after_utc  # noqa: B018 - likewise
    certificate.public_key()


def is_authority(certificate: x509.Certificate) -> bool:
    """True where it says that it signs others; it can be read."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
