"""Half-open spans of keys, as a request names them."""

from dataclasses import dataclass

from storage.base import InvalidRequest

OPEN_END = b"\0"


@dataclass(frozen=True, slots=True)
class Span:
    """The keys from ``start`` up to, not including, ``stop``; a ``stop`` of None has no end."""

    start: bytes
    stop: bytes | None

    @classmethod
    def of(cls, key: bytes, range_end: bytes | None) -> "Span":
        """The keys that a request means; raises InvalidRequest for an empty key."""
        if not key:
            raise InvalidRequest("a key cannot be empty; the whole key space begins at b'\\0'")
        if range_end is None:
            return cls(key, key + b"\0")
        return cls(key, None if range_end == OPEN_END else range_end)

    def __contains__(self, key: bytes) -> bool:
        return key >= self.start and (self.stop is None or key < self.stop)
