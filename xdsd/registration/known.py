"""The entries that are known, found by what they say. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass

from xdsd.model.problem import ObjectRef
from xdsd.registration.entries import EntryObject, Registered, registered

_NONE: frozenset[ObjectRef] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as of a revision; ``machine`` is None for an operator's."""

    obj: EntryObject
    revision: int
    machine: Registered | None


class Entries:
    """All entries of the store, as far as it has told of them or was written to."""

    def __init__(self) -> None:
        self._entries: dict[ObjectRef, Entry] = {}
        self._indices: tuple[dict[object, set[ObjectRef]], ...] = tuple(defaultdict(set) for _ in range(3))

    def __iter__(self) -> Iterator[ObjectRef]:
        return iter(tuple(self._entries))

    def get(self, ref: ObjectRef) -> Entry | None:
        return self._entries.get(ref)

    def put(self, obj: EntryObject, revision: int) -> Entry:
        """Takes an entry in."""
        self.drop(obj.ref)
        entry = self._entries[obj.ref] = Entry(obj, revision, registered(obj.metadata.annotations))
        for index, key in zip(self._indices, _keys(entry), strict=False):
            index[key].add(obj.ref)
        return entry

    def drop(self, ref: ObjectRef) -> None:
        """Forgets an entry, if it is known."""
        entry = self._entries.pop(ref, None)
        if entry is None:
            return
        for index, key in zip(self._indices, _keys(entry), strict=False):
            index[key].discard(ref)
            if not index[key]:
                del index[key]

    def at(self, address: str, network: str) -> Set[ObjectRef]:
        """Those of machines with this address."""
        return self._indices[0].get((address, network), _NONE)

    def of(self, node: str, identity: str) -> Set[ObjectRef]:
        """Those of one machine."""
        return self._indices[1].get((node, identity), _NONE)

    def by(self, credential: str) -> Set[ObjectRef]:
        """Those that one token or certificate made."""
        return self._indices[2].get(credential, _NONE)


def _keys(entry: Entry) -> tuple[object, ...]:
    machine, spec = entry.machine, entry.obj.spec
    if machine is None:
        return ()
    return (
        (spec.address or "", spec.network or ""),
        (machine.node, machine.identity),
        machine.credential,
    )
