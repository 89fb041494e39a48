"""What the status of a custom resource should say, by what it says and what is wrong with the object. Pure.

Of ``status.conditions`` the one of type ``Accepted`` is ours, and all of ``validationMessages``; the other conditions are
those of other programs and stay. A time is written only when the answer turns, so that saying the same again is no change.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from xdsd.model.problem import Problem, Severity

CONDITION = "Accepted"
_MOST = 20
_LONGEST = 1000


def wanted_status(
    current: Mapping[str, Any], problems: Sequence[Problem], generation: int, now: str
) -> dict[str, Any] | None:
    """What is to be merged into the status of an object of this generation; None where it says so already."""
    told = sorted(set(problems), key=_order)
    messages = [_message(each) for each in told[:_MOST]]
    before = _conditions(current)
    own = next((each for each in before if each.get("type") == CONDITION), {})
    condition = _condition(told, generation)
    same = own.get("status") == condition["status"]
    condition["lastTransitionTime"] = own.get("lastTransitionTime", now) if same else now
    if own == condition and (current.get("validationMessages") or []) == messages:
        return None
    others = [each for each in before if each.get("type") != CONDITION]
    return {"conditions": [*others, condition], "validationMessages": messages}


def _condition(told: Sequence[Problem], generation: int) -> dict[str, Any]:
    broken = [each for each in told if each.severity is Severity.ERROR]
    first = broken[0] if broken else None
    return {
        "type": CONDITION,
        "status": "False" if first else "True",
        "reason": first.reason.value if first else "Accepted",
        "message": _said(first) if first else "",
        "observedGeneration": generation,
    }


def _message(problem: Problem) -> dict[str, Any]:
    return {
        "level": problem.severity.value.upper(),
        "type": {"name": problem.reason.value, "code": "xdsd"},
        "message": _said(problem),
    }


def _said(problem: Problem) -> str:
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _order(problem: Problem) -> tuple[bool, str, str]:
    return problem.severity is not Severity.ERROR, problem.path, problem.message


def _conditions(current: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = current.get("conditions")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
