"""The catalog: what all sources report, joined into one set of services and their endpoints.

A *part* is what one source says of a service; parts of equal namespace and host make one *service*, whose endpoints
are those of all its parts (``xdsd.registry.parts`` says how they are joined). A part lists its endpoints or selects
workloads; the join of selectors and workloads is kept up to date step by step (``xdsd.registry.selection``), so a change
costs what it touches, never the mesh.
"""

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from xdsd.model.catalog import Endpoint, NodeAt, Service, ServiceKey, WorkloadKey
from xdsd.model.problem import Problem
from xdsd.registry.base import CatalogChange
from xdsd.registry.gathering import Chosen, Gathered, gather, reported
from xdsd.registry.nodes import Nodes
from xdsd.registry.parts import joined, same
from xdsd.registry.reported import Reported
from xdsd.registry.selection import Selection, WorkloadId
from xdsd.registry.stepwise import finished, steps_of
from xdsd.registry.telling import conflict, networks_apart, ports_apart

Item = TypeVar("Item")

_NOTHING: frozenset[ServiceKey] = frozenset()


@dataclass(frozen=True, slots=True)
class CatalogDelta:
    """What a change did: services added, removed or described anew, those whose endpoints differ, the addresses at which
    other services are found than before, and those at which workloads may be on other nodes.
    """

    services: frozenset[ServiceKey] = frozenset()
    endpoints: frozenset[ServiceKey] = frozenset()
    addresses: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.services or self.endpoints or self.addresses or self.nodes)


