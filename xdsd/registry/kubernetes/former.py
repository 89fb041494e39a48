"""What a cluster said in an earlier life, beside what it says now. Pure.

Controllers make slices anew under other names, so that a former slice stands beside those of now, for the endpoints that
none of these mentions. An address is whose it is now: what somebody else has taken is nobody's of before.
"""

from collections.abc import Iterable
from dataclasses import replace

from xdsd.registry.kubernetes.facts import Name, Slice

_MARK = " (before)"


def former(slice_name: Name) -> Name:
    """Under what name a slice stands that was there before; no object can have it."""
    return Name(slice_name.namespace, slice_name.name + _MARK)


def is_former(slice_name: Name) -> bool:
    """Whether it is the name of a slice that was there before."""
    return slice_name.name.endswith(_MARK)


def unmentioned(item: Slice, now: Iterable[Slice]) -> Slice:
    """A former slice without the endpoints that one of those of now mentions, by address or by pod."""
    addresses: set[str] = set()
    pods: set[Name | None] = set()
    for each in now:
        addresses.update(each.idle, (backend.address for backend in each.backends))
        pods.update(backend.pod for backend in each.backends)
    pods.discard(None)
    left = tuple(each for each in item.backends if each.address not in addresses and each.pod not in pods)
    return replace(item, backends=left)


class Former:
    """Objects of a kind by the addresses that each had alone, as long as they were not seen again."""

    def __init__(self) -> None:
        # None: pods on the network of their node share its address.
        self._at: dict[str, Name | None] = {}
        self._of: dict[Name, tuple[str, ...]] = {}

    def add(self, name: Name, addresses: Iterable[str]) -> None:
        """One that was there before."""
        self._of[name] = tuple(addresses)
        for address in self._of[name]:
            if self._at.setdefault(address, name) != name:
                self._at[address] = None

    def seen(self, name: Name, addresses: Iterable[str] = ()) -> dict[str, Name]:
        """An object is there or gone, and not one of before any more. Those of before that had its ``addresses``, which are
        theirs no longer.
        """
        for address in self._of.pop(name, ()):
            if self._at.get(address) == name:
                del self._at[address]
        found = {each: other for each in addresses if (other := self._at.get(each)) is not None}
        for each in found:
            del self._at[each]
        return found
