"""What a cluster forgot, as long as it says nothing of it. Pure.

It is kept as it was, and known by name; slices are kept by the state, which may join two lives of one. Of services and what
they are made of enough can be written down for the daemon's next life.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence, Set

from xdsd.registry.kubernetes.collection import AnyCollection, Collection
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.held import (
    Entry,
    Held,
    HeldNode,
    HeldPod,
    HeldService,
    HeldSlice,
    written,
)
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.state import ClusterState

_KINDS = {
    HeldService: Kind.SERVICE,
    HeldSlice: Kind.ENDPOINT_SLICE,
    HeldPod: Kind.POD,
    HeldNode: Kind.NODE,
}


class Missing:
    """Of all ``collections`` of a cluster, whose services ``state`` keeps."""

    def __init__(self, state: ClusterState, collections: Sequence[AnyCollection]) -> None:
        self._state = state
        self._collections = collections
        self._names: dict[AnyCollection, set[Name]] = {}
        self._changes = 0

    @property
    def losses(self) -> int:
        """Another number whenever something else is missing."""
        return self._changes + self._state.losses

    @property
    def counts(self) -> Counter[str]:
        """How many objects are missing, by their plurals."""
        counts = Counter({"endpointslices": self._state.former_slices})
        for collection, names in self._names.items():
            counts[collection.plural] += len(names)
        return counts

    def of(self, collection: AnyCollection) -> Set[Name]:
        """Those of a collection."""
        return self._names.get(collection) or frozenset()

    def seen(self, collection: AnyCollection, name: Name) -> None:
        """The cluster speaks of an object, so that what is known of it is not what was forgotten."""
        names = self._names.get(collection)
        if names and name in names:
            names.discard(name)
            self._changes += 1

    def lose(
        self, known: Callable[[AnyCollection], Set[Name]], *, set_back: bool
    ) -> Generator[None, None, None]:
        """All that is ``known`` is missing, step by step; ``set_back``: since the cluster is at an earlier time."""
        for each in self._collections:
            if not (isinstance(each, Collection) and each.kind is Kind.ENDPOINT_SLICE):
                found = set(known(each))
                if found:
                    self._names[each] = found
                    self._changes += 1
            yield
        yield from self._state.lose(set_back=set_back)

    def forget(self, drop: Callable[[AnyCollection, Name], None]) -> Generator[None, None, None]:
        """Nothing is missing any more, step by step: ``drop`` is told what is gone."""
        for collection, names in self._names.items():
            while names:
                self._changes += 1
                drop(collection, names.pop())
                yield
        self._names = {}
        yield from self._state.forget()

    def written(self, until: float, *, set_back: bool) -> Iterator[bytes]:
        """What is missing of services, to be written down, in parts; others may come back meanwhile."""
        return written(until, set_back, self._entries())

    def recall(self, held: Held) -> Generator[None, None, None]:
        """What was missing in an earlier life of the daemon, as far as it is still read, step by step."""
        return self._state.recall(self._recalled(held), set_back=held.set_back)

    def _entries(self) -> Iterator[Entry]:
        for collection, names in list(self._names.items()):
            if isinstance(collection, Collection):
                held = (self._state.held(collection.kind, name) for name in tuple(names))
                yield from (each for each in held if each is not None)
        yield from self._state.held_slices()

    def _recalled(self, held: Held) -> Iterator[Entry]:
        read = [each for each in self._collections if isinstance(each, Collection)]
        for each in held.entries:
            kind = _KINDS[type(each)]
            for collection in read:
                if collection.has(kind, each.name.namespace):
                    if kind is not Kind.ENDPOINT_SLICE:
                        self._names.setdefault(collection, set()).add(each.name)
                    yield each
