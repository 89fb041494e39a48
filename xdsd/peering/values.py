"""What peers tell each other, as values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xdsd.model.catalog import Protocol


class SharedKey(NamedTuple):
    """A service is known to other meshes by its name within its namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class SharedPort(NamedTuple):
    """A port by which a service is called."""

    number: int
    name: str
    protocol: Protocol


class Summary(NamedTuple):
    """The endpoints of a service in a locality: how many are well, of how many, and what those that are well weigh."""

    locality: str
    healthy: int
    total: int
    weight: int


@dataclass(frozen=True, slots=True)
class Shared:
    """A service as other meshes know it; ``identities`` are the SPIFFE ids of who answers."""

    key: SharedKey
    ports: tuple[SharedPort, ...]
    identities: tuple[str, ...]
    summaries: tuple[Summary, ...]

    @property
    def healthy(self) -> int:
        return sum(each.healthy for each in self.summaries)


class Gateway(NamedTuple):
    """Where a mesh is entered; without a locality, where the services behind it are."""

    address: str
    port: int
    locality: str = ""


class Wanted(NamedTuple):
    """Services that are asked for; empty is all."""

    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def covers(self, key: SharedKey) -> bool:
        """True for a service that is among them."""
        return _among(key.namespace, self.namespaces) and _among(key.name, self.names)


def wants(wanted: Sequence[Wanted], key: SharedKey) -> bool:
    """True for a service that is among those that are asked for."""
    return any(each.covers(key) for each in wanted)


def _among(name: str, names: tuple[str, ...]) -> bool:
    return not names or "*" in names or name in names


@dataclass(frozen=True, slots=True)
class Hello:
    """How a subscription begins. With ``epoch`` and ``generation`` it goes on where another ended."""

    mesh: str
    wanted: tuple[Wanted, ...] = ()
    epoch: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Begin:
    """The answer: who speaks. Unless ``resumed``, what is not told until the first complete update is gone."""

    mesh: str
    trust_domain: str
    epoch: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """What is new. ``health`` replaces the summaries of a service that is known.

    ``generation`` counts to where the whole offer is known if the update is ``complete``; more follow if it is not.
    ``gateways`` and ``bundle`` (PEM, of the speaker's own trust domain) are None where they are as they were.
    """

    generation: int
    complete: bool
    services: tuple[Shared, ...] = ()
    health: tuple[tuple[SharedKey, tuple[Summary, ...]], ...] = ()
    removed: tuple[SharedKey, ...] = ()
    gateways: tuple[Gateway, ...] | None = None
    bundle: bytes | None = field(default=None, repr=False)
