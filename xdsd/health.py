"""Whether the daemon can do its work: one check a part, each with what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    STALE = "stale"
    """It is away; what it said last holds."""
    MISSING = "missing"
    """There was nothing of it yet."""


@dataclass(frozen=True, slots=True)
class Check:
    """One part's health. ``detail`` says what is missing, or a fact worth knowing where all is well. ``stale`` says of
    one that is not ok that it was so before, and that the daemon does its work by what it knew then.
    """

    name: str
    ok: bool
    detail: str = ""
    stale: bool = False

    @property
    def state(self) -> State:
        if self.ok:
            return State.OK
        return State.STALE if self.stale else State.MISSING


def ready(checks: Sequence[Check]) -> bool:
    """True where no part is missing."""
    return all(check.state is not State.MISSING for check in checks)
