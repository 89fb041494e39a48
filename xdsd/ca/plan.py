"""How far one root has followed another, as it is kept beside the roots; ``rotation`` says how it goes on. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

_MOST_LEFT = 10_000


class Step(StrEnum):
    """How far a rotation is; ``rotation`` says what each means."""

    TRUST = "trust"
    ISSUE = "issue"
    RETIRE = "retire"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Rotation:
    """``old`` and ``new`` are ids of roots; ``back``: it was aborted, and returns to ``old``.

    ``server`` is the root that signs the daemons' own certificates. ``roots_given``: an operator said that proxies which
    connect by tokens have the bundle in their files. ``left`` are the names of those that need not be waited for.
    """

    old: str
    new: str
    step: Step
    begun: datetime
    entered: datetime
    author: str
    server: str
    back: bool = False
    roots_given: bool = False
    left: tuple[str, ...] = field(default=())

    @property
    def goal(self) -> str:
        """The root that will stand alone."""
        return self.old if self.back else self.new

    @property
    def other(self) -> str:
        """The root that goes."""
        return self.new if self.back else self.old

    @property
    def running(self) -> bool:
        return self.step is not Step.DONE

    def with_roots_given(self) -> "Rotation":
        """Files of roots are where they are needed."""
        return replace(self, roots_given=True)

    def leave(self, names: tuple[str, ...]) -> "Rotation":
        """These are not waited for while they are away."""
        return replace(self, left=tuple(sorted({*self.left, *names}))[:_MOST_LEFT])


class KeptRotation(BaseModel):
    """As it is kept."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    old: str
    new: str
    step: str
    begun: AwareDatetime
    entered: AwareDatetime
    author: str
    server: str
    back: bool
    roots_given: bool
    left: tuple[str, ...] = Field(max_length=_MOST_LEFT)

    @classmethod
    def of(cls, rotation: Rotation) -> "KeptRotation":
        """A rotation's form to keep."""
        fields = {name: getattr(rotation, name) for name in cls.model_fields}
        return cls(**{**fields, "step": rotation.step.value})

    def rotation(self) -> Rotation:
        """What was kept. Raises ValueError."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Rotation(**{**fields, "step": Step(self.step)})
