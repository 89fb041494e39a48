"""What a stream has asked of one type, and how far its proxy is with it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from xdsd.protocol.parts import Part
from xdsd.protocol.subscription import Interest
from xdsd.snapshot import Resource

if TYPE_CHECKING:
    from xdsd.protocol.layers import LayerSet
    from xdsd.protocol.stream import Stream

NOTHING: frozenset[str] = frozenset()
NO_INTEREST = Interest()


class Offer(NamedTuple):
    """A response before it has a nonce: finished parts, and names that are gone. ``version`` is SotW's."""

    parts: tuple[Part, ...] = ()
    removed: tuple[str, ...] = ()
    version: str = ""

    @property
    def size(self) -> int:
        return sum([len(part.resources) for part in self.parts])

    def resources(self) -> tuple[Resource, ...]:
        return tuple(resource for part in self.parts for resource in part.resources)


class Flight(NamedTuple):
    """A response that was sent and not answered. ``since`` is when its oldest change was seen, None if it has none."""

    nonce: str
    offer: Offer
    generation: int
    sent_at: float
    since: float | None


class Held(NamedTuple):
    """A cluster that is gone since ``generation``; its removal waits until ``deadline`` at most, and ``earliest`` at least.

    ``resource`` is what the proxy has, where the dialect must repeat it to keep it.
    """

    generation: int
    deadline: float
    resource: Resource | None = None
    earliest: float = 0.0


class Rejection(NamedTuple):
    """A content that the proxy refused. ``name`` is empty if no single resource could be found guilty."""

    name: str
    version: str
    message: str


class State(StrEnum):
    """How far a proxy is with a type, in istioctl's words."""

    SYNCED = "SYNCED"
    STALE = "STALE"
    NOT_SENT = "NOT SENT"
    NACKED = "NACKED"


@dataclass(frozen=True, slots=True)
class TypeStatus:
    """For operators. ``acked_at`` and ``sent_at`` are times of the events' clock, None if it never happened."""

    type_url: str
    state: State
    sent_at: float | None
    acked_at: float | None
    error: str
    rejected: tuple[Rejection, ...]
    names: int
    wildcard: bool


@dataclass(slots=True, eq=False)
class Watch:
    """See the package's docstring for the deviations; all of them are empty in a proxy that is up to date.

    ``behind`` is the generation that the proxy has if the snapshot moved since, ``since`` when that was seen.
    ``new``: the proxy has nothing of this type. ``answer``: a response is owed even if it is empty.
    ``settled`` is the newest generation that was accepted. ``tried``: the last response was a trial.
    ``wake_at`` is when to look again if nothing happens, ``beat_at`` when TTLs have to be renewed.
    SotW's alone: the full set last ``sent``, the version of it that was ``refused``, and the version that the first
    request ``claimed`` to have.
    """

    stream: "Stream"
    type_url: str
    layers: "LayerSet"
    interest: Interest = NO_INTEREST
    behind: int | None = None
    since: float | None = None
    new: bool = True
    whole: bool = False
    answer: bool = False
    again: frozenset[str] = NOTHING
    forgotten: frozenset[str] = NOTHING
    orphans: frozenset[str] = NOTHING
    known: dict[str, str] | None = None
    moved: "tuple[LayerSet, int] | None" = None
    held: dict[str, Held] | None = None
    rejected: dict[str, Rejection] | None = None
    trials: tuple[frozenset[str], ...] = ()
    tried: bool = False
    flight: Flight | None = None
    late: tuple[Flight, ...] = ()
    settled: int = -1
    blocked_since: float | None = None
    beat_at: float | None = None
    wake_at: float | None = None
    nonce: str = ""
    sent: Offer | None = None
    refused: str = ""
    claimed: str = ""
    error: str = ""
    sent_at: float | None = None
    acked_at: float | None = None

    @property
    def changed(self) -> bool:
        """Whether the proxy may lack something, trials aside."""
        return (
            self.behind is not None
            or self.whole
            or self.answer
            or bool(self.again)
            or self.known is not None
            or self.moved is not None
            or bool(self.forgotten)
        )

    @property
    def due(self) -> bool:
        """Whether there may be something to send, removals that are held aside."""
        return self.changed or bool(self.trials)

    @property
    def plain(self) -> bool:
        """Whether all that the proxy lacks is what changed since ``behind``, so that it shares its offer with others."""
        return (
            self.behind is not None
            and not (self.whole or self.answer or self.again or self.forgotten or self.trials or self.tried)
            and self.known is None
            and self.moved is None
            and not self.held
            and not self.rejected
        )

    def touch(self, generation: int, now: float) -> None:
        """The snapshot moved on from ``generation`` in something of interest."""
        if self.behind is None:
            if self.flight is None and not self.due:
                self.settled = generation
            self.behind = generation
        if self.since is None:
            self.since = now

    def taken(self) -> None:
        """All that was due is in an offer."""
        self.behind = None
        self.whole = self.answer = False
        self.again = self.forgotten = NOTHING
        self.known = self.moved = self.blocked_since = None

    def accepted_until(self, generation: int) -> int:
        """The newest generation that the proxy is known to live by; ``generation`` is the snapshot's."""
        lacks_more = (
            self.whole or self.answer or self.again or self.forgotten or self.trials or self.known is not None
        )
        if self.flight is not None or lacks_more or self.moved is not None:
            return self.settled
        return generation if self.behind is None else self.behind

    def status(self) -> TypeStatus:
        if self.rejected or self.error:
            state = State.NACKED
        elif self.flight is not None or self.due:
            state = State.STALE if self.sent_at is not None else State.NOT_SENT
        else:
            state = State.SYNCED
        rejected = tuple(self.rejected.values()) if self.rejected else ()
        return TypeStatus(
            self.type_url,
            state,
            self.sent_at,
            self.acked_at,
            self.error,
            rejected,
            len(self.interest.names),
            self.interest.wildcard,
        )
