"""What was read of each service, and what of it differs from what was told. Pure.

A Consul that lost its data, or went back to a snapshot, forgets instances that run on. Agents tell it of theirs again
within minutes, so what was there before is *lost* rather than gone: it is served as it was until it is seen again, or
until it is let go. What is seen again and then leaves is gone, as ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import NamedTuple

from xdsd.model.catalog import Endpoint, Port, Service
from xdsd.model.problem import Problem
from xdsd.registry.base import CatalogChange
from xdsd.registry.consul.answers import InstanceKey
from xdsd.registry.consul.facts import Facts, read_facts
from xdsd.registry.consul.held import Held, HeldInstance, HeldService
from xdsd.registry.consul.services import Entries, Reader, Reading, read_service, service_with

NOTHING = CatalogChange()


@dataclass(frozen=True, slots=True)
class News:
    """What an answer changes in the catalog, and all that is wrong with the service now."""

    change: CatalogChange
    problems: tuple[Problem, ...] = ()


class Lost(NamedTuple):
    """How many instances are kept though Consul does not know them, and some of their services."""

    instances: int
    services: tuple[str, ...]


class Book:
    """The services of one source by their names. ``losses`` is another number whenever something else is lost."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._told: dict[str, Service] = {}
        self._entries: dict[str, Entries] = {}
        self._facts: dict[str, tuple[Facts, ...]] = {}
        self._lost: dict[str, dict[InstanceKey, Endpoint]] = {}
        self._missing = 0
        self.losses = 0

    def names(self) -> frozenset[str]:
        """The services that were told."""
        return frozenset(self._told)

    def on_node(self, node: str) -> frozenset[str]:
        """The services that have an instance on a node."""
        return frozenset(
            name for name, entries in self._entries.items() if any(key.node == node for key in entries)
        )

    def read(self, name: str, body: bytes) -> Reading:
        """What an answer makes of a service; nothing changes yet, so that it may be done elsewhere. Raises Malformed."""
        told = self._told.get(name)
        port = told.ports[0] if told else None
        found = read_facts(body, self._reader.options, self._facts.get(name, ()))
        return read_service(self._reader, name, found, self._entries.get(name, {}), port)

    def missing(self, name: str, reading: Reading) -> Entries:
        """The instances that were there, and that an answer does not have."""
        known = self._entries.get(name, {})
        return {key: known[key] for key in known.keys() - reading.entries.keys()}

    def holds(self, name: str) -> int:
        """How many instances are served of a service, with those that Consul forgot."""
        told = self._told.get(name)
        return len(told.endpoints) if told else 0

    def take(self, name: str, reading: Reading, hidden: Entries | None = None) -> News:
        """Takes in what was read. Those that are ``hidden`` from us stay as they were."""
        if hidden:
            reading = self._with_hidden(name, reading, hidden)
        self._entries[name] = reading.entries
        self._facts[name] = reading.facts
        lost = self._lost.get(name, {})
        if back := lost.keys() & reading.entries.keys():
            self.losses += 1
            self._missing -= len(back)
            for key in back:
                del lost[key]
        service = reading.service
        if lost:
            service = self._with_lost(name, service, {**lost, **reading.entries})
        else:
            self._lost.pop(name, None)
        return News(self._tell(name, service), reading.problems)

    def drop(self, name: str) -> News:
        """The service is not there any more."""
        self._entries.pop(name, None)
        self._facts.pop(name, None)
        lost = self._lost.get(name)
        return News(self._tell(name, self._with_lost(name, None, lost) if lost else None))

    def lose(self) -> None:
        """Consul forgot what it knew: all that is served now is kept until it is seen again."""
        for name, entries in self._entries.items():
            if entries:
                self._lost[name] = {**self._lost.get(name, {}), **entries}
        self._entries = {}
        self._missing = sum(map(len, self._lost.values()))
        self.losses += 1

    def lost(self, most: int) -> Lost:
        """What is kept, with the first services of it."""
        return Lost(self._missing, tuple(nsmallest(most, self._lost)))

    def held(self) -> Iterator[HeldService]:
        """What is lost, to be written down; what is seen again meanwhile may be in it or not."""
        for name in tuple(self._lost):
            lost, told = self._lost.get(name), self._told.get(name)
            if lost and told is not None:
                instances = (HeldInstance(key.node, key.id, each) for key, each in lost.items())
                yield HeldService(name, told.ports[0], tuple(instances))

    def recall(self, held: Held) -> Iterator[CatalogChange]:
        """What was lost in an earlier life of the daemon."""
        self.losses += 1
        for each in held.services:
            host = self._reader.host(each.name)
            lost = {instance.key: instance.endpoint for instance in each.instances}
            if host is not None and lost:
                self._lost[each.name] = lost
                self._missing += len(lost)
                yield self._tell(each.name, service_with(self._reader, host, each.port, lost))

    def let_go(self) -> Iterator[CatalogChange]:
        """Lets go what was not seen again, whatever else is taken in meanwhile."""
        before, self._lost, self._missing = self._lost, {}, 0
        self.losses += 1
        for name in before:
            left = {**self._lost.get(name, {}), **self._entries.get(name, {})}
            yield self._tell(name, self._with_lost(name, None, left) if left else None)

    def _with_hidden(self, name: str, reading: Reading, hidden: Entries) -> Reading:
        entries = {**hidden, **reading.entries}
        return replace(reading, service=self._with_lost(name, reading.service, entries), entries=entries)

    def _with_lost(self, name: str, service: Service | None, entries: Entries) -> Service | None:
        like = service or self._told.get(name)
        if like is None:
            return None
        port = like.ports[0]
        there = {key: _on_port(each, port) for key, each in entries.items()}
        return service_with(self._reader, like.hostname, port, there)

    def _tell(self, name: str, service: Service | None) -> CatalogChange:
        """What is to be said now that a service is like this."""
        before = self._told.get(name)
        if service == before:
            return NOTHING
        if service is None:
            del self._told[name]
            gone = self._reader.named(name, before) if before else ()
            return CatalogChange(removed_services=tuple(each.key for each in gone))
        self._told[name] = service
        named = self._reader.named(name, service)
        if before is None or replace(before, endpoints=()) != replace(service, endpoints=()):
            return CatalogChange(services=named)
        return CatalogChange(endpoints={each.key: each.endpoints for each in named})


def _on_port(endpoint: Endpoint, port: Port) -> Endpoint:
    """The endpoint with the number of its one port under the name that the port has now."""
    if port.name in endpoint.ports:
        return endpoint
    return replace(endpoint, ports={port.name: next(iter(endpoint.ports.values()), port.target)})
