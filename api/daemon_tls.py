"""How a proxy reaches the daemon over TLS, as a value."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class XdsTls:
    """``server`` is the daemon's SPIFFE id. Either ``folder`` is one of ``xdsctl cert issue``, or ``root`` is a file of the
    mesh's roots and ``token`` one that holds a join token. All of them are on the proxy's machine.
    """

    server: str
    folder: Path | None = None
    root: Path | None = None
    token: Path | None = None
