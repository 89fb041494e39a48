"""How far somebody is with roots: a proxy, or a daemon. A value, and as it is kept for all daemons to read. Pure.

What a proxy may have is what it acknowledged and, until it answers, what is on its way to it. Of roots it is only said to
trust those that it trusts either way, and of certificates nothing is said while that is open. ``seen`` is the revision of
the roots that its daemon went by; what was said of older ones counts for nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

PREFIX = "/xdsd/ca/standings/"
ITSELF = ""
"""The name under which a daemon tells of itself."""


class Answer(StrEnum):
    """What a proxy said of what it was sent last."""

    ACKNOWLEDGED = "acknowledged"
    WAITING = "waiting"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """``proxy`` is ``Node.key``, or ``ITSELF`` for the daemon; ``name`` is for people.

    ``given``: it is given secrets. ``trusts`` are ids of roots, ``leaf`` the one that its certificate is of, which ends
    ``until``. ``file`` is the root of the certificate that it connected with, if it did so by one; ``token``: it did not, so
    its file of roots cannot be seen from here. ``here`` is false once its stream is over. ``why`` says what it refused.
    """

    daemon: str
    proxy: str
    name: str
    seen: int
    answer: Answer = Answer.ACKNOWLEDGED
    given: bool = True
    trusts: tuple[str, ...] = ()
    leaf: str = ""
    until: datetime | None = None
    file: str = ""
    token: bool = False
    here: bool = True
    why: str = ""

    @property
    def is_daemon(self) -> bool:
        return self.proxy == ITSELF

    @property
    def key(self) -> str:
        """Where it is kept."""
        return f"{prefix_of(self.daemon)}{self.proxy}"


def prefix_of(daemon: str) -> str:
    """Where all that a daemon says is kept."""
    return f"{PREFIX}{daemon}/"


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    daemon: str
    proxy: str
    name: str
    seen: int
    answer: str
    given: bool
    trusts: tuple[str, ...]
    leaf: str
    until: AwareDatetime | None
    file: str
    token: bool
    here: bool
    why: str


def encode(standing: Standing) -> bytes:
    """As it is kept."""
    names = _Kept.model_fields
    return (
        _Kept(
            **{name: getattr(standing, name) for name in names if name != "answer"},
            answer=standing.answer.value,
        )
        .model_dump_json()
        .encode()
    )


def decode(value: bytes) -> Standing | None:
    """As it was kept; None for what cannot be read."""
    try:
        kept = _Kept.model_validate_json(value)
        fields = {name: getattr(kept, name) for name in _Kept.model_fields}
        return Standing(**{**fields, "answer": Answer(kept.answer)})
    except (ValidationError, ValueError):
        return None
