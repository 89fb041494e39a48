"""What is held of a Consul that came back without it, as it is written down for the daemon's next start. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter, with_config

from xdsd.model.catalog import Endpoint, Port
from xdsd.registry.consul.answers import InstanceKey
from xdsd.registry.lines import read_lines, write_lines


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class HeldInstance:
    """One instance, as it was."""

    node: str
    id: str
    endpoint: Endpoint

    @property
    def key(self) -> InstanceKey:
        return InstanceKey(self.node, self.id)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class HeldService:
    """The instances of a service that Consul does not know, and the port at which it was called."""

    name: str
    port: Port
    instances: tuple[HeldInstance, ...]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class _End:
    """The last line."""

    until: float
    entries: int


@dataclass(frozen=True, slots=True)
class Held:
    """``until`` is in seconds since 1970."""

    until: float
    services: tuple[HeldService, ...] = ()


_SERVICE = TypeAdapter(HeldService)
_LAST = TypeAdapter(_End)


def written(until: float, services: Iterable[HeldService]) -> Iterator[bytes]:
    """As lines of JSON, one for each service; none if there are none."""
    return write_lines(services, _SERVICE, _LAST, lambda count: _End(until, count))


def read(data: bytes) -> Held:
    """Raises Unreadable."""
    services, end = read_lines(data, _SERVICE, _LAST)
    return Held(end.until, services)
