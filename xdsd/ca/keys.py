"""Keys: which kinds there are, and their PEM. ``cryptography`` makes the randomness; nothing here prints a private key."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from xdsd.model.key_type import KeyType

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_SMALLEST_RSA, _LARGEST_RSA = 2048, 4096
_CURVES = frozenset({"secp256r1", "secp384r1"})


def new_key(kind: KeyType = KeyType.ECDSA_P256) -> PrivateKey:
    """A fresh key. RSA takes some 100 ms and more, so it belongs in a thread."""
    match kind:
        case KeyType.ECDSA_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyType.ECDSA_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyType.RSA_2048:
            return rsa.generate_private_key(65537, 2048)
        case KeyType.RSA_4096:
            return rsa.generate_private_key(65537, 4096)


def private_pem(key: PrivateKey) -> bytes:
    """PKCS #8 without a password. For memory and files of the owner's alone."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_der(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo; equal for equal keys."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def weakness(key: object) -> str:
    """Why a key, public or private, is not taken; empty where it is. Envoy takes these curves and RSA from 2048 bits on."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return "" if key.curve.name in _CURVES else f"is of the curve {key.curve.name}; use P-256 or P-384"
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        if not _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA:
            return (
                f"has {key.key_size} bits; use RSA of {_SMALLEST_RSA} to {_LARGEST_RSA} bits, or ECDSA P-256"
            )
        public = key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key
        return "" if public.public_numbers().e == 65537 else "has an RSA exponent other than 65537"
    return "is of a kind that is not taken; use ECDSA P-256 or P-384, or RSA of 2048 to 4096 bits"
