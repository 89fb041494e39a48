"""The catalog: what all sources report, joined into one set of services and their endpoints.

A *part* is what one source says of a service; parts of equal namespace and host make one *service*, whose
endpoints are those of all its parts. A part lists its endpoints or selects workloads; the join of selectors
and workloads is kept up to date step by step (``xdsd.registry.selection``), so a change costs what it
touches, never the mesh.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from xdsd.model.catalog import Endpoint, Resolution, Service, ServiceKey
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.addresses import is_host, is_ip, is_unix
from xdsd.registry.base import CatalogChange
from xdsd.registry.parts import Contradiction, joined
from xdsd.registry.selection import Selection

_DNS = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})
_NOTHING: frozenset[ServiceKey] = frozenset()


@dataclass(frozen=True, slots=True)
class CatalogDelta:
    """What a change did: services added, removed or described anew, those whose endpoints differ, and the addresses
    at which other services are found than before.
    """

    services: frozenset[ServiceKey] = frozenset()
    endpoints: frozenset[ServiceKey] = frozenset()
    addresses: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.services or self.endpoints or self.addresses)


class Catalog:
    """Takes changes from any number of sources; its state depends on the newest word of each, not on their order."""

    def __init__(self) -> None:
        self._parts: dict[ServiceKey, dict[str, Service]] = {}
        self._selection = Selection()
        self._services: dict[ServiceKey, Service] = {}
        self._endpoints: dict[ServiceKey, tuple[Endpoint, ...]] = {}
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

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Where sources contradict each other, and endpoints that cannot be used; in order of services."""
        keys = sorted({*self._part_problems, *self._endpoint_problems})
        found = ((*self._part_problems.get(key, ()), *self._endpoint_problems.get(key, ())) for key in keys)
        return tuple(problem for group in found for problem in group)

    def apply(self, source: str, change: CatalogChange) -> CatalogDelta:
        """Takes in what one source says; what it removes and adds at once is replaced.

        Endpoints of a service that the source does not report are ignored.
        """
        described: set[ServiceKey] = set()
        touched: set[ServiceKey] = set()
        for key in change.removed_services:
            self._set_part(source, key, None, described, touched)
        for service in change.services:
            self._set_part(source, service.key, service, described, touched)
        for key, endpoints in change.endpoints.items():
            self._set_listed(source, key, endpoints, touched)
        for workload in change.removed_workloads:
            touched |= self._selection.set_workload((source, workload), None)
        for item in change.workloads:
            touched |= self._selection.set_workload((source, item.key), item.endpoint)
        return self._settle(described, touched)

    def _set_part(
        self,
        source: str,
        key: ServiceKey,
        service: Service | None,
        described: set[ServiceKey],
        touched: set[ServiceKey],
    ) -> None:
        parts = self._parts.setdefault(key, {})
        if parts.get(source) == service:
            return
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
        if part is not None and part.endpoints != endpoints:
            self._parts[key][source] = replace(part, endpoints=endpoints)
            touched.add(key)

    def _settle(self, described: set[ServiceKey], touched: set[ServiceKey]) -> CatalogDelta:
        """Recomputes what was touched and tells what came out different."""
        services = frozenset(key for key in described if self._rejoin(key))
        addresses: set[str] = set()
        endpoints = frozenset(key for key in touched if self._regather(key, addresses))
        return CatalogDelta(services, endpoints, frozenset(addresses))

    def _rejoin(self, key: ServiceKey) -> bool:
        parts = self._parts.get(key)
        if parts is None:
            self._part_problems.pop(key, None)
            return self._services.pop(key, None) is not None
        service, contradictions = joined(_by_age(parts))
        _keep(self._part_problems, key, tuple(_conflict(key, item) for item in contradictions))
        if self._services.get(key) == service:
            return False
        self._services[key] = service
        return True

    def _regather(self, key: ServiceKey, addresses: set[str]) -> bool:
        """Collects the endpoints of a service again; adds the addresses that came or went to ``addresses``."""
        before = self._endpoints.get(key, ())
        service = self._services.get(key)
        now: tuple[Endpoint, ...] = ()
        problems: list[Problem] = []
        if service is not None:
            now = tuple(_usable(service, _once(self._all_endpoints(key)), problems))
            problems += _apart(service, now)
        _keep(self._endpoint_problems, key, tuple(problems))
        if now == before:
            return False
        if now:
            self._endpoints[key] = now
        else:
            del self._endpoints[key]
        old, new = {item.address for item in before}, {item.address for item in now}
        for address in old - new:
            self._move(address, self._at[address] - {key})
        for address in new - old:
            self._move(address, self._at.get(address, _NOTHING) | {key})
        addresses |= old ^ new
        return True

    def _move(self, address: str, keys: frozenset[ServiceKey]) -> None:
        if keys:
            self._at[address] = keys
        else:
            del self._at[address]

    def _all_endpoints(self, key: ServiceKey) -> Iterator[Endpoint]:
        for source, part in _by_age(self._parts[key]):
            if part.selector is None:
                yield from part.endpoints
            else:
                yield from self._selection.endpoints((source, key))


def _keep(
    problems: dict[ServiceKey, tuple[Problem, ...]], key: ServiceKey, found: tuple[Problem, ...]
) -> None:
    if found:
        problems[key] = found
    else:
        problems.pop(key, None)


def _by_age(parts: Mapping[str, Service]) -> list[tuple[str, Service]]:
    return sorted(parts.items(), key=lambda item: (item[1].created, item[0]))


def _conflict(key: ServiceKey, found: Contradiction[str]) -> Problem:
    message = f"{found.who} says {found.says}, but {found.older} says {found.holds}, which is older and holds"
    return Problem(Reason.CONFLICT, message, ObjectRef("Service", *key))


def _once(endpoints: Iterable[Endpoint]) -> Iterable[Endpoint]:
    """Endpoints that two sources report alike, once."""
    listed = list(endpoints)
    if len({item.address for item in listed}) == len(listed):
        return listed
    first: dict[tuple[str, frozenset[tuple[str, int]]], Endpoint] = {}
    for item in listed:
        first.setdefault((item.address, frozenset(item.ports.items())), item)
    return first.values()


def _apart(service: Service, endpoints: Iterable[Endpoint]) -> Iterator[Problem]:
    """A remark on endpoints of several networks, which proxies of each call as if they were on theirs."""
    networks = sorted({item.network for item in endpoints if item.network})
    if len(networks) > 1:
        message = (
            f"has endpoints on the networks {', '.join(networks)}, which are called at their own addresses from everywhere:"
            " networks have no gateways yet, so they must reach each other"
        )
        ref = ObjectRef("Service", *service.key)
        yield Problem(Reason.NOT_SUPPORTED, message, ref, severity=Severity.WARNING)


def _usable(service: Service, endpoints: Iterable[Endpoint], problems: list[Problem]) -> Iterator[Endpoint]:
    """The endpoints that the service's resolution can reach; one wrong address would spoil the whole list."""
    by_name = service.resolution in _DNS
    other, needed = (
        (is_host, "an IP address or a host name") if by_name else (is_unix, "an IP address or unix:///path")
    )
    for item in endpoints:
        if is_ip(item.address) or other(item.address):
            yield item
            continue
        message = f"the endpoint {item.address!r} is left out: resolution {service.resolution} needs {needed}"
        problems.append(Problem(Reason.INVALID_VALUE, message, ObjectRef("Service", *service.key)))
