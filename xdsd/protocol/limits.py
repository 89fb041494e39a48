"""Bounds on what one stream may ask for and how long it may be waited for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. ``accept``: how long a response may stay unanswered before the type's next one goes out all the same.

    ``gate``: how long listeners and routes wait for clusters, and cluster removals for listeners and routes. ``drain``: how
    long clusters of a workload's own ports stay after their listener is gone, whose connections still use them.
    """

    accept: float = 5.0
    gate: float = 5.0
    drain: float = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """``names``: subscribed on one stream, all types together. ``name_bytes``: length of one name."""

    names: int = 100_000
    name_bytes: int = 4096
