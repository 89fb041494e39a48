"""The kinds of keys that are made."""

from enum import StrEnum


class KeyType(StrEnum):
    """As settings write them."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_4096 = "rsa-4096"
