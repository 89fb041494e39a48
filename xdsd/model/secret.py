"""What may be known of the secrets of proxies."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """A certificate that a proxy was given or trusts, by the ``name`` of its secret.

    ``subject`` is its identity, ``serial`` and ``fingerprint`` (SHA-256) are in hexadecimal digits. ``renewal`` is when it
    is replaced, None where that is not up to the clock.
    """

    name: str
    subject: str
    serial: str
    fingerprint: str
    begins: datetime
    ends: datetime
    renewal: datetime | None = None
