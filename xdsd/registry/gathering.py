"""The endpoints of one service, collected from its parts in small steps."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xdsd.model.catalog import Endpoint, Service, network_of
from xdsd.model.problem import Problem
from xdsd.registry.parts import Once, translated
from xdsd.registry.reported import Reported
from xdsd.registry.selection import WorkloadId
from xdsd.registry.stepwise import steps_of
from xdsd.registry.telling import differs, unclear, usable

Chosen = Sequence[tuple[WorkloadId, Endpoint]]
"""The workloads that a selector chooses."""

Parts = Sequence[tuple[str, Service, Chosen | None]]
"""The parts of a service with their sources, the oldest first; without what is chosen a part lists its endpoints."""


@dataclass(slots=True)
class Gathered:
    """The endpoints, what is wrong with them, how many each source has, and the networks that they are on."""

    endpoints: tuple[Endpoint, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    shares: Mapping[str, int] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)


def gather(service: Service, parts: Parts, before: Sequence[Endpoint]) -> Generator[None, None, Gathered]:
    """Collects the endpoints of a service. Those that are as they were ``before`` are the same values, so that comparing
    the two costs little.
    """
    gathered = Gathered()
    found: Sequence[Endpoint] = yield from _all(service, parts)
    if len({each.address for each in found}) < len(found):
        found = yield from _once(service, parts, gathered.problems)
    known = {each.address: each for each in before}
    kept: list[Endpoint] = []
    for some in steps_of(found):
        for each in usable(service, some, gathered.problems):
            old = known.get(each.address)
            kept.append(old if old is not None and (old is each or old == each) else each)
            if network := network_of(each):
                gathered.networks.add(network)
        yield
    gathered.endpoints = tuple(kept)
    gathered.shares = {
        source: len(part.endpoints if chosen is None else chosen) for source, part, chosen in parts
    }
    return gathered


def reported(source: str, part: Service, chosen: Chosen | None, service: Service) -> Iterator[Reported]:
    """The endpoints of a part, as the joined service sees them."""
    if chosen is None:
        for each in translated(part.endpoints, part, service):
            yield Reported(source, "", each)
        return
    listed = translated((endpoint for _, endpoint in chosen), part, service)
    for ((origin, name), _), endpoint in zip(chosen, listed, strict=True):
        yield Reported(source, name.name, endpoint, origin)


def _all(service: Service, parts: Parts) -> Generator[None, None, list[Endpoint]]:
    """The endpoints of all parts, the oldest part's first."""
    found: list[Endpoint] = []
    for _, part, chosen in parts:
        own = part.endpoints if chosen is None else [endpoint for _, endpoint in chosen]
        for some in steps_of(translated(own, part, service)):
            found += some
            yield
    return found


def _once(
    service: Service, parts: Parts, problems: list[Problem]
) -> Generator[None, None, Sequence[Endpoint]]:
    """The same, each once, and what reporters say of one that differs."""
    created = {source: part.created for source, part, _ in parts}
    joining = Once[Reported](lambda each: created[each.source])
    at: dict[str, list[Reported]] = {}
    for source, part, chosen in parts:
        for some in steps_of(reported(source, part, chosen, service)):
            for each in some:
                joining.add(each, each.endpoint)
                at.setdefault(each.endpoint.address, []).append(each)
            yield
    problems += (differs(service.key, address, told) for address, told in joining.differences)
    for several in steps_of(at.items()):
        problems += unclear(service, several)
        yield
    return joining.endpoints
