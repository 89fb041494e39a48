"""Kubernetes service account tokens: what one proves, held against the cluster's public keys. Pure.

A token is a JWT (RFC 7519) that the cluster signs; RS256 and ES256 alone are taken, by keys that were given beforehand, and
never a key or a key's address that stands in the token itself.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from xdsd.ca.keys import PublicKey, weakness

LARGEST_TOKEN = 16 << 10
LARGEST_FILE = 1 << 20
SKEW = timedelta(minutes=1)
_MOST_KEYS = 100
_FORM = re.compile(r"[-_A-Za-z0-9]+\.[-_A-Za-z0-9]+\.[-_A-Za-z0-9]+")
_SUBJECT = re.compile(r"system:serviceaccount:([^:]{1,253}):([^:]{1,253})")
_PEM = re.compile(rb"-----BEGIN (?:RSA )?PUBLIC KEY-----.+?-----END (?:RSA )?PUBLIC KEY-----", re.DOTALL)


class InvalidAccountToken(Exception):  # noqa: N818 - it is named after what is the matter
    """A token that proves nothing; the message says why, and nothing of what stands in it."""


class UnreadableKeys(ValueError):  # noqa: N818 - it is named after what is the matter
    """What holds no public keys; the message says what should be there."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Who signs tokens: the issuer that they name, the audience that they must be for, and the keys by their ids."""

    issuer: str
    audience: str
    keys: tuple[tuple[str, PublicKey], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """What a token proves. ``credential`` names the token without helping to make it."""

    namespace: str
    name: str
    expires: datetime
    credential: str


def is_account_token(text: str) -> bool:
    """True for what has the form of a JWT."""
    return len(text) <= LARGEST_TOKEN and _FORM.fullmatch(text) is not None


def read_keys(data: bytes) -> tuple[tuple[str, PublicKey], ...]:
    """Public keys in PEM, without ids, or as a JWKS (RFC 7517). Raises UnreadableKeys."""
    if len(data) > LARGEST_FILE:
        raise UnreadableKeys(f"has {len(data)} bytes; at most {LARGEST_FILE} are taken")
    try:
        found = _jwks(data) if data.lstrip().startswith(b"{") else _pems(data)
    except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm, RecursionError) as error:
        raise UnreadableKeys("holds no public keys in PEM, and no JWKS") from error
    if not found:
        raise UnreadableKeys("holds no public key that can be used: ECDSA P-256, or RSA of 2048 to 4096 bits")
    return tuple(found[:_MOST_KEYS])


def verify(text: str, cluster: Cluster, now: datetime) -> Account:
    """Raises InvalidAccountToken."""
    header, claims = _parts(text)
    if not any(_holds(text, header.get("alg"), key) for key in _candidates(header, cluster)):
        raise InvalidAccountToken("the service account token is not signed by a key of the cluster")
    if claims.get("iss") != cluster.issuer:
        raise InvalidAccountToken(f"the service account token is not of the issuer {cluster.issuer}")
    audience = claims.get("aud")
    if cluster.audience not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidAccountToken(f"the service account token is not for the audience {cluster.audience}")
    expires, begins = _time(claims.get("exp")), _time(claims.get("nbf", 0))
    if expires is None or begins is None:
        raise InvalidAccountToken("the service account token does not say when it expires")
    if now >= expires:
        raise InvalidAccountToken(f"the service account token expired at {expires.isoformat()}")
    if now + SKEW < begins:
        raise InvalidAccountToken(
            f"the service account token is valid from {begins.isoformat()} on; check the clocks"
        )
    namespace, name = _account(claims)
    return Account(namespace, name, expires, credential_of(text))


def credential_of(text: str) -> str:
    """What names a token without helping to make it."""
    return sha256(text.encode()).hexdigest()[:16]


def expiry_of(text: str) -> datetime:
    """When a token says that it expires; whether it is one somebody else knows. Raises InvalidAccountToken."""
    expires = _time(_parts(text)[1].get("exp"))
    if expires is None:
        raise InvalidAccountToken("the service account token does not say when it expires")
    return expires


def account_of(subject: object) -> tuple[str, str]:
    """The namespace and the name in ``system:serviceaccount:NAMESPACE:NAME``. Raises InvalidAccountToken."""
    match = _SUBJECT.fullmatch(subject) if isinstance(subject, str) else None
    if match is None:
        raise InvalidAccountToken("the token is not of a service account")
    return match[1], match[2]


def _account(claims: Mapping[str, Any]) -> tuple[str, str]:
    found = account_of(claims.get("sub"))
    bound = claims.get("kubernetes.io")
    if isinstance(bound, Mapping):
        account = bound.get("serviceaccount")
        said = (bound.get("namespace"), account.get("name") if isinstance(account, Mapping) else None)
        if said != found:
            raise InvalidAccountToken("the service account token contradicts itself")
    return found


def _parts(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if not is_account_token(text):
        raise InvalidAccountToken("the token is no JWT")
    header, claims, _ = text.split(".")
    try:
        found = json.loads(_decoded(header)), json.loads(_decoded(claims))
    except (ValueError, RecursionError):
        found = None, None
    if not isinstance(found[0], dict) or not isinstance(found[1], dict):
        raise InvalidAccountToken("the token is no JWT")
    if "crit" in found[0]:
        raise InvalidAccountToken("the token wants what is not known here (crit)")
    return found[0], found[1]


def _candidates(header: Mapping[str, Any], cluster: Cluster) -> Sequence[PublicKey]:
    """The key that the header names, or all where keys have no ids."""
    named = header.get("kid")
    known = [key for identity, key in cluster.keys if identity and identity == named]
    return known or [key for identity, key in cluster.keys if not identity]


def _holds(text: str, algorithm: object, key: PublicKey) -> bool:
    signed, _, signature = text.rpartition(".")
    try:
        value = _decoded(signature)
        if algorithm == "RS256" and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            return True
        if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePublicKey) and len(value) == 64:
            pair = encode_dss_signature(int.from_bytes(value[:32]), int.from_bytes(value[32:]))
            key.verify(pair, signed.encode(), ec.ECDSA(hashes.SHA256()))
            return True
    except (InvalidSignature, ValueError):
        return False
    return False


def _time(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _decoded(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _pems(data: bytes) -> list[tuple[str, PublicKey]]:
    found = [load_pem_public_key(each) for each in _PEM.findall(data)[:_MOST_KEYS]]
    return [("", key) for key in found if _is_usable(key)]  # type: ignore[misc]  # it lets no other kinds through


def _jwks(data: bytes) -> list[tuple[str, PublicKey]]:
    found: list[tuple[str, PublicKey]] = []
    for each in json.loads(data)["keys"][:_MOST_KEYS]:
        if each.get("use", "sig") != "sig":
            continue
        key: PublicKey
        if each.get("kty") == "RSA":
            key = rsa.RSAPublicNumbers(_number(each["e"]), _number(each["n"])).public_key()
        elif each.get("kty") == "EC" and each.get("crv") == "P-256":
            key = ec.EllipticCurvePublicNumbers(
                _number(each["x"]), _number(each["y"]), ec.SECP256R1()
            ).public_key()
        else:
            continue
        if _is_usable(key):
            found.append((str(each.get("kid", "")), key))
    return found


def _is_usable(key: object) -> bool:
    curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name != "secp256r1"
    return not weakness(key) and not curve


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text))
