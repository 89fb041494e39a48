"""Requests, certificates and keys of others, read."""

import base64
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ca.making import issued, request, root
from xdsd.ca.issuer import bundle
from xdsd.ca.keys import new_key, private_pem, public_der
from xdsd.ca.reading import (
    LARGEST_FILE,
    LARGEST_REQUEST,
    Unreadable,
    read_certificates,
    read_key,
    read_request,
)


def test_a_request_gives_its_public_key_alone() -> None:
    """The key is taken from a request in PEM or DER; names in it are not looked at."""
    key = new_key()
    text = request(key, name="evil")
    assert public_der(read_request(text)) == public_der(key.public_key())


def test_a_request_without_the_private_key_is_refused() -> None:
    """Whoever cannot sign with the key gets no certificate of it: another signature is refused."""
    text = request(new_key())
    body = bytearray(base64.b64decode(b"".join(text.splitlines()[1:-1])))
    body[-1] ^= 1
    with pytest.raises(Unreadable, match=r"not signed by its own key|PKCS #10"):
        read_request(bytes(body))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "curve secp256k1"),
        (ec.generate_private_key(ec.SECP521R1()), "curve secp521r1"),
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
        (rsa.generate_private_key(3, 2048), "exponent"),
        (ed25519.Ed25519PrivateKey.generate(), "of a kind that is not taken"),
    ],
    ids=["koblitz", "p521", "short", "exponent", "ed25519"],
)
def test_weak_keys_are_refused(key: object, why: str) -> None:
    """A key that is weak, or that Envoy does not take, is refused by a sentence that says what would be right."""
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, digest)  # type: ignore[arg-type]
    with pytest.raises(Unreadable, match=why):
        read_request(made.public_bytes(Encoding.PEM))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"\x30\x80",
        b"-----BEGIN CERTIFICATE REQUEST-----\n",
        private_pem(new_key()),
        b"\x30" * LARGEST_REQUEST,
    ],
    ids=["empty", "text", "open", "cut", "key", "nested"],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    """Bytes that are no request are refused, without a word of what they hold."""
    with pytest.raises(Unreadable, match="PKCS #10"):
        read_request(data)


def test_a_huge_request_is_not_looked_at() -> None:
    """A request beyond the limit is refused by its size."""
    with pytest.raises(Unreadable, match="at most"):
        read_request(b"\x30" * (LARGEST_REQUEST + 1))


def _refusal(read: Callable[[bytes], object], content: bytes) -> str:
    try:
        read(content)
    except Unreadable as refused:
        return str(refused)
    return ""


_SAMPLES = [request(new_key(), name="a"), bundle([issued(root()).certificate]), private_pem(new_key())]


# A certificate that is damaged in the right place is read all the same, and warned of.
@pytest.mark.filterwarnings("ignore:Parsed a serial number", "ignore:Attribute's length must be")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_SAMPLES), st.data())
def test_damaged_bytes_raise_nothing_else(sample: bytes, data: st.DataObject) -> None:
    """Whatever is done to a request, a certificate or a key, it is read or refused, and a refusal has nothing of it."""
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "double"])):
            case "flip":
                damaged[place] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[place : place + data.draw(st.integers(1, 50))]
            case _:
                damaged[place:place] = damaged[place : place + data.draw(st.integers(1, 50))]
        if not damaged:
            break
    content = bytes(damaged)
    for read in (read_request, lambda each: read_certificates(each, "F"), lambda each: read_key(each, "F")):
        said = _refusal(read, content)
        lines = [line for line in content.decode("latin-1").splitlines() if len(line) > 20]
        assert not any(line in said for line in lines)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_no_request(data: bytes) -> None:
    """Random bytes are refused as a request, a certificate and a key."""
    with pytest.raises(Unreadable):
        read_request(data)
    with pytest.raises(Unreadable):
        read_certificates(data, "F")
    with pytest.raises(Unreadable):
        read_key(data, "F")


def test_an_encrypted_key_is_refused_with_the_way_out() -> None:
    """A key with a password is refused, and the message says how to store it without."""
    text = new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    with pytest.raises(Unreadable, match="openssl pkey"):
        read_key(text, "ca-key F")


def test_a_key_of_another_form_is_read() -> None:
    """openssl's older form of a key is read like PKCS #8."""
    key = new_key()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert public_der(read_key(text, "F").public_key()) == public_der(key.public_key())


def test_huge_files_are_not_looked_at() -> None:
    """A file beyond a megabyte is refused by its size."""
    for read in (read_certificates, read_key):
        with pytest.raises(Unreadable, match="ca-file has 1048577 bytes"):
            read(b"x" * (LARGEST_FILE + 1), "ca-file")
