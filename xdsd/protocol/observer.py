"""What the server tells whoever measures it."""

from typing import Protocol


class Observer(Protocol):
    """Calls never block and never fail. ``type_url`` is the resource type.

    Metrics made of them: connected proxies, streams, refused streams, pushes and push bytes by type, joins (how often
    resources were joined to bytes), acceptances and rejections by type, convergence time.
    """

    def proxies(self, connected: int) -> None:
        """So many different nodes have a stream now."""

    def opened(self) -> None:
        """A stream was opened."""

    def refused(self, reason: str) -> None:
        """A stream was ended for what its client did; ``reason`` is a gRPC code's name."""

    def exceeded(self, limit: str) -> None:
        """A stream was ended, or not begun, for a limit; ``limit`` is the name of its setting."""

    def pushed(self, type_url: str, size: int, resources: int) -> None:
        """A response of ``size`` bytes is handed to the transport."""

    def joined(self, times: int) -> None:
        """Resources were joined to bytes ``times`` times, for however many streams."""

    def accepted(self, type_url: str, seconds: float | None) -> None:
        """A response was accepted, ``seconds`` after its change was seen (None: it carried no change)."""

    def rejected(self, type_url: str) -> None:
        """A response was rejected."""

    def withheld(self, names: int) -> None:
        """A proxy asked for so many secrets that it has no right to, or that nobody has."""


class Unobserved:
    """Measures nothing."""

    def proxies(self, connected: int) -> None:
        """Nothing to do, as in all of this class."""

    def opened(self) -> None: ...

    def refused(self, reason: str) -> None: ...

    def exceeded(self, limit: str) -> None: ...

    def pushed(self, type_url: str, size: int, resources: int) -> None: ...

    def joined(self, times: int) -> None: ...

    def accepted(self, type_url: str, seconds: float | None) -> None: ...

    def rejected(self, type_url: str) -> None: ...

    def withheld(self, names: int) -> None: ...
