"""Where an issuer's public keys are."""

from typing import NamedTuple


class KeySource(NamedTuple):
    """An address of keys (JWKS), or with ``discover`` of an OpenID Connect configuration, which names theirs. ``timeout`` is
    in seconds.
    """

    url: str
    discover: bool
    timeout: float


class FetchedKeys(NamedTuple):
    """What is known of a source: its keys as they were last seen (empty if never), and why it cannot be asked now."""

    jwks: str = ""
    fault: str = ""
