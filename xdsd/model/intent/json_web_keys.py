"""Sets of public keys (JWKS, RFC 7517), as far as they can be checked without using them."""

import base64
import binascii
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

MAX_KEYS = 100
MAX_JWKS = 256 * 1024

_NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
)
_CURVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {"EC": frozenset({"P-256", "P-384", "P-521"}), "OKP": frozenset({"Ed25519"})}
)
_IS_PRIVATE = "holds a private part; publish the public one"
_IS_SYMMETRIC = "is symmetric: whoever can check tokens by it can make them; publish a public one"
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "priv")
_SECRET = frozenset({*_PRIVATE, "k"})


def jwks_fault(text: str) -> str | None:
    """Says why the text is no set of keys that proxies take, to follow it, or None."""
    if len(text) > MAX_JWKS:
        return f"is longer than {MAX_JWKS} bytes"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "is no JSON"
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        return 'is no set of keys: write {"keys": [...]}'
    return _keys_fault(keys)


def secret_fault(text: str) -> str | None:
    """Says that a text holds a private or symmetric key somewhere, to follow it, or None. Nothing of it is repeated."""
    names: set[str] = set()
    try:
        json.loads(text, object_pairs_hook=lambda pairs: names.update(name for name, _ in pairs))
    except (ValueError, RecursionError):
        return None
    if names.isdisjoint(_SECRET):
        return None
    what = "private" if not names.isdisjoint(_PRIVATE) else "symmetric"
    return f"holds a {what} key, with which whoever reads this makes tokens; write public keys alone, and replace that one"


def _keys_fault(keys: list[Any]) -> str | None:
    if len(keys) > MAX_KEYS:
        return f"holds {len(keys)} keys, which is above {MAX_KEYS}"
    faults = [key_fault(key) for key in keys]
    for index, fault in enumerate(faults):
        if fault == _IS_PRIVATE:
            return f"has a key that {fault} (key {index})"
    if None in faults:
        return None
    return "holds no key that proves tokens" + (f": key 0 {faults[0]}" if faults else "")


def key_fault(key: Any) -> str | None:
    """Says why a member of ``keys`` is no public key, or None. Others' keys beside ours are passed over, as published."""
    kind = key.get("kty") if isinstance(key, dict) else None
    if not isinstance(kind, str) or kind not in _NEEDED:
        return _IS_SYMMETRIC if kind == "oct" else "has no kty of RSA, EC or OKP"
    if any(name in key for name in _PRIVATE):
        return _IS_PRIVATE
    for name in _NEEDED[kind]:
        value = key.get(name)
        if not isinstance(value, str) or not value:
            return f"lacks {name}"
        if name != "crv" and not _is_base64url(value):
            return f"has a {name} that is no base64url"
    if kind in _CURVES and key["crv"] not in _CURVES[kind]:
        return f"has a curve that proxies do not know; they know {', '.join(sorted(_CURVES[kind]))}"
    return None


def _is_base64url(text: str) -> bool:
    try:
        base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
