"""Field paths: tuples of names, list positions and map keys, and how they are written."""

import re
from collections.abc import Sequence

from xdsd.manifest.reading import Place
from xdsd.model.intent.shape import ListOf, MapOf, MessageShape, Shape


class Key(str):
    """A key of a map, which a path writes in brackets: ``headers[end-user]``."""

    __slots__ = ()


Path = tuple[str | int, ...]


def write_path(path: Sequence[str | int]) -> str:
    """``spec.http[0].match[1].headers[end-user].exact``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int | Key) else f".{step}" if text else step
    return text[:400]


def with_keys(path: Sequence[str | int], shape: Shape) -> Path:
    """The path below ``shape`` with its map keys told apart from field names."""
    steps: list[str | int] = []
    at: Shape | None = shape
    for step in path:
        match at:
            case MapOf(value):
                steps.append(Key(step))
                at = value
            case ListOf(item):
                steps.append(step)
                at = item
            case MessageShape(message, fields):
                steps.append(step)
                field = fields.get(message.spellings.get(str(step), str(step)))
                at = field.shape if field else None
            case _:
                steps.append(step)
    return tuple(steps)


def line_at(place: Place, path: Sequence[str | int]) -> int:
    """The line of what the path names, or of the nearest thing around it that is there."""
    for step in path:
        inner = place.inner
        if isinstance(inner, dict) and str(step) in inner:
            place = inner[str(step)]
        elif isinstance(inner, list) and isinstance(step, int) and step < len(inner):
            place = inner[step]
        else:
            break
    return place.line


_STEP = re.compile(r"\[([0-9]+)\]|\[([^\]]*)\]|([^.\[\]]+)")


def parse_path(text: str) -> Path:
    """The steps of a written path; map keys in brackets are text, list positions are numbers."""
    steps: list[str | int] = []
    for index, key, name in _STEP.findall(text):
        steps.append(int(index) if index else key or name)
    return tuple(steps)
