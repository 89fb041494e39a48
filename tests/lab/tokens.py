"""Tokens (JWT) for tests, and the keys that prove them."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

FAR = 4_000_000_000
"""A time when tokens of tests are over."""


class TokenIssuer:
    """Signs tokens with a key of its own (ES256)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwks(self) -> str:
        """Its public key, as a set of keys."""
        numbers = self._key.public_key().public_numbers()
        x, y = (_text(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.name, "x": x, "y": y}
        return json.dumps({"keys": [key]})

    def token(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims; it ends ``FAR`` in the future unless they say otherwise."""
        head = {"alg": "ES256", "typ": "JWT", "kid": self.name}
        body = {"iss": self.name, "exp": FAR, **claims}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (head, body))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
