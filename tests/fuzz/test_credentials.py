"""Requests, certificates, keys, join tokens, service account tokens and sets of keys that somebody made to break what reads
them: each is read as what it is, or refused with a short sentence that has nothing of it; nothing else is raised.
"""

import base64
import json
from contextlib import suppress
from typing import Any

import hypothesis.strategies as st
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings

from tests.ca.making import DAY, DOMAIN, NOW, REVIEWS, intermediate, issued, organisation, root
from tests.ca.test_service_accounts import AUDIENCE, CLAIMS, ISSUER, encoded, jwks, token
from tests.fuzz.der import changed
from xdsd.ca.checking import NotProven, faults, prove
from xdsd.ca.issuer import Ca
from xdsd.ca.keys import new_key, public_der
from xdsd.ca.reading import Unreadable, read_certificates, read_key, read_request
from xdsd.ca.service_accounts import (
    Account,
    Cluster,
    InvalidAccountToken,
    UnreadableKeys,
    is_account_token,
    read_keys,
    verify,
)
from xdsd.ca.tokens import InvalidToken, decode, encode, new_token, token_id
from xdsd.credentials.reading import InvalidCredential, read_material
from xdsd.model.intent.json_web_keys import jwks_fault

QUICK = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=250,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
"""Of odd certificates ``cryptography`` warns as it reads them; the daemon logs that."""
LONGEST = 600
"""Characters of a refusal."""


def short(error: Exception, but: bytes = b"") -> None:
    """A refusal is short, and has no line of what it is about."""
    text = str(error)
    assert len(text) < LONGEST
    assert not any(line.decode() in text for line in but.splitlines()[1:-1] if len(line) > 20)


def armoured(kind: str, der: bytes) -> bytes:
    """PEM."""
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n".encode()


def requests() -> list[bytes]:
    """Signing requests of several kinds of keys, with whatever may stand in one."""
    names = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "reviews"), x509.NameAttribute(NameOID.COUNTRY_NAME, "CH")]
    )
    alternatives = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(str(REVIEWS)), x509.DNSName("example.com"), x509.RFC822Name("a@b.c")]
    )
    keys: tuple[Any, ...] = (
        new_key(),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
        rsa.generate_private_key(3, 2048),
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(names)
    builder = builder.add_extension(alternatives, critical=True)
    builder = builder.add_extension(x509.BasicConstraints(True, 3), critical=False)
    return [builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER) for key in keys]


CA = intermediate(organisation())
LEAVES = [issued(root()).certificate, issued(CA).certificate, CA.certificate, organisation().certificate]
KEYS = [
    key.private_bytes(Encoding.DER, form, NoEncryption())
    for key in (new_key(), rsa.generate_private_key(65537, 2048))
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
]
REQUESTS = requests()


@QUICK
@given(changed(REQUESTS))
def test_requests(der: bytes) -> None:
    """A key is taken from a request that it signed itself, of a kind that is taken; a request is refused otherwise."""
    try:
        key = read_request(armoured("CERTIFICATE REQUEST", der))
    except Unreadable as error:
        short(error)
        return
    parsed = x509.load_der_x509_csr(der)
    assert parsed.is_signature_valid
    assert public_der(key) in der


@QUICK
@given(changed([each.public_bytes(Encoding.DER) for each in LEAVES]))
def test_certificates(der: bytes) -> None:
    """A certificate proves an identity of the mesh in its time or nothing; as a CA's it is faultless, or what is wrong is
    said.
    """
    try:
        (certificate,) = read_certificates(armoured("CERTIFICATE", der), "the file")
    except Unreadable as error:
        short(error)
        return
    try:
        proof = prove(certificate, DOMAIN, NOW)
    except NotProven as error:
        short(error)
    else:
        assert proof.identity.trust_domain == DOMAIN
        assert proof.begins <= NOW < proof.expires
        assert proof.serial > 0
    for fault in faults(Ca((certificate, *CA.chain), CA.key), CA.chain, DOMAIN, NOW):
        assert len(fault) < LONGEST


