"""Where streams get their secrets from, as the server sees it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from xdsd.model.identity import SpiffeID
from xdsd.model.secret import HeldSecrets, SecretStatus
from xdsd.snapshot import Resource

Deliver = Callable[[tuple[Resource, ...]], None]


class Lease(Protocol):
    """What one stream is given while it lasts."""

    def close(self) -> None:
        """The stream is over: nothing that it was given is kept."""

    def status(self) -> tuple[SecretStatus, ...]:
        """What may be known of what it was given."""

    def held(self) -> HeldSecrets | None:
        """What it was delivered last, None before that."""


class SecretSource(Protocol):
    """Who has secrets for identities."""

    def open(self, identity: SpiffeID, deliver: Deliver, *, gateway: bool = False) -> Lease:
        """A stream that proved this identity asks; ``gateway`` is what it says of itself. ``deliver`` is told all of its
        secrets, soon and on each change.
        """


class _Nothing:
    def close(self) -> None: ...

    def status(self) -> tuple[SecretStatus, ...]:
        return ()

    def held(self) -> HeldSecrets | None:
        return None


class NoSecrets:
    """Has none for anybody."""

    def open(self, identity: SpiffeID, deliver: Deliver, *, gateway: bool = False) -> Lease:
        del identity, gateway
        deliver(())
        return _Nothing()


def shown(names: Sequence[str], most: int = 8, longest: int = 100) -> list[str]:
    """Names that a proxy made up, cut down to what a log should hold."""
    cut = [name if len(name) <= longest else f"{name[:longest]}…" for name in names[:most]]
    return cut if len(names) <= most else [*cut, f"and {len(names) - most} more"]
