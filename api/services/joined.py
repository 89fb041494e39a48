"""What the daemon has for whoever lets others join, and shuts them out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from xdsd.ca.authority import Authority
from xdsd.ca.ledger import Ledger
from xdsd.ca.registers import Tokens
from xdsd.ca.revoked import Revocations
from xdsd.ca.rotating import Rotations
from xdsd.credentials.foreign import Joint
from xdsd.credentials.register import Credentials
from xdsd.model.identity import SpiffeID


@dataclass(frozen=True, slots=True)
class Joined:
    """What the daemon has for it. ``server`` is its own identity, which nobody else gets; ``rotations`` are None where the
    roots are somebody else's. ``unlisted`` says why proxies are given no lists of revoked certificates; else empty.
    ``remembers`` is for how long the history of objects is kept.
    """

    authority: Authority
    tokens: Tokens
    revocations: Revocations
    issued: Ledger
    rotations: Rotations | None
    server: SpiffeID
    credentials: Credentials | None = None
    tls_address: str = ""
    mtls_address: str = ""
    unlisted: Callable[[], str] = str
    mesh_domain: str = "cluster.local"
    joint: Joint | None = None
    remembers: timedelta = timedelta.max
