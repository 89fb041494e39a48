"""Which endpoints of a service that has very many stand in which piece of its assignments."""

from collections.abc import Iterable
from zlib import crc32

from xdsd.model.catalog import Endpoint

SIZE = 1000
"""Endpoints from which a service is divided; a piece has no more than about that many."""


def count_of(endpoints: int) -> int:
    """Into how many pieces so many endpoints are divided, which changes seldom as they come and go; 0: they are not."""
    return 1 << (endpoints // SIZE).bit_length() if endpoints >= SIZE else 0


def divided(endpoints: Iterable[Endpoint], count: int) -> tuple[tuple[Endpoint, ...], ...]:
    """The endpoints of each piece; equal addresses are in one."""
    found: list[list[Endpoint]] = [[] for _ in range(count)]
    for each in endpoints:
        found[crc32(each.address.encode()) % count].append(each)
    return tuple(map(tuple, found))
