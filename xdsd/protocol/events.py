"""What a stream is told. ``now`` is in seconds of a clock that never goes back; all events share it."""

from typing import NamedTuple

from xdsd.protocol.wire import DeltaRequest, SotwRequest
from xdsd.snapshot import Resource


class Received(NamedTuple):
    """The proxy sent a request, in the stream's own dialect."""

    request: DeltaRequest | SotwRequest
    now: float


class Attached(NamedTuple):
    """The mesh has taken the node in: what it gets is in the snapshot, or will be. Answers the command ``Attach``."""

    now: float


class Entrusted(NamedTuple):
    """These are all the secrets of the stream's identity now. Answers ``Entrust``, and comes again when they change."""

    resources: tuple[Resource, ...]
    now: float


class Published(NamedTuple):
    """The exchange found that a snapshot change concerns this stream."""

    now: float


class Written(NamedTuple):
    """The transport took the last response: another one may be sent."""

    now: float


class Elapsed(NamedTuple):
    """It is as late as the last command ``Wait`` wanted."""

    now: float


class Closed(NamedTuple):
    """The stream is over, for whatever reason."""


Event = Received | Attached | Entrusted | Published | Written | Elapsed | Closed
