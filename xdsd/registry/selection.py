"""Which workloads each selector chooses, kept as both change.

Looking at all selectors for each workload would cost the mesh. A selector stands in the index under one of
its label pairs, the one that fewest selectors share, and a workload looks under its own pairs only. A
selector that is new looks among the workloads that carry its rarest pair. Selectors choose within their
namespace; one without labels chooses all.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import ItemsView, Iterator, Mapping, Set
from typing import NamedTuple, TypeVar

from xdsd.model.catalog import Endpoint, ServiceKey, WorkloadKey

Item = TypeVar("Item")
PartId = tuple[str, ServiceKey]
WorkloadId = tuple[str, WorkloadKey]


_NONE: frozenset[WorkloadId] = frozenset()


class _Pair(NamedTuple):
    """A label of a namespace; the empty one is carried by all its workloads."""

    namespace: str
    key: str = ""
    value: str = ""


class Selection:
    """Selectors by part and workloads by source and key; both may be set again and again."""

    def __init__(self) -> None:
        self._selectors: dict[PartId, tuple[Mapping[str, str], _Pair]] = {}
        self._selectors_under: dict[_Pair, set[PartId]] = {}
        self._uses: Counter[_Pair] = Counter()
        self._workloads: dict[WorkloadId, Endpoint] = {}
        self._workloads_with: dict[_Pair, set[WorkloadId]] = {}
        self._chosen: dict[PartId, set[WorkloadId]] = {}
        self._ordered: dict[PartId, list[WorkloadId]] = {}

    def chosen(self, part: PartId) -> list[tuple[WorkloadId, Endpoint]]:
        """The workloads that the part's selector chooses, in an order that depends on them alone."""
        return [(item, self._workloads[item]) for item in self._in_order(part)]

    def _in_order(self, part: PartId) -> list[WorkloadId]:
        """The chosen workloads; kept in order as they come and go, once they are asked for."""
        known = self._ordered.get(part)
        if known is None:
            known = self._ordered[part] = sorted(self._chosen.get(part, ()), key=_by_key)
        return known

    def workloads(self) -> ItemsView[WorkloadId, Endpoint]:
        """All workloads; a live view."""
        return self._workloads.items()

    def workload(self, workload: WorkloadId) -> Endpoint | None:
        """What a workload is; None where there is none of that name."""
        return self._workloads.get(workload)

    def services_of(self, workload: WorkloadId) -> frozenset[ServiceKey]:
        """The services whose selectors choose a workload."""
        endpoint = self._workloads.get(workload)
        return frozenset(part[1] for part in self._choosers(workload[1].namespace, endpoint))

    def set_selector(self, part: PartId, selector: Mapping[str, str] | None) -> None:
        """Adds or replaces a selector; None removes it."""
        known = self._selectors.get(part)
        if known is not None:
            if known[0] == selector:
                return
            self._drop_selector(part, *known)
        self._ordered.pop(part, None)
        if selector is None:
            return
        pairs = _selector_pairs(part[1].namespace, selector)
        place = min(pairs, key=lambda pair: (self._uses[pair], pair))
        self._selectors[part] = (selector, place)
        self._selectors_under.setdefault(place, set()).add(part)
        self._uses.update(pairs)
        rarest: Set[WorkloadId] = min((self._workloads_with.get(pair, _NONE) for pair in pairs), key=len)
        wanted = selector.items()
        self._chosen[part] = {item for item in rarest if wanted <= self._workloads[item].labels.items()}

    def set_workload(self, workload: WorkloadId, endpoint: Endpoint | None) -> set[ServiceKey]:
        """Adds or replaces a workload, None removes it; returns the services that it leaves, joins or changes."""
        known = self._workloads.get(workload)
        if known == endpoint:
            return set()
        namespace = workload[1].namespace
        if known is not None and endpoint is not None and known.labels == endpoint.labels:
            self._workloads[workload] = endpoint
            return {part[1] for part in self._choosers(namespace, endpoint)}
        left = set(self._choosers(namespace, known))
        joined = set(self._choosers(namespace, endpoint))
        self._index(workload, known, endpoint)
        for part in left - joined:
            self._chosen[part].discard(workload)
            if (ordered := self._ordered.get(part)) is not None:
                del ordered[bisect_left(ordered, _by_key(workload), key=_by_key)]
        for part in joined - left:
            self._chosen[part].add(workload)
            if (ordered := self._ordered.get(part)) is not None:
                insort(ordered, workload, key=_by_key)
        return {part[1] for part in left | joined}

    def _choosers(self, namespace: str, endpoint: Endpoint | None) -> Iterator[PartId]:
        if endpoint is None:
            return
        carried = endpoint.labels.items()
        for pair in _workload_pairs(namespace, endpoint):
            for part in self._selectors_under.get(pair, ()):
                if self._selectors[part][0].items() <= carried:
                    yield part

    def _index(self, workload: WorkloadId, known: Endpoint | None, endpoint: Endpoint | None) -> None:
        old = set(_workload_pairs(workload[1].namespace, known))
        new = set(_workload_pairs(workload[1].namespace, endpoint))
        for pair in old - new:
            _discard(self._workloads_with, pair, workload)
        for pair in new - old:
            self._workloads_with.setdefault(pair, set()).add(workload)
        if endpoint is None:
            del self._workloads[workload]
        else:
            self._workloads[workload] = endpoint

    def _drop_selector(self, part: PartId, selector: Mapping[str, str], place: _Pair) -> None:
        del self._selectors[part]
        del self._chosen[part]
        _discard(self._selectors_under, place, part)
        for pair in _selector_pairs(part[1].namespace, selector):
            self._uses[pair] -= 1
            if not self._uses[pair]:
                del self._uses[pair]


def _selector_pairs(namespace: str, selector: Mapping[str, str]) -> list[_Pair]:
    return [_Pair(namespace, *label) for label in selector.items()] or [_Pair(namespace)]


def _workload_pairs(namespace: str, endpoint: Endpoint | None) -> Iterator[_Pair]:
    if endpoint is not None:
        yield _Pair(namespace)
        for label in endpoint.labels.items():
            yield _Pair(namespace, *label)


def _by_key(workload: WorkloadId) -> str:
    """Text, since that sorts fast."""
    source, (namespace, name) = workload
    return f"{namespace}\0{name}\0{source}"


def _discard(index: dict[_Pair, set[Item]], key: _Pair, item: Item) -> None:
    members = index[key]
    members.discard(item)
    if not members:
        del index[key]
