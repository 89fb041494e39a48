"""Formats of logs: text with Envoy's commands, or maps of such."""

import json
from collections.abc import Iterator
from typing import Any

from xdsd.model.intent.base import shown
from xdsd.model.intent.commands import command_fault

DEEPEST = 16
"""Maps and lists within each other: proxies read messages only so deep."""

_STATE = "%PER_REQUEST_STATE("
_MOST_DIGITS = 300
"""Of a number: beyond that none is as large to a proxy."""


def log_format_fault(text: str | None, *, json_encoded: bool) -> str | None:
    """Says why Envoy would refuse a log's format, which in JSON is a map, or None."""
    if not text:
        return None
    if not json_encoded:
        return text_fault(text)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"is no JSON, as accessLogEncoding wants: {error}"
    if not isinstance(fields, dict) or not fields:
        return 'is no map of JSON\'s, such as {"path": "%REQ(:PATH)%"}'
    return labels_fault(fields)


def text_fault(text: str) -> str | None:
    """Says why Envoy would refuse a line, or None."""
    fault = command_fault(text) or (
        "holds PER_REQUEST_STATE, which is for headers" if _STATE in text else None
    )
    return f"{shown(text)} {fault}" if fault else None


def labels_fault(fields: Any, *, texts_alone: bool = False) -> str | None:  # Any: what JSON holds
    """Says why Envoy would refuse a map of texts (and of other values, unless it is to be ``texts_alone``), or None."""
    return next((fault for each in _leaves(fields, 0) if (fault := _leaf_fault(each, texts_alone))), None)


class _TooDeep:
    """What is not looked at."""


def _leaf_fault(value: Any, texts_alone: bool) -> str | None:
    match value:
        case _TooDeep():
            return f"is nested more than {DEEPEST} deep"
        case str():
            return text_fault(value) if _is_whole(value) else f"{ascii(value)[:60]} holds half a character"
        case _ if texts_alone:
            return f"holds {shown(value)}, and there are texts, lists and maps alone; write it as a text"
        case int() if len(str(abs(value))) > _MOST_DIGITS:
            return f"holds a number of more than {_MOST_DIGITS} digits"
    return None


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    """The values in maps and lists, and the keys of maps that could not be sent."""
    match value:
        case dict() | list() if depth > DEEPEST:
            yield _TooDeep()
        case dict():
            yield from (key for key in value if not _is_whole(key))
            for each in value.values():
                yield from _leaves(each, depth + 1)
        case list():
            for each in value:
                yield from _leaves(each, depth + 1)
        case _:
            yield value
