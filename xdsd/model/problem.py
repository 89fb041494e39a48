"""A user's mistake as a value: what is wrong, where, and what would be right.

Problems are data, never exceptions: whatever finds one reports it and goes on with the rest. Reasons are stable
words that programs may match on; messages are sentences for people and may change.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """Whether the object was refused (error) or taken with a remark (warning)."""

    ERROR = "error"
    WARNING = "warning"


class Reason(StrEnum):
    """Why; the stable half of a problem."""

    BROKEN_REFERENCE = "BrokenReference"
    CONFLICT = "Conflict"
    DUPLICATE_OBJECT = "DuplicateObject"
    INVALID_VALUE = "InvalidValue"
    EXPIRES = "Expires"
    MALFORMED_FILE = "MalformedFile"
    MISSING_FIELD = "MissingField"
    NOT_SUPPORTED = "NotSupported"
    OUT_OF_RANGE = "OutOfRange"
    TOO_LARGE = "TooLarge"
    UNKNOWN_FIELD = "UnknownField"
    UNKNOWN_KIND = "UnknownKind"
    UNREACHABLE_RULE = "UnreachableRule"
    UNREADABLE_FILE = "UnreadableFile"
    WRONG_TYPE = "WrongType"
    REJECTED_BY_PROXY = "RejectedByProxy"
    UNAVAILABLE = "Unavailable"
    FORGOTTEN = "Forgotten"
    """A source came back without what it had, which is kept for a while."""


class ObjectRef(NamedTuple):
    """Names one object of intent; hashable, so it serves as a key everywhere."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``path`` is a field path such as ``spec.http[0].route[1].weight``; ``line`` starts at 1, 0 is unknown."""

    reason: Reason
    message: str
    object: ObjectRef | None = None
    path: str = ""
    file: str = ""
    line: int = 0
    severity: Severity = Severity.ERROR

    def at(self, file: str, line: int) -> "Problem":
        """The same problem, found at this place of a file."""
        return replace(self, file=file, line=line)

    def __str__(self) -> str:
        """``reviews.yaml:14: VirtualService default/reviews spec.http[0].route[1].weight: -5 is below 0``."""
        place = (
            f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        )
        subject = " ".join(part for part in (str(self.object) if self.object else "", self.path) if part)
        return f"{place}{subject}: {self.message}" if subject else f"{place}{self.message}"
