"""What pydantic reports, as faults in our own words."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from pydantic_core import ErrorDetails

from xdsd.manifest.faults import Fault, similar, wrong_type
from xdsd.manifest.paths import Path, with_keys
from xdsd.model.intent.base import Finding, shown
from xdsd.model.intent.shape import MessageShape
from xdsd.model.problem import Reason


def faults_of(errors: list[ErrorDetails], shape: MessageShape, *, standing: bool = False) -> Iterator[Fault]:
    """The faults that pydantic's errors stand for; ``standing`` keeps only the rules that removal cannot break."""
    inside = {error["loc"][:-1] for error in errors}
    for error in errors:
        if error["type"] == "too_short" and error["loc"] in inside:
            continue  # entries that are malformed do not count, which is no mistake of its own
        path: Path = ("spec", *with_keys([step for step in error["loc"] if step != "[key]"], shape))
        findings = _findings(error)
        if findings is not None:
            for finding in findings:
                if finding.stands or not standing:
                    below = with_keys((*path[1:], *finding.path), shape)
                    yield Fault(finding.reason, finding.message, ("spec", *below))
        elif not standing:
            yield _plain_fault(error, path)


def _findings(error: ErrorDetails) -> list[Finding] | None:
    if error["type"] != "findings":
        return None
    return cast("list[Finding]", error["ctx"]["findings"])


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map of fields",
    "model_attributes_type": "a map of fields",
}

_SURE = 0.8
"""How close a value is to the one that was meant where no others need to be named."""


def _plain_fault(error: ErrorDetails, path: Path) -> Fault:
    kind, value, limits = error["type"], error["input"], error.get("ctx", {})
    if kind in set(Reason):
        return Fault(Reason(kind), error["msg"], path)
    if kind in _WANTED:
        return wrong_type(value, _WANTED[kind], path)
    if kind == "missing":
        return Fault(Reason.MISSING_FIELD, "is missing", path)
    if kind == "enum":
        if not isinstance(value, str):
            return wrong_type(value, "text", path)
        expected = str(limits["expected"]).replace("'", "").replace(" or ", ", ")
        values = expected.split(", ")
        hint = similar(value, values)
        if not hint:
            hint = f"; it is one of {expected}"
        elif not similar(value, values, closeness=_SURE):
            hint += f" It is one of {expected}"
        return Fault(Reason.INVALID_VALUE, f"{shown(value)} is no value of this field{hint}", path)
    return _limit_fault(kind, value, limits, path) or Fault(Reason.INVALID_VALUE, error["msg"], path)


def _plain(limit: float) -> str:
    return str(int(limit)) if float(limit).is_integer() else str(limit)


def _limit_fault(kind: str, value: Any, limits: Mapping[str, Any], path: Path) -> Fault | None:
    said: dict[str, Callable[[], str]] = {
        "greater_than_equal": lambda: f"{shown(value)} is below {_plain(limits['ge'])}",
        "greater_than": lambda: f"{shown(value)} is not above {_plain(limits['gt'])}",
        "less_than_equal": lambda: f"{shown(value)} is above {_plain(limits['le'])}",
        "less_than": lambda: f"{shown(value)} is not below {_plain(limits['lt'])}",
        "finite_number": lambda: f"{shown(value)} is not a number that requests can be counted with",
        "int_parsing_size": lambda: f"{shown(value)} is too large",
        "string_too_long": lambda: f"is longer than {limits['max_length']} characters",
        "string_too_short": lambda: "is empty",
        "too_long": lambda: f"has {limits['actual_length']} entries, which is above {limits['max_length']}",
        "too_short": lambda: "is empty; give at least one",
        "string_unicode": lambda: "is no text: it holds half a character",
    }
    if kind not in said:
        return None
    reason = Reason.INVALID_VALUE if kind in ("finite_number", "string_unicode") else Reason.OUT_OF_RANGE
    return Fault(reason, said[kind](), path)
