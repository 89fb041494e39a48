"""Credentials as values, and whether the files that one is made of are what they should be. Pure.

Files go by the names that Istio reads in Kubernetes secrets: ``tls.crt``, ``tls.key``, ``ca.crt``, ``ca.crl`` and
``tls.ocsp-staple``, or ``cert``, ``key``, ``cacert`` and ``crl``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import ocsp

from xdsd.ca.keys import public_der, weakness
from xdsd.ca.reading import Unreadable, is_signed_by, read_certificates, read_key
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.identity import shown
from xdsd.model.pem import others_beside

LARGEST = 256 << 10
"""Bytes of all files of a credential."""

SOON = timedelta(days=14)
_TOLERANCE = timedelta(minutes=5)
_MOST_ACCOUNTS = 64
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ACCOUNT = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,251}[A-Za-z0-9])?")
_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class InvalidCredential(ValueError):  # noqa: N818 - it is named after what is the matter
    """What a credential was to be made of is wrong; the message says what would be right, and no secret."""


class CredentialKind(StrEnum):
    """How it was made."""

    TLS = "tls"
    GENERIC = "generic"


class Part(StrEnum):
    """What a file is to a credential."""

    CHAIN = "chain"
    KEY = "key"
    AUTHORITIES = "authorities"
    REVOKED = "revoked"
    STAPLE = "staple"


FILES: Mapping[str, Part] = MappingProxyType(
    {
        "tls.crt": Part.CHAIN,
        "tls.key": Part.KEY,
        "ca.crt": Part.AUTHORITIES,
        "ca.crl": Part.REVOKED,
        "tls.ocsp-staple": Part.STAPLE,
        "cert": Part.CHAIN,
        "key": Part.KEY,
        "cacert": Part.AUTHORITIES,
        "crl": Part.REVOKED,
    }
)


@dataclass(frozen=True, slots=True)
class Material:
    """What is secret of a credential, and what goes with it: PEM, but for the ``staple`` (an OCSP response, DER)."""

    chain: bytes = b""
    key: bytes = field(default=b"", repr=False)
    authorities: bytes = b""
    revoked: bytes = b""
    staple: bytes = b""


@dataclass(frozen=True, slots=True)
class Credential:
    """``accounts`` are the service accounts of its namespace that may have it; none: all of them."""

    name: CredentialName
    kind: CredentialKind
    material: Material
    accounts: tuple[str, ...]
    created: datetime
    changed: datetime
    author: str = ""

    @property
    def parts(self) -> CredentialParts:
        """What may be known of it."""
        material = self.material
        return CredentialParts(
            bool(material.chain), bool(material.authorities), self.accounts, _names(material.chain)
        )


def _names(chain: bytes) -> tuple[str, ...]:
    """The hosts that a certificate is for: those in its SAN."""
    if not chain:
        return ()
    try:
        own, *_ = read_certificates(chain, "the certificate")
        found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (Unreadable, x509.ExtensionNotFound):
        return ()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return tuple(sorted({name.lower() for name in (*found.get_values_for_type(x509.DNSName), *addresses)}))


def check_name(name: CredentialName, accounts: Sequence[str] = ()) -> None:
    """Raises InvalidCredential for what can be no name."""
    if not _NAMESPACE.fullmatch(name.namespace):
        raise InvalidCredential(
            f"{shown(name.namespace)} is no name of a namespace: write at most 63 small letters, digits and dashes"
        )
    if not _NAME.fullmatch(name.name):
        raise InvalidCredential(
            f"{shown(name.name)} is no name of a secret: write at most 253 small letters, digits, dots and dashes"
        )
    wrong = [each for each in accounts if not _ACCOUNT.fullmatch(each)]
    if wrong:
        raise InvalidCredential(
            f"{shown(wrong[0])} is no name of a service account: "
            "write at most 253 letters, digits, dots, dashes and underlines"
        )
    if len(accounts) > _MOST_ACCOUNTS:
        raise InvalidCredential(f"a secret is for at most {_MOST_ACCOUNTS} service accounts, or for all")


def read_material(files: Mapping[str, bytes], now: datetime) -> tuple[Material, tuple[str, ...]]:
    """What the files hold, by their names, and what will be wrong soon. Raises InvalidCredential."""
    if sum(map(len, files.values())) > LARGEST:
        raise InvalidCredential(f"the files of a secret have at most {LARGEST} bytes in all")
    parts: dict[Part, bytes] = {}
    for name, data in files.items():
        part = FILES.get(name)
        if part is None:
            raise InvalidCredential(
                f"{shown(name)} is no file that is known in a secret; known are {', '.join(FILES)}"
            )
        if part in parts:
            raise InvalidCredential(f"{shown(name)} is the second file of its kind; give one")
        parts[part] = data
    material = Material(**{part.value: data for part, data in parts.items()})
    try:
        return material, tuple(_check(material, now))
    except Unreadable as error:
        raise InvalidCredential(str(error)) from error


def _check(material: Material, now: datetime) -> Iterator[str]:
    """Yields warnings. Raises InvalidCredential, Unreadable."""
    if bool(material.chain) != bool(material.key):
        lacking = "certificate" if material.key else "key"
        raise InvalidCredential(f"the {lacking} is missing; give certificate and key, or neither")
    if not material.chain and not material.authorities:
        raise InvalidCredential("there is neither a certificate with its key nor an authority's certificate")
    if material.chain:
        yield from _check_own(material, now)
    elif material.staple:
        raise InvalidCredential("an OCSP response is for a certificate, and there is none")
    yield from _check_authorities(material, now)


def _certificates(data: bytes, what: str) -> tuple[x509.Certificate, ...]:
    """Proxies show certificates to whoever asks, so nothing else may stand beside them."""
    if others := others_beside(data.decode("latin-1")):
        raise InvalidCredential(f"{what} {others}")
    return read_certificates(data, what)


def _check_own(material: Material, now: datetime) -> Iterator[str]:
    chain = _certificates(material.chain, "the certificate")
    key = read_key(material.key, "the key")
    public = chain[0].public_key()
    if weak := weakness(public):
        raise InvalidCredential(f"the certificate's key {weak}")
    if public_der(public) != public_der(key.public_key()):  # type: ignore[arg-type]  # weakness lets no others through
        place = _place_of(chain, public_der(key.public_key()))
        hint = f"it fits certificate {place + 1} of the file, which must be the first" if place else ""
        raise InvalidCredential(f"the key does not fit the certificate; {hint or 'give the key of that one'}")
    for lower, upper in pairwise(chain):
        if not is_signed_by(lower, upper):
            raise InvalidCredential(
                f"{_called(lower)} is not signed by {_called(upper)}, which stands next; write the certificate of "
                "the server first, then each that signed the one before it"
            )
    for each in chain:
        yield from _check_times(each, now)
    if material.staple:
        _check_staple(material.staple, chain[0], now)


def _place_of(chain: Sequence[x509.Certificate], key: bytes) -> int:
    """Which later certificate of a chain has the key; 0: none."""
    fitting = (
        place
        for place, each in enumerate(chain)
        if not weakness(each.public_key()) and public_der(each.public_key()) == key  # type: ignore[arg-type]
    )
    return next(fitting, 0)


def _check_authorities(material: Material, now: datetime) -> Iterator[str]:
    if not material.authorities:
        if material.revoked:
            raise InvalidCredential("a list of revoked certificates is for authorities, and there are none")
        return
    authorities = _certificates(material.authorities, "the authorities' file")
    for each in authorities:
        if each.not_valid_after_utc <= now:
            yield f"{_called(each)} of the authorities expired at {each.not_valid_after_utc.isoformat()}"
    if material.revoked:
        for found in read_lists(material.revoked):
            _check_list(found, authorities, now)


def read_lists(data: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """Lists of revoked certificates, PEM. Raises InvalidCredential."""
    try:
        found = tuple(x509.load_pem_x509_crl(each) for each in _LIST.findall(data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidCredential("the file of revoked certificates cannot be read") from error
    if not found:
        raise InvalidCredential("the file of revoked certificates holds no list (X509 CRL) in PEM")
    return found


def _check_list(
    found: x509.CertificateRevocationList, authorities: Sequence[x509.Certificate], now: datetime
) -> None:
    issuer = shown(found.issuer.rfc4514_string())
    if not any(_signed_list(found, each) for each in authorities):
        raise InvalidCredential(
            f"the list of revoked certificates of {issuer} is signed by none of the authorities"
        )
    ends = found.next_update_utc
    if ends is not None and ends <= now:
        raise InvalidCredential(
            f"the list of revoked certificates of {issuer} expired at {ends.isoformat()}: by it nobody would be let in"
        )


def _signed_list(found: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    if found.issuer != authority.subject:
        return False
    try:
        return found.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # others raise TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _check_staple(data: bytes, certificate: x509.Certificate, now: datetime) -> None:
    try:
        found = ocsp.load_der_ocsp_response(data)
        fits = found.serial_number == certificate.serial_number
        good = found.certificate_status is ocsp.OCSPCertStatus.GOOD
        ends = found.next_update_utc
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidCredential(
            "the OCSP response cannot be read; it is to be a successful one, in DER"
        ) from error
    if not fits:
        raise InvalidCredential("the OCSP response is for another certificate")
    if not good:
        raise InvalidCredential("the OCSP response says that the certificate is not good")
    if ends is not None and ends <= now:
        raise InvalidCredential(f"the OCSP response expired at {ends.isoformat()}")


def _check_times(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        raise InvalidCredential(f"{_called(certificate)} expired at {ends.isoformat()}")
    if begins > now + _TOLERANCE:
        raise InvalidCredential(
            f"{_called(certificate)} is valid from {begins.isoformat()} on; check the clocks"
        )
    if ends - now < SOON:
        yield f"{_called(certificate)} expires soon, at {ends.isoformat()}"


def _called(certificate: x509.Certificate) -> str:
    try:
        name = certificate.subject.rfc4514_string()
    except ValueError:
        name = ""
    return f"the certificate {shown(name)}" if name else "the certificate without a name"
