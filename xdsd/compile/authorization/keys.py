"""The keys that a provider of tokens is given.

Envoy refuses all that a filter is told if one of its providers has no key that it can use. So each has one more, which is
nobody's: a point of the curve P-256 whose first coordinate is the SHA-256 of the text ``xdsd: nobody's key 0``, so that no
private key of it is known. With it alone no token holds, as must be while an issuer's keys are not known.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from xdsd.model.intent.json_web_keys import key_fault

NOBODYS: Mapping[str, str] = MappingProxyType(
    {
        "kty": "EC",
        "crv": "P-256",
        "kid": "xdsd-nobody",
        "x": "48T9UdSdDi17hHGpyLfpfGMGDBIEyC2S8ufxV0TGpb8",
        "y": "ZFq9m5pwftEpr_KN01-lnAvmZzROHJwQEoG1ExbjsBE",
    }
)


def key_set(jwks: str) -> str:
    """A set of keys as providers are given it: those that prove tokens, and nobody's."""
    keys = json.loads(jwks)["keys"] if jwks else []
    usable = [key for key in keys if key_fault(key) is None]
    return json.dumps({"keys": [*usable, dict(NOBODYS)]}, sort_keys=True)
