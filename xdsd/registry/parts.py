"""What several reporters say of one service, made one: the oldest word counts, and contradictions are told.

How ports are joined stands in ``xdsd.registry.ports``; where endpoints listen for one is each reporter's to say, of its own.
What says nothing contradicts nothing: no resolution and no location, nobody to export to, no names for certificates, no
preference for a zone or node, no locality. Who does not say how old a service is counts as younger than all who do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from xdsd.model.catalog import NOT_SERVED, Endpoint, Health, Port, Service, network_of
from xdsd.registry.contradictions import Apart, Contradiction, why
from xdsd.registry.ports import Ports, shown

Who = TypeVar("Who")

_SINGLE = ("resolution", "location")
_ALONE = (*_SINGLE, "spread")
_ONCE = {
    **{name: name for name in _SINGLE},
    "export_to": "exportTo",
    "subject_alt_names": "subjectAltNames",
    "spread": "internalTrafficPolicy or trafficDistribution",
}
_OWN = {"labels": "labels", "weight": "weight", "locality": "locality", "service_account": "serviceAccount"}
_WORST = (Health.HEALTHY, Health.AWAY, Health.DRAINING, Health.UNHEALTHY)


def joined(
    parts: Sequence[tuple[Who, Service]],
) -> tuple[Service, tuple[Contradiction[Who], ...], tuple[Apart[Who], ...]]:
    """The service that the parts, at least one and oldest first, make together, without endpoints.

    Ports and addresses are joined; a port that contradicts an older one is left out. Of what a service has once, such as its
    resolution, the oldest part's holds that says something.
    """
    (eldest, oldest), *others = parts
    if not others:
        return replace(oldest, endpoints=()), (), ()
    found: list[Contradiction[Who]] = []
    apart: list[Apart[Who]] = []
    ports = Ports(oldest.ports, eldest)
    addresses = dict.fromkeys(oldest.addresses)
    selector = oldest.selector
    held = {name: (eldest, _said(oldest, name)) for name in _ONCE}
    for who, part in others:
        if stranger := ports.stranger(part.ports):
            port, known, older = stranger
            apart.append(Apart(who, f"port {shown(port)}", older, f"port {shown(known)}"))
        found += [told for port in part.ports if (told := ports.add(port, who)) is not None]
        for name, word in _ONCE.items():
            (older, ours), theirs = held[name], _said(part, name)
            if not ours:
                held[name] = who, theirs
            elif theirs and theirs != ours:
                found.append(Contradiction(who, f"{word} {', '.join(theirs)}", older, ", ".join(ours)))
        addresses.update(dict.fromkeys(part.addresses))
        selector = part.selector if selector is None else selector
    said = {name: _value_of(oldest, name, ours) for name, (_, ours) in held.items()}
    service = replace(
        oldest,
        ports=ports.joined(),
        addresses=tuple(addresses),
        selector=selector,
        endpoints=(),
        regional=any(part.regional for _, part in parts),
        undeclared=frozenset(name for name in _SINGLE if not held[name][1]),
        **said,
    )
    created = {who: part.created for who, part in parts}
    reasons = (replace(each, why=why(created[each.older], created[each.who])) for each in found)
    return service, tuple(reasons), tuple(apart)


def _said(part: Service, name: str) -> tuple[str, ...]:
    """What a part says of what a service has once; nothing where it does not."""
    if name in part.undeclared:
        return ()
    value = getattr(part, name)
    if name in _ALONE:
        return (value,) if value else ()
    return value  # type: ignore[no-any-return]


def _value_of(oldest: Service, name: str, said: tuple[str, ...]) -> Any:  # Any: the attribute says the type
    """The same as the service has it."""
    if name not in _ALONE:
        return said
    return said[0] if said else getattr(oldest, name)


def translated(endpoints: Iterable[Endpoint], part: Service, service: Service) -> Iterable[Endpoint]:
    """The endpoints of a part, each with the numbers at which it serves the ports of the joined service."""
    if {_listens(port) for port in service.ports} <= {_listens(port) for port in part.ports}:
        return endpoints
    pairs = [(port, _counterpart(part, port)) for port in service.ports]
    return (replace(each, ports=_numbers(each, pairs)) for each in endpoints)


def once(
    reported: Sequence[tuple[Who, Endpoint]], created: Callable[[Who], str]
) -> tuple[tuple[Endpoint, ...], tuple[tuple[str, Contradiction[Who]], ...]]:
    """Endpoints, the oldest reporter's first, each address of a network and its ports once; and where reporters differ, by
    address. ``created`` tells since when a reporter has its service.

    It is as ill as the gloomiest reporter says: who knows nothing of an endpoint's health calls it healthy.
    """
    joining = Once(created)
    for who, each in reported:
        joining.add(who, each)
    return joining.endpoints, tuple(joining.differences)


class Once(Generic[Who]):
    """The same, endpoint by endpoint."""

    def __init__(self, created: Callable[[Who], str]) -> None:
        self.differences: list[tuple[str, Contradiction[Who]]] = []
        self._created = created
        self._kept: list[tuple[Who, Endpoint]] = []
        self._places: dict[tuple[str, str], list[int]] = {}

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Each once, in the order in which they came."""
        return tuple(each for _, each in self._kept)

    def add(self, who: Who, each: Endpoint) -> None:
        """A reporter, which is younger than those before, has an endpoint."""
        known = self._places.setdefault(place_of(each), [])
        place = next((at for at in known if _ports_of_both(self._kept[at][1], each) is not None), None)
        if place is None:
            known.append(len(self._kept))
            self._kept.append((who, each))
            return
        older, first = self._kept[place]
        reason = why(self._created(older), self._created(who))
        told = _differences(who, each, older, first)
        self.differences += ((each.address, replace(one, why=reason)) for one in told)
        self._kept[place] = older, _merged(first, each)


