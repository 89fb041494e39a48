"""Portions of responses, looked up and joined once for all streams that need the same."""

from collections.abc import Iterable

from xdsd.protocol import wire
from xdsd.snapshot import Resource


class Part:
    """Resources to send and names that are gone (no longer in any layer that the part was made from)."""

    __slots__ = ("_delta", "_endpoints", "_number", "_secrets", "_sotw", "_ttl", "removed", "resources")

    def __init__(self, resources: tuple[Resource, ...], removed: tuple[str, ...] = ()) -> None:
        self.resources = resources
        self.removed = removed
        self._delta: bytes | None = None
        self._sotw: bytes | None = None
        self._number: int | None = None
        self._endpoints: frozenset[str] | None = None
        self._secrets: dict[frozenset[str], frozenset[str]] = {}
        self._ttl: float | None = None

    @classmethod
    def beats(cls, resources: tuple[Resource, ...]) -> "Part":
        """A part that renews TTLs and carries no body; its resources count as sent before."""
        part = cls(())
        part._ttl = min((resource.ttl for resource in resources), default=0.0)
        part._delta = b"".join([wire.heartbeat(resource) for resource in resources])
        return part

    def __bool__(self) -> bool:
        return bool(self.resources or self.removed)

    def delta(self) -> bytes | None:
        """The finished ``resources`` fields of a delta response, None if nobody joined them yet."""
        return self._delta

    def join_delta(self) -> bytes:
        self._delta = b"".join([resource.encoded for resource in self.resources])
        return self._delta

    def sotw(self) -> bytes | None:
        """The finished ``resources`` fields of a SotW response, None if nobody joined them yet."""
        return self._sotw

    def join_sotw(self) -> bytes:
        self._sotw = b"".join([resource.sotw for resource in self.resources])
        return self._sotw

    @property
    def number(self) -> int:
        """The sum of its contents' numbers."""
        if self._number is None:
            self._number = sum(map(wire.content_number, self.resources))
        return self._number

    @property
    def endpoints(self) -> frozenset[str]:
        """The ClusterLoadAssignments that its clusters wait for."""
        if self._endpoints is None:
            names = (wire.endpoints_of(resource.body) for resource in self.resources)
            self._endpoints = frozenset(name for name in names if name is not None)
        return self._endpoints

    def secrets(self, names: frozenset[str]) -> frozenset[str]:
        """Those of ``names`` that its resources refer to."""
        found = self._secrets.get(names)
        if found is None:
            bodies = [resource.body for resource in self.resources]
            found = frozenset(n for n in names if any(wire.names_secret(body, n) for body in bodies))
            self._secrets[names] = found
        return found

    @property
    def ttl(self) -> float:
        """The shortest TTL of its resources in seconds, 0 if they live for ever."""
        if self._ttl is None:
            self._ttl = min((resource.ttl for resource in self.resources if resource.ttl), default=0.0)
        return self._ttl

    def without(self, names: Iterable[str]) -> "Part":
        """The part less some resources; itself if it has none of them."""
        dropped = frozenset(names)
        kept = tuple(resource for resource in self.resources if resource.name not in dropped)
        return self if len(kept) == len(self.resources) else Part(kept, self.removed)


EMPTY = Part(())


def version(parts: Iterable[Part]) -> str:
    """What tells sets of resources apart, however they are split into parts; the same on every replica."""
    return f"{sum(part.number for part in parts) & (1 << 96) - 1:024x}"
