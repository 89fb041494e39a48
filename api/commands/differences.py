"""What differs between two states of an object: as a unified diff, and in a few words."""

import difflib
import json
from collections.abc import Iterator
from typing import Any

from api.commands.output import to_yaml

KEPT_BY_THE_STORE = ("creationTimestamp", "generation", "resourceVersion", "uid")


def unified(name: str, before: bytes, after: bytes, sides: tuple[str, str]) -> str:
    """Both states (JSON; empty: there is none) as YAML, without what the store adds, as ``diff -u -N`` prints them."""
    lines = difflib.unified_diff(_lines(before), _lines(after), f"{sides[0]}/{name}", f"{sides[1]}/{name}")
    return "".join(lines)


def changes(before: bytes, after: bytes) -> list[str]:
    """The fields that differ, each with its two values; none where one of the states is missing."""
    if not before or not after:
        return []
    old, new = dict(_fields(_bare(before))), dict(_fields(_bare(after)))
    paths = [*old, *(path for path in new if path not in old)]
    return [
        f"{path}: {_said(old.get(path))} -> {_said(new.get(path))}"
        for path in paths
        if old.get(path) != new.get(path)
    ]


def _lines(text: bytes) -> list[str]:
    return f"{to_yaml(_bare(text))}\n".splitlines(keepends=True) if text else []


def _bare(text: bytes) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(text)
    for field in KEPT_BY_THE_STORE:
        item["metadata"].pop(field, None)
    return item


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a JSON value with its field path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _fields(inner, f"{path}[{index}]")
    else:
        yield path, value


def _said(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
