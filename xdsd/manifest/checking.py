"""A spec as plain values to its message, or everything that is wrong with it.

Three passes: one over the shape finds fields that do not exist or are not compiled, and nulls; pydantic checks each
value and each rule between fields; and where a value is malformed, so that the rules above it could not be checked,
the rules are asked again without it. That last pass keeps only what removing values cannot have caused.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from xdsd.manifest.faults import MAX_FAULTS, Fault
from xdsd.manifest.telling import faults_of
from xdsd.manifest.walking import Walk
from xdsd.model.intent.base import Message
from xdsd.model.intent.shape import MessageShape, shape_of

_REPAIRS = 12
_DEEPEST = 40


def check_spec(message: type[Message], value: Any) -> Message | list[Fault]:
    """The message, or its faults in the order of the text's fields; ``value`` is what JSON can hold."""
    shape = shape_of(message)
    walk = Walk()
    cleaned = walk.clean(value, shape, ("spec",))
    spec, errors = _validate(message, cleaned)
    told = (walk.as_written(fault) for fault in faults_of(errors, shape))
    faults = [*walk.faults, *(fault for fault in told if not walk.explains(fault))]
    if errors and len(faults) < MAX_FAULTS:
        faults += _standing(message, shape, cleaned, errors)
    if spec is None or faults:
        return list(dict.fromkeys(faults))[:MAX_FAULTS]
    return spec


def _validate(message: type[Message], value: Any) -> tuple[Message | None, list[ErrorDetails]]:
    try:
        return message.model_validate(value, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, error.errors(include_url=False)[:MAX_FAULTS]


def _standing(
    message: type[Message], shape: MessageShape, value: Any, errors: list[ErrorDetails]
) -> Iterator[Fault]:
    """Asks the rules above malformed values again, with those values taken out step by step."""
    for _ in range(_REPAIRS):
        value = _without(value, [tuple(error["loc"]) for error in errors])
        if value is None:
            return
        _, errors = _validate(message, value)
        yield from faults_of(errors, shape, standing=True)
        if not errors:
            return


def _without(value: Any, places: list[tuple[str | int, ...]]) -> Any:
    """A copy without the values at these places; a place that is missing takes what should hold it along."""
    if not isinstance(value, dict) or () in places:
        return None
    copy = _copied(value)
    for place in places:
        _remove(copy, [step for step in place if step != "[key]"])
    return copy


def _copied(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return value  # no place is that deep, though a malformed value may be
    if isinstance(value, dict):
        return {key: _copied(each, depth + 1) for key, each in value.items()}
    return [_copied(each, depth + 1) for each in value] if isinstance(value, list) else value


def _remove(root: dict[str, Any], place: list[str | int]) -> None:
    """Takes one value out of a map; a list goes as a whole, so that what is left keeps its positions."""
    trail: list[tuple[dict[str, Any], str]] = []
    at: Any = root
    for step in place:
        if isinstance(at, dict) and isinstance(step, str):
            if step not in at:
                break
            trail.append((at, step))
            at = at[step]
        elif isinstance(at, list) and isinstance(step, int) and step < len(at):
            at = at[step]
        else:
            break
    if trail:
        holder, name = trail[-1]
        holder.pop(name, None)
