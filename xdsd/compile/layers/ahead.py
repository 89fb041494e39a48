"""Which parts of layers have no members, and are there to make what others are joined from, in steps of their own."""

from collections.abc import Callable
from typing import Any

from xdsd.compile.layers.edge import edge_ahead
from xdsd.compile.layers.host_discovery import claims_ahead, domains_ahead
from xdsd.compile.layers.outbound_ahead import outbound_ahead

_QUERIES = frozenset({claims_ahead, domains_ahead, edge_ahead, outbound_ahead})


def is_ahead(query: Callable[..., Any] | None, arguments: tuple[Any, ...]) -> bool:
    """Whether a part is one of these, changed on its way or not: a part that is has the query as its first argument, and its
    arguments as the second.
    """
    while query not in _QUERIES:
        if not arguments or not callable(arguments[0]):
            return False
        query, arguments = arguments[:2]
    return True
