"""What is to be done to entries in the store. Pure values."""

from dataclasses import dataclass
from enum import Enum, auto

from xdsd.model.problem import ObjectRef
from xdsd.registration.entries import EntryObject


class Hold(Enum):
    """By which lease an entry lives."""

    OURS = auto()
    """The daemon's, for as long as it runs."""

    GRACE = auto()
    """One that nobody keeps alive."""

    SAME = auto()
    """As before."""


@dataclass(frozen=True, slots=True)
class Write:
    """Puts an entry, if the newest of its key is still ``expected`` (0: there is none)."""

    obj: EntryObject
    expected: int
    hold: Hold

    @property
    def ref(self) -> ObjectRef:
        return self.obj.ref


@dataclass(frozen=True, slots=True)
class Remove:
    """Takes an entry away, if the newest of its key is still ``expected``."""

    ref: ObjectRef
    expected: int


Operation = Write | Remove
