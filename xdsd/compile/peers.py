"""Whose connections a workload's port takes, as PeerAuthentication and what its proxy can do decide together."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from xdsd.model.intent import MutualTLSMode


class Admits(StrEnum):
    """Whom a port takes: callers in plaintext, either, only callers that prove an identity of the mesh, or nobody."""

    PLAINTEXT = "plaintext"
    EITHER = "either"
    MUTUAL = "mutual"
    NOTHING = "nothing"

    @property
    def is_mutual(self) -> bool:
        """True where some connections are mutual TLS of the mesh."""
        return self in {Admits.EITHER, Admits.MUTUAL}


_ADMITS: Mapping[MutualTLSMode, Admits] = MappingProxyType(
    {
        MutualTLSMode.DISABLE: Admits.PLAINTEXT,
        MutualTLSMode.PERMISSIVE: Admits.EITHER,
        MutualTLSMode.STRICT: Admits.MUTUAL,
    }
)


def admits(mode: MutualTLSMode, *, proven: bool) -> Admits:
    """What a mode means for a proxy; one that proved no identity has no certificate to show.

    It takes plaintext where that is allowed, and where it is not it takes nothing: closed by policy stays closed.
    """
    wanted = _ADMITS.get(mode, Admits.EITHER)
    if proven:
        return wanted
    return Admits.NOTHING if wanted is Admits.MUTUAL else Admits.PLAINTEXT


class Undeclared(NamedTuple):
    """What a workload takes on ports that no service declares: in general, and on single ones. ``turn`` is another when
    connections of its peers are to end.
    """

    admits: Admits = Admits.PLAINTEXT
    ports: tuple[tuple[int, Admits], ...] = ()
    turn: str = ""


UNREAD = Undeclared()
"""Everything passes unread."""
