"""The values that layers are described by, and the one place where messages are encoded."""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from xdsd.snapshot import LayerId, Resource

Query = Callable[..., Any]  # Any: a query of any arguments, whose value the caller knows


class Member(NamedTuple):
    """A resource of a layer: ``query(graph, *arguments)`` makes it. An ingredient has the type URL ``""``."""

    type_url: str
    name: str
    query: Query
    arguments: tuple[Any, ...]


class LayerSpec(NamedTuple):
    """A layer: its name, equal on every replica, and the queries that list its members."""

    id: LayerId
    parts: tuple[tuple[Query, tuple[Any, ...]], ...]


def encode(message: Message) -> bytes:
    """The canonical encoding: equal messages have equal bytes, so versions can be content hashes."""
    return message.SerializeToString(deterministic=True)


def resource(type_url: str, name: str, message: Message) -> Resource:
    """An encoded resource; called once for every content, never for a proxy."""
    return Resource.of(type_url, name, encode(message))
