"""What is looked up by what. Pure."""

from collections.abc import Set
from typing import Generic, TypeVar

from xdsd.registry.kubernetes.facts import Name

Key = TypeVar("Key")
Item = TypeVar("Item")


class Index(Generic[Key, Item]):
    """Items by keys, of which one may have many."""

    def __init__(self) -> None:
        self._members: dict[Key, set[Item]] = {}

    def of(self, key: Key) -> Set[Item]:
        """The items of a key."""
        return self._members.get(key) or frozenset()

    def enter(self, key: Key, item: Item) -> None:
        """An item has a key."""
        self._members.setdefault(key, set()).add(item)

    def leave(self, key: Key, item: Item) -> None:
        """An item has a key no longer."""
        members = self._members.get(key)
        if members is not None:
            members.discard(item)
            if not members:
                del self._members[key]

    def items(self) -> list[tuple[Key, Set[Item]]]:
        """All there are."""
        return list(self._members.items())


def keep(held: dict[Key, Item], key: Key, item: Item | None) -> None:
    """Sets what is known of a key; None: nothing."""
    if item is None:
        held.pop(key, None)
    else:
        held[key] = item


def taken(names: set[Name], most: int) -> list[Name]:
    """At most so many of the names, which are taken away."""
    if most < len(names):
        return sorted(names.pop() for _ in range(most))
    found = sorted(names)
    names.clear()
    return found
