"""What may be known of the secrets of proxies."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """A certificate that a proxy was given or trusts, by the ``name`` of its secret.

    ``subject`` is its identity, ``serial`` and ``fingerprint`` (SHA-256) are in hexadecimal digits. ``renewal`` is when it
    is replaced, None where that is not up to the clock. ``trust_domain`` is the other one that an authority vouches for;
    empty for the mesh's own.
    """

    name: str
    subject: str
    serial: str
    fingerprint: str
    begins: datetime
    ends: datetime
    renewal: datetime | None = None
    trust_domain: str = ""


@dataclass(frozen=True, slots=True)
class HeldSecrets:
    """What a stream was delivered last, at the ``turn`` of the roots that was then.

    ``trusts`` are ids of roots, ``leaf`` the one that its certificate is of (empty: not known any more), which ends
    ``until``.
    """

    turn: int
    trusts: tuple[str, ...]
    leaf: str
    until: datetime
