"""What one reporter says against what another one says, whose word holds, and why that is so."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Who = TypeVar("Who")


class Why(StrEnum):
    """Why a word holds, as people read it."""

    OLDER = "is older"
    DATED = "says how old it is"
    FIRST = "comes first by its name"


@dataclass(frozen=True, slots=True)
class Contradiction(Generic[Who]):
    """Something that ``who`` says, against what ``holds`` because of who said it."""

    who: Who
    says: str
    older: Who
    holds: str
    why: Why = Why.OLDER


@dataclass(frozen=True, slots=True)
class Apart(Generic[Who]):
    """Ports that hold both, although it may be that one is meant: nobody gave them names, and their numbers differ."""

    who: Who
    says: str
    older: Who
    holds: str


def why(holds: str, other: str) -> Why:
    """Why the word of who was created then, or at an unknown time, holds against another's."""
    if holds and other:
        return Why.OLDER if holds < other else Why.FIRST
    return Why.DATED if holds else Why.FIRST
