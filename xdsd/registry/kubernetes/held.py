"""What is held of a cluster that came back without it, as it is written down for the daemon's next start. Pure.

One line for each object, as it was read rather than as the cluster had it, so that nothing is written but what services and
their endpoints are made of.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, TypeAdapter, with_config

from xdsd.model.catalog import Service
from xdsd.registry.kubernetes.facts import Name, Pod, Slice
from xdsd.registry.lines import read_lines, write_lines

_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class HeldService:
    """A service that is missing; ``ipv6`` is its first family, None where it did not say."""

    name: Name
    service: Service
    ipv6: bool | None = None
    of: Literal["service"] = "service"


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class HeldSlice:
    """A slice as it was before, and as the cluster has it since, None where it does not."""

    name: Name
    before: Slice
    since: Slice | None = None
    of: Literal["slice"] = "slice"


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class HeldPod:
    """A pod that is missing."""

    name: Name
    pod: Pod
    of: Literal["pod"] = "pod"


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class HeldNode:
    """Where a node stood that is missing."""

    name: Name
    locality: str
    of: Literal["node"] = "node"


Entry = HeldService | HeldSlice | HeldPod | HeldNode


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class _End:
    """The last line."""

    until: float
    set_back: bool
    entries: int


@dataclass(frozen=True, slots=True)
class Held:
    """``until`` is in seconds since 1970; ``set_back``: the cluster is the same one, at an earlier time."""

    until: float
    set_back: bool
    entries: tuple[Entry, ...]


_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Discriminator("of")])
_LAST = TypeAdapter(_End)


def written(until: float, set_back: bool, entries: Iterable[Entry]) -> Iterator[bytes]:
    """As lines of JSON; none if there are no entries."""
    return write_lines(entries, _ENTRY, _LAST, lambda count: _End(until, set_back, count))


def read(data: bytes) -> Held:
    """Raises Unreadable."""
    entries, end = read_lines(data, _ENTRY, _LAST)
    return Held(end.until, end.set_back, entries)