class Catalog:
    """Takes changes from any number of sources; its state depends on the newest word of each, not on their order."""

    def __init__(self) -> None:
        self._parts: dict[ServiceKey, dict[str, Service]] = {}
        self._selection = Selection()
        self._nodes = Nodes()
        self._services: dict[ServiceKey, Service] = {}
        self._endpoints: dict[ServiceKey, tuple[Endpoint, ...]] = {}
        self._shares: dict[ServiceKey, Mapping[str, int]] = {}
        self._totals: Counter[str] = Counter()
        self._networks: dict[ServiceKey, tuple[str, ...]] = {}
        self._at: dict[str, frozenset[ServiceKey]] = {}
        self._part_problems: dict[ServiceKey, tuple[Problem, ...]] = {}
        self._endpoint_problems: dict[ServiceKey, tuple[Problem, ...]] = {}

    def service(self, key: ServiceKey) -> Service | None:
        """The joined service, without endpoints: those change more often and have their own query."""
        return self._services.get(key)

    def services(self) -> Mapping[ServiceKey, Service]:
        """All services; a live view, not to be kept."""
        return MappingProxyType(self._services)

    def endpoints(self, key: ServiceKey) -> tuple[Endpoint, ...]:
        """All endpoints of a service, listed or selected; none for a service that is not there."""
        return self._endpoints.get(key, ())

    def services_at(self, address: str) -> frozenset[ServiceKey]:
        """The services that have an endpoint with this address."""
        return self._at.get(address, _NOTHING)

    def nodes_at(self, address: str) -> tuple[NodeAt, ...]:
        """The nodes of the workloads that have this address."""
        return self._nodes.at(address)

    def parts(self, key: ServiceKey) -> Sequence[tuple[str, Service]]:
        """What each source says of a service, the oldest first."""
        return _by_age(self._parts.get(key, {}))

    def reported(self, key: ServiceKey) -> Sequence[Reported]:
        """The endpoints that each part has, with their sources and workloads, before those that are the same are joined."""
        service = self._services.get(key)
        if service is None:
            return []
        return [
            each
            for source, part in self.parts(key)
            for each in reported(source, part, self._own(source, part), service)
        ]

    def sourced(self, key: ServiceKey) -> Sequence[tuple[Endpoint, Sequence[Reported]]]:
        """The endpoints of a service, each with what its sources say of it, the oldest first."""
        at: dict[str, list[Reported]] = {}
        for each in self.reported(key):
            at.setdefault(each.endpoint.address, []).append(each)
        return [
            (each, [item for item in at.get(each.address, ()) if same(item.endpoint, each)])
            for each in self.endpoints(key)
        ]

    def endpoints_of(self, source: str) -> int:
        """How many endpoints services have of a source; one that several services have counts for each."""
        return self._totals[source]

    def workloads(self) -> Iterator[tuple[str, WorkloadKey, Endpoint]]:
        """All workloads with their sources, in no order."""
        for (source, key), endpoint in self._selection.workloads():
            yield source, key, endpoint

    def services_of(self, source: str, workload: WorkloadKey) -> frozenset[ServiceKey]:
        """The services that select a workload."""
        return self._selection.services_of((source, workload))

    def apart(self, reached: Collection[str]) -> Iterator[Problem]:
        """Remarks on services with endpoints on several networks, of which one is not ``reached`` through a gateway."""
        for key, networks in sorted(self._networks.items()):
            alone = [network for network in networks if network not in reached]
            if len(networks) > 1 and alone:
                yield networks_apart(key, networks, alone)

    def problems_of(self, key: ServiceKey) -> tuple[Problem, ...]:
        """Where sources contradict each other about a service, and its endpoints that cannot be used."""
        return (*self._part_problems.get(key, ()), *self._endpoint_problems.get(key, ()))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Where sources contradict each other, and endpoints that cannot be used; in order of services."""
        keys = sorted({*self._part_problems, *self._endpoint_problems})
        return tuple(problem for key in keys for problem in self.problems_of(key))

    def apply(self, source: str, change: CatalogChange) -> CatalogDelta:
        """Takes in what one source says; what it removes and adds at once is replaced.

        Endpoints of a service that the source does not report are ignored.
        """
        return finished(self.steps(source, change))

    def steps(self, source: str, change: CatalogChange) -> Generator[None, None, CatalogDelta]:
        """The same in small steps. Nothing else is to be taken in between; what is asked for is as it was, or will be."""
        described: set[ServiceKey] = set()
        touched: set[ServiceKey] = set()
        for key in change.removed_services:
            self._set_part(source, key, None, described, touched)
        for service in change.services:
            self._set_part(source, service.key, service, described, touched)
        for key, endpoints in change.endpoints.items():
            self._set_listed(source, key, endpoints, touched)
        moved: set[str] = set()
        for workload in change.removed_workloads:
            touched |= self._set_workload((source, workload), None, moved)
        for item in change.workloads:
            touched |= self._set_workload((source, item.key), item.endpoint, moved)
        services = frozenset(key for key in described if self._rejoin(key))
        addresses: set[str] = set()
        differing: set[ServiceKey] = set()
        for key in touched:
            if (yield from self._regather(key, addresses)):
                differing.add(key)
        return CatalogDelta(services, frozenset(differing), frozenset(addresses), frozenset(moved))

    def _set_workload(
        self, workload: WorkloadId, endpoint: Endpoint | None, moved: set[str]
    ) -> set[ServiceKey]:
        moved.update(self._nodes.move(self._selection.workload(workload), endpoint))
        return self._selection.set_workload(workload, endpoint)

    def _set_part(
        self,
        source: str,
        key: ServiceKey,
        service: Service | None,
        described: set[ServiceKey],
        touched: set[ServiceKey],
    ) -> None:
        parts = self._parts.get(key, {})
        if parts.get(source) == service:
            return
        self._parts[key] = parts
        described.add(key)
        touched.add(key)
        self._selection.set_selector((source, key), service.selector if service else None)
        if service is None:
            parts.pop(source, None)
        else:
            parts[source] = service
        if not parts:
            del self._parts[key]

    def _set_listed(
        self, source: str, key: ServiceKey, endpoints: tuple[Endpoint, ...], touched: set[ServiceKey]
    ) -> None:
        part = self._parts.get(key, {}).get(source)
        if part is not None and part.endpoints is not endpoints:
            self._parts[key][source] = replace(part, endpoints=endpoints)
            touched.add(key)

    def _rejoin(self, key: ServiceKey) -> bool:
        parts = self._parts.get(key)
        if parts is None:
            self._part_problems.pop(key, None)
            return self._services.pop(key, None) is not None
        service, contradictions, apart = joined(_by_age(parts))
        problems = (
            *(conflict(key, item) for item in contradictions),
            *(ports_apart(key, item) for item in apart),
        )
        _keep(self._part_problems, key, problems)
        if self._services.get(key) == service:
            return False
        self._services[key] = service
        return True

    def _regather(self, key: ServiceKey, addresses: set[str]) -> Generator[None, None, bool]:
        """Collects the endpoints of a service again; adds the addresses that came or went to ``addresses``."""
        before = self._endpoints.get(key, ())
        service = self._services.get(key)
        gathered = Gathered()
        if service is not None:
            parts = [(source, part, self._own(source, part)) for source, part in _by_age(self._parts[key])]
            gathered = yield from gather(service, parts, before)
        now = gathered.endpoints
        self._share(key, gathered.shares)
        _keep(self._networks, key, tuple(sorted(gathered.networks)))
        _keep(self._endpoint_problems, key, tuple(gathered.problems))
        if now == before:
            return False
        if now:
            self._endpoints[key] = now
        else:
            del self._endpoints[key]
        old, new = {item.address for item in before}, {item.address for item in now}
        for gone in steps_of(old - new):
            for address in gone:
                self._move(address, self._at[address] - {key})
            yield
        for come in steps_of(new - old):
            for address in come:
                self._move(address, self._at.get(address, _NOTHING) | {key})
            yield
        addresses |= old ^ new
        return True

    def _own(self, source: str, part: Service) -> Chosen | None:
        """The workloads that a part selects; None where it lists its endpoints."""
        return None if part.selector is None else self._selection.chosen((source, part.key))

    def _move(self, address: str, keys: frozenset[ServiceKey]) -> None:
        if keys:
            self._at[address] = keys
        else:
            del self._at[address]

    def _share(self, key: ServiceKey, shares: Mapping[str, int]) -> None:
        before = self._shares.get(key, {})
        if shares == before:
            return
        self._totals = self._totals - Counter(before) + Counter(shares)
        if shares:
            self._shares[key] = shares
        else:
            del self._shares[key]


def _keep(kept: dict[ServiceKey, tuple[Item, ...]], key: ServiceKey, found: tuple[Item, ...]) -> None:
    if found:
        kept[key] = found
    else:
        kept.pop(key, None)


def _by_age(parts: Mapping[str, Service]) -> list[tuple[str, Service]]:
    return sorted(parts.items(), key=lambda item: (item[1].age, item[0]))
