"""Services with their endpoints, joined from slices and pods. Pure.

What is built for a slice is kept, so that a change costs its slices and the joining of its services, whatever else the
cluster holds; what stays as it is stays the same value.
"""

from collections.abc import Set
from dataclasses import replace
from functools import partial
from itertools import chain

from xdsd.model.catalog import Endpoint, Service
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.endpoints import (
    as_before,
    of_both_families,
    once,
    one_family,
    ports_of,
)
from xdsd.registry.kubernetes.facts import Backend, Name
from xdsd.registry.kubernetes.former import is_former, unmentioned
from xdsd.registry.kubernetes.index import keep
from xdsd.registry.kubernetes.notes import Notes
from xdsd.registry.kubernetes.programs import Programs
from xdsd.registry.kubernetes.slices import Slices


class Joining:
    """Asks ``slices`` and ``programs`` as they are now. ``pods_known``: endpoints wait for the pods that they name."""

    def __init__(self, slices: Slices, programs: Programs, notes: Notes) -> None:
        self._slices = slices
        self._programs = programs
        self._notes = notes
        self.pods_known = True
        self._built: dict[Name, tuple[Endpoint, ...]] = {}
        self._stale: set[Name] = set()
        self._first_ipv6: dict[Name, bool] = {}
        self._in_both: dict[Name, frozenset[Name]] = {}
        self._silent: set[Name] = set()
        self.silences = 0

    @property
    def silent(self) -> int:
        """How many slices of before have no endpoint left of which those of now say nothing."""
        return len(self._silent)

    def is_silent(self, former: Name) -> bool:
        """Whether it is one of these. ``silences`` is another number whenever it is another one."""
        return former in self._silent

    def rebuild(self, name: Name) -> None:
        """A slice is to be built anew."""
        self._stale.add(name)

    def rebuild_all(self, service: Name) -> None:
        """So are all slices of a service."""
        self._stale.update(self._slices.of(service))

    def forget(self, name: Name) -> None:
        """A slice is gone."""
        self._built.pop(name, None)
        self._stale.discard(name)
        self._silent.discard(name)
        self._notes.waiting(name, ())

    def set_family(self, service: Name, ipv6: bool | None) -> bool:
        """The first family of a service, None where it does not say. True if it was another."""
        if self._first_ipv6.get(service) == ipv6:
            return False
        keep(self._first_ipv6, service, ipv6)
        self.rebuild_all(service)
        return True

    def family_of(self, service: Name) -> bool | None:
        """Whether its first family is IPv6; None where it does not say."""
        return self._first_ipv6.get(service)

    def joined(self, name: Name, service: Service | None) -> Service | None:
        """The service with its endpoints, each once."""
        slices = self._slices.of(name)
        if service is None or not slices or service.endpoints:
            self._in_both.pop(name, None)
            return service
        both = self._look_at_families(name, slices)
        for each in slices:
            if each in self._stale or each not in self._built:
                self._built[each] = self._build(each, service, both)
                self._stale.discard(each)
        found = [item for each in sorted(slices) for item in self._built[each]]
        return replace(service, endpoints=tuple(once(found)))

    def _look_at_families(self, service: Name, slices: Set[Name]) -> frozenset[Name]:
        """The pods that have an address of each family. Slices that have some of which that is new are built anew."""
        backends = [self._slices.items[each].backends for each in slices]
        two = len({facts.is_ipv6(each[0].address) for each in backends if each}) > 1
        both = of_both_families(chain.from_iterable(backends)) if two else frozenset()
        before = self._in_both.get(service, frozenset())
        for pod in both ^ before:
            for each in self._slices.having(pod):
                if each in slices:
                    self._stale.add(each)
        keep(self._in_both, service, both or None)
        return both

    def _calls_ipv6(self, service: Name, pod: Name) -> bool:
        """Of a pod with two addresses: that of the service's first family, else its own first."""
        said = self._first_ipv6.get(service)
        if said is not None:
            return said
        known = self._programs.pods.get(pod)
        return known is not None and facts.is_ipv6(known.address)

    def _build(self, name: Name, service: Service, both: frozenset[Name]) -> tuple[Endpoint, ...]:
        item = self._slices.items[name]
        if is_former(name):
            item = unmentioned(item, self._slices.now(item.service))
            if (name in self._silent) != (not item.backends):
                self.silences += 1
                self._silent ^= {name}
        ports = ports_of(item, service)
        waiting: list[Backend] = []
        found: list[Endpoint] = []
        for backend in one_family(item, both, partial(self._calls_ipv6, item.service)):
            pod = self._programs.pods.get(backend.pod) if backend.pod else None
            if pod is None and backend.pod is not None and self.pods_known:
                waiting.append(backend)
                continue
            found.append(self._programs.endpoint(backend, pod, ports))
        self._notes.waiting(name, waiting)
        return as_before(found, self._built.get(name, ()))
