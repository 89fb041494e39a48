"""Bundles of trust domains, as SPIFFE publishes them (SPIFFE Trust Domain and Bundle, section 4). Pure."""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from xdsd.ca.reading import Unreadable
from xdsd.model.pem import UNREADABLE, is_authority, look_through

_USE = "x509-svid"
_MOST = 100


def read_bundle(text: str) -> tuple[x509.Certificate, ...]:
    """The authorities of X.509 identities in a published bundle (JSON). Raises Unreadable, which says what is wrong."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("is no JSON") from None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or len(keys) > _MOST:
        raise Unreadable(f'is no SPIFFE bundle: it has no "keys", or more than {_MOST}')
    found = [_authority(key) for key in keys if isinstance(key, dict) and key.get("use") == _USE]
    if not found:
        raise Unreadable(f"has no key whose use is {_USE}")
    return tuple(dict.fromkeys(found))


def bundle_fault(text: str) -> str | None:
    """Says why a text is no bundle, to follow it, or None."""
    try:
        read_bundle(text)
    except Unreadable as error:
        return str(error)
    return None


def write_bundle(roots: Iterable[x509.Certificate]) -> str:
    """The same, as it is published for others."""
    keys = [
        {"use": _USE, **_public(root), "x5c": [base64.b64encode(root.public_bytes(Encoding.DER)).decode()]}
        for root in roots
    ]
    return json.dumps({"keys": keys, "spiffe_refresh_hint": 300})


def _authority(key: dict[str, Any]) -> x509.Certificate:
    chain = key.get("x5c")
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise Unreadable(f"has a key for {_USE} without exactly one certificate in x5c")
    try:
        found = x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))
        look_through(found)
    except (*UNREADABLE, binascii.Error):
        raise Unreadable("has a certificate that cannot be read") from None
    if not is_authority(found):
        raise Unreadable("has a certificate that is no authority's")
    return found


def _public(root: x509.Certificate) -> dict[str, str]:
    """The public key as a JSON web key."""
    numbers: Any = root.public_key().public_numbers()  # type: ignore[union-attr]  # keys of roots are EC or RSA
    if hasattr(numbers, "curve"):
        size = (numbers.curve.key_size + 7) // 8
        curve = {256: "P-256", 384: "P-384", 521: "P-521"}[numbers.curve.key_size]
        return {"kty": "EC", "crv": curve, "x": _text(numbers.x, size), "y": _text(numbers.y, size)}
    return {
        "kty": "RSA",
        "n": _text(numbers.n, (numbers.n.bit_length() + 7) // 8),
        "e": _text(numbers.e, (numbers.e.bit_length() + 7) // 8),
    }


def _text(number: int, size: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(size)).rstrip(b"=").decode()
