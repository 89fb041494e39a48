"""What several reporters say of one service, made one: the oldest word counts, and contradictions are told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from xdsd.model.catalog import Port, Service

Who = TypeVar("Who")

_SINGLE = ("resolution", "location", "export_to")


@dataclass(frozen=True, slots=True)
class Contradiction(Generic[Who]):
    """Something that ``who`` says, against what ``holds`` because someone older said it."""

    who: Who
    says: str
    older: Who
    holds: str


def joined(parts: Sequence[tuple[Who, Service]]) -> tuple[Service, tuple[Contradiction[Who], ...]]:
    """The service that the parts, at least one and oldest first, make together, without endpoints.

    Ports and addresses are joined. A port contradicts an older one if they share a number or a name and are not equal;
    it is left out. Of what a service has once, such as its resolution, the oldest part's holds.
    """
    (eldest, oldest), *others = parts
    if not others:
        return replace(oldest, endpoints=()), ()
    found: list[Contradiction[Who]] = []
    ports = dict.fromkeys(oldest.ports, eldest)
    addresses = dict.fromkeys(oldest.addresses)
    selector = oldest.selector
    for who, part in others:
        for port in part.ports:
            rival = _rival(ports, port)
            if rival is None:
                ports[port] = who
            elif rival != port:
                found.append(
                    Contradiction(who, f"port {_shown(port)}", ports[rival], f"port {_shown(rival)}")
                )
        for name in _SINGLE:
            theirs, ours = getattr(part, name), getattr(oldest, name)
            if theirs != ours:
                found.append(Contradiction(who, f"{name} {_text(theirs)}", eldest, _text(ours)))
        addresses.update(dict.fromkeys(part.addresses))
        selector = part.selector if selector is None else selector
    service = replace(oldest, ports=tuple(ports), addresses=tuple(addresses), selector=selector, endpoints=())
    return service, tuple(found)


def _rival(ports: dict[Port, Who], port: Port) -> Port | None:
    """The known port that stands where this one would: equal if there is one, else of its number or name."""
    if port in ports:
        return port
    return next((item for item in ports if item.number == port.number or item.name == port.name), None)


def _shown(port: Port) -> str:
    return f"{port.number} ({port.name}, {port.protocol}, target {port.target})"


def _text(value: object) -> str:
    return (", ".join(value) or "of the mesh") if isinstance(value, tuple) else str(value)
