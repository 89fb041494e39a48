"""Kubernetes service account tokens."""

import base64
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.ca.making import NOW
from xdsd.ca.keys import PrivateKey, public_der
from xdsd.ca.service_accounts import Cluster, InvalidAccountToken, UnreadableKeys, read_keys, verify

RSA, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP256R1())
ISSUER, AUDIENCE = "https://kubernetes.default.svc", "istio-ca"
CLAIMS = {
    "iss": ISSUER,
    "aud": [AUDIENCE],
    "exp": int((NOW + timedelta(hours=1)).timestamp()),
    "nbf": int(NOW.timestamp()),
    "sub": "system:serviceaccount:shop:reviews",
    "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "reviews", "uid": "1"}},
}


def encoded(data: bytes) -> str:
    """Base64, as JWTs have it."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def pem(key: PrivateKey) -> bytes:
    """Its public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def token(key: PrivateKey = RSA, claims: Any = CLAIMS, **header: Any) -> str:
    """A signed token."""
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    head = {"alg": algorithm, **header}
    signed = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(claims).encode())}"
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
    return f"{signed}.{encoded(signature)}"


def jwks(**keys: PrivateKey) -> bytes:
    """Public keys by their ids."""
    found = []
    for identity, key in keys.items():
        numbers: Any = key.public_key().public_numbers()
        if isinstance(key, rsa.RSAPrivateKey):
            said = {"kty": "RSA", "n": encoded(numbers.n.to_bytes(256)), "e": encoded(b"\1\0\1")}
        else:
            said = {
                "kty": "EC",
                "crv": "P-256",
                "x": encoded(numbers.x.to_bytes(32)),
                "y": encoded(numbers.y.to_bytes(32)),
            }
        found.append({**said, "kid": identity, "use": "sig"})
    return json.dumps({"keys": found}).encode()


def cluster(data: bytes | None = None) -> Cluster:
    """One with these keys."""
    return Cluster(ISSUER, AUDIENCE, read_keys(pem(RSA) + pem(EC) if data is None else data))


@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ecdsa"])
def test_a_token_of_the_cluster_proves_its_account(key: PrivateKey) -> None:
    """By keys in PEM, or by the one of a JWKS that it names."""
    for known, header in ((cluster(), {}), (cluster(jwks(one=OTHER, two=key)), {"kid": "two"})):
        text = token(key, **header)
        found = verify(text, known, NOW)
        assert (found.namespace, found.name) == ("shop", "reviews")
        assert found.expires == NOW + timedelta(hours=1)
        assert found.credential not in text


def without(*names: str, **more: Any) -> dict[str, Any]:
    """The claims, changed."""
    return {**{name: value for name, value in CLAIMS.items() if name not in names}, **more}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (without(iss="https://evil"), "not of the issuer"),
        (without("iss"), "not of the issuer"),
        (without(aud=["vault"]), "not for the audience"),
        (without("aud"), "not for the audience"),
        (without("exp"), "does not say when it expires"),
        (without(exp=True), "does not say when it expires"),
        (without(exp=1e99), "does not say when it expires"),
        (without(exp=int(NOW.timestamp())), "expired at"),
        (without(nbf=int(NOW.timestamp()) + 90), "check the clocks"),
        (without(sub="system:node:a"), "not of a service account"),
        (without(sub="system:serviceaccount:a:b:c"), "not of a service account"),
        (without("sub"), "not of a service account"),
        (without(sub="system:serviceaccount:bank:reviews"), "contradicts itself"),
        ([1], "no JWT"),
    ],
)
def test_what_is_claimed_wrongly_is_refused(claims: Any, why: str) -> None:
    """Another issuer, audience, time or subject proves nothing, however well it is signed."""
    with pytest.raises(InvalidAccountToken, match=why):
        verify(token(claims=claims), cluster(), NOW)


def forged() -> str:
    """Signed with the public key as a shared secret, as if it were one."""
    header = json.dumps({"alg": "HS256"}).encode()
    signed = f"{encoded(header)}.{encoded(json.dumps(CLAIMS).encode())}"
    mac = hmac.HMAC(public_der(RSA.public_key()), hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{encoded(mac.finalize())}"


@pytest.mark.parametrize(
    "text",
    [
        token(OTHER),
        token(EC).rpartition(".")[0] + "." + encoded(b"\0" * 64),
        token(EC, alg="RS256"),
        token(alg="none"),
        token(alg="PS256"),
        token().rpartition(".")[0] + ".AA",
        forged(),
    ],
    ids=["another key", "zeros", "another algorithm", "none", "pss", "short", "shared secret"],
)
def test_what_the_cluster_did_not_sign_is_refused(text: str) -> None:
    """Only a signature of a key of the cluster, by an algorithm of that key, counts."""
    with pytest.raises(InvalidAccountToken, match="not signed by a key of the cluster"):
        verify(text, cluster(), NOW)


def test_a_key_that_is_not_named_is_not_tried() -> None:
    """Where keys have ids, a token that names none, or another, proves nothing; nor does one that wants more."""
    known = cluster(jwks(one=RSA))
    for header in ({}, {"kid": "two"}, {"kid": 1}, {"kid": ["one"]}):
        with pytest.raises(InvalidAccountToken, match="not signed"):
            verify(token(**header), known, NOW)
    with pytest.raises(InvalidAccountToken, match="crit"):
        verify(token(kid="one", crit=["x"]), known, NOW)


@given(
    st.text(max_size=100)
    | st.from_regex(r"[-_A-Za-z0-9]{1,40}\.[-_A-Za-z0-9]{1,40}\.[-_A-Za-z0-9]{1,40}", fullmatch=True)
)
def test_any_text_is_refused(text: str) -> None:
    """Nothing else is raised, whatever is sent."""
    with pytest.raises(InvalidAccountToken):
        verify(text, cluster(), NOW)


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    """A token of which a sign was changed proves nothing, or the same if the sign meant nothing."""
    text = token(EC)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from("ABab01-_.")) + text[place + 1 :]
    with suppress(InvalidAccountToken):
        found = verify(changed, cluster(), NOW)
        assert (found.namespace, found.name) == ("shop", "reviews")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"{}",
        b'{"keys":[]}',
        b'{"keys":[{"kty":"RSA"}]}',
        b'{"keys":[{"kty":"oct","k":"AA"}]}',
        b"[" * 9000,
        b'{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}',
        b"x" * ((1 << 20) + 1),
    ],
    ids=["empty", "text", "object", "none", "half", "shared", "deep", "off the curve", "huge"],
)
def test_what_holds_no_keys_is_refused(data: bytes) -> None:
    """Anything but public keys is refused with what should be there."""
    with pytest.raises(UnreadableKeys):
        read_keys(data)