@QUICK
@given(changed(KEYS), st.sampled_from(["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "CERTIFICATE"]))
def test_keys(der: bytes, kind: str) -> None:
    """A private key is read or refused, and a refusal shows none of it."""
    text = armoured(kind, der)
    try:
        read_key(text, "the file")
    except Unreadable as error:
        short(error, text)


@QUICK
@given(
    changed([each.public_bytes(Encoding.DER) for each in LEAVES]),
    changed(KEYS),
    st.sampled_from(["ca.crt", "ca.crl", "tls.ocsp-staple", "nonsense"]),
    st.binary(max_size=60),
)
def test_credentials_of_gateways(certificate: bytes, key: bytes, other: str, data: bytes) -> None:
    """Files of a secret are taken or refused with a sentence that shows no key."""
    files = {
        "tls.crt": armoured("CERTIFICATE", certificate),
        "tls.key": armoured("PRIVATE KEY", key),
        other: data,
    }
    try:
        read_material(files, NOW)
    except InvalidCredential as error:
        short(error, files["tls.key"])


TEXT, JOIN = new_token(bytes(range(38)), REVIEWS, NOW, NOW + DAY, networks=("10.0.0.0/8",))


@QUICK
@given(st.data())
def test_join_tokens(data: st.DataObject) -> None:
    """Of all texts near a token's the token alone is one of it; what names it otherwise, or is cut, doubled or of another
    script, is not.
    """
    place = data.draw(st.integers(0, len(TEXT)))
    more = data.draw(st.text(max_size=3) | st.sampled_from(["\0", "\n", "٣", "_", TEXT, "é", "\ud800"]))
    cut = data.draw(st.integers(0, 3))
    text = TEXT[:place] + more + TEXT[place + cut :]
    token_id(text)
    assert JOIN.is_of(text) == (text == TEXT)


KEPT = json.loads(encode(JOIN))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
)


@QUICK
@given(st.sampled_from(sorted(KEPT)), JSON, st.booleans())
def test_what_is_kept_of_join_tokens(field: str, value: Any, gone: bool) -> None:
    """A record with another value in a field is read as just that, or refused: never as a token for more than was meant."""
    record = {name: each for name, each in KEPT.items() if name != field or not gone}
    if not gone:
        record[field] = value
    try:
        found = decode("0" * 12, json.dumps(record).encode())
    except InvalidToken as error:
        short(error)
        return
    assert record.keys() == KEPT.keys()
    assert json.loads(encode(found)) == record


KEY = ec.generate_private_key(ec.SECP256R1())
CLUSTER = Cluster(ISSUER, AUDIENCE, read_keys(jwks(one=KEY)))
CLAIM = st.sampled_from([*CLAIMS, "kubernetes.io", "crit", "jku", "jwk"])
ODD = (
    JSON
    | st.dictionaries(st.text(max_size=5), JSON, max_size=3)
    | st.sampled_from(
        [
            10**400,
            -1,
            1e308,
            float("nan"),
            float("inf"),
            "system:serviceaccount:bank:vault",
            "system:serviceaccount:a:b:c",
            [[AUDIENCE]],
        ]
    )
)


@QUICK
@given(
    st.dictionaries(CLAIM, ODD, max_size=3),
    st.dictionaries(st.sampled_from(["alg", "kid", "crit", "jwk", "x5c"]), ODD, max_size=2),
)
def test_service_account_tokens(claims: dict[str, Any], header: dict[str, Any]) -> None:
    """Whatever the cluster signed is an account that its subject names, for us and in its time, or nothing."""
    said = {**CLAIMS, **claims}
    with suppress(InvalidAccountToken):
        account = verify(token(KEY, said, **{"kid": "one", **header}), CLUSTER, NOW)
        assert isinstance(account, Account)
        assert said["sub"] == f"system:serviceaccount:{account.namespace}:{account.name}"
        assert said["iss"] == ISSUER
        assert AUDIENCE in (said["aud"] if isinstance(said["aud"], list) else [said["aud"]])
        assert account.expires > NOW


PARTS = token(KEY, kid="one").split(".")
PART = st.one_of(
    st.sampled_from(
        [*PARTS, encoded(b'{"alg":"none"}'), encoded(b"{}"), encoded(b"[" * 3000), encoded(b'{"a":1,"a":2}')]
    ),
    st.binary(max_size=40).map(encoded),
    st.text(alphabet="-_=.AZaz09+/ \n", max_size=12),
)


@QUICK
@given(st.lists(PART, min_size=1, max_size=5))
def test_parts_of_tokens(parts: list[str]) -> None:
    """Parts of tokens put together otherwise prove nothing, and an account token's form alone is one."""
    text = ".".join(parts)
    is_account_token(text)
    if parts != PARTS:
        with suppress(InvalidAccountToken):
            account = verify(text, CLUSTER, NOW)
            assert text.split(".")[:2] == PARTS[:2], account


KEYSET = json.loads(jwks(one=KEY, two=rsa.generate_private_key(65537, 2048)))


@QUICK
@given(
    st.integers(0, 1),
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "d"]),
    ODD | st.text(alphabet="AZ-_=", max_size=400),
)
def test_sets_of_keys(place: int, field: str, value: Any) -> None:
    """A set with an odd key in it is read without it, or refused; what proxies would be told is judged without a fault."""
    keys = [dict(each) for each in KEYSET["keys"]]
    keys[place][field] = value
    text = json.dumps({"keys": keys})
    with suppress(UnreadableKeys):
        assert read_keys(text.encode())
    fault = jwks_fault(text)
    assert fault is None or len(fault) < LONGEST
