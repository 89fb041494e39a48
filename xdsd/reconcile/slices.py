"""Changes in portions, so that the event loop is never held for long."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from xdsd.registry.base import CatalogChange, ObjectsChange

PORTION = 200
"""Entries of one catalog change that are taken in at once."""

ENDPOINTS = 2000
"""Endpoints in a portion; the list of one service is taken in at once, however long."""

T = TypeVar("T")


def portions(
    change: CatalogChange, size: int = PORTION, endpoints: int = ENDPOINTS
) -> Iterator[CatalogChange]:
    """The same change in parts that are quick to take in; removals first, so that what moves is not lost."""
    for keys in chunks(change.removed_services, size):
        yield CatalogChange(removed_services=keys)
    for services in _weighed(change.services, lambda each: len(each.endpoints), size, endpoints):
        yield CatalogChange(services=services)
    for names in chunks(change.removed_workloads, size):
        yield CatalogChange(removed_workloads=names)
    for workloads in chunks(change.workloads, size):
        yield CatalogChange(workloads=workloads)
    for listed in _weighed(tuple(change.endpoints.items()), lambda each: len(each[1]), size, endpoints):
        yield CatalogChange(endpoints=dict(listed))


def entries(change: CatalogChange | ObjectsChange) -> int:
    """How much there is to take in."""
    if isinstance(change, ObjectsChange):
        return len(change.upserts) + len(change.removed)
    declared = len(change.services) + len(change.workloads) + len(change.endpoints)
    return declared + len(change.removed_services) + len(change.removed_workloads)


def chunks(items: tuple[T, ...], size: int = PORTION) -> Iterator[tuple[T, ...]]:
    """``items`` in parts of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _weighed(
    items: tuple[T, ...], weight: Callable[[T], int], size: int, most: int
) -> Iterator[tuple[T, ...]]:
    """``items`` in parts of at most ``size`` that weigh at most ``most``, unless one alone weighs more."""
    part: list[T] = []
    total = 0
    for item in items:
        heavy = weight(item)
        if part and (len(part) == size or total + heavy > most):
            yield tuple(part)
            part, total = [], 0
        part.append(item)
        total += heavy
    if part:
        yield tuple(part)
