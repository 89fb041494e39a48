"""The slices of a cluster, by what they are looked up by. Pure."""

from collections.abc import Iterator, Mapping, Set
from typing import TypeVar

from xdsd.registry.kubernetes.facts import Name, Slice
from xdsd.registry.kubernetes.former import is_former
from xdsd.registry.kubernetes.index import Index, keep

Key = TypeVar("Key")


class Slices:
    """Those of now, and those of before under names of their own."""

    def __init__(self) -> None:
        self._items: dict[Name, Slice] = {}
        self._of: Index[Name, Name] = Index()
        self._with: Index[Name, Name] = Index()
        self._on: Index[str, Name] = Index()

    @property
    def items(self) -> Mapping[Name, Slice]:
        """All of them."""
        return self._items

    def of(self, service: Name) -> Set[Name]:
        """Those of a service."""
        return self._of.of(service)

    def having(self, pod: Name) -> Set[Name]:
        """Those with an endpoint that is the pod's."""
        return self._with.of(pod)

    def on(self, node: str) -> Set[Name]:
        """Those with an endpoint that says to be on the node."""
        return self._on.of(node)

    def by_pod(self) -> list[tuple[Name, Set[Name]]]:
        """All pods that some name, and which do."""
        return self._with.items()

    def now(self, service: Name) -> Iterator[Slice]:
        """Those of a service that are not of before."""
        return (self._items[each] for each in self.of(service) if not is_former(each))

    def set(self, name: Name, now: Slice | None) -> None:
        """A slice is like this, or is gone."""
        before = self._items.get(name)
        keep(self._items, name, now)
        if (before and before.service) != (now and now.service):
            if before is not None:
                self._of.leave(before.service, name)
            if now is not None:
                self._of.enter(now.service, name)
        _move(self._with, name, _pods(before), _pods(now))
        _move(self._on, name, _nodes(before), _nodes(now))


def _pods(item: Slice | None) -> set[Name]:
    return {each.pod for each in item.backends if each.pod is not None} if item else set()


def _nodes(item: Slice | None) -> set[str]:
    return {each.node for each in item.backends if each.node} if item else set()


def _move(index: Index[Key, Name], name: Name, before: set[Key], now: set[Key]) -> None:
    """A slice is looked up by others than before."""
    for key in before - now:
        index.leave(key, name)
    for key in now - before:
        index.enter(key, name)
