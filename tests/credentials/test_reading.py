"""The files that a credential is made of: what is taken, and what is told of the rest."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.ca.making import issued, root
from tests.lab.certificates import Authority
from xdsd.ca.issuer import pem
from xdsd.ca.keys import new_key, private_pem
from xdsd.credentials.reading import (
    LARGEST,
    Credential,
    CredentialKind,
    InvalidCredential,
    Material,
    check_name,
    read_material,
)
from xdsd.model.credential import CredentialName, CredentialParts

CA, KEY = root(), new_key()
LEAF = issued(CA, key=KEY, lifetime=timedelta(days=90)).certificate
NOW = LEAF.not_valid_before_utc + timedelta(hours=2)
CERT, PRIVATE, AUTHORITY = pem(LEAF), private_pem(KEY), pem(CA.certificate)
LIST = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"


def test_files_go_by_either_set_of_names() -> None:
    """A certificate with its key and authorities is taken under the names of both kinds of Kubernetes secrets."""
    wanted = Material(CERT + AUTHORITY, PRIVATE, AUTHORITY)
    tls = {"tls.crt": CERT + AUTHORITY, "tls.key": PRIVATE, "ca.crt": AUTHORITY}
    generic = {"cert": CERT + AUTHORITY, "key": PRIVATE, "cacert": AUTHORITY}
    assert read_material(tls, NOW) == read_material(generic, NOW) == (wanted, ())
    assert read_material({"cacert": AUTHORITY}, NOW) == (Material(authorities=AUTHORITY), ())
    assert PRIVATE.decode() not in repr(wanted)


def test_it_is_known_whom_a_certificate_is_for(tmp_path: Path) -> None:
    """Its hosts and addresses, in lower case, and nothing else of it; one that names none is for nobody that is known."""
    made = Authority(tmp_path).issue("shop", "DNS:Shop.example.com", "DNS:*.example.org", "IP:192.0.2.1")
    name = CredentialName("edge", "shop")

    def parts(chain: bytes) -> CredentialParts:
        return Credential(name, CredentialKind.TLS, Material(chain), (), NOW, NOW).parts

    hosts = ("*.example.org", "192.0.2.1", "shop.example.com")
    assert parts(made.cert.read_bytes()) == CredentialParts(own=True, names=hosts)
    assert parts(CERT).names == parts(b"").names == ()


def test_what_expires_soon_is_taken_with_a_warning() -> None:
    """In the last two weeks of its life a certificate is taken, and it is said when it ends."""
    late = LEAF.not_valid_after_utc - timedelta(days=3)
    _, (warning,) = read_material({"cert": CERT, "key": PRIVATE}, late)
    assert warning.endswith(f"expires soon, at {LEAF.not_valid_after_utc.isoformat()}")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "neither a certificate with its key nor an authority's"),
        ({"cert": CERT}, "the key is missing"),
        ({"key": PRIVATE}, "the certificate is missing"),
        (
            {"cert": CERT, "key": private_pem(new_key())},
            "the key does not fit the certificate; give the key of that one",
        ),
        (
            {"cert": AUTHORITY + CERT, "key": PRIVATE},
            "it fits certificate 2 of the file, which must be the first",
        ),
        (
            {"cert": CERT + pem(root().certificate), "key": PRIVATE},
            "which stands next; write the certificate of the",
        ),
        ({"cert": b"nothing", "key": PRIVATE}, "the certificate holds no certificates in PEM"),
        ({"cert": CERT + PRIVATE, "key": PRIVATE}, "the certificate holds a private key; take it out"),
        ({"cacert": PRIVATE + AUTHORITY}, "the authorities' file holds a private key; take it out"),
        ({"cert": CERT, "key": b"nothing"}, "the key holds no private key in PEM"),
        ({"cert": CERT, "key": PRIVATE, "cacert": b"x"}, "the authorities' file holds no certificates"),
        ({"cert": CERT, "key": PRIVATE, "crl": LIST}, "is for authorities, and there are none"),
        ({"cacert": AUTHORITY, "crl": LIST}, "revoked certificates cannot be read"),
        ({"cacert": AUTHORITY, "crl": b"x"}, "holds no list"),
        ({"cacert": AUTHORITY, "tls.ocsp-staple": b"x"}, "is for a certificate, and there is none"),
        ({"cert": CERT, "key": PRIVATE, "tls.ocsp-staple": b"x"}, "OCSP response cannot be read"),
        ({"server.crt": CERT}, "'server.crt' is no file that is known in a secret"),
        ({"cert": CERT, "tls.crt": CERT, "key": PRIVATE}, "is the second file of its kind"),
        ({"cacert": b" " * (LARGEST + 1)}, "have at most"),
    ],
)
def test_files_that_do_not_do_are_refused(files: dict[str, bytes], told: str) -> None:
    """What is missing, does not fit or cannot be read is told, and nothing of a key with it."""
    with pytest.raises(InvalidCredential) as error:
        read_material(files, NOW)
    assert told in str(error.value)
    assert "PRIVATE" not in str(error.value)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (LEAF.not_valid_after_utc, "expired at"),
        (LEAF.not_valid_before_utc - timedelta(days=1), "check the clocks"),
    ],
)
def test_certificates_out_of_their_time_are_refused(now: datetime, told: str) -> None:
    """One that has expired, or is not valid yet, would be shown in vain."""
    with pytest.raises(InvalidCredential, match=told):
        read_material({"cert": CERT, "key": PRIVATE}, now)


def test_lists_of_revoked_certificates_are_those_of_the_authorities(tmp_path: Path) -> None:
    """A list that one of the authorities signed is taken; one of a stranger is not."""
    authority, stranger = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    pair = authority.issue("one")
    found, now = authority.revoke(pair).read_bytes(), datetime.now(UTC)
    material, _ = read_material({"cacert": authority.cert.read_bytes(), "crl": found}, now)
    assert material.revoked == found
    with pytest.raises(InvalidCredential, match="is signed by none of the authorities"):
        read_material({"cacert": stranger.cert.read_bytes(), "crl": found}, now)
    with pytest.raises(InvalidCredential, match="by it nobody would be let in"):
        read_material({"cacert": authority.cert.read_bytes(), "crl": found}, now + timedelta(days=8))


@pytest.mark.parametrize(
    ("namespace", "name", "accounts"),
    [("", "a", ()), ("A", "a", ()), ("a", "", ()), ("a", "a/b", ()), ("a", "A", ()), ("a", "a", ("b c",))],
)
def test_names_that_cannot_be_are_refused(namespace: str, name: str, accounts: tuple[str, ...]) -> None:
    """A name never leads out of its namespace."""
    with pytest.raises(InvalidCredential, match="is no name of a"):
        check_name(CredentialName(namespace, name), accounts)
