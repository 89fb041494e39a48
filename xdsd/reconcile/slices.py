"""Work in slices, and changes in portions, so that the event loop is never held for long."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from xdsd.registry.base import CatalogChange

SLICE = 0.005
"""Seconds of work between two looks at what else the event loop has to do."""

PORTION = 200
"""Entries of one catalog change that are taken in at once."""

T = TypeVar("T")


async def in_slices(work: Iterable[None], clock: Callable[[], float]) -> None:
    """Does all of ``work``, letting the event loop turn every ``SLICE`` seconds."""
    due = clock() + SLICE
    for _ in work:
        if clock() >= due:
            await asyncio.sleep(0)
            due = clock() + SLICE


def portions(change: CatalogChange, size: int = PORTION) -> Iterator[CatalogChange]:
    """The same change in parts that are quick to take in; removals first, so that what moves is not lost."""
    for keys in chunks(change.removed_services, size):
        yield CatalogChange(removed_services=keys)
    for services in chunks(change.services, size):
        yield CatalogChange(services=services)
    for names in chunks(change.removed_workloads, size):
        yield CatalogChange(removed_workloads=names)
    for workloads in chunks(change.workloads, size):
        yield CatalogChange(workloads=workloads)
    for listed in chunks(tuple(change.endpoints.items()), size):
        yield CatalogChange(endpoints=dict(listed))


def chunks(entries: tuple[T, ...], size: int = PORTION) -> Iterator[tuple[T, ...]]:
    """``entries`` in parts of at most ``size``."""
    return (entries[start : start + size] for start in range(0, len(entries), size))
