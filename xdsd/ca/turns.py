"""Turns as they are kept: when connections of somebody had to end, and whose workloads were spared that. Pure."""

import json
from typing import Any

from xdsd.model.shut_out import NONE_SPARED, Scope, Spared, Turn

_FIELDS = ("denied", "closed", "admitting", "recent")


def encode(turn: Turn) -> bytes:
    """As it is kept: the id, and behind a space who was spared, if anybody was. Older daemons take all of it for an id."""
    if turn.spared == NONE_SPARED:
        return turn.id.encode()
    told = {name: list(map(_told, getattr(turn.spared, name))) for name in _FIELDS}
    return f"{turn.id} {json.dumps(told, separators=(',', ':'))}".encode()


def decode(value: bytes) -> Turn:
    """As it was kept; where it cannot be read who was spared, nobody was."""
    identity, _, told = value.decode("utf-8", "replace").partition(" ")
    try:
        found = json.loads(told) if told else {}
        spared = Spared(*(tuple(map(_scope, found.get(name, ()))) for name in _FIELDS))
    except (ValueError, TypeError, AttributeError):
        spared = NONE_SPARED
    return Turn(identity, spared)


def _told(scope: Scope) -> list[Any]:
    return [scope.namespace, dict(scope.labels)]


def _scope(told: Any) -> Scope:
    namespace, labels = told
    if not isinstance(namespace, str) or not all(
        isinstance(each, str) for pair in labels.items() for each in pair
    ):
        raise TypeError("is no scope")
    return Scope(namespace, tuple(sorted(labels.items())))