def same(one: Endpoint, other: Endpoint) -> bool:
    """True for what ``once`` takes for one endpoint."""
    return place_of(one) == place_of(other) and _ports_of_both(one, other) is not None


def place_of(endpoint: Endpoint) -> tuple[str, str]:
    """Where an endpoint is. Networks may have equal addresses; one that is not said is the caller's."""
    return endpoint.address, network_of(endpoint)


def _merged(first: Endpoint, other: Endpoint) -> Endpoint:
    return replace(
        first,
        health=max(first.health, other.health, key=_WORST.index),
        ports=_ports_of_both(first, other) or {},
        locality=first.locality or other.locality,
        node=first.node or other.node,
    )


def _listens(port: Port) -> tuple[int, str, int]:
    return port.number, port.name, port.target


def _counterpart(part: Service, port: Port) -> Port | None:
    """The port of a part that is meant by a port of the joined service."""
    found = part.port(port.number)
    name = port.declared_name
    return found or next((each for each in part.ports if name and each.declared_name == name), None)


def _numbers(endpoint: Endpoint, pairs: Iterable[tuple[Port, Port | None]]) -> dict[str, int]:
    """What differs from the targets of the joined service."""
    numbers = ((port, endpoint.port_for(own) if own else NOT_SERVED) for port, own in pairs)
    return {port.name: number for port, number in numbers if number != port.target}


def _ports_of_both(one: Endpoint, other: Endpoint) -> Mapping[str, int] | None:
    """The numbers of two endpoints of equal address, where either serves what the other does not; None where both serve a
    port at different numbers: they are two programs.
    """
    if one.ports == other.ports:
        return one.ports
    found: dict[str, int] = {}
    for name in {**one.ports, **other.ports}:
        # None: at the target.
        numbers = {one.ports.get(name), other.ports.get(name)} - {NOT_SERVED}
        if len(numbers) > 1:
            return None
        number = numbers.pop() if numbers else NOT_SERVED
        if number is not None:
            found[name] = number
    return found


def _differences(who: Who, each: Endpoint, older: Who, known: Endpoint) -> Iterator[Contradiction[Who]]:
    for name, word in _OWN.items():
        theirs, ours = getattr(each, name), getattr(known, name)
        silent = not theirs or (not ours and name == "locality")
        if theirs != ours and not (silent and isinstance(theirs, str)):
            yield Contradiction(who, f"{word} {_value(theirs)}", older, _value(ours))


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in sorted(value.items())) or "none"
    return str(value) or "none"
