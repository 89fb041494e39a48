"""What several sources say of one service, made one: the oldest word counts, and contradictions are problems."""

from collections.abc import Mapping
from dataclasses import replace

from xdsd.model.catalog import Port, Service
from xdsd.model.problem import ObjectRef, Problem, Reason

_SINGLE = ("resolution", "location", "export_to")


def joined(parts: Mapping[str, Service]) -> tuple[Service, tuple[Problem, ...]]:
    """The service that the parts (by source, at least one) make together, without endpoints.

    Ports and addresses are joined. A port contradicts an older one if they share a number or a name and are
    not equal; it is left out. Of what a service has once, such as its resolution, the oldest part's holds.
    """
    (_, oldest), *others = sorted(parts.items(), key=lambda item: (item[1].created, item[0]))
    if not others:
        return replace(oldest, endpoints=()), ()
    problems: list[Problem] = []
    ports = list(oldest.ports)
    addresses = dict.fromkeys(oldest.addresses)
    selector = oldest.selector
    for source, part in others:
        for port in part.ports:
            rival = _rival(ports, port)
            if rival is None:
                ports.append(port)
            elif rival != port:
                problems.append(_conflict(oldest, source, f"port {_shown(port)}", f"port {_shown(rival)}"))
        for name in _SINGLE:
            mine, theirs = getattr(oldest, name), getattr(part, name)
            if mine != theirs:
                problems.append(_conflict(oldest, source, f"{name} {_text(theirs)}", _text(mine)))
        addresses.update(dict.fromkeys(part.addresses))
        selector = part.selector if selector is None else selector
    service = replace(oldest, ports=tuple(ports), addresses=tuple(addresses), selector=selector, endpoints=())
    return service, tuple(problems)


def _rival(ports: list[Port], port: Port) -> Port | None:
    """The known port that stands where this one would: equal if there is one, else of its number or name."""
    if port in ports:
        return port
    return next((item for item in ports if item.number == port.number or item.name == port.name), None)


def _conflict(oldest: Service, source: str, said: str, holds: str) -> Problem:
    message = f"{source} says {said}, but {oldest.source or 'an older source'} says {holds}, which holds"
    return Problem(Reason.CONFLICT, message, ObjectRef("Service", *oldest.key))


def _shown(port: Port) -> str:
    return f"{port.number} ({port.name}, {port.protocol}, target {port.target})"


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
