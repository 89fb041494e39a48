"""Whether the daemon can do its work: one check a part, each with what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One part's health. ``detail`` says what is missing, or a fact worth knowing where all is well."""

    name: str
    ok: bool
    detail: str = ""


def ready(checks: Sequence[Check]) -> bool:
    """True where every part is well."""
    return all(check.ok for check in checks)
