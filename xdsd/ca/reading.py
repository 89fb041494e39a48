"""What others give us, read: certificates, keys and requests in PEM. Nothing of what was read stands in an error."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from xdsd.ca.keys import PrivateKey, PublicKey, weakness
from xdsd.model.pem import InvalidPem, certificates_of

LARGEST_REQUEST = 16 << 10
LARGEST_FILE = 1 << 20


class Unreadable(ValueError):  # noqa: N818 - it is named after what is the matter
    """Bytes that are not what they should be; the message says what should be there."""


def read_request(data: bytes) -> PublicKey:
    """The public key of a certificate signing request (PEM or DER); whatever else it asks for is not looked at.

    Raises Unreadable: it is none, it is too large, its key is weak, or whoever made it does not have the key.
    """
    if len(data) > LARGEST_REQUEST:
        raise Unreadable(f"the request has {len(data)} bytes; at most {LARGEST_REQUEST} are taken")
    is_pem = data.lstrip().startswith(b"-----BEGIN")
    try:
        request = x509.load_pem_x509_csr(data) if is_pem else x509.load_der_x509_csr(data)
        key = request.public_key()
        signed = not weakness(key) and request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unreadable(
            "the request is no PKCS #10 certificate signing request in PEM or DER, as `openssl req -new` makes it"
        ) from error
    if why := weakness(key):
        raise Unreadable(f"the request's key {why}")
    if not signed:
        raise Unreadable("the request is not signed by its own key")
    return key  # type: ignore[return-value]  # weakness lets no other kinds through


def read_certificates(data: bytes, what: str) -> tuple[x509.Certificate, ...]:
    """One certificate or more, in PEM. ``what`` names the bytes in the message. Raises Unreadable."""
    if len(data) > LARGEST_FILE:
        raise Unreadable(f"{what} has {len(data)} bytes; at most {LARGEST_FILE} are taken")
    try:
        return certificates_of(data)
    except InvalidPem as error:
        raise Unreadable(f"{what} {error}") from error


def read_key(data: bytes, what: str) -> PrivateKey:
    """A private key in PEM without a password. Raises Unreadable."""
    if len(data) > LARGEST_FILE:
        raise Unreadable(f"{what} has {len(data)} bytes; at most {LARGEST_FILE} are taken")
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise Unreadable(
            f"{what} is encrypted with a password; store it without: openssl pkey -in FILE -out NEW"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unreadable(f"{what} holds no private key in PEM") from error
    if why := weakness(key):
        raise Unreadable(f"the key in {what} {why}")
    return key  # type: ignore[return-value]  # weakness lets no other kinds through


def is_signed_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    """True if one certificate's issuer and signature are those of another; nobody's trust is looked at."""
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
