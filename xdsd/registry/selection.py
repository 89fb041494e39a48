"""Which workloads each selector chooses, kept as both change.

Looking at all selectors for each workload would cost the mesh. A selector stands in the index under one of
its label pairs, the one that fewest selectors share, and a workload looks under its own pairs only. A
selector that is new looks among the workloads that carry its rarest pair. Selectors choose within their
namespace; one without labels chooses all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

from xdsd.model.catalog import Endpoint, ServiceKey, WorkloadKey

Item = TypeVar("Item")
PartId = tuple[str, ServiceKey]
WorkloadId = tuple[str, WorkloadKey]


class _Pair(NamedTuple):
    """A label of a namespace; the empty one is carried by all its workloads."""

    namespace: str
    key: str = ""
    value: str = ""


class Selection:
    """Selectors by part and workloads by source and key; both may be set again and again."""

    def __init__(self) -> None:
        self._selectors: dict[PartId, tuple[tuple[_Pair, ...], _Pair]] = {}
        self._selectors_under: defaultdict[_Pair, set[PartId]] = defaultdict(set)
        self._uses: Counter[_Pair] = Counter()
        self._workloads: dict[WorkloadId, tuple[Endpoint, frozenset[_Pair]]] = {}
        self._workloads_with: defaultdict[_Pair, set[WorkloadId]] = defaultdict(set)
        self._chosen: dict[PartId, set[WorkloadId]] = {}

    def endpoints(self, part: PartId) -> Iterator[Endpoint]:
        """The endpoints that the part's selector chooses, in an order that depends on them alone."""
        for item in sorted(self._chosen.get(part, ()), key=_by_key):
            yield self._workloads[item][0]

    def set_selector(self, part: PartId, selector: Mapping[str, str] | None) -> None:
        """Adds or replaces a selector; None removes it."""
        known = self._selectors.get(part)
        pairs = None if selector is None else _pairs(part[1].namespace, selector)
        if known is not None:
            if known[0] == pairs:
                return
            self._drop_selector(part, *known)
        if pairs is None:
            return
        place = min(pairs, key=lambda pair: (self._uses[pair], pair))
        self._selectors[part] = (pairs, place)
        self._selectors_under[place].add(part)
        self._uses.update(pairs)
        rarest = min((self._workloads_with.get(pair, set()) for pair in pairs), key=len)
        self._chosen[part] = {item for item in rarest if self._workloads[item][1].issuperset(pairs)}

    def set_workload(self, workload: WorkloadId, endpoint: Endpoint | None) -> set[ServiceKey]:
        """Adds or replaces a workload, None removes it; returns the services that it leaves, joins or changes."""
        known = self._workloads.get(workload)
        if known is None and endpoint is None:
            return set()
        if known is not None and known[0] == endpoint:
            return set()
        old = known[1] if known else frozenset()
        new = frozenset(_all_pairs(workload[1].namespace, endpoint.labels)) if endpoint else frozenset()
        if old == new and endpoint is not None:
            self._workloads[workload] = (endpoint, new)
            return {part[1] for part in self._choosers(new)}
        left, joined = set(self._choosers(old)), set(self._choosers(new))
        self._index(workload, old, new)
        if endpoint is None:
            del self._workloads[workload]
        else:
            self._workloads[workload] = (endpoint, new)
        for part in left - joined:
            self._chosen[part].discard(workload)
        for part in joined - left:
            self._chosen[part].add(workload)
        return {part[1] for part in left | joined}

    def _choosers(self, pairs: frozenset[_Pair]) -> Iterator[PartId]:
        for pair in pairs:
            for part in self._selectors_under.get(pair, ()):
                if pairs.issuperset(self._selectors[part][0]):
                    yield part

    def _index(self, workload: WorkloadId, old: frozenset[_Pair], new: frozenset[_Pair]) -> None:
        for pair in old - new:
            _discard(self._workloads_with, pair, workload)
        for pair in new - old:
            self._workloads_with[pair].add(workload)

    def _drop_selector(self, part: PartId, pairs: tuple[_Pair, ...], place: _Pair) -> None:
        del self._selectors[part]
        del self._chosen[part]
        _discard(self._selectors_under, place, part)
        for pair in pairs:
            self._uses[pair] -= 1
            if not self._uses[pair]:
                del self._uses[pair]


def _pairs(namespace: str, labels: Mapping[str, str]) -> tuple[_Pair, ...]:
    return tuple(_Pair(namespace, *label) for label in sorted(labels.items())) or (_Pair(namespace),)


def _all_pairs(namespace: str, labels: Mapping[str, str]) -> Iterator[_Pair]:
    yield _Pair(namespace)
    for label in labels.items():
        yield _Pair(namespace, *label)


def _by_key(workload: WorkloadId) -> tuple[WorkloadKey, str]:
    return workload[1], workload[0]


def _discard(index: dict[_Pair, set[Item]], key: _Pair, item: Item) -> None:
    members = index[key]
    members.discard(item)
    if not members:
        del index[key]
