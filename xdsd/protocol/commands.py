"""What a stream wants done."""

from enum import StrEnum
from typing import NamedTuple

from xdsd.model.identity import SpiffeID
from xdsd.model.node import Node


class Attach(NamedTuple):
    """Tell the mesh about the proxy, then say ``Attached``. Comes once, before anything is sent."""

    node: Node


class Detach(NamedTuple):
    """The proxy's stream is gone. Comes once if ``Attach`` came."""

    node: Node


class Entrust(NamedTuple):
    """The proxy asks for secrets: say ``Entrusted`` of those of its proven identity, until the stream ends. Comes once."""

    identity: SpiffeID


class Withheld(NamedTuple):
    """The proxy asked for secrets that it has no right to, or that nobody has. It is told that there are none."""

    names: tuple[str, ...]


class Send(NamedTuple):
    """Write one response, the concatenation of ``parts``; say ``Written`` when it is taken. One at a time."""

    type_url: str
    parts: tuple[bytes, ...]
    resources: int
    removed: int

    def __repr__(self) -> str:
        """Without what is sent, which may be a secret."""
        return f"Send({self.type_url!r}, resources={self.resources}, removed={self.removed})"


class Wait(NamedTuple):
    """Say ``Elapsed`` at this time; replaces the last ``Wait``, None takes it back."""

    until: float | None


class Code(StrEnum):
    """Why a stream is closed, in gRPC's words."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNAVAILABLE = "UNAVAILABLE"


class Close(NamedTuple):
    """End the stream. ``message`` says what the client did wrong."""

    code: Code
    message: str


class Accepted(NamedTuple):
    """The proxy accepted a response; ``seconds`` since the change that it carried was seen, None if it carried none."""

    type_url: str
    seconds: float | None


class Rejected(NamedTuple):
    """The proxy refused a response. ``names`` are those found guilty so far, none while that is being found out."""

    type_url: str
    names: tuple[str, ...]
    message: str


class Log(NamedTuple):
    """Worth a line in the log: ``event`` is a stable phrase, ``fields`` says of what."""

    event: str
    fields: dict[str, str | int]


Command = Attach | Detach | Entrust | Withheld | Send | Wait | Close | Accepted | Rejected | Log
